/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store over LMDB: MDB_NOTLS so that a read transaction may move between threads; the folder
 * is locked by flock beside LMDB's own lock, as two writers in one folder must be told apart by a
 * clear message. */
#include "core/store.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { READERS_MAX = 1024 };
static const size_t default_map = (size_t)1 << 40;
static const size_t least_map = (size_t)1 << 30;

struct store {
    MDB_env *env; /* set at open */
    MDB_dbi tables[STORE_TABLES];
    int lock_file;
};

struct store_txn {
    struct store *store;
    MDB_txn *txn;
    bool writes;
    int failed; /* LMDB's code of the first failure */
};

struct store_cursor {
    struct store_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    bool fresh;
    struct store_key prefix;
};

static const char *const table_names[STORE_TABLES] = {
#define TABLE(name, disk) disk,
#include "core/store.def"
#undef TABLE
};

/* LMDB's codes become ours here and nowhere else. */
static bool fail(int code, const char *what, struct error *err)
{
    switch (code) {
    case MDB_MAP_FULL:
        return error_set(err, ERROR_FULL, NULL, "%s: the store has reached its bound", what);
    case ENOSPC:
    case EDQUOT:
        return error_set(err, ERROR_FULL, NULL, "%s: no space left on the disk", what);
    case MDB_READERS_FULL:
    case EMFILE:
    case ENFILE:
        return error_set(err, ERROR_BUSY, NULL, "%s: too many readers", what);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PANIC:
    case MDB_INCOMPATIBLE:
        return error_set(err, ERROR_CORRUPT, NULL, "%s: %s", what, mdb_strerror(code));
    default:
        return error_set(err, ERROR_IO, NULL, "%s: %s", what, mdb_strerror(code));
    }
}

static bool lock_folder(struct store *store, const char *folder, struct error *err)
{
    char path[4096];
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return error_set_errno(err, ERROR_IO, folder, "cannot make the folder");
    if ((size_t)snprintf(path, sizeof path, "%s/uplift.lock", folder) >= sizeof path)
        return error_set(err, ERROR_INVALID, folder, "the path is too long");
    store->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_file < 0)
        return error_set_errno(err, ERROR_IO, folder, "cannot be written to");
    if (flock(store->lock_file, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return error_set(err, ERROR_BUSY, folder, "is in use by another process");
    return error_set_errno(err, ERROR_IO, folder, "cannot be locked");
}

static int try_env(struct store *store, const char *folder, size_t map)
{
    int code = mdb_env_create(&store->env);
    if (code == 0)
        code = mdb_env_set_maxdbs(store->env, STORE_TABLES);
    if (code == 0)
        code = mdb_env_set_maxreaders(store->env, READERS_MAX);
    if (code == 0)
        code = mdb_env_set_mapsize(store->env, map);
    if (code == 0)
        code = mdb_env_open(store->env, folder, MDB_NOTLS | MDB_NORDAHEAD, 0600);
    return code;
}

/* Addresses may be scarcer than the default asks for (ulimit -v, ThreadSanitizer): it is tried in
 * quarters then, which bounds the store earlier. An environment that failed to open is of no use.
 */
static bool open_env(struct store *store, const char *folder, size_t map, struct error *err)
{
    size_t size = map ? map : default_map;
    int code = try_env(store, folder, size);
    while (code == ENOMEM && !map && size > least_map) {
        mdb_env_close(store->env);
        store->env = NULL;
        size /= 4;
        code = try_env(store, folder, size);
    }
    if (code == 0)
        mdb_reader_check(store->env, NULL);
    return code == 0 || fail(code, "cannot open the store", err);
}

static bool open_tables(struct store *store, struct error *err)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    for (int i = 0; i < STORE_TABLES && code == 0; i++)
        code = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &store->tables[i]);
    if (code == 0)
        code = mdb_txn_commit(txn);
    else if (txn)
        mdb_txn_abort(txn);
    return code == 0 || fail(code, "cannot open the tables", err);
}

/* A folder written by another schema is refused: its keys would be read wrongly. */
static bool check_schema(struct store *store, struct error *err)
{
    struct store_txn *txn = store_write(store, err);
    if (!txn)
        return false;
    struct slice name = slice_of("schema"), found;
    struct store_key version = {0};
    key_u32(&version, STORE_SCHEMA);
    bool there = store_get(txn, STORE_META, name, &found);
    if (there && !slice_equal(found, key_slice(&version))) {
        store_abort(&txn);
        return error_set(err, ERROR_CORRUPT, NULL,
                         "the store was written by another version of uplift");
    }
    if (!there)
        store_put(txn, STORE_META, name, key_slice(&version));
    return store_commit(&txn, err);
}

