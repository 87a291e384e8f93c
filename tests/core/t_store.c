/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: what is committed is there after reopening and nothing else is, keys sort as their
 * numbers do, one process at a time, and a full map refuses writes and goes on reading. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/store_parts.h"
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

static void write_schema(uint32_t version)
{
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    struct store_key value = {0};
    key_u32(&value, version);
    store_put(txn, STORE_META, slice_of("schema"), key_slice(&value));
    commit(&txn);
    store_close(&store);
}

static void assert_refused(const char *words)
{
    struct error err = {0};
    assert_null(store_open(folder, 0, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    if (!strstr(err.message, words))
        assert_string_equal(err.message, words);
}

static void test_store__refuses_a_newer_schema(void **state)
{
    (void)state;
    write_schema(STORE_SCHEMA + 1);
    assert_refused("the store has schema 3, written by a newer uplift; this one reads 2");
}

static void test_store__refuses_an_older_schema(void **state)
{
    (void)state;
    write_schema(1);
    assert_refused("the store has schema 1, written by an older uplift; this one reads 2: run "
                   "uplift upgrade");
}

static void test_store__without_its_schema_is_damaged(void **state)
{
    (void)state;
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    assert_true(store_delete(txn, STORE_META, slice_of("schema")));
    commit(&txn);
    store_close(&store);
    assert_refused("does not say which schema");
}

/* Changes one byte in each place of the data file where `what` stands. */
static int flip(const char *what)
{
    char path[96], bytes[4096 + 64];
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    int flipped = 0;
    size_t len = strlen(what), size;
    for (long at = 0;
         fseek(file, at, SEEK_SET) == 0 && (size = fread(bytes, 1, sizeof bytes, file)) >= len;
         at += 4096)
        for (size_t i = 0; i < 4096 && i + len <= size; i++)
            if (memcmp(bytes + i, what, len) == 0) {
                fseek(file, at + (long)i, SEEK_SET);
                fputc(bytes[i] ^ 4, file);
                flipped++;
            }
    assert_int_equal(fclose(file), 0);
    return flipped;
}

static void test_store__a_changed_value_is_told_with_its_table(void **state)
{
    (void)state;
    struct error err = {0};
    struct slice value;
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    store_put(txn, STORE_METRIC, slice_of("a"), slice_of("another value"));
    store_put(txn, STORE_METRIC, slice_of("b"), slice_of("a value to be changed"));
    commit(&txn);
    store_close(&store);
    assert_true(flip("a value to be changed") > 0);
    store = open_store(0);
    txn = begin(store, false);
    assert_true(store_get(txn, STORE_METRIC, slice_of("a"), &value));
    assert_true(slice_is(value, "another value"));
    assert_false(store_get(txn, STORE_METRIC, slice_of("b"), &value));
    assert_false(store_healthy(txn, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    assert_non_null(strstr(err.message, "'metric' is damaged: a checksum"));
    store_abort(&txn);
    txn = begin(store, true); /* what is to be replaced need not be whole */
    store_put(txn, STORE_METRIC, slice_of("b"), slice_of("new"));
    commit(&txn);
    txn = begin(store, false);
    assert_true(store_get(txn, STORE_METRIC, slice_of("b"), &value));
    assert_true(slice_is(value, "new"));
    store_abort(&txn);
    store_close(&store);
}

static void test_store__a_repair_walks_over_damage(void **state)
{
    (void)state;
    struct slice key, value;
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    store_put(txn, STORE_METRIC, slice_of("a"), slice_of("a value to be changed"));
    store_put(txn, STORE_METRIC, slice_of("b"), slice_of("whole"));
    commit(&txn);
    store_close(&store);
    assert_true(flip("a value to be changed") > 0);
    store = open_store(0);
    txn = begin(store, true);
    struct store_cursor *cursor = store_walk(txn, STORE_METRIC, NO_SLICE, NO_SLICE);
    store_walk_damaged(cursor);
    assert_true(store_next(cursor, &key, &value));
    assert_true(slice_is(key, "a"));
    assert_null(value.ptr);
    assert_true(store_next(cursor, &key, &value));
    assert_true(slice_is(value, "whole"));
    assert_false(store_next(cursor, &key, &value));
    store_walk_end(&cursor);
    assert_true(store_delete(txn, STORE_METRIC, slice_of("a")));
    commit(&txn);
    txn = begin(store, false);
    cursor = store_walk(txn, STORE_METRIC, NO_SLICE, NO_SLICE);
    assert_true(store_next(cursor, &key, &value));
    assert_false(store_next(cursor, &key, &value));
    store_walk_end(&cursor);
    assert_true(store_healthy(txn, &(struct error){0}));
    store_abort(&txn);
    store_close(&store);
}

static void test_store__a_row_that_moved_away_is_missed(void **state)
{
    (void)state;
    struct error err = {0};
    struct slice key, value;
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    store_put(txn, STORE_TALLY, slice_of("first one"), slice_of("1"));
    store_put(txn, STORE_TALLY, slice_of("first two"), slice_of("2"));
    store_put(txn, STORE_TALLY, slice_of("second one"), slice_of("3"));
    commit(&txn);
    store_close(&store);
    assert_true(flip("first two") > 0); /* it becomes "birst two", out of reach of the prefix */
    store = open_store(0);
    txn = begin(store, false);
    struct store_cursor *cursor = store_walk(txn, STORE_TALLY, slice_of("second"), NO_SLICE);
    assert_true(store_next(cursor, &key, &value));
    assert_false(store_next(cursor, &key, &value));
    store_walk_end(&cursor);
    assert_true(store_healthy(txn, &err));
    cursor = store_walk(txn, STORE_TALLY, slice_of("first "), NO_SLICE);
    while (store_next(cursor, &key, &value))
        assert_true(slice_is(value, "1"));
    store_walk_end(&cursor);
    assert_false(store_healthy(txn, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    store_abort(&txn);
    store_close(&store);
}

/* A key that changed in its group took its row to another one: sums of both are wrong. */
static void test_store__sums_are_made_anew_after_a_repair(void **state)
{
    (void)state;
    struct slice key, value;
    struct store *store = open_store(0);
    struct store_txn *txn = begin(store, true);
    store_put(txn, STORE_TALLY, slice_of("first one"), slice_of("1"));
    store_put(txn, STORE_TALLY, slice_of("second"), slice_of("2"));
    commit(&txn);
    store_close(&store);
    assert_true(flip("first one") > 0);
    store = open_store(0);
    txn = begin(store, true);
    assert_true(store_delete(txn, STORE_TALLY, slice_of("birst one")) ||
                store_delete(txn, STORE_TALLY, slice_of("first one")));
    store_sums_anew(txn, STORE_TALLY);
    commit(&txn);
    store_close(&store);
    store = open_store(0);
    txn = begin(store, false);
    struct store_cursor *cursor = store_walk(txn, STORE_TALLY, NO_SLICE, NO_SLICE);
    assert_true(store_next(cursor, &key, &value) && slice_is(key, "second"));
    assert_false(store_next(cursor, &key, &value));
    store_walk_end(&cursor);
    cursor = store_walk(txn, STORE_TALLY, slice_of("first "), NO_SLICE);
    assert_false(store_next(cursor, &key, &value));
    store_walk_end(&cursor);
    assert_true(store_healthy(txn, &(struct error){0}));
    store_abort(&txn);
    store_close(&store);
}

static void test_store__sums_follow_every_change(void **state)
{
    (void)state;
    struct store *store = open_store(0);
    for (uint32_t round = 0; round < 300; round++) {
        struct store_txn *txn = begin(store, true);
        for (uint32_t i = 0; i < 7; i++) {
            struct store_key name = {0}, value = {0};
            uint32_t at = (round * 7 + i) * UINT32_C(2654435761);
            key_u32(&name, at >> 29);
            key_u16(&name, 1);
            key_u32(&name, at >> 24 & 15);
            key_u32(&value, round >> 2);
            if (at >> 20 & 1)
                store_delete(txn, STORE_TALLY, key_slice(&name));
            else if (at >> 21 & 1)
                store_put_new(txn, STORE_TALLY, key_slice(&name), key_slice(&value));
            else
                store_put(txn, STORE_TALLY, key_slice(&name), key_slice(&value));
        }
        if (round % 11 == 0)
            store_abort(&txn);
        else
            commit(&txn);
        struct slice key, value;
        txn = begin(store, false);
        struct store_cursor *cursor = store_walk(txn, STORE_TALLY, NO_SLICE, NO_SLICE);
        while (store_next(cursor, &key, &value))
            ;
        store_walk_end(&cursor);
        assert_true(store_healthy(txn, &(struct error){0}));
        store_abort(&txn);
    }
    store_close(&store);
    store = open_store(0);
    store_close(&store);
}

static void test_store__checksums_are_crc_32c_both_ways(void **state)
{
    (void)state;
    char bytes[100];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 37);
    assert_int_equal(store_crc(0, slice_of("123456789"), false), 0xe3069283);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(store_crc(7, (struct slice){bytes, len}, false),
                         store_crc(7, (struct slice){bytes, len}, true));
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

/* --- a disk that fails ----------------------------------------------------------------------- */

/* LMDB's writes of its root come here first. */
static bool root_fails;

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    if (root_fails && at < 8192) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, file, bytes, size, at);
}

static bool put_one(struct store *store, const char *key, struct error *err)
{
    struct store_txn *txn = store_write(store, err);
    if (!txn)
        return false;
    store_put(txn, STORE_META, slice_of(key), slice_of("1"));
    return store_commit(&txn, err);
}

static void test_store__takes_writes_again_when_the_disk_does(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *store = open_store(0);
    assert_true(put_one(store, "before", &err));
    root_fails = true;
    for (int i = 0; i < 3; i++) {
        error_clear(&err);
        assert_false(put_one(store, "lost", &err));
        assert_int_equal(err.code, ERROR_IO);
        assert_true(holds(store, "before", "1"));
    }
    root_fails = false;
    error_clear(&err);
    assert_true(put_one(store, "after", &err));
    assert_true(holds(store, "before", "1"));
    assert_true(holds(store, "after", "1"));
    assert_false(holds(store, "lost", "1"));
    store_close(&store);
}

/* --- copies ---------------------------------------------------------------------------------- */

/* A sum of all rows but the head. */
static uint64_t digest_of(struct store_txn *txn)
{
    uint64_t hash = 0;
    struct slice key, value;
    for (enum store_table table = 0; table < STORE_TABLES; table++) {
        struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
        while (store_next(cursor, &key, &value))
            if (!slice_is(key, sum_head_name))
                hash = hash * 31 + hash64(key.ptr, key.len) * 7 + hash64(value.ptr, value.len);
        store_walk_end(&cursor);
    }
    return hash;
}

/* The same, and that all is well with them. */
static uint64_t digest(struct store *store)
{
    struct store_txn *txn = begin(store, false);
    uint64_t hash = digest_of(txn);
    assert_true(store_healthy(txn, &(struct error){0}));
    store_abort(&txn);
    return hash;
}

/* Rows from..to-1 of two tables, some of them too large for a page. */
static void put_rows(struct store *store, uint32_t from, uint32_t to, const char *text)
{
    struct store_txn *txn = begin(store, true);
    char *large = xcalloc(9000, 1);
    for (uint32_t i = from; i < to; i++) {
        struct store_key key = {0};
        key_u32(&key, i);
        key_u16(&key, 1);
        key_text(&key, slice_of(text));
        snprintf(large, 9000, "%s %u", text, (unsigned)i);
        store_put(txn, STORE_CUSTOMER, key_slice(&key), slice_of(large));
        if (i % 50 == 0)
            store_put(txn, STORE_LOOK, key_slice(&key), (struct slice){large, 9000});
    }
    free(large);
    commit(&txn);
}

static void delete_rows(struct store *store, uint32_t from, uint32_t to, const char *text)
{
    struct store_txn *txn = begin(store, true);
    for (uint32_t i = from; i < to; i++) {
        struct store_key key = {0};
        key_u32(&key, i);
        key_u16(&key, 1);
        key_text(&key, slice_of(text));
        assert_true(store_delete(txn, STORE_CUSTOMER, key_slice(&key)));
        if (i % 50 == 0)
            assert_true(store_delete(txn, STORE_LOOK, key_slice(&key)));
    }
    store_compaction_note(txn, 77);
    store_compaction_note(txn, 88);
    commit(&txn);
}

static void test_store__a_copy_is_the_same_and_whole(void **state)
{
    (void)state;
    struct error err = {0};
    char to[FOLDER_MAX + 16];
    uint64_t bytes = 0;
    snprintf(to, sizeof to, "%s/copy", folder);
    struct store *store = open_store(0);
    put_rows(store, 0, 3000, "kept");
    put_rows(store, 3000, 6000, "gone");
    delete_rows(store, 3000, 6000, "gone");
    uint64_t expected = digest(store);
    assert_true(store_copy(store, to, &bytes, &err));
    assert_true(bytes > 3000 * 10);
    assert_false(store_copy(store, to, &bytes, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    error_clear(&err);
    put_rows(store, 6000, 6001, "later");
    store_close(&store);
    store = store_open(to, 0, &err);
    assert_string_equal(err.message, "");
    assert_true(digest(store) == expected);
    put_rows(store, 6000, 6001, "later");
    uint64_t later = digest(store);
    store_close(&store);
    store = open_store(0);
    assert_true(digest(store) == later);
    store_close(&store);
}

static void test_store__a_damaged_one_is_not_copied(void **state)
{
    (void)state;
    struct error err = {0};
    char to[FOLDER_MAX + 16];
    uint64_t bytes = 0;
    snprintf(to, sizeof to, "%s/copy", folder);
    struct store *store = open_store(0);
    put_rows(store, 0, 1000, "a row of many");
    store_close(&store);
    assert_true(flip("a row of many 777") > 0);
    store = open_store(0);
    assert_false(store_copy(store, to, &bytes, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    assert_int_equal(access(to, F_OK), -1);
    store_close(&store);
}

static void test_store__compaction_leaves_nothing_of_what_was_deleted(void **state)
{
    (void)state;
    struct error err = {0};
    uint64_t before = 0, after = 0;
    int64_t since = 0;
    struct store *store = open_store(0);
    put_rows(store, 0, 3000, "kept");
    put_rows(store, 3000, 6000, "somebody");
    assert_true(store_compaction_due(store, &since, &err) && since == 0);
    delete_rows(store, 3000, 6000, "somebody");
    assert_true(store_compaction_due(store, &since, &err) && since == 77);
    uint64_t expected = digest(store);
    assert_true(flip("somebody") > 0); /* free pages have it, and nobody reads those */
    assert_true(digest(store) == expected);
    assert_true(store_compact(store, &before, &after, &err));
    assert_true(after < before);
    assert_int_equal(flip("omebody"), 0);
    assert_true(store_compaction_due(store, &since, &err) && since == 0);
    put_rows(store, 0, 3000, "kept");
    assert_true(put_one(store, "more", &err));
    uint64_t then = digest(store);
    store_close(&store);
    store = open_store(0);
    assert_true(digest(store) == then);
    assert_true(store_compact(store, &before, &after, &err));
    assert_true(digest(store) == then);
    store_close(&store);
}

struct reading {
    struct store *store;
    atomic_bool over;
    atomic_int reads;
};

/* What is read at any time is the whole of some transaction: 300 rows each. */
static void *read_on(void *data)
{
    struct reading *reading = data;
    while (!atomic_load(&reading->over)) {
        struct slice key, value;
        struct error err = {0};
        int rows = 0;
        struct store_txn *txn = store_read(reading->store, &err);
        if (!txn)
            error_fatal("%s", err.message);
        struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, NO_SLICE, NO_SLICE);
        while (store_next(cursor, &key, &value))
            rows++;
        store_walk_end(&cursor);
        if (!store_healthy(txn, &err) || rows % 300)
            error_fatal("%d rows: %s", rows, err.message);
        store_abort(&txn);
        atomic_fetch_add(&reading->reads, 1);
    }
    return NULL;
}

static void *compact_on(void *data)
{
    struct reading *reading = data;
    while (!atomic_load(&reading->over)) {
        uint64_t before, after;
        struct error err = {0};
        if (!store_compact(reading->store, &before, &after, &err) && err.code != ERROR_BUSY)
            error_fatal("%s", err.message);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* locks are not fair */
    }
    return NULL;
}

static void test_store__compacts_while_others_read_and_write(void **state)
{
    (void)state;
    struct reading reading = {.store = open_store(0)};
    pthread_t readers[2], compactor;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &reading), 0);
    assert_int_equal(pthread_create(&compactor, NULL, compact_on, &reading), 0);
    for (uint32_t i = 0; i < 40; i++)
        put_rows(reading.store, i * 300, i * 300 + 300, "row");
    while (atomic_load(&reading.reads) < 20)
        sched_yield();
    atomic_store(&reading.over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    pthread_join(compactor, NULL);
    struct store_txn *txn = begin(reading.store, false);
    assert_int_equal(store_count(txn, STORE_CUSTOMER), 40 * 300);
    store_abort(&txn);
    store_close(&reading.store);
}

/* Tells and waits, byte by byte, with another process. */
static void meet(int to, int from)
{
    char byte = 0;
    if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1)
        _exit(9);
}

static void read_beside(int to, int from)
{
    struct error err = {0};
    struct store *reader = store_open_reader(folder, &err);
    if (!reader || !holds(reader, "a", "1") || holds(reader, "b", "1"))
        _exit(1);
    meet(to, from);
    if (!holds(reader, "b", "1"))
        _exit(2);
    meet(to, from);
    store_close(&reader);
    _exit(0);
}

static void test_store__another_process_reads_beside(void **state)
{
    (void)state;
    struct error err = {0};
    uint64_t before, after;
    int there[2], back[2], status = 1;
    assert_null(store_open_reader(folder, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    error_clear(&err);
    assert_int_equal(pipe(there) | pipe(back), 0);
    pid_t child = fork(); /* before LMDB is open, which may not be used on both sides */
    if (child == 0) {
        char byte;
        if (read(there[0], &byte, 1) != 1)
            _exit(8);
        read_beside(back[1], there[0]);
    }
    struct store *store = open_store(0);
    assert_true(put_one(store, "a", &err));
    meet(there[1], back[0]);
    assert_true(put_one(store, "b", &err));
    assert_false(store_compact(store, &before, &after, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    error_clear(&err);
    meet(there[1], back[0]);
    assert_true(write(there[1], "", 1) == 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(store_compact(store, &before, &after, &err));
    assert_true(holds(store, "b", "1"));
    store_close(&store);
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
}

/* Another process opens the store and holds a snapshot while this one goes on writing. */
static void hold_beside(int to, int from)
{
    struct error err = {0};
    char byte;
    if (read(from, &byte, 1) != 1)
        _exit(8);
    struct store *reader = store_open_reader(folder, &err);
    struct store_txn *txn = reader ? store_read(reader, &err) : NULL;
    if (!txn)
        _exit(1);
    uint64_t before = digest_of(txn);
    meet(to, from);
    _exit(digest_of(txn) == before && store_healthy(txn, &err) ? 0 : 2);
}

static void test_store__snapshots_of_two_processes_stay_as_they_are(void **state)
{
    (void)state;
    enum { ROWS = 2000, ROUNDS = 8 };
    int there[2], back[2], status = 1;
    char byte = 0;
    assert_int_equal(pipe(there) | pipe(back), 0);
    pid_t child = fork();
    if (child == 0)
        hold_beside(back[1], there[0]);
    struct store *store = open_store(0);
    put_rows(store, 0, ROWS, "row");
    struct store_txn *txn = begin(store, false);
    uint64_t before = digest_of(txn);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        if (i == 2)
            meet(there[1], back[0]); /* its snapshot is a later one */
        put_rows(store, i * ROWS, (i + 1) * ROWS, "row");
        delete_rows(store, (i - 1) * ROWS, i * ROWS, "row");
    }
    assert_true(write(there[1], &byte, 1) == 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(digest_of(txn) == before);
    assert_true(store_healthy(txn, &(struct error){0}));
    store_abort(&txn);
    store_close(&store);
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
}

static void test_store__half_a_copy_is_cleared_away(void **state)
{
    (void)state;
    char path[FOLDER_MAX + 16];
    struct store *store = open_store(0);
    store_close(&store);
    snprintf(path, sizeof path, "%s/" STORE_PART, folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    store = open_store(0);
    assert_int_equal(access(path, F_OK), -1);
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
        each(test_store__refuses_a_newer_schema),
        each(test_store__refuses_an_older_schema),
        each(test_store__without_its_schema_is_damaged),
        each(test_store__a_changed_value_is_told_with_its_table),
        each(test_store__a_repair_walks_over_damage),
        each(test_store__a_row_that_moved_away_is_missed),
        each(test_store__sums_are_made_anew_after_a_repair),
        each(test_store__sums_follow_every_change),
        cmocka_unit_test(test_store__checksums_are_crc_32c_both_ways),
        each(test_store__a_file_that_is_no_store_is_named_so),
        each(test_store__a_full_map_refuses_writes_and_goes_on_reading),
        each(test_store__the_first_error_sticks),
        each(test_store__takes_writes_again_when_the_disk_does),
        each(test_store__a_copy_is_the_same_and_whole),
        each(test_store__a_damaged_one_is_not_copied),
        each(test_store__compaction_leaves_nothing_of_what_was_deleted),
        each(test_store__compacts_while_others_read_and_write),
        each(test_store__another_process_reads_beside),
        each(test_store__snapshots_of_two_processes_stay_as_they_are),
        each(test_store__half_a_copy_is_cleared_away),
        each(test_store__walks_a_prefix_in_order_of_numbers),
        cmocka_unit_test(test_key__reads_back_what_was_written),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
