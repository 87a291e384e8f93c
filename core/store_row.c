/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows: every one that LMDB hands out is verified before anybody looks at it. */
#include <stdlib.h>

#include "core/store_parts.h"

struct store_cursor {
    struct store_txn *txn;
    enum store_table table;
    MDB_cursor *cursor;
    MDB_val key, value; /* of the row it stands on */
    enum { AT_FIRST, WITHIN, AT_END, OVER } state;
    bool tolerant; /* gives damaged rows without a value */
    bool summed;   /* begins at the start of one or more groups */
    struct store_key prefix, last;
    uint64_t changes;       /* of the transaction, at the start */
    uint64_t rows;          /* given so far */
    struct store_sum group; /* of the rows given so far, where `summed` */
};

static MDB_val val(struct slice slice)
{
    return (MDB_val){slice.len, (void *)(uintptr_t)slice.ptr};
}

static struct slice slice(MDB_val value)
{
    return (struct slice){value.mv_data, value.mv_size};
}

/* --- one row -------------------------------------------------------------------------------- */

static int get_row(struct store_txn *txn, enum store_table table, MDB_val *key, MDB_val *value)
{
    int code = mdb_get(txn->txn, txn->store->tables[table], key, value);
    return code ? code : row_verify(txn, table, *key, value);
}

bool store_get(struct store_txn *txn, enum store_table table, struct slice key, struct slice *value)
{
    MDB_val k = val(key), v;
    int code;
    if (txn->failed)
        return false;
    GUARDED(code, get_row(txn, table, &k, &v));
    if (!txn_note(txn, table, code, MDB_NOTFOUND))
        return false;
    if (value)
        *value = slice(v);
    return true;
}

/* --- changing ------------------------------------------------------------------------------- */

static int open_table(struct store_txn *txn, enum store_table table)
{
    if (txn->tables[table])
        return 0;
    return mdb_cursor_open(txn->txn, txn->store->tables[table], &txn->tables[table]);
}

/* The value and its checksum, in memory of the store: the value may lie in a page that changes. */
static MDB_val with_sum(struct store_txn *txn, enum store_table table, MDB_val key,
                        struct slice value)
{
    struct store *store = txn->store;
    size_t size = value.len + ROW_SUM;
    if (size > store->scratch_size) {
        store->scratch = xrealloc(store->scratch, 2 * size);
        store->scratch_size = 2 * size;
    }
    uint32_t sum = row_sum(table, key, value.ptr, value.len);
    unsigned char *end = (unsigned char *)store->scratch + value.len;
    if (value.len)
        memcpy(store->scratch, value.ptr, value.len);
    for (int i = 0; i < ROW_SUM; i++)
        end[i] = (unsigned char)(sum >> (24 - 8 * i));
    return (MDB_val){size, store->scratch};
}

/* What a call changed. */
struct change {
    int rows;
    uint32_t mix;
};

static int alter(struct store_txn *txn, enum store_table table, MDB_val *key, MDB_val *value,
                 unsigned flags)
{
    txn->altering = true;
    int code = value ? mdb_cursor_put(txn->tables[table], key, value, flags)
                     : mdb_cursor_del(txn->tables[table], 0);
    txn->altering = false;
    return code;
}

/* An address in the leaf where the cursor is; NULL in an empty table. */
static const void *leaf_of(MDB_cursor *cursor)
{
    MDB_val key = {0}, value;
    if (mdb_cursor_get(cursor, &key, &value, MDB_GET_CURRENT) == 0 ||
        mdb_cursor_get(cursor, &key, &value, MDB_PREV) == 0)
        return key.mv_data;
    return NULL;
}

/* Goes to the row, or to where it would be, and looks at the pages there. */
static int stand(struct store_txn *txn, enum store_table table, const MDB_val *key, MDB_val *old,
                 bool deletes)
{
    MDB_val there = *key;
    int code = open_table(txn, table);
    if (code)
        return code;
    code = mdb_cursor_get(txn->tables[table], &there, old, MDB_SET_KEY);
    if (code && code != MDB_NOTFOUND)
        return code;
    const void *leaf = code ? leaf_of(txn->tables[table]) : there.mv_data;
    int damage = 0;
    if (deletes || !pages_looked_at(txn, leaf))
        damage = pages_look(txn, table, *key, deletes);
    if (!damage && !pages_looked_at(txn, leaf))
        damage = txn_damaged(txn, "pages are out of order");
    return damage ? damage : code;
}

