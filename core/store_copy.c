/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logical copies: every row of a snapshot, verified, in order of its key into a fresh file. What
 * was deleted is not in it, neither as free pages nor as bytes between rows, and its pages are
 * full.
 *
 * A copy is written beside its place under another name, synced, and renamed: it is there whole or
 * not at all, and what a crash left is removed by the next who opens the folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store_parts.h"

enum { COPY_COMMIT = 32 << 20 }; /* bytes of rows in one transaction: bounds the memory */

/* --- a file under way ----------------------------------------------------------------------- */

static int copier_begin(struct copier *copier)
{
    int code = mdb_txn_begin(copier->env, NULL, 0, &copier->txn);
    for (int i = 0; i < STORE_TABLES; i++)
        copier->cursors[i] = NULL;
    copier->pending = 0;
    return code;
}

static int copier_make(struct copier *copier, const char *path, size_t map)
{
    int code = mdb_env_create(&copier->env);
    if (code == 0)
        code = mdb_env_set_maxdbs(copier->env, STORE_TABLES);
    if (code == 0)
        code = mdb_env_set_mapsize(copier->env, map);
    if (code == 0)
        code = mdb_env_open(copier->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
    if (code == 0)
        code = copier_begin(copier);
    for (int i = 0; i < STORE_TABLES && code == 0; i++)
        code = mdb_dbi_open(copier->txn, store_table_name((enum store_table)i), MDB_CREATE,
                            &copier->tables[i]);
    return code;
}

int copier_open(struct copier *copier, const char *path, size_t map)
{
    *copier = (struct copier){.path = path};
    unlink(path);
    return copier_make(copier, path, map);
}

int copier_put(struct copier *copier, enum store_table table, MDB_val key, MDB_val value)
{
    int code = 0;
    if (copier->pending > COPY_COMMIT) {
        code = mdb_txn_commit(copier->txn);
        copier->txn = NULL;
        if (code == 0)
            code = copier_begin(copier);
    }
    if (code == 0 && !copier->cursors[table])
        code = mdb_cursor_open(copier->txn, copier->tables[table], &copier->cursors[table]);
    if (code == 0)
        code = mdb_cursor_put(copier->cursors[table], &key, &value,
                              table == STORE_META ? MDB_NOOVERWRITE : MDB_APPEND);
    copier->pending += key.mv_size + value.mv_size;
    copier->bytes += key.mv_size + value.mv_size;
    return code;
}

/* The head, which ties META to the number of the last transaction. */
static int put_head(struct copier *copier, const struct store_sum *meta)
{
    struct store_key value = {0};
    MDB_val name = {strlen(sum_head_name), (void *)(uintptr_t)sum_head_name};
    key_u64(&value, mdb_txn_id(copier->txn));
    key_u64(&value, meta->rows);
    key_u32(&value, meta->mix);
    key_u32(&value, row_sum(STORE_META, name, value.bytes, value.len));
    MDB_val bytes = {value.len, value.bytes};
    return mdb_put(copier->txn, copier->tables[STORE_META], &name, &bytes, 0);
}

int copier_finish(struct copier *copier, const struct store_sum *meta)
{
    int code = put_head(copier, meta);
    if (code == 0) {
        code = mdb_txn_commit(copier->txn);
        copier->txn = NULL;
    }
    return code ? code : mdb_env_sync(copier->env, 1);
}

void copier_close(struct copier *copier)
{
    if (copier->txn)
        mdb_txn_abort(copier->txn);
    if (copier->env)
        mdb_env_close(copier->env);
    *copier = (struct copier){0};
}

/* --- copies of a snapshot ------------------------------------------------------------------- */

/* The copy could not be written, which is told of its own place: disks may be two. */
static bool copier_fail(const struct copier *copier, int code, const char *what, struct error *err)
{
    if (err->code == ERROR_NONE) {
        store_fail(code, what, err);
        error_prefix(err, copier->path);
    }
    return false;
}

static bool copy_table(struct store_txn *txn, struct copier *copier, enum store_table table,
                       struct error *err)
{
    struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
    struct slice key, value;
    int code = 0;
    while (code == 0 && store_next(cursor, &key, &value)) {
        MDB_val name = {key.len, (void *)(uintptr_t)key.ptr};
        MDB_val stored = {value.len + ROW_SUM, (void *)(uintptr_t)value.ptr};
        if (!sum_is_head(table, name))
            code = copier_put(copier, table, name, stored);
    }
    store_walk_end(&cursor);
    return (code == 0 || copier_fail(copier, code, "cannot be written", err)) &&
           store_healthy(txn, err);
}

static bool copy_rows(struct store_txn *txn, struct copier *copier, struct error *err)
{
    bool ok = true;
    for (int table = 0; ok && table < STORE_TABLES; table++)
        ok = copy_table(txn, copier, (enum store_table)table, err);
    const struct store_sum *meta = ok ? sum_at(txn, sum_id(STORE_META, NULL, 0)) : NULL;
    if (!meta)
        return ok && store_healthy(txn, err);
    int code = copier_finish(copier, meta);
    return code == 0 || copier_fail(copier, code, "cannot be written", err);
}

/* A snapshot into a file that is then on disk; on failure it is gone. A copy of full pages is not
 * larger than what it is made from. */
static bool copy_to(struct store *store, const char *path, uint64_t *bytes, struct error *err)
{
    struct copier copier = {0};
    struct store_txn *txn = store_read(store, err);
    bool ok = txn != NULL;
    if (ok) {
        int code = copier_open(&copier, path, store_map_for(txn->used));
        ok = (code == 0 || copier_fail(&copier, code, "cannot be made", err)) &&
             copy_rows(txn, &copier, err);
    }
    if (!ok)
        store_tell_place(store, err);
    *bytes = copier.bytes;
    copier_close(&copier);
    store_abort(&txn);
    if (!ok)
        unlink(path);
    return ok;
}

bool store_publish(const char *from, const char *to, const char *folder, struct error *err)
{
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = directory >= 0 && rename(from, to) == 0 && fsync(directory) == 0;
    if (!ok)
        error_set_errno(err, ERROR_IO, to, "cannot be put in its place");
    if (directory >= 0)
        close(directory);
    return ok;
}

static bool is_empty(const char *folder)
{
    DIR *list = opendir(folder);
    bool empty = list != NULL;
    for (struct dirent *entry; empty && (entry = readdir(list));)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (list)
        closedir(list);
    return empty;
}

/* Makes the folder's own entry durable too. */
static bool sync_parent(const char *folder, struct error *err)
{
    char path[PATH_LENGTH];
    snprintf(path, sizeof path, "%s/..", folder);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = directory >= 0 && fsync(directory) == 0;
    if (!ok)
        error_set_errno(err, ERROR_IO, path, "cannot be written to");
    if (directory >= 0)
        close(directory);
    return ok;
}

bool store_copy(struct store *store, const char *folder, uint64_t *bytes, struct error *err)
{
    char part[PATH_LENGTH], whole[PATH_LENGTH];
    if (strlen(folder) > PATH_LENGTH - 64)
        return error_set(err, ERROR_INVALID, folder, "the path is too long");
    bool made = mkdir(folder, 0700) == 0;
    if (!made && errno != EEXIST)
        return error_set_errno(err, ERROR_IO, folder, "cannot make the folder");
    if (!made && !is_empty(folder))
        return error_set(err, ERROR_CONFLICT, folder, "is there already, and not an empty folder");
    snprintf(part, sizeof part, "%s/" STORE_PART, folder);
    snprintf(whole, sizeof whole, "%s/" STORE_FILE, folder);
    bool ok = copy_to(store, part, bytes, err) && store_publish(part, whole, folder, err) &&
              sync_parent(folder, err);
    if (!ok && made)
        rmdir(folder);
    return ok;
}

/* --- a fresh store -------------------------------------------------------------------------- */

static int put_schema(struct copier *copier)
{
    struct store_key value = {0};
    MDB_val name = {6, (void *)(uintptr_t) "schema"};
    key_u32(&value, STORE_SCHEMA);
    uint32_t sum = row_sum(STORE_META, name, value.bytes, value.len);
    key_u32(&value, sum);
    int code = copier_put(copier, STORE_META, name, (MDB_val){value.len, value.bytes});
    return code ? code : copier_finish(copier, &(struct store_sum){.rows = 1, .mix = sum});
}

bool store_make(struct store *store, struct error *err)
{
    struct copier copier = {0};
    char part[PATH_LENGTH], whole[PATH_LENGTH];
    snprintf(part, sizeof part, "%s/" STORE_PART, store->folder);
    snprintf(whole, sizeof whole, "%s/" STORE_FILE, store->folder);
    int code = copier_open(&copier, part, store_map_for(0));
    if (code == 0)
        code = put_schema(&copier);
    copier_close(&copier);
    return (code == 0 || store_fail(code, "cannot make the store", err)) &&
           store_publish(part, whole, store->folder, err) && sync_parent(store->folder, err);
}

/* --- compaction ----------------------------------------------------------------------------- */

static const char due_name[] = "compaction-due";

void store_compaction_note(struct store_txn *txn, int64_t now)
{
    struct store_key value = {0};
    key_u64(&value, (uint64_t)now);
    store_put_new(txn, STORE_META, slice_of(due_name), key_slice(&value));
}

bool store_compaction_due(struct store *store, int64_t *since, struct error *err)
{
    struct store_txn *txn = store_read(store, err);
    struct slice value;
    uint64_t at = 0;
    if (txn && store_get(txn, STORE_META, slice_of(due_name), &value))
        unkey_u64(&value, &at);
    bool ok = txn && store_healthy(txn, err);
    store_abort(&txn);
    *since = (int64_t)at;
    return ok;
}

/* The note goes in the new file: a crash before then compacts once more. */
static bool forget_due(struct store *store, struct error *err)
{
    struct store_txn *txn = store_write(store, err);
    if (!txn)
        return false;
    store_delete(txn, STORE_META, slice_of(due_name));
    return store_commit(&txn, err);
}

/* The short moment in which nobody is inside: neither a transaction of ours, nor another process
 * that reads, which would share LMDB's lock file with two different stores. */
static bool swap(struct store *store, const char *part, struct error *err)
{
    char whole[PATH_LENGTH];
    snprintf(whole, sizeof whole, "%s/" STORE_FILE, store->folder);
    if (!store_readers_out(store))
        return error_set(err, ERROR_BUSY, store->folder, "is being read by another process");
    bool ok = store_shut(store) || error_set(err, ERROR_BUSY, store->folder,
                                             "reads never paused; it will be tried again");
    if (ok) {
        store_close_env(store);
        ok = store_publish(part, whole, store->folder, err);
        ok = store_reopen(store, err) && ok;
        store_unshut(store);
    }
    store_readers_in(store);
    return ok;
}

/* The pages that hold rows: without those that are free. */
static int count_pages(struct store_txn *txn, uint64_t *pages)
{
    MDB_stat stat = {0};
    int code = 0;
    for (int i = 0; code == 0 && i < STORE_TABLES; i++) {
        code = mdb_stat(txn->txn, txn->store->tables[i], &stat);
        *pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    return code;
}

static bool size_of_rows(struct store *store, uint64_t *bytes, struct error *err)
{
    struct store_txn *txn = store_read(store, err);
    int code;
    if (!txn)
        return false;
    *bytes = 0;
    GUARDED(code, count_pages(txn, bytes));
    *bytes *= store->page;
    store_abort(&txn);
    return code == 0 || store_fail(code, "cannot read the store", err);
}

/* What cannot be finished is not begun: it would fill the disk for all who write there, and a
 * server tries again each minute. The copy has fewer pages at most. */
static bool check_room(struct store *store, struct error *err)
{
    uint64_t used, left = store_disk_free(store);
    if (!size_of_rows(store, &used, err))
        return false;
    return left == 0 || left >= used || /* 0: perhaps it cannot be told */
           error_set(err, ERROR_FULL, store->folder,
                     "compacting takes %llu bytes of the disk, which has %llu left",
                     (unsigned long long)used, (unsigned long long)left);
}

bool store_compact(struct store *store, uint64_t *before, uint64_t *after, struct error *err)
{
    char part[PATH_LENGTH];
    uint64_t used, bound, bytes;
    must(!store->reader);
    snprintf(part, sizeof part, "%s/" STORE_PART, store->folder);
    store_size(store, &used, before, &bound);
    pthread_mutex_lock(&store->writing);
    bool ok =
        !atomic_load(&store->broken) || store_fail(STORE_BROKEN, "cannot compact the store", err);
    ok =
        ok && check_room(store, err) && copy_to(store, part, &bytes, err) && swap(store, part, err);
    if (!ok)
        unlink(part);
    pthread_mutex_unlock(&store->writing);
    store_size(store, &used, after, &bound);
    return ok && forget_due(store, err);
}
