/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store over LMDB: MDB_NOTLS so that a read transaction may move between threads; the folder
 * is locked by flock beside LMDB's own lock, as two writers in one folder must be told apart by a
 * clear message. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/store_parts.h"

enum { READERS_MAX = 1024, SHUT = -(1 << 30) };
enum { NEARLY_FULL = 1 << 20 };                     /* bytes */
enum { PATIENCE_LEAST = 16, PATIENCE_MOST = 2048 }; /* ms */
static const size_t default_map = (size_t)1 << 40;
static const size_t least_map = (size_t)1 << 30;

static const char *const table_names[STORE_TABLES] = {
#define TABLE(name, disk, group) disk,
#include "core/store.def"
#undef TABLE
};

const char *store_table_name(enum store_table table)
{
    return table_names[table];
}

/* --- errors --------------------------------------------------------------------------------- */

/* The codes of LMDB and of the guard become ours here and nowhere else. */
bool store_fail(int code, const char *what, struct error *err)
{
    switch (code) {
    case MDB_MAP_FULL:
        return error_set(err, ERROR_FULL, NULL, "%s: the store has reached its bound", what);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return error_set(err, ERROR_FULL, NULL, "%s: no space left on the disk", what);
    case MDB_READERS_FULL:
    case EMFILE:
    case ENFILE:
        return error_set(err, ERROR_BUSY, NULL, "%s: too many readers", what);
    case MDB_PANIC:
        return error_set(err, ERROR_IO, NULL, "%s: the disk failed before", what);
    case STORE_BROKEN:
        return error_set(err, ERROR_CORRUPT, NULL,
                         "%s: damage was met while writing; no more writes until uplift is "
                         "started anew",
                         what);
    case STORE_FAULT:
        return error_set(err, ERROR_CORRUPT, NULL, "%s: a page of the file is damaged", what);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PAGE_FULL:
    case MDB_CURSOR_FULL:
    case MDB_NOTFOUND:
    case MDB_KEYEXIST:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return error_set(err, ERROR_CORRUPT, NULL, "%s: %s", what, mdb_strerror(code));
    default:
        return error_set(err, ERROR_IO, NULL, "%s: %s", what, mdb_strerror(code));
    }
}

static bool fail_txn(const struct store_txn *txn, struct error *err)
{
    char what[64];
    snprintf(what, sizeof what, "the store's table '%s'", table_names[txn->where]);
    if (txn->failed == STORE_DAMAGED)
        return error_set(err, ERROR_CORRUPT, NULL, "%s is damaged: %s", what, txn->why);
    return store_fail(txn->failed, what, err);
}

void store_tell_place(const struct store *store, struct error *err)
{
    if (!err->place[0])
        error_prefix(err, store->folder);
}

/* LMDB says EIO of a write that was cut short, which a disk does to the one that fills it. */
static int cause_of(struct store *store, int code)
{
    return code == EIO && store_disk_free(store) < NEARLY_FULL ? ENOSPC : code;
}

bool txn_note(struct store_txn *txn, enum store_table table, int code, int harmless)
{
    if (code == 0)
        return true;
    if (code != harmless && txn->failed == 0) {
        txn->failed = cause_of(txn->store, code);
        txn->where = table;
        if (code == STORE_FAULT && txn->altering)
            atomic_store(&txn->store->broken, true);
    }
    return false;
}

int txn_damaged(struct store_txn *txn, const char *why)
{
    if (!txn->failed)
        txn->why = why;
    return STORE_DAMAGED;
}

bool txn_holds(const struct store_txn *txn, const void *bytes, size_t size)
{
    const struct store *store = txn->store;
    uintptr_t at = (uintptr_t)bytes, map = (uintptr_t)store->map;
    if (at >= map && at - map < store->map_size)
        return at - map <= txn->used && size <= txn->used - (at - map);
    return txn->writes && bytes;
}

/* --- the folder ----------------------------------------------------------------------------- */

static void path_in(const struct store *store, const char *name, char path[PATH_LENGTH])
{
    must(snprintf(path, PATH_LENGTH, "%s/%s", store->folder, name) < PATH_LENGTH);
}