/* Stands on the row and takes its checksum, whatever else of it is damaged: it is to go. */
static int find_old(struct store_txn *txn, enum store_table table, MDB_val *key, MDB_val *old,
                    struct change *change, bool deletes)
{
    int code = stand(txn, table, key, old, deletes);
    if (code == 0 && (old->mv_size < ROW_SUM || !txn_holds(txn, old->mv_data, old->mv_size)))
        code = txn_damaged(txn, "a value lies outside of the file");
    if (code == 0)
        *change = (struct change){-1, row_stored_sum(*old)};
    return code;
}

static int put_row(struct store_txn *txn, enum store_table table, MDB_val *key, MDB_val *value,
                   struct change *change)
{
    MDB_val old;
    int code = find_old(txn, table, key, &old, change, false);
    if (code != 0 && code != MDB_NOTFOUND)
        return code;
    bool there = code == 0;
    if (there && slice_equal(slice(old), slice(*value))) {
        *change = (struct change){0};
        return 0;
    }
    code = alter(txn, table, key, value, there ? MDB_CURRENT : MDB_NOOVERWRITE);
    change->rows++;
    change->mix ^= row_stored_sum(*value);
    return code == MDB_KEYEXIST ? txn_damaged(txn, "keys are out of order") : code;
}

static int put_new_row(struct store_txn *txn, enum store_table table, MDB_val *key, MDB_val *value,
                       struct change *change)
{
    MDB_val old;
    int code = stand(txn, table, key, &old, false);
    *change = (struct change){1, row_stored_sum(*value)};
    return code == 0              ? MDB_KEYEXIST
           : code == MDB_NOTFOUND ? alter(txn, table, key, value, MDB_NOOVERWRITE)
                                  : code;
}

static int delete_row(struct store_txn *txn, enum store_table table, MDB_val *key, MDB_val *value,
                      struct change *change)
{
    MDB_val old;
    (void)value;
    int code = find_old(txn, table, key, &old, change, true);
    return code ? code : alter(txn, table, key, NULL, 0);
}

typedef int alteration(struct store_txn *txn, enum store_table table, MDB_val *key, MDB_val *value,
                       struct change *change);

/* Whether it was done; the sums follow. */
static bool change_row(struct store_txn *txn, enum store_table table, struct slice key,
                       MDB_val *value, alteration *make, int harmless)
{
    MDB_val k = val(key);
    struct change change = {0};
    int code;
    GUARDED(code, make(txn, table, &k, value, &change));
    if (!txn_note(txn, table, code, harmless))
        return false;
    return (change.rows == 0 && change.mix == 0) ||
           sum_change(txn, table, val(key), change.rows, change.mix);
}

void store_put(struct store_txn *txn, enum store_table table, struct slice key, struct slice value)
{
    must(txn->writes);
    if (txn->failed)
        return;
    MDB_val v = with_sum(txn, table, val(key), value);
    change_row(txn, table, key, &v, put_row, 0);
}

bool store_put_new(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice value)
{
    must(txn->writes);
    if (txn->failed)
        return false;
    MDB_val v = with_sum(txn, table, val(key), value);
    return change_row(txn, table, key, &v, put_new_row, MDB_KEYEXIST);
}

bool store_delete(struct store_txn *txn, enum store_table table, struct slice key)
{
    must(txn->writes);
    return !txn->failed && change_row(txn, table, key, NULL, delete_row, MDB_NOTFOUND);
}

uint64_t store_count(struct store_txn *txn, enum store_table table)
{
    MDB_stat stat = {0};
    int code;
    if (txn->store->tables[table] == NO_TABLE)
        return 0;
    GUARDED(code, mdb_stat(txn->txn, txn->store->tables[table], &stat));
    txn_note(txn, table, code, 0);
    return stat.ms_entries;
}

/* --- walks ---------------------------------------------------------------------------------- */

static int open_at(struct store_cursor *cursor)
{
    struct store_txn *txn = cursor->txn;
    int code = mdb_cursor_open(txn->txn, txn->store->tables[cursor->table], &cursor->cursor);
    if (code)
        return code;
    MDB_cursor_op first = cursor->key.mv_size ? MDB_SET_RANGE : MDB_FIRST;
    return mdb_cursor_get(cursor->cursor, &cursor->key, &cursor->value, first);
}

struct store_cursor *store_walk(struct store_txn *txn, enum store_table table, struct slice prefix,
                                struct slice from)
{
    struct store_cursor *cursor = xcalloc(1, sizeof *cursor);
    *cursor = (struct store_cursor){.txn = txn,
                                    .table = table,
                                    .summed = !from.len && prefix.len <= sum_group(table),
                                    .changes = txn->changes};
    key_bytes(&cursor->prefix, prefix);
    cursor->key = from.len ? val(from) : val(key_slice(&cursor->prefix));
    if (txn->failed)
        return cursor;
    int code;
    GUARDED(code, open_at(cursor));
    if (!txn_note(txn, table, code, MDB_NOTFOUND))
        cursor->state = AT_END;
    return cursor;
}

