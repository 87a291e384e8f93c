/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit trail: rows, pages, and that tampering breaks the chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "core/audit.h"
#include "core/json.h"
#include "tests/core/folder.h"

struct place {
    char folder[FOLDER_MAX];
    struct store *store;
};

/* A store with five rows. */
static int setup(void **state)
{
    struct place *place = xcalloc(1, sizeof *place);
    struct error err = {0};
    if (!folder_make(place->folder))
        return -1;
    place->store = store_open(place->folder, 0, &err);
    struct store_txn *txn = store_write(place->store, &err);
    for (int i = 0; i < 5; i++) {
        json_t *after = json_pack("{s:i}", "version", i + 1);
        audit_append(txn, 1000 * i, "ann", "experiment.amend", "e", NULL, after);
        json_decref(after);
    }
    *state = place;
    return store_commit(&txn, &err) ? 0 : -1;
}

static int teardown(void **state)
{
    struct place *place = *state;
    store_close(&place->store);
    bool removed = folder_remove(place->folder);
    free(place);
    return removed ? 0 : -1;
}

static void test_audit__rows_come_newest_first_in_pages(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct store_txn *txn = store_read(place->store, &err);
    json_t *rows = audit_list(txn, 0, 2, &err);
    assert_int_equal(json_array_size(rows), 2);
    json_t *first = json_array_get(rows, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "number")), 5);
    assert_string_equal(json_string_value(json_object_get(first, "at")), "1970-01-01T00:00:04Z");
    assert_true(json_is_null(json_object_get(first, "before")));
    assert_int_equal(json_string_length(json_object_get(first, "digest")), 64);
    json_decref(rows);
    rows = audit_list(txn, 4, 10, &err);
    assert_int_equal(json_array_size(rows), 3);
    json_decref(rows);
    rows = audit_list(txn, 1, 10, &err);
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    store_abort(&txn);
}

static void assert_verifies(struct store_txn *txn, const char *expected)
{
    struct error err = {0};
    assert_true(audit_verify(txn, NULL, &err) == !*expected);
    assert_string_equal(err.message, expected);
}

static void verify(struct store *store, const char *expected)
{
    struct error err = {0};
    struct store_txn *txn = store_read(store, &err);
    assert_verifies(txn, expected);
    store_abort(&txn);
}

static void test_audit__a_changed_row_breaks_the_chain(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    verify(place->store, "");
    struct store_txn *txn = store_write(place->store, &err);
    struct store_key key = {0};
    key_u64(&key, 3);
    struct slice value;
    assert_true(store_get(txn, STORE_AUDIT, key_slice(&key), &value));
    char *bytes = xmalloc(value.len);
    memcpy(bytes, value.ptr, value.len);
    bytes[value.len - 2] ^= 1;
    store_put(txn, STORE_AUDIT, key_slice(&key), (struct slice){bytes, value.len});
    assert_true(store_commit(&txn, &err));
    free(bytes);
    verify(place->store, "row 3 of the audit trail is damaged");
}

static void test_audit__a_row_taken_out_breaks_the_chain(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct store_txn *txn = store_write(place->store, &err);
    struct store_key key = {0};
    key_u64(&key, 2);
    assert_true(store_delete(txn, STORE_AUDIT, key_slice(&key)));
    assert_true(store_commit(&txn, &err));
    verify(place->store, "row 2 of the audit trail is damaged");
}

/* Written through the store, which so finds nothing wrong with the row. */
static void test_audit__every_byte_counts(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct store_txn *txn = store_write(place->store, &err);
    char bytes[1024], expected[64];
    for (uint64_t number = 1; number <= 5; number++) {
        struct store_key key = {0};
        struct slice value;
        key_u64(&key, number);
        assert_true(store_get(txn, STORE_AUDIT, key_slice(&key), &value) && value.len <= 1024);
        const struct slice row = {memcpy(bytes, value.ptr, value.len), value.len};
        snprintf(expected, sizeof expected, "row %d of the audit trail is damaged", (int)number);
        for (size_t i = 0; i < row.len; i++) {
            char kept = bytes[i];
            bytes[i] = (char)(kept ^ (1 << i % 8));
            store_put(txn, STORE_AUDIT, key_slice(&key), row);
            assert_verifies(txn, expected);
            bytes[i] = kept;
        }
        store_put(txn, STORE_AUDIT, key_slice(&key), row);
    }
    assert_verifies(txn, "");
    store_abort(&txn);
}

/* A trail that was cut is a whole trail; only a digest that was kept elsewhere tells. */
static void test_audit__a_kept_digest_tells_of_a_cut(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct audit_head head, verified;
    struct store_txn *txn = store_write(place->store, &err);
    audit_head(txn, &head);
    assert_true(audit_verify(txn, &verified, &err));
    assert_int_equal(head.rows, verified.rows);
    assert_string_equal(head.digest, verified.digest);
    assert_int_equal(head.rows, 5);
    assert_int_equal(audit_find(txn, head.digest), 5);
    audit_append(txn, 9, "ann", "later", "e", NULL, NULL);
    assert_int_equal(audit_find(txn, head.digest), 5);
    for (uint64_t number = 5; number <= 6; number++) {
        struct store_key key = {0};
        key_u64(&key, number);
        assert_true(store_delete(txn, STORE_AUDIT, key_slice(&key)));
    }
    assert_true(audit_verify(txn, &verified, &err));
    assert_int_equal(verified.rows, 4);
    assert_int_equal(audit_find(txn, head.digest), 0);
    audit_append(txn, 9, "eve", "experiment.amend", "e", NULL, NULL);
    assert_int_equal(audit_find(txn, head.digest), 0);
    store_abort(&txn);
}

static bool note_number(void *data, json_t *row)
{
    uint64_t *sum = data;
    *sum = *sum * 10 + (uint64_t)json_integer_value(json_object_get(row, "number"));
    return *sum < 234;
}

static void test_audit__is_walked_from_any_row_on(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    uint64_t seen = 0;
    struct store_txn *txn = store_read(place->store, &err);
    assert_false(audit_each(txn, 2, note_number, &seen, &err));
    assert_int_equal(err.code, ERROR_NONE);
    assert_int_equal(seen, 234);
    seen = 0;
    assert_true(audit_each(txn, 4, note_number, &seen, &err));
    assert_int_equal(seen, 45);
    store_abort(&txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_audit__rows_come_newest_first_in_pages),
        TEST(test_audit__a_changed_row_breaks_the_chain),
        TEST(test_audit__a_row_taken_out_breaks_the_chain),
        TEST(test_audit__every_byte_counts),
        TEST(test_audit__a_kept_digest_tells_of_a_cut),
        TEST(test_audit__is_walked_from_any_row_on),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