static bool lock_folder(struct store *store, struct error *err)
{
    char path[PATH_LENGTH];
    if (mkdir(store->folder, 0700) != 0 && errno != EEXIST)
        return error_set_errno(err, ERROR_IO, store->folder, "cannot make the folder");
    path_in(store, "uplift.lock", path);
    store->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_file < 0)
        return error_set_errno(err, ERROR_IO, store->folder, "cannot be written to");
    if (flock(store->lock_file, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return error_set(err, ERROR_BUSY, store->folder, "is in use by another process");
    return error_set_errno(err, ERROR_IO, store->folder, "cannot be locked");
}

/* Each process that reads beside the server holds a lock on this file; without it, in a folder that
 * is read-only, nobody compacts either. */
static bool open_readers(struct store *store, struct error *err)
{
    char path[PATH_LENGTH];
    path_in(store, "uplift.readers", path);
    store->readers_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->readers_file < 0)
        store->readers_file = open(path, O_RDONLY | O_CLOEXEC);
    if (store->readers_file < 0 && (!store->reader || (errno != ENOENT && errno != EROFS)))
        return error_set_errno(err, ERROR_IO, path, "cannot be opened");
    return !store->reader || store->readers_file < 0 || flock(store->readers_file, LOCK_SH) == 0 ||
           error_set_errno(err, ERROR_IO, path, "cannot be locked");
}

bool store_readers_out(struct store *store)
{
    return flock(store->readers_file, LOCK_EX | LOCK_NB) == 0;
}

void store_readers_in(struct store *store)
{
    flock(store->readers_file, LOCK_UN);
}

/* Each commit writes the meta page whose number is that of the transaction modulo 2, so the two
 * are one transaction apart: LMDB takes the newer one, whatever became of the other's number. */
static bool metas_agree(int file)
{
    struct meta a, b;
    if (pread(file, &a, sizeof a, 0) != sizeof a)
        return false;
    size_t page = a.tables[0].page_size;
    if (page < 512 || page > 65536 || pread(file, &b, sizeof b, (off_t)page) != sizeof b)
        return false;
    bool fresh = a.transaction <= 1 && b.transaction <= 1;
    return a.magic == b.magic && a.version == b.version && b.tables[0].page_size == page &&
           a.page == 0 && b.page == 1 &&
           (fresh || (a.transaction % 2 == 0 && b.transaction % 2 == 1 &&
                      (a.transaction + 1 == b.transaction || b.transaction + 1 == a.transaction)));
}

/* A writer in another process may come between the two pages, but not every time. */
static bool check_file(const struct store *store, struct error *err)
{
    char path[PATH_LENGTH];
    struct stat info = {0};
    path_in(store, STORE_FILE, path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT || error_set_errno(err, ERROR_IO, path, "cannot be opened");
    bool ok = fstat(file, &info) == 0 && metas_agree(file);
    for (int tries = 0; !ok && store->reader && tries < 100; tries++)
        ok = metas_agree(file);
    close(file);
    return ok || error_set(err, ERROR_CORRUPT, path, "is damaged at its beginning, or no store");
}

/* --- the environment ------------------------------------------------------------------------ */

static int make_env(struct store *store, size_t map)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (store->reader ? MDB_RDONLY : 0);
    int code = mdb_env_create(&store->env);
    if (code == 0)
        code = mdb_env_set_maxdbs(store->env, STORE_TABLES);
    if (code == 0)
        code = mdb_env_set_maxreaders(store->env, READERS_MAX);
    if (code == 0)
        code = mdb_env_set_assert(store->env, guard_assert);
    if (code == 0 && !store->reader)
        code = mdb_env_set_mapsize(store->env, map);
    if (code == 0)
        code = mdb_env_open(store->env, store->folder, flags, 0600);
    return code;
}

/* LMDB maps its file of readers, which has holes: on a full disk the first use of a reader's slot
 * would fault. Where a disk cannot fill holes they stay.
 *
 * The file is not closed before the environment is: LMDB's locks on it are of the POSIX kind, which
 * a process loses when it closes any descriptor of the file. The next process would take itself
 * for the first, and make the list of readers and the writer's lock anew under those who use them.
 */