void store_walk_damaged(struct store_cursor *cursor)
{
    cursor->tolerant = true;
    cursor->summed = false;
}

static int compare(MDB_val a, MDB_val b)
{
    size_t least = a.mv_size < b.mv_size ? a.mv_size : b.mv_size;
    int order = least ? memcmp(a.mv_data, b.mv_data, least) : 0;
    return order ? order : (a.mv_size > b.mv_size) - (a.mv_size < b.mv_size);
}

static int verify_here(struct store_cursor *cursor)
{
    struct store_txn *txn = cursor->txn;
    int code = key_verify(txn, cursor->key);
    if (code)
        return code;
    const char *why = txn->why;
    code = row_verify(txn, cursor->table, cursor->key, &cursor->value);
    if (code == 0 || !cursor->tolerant)
        return code;
    cursor->value = (MDB_val){0};
    txn->why = why;
    return 0;
}

/* MDB_NOTFOUND behind the last row with the prefix. A row that is damaged may have any key, so it
 * is verified before it is told to be behind. */
static int step(struct store_cursor *cursor)
{
    struct store_txn *txn = cursor->txn;
    int code = cursor->state == AT_END ? MDB_NOTFOUND : 0;
    if (cursor->state == WITHIN)
        code = mdb_cursor_get(cursor->cursor, &cursor->key, &cursor->value, MDB_NEXT);
    if (code == 0)
        code = verify_here(cursor);
    if (code)
        return code;
    struct slice prefix = key_slice(&cursor->prefix), key = slice(cursor->key);
    if (cursor->rows && compare(val(key_slice(&cursor->last)), cursor->key) >= 0)
        return txn_damaged(txn, "keys are out of order");
    if (key.len < prefix.len || memcmp(key.ptr, prefix.ptr, prefix.len) != 0)
        return MDB_NOTFOUND;
    cursor->last.len = key.len;
    memcpy(cursor->last.bytes, key.ptr, key.len);
    cursor->state = WITHIN;
    cursor->rows++;
    return 0;
}

/* What the rows of the group come to against what META has; nothing can be said where rows were
 * changed on the way. */
static bool group_verify(struct store_cursor *cursor, uint64_t id)
{
    struct store_txn *txn = cursor->txn;
    if (cursor->changes != txn->changes)
        return true;
    const struct store_sum *sum = sum_at(txn, id);
    return sum && ((sum->rows == cursor->group.rows && sum->mix == cursor->group.mix) ||
                   txn_note(txn, cursor->table, txn_damaged(txn, "rows are missing"), 0));
}

static bool group_take(struct store_cursor *cursor)
{
    uint64_t id = sum_id(cursor->table, cursor->key.mv_data, cursor->key.mv_size);
    if (cursor->group.used && cursor->group.id != id) {
        if (!group_verify(cursor, cursor->group.id))
            return false;
        cursor->group.used = false;
    }
    if (!cursor->group.used)
        cursor->group = (struct store_sum){.id = id, .used = true};
    if (!sum_is_head(cursor->table, cursor->key)) {
        const MDB_val whole = {cursor->value.mv_size + ROW_SUM, cursor->value.mv_data};
        cursor->group.rows++;
        cursor->group.mix ^= row_stored_sum(whole);
    }
    return true;
}

/* At the end: the last group, or the one that should have been there; and whether whole groups are
 * missing. In a write the sums of META may not be written yet. */
static bool groups_end(struct store_cursor *cursor)
{
    struct store_txn *txn = cursor->txn;
    struct slice prefix = key_slice(&cursor->prefix);
    bool one = prefix.len == sum_group(cursor->table);
    uint64_t id =
        cursor->group.used ? cursor->group.id : sum_id(cursor->table, prefix.ptr, prefix.len);
    if ((one || cursor->group.used) && !group_verify(cursor, id))
        return false;
    uint64_t rows;
    if (one || txn->changes)
        return true;
    return sums_rows(txn, cursor->table, prefix, &rows) &&
           (rows == cursor->rows ||
            txn_note(txn, cursor->table, txn_damaged(txn, "rows are missing"), 0));
}

bool store_next(struct store_cursor *cursor, struct slice *key, struct slice *value)
{
    struct store_txn *txn = cursor->txn;
    int code;
    if (txn->failed || cursor->state == OVER)
        return false;
    GUARDED(code, step(cursor));
    if (!txn_note(txn, cursor->table, code, MDB_NOTFOUND)) {
        cursor->state = OVER;
        if (code == MDB_NOTFOUND && cursor->summed)
            groups_end(cursor);
        return false;
    }
    if (cursor->summed && !group_take(cursor))
        return false;
    *key = slice(cursor->key);
    *value = slice(cursor->value);
    return true;
}

