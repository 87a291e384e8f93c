/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From schema 1 to 2: the same rows, with checksums and sums. The new store is made in a folder of
 * its own below the old one, opened and verified there, and then its file takes the old one's place
 * by a rename: a crash leaves the store as it was. The old file stays under another name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store_parts.h"

struct upgrade {
    struct store *store; /* of schema 1: only its environment is open */
    MDB_txn *txn;
    struct copier copier;
    struct store_sum *sums; /* of all groups, in order */
    size_t count, room;
    struct store_sum meta; /* of META's rows as they are written */
    char *scratch;
    size_t scratch_size;
};

static void count_row(struct upgrade *upgrade, enum store_table table, MDB_val key, uint32_t sum)
{
    uint64_t id = sum_id(table, key.mv_data, key.mv_size);
    if (table == STORE_META) {
        upgrade->meta.rows++;
        upgrade->meta.mix ^= sum;
        return;
    }
    if (upgrade->count == 0 || upgrade->sums[upgrade->count - 1].id != id) {
        if (upgrade->count == upgrade->room) {
            upgrade->room = upgrade->room ? 2 * upgrade->room : 64;
            upgrade->sums = xrealloc(upgrade->sums, upgrade->room * sizeof *upgrade->sums);
        }
        upgrade->sums[upgrade->count++] = (struct store_sum){.id = id};
    }
    upgrade->sums[upgrade->count - 1].rows++;
    upgrade->sums[upgrade->count - 1].mix ^= sum;
}

static int put(struct upgrade *upgrade, enum store_table table, MDB_val key, MDB_val value)
{
    uint32_t sum = row_sum(table, key, value.mv_data, value.mv_size);
    struct store_key end = {0};
    if (value.mv_size + ROW_SUM > upgrade->scratch_size) {
        upgrade->scratch_size = 2 * (value.mv_size + ROW_SUM);
        upgrade->scratch = xrealloc(upgrade->scratch, upgrade->scratch_size);
    }
    key_u32(&end, sum);
    memcpy(upgrade->scratch, value.mv_data, value.mv_size);
    memcpy(upgrade->scratch + value.mv_size, end.bytes, ROW_SUM);
    count_row(upgrade, table, key, sum);
    return copier_put(&upgrade->copier, table, key,
                      (MDB_val){value.mv_size + ROW_SUM, upgrade->scratch});
}

static int put_key(struct upgrade *upgrade, const char *name, const struct store_key *value)
{
    return put(upgrade, STORE_META, (MDB_val){strlen(name), (void *)(uintptr_t)name},
               (MDB_val){value->len, (void *)(uintptr_t)value->bytes});
}

static int upgrade_table(struct upgrade *upgrade, enum store_table table)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    MDB_dbi dbi;
    int code = mdb_dbi_open(upgrade->txn, store_table_name(table), 0, &dbi);
    if (code == MDB_NOTFOUND)
        return 0;
    if (code == 0)
        code = mdb_cursor_open(upgrade->txn, dbi, &cursor);
    while (code == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct slice name = {key.mv_data, key.mv_size};
        if (table != STORE_META || !slice_is(name, "schema"))
            code = put(upgrade, table, key, value);
    }
    if (cursor)
        mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static int upgrade_rows(struct upgrade *upgrade)
{
    struct store_key schema = {0};
    int code = mdb_txn_begin(upgrade->store->env, NULL, MDB_RDONLY, &upgrade->txn);
    for (int table = STORE_TABLES - 1; table >= 0 && code == 0; table--)
        code = upgrade_table(upgrade, (enum store_table)table);
    key_u32(&schema, STORE_SCHEMA);
    if (code == 0)
        code = put_key(upgrade, "schema", &schema);
    for (size_t i = 0; i < upgrade->count && code == 0; i++) {
        struct store_key name, value;
        sum_row(&upgrade->sums[i], &name, &value);
        code = put(upgrade, STORE_META, (MDB_val){name.len, name.bytes},
                   (MDB_val){value.len, value.bytes});
    }
    return code ? code : copier_finish(&upgrade->copier, &upgrade->meta);
}

static bool write_new(struct store *store, const char *part, uint64_t *bytes, struct error *err)
{
    struct upgrade upgrade = {.store = store};
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    int code;
    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    code = copier_open(&upgrade.copier, part,
                       store_map_for((info.me_last_pgno + 1) * (size_t)stat.ms_psize));
    if (code == 0)
        GUARDED(code, upgrade_rows(&upgrade));
    *bytes = upgrade.copier.bytes;
    copier_close(&upgrade.copier);
    if (upgrade.txn)
        mdb_txn_abort(upgrade.txn);
    free(upgrade.sums);
    free(upgrade.scratch);
    return code == 0 || store_fail(code, "cannot write the new file", err);
}

/* A second name for the old file; one that a crash left is the same file. */
static bool keep_old(const char *whole, const char *old, struct error *err)
{
    struct stat a, b;
    if (link(whole, old) == 0)
        return true;
    if (errno != EEXIST)
        return error_set_errno(err, ERROR_IO, old, "cannot be made");
    return (stat(whole, &a) == 0 && stat(old, &b) == 0 && a.st_ino == b.st_ino) ||
           error_set(err, ERROR_CONFLICT, old, "is there already: move it away first");
}

/* Opens the new store, lets the caller write what the upgrade asks for, and walks over all rows. */
static bool try_new(const char *folder, void (*also)(struct store_txn *txn), struct error *err)
{
    struct store *store = store_open(folder, 0, err);
    struct store_txn *txn = store ? store_write(store, err) : NULL;
    struct slice key, value;
    bool ok = txn != NULL;
    for (int table = 0; ok && table < STORE_TABLES; table++) {
        struct store_cursor *cursor = store_walk(txn, (enum store_table)table, NO_SLICE, NO_SLICE);
        while (store_next(cursor, &key, &value))
            ;
        store_walk_end(&cursor);
        ok = store_healthy(txn, err);
    }
    if (ok && also)
        also(txn);
    ok = txn && store_commit(&txn, err) && ok;
    store_close(&store);
    return ok;
}

enum { PARTS = 4 };

/* The folder of the new store and what a store leaves in one. */
static void clear(const char *folder)
{
    static const char *const names[PARTS] = {STORE_FILE, "lock.mdb", "uplift.lock",
                                             "uplift.readers"};
    char path[PATH_LENGTH];
    for (int i = 0; i < PARTS; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

bool store_upgrade(const char *folder, void (*also)(struct store_txn *txn), uint64_t *bytes,
                   struct error *err)
{
    char inner[PATH_LENGTH - 64], fresh[PATH_LENGTH], whole[PATH_LENGTH], old[PATH_LENGTH];
    struct store *store = store_open_old(folder, 1, err);
    if (!store)
        return false;
    snprintf(whole, sizeof whole, "%s/" STORE_FILE, folder);
    snprintf(old, sizeof old, "%s/" STORE_FILE ".schema-1", folder);
    snprintf(inner, sizeof inner, "%s/upgrade.new", folder);
    snprintf(fresh, sizeof fresh, "%s/" STORE_FILE, inner);
    clear(inner);
    bool ok = mkdir(inner, 0700) == 0 || error_set_errno(err, ERROR_IO, inner, "cannot be made");
    ok = ok && write_new(store, fresh, bytes, err) && try_new(inner, also, err) &&
         keep_old(whole, old, err) && store_publish(fresh, whole, folder, err);
    clear(inner);
    store_close(&store);
    return ok;
}