static int fill_lock_file(struct store *store)
{
    char path[PATH_LENGTH];
    struct stat info = {0};
    path_in(store, "lock.mdb", path);
    store->slots_file = open(path, O_RDWR | O_CLOEXEC);
    if (store->slots_file < 0)
        return store->reader ? 0 : errno;
    bool filled = fstat(store->slots_file, &info) == 0 &&
                  fallocate(store->slots_file, 0, 0, info.st_size) == 0;
    return filled || errno != ENOSPC ? 0 : ENOSPC;
}

static void close_env(struct store *store)
{
    mdb_env_close(store->env);
    store->env = NULL;
    if (store->slots_file >= 0)
        close(store->slots_file);
    store->slots_file = -1;
}

/* An environment that failed to open is of no use. */
static int try_env(struct store *store, size_t map)
{
    int code;
    GUARDED(code, make_env(store, map));
    if (code == 0)
        code = fill_lock_file(store);
    if (code && code != STORE_FAULT)
        close_env(store);
    return code;
}

/* Addresses may be scarcer than the default asks for (ulimit -v, ThreadSanitizer): it is tried in
 * quarters then, which bounds the store earlier. */
static int open_env(struct store *store)
{
    size_t size = store->map_bytes ? store->map_bytes : default_map;
    int code = try_env(store, size);
    while (code == ENOMEM && !store->map_bytes && size > least_map) {
        size /= 4;
        code = try_env(store, size);
    }
    if (code == 0)
        mdb_reader_check(store->env, NULL);
    return code;
}

/* LMDB does not tell where its map is. The system does, by an address in it. */
static bool find_map(struct store *store, const void *inside)
{
    MDB_stat stat = {0};
    char *line = NULL;
    size_t room = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    mdb_env_stat(store->env, &stat);
    store->page = stat.ms_psize;
    store->map = NULL;
    while (maps && !store->map && getline(&line, &room, maps) > 0) {
        uintptr_t start, end, at = (uintptr_t)inside;
        unsigned long offset;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " r--s %lx ", &start, &end, &offset) == 3 &&
            start <= at && at < end && offset == 0) {
            store->map = (const char *)start;
            store->map_size = end - start;
        }
    }
    free(line);
    if (maps)
        fclose(maps);
    return store->map != NULL;
}

size_t store_map_for(size_t used)
{
    return (used + used / 2 + ((size_t)16 << 20)) & ~(size_t)0xffff;
}

/* --- opening -------------------------------------------------------------------------------- */

/* What is asked of a file before it is trusted. */
struct opening {
    bool schema_there;   /* the row that names the schema */
    uint32_t schema;     /* as it says */
    bool schema_whole;   /* its checksum is right; there was none in schema 1 */
    const void *address; /* of that row, in the map */
};

/* The schema's row in the raw: that of another version is to be read too. */
static int read_schema(struct store *store, struct opening *opening)
{
    MDB_txn *txn = NULL;
    MDB_dbi meta;
    MDB_val key = {6, (void *)(uintptr_t) "schema"}, value;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (code)
        return code;
    code = mdb_dbi_open(txn, table_names[STORE_META], 0, &meta);
    if (code == 0)
        code = mdb_get(txn, meta, &key, &value);
    if (code == 0 && (value.mv_size == 4 || value.mv_size == 4 + ROW_SUM)) {
        struct slice bytes = {value.mv_data, 4};
        unkey_u32(&bytes, &opening->schema);
        opening->schema_there = true;
        opening->address = value.mv_data;
        opening->schema_whole = value.mv_size == 4 ? opening->schema == 1
                                                   : row_stored_sum(value) ==
                                                         row_sum(STORE_META, key, value.mv_data, 4);
    }
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND ? 0 : code;
}