void store_walk_end(struct store_cursor **cursor)
{
    if (!*cursor)
        return;
    if ((*cursor)->cursor)
        mdb_cursor_close((*cursor)->cursor);
    free(*cursor);
    *cursor = NULL;
}

/* --- the last row --------------------------------------------------------------------------- */

/* The first key behind all those with this prefix: its last byte below 0xff, plus one. */
static bool behind(struct store_key *key)
{
    while (key->len > 0 && (unsigned char)key->bytes[key->len - 1] == 0xff)
        key->len--;
    if (key->len == 0)
        return false;
    key->bytes[key->len - 1]++;
    return true;
}

static int last_row(struct store_txn *txn, enum store_table table, MDB_cursor *cursor,
                    struct slice prefix, MDB_val *k, MDB_val *v)
{
    struct store_key bound = {0};
    int code = MDB_NOTFOUND;
    key_bytes(&bound, prefix);
    if (behind(&bound)) {
        *k = val(key_slice(&bound));
        code = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
    }
    if (code == 0 || code == MDB_NOTFOUND)
        code = mdb_cursor_get(cursor, k, v, code == 0 ? MDB_PREV : MDB_LAST);
    if (code == 0)
        code = key_verify(txn, *k);
    if (code == 0)
        code = row_verify(txn, table, *k, v);
    bool within = code == 0 && k->mv_size >= prefix.len &&
                  (prefix.len == 0 || memcmp(k->mv_data, prefix.ptr, prefix.len) == 0);
    return code ? code : within ? 0 : MDB_NOTFOUND;
}

/* Adds up the group by the checksums as they are stored: cheap, and enough to know that no row is
 * missing. *last is the key of its last row. */
static int group_scan(struct store_txn *txn, MDB_cursor *cursor, struct slice group,
                      struct store_sum *sum, struct store_key *last)
{
    MDB_val k = val(group), v;
    int code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (code == 0) {
        if (!txn_holds(txn, k.mv_data, k.mv_size) || !txn_holds(txn, v.mv_data, v.mv_size) ||
            v.mv_size < ROW_SUM)
            return txn_damaged(txn, "a row lies outside of the file");
        if (k.mv_size < group.len || memcmp(k.mv_data, group.ptr, group.len) != 0)
            break;
        if (k.mv_size > STORE_KEY_MAX)
            return txn_damaged(txn, "a key is too long");
        last->len = k.mv_size;
        memcpy(last->bytes, k.mv_data, k.mv_size);
        sum->rows++;
        sum->mix ^= row_stored_sum(v);
        code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

/* That the row found (or none) is the last one: no row of its group is missing, and the way to it,
 * by the keys of branches, did not end too early. */
static bool last_verify(struct store_txn *txn, enum store_table table, MDB_cursor *cursor,
                        struct slice prefix, struct slice key)
{
    struct slice group = {prefix.ptr, sum_group(table)};
    struct store_sum found = {0};
    struct store_key last = {0};
    int code;
    if (group.len == 0 || prefix.len < group.len)
        return true;
    GUARDED(code, group_scan(txn, cursor, group, &found, &last));
    if (!txn_note(txn, table, code, 0))
        return false;
    const struct store_sum *sum = sum_at(txn, sum_id(table, group.ptr, group.len));
    bool is_last = prefix.len > group.len || slice_equal(key_slice(&last), key);
    return sum && ((sum->rows == found.rows && sum->mix == found.mix && is_last) ||
                   txn_note(txn, table, txn_damaged(txn, "rows are missing"), 0));
}

bool store_last(struct store_txn *txn, enum store_table table, struct slice prefix,
                struct slice *key, struct slice *value)
{
    MDB_cursor *cursor = NULL;
    MDB_val k = {0}, v = {0};
    int code;
    if (txn->failed ||
        !txn_note(txn, table, mdb_cursor_open(txn->txn, txn->store->tables[table], &cursor), 0))
        return false;
    GUARDED(code, last_row(txn, table, cursor, prefix, &k, &v));
    bool found = txn_note(txn, table, code, MDB_NOTFOUND);
    bool whole =
        !txn->failed && last_verify(txn, table, cursor, prefix, found ? slice(k) : NO_SLICE);
    mdb_cursor_close(cursor);
    if (!found || !whole)
        return false;
    *key = slice(k);
    *value = slice(v);
    return true;
}
