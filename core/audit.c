/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit trail. A value on disk is the digest (32 bytes) and the row's JSON. */
#include "core/audit.h"

#include <sodium.h>
#include <stdlib.h>

#include "core/json.h"

enum { DIGEST = 32 };

static void digest_row(const unsigned char previous[DIGEST], struct slice text,
                       unsigned char out[DIGEST])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, DIGEST);
    crypto_generichash_update(&state, previous, DIGEST);
    crypto_generichash_update(&state, (const unsigned char *)text.ptr, text.len);
    crypto_generichash_final(&state, out, DIGEST);
}

static char *row_text(int64_t at, const char *who, const char *action, const char *key,
                      const json_t *before, const json_t *after)
{
    json_t *row = json_pack("{s:o, s:s, s:s, s:s, s:O?, s:O?}", "at", json_when(at), "who", who,
                            "action", action, "key", key, "before", before, "after", after);
    if (!row)
        error_fatal("a row of the audit trail cannot be written: out of memory, or not UTF-8");
    char *text = json_text(row);
    json_decref(row);
    return text;
}

void audit_append(struct store_txn *txn, int64_t at, const char *who, const char *action,
                  const char *key, const json_t *before, const json_t *after)
{
    unsigned char previous[DIGEST] = {0};
    uint64_t number = 0;
    struct slice last, value;
    if (store_last(txn, STORE_AUDIT, NO_SLICE, &last, &value)) {
        unkey_u64(&last, &number);
        if (value.len >= DIGEST)
            memcpy(previous, value.ptr, DIGEST);
    }
    struct store_key row = {0};
    key_u64(&row, number + 1);
    char *text = row_text(at, who, action, key, before, after);
    size_t len = strlen(text);
    char *bytes = xmalloc(DIGEST + len);
    digest_row(previous, (struct slice){text, len}, (unsigned char *)bytes);
    memcpy(bytes + DIGEST, text, len);
    store_put(txn, STORE_AUDIT, key_slice(&row), (struct slice){bytes, DIGEST + len});
    free(bytes);
    free(text);
}

static bool damaged(uint64_t number, struct error *err)
{
    return error_set(err, ERROR_CORRUPT, NULL, "row %llu of the audit trail is damaged",
                     (unsigned long long)number);
}

static void put_hex(char hex[2 * DIGEST + 1], const unsigned char digest[DIGEST])
{
    sodium_bin2hex(hex, 2 * DIGEST + 1, digest, DIGEST);
}

static json_t *read_row(uint64_t number, struct slice value, struct error *err)
{
    struct error why = {0};
    json_t *row =
        value.len > DIGEST ? json_parse(value.ptr + DIGEST, value.len - DIGEST, &why) : NULL;
    if (!json_is_object(row)) {
        json_decref(row);
        damaged(number, err);
        return NULL;
    }
    char digest[2 * DIGEST + 1];
    put_hex(digest, (const unsigned char *)value.ptr);
    json_object_set_new(row, "number", json_integer((json_int_t)number));
    json_object_set_new(row, "digest", json_string(digest));
    return row;
}

json_t *audit_list(struct store_txn *txn, uint64_t before, size_t limit, struct error *err)
{
    json_t *rows = json_array();
    struct slice last, value;
    uint64_t number = 0;
    if (store_last(txn, STORE_AUDIT, NO_SLICE, &last, &value))
        unkey_u64(&last, &number);
    if (before > 0 && before <= number)
        number = before - 1;
    for (; number > 0 && json_array_size(rows) < limit; number--) {
        struct store_key key = {0};
        key_u64(&key, number);
        bool there = store_get(txn, STORE_AUDIT, key_slice(&key), &value);
        json_t *row = there ? read_row(number, value, err) : NULL;
        if (!row) {
            damaged(number, err);
            json_decref(rows);
            return NULL;
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

bool audit_each(struct store_txn *txn, uint64_t from, bool (*visit)(void *data, json_t *row),
                void *data, struct error *err)
{
    struct store_key first = {0};
    struct slice key, value;
    bool ok = true;
    key_u64(&first, from);
    struct store_cursor *cursor = store_walk(txn, STORE_AUDIT, NO_SLICE, key_slice(&first));
    while (ok && store_next(cursor, &key, &value)) {
        uint64_t number = 0;
        json_t *row = unkey_u64(&key, &number) ? read_row(number, value, err) : NULL;
        ok = row ? visit(data, row) : damaged(number, err);
        json_decref(row);
    }
    store_walk_end(&cursor);
    return ok && store_healthy(txn, err);
}

void audit_head(struct store_txn *txn, struct audit_head *head)
{
    static const unsigned char none[DIGEST] = {0};
    struct slice key, value;
    bool any = store_last(txn, STORE_AUDIT, NO_SLICE, &key, &value);
    head->rows = 0;
    if (any)
        unkey_u64(&key, &head->rows);
    put_hex(head->digest, any && value.len >= DIGEST ? (const unsigned char *)value.ptr : none);
}

bool audit_verify(struct store_txn *txn, struct audit_head *head, struct error *err)
{
    unsigned char previous[DIGEST] = {0}, expected[DIGEST];
    uint64_t count = 0, number;
    bool good = true;
    struct slice key, value;
    struct store_cursor *cursor = store_walk(txn, STORE_AUDIT, NO_SLICE, NO_SLICE);
    while (good && store_next(cursor, &key, &value)) {
        count++;
        good = unkey_u64(&key, &number) && number == count && value.len > DIGEST;
        if (!good)
            break;
        digest_row(previous, (struct slice){value.ptr + DIGEST, value.len - DIGEST}, expected);
        good = memcmp(expected, value.ptr, DIGEST) == 0;
        memcpy(previous, expected, DIGEST);
    }
    store_walk_end(&cursor);
    if (head) {
        head->rows = count;
        put_hex(head->digest, previous);
    }
    return good ? store_healthy(txn, err) : damaged(count, err);
}

uint64_t audit_find(struct store_txn *txn, const char *digest)
{
    char hex[2 * DIGEST + 1];
    uint64_t found = 0;
    struct slice key, value;
    struct store_cursor *cursor = store_walk(txn, STORE_AUDIT, NO_SLICE, NO_SLICE);
    while (found == 0 && store_next(cursor, &key, &value)) {
        if (value.len < DIGEST)
            continue;
        put_hex(hex, (const unsigned char *)value.ptr);
        if (strcmp(hex, digest) == 0)
            unkey_u64(&key, &found);
    }
    store_walk_end(&cursor);
    return found;
}