static bool check_schema(const struct opening *opening, struct error *err)
{
    unsigned version = opening->schema;
    if (!opening->schema_there || !opening->schema_whole)
        return error_set(err, ERROR_CORRUPT, NULL,
                         "the store does not say which schema it has: it is damaged");
    if (version < STORE_SCHEMA)
        return error_set(err, ERROR_CORRUPT, NULL,
                         "the store has schema %u, written by an older uplift; this one reads %d: "
                         "run uplift upgrade",
                         version, STORE_SCHEMA);
    return version == STORE_SCHEMA ||
           error_set(err, ERROR_CORRUPT, NULL,
                     "the store has schema %u, written by a newer uplift; this one reads %d",
                     version, STORE_SCHEMA);
}

/* Those that are there; a table that is not is NO_TABLE. */
static int open_tables(struct store *store)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    for (int i = 0; i < STORE_TABLES && code == 0; i++) {
        code = mdb_dbi_open(txn, table_names[i], 0, &store->tables[i]);
        if (code == MDB_NOTFOUND) {
            store->tables[i] = NO_TABLE;
            code = 0;
        }
    }
    if (code == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code;
}

static int create_tables(struct store_txn *txn)
{
    int code = 0;
    MDB_dbi *tables = txn->store->tables;
    for (int i = 0; i < STORE_TABLES && code == 0; i++)
        if (tables[i] == NO_TABLE) {
            code = mdb_dbi_open(txn->txn, table_names[i], MDB_CREATE, &tables[i]);
            txn->changes++; /* so that the head is of this transaction */
        }
    return code;
}

static struct store_txn *begin(struct store *store, unsigned flags, bool inner, struct error *err);

/* What a newer uplift of the same schema added. */
static bool make_tables(struct store *store, struct error *err)
{
    struct store_txn *txn = begin(store, 0, true, err);
    int code;
    if (!txn)
        return false;
    GUARDED(code, create_tables(txn));
    txn_note(txn, STORE_META, code, 0);
    return store_commit(&txn, err);
}

static bool verify(struct store *store, struct error *err)
{
    struct store_txn *txn = begin(store, MDB_RDONLY, true, err);
    bool ok = txn && sums_verify(txn);
    if (txn && !ok)
        store_healthy(txn, err);
    store_abort(&txn);
    return ok;
}

static bool misses_tables(const struct store *store)
{
    for (int i = 0; i < STORE_TABLES; i++)
        if (store->tables[i] == NO_TABLE)
            return true;
    return false;
}

static bool read_file(struct store *store, struct opening *opening, struct error *err)
{
    int code;
    GUARDED(code, read_schema(store, opening));
    if (code == 0)
        GUARDED(code, open_tables(store));
    return code == 0 || store_fail(code, "cannot read the store", err);
}

/* Opens the environment and all that goes with it; used again whenever the file was changed. */
static bool open_all(struct store *store, struct error *err)
{
    struct opening opening = {0};
    if (!check_file(store, err))
        return false;
    int code = open_env(store);
    if (code)
        return store_fail(code, "cannot open the store", err);
    if (!read_file(store, &opening, err))
        return false;
    if (!check_schema(&opening, err))
        return false;
    if (!find_map(store, opening.address))
        return error_set(err, ERROR_IO, NULL,
                         "cannot find the map of the store in /proc/self/maps");
    MDB_envinfo info = {0};
    mdb_env_info(store->env, &info);
    pages_forget(store, info.me_last_pgno + 1);
    return verify(store, err) &&
           (store->reader || !misses_tables(store) || make_tables(store, err));
}

/* No file, or an empty one. */
static bool is_new(const struct store *store)
{
    char path[PATH_LENGTH];
    struct stat info = {0};
    path_in(store, STORE_FILE, path);
    return stat(path, &info) == 0 ? info.st_size == 0 : errno == ENOENT;
}

static struct store *store_new(const char *folder, struct error *err)
{
    struct store *store = xcalloc(1, sizeof *store);
    store->lock_file = store->readers_file = store->slots_file = -1;
    pthread_mutex_init(&store->writing, NULL);
    pthread_mutex_init(&store->gate, NULL);
    pthread_cond_init(&store->opened, NULL);
    guard_install();
    sums_init();
    if ((size_t)snprintf(store->folder, sizeof store->folder, "%s", folder) < sizeof store->folder)
        return store;
    error_set(err, ERROR_INVALID, folder, "the path is too long");
    store_close(&store);
    return NULL;
}