struct store *store_open(const char *folder, size_t map_bytes, struct error *err)
{
    struct store *store = xcalloc(1, sizeof *store);
    store->lock_file = -1;
    if (!lock_folder(store, folder, err) || !open_env(store, folder, map_bytes, err) ||
        !open_tables(store, err) || !check_schema(store, err))
        store_close(&store);
    return store;
}

void store_close(struct store **store)
{
    if (!*store)
        return;
    if ((*store)->env)
        mdb_env_close((*store)->env);
    if ((*store)->lock_file >= 0)
        close((*store)->lock_file);
    free(*store);
    *store = NULL;
}

static struct store_txn *begin(struct store *store, unsigned flags, struct error *err)
{
    struct store_txn *txn = xcalloc(1, sizeof *txn);
    *txn = (struct store_txn){.store = store, .writes = !(flags & MDB_RDONLY)};
    int code = mdb_txn_begin(store->env, NULL, flags, &txn->txn);
    if (code == MDB_READERS_FULL) {
        mdb_reader_check(store->env, NULL);
        code = mdb_txn_begin(store->env, NULL, flags, &txn->txn);
    }
    if (code == 0)
        return txn;
    free(txn);
    fail(code, "cannot begin a transaction", err);
    return NULL;
}

struct store_txn *store_read(struct store *store, struct error *err)
{
    return begin(store, MDB_RDONLY, err);
}

struct store_txn *store_write(struct store *store, struct error *err)
{
    return begin(store, 0, err);
}

bool store_healthy(const struct store_txn *txn, struct error *err)
{
    return txn->failed == 0 || fail(txn->failed, "the store", err);
}

bool store_commit(struct store_txn **txn, struct error *err)
{
    int code = (*txn)->failed;
    if (code == 0) {
        code = mdb_txn_commit((*txn)->txn);
        (*txn)->txn = NULL;
    }
    store_abort(txn);
    return code == 0 || fail(code, "cannot write to the store", err);
}

void store_abort(struct store_txn **txn)
{
    if (!*txn)
        return;
    if ((*txn)->txn)
        mdb_txn_abort((*txn)->txn);
    free(*txn);
    *txn = NULL;
}

static MDB_val val(struct slice slice)
{
    return (MDB_val){slice.len, (void *)(uintptr_t)slice.ptr};
}

static struct slice slice(MDB_val value)
{
    return (struct slice){value.mv_data, value.mv_size};
}

/* Keeps the first failure; true where the call went well. */
static bool note(struct store_txn *txn, int code, int harmless)
{
    if (code != 0 && code != harmless && txn->failed == 0)
        txn->failed = code;
    return code == 0;
}

bool store_get(struct store_txn *txn, enum store_table table, struct slice key, struct slice *value)
{
    MDB_val k = val(key), v;
    if (txn->failed ||
        !note(txn, mdb_get(txn->txn, txn->store->tables[table], &k, &v), MDB_NOTFOUND))
        return false;
    if (value)
        *value = slice(v);
    return true;
}

static bool put(struct store_txn *txn, enum store_table table, struct slice key, struct slice value,
                unsigned flags)
{
    must(txn->writes);
    if (txn->failed)
        return false;
    MDB_val k = val(key), v = val(value);
    return note(txn, mdb_put(txn->txn, txn->store->tables[table], &k, &v, flags), MDB_KEYEXIST);
}

void store_put(struct store_txn *txn, enum store_table table, struct slice key, struct slice value)
{
    put(txn, table, key, value, 0);
}

bool store_put_new(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice value)
{
    return put(txn, table, key, value, MDB_NOOVERWRITE);
}

bool store_delete(struct store_txn *txn, enum store_table table, struct slice key)
{
    must(txn->writes);
    MDB_val k = val(key);
    return !txn->failed &&
           note(txn, mdb_del(txn->txn, txn->store->tables[table], &k, NULL), MDB_NOTFOUND);
}

uint64_t store_count(struct store_txn *txn, enum store_table table)
{
    MDB_stat stat = {0};
    note(txn, mdb_stat(txn->txn, txn->store->tables[table], &stat), 0);
    return stat.ms_entries;
}

struct store_cursor *store_walk(struct store_txn *txn, enum store_table table, struct slice prefix,
                                struct slice from)
{
    struct store_cursor *cursor = xcalloc(1, sizeof *cursor);
    cursor->txn = txn;
    cursor->fresh = true;
    key_bytes(&cursor->prefix, prefix);
    if (txn->failed ||
        !note(txn, mdb_cursor_open(txn->txn, txn->store->tables[table], &cursor->cursor), 0))
        return cursor;
    cursor->key = from.len ? val(from) : val(key_slice(&cursor->prefix));
    MDB_cursor_op first = cursor->key.mv_size ? MDB_SET_RANGE : MDB_FIRST;
    int code = mdb_cursor_get(cursor->cursor, &cursor->key, &cursor->value, first);
    if (!note(txn, code, MDB_NOTFOUND)) {
        mdb_cursor_close(cursor->cursor);
        cursor->cursor = NULL;
    }
    return cursor;
}

