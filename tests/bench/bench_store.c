/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What checksums, sums, bounds and the guard cost: the same rows through the store and through bare
 * LMDB, in one run.
 *
 *     bench_store FOLDER [ROWS]      (an empty folder; 1,000,000 rows unless told)
 *
 * Rows are as those of customers: a key of 24 bytes in order, a value of 120. Commits of 10,000
 * rows with fsync. Times are of the thread's processor, so that the disk does not show. */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/store.h"

enum { VALUE = 120, COMMIT = 10000 };
static uint64_t rows = 1000000;
static char value[VALUE];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void show(const char *what, double ours, double bare)
{
    printf("%-28s %8.0f ns a row, bare LMDB %8.0f, ratio %.2f\n", what, ours / (double)rows,
           bare / (double)rows, ours / bare);
}

static struct store_key key_at(uint64_t i)
{
    struct store_key key = {0};
    key_u64(&key, i / 4);
    key_u64(&key, i);
    key_u64(&key, i * UINT64_C(0x9e3779b97f4a7c15));
    return key;
}

/* Every row once, in no order. */
static uint64_t shuffled(uint64_t i)
{
    return i * UINT64_C(1000003) % rows;
}

static double ours_put(struct store *store, bool fresh, bool ordered)
{
    struct error err = {0};
    double start = now();
    for (uint64_t i = 0; i < rows;) {
        struct store_txn *txn = store_write(store, &err);
        for (uint64_t end = i + COMMIT; i < end && i < rows; i++) {
            struct store_key key = key_at(ordered ? i : shuffled(i));
            value[0]++;
            if (fresh)
                store_put_new(txn, STORE_CUSTOMER, key_slice(&key), (struct slice){value, VALUE});
            else
                store_put(txn, STORE_CUSTOMER, key_slice(&key), (struct slice){value, VALUE});
        }
        if (!store_commit(&txn, &err))
            error_fatal("%s", err.message);
    }
    return now() - start;
}

static double bare_put(MDB_env *env, MDB_dbi dbi, bool fresh, bool ordered)
{
    double start = now();
    for (uint64_t i = 0; i < rows;) {
        MDB_txn *txn;
        mdb_txn_begin(env, NULL, 0, &txn);
        for (uint64_t end = i + COMMIT; i < end && i < rows; i++) {
            struct store_key key = key_at(ordered ? i : shuffled(i));
            MDB_val k = {key.len, key.bytes}, v = {VALUE, value};
            value[0]++;
            mdb_put(txn, dbi, &k, &v, fresh ? MDB_NOOVERWRITE : 0);
        }
        if (mdb_txn_commit(txn))
            error_fatal("bare LMDB does not commit");
    }
    return now() - start;
}

static double ours_get(struct store *store)
{
    struct error err = {0};
    struct slice found;
    double start = now();
    struct store_txn *txn = store_read(store, &err);
    for (uint64_t i = 0; i < rows; i++) {
        struct store_key key = key_at(shuffled(i));
        must(store_get(txn, STORE_CUSTOMER, key_slice(&key), &found));
    }
    store_abort(&txn);
    return now() - start;
}

static double bare_get(MDB_env *env, MDB_dbi dbi)
{
    MDB_txn *txn;
    double start = now();
    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    for (uint64_t i = 0; i < rows; i++) {
        struct store_key key = key_at(shuffled(i));
        MDB_val k = {key.len, key.bytes}, v;
        must(mdb_get(txn, dbi, &k, &v) == 0);
    }
    mdb_txn_abort(txn);
    return now() - start;
}

static double ours_walk(struct store *store)
{
    struct error err = {0};
    struct slice key, found;
    uint64_t count = 0;
    double start = now();
    struct store_txn *txn = store_read(store, &err);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, NO_SLICE, NO_SLICE);
    while (store_next(cursor, &key, &found))
        count++;
    store_walk_end(&cursor);
    must(count == rows && store_healthy(txn, &err));
    store_abort(&txn);
    return now() - start;
}

static double bare_walk(MDB_env *env, MDB_dbi dbi)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val k, v;
    uint64_t count = 0;
    double start = now();
    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    mdb_cursor_open(txn, dbi, &cursor);
    while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
        count++;
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    must(count == rows);
    return now() - start;
}

/* Empty transactions: the gate, the guard, and what LMDB does. */
static void show_begin(struct store *store, MDB_env *env)
{
    struct error err = {0};
    double start = now();
    for (uint64_t i = 0; i < rows; i++) {
        struct store_txn *txn = store_read(store, &err);
        store_abort(&txn);
    }
    double ours = now() - start;
    start = now();
    for (uint64_t i = 0; i < rows; i++) {
        MDB_txn *txn;
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
        mdb_txn_abort(txn);
    }
    show("begin and end a read", ours, now() - start);
}

static MDB_env *open_bare(const char *folder, MDB_dbi *dbi)
{
    MDB_env *env;
    MDB_txn *txn;
    mkdir(folder, 0700);
    mdb_env_create(&env);
    mdb_env_set_maxdbs(env, 1);
    mdb_env_set_mapsize(env, (size_t)1 << 36);
    if (mdb_env_open(env, folder, MDB_NOTLS | MDB_NORDAHEAD, 0600))
        error_fatal("%s cannot be opened", folder);
    mdb_txn_begin(env, NULL, 0, &txn);
    mdb_dbi_open(txn, "customer", MDB_CREATE, dbi);
    mdb_txn_commit(txn);
    return env;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    char folder[512];
    MDB_dbi dbi;
    if (argc < 2)
        error_fatal("usage: bench_store FOLDER [ROWS]");
    if (argc > 2)
        rows = strtoull(argv[2], NULL, 10);
    snprintf(folder, sizeof folder, "%s/ours", argv[1]);
    struct store *store = store_open(folder, 0, &err);
    if (!store)
        error_fatal("%s", err.message);
    snprintf(folder, sizeof folder, "%s/bare", argv[1]);
    MDB_env *env = open_bare(folder, &dbi);
    double ours = ours_put(store, true, true);
    show("new rows in order", ours, bare_put(env, dbi, true, true));
    ours = ours_put(store, false, true);
    show("replaced in order", ours, bare_put(env, dbi, false, true));
    ours = ours_put(store, false, false);
    show("replaced in no order", ours, bare_put(env, dbi, false, false));
    ours = ours_get(store);
    show("got in no order", ours, bare_get(env, dbi));
    ours = ours_walk(store);
    show("walked over", ours, bare_walk(env, dbi));
    show_begin(store, env);
    mdb_env_close(env);
    store_close(&store);
    return 0;
}