struct store *store_open(const char *folder, size_t map_bytes, struct error *err)
{
    struct store *store = store_new(folder, err);
    if (!store)
        return NULL;
    char part[PATH_LENGTH];
    store->map_bytes = map_bytes;
    path_in(store, STORE_PART, part);
    if (!lock_folder(store, err) || !open_readers(store, err) ||
        (unlink(part) != 0 && errno != ENOENT && errno != EROFS) ||
        (is_new(store) && !store_make(store, err)) || !open_all(store, err)) {
        error_set(err, ERROR_IO, folder, "cannot be opened");
        store_tell_place(store, err);
        store_close(&store);
    }
    return store;
}

bool store_exists(const char *folder, struct error *err)
{
    char path[PATH_LENGTH];
    bool fits = (size_t)snprintf(path, sizeof path, "%s/" STORE_FILE, folder) < sizeof path;
    if (fits && access(path, F_OK) == 0)
        return true;
    return fits && errno != ENOENT && errno != ENOTDIR
               ? error_set_errno(err, ERROR_IO, folder, "cannot be opened")
               : error_set(err, ERROR_NOT_FOUND, folder, "there is no store");
}

bool store_holds(const char *folder, const char *path)
{
    char outer[PATH_MAX], inner[PATH_MAX], *copy = xstrdup(path);
    bool known =
        realpath(folder, outer) && (realpath(path, inner) || realpath(dirname(copy), inner));
    size_t len = known ? strlen(outer) : 0;
    free(copy);
    return known && strncmp(inner, outer, len) == 0 && (!inner[len] || inner[len] == '/');
}

struct store *store_open_reader(const char *folder, struct error *err)
{
    struct store *store = store_new(folder, err);
    if (!store)
        return NULL;
    store->reader = true;
    if (!store_exists(folder, err) || !open_readers(store, err) || !open_all(store, err)) {
        store_tell_place(store, err);
        store_close(&store);
    }
    return store;
}

struct store *store_open_old(const char *folder, uint32_t schema, struct error *err)
{
    struct opening opening = {0};
    struct store *store = store_new(folder, err);
    if (!store)
        return NULL;
    store->reader = true;
    int code = 0;
    bool ok = store_exists(folder, err) && check_file(store, err) && lock_folder(store, err) &&
              open_readers(store, err) &&
              ((code = open_env(store)) == 0 || store_fail(code, "cannot open the store", err));
    if (ok)
        GUARDED(code, read_schema(store, &opening));
    ok = ok && (code == 0 || store_fail(code, "cannot read the store", err));
    if (ok && opening.schema_whole && opening.schema == STORE_SCHEMA)
        ok = error_set(err, ERROR_CONFLICT, folder, "has schema %d already: nothing is to be done",
                       STORE_SCHEMA);
    if (ok && (!opening.schema_whole || opening.schema != schema))
        ok = check_schema(&opening, err);
    if (!ok) {
        store_tell_place(store, err);
        store_close(&store);
    }
    return store;
}

/* Where a fault left LMDB's writer in an unknown state, the environment is left to the system: its
 * lock is held for ever, and memory of a held lock must stay. */
void store_close_env(struct store *store)
{
    if (store->env && !atomic_load(&store->broken))
        close_env(store);
    store->env = NULL;
    store->map = NULL;
    pages_forget(store, 0);
}

void store_close(struct store **store)
{
    if (!*store)
        return;
    store_close_env(*store);
    if ((*store)->lock_file >= 0)
        close((*store)->lock_file);
    if ((*store)->readers_file >= 0)
        close((*store)->readers_file);
    pthread_cond_destroy(&(*store)->opened);
    pthread_mutex_destroy(&(*store)->gate);
    pthread_mutex_destroy(&(*store)->writing);
    free((*store)->scratch);
    free(*store);
    *store = NULL;
}