bool store_next(struct store_cursor *cursor, struct slice *key, struct slice *value)
{
    if (!cursor->cursor || cursor->txn->failed)
        return false;
    if (!cursor->fresh &&
        !note(cursor->txn, mdb_cursor_get(cursor->cursor, &cursor->key, &cursor->value, MDB_NEXT),
              MDB_NOTFOUND))
        return false;
    cursor->fresh = false;
    struct slice found = slice(cursor->key), prefix = key_slice(&cursor->prefix);
    if (found.len < prefix.len || memcmp(found.ptr, prefix.ptr, prefix.len) != 0)
        return false;
    *key = found;
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

bool store_last(struct store_txn *txn, enum store_table table, struct slice prefix,
                struct slice *key, struct slice *value)
{
    MDB_cursor *cursor = NULL;
    if (txn->failed || !note(txn, mdb_cursor_open(txn->txn, txn->store->tables[table], &cursor), 0))
        return false;
    struct store_key bound = {0};
    key_bytes(&bound, prefix);
    MDB_val k = {0}, v = {0};
    bool bounded = behind(&bound);
    k = val(key_slice(&bound));
    bool beyond = bounded && note(txn, mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE), MDB_NOTFOUND);
    bool found =
        note(txn, mdb_cursor_get(cursor, &k, &v, beyond ? MDB_PREV : MDB_LAST), MDB_NOTFOUND) &&
        k.mv_size >= prefix.len &&
        (prefix.len == 0 || memcmp(k.mv_data, prefix.ptr, prefix.len) == 0);
    mdb_cursor_close(cursor);
    if (!found)
        return false;
    *key = slice(k);
    *value = slice(v);
    return true;
}

void store_size(struct store *store, uint64_t *used, uint64_t *file)
{
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    struct stat disk = {0};
    int fd = -1;
    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    *used = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
    *file = mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &disk) == 0
                ? (uint64_t)disk.st_blocks * 512
                : 0;
}

uint64_t store_disk_free(struct store *store)
{
    struct statvfs disk;
    return fstatvfs(store->lock_file, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
}

void key_bytes(struct store_key *key, struct slice bytes)
{
    must(bytes.len <= sizeof key->bytes - key->len);
    if (bytes.len)
        memcpy(key->bytes + key->len, bytes.ptr, bytes.len);
    key->len += bytes.len;
}

void key_u8(struct store_key *key, uint8_t value)
{
    key_bytes(key, (struct slice){(const char *)&value, 1});
}

void key_u16(struct store_key *key, uint16_t value)
{
    value = htobe16(value);
    key_bytes(key, (struct slice){(const char *)&value, sizeof value});
}

void key_u32(struct store_key *key, uint32_t value)
{
    value = htobe32(value);
    key_bytes(key, (struct slice){(const char *)&value, sizeof value});
}

void key_u64(struct store_key *key, uint64_t value)
{
    value = htobe64(value);
    key_bytes(key, (struct slice){(const char *)&value, sizeof value});
}

void key_text(struct store_key *key, struct slice text)
{
    must(text.len == 0 || !memchr(text.ptr, 0, text.len));
    key_bytes(key, text);
    key_u8(key, 0);
}

static bool take(struct slice *rest, void *out, size_t size)
{
    if (rest->len < size)
        return false;
    memcpy(out, rest->ptr, size);
    rest->ptr += size;
    rest->len -= size;
    return true;
}

bool unkey_u8(struct slice *rest, uint8_t *value)
{
    return take(rest, value, sizeof *value);
}

bool unkey_u16(struct slice *rest, uint16_t *value)
{
    bool ok = take(rest, value, sizeof *value);
    *value = ok ? be16toh(*value) : 0;
    return ok;
}

bool unkey_u32(struct slice *rest, uint32_t *value)
{
    bool ok = take(rest, value, sizeof *value);
    *value = ok ? be32toh(*value) : 0;
    return ok;
}

bool unkey_u64(struct slice *rest, uint64_t *value)
{
    bool ok = take(rest, value, sizeof *value);
    *value = ok ? be64toh(*value) : 0;
    return ok;
}

bool unkey_text(struct slice *rest, struct slice *text)
{
    const char *end = rest->len ? memchr(rest->ptr, 0, rest->len) : NULL;
    if (!end)
        return false;
    *text = (struct slice){rest->ptr, (size_t)(end - rest->ptr)};
    rest->len -= text->len + 1;
    rest->ptr = end + 1;
    return true;
}
