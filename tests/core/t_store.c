/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: what is committed is there after reopening and nothing else is, keys sort as their
 * numbers do, one process at a time, and a full map refuses writes and goes on reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/store.h"
#include "tests/core/folder.h"

static char folder[FOLDER_MAX];

static int make_folder(void **state)
{
    (void)state;
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

static struct store *open_store(size_t map_bytes)
{
    struct error err = {0};
    struct store *store = store_open(folder, map_bytes, &err);
    assert_string_equal(err.message, "");
    return store;
}

static struct store_txn *begin(struct store *store, bool writes)
{
    struct error err = {0};
    struct store_txn *txn = writes ? store_write(store, &err) : store_read(store, &err);
    assert_non_null(txn);
    return txn;
}

static void commit(struct store_txn **txn)
{
    struct error err = {0};
    assert_true(store_commit(txn, &err));
    assert_null(*txn);
}

static bool holds(struct store *store, const char *key, const char *value)
{
    struct store_txn *txn = begin(store, false);
    struct slice found;
    bool is =
        store_get(txn, STORE_META, slice_of(key), &found) && slice_equal(found, slice_of(value));
    store_abort(&txn);
    return is;
}

static void test_store__keeps_what_was_committed_and_nothing_else(void **state)
{
    (void)state;
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    store_put(txn, STORE_META, slice_of("kept"), slice_of("1"));
    assert_true(store_put_new(txn, STORE_META, slice_of("new"), slice_of("1")));
    assert_false(store_put_new(txn, STORE_META, slice_of("new"), slice_of("2")));
    commit(&txn);
    txn = begin(store, true);
    store_put(txn, STORE_META, slice_of("kept"), slice_of("2"));
    assert_true(store_delete(txn, STORE_META, slice_of("new")));
    assert_false(store_delete(txn, STORE_META, slice_of("new")));
    store_abort(&txn);
    store_close(&store);
    assert_null(store);
    store = open_store(0);
    assert_true(holds(store, "kept", "1"));
    assert_true(holds(store, "new", "1"));
    assert_false(holds(store, "none", "1"));
    store_close(&store);
}

static void test_store__a_reader_sees_one_moment(void **state)
{
    (void)state;
    struct store *store = open_store(0);
    struct store_txn *reader = begin(store, false), *writer = begin(store, true);
    struct slice found;
    store_put(writer, STORE_META, slice_of("late"), slice_of("1"));
    commit(&writer);
    assert_false(store_get(reader, STORE_META, slice_of("late"), &found));
    store_abort(&reader);
    assert_true(holds(store, "late", "1"));
    store_close(&store);
}

static void test_store__files_are_of_their_owner_alone(void **state)
{
    (void)state;
    char path[96];
    struct stat info;
    char parent[64];
    snprintf(parent, sizeof parent, "%s", folder);
    snprintf(folder, sizeof folder, "%.40s/new", parent);
    struct store *store = open_store(0);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    store_close(&store);
    assert_int_equal(remove_folder(state), 0);
    snprintf(folder, sizeof folder, "%.40s", parent);
}

static void test_store__one_process_at_a_time(void **state)
{
    (void)state;
    struct store *store = open_store(0);
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        struct store *second = store_open(folder, 0, &err);
        _exit(!second && err.code == ERROR_BUSY && strstr(err.message, "in use") ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_close(&store);
    store = open_store(0);
    store_close(&store);
}

static void test_store__refuses_another_schema(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    struct store_key version = {0};
    key_u32(&version, STORE_SCHEMA + 1);
    store_put(txn, STORE_META, slice_of("schema"), key_slice(&version));
    commit(&txn);
    store_close(&store);
    assert_null(store_open(folder, 0, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    assert_non_null(strstr(err.message, "another version"));
}

static void test_store__a_file_that_is_no_store_is_named_so(void **state)
{
    (void)state;
    struct error err = {0};
    char path[96];
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 20000; i++)
        fputs("rubbish ", file);
    assert_int_equal(fclose(file), 0);
    assert_null(store_open(folder, 0, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
}

/* Puts pages of bytes from row `from` on until the store is full; how many went in. */
static uint64_t fill(struct store *store)
{
    char page[3000] = {1};
    uint64_t row = 0;
    struct error err = {0};
    while (err.code == ERROR_NONE && row < 100000) {
        struct store_txn *txn = begin(store, true);
        for (int i = 0; i < 20; i++) {
            struct store_key key = {0};
            key_u64(&key, row + (uint64_t)i);
            store_put(txn, STORE_LOOK, key_slice(&key), (struct slice){page, sizeof page});
        }
        if (store_commit(&txn, &err))
            row += 20;
    }
    assert_int_equal(err.code, ERROR_FULL);
    return row;
}

static void test_store__a_full_map_refuses_writes_and_goes_on_reading(void **state)
{
    (void)state;
    struct store *store = open_store((size_t)4 << 20);
    struct store_txn *txn = begin(store, true);
    store_put(txn, STORE_META, slice_of("before"), slice_of("1"));
    commit(&txn);
    uint64_t rows = fill(store);
    assert_true(rows > 0);
    txn = begin(store, false);
    assert_int_equal(store_count(txn, STORE_LOOK), rows);
    store_abort(&txn);
    assert_true(holds(store, "before", "1"));
    store_close(&store);
    store = open_store((size_t)16 << 20); /* a higher bound, and it takes writes again */
    txn = begin(store, true);
    store_put(txn, STORE_META, slice_of("after"), slice_of("1"));
    commit(&txn);
    assert_true(holds(store, "after", "1"));
    store_close(&store);
}

static void test_store__the_first_error_sticks(void **state)
{
    (void)state;
    struct error err = {0};
    char long_key[600] = {1};
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    store_put(txn, STORE_META, slice_of("a"), slice_of("1"));
    store_put(txn, STORE_META, (struct slice){long_key, sizeof long_key}, slice_of("1"));
    assert_false(store_healthy(txn, &err));
    assert_false(store_put_new(txn, STORE_META, slice_of("b"), slice_of("1")));
    error_clear(&err);
    assert_false(store_commit(&txn, &err));
    assert_int_not_equal(err.code, ERROR_NONE);
    assert_false(holds(store, "a", "1"));
    store_close(&store);
}

static void put_pair(struct store_txn *txn, uint8_t group, uint32_t number)
{
    struct store_key key = {0};
    key_u8(&key, group);
    key_u32(&key, number);
    store_put(txn, STORE_TALLY, key_slice(&key), key_slice(&key));
}

static void test_store__walks_a_prefix_in_order_of_numbers(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0x01000000, 2, 0xffffffff, 0xff, 0x100, 1};
    static const uint32_t sorted[] = {1, 2, 0xff, 0x100, 0x01000000, 0xffffffff};
    static const uint8_t groups[] = {0, 7, 0xff};
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    for (size_t g = 0; g < 3; g++)
        for (size_t i = 0; i < 6; i++)
            put_pair(txn, groups[g], numbers[i]);
    for (size_t g = 0; g < 3; g++) {
        struct store_key prefix = {0};
        struct slice key, value;
        uint8_t group;
        uint32_t number;
        key_u8(&prefix, groups[g]);
        struct store_cursor *cursor = store_walk(txn, STORE_TALLY, key_slice(&prefix), NO_SLICE);
        for (size_t i = 0; i < 6; i++) {
            assert_true(store_next(cursor, &key, &value));
            assert_true(unkey_u8(&key, &group) && unkey_u32(&key, &number) && key.len == 0);
            assert_int_equal(group, groups[g]);
            assert_int_equal(number, sorted[i]);
        }
        assert_false(store_next(cursor, &key, &value));
        store_walk_end(&cursor);
        assert_true(store_last(txn, STORE_TALLY, key_slice(&prefix), &key, &value));
        assert_true(unkey_u8(&key, &group) && unkey_u32(&key, &number));
        assert_int_equal(group, groups[g]);
        assert_int_equal(number, 0xffffffff);
    }
    struct store_key from = {0}, none = {0};
    struct slice key, value;
    key_u8(&from, 7);
    key_u32(&from, 3);
    struct store_cursor *cursor = store_walk(txn, STORE_TALLY, NO_SLICE, key_slice(&from));
    assert_true(store_next(cursor, &key, &value));
    key.ptr++;
    key.len--;
    uint32_t number = 0;
    assert_true(unkey_u32(&key, &number));
    assert_int_equal(number, 0xff);
    store_walk_end(&cursor);
    key_u8(&none, 8);
    assert_false(store_last(txn, STORE_TALLY, key_slice(&none), &key, &value));
    assert_false(store_last(txn, STORE_SEEN, NO_SLICE, &key, &value));
    store_abort(&txn);
    store_close(&store);
}

static void test_key__reads_back_what_was_written(void **state)
{
    (void)state;
    struct store_key key = {0};
    key_u8(&key, 0xfe);
    key_u16(&key, 0xfedc);
    key_text(&key, slice_of("text"));
    key_text(&key, NO_SLICE);
    key_u32(&key, 0xfedcba98);
    key_u64(&key, 0xfedcba9876543210);
    struct slice rest = key_slice(&key), text = NO_SLICE, empty = NO_SLICE;
    uint8_t a = 0;
    uint16_t b = 0;
    uint32_t c = 0;
    uint64_t d = 0;
    assert_true(unkey_u8(&rest, &a) && unkey_u16(&rest, &b) && unkey_text(&rest, &text) &&
                unkey_text(&rest, &empty) && unkey_u32(&rest, &c) && unkey_u64(&rest, &d));
    assert_int_equal(a, 0xfe);
    assert_int_equal(b, 0xfedc);
    assert_true(slice_is(text, "text"));
    assert_int_equal(empty.len, 0);
    assert_true(c == 0xfedcba98 && d == 0xfedcba9876543210);
    assert_int_equal(rest.len, 0);
    assert_false(unkey_u8(&rest, &a) || unkey_u64(&rest, &d) || unkey_text(&rest, &text));
    struct slice open_end = slice_of("no zero byte");
    assert_false(unkey_text(&open_end, &text));
}

#define each(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(test_store__keeps_what_was_committed_and_nothing_else),
        each(test_store__a_reader_sees_one_moment),
        each(test_store__files_are_of_their_owner_alone),
        each(test_store__one_process_at_a_time),
        each(test_store__refuses_another_schema),
        each(test_store__a_file_that_is_no_store_is_named_so),
        each(test_store__a_full_map_refuses_writes_and_goes_on_reading),
        each(test_store__the_first_error_sticks),
        each(test_store__walks_a_prefix_in_order_of_numbers),
        cmocka_unit_test(test_key__reads_back_what_was_written),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