/* --- the gate ------------------------------------------------------------------------------- */

/* Transactions pass the gate; where the environment is changed for another it is shut, and waits
 * until none is inside. A read-write lock would do the same but for two things: it must be given
 * back by the thread that took it, and a read may end in another thread; and a thread inside may
 * enter once more, which must not wait for ever. So who comes while the gate is closing waits for
 * some time only, and then goes in. */
static void gate_wait(struct store *store, int patience)
{
    struct timespec end;
    int code = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += patience % 1000 * 1000000L;
    end.tv_sec += patience / 1000 + end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&store->gate);
    while (atomic_load(&store->closing) && code == 0)
        code = pthread_cond_timedwait(&store->opened, &store->gate, &end);
    pthread_mutex_unlock(&store->gate);
}

static void gate_enter(struct store *store)
{
    int patience = atomic_load(&store->closing);
    if (patience)
        gate_wait(store, patience);
    while (atomic_fetch_add(&store->inside, 1) < 0) {
        atomic_fetch_sub(&store->inside, 1);
        pthread_mutex_lock(&store->gate);
        while (atomic_load(&store->inside) < SHUT / 2)
            pthread_cond_wait(&store->opened, &store->gate);
        pthread_mutex_unlock(&store->gate);
    }
}

static void gate_leave(struct store *store)
{
    atomic_fetch_sub(&store->inside, 1);
}

static bool try_to_shut(struct store *store, int milliseconds)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    bool shut = false;
    atomic_store(&store->closing, milliseconds);
    for (int i = 0; !shut && i < milliseconds; i++) {
        int_fast64_t none = 0;
        shut = atomic_compare_exchange_strong(&store->inside, &none, SHUT);
        if (!shut)
            nanosleep(&pause, NULL);
    }
    pthread_mutex_lock(&store->gate);
    atomic_store(&store->closing, 0);
    pthread_cond_broadcast(&store->opened);
    pthread_mutex_unlock(&store->gate);
    return shut;
}

bool store_shut(struct store *store)
{
    bool shut = false;
    for (int patience = PATIENCE_LEAST; !shut && patience <= PATIENCE_MOST; patience *= 2)
        shut = try_to_shut(store, patience);
    return shut;
}

void store_unshut(struct store *store)
{
    pthread_mutex_lock(&store->gate);
    atomic_fetch_sub(&store->inside, SHUT);
    pthread_cond_broadcast(&store->opened);
    pthread_mutex_unlock(&store->gate);
}

/* --- transactions --------------------------------------------------------------------------- */

static int begin_at(struct store_txn *txn, unsigned flags)
{
    struct store *store = txn->store;
    MDB_envinfo info = {0};
    if (!store->env)
        return MDB_PANIC;
    int code = mdb_txn_begin(store->env, NULL, flags, &txn->txn);
    if (code == MDB_READERS_FULL) {
        mdb_reader_check(store->env, NULL);
        code = mdb_txn_begin(store->env, NULL, flags, &txn->txn);
    }
    if (code == 0 && mdb_env_info(store->env, &info) == 0)
        txn->used = (info.me_last_pgno + 1) * store->page;
    return code;
}

static int begin_txn(struct store_txn *txn, unsigned flags)
{
    int code;
    if (!txn->inner)
        gate_enter(txn->store);
    GUARDED(code, begin_at(txn, flags));
    if (code && !txn->inner)
        gate_leave(txn->store);
    return code;
}

bool store_reopen(struct store *store, struct error *err)
{
    store_close_env(store);
    if (open_all(store, err))
        return true;
    store_close_env(store);
    return false;
}

/* After a failed write of its meta page LMDB takes no more transactions: the page is put back and
 * the environment opened anew. Where the disk does not take it, reads can go on. */
static int recover(struct store *store, bool writes)
{
    struct error unsaid = {0};
    if (!store_shut(store))
        return MDB_PANIC;
    int code = meta_settle(store);
    if (!store_reopen(store, &unsaid))
        code = MDB_PANIC;
    store_unshut(store);
    return writes || code == MDB_PANIC ? code : 0;
}

static int begin_or_recover(struct store_txn *txn, unsigned flags)
{
    struct store *store = txn->store;
    if (txn->inner)
        return begin_txn(txn, flags);
    if (txn->writes && atomic_load(&store->broken))
        return STORE_BROKEN;
    int code = txn->writes && atomic_load(&store->unsettled) ? MDB_PANIC : begin_txn(txn, flags);
    if (code != MDB_PANIC)
        return code;
    code = recover(store, txn->writes);
    return code ? code : begin_txn(txn, flags);
}

static struct store_txn *begin(struct store *store, unsigned flags, bool inner, struct error *err)
{
    struct store_txn *txn = xcalloc(1, sizeof *txn);
    txn->store = store;
    txn->writes = !(flags & MDB_RDONLY);
    txn->inner = inner;
    int code = begin_or_recover(txn, flags);
    if (code == STORE_FAULT && txn->writes)
        atomic_store(&store->broken, true);
    if (code) {
        free(txn);
        store_fail(code, "cannot begin a transaction", err);
        return NULL;
    }
    if (txn->writes) {
        GUARDED(code, pages_begin(txn));
        txn_note(txn, STORE_META, code, 0);
    }
    return txn;
}

struct store_txn *store_read(struct store *store, struct error *err)
{
    return begin(store, MDB_RDONLY, false, err);
}

struct store_txn *store_write(struct store *store, struct error *err)
{
    must(!store->reader);
    pthread_mutex_lock(&store->writing);
    struct store_txn *txn = begin(store, 0, false, err);
    if (!txn)
        pthread_mutex_unlock(&store->writing);
    return txn;
}

bool store_healthy(const struct store_txn *txn, struct error *err)
{
    return txn->failed == 0 || fail_txn(txn, err);
}

static int commit_at(struct store_txn *txn)
{
    const struct meta *page = meta_keep(txn);
    txn->altering = true;
    int code = mdb_txn_commit(txn->txn);
    txn->altering = false;
    txn->txn = NULL;
    if (code)
        meta_failed(txn->store, page);
    return code;
}

bool store_commit(struct store_txn **txn, struct error *err)
{
    bool ok = !(*txn)->failed && (!(*txn)->writes || sums_write(*txn)) && store_healthy(*txn, err);
    int code;
    if (ok) {
        GUARDED(code, commit_at(*txn));
        ok = txn_note(*txn, STORE_META, code, 0) ||
             store_fail((*txn)->failed, "cannot write to the store", err);
    } else {
        store_healthy(*txn, err);
    }
    store_abort(txn);
    return ok;
}

/* A transaction that met a fault while it changed pages is left as it is: LMDB's lists of cursors
 * may lead to the stack of the call that was left. */
void store_abort(struct store_txn **txn)
{
    if (!*txn)
        return;
    struct store *store = (*txn)->store;
    bool lost = (*txn)->writes && atomic_load(&store->broken);
    int code = 0;
    if ((*txn)->txn && !lost)
        GUARDED(code, (mdb_txn_abort((*txn)->txn), 0));
    if (code)
        atomic_store(&store->broken, true);
    if (!(*txn)->inner)
        gate_leave(store);
    if ((*txn)->writes && !(*txn)->inner)
        pthread_mutex_unlock(&store->writing);
    free((*txn)->sums);
    free(*txn);
    *txn = NULL;
}

void store_size(struct store *store, uint64_t *used, uint64_t *file, uint64_t *bound)
{
    MDB_envinfo info = {0};
    struct stat disk = {0};
    int fd = -1;
    *used = *file = *bound = 0;
    gate_enter(store);
    if (store->env && mdb_env_info(store->env, &info) == 0 &&
        mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &disk) == 0) {
        *used = (info.me_last_pgno + 1) * store->page;
        *file = (uint64_t)disk.st_blocks * 512;
        *bound = info.me_mapsize;
    }
    gate_leave(store);
}

uint64_t store_disk_free(struct store *store)
{
    struct statvfs disk;
    return fstatvfs(store->lock_file, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
}
