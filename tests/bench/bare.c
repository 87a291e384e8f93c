/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/bare.h"

#include <lmdb.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error.h"

enum { KEY_BYTES = 16, BODY_MAX = 16 << 20, HEAD = 112 };

/* --- LMDB ----------------------------------------------------------------------------------- */

struct bare_store {
    MDB_env *env;
    MDB_dbi table;
    size_t bytes;
};

static void good(int code)
{
    if (code != 0)
        error_fatal("bare LMDB: %s", mdb_strerror(code));
}

static void put(MDB_txn *txn, MDB_dbi table, const void *bytes, size_t len)
{
    uint64_t key[2] = {bench_draw(UINT64_MAX), bench_draw(UINT64_MAX)};
    MDB_val k = {KEY_BYTES, key}, v = {len, (void *)(uintptr_t)bytes};
    good(mdb_put(txn, table, &k, &v, 0));
}

double bare_puts(struct bare_store *store, size_t count, size_t each)
{
    char *bytes = xcalloc(1, store->bytes);
    double start = bench_seconds();
    for (size_t done = 0; done < count; done += each) {
        MDB_txn *txn;
        good(mdb_txn_begin(store->env, NULL, 0, &txn));
        for (size_t i = 0; i < each; i++)
            put(txn, store->table, bytes, store->bytes);
        good(mdb_txn_commit(txn));
    }
    free(bytes);
    return (double)count / (bench_seconds() - start);
}

static struct bare_store *open_store(const char *folder, size_t bytes)
{
    struct bare_store *store = xcalloc(1, sizeof *store);
    MDB_txn *txn;
    store->bytes = bytes;
    good(mdb_env_create(&store->env));
    good(mdb_env_set_mapsize(store->env, (size_t)1 << 36));
    good(mdb_env_open(store->env, folder, MDB_NOTLS | MDB_NORDAHEAD, 0600));
    good(mdb_txn_begin(store->env, NULL, 0, &txn));
    good(mdb_dbi_open(txn, NULL, MDB_CREATE, &store->table));
    good(mdb_txn_commit(txn));
    return store;
}

struct bare_store *bare_open(const char *folder, size_t already, size_t bytes)
{
    struct bare_store *store = open_store(folder, bytes);
    bare_puts(store, already, 200000);
    return store;
}

void bare_close(struct bare_store **store)
{
    mdb_env_close((*store)->env);
    free(*store);
    *store = NULL;
}

/* --- libmicrohttpd -------------------------------------------------------------------------- */

struct asked {
    struct MHD_Connection *connection;
    size_t records; /* in the body, alike in length */
    struct text body;
    bool suspended;
    struct asked *next;
};

struct bare {
    size_t len; /* of the answer's body */
    struct bare_store *store;
    const char *folder;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct asked *first;
};

static char zeros[1 << 16];

static enum MHD_Result answer(const struct bare *bare, struct MHD_Connection *connection)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bare->len, zeros, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static void queue(struct bare *bare, struct asked *asked)
{
    asked->suspended = true;
    MHD_suspend_connection(asked->connection);
    pthread_mutex_lock(&bare->lock);
    asked->next = bare->first;
    bare->first = asked;
    pthread_cond_signal(&bare->wake);
    pthread_mutex_unlock(&bare->lock);
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len, void **context)
{
    struct bare *bare = data;
    struct asked *asked = *context;
    (void)method, (void)version;
    if (!asked) {
        *context = asked = xcalloc(1, sizeof *asked);
        asked->connection = connection;
        asked->records = strtoul(path + 1, NULL, 10);
        text_init(&asked->body, BODY_MAX);
        return MHD_YES;
    }
    if (*len) {
        if (bare->store)
            text_add(&asked->body, bytes, *len);
        *len = 0;
        return MHD_YES;
    }
    if (bare->store && !asked->suspended) {
        queue(bare, asked);
        return MHD_YES;
    }
    return answer(bare, connection);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why)
{
    (void)data, (void)connection, (void)why;
    struct asked *asked = *context;
    if (asked)
        text_release(&asked->body);
    free(asked);
    *context = NULL;
}

static void put_body(const struct bare *bare, MDB_txn *txn, const struct asked *asked)
{
    size_t records = asked->records ? asked->records : 1, each = asked->body.len / records;
    for (size_t i = 0; i < records; i++)
        put(txn, bare->store->table, asked->body.ptr + i * each, each);
}

static void *write_groups(void *data)
{
    struct bare *bare = data;
    for (;;) {
        pthread_mutex_lock(&bare->lock);
        while (!bare->first)
            pthread_cond_wait(&bare->wake, &bare->lock);
        struct asked *group = bare->first;
        bare->first = NULL;
        pthread_mutex_unlock(&bare->lock);
        MDB_txn *txn;
        good(mdb_txn_begin(bare->store->env, NULL, 0, &txn));
        for (struct asked *asked = group; asked; asked = asked->next)
            put_body(bare, txn, asked);
        good(mdb_txn_commit(txn));
        for (struct asked *asked = group, *next; asked; asked = next) {
            next = asked->next;
            MHD_resume_connection(asked->connection);
        }
    }
    return NULL;
}

static void serve(int pipe, void *data)
{
    struct bare *bare = data;
    pthread_t writer;
    pthread_mutex_init(&bare->lock, NULL);
    pthread_cond_init(&bare->wake, NULL);
    if (bare->folder) {
        bare->store = open_store(bare->folder, 0);
        pthread_create(&writer, NULL, write_groups, bare);
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
        on_request, bare, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
        MHD_OPTION_CONNECTION_LIMIT, 2000u, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(32 << 10), MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, bare, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    uint16_t port = info ? info->port : 0;
    if (write(pipe, &port, sizeof port) == sizeof port)
        pause(); /* until the signal that ends the process */
}

struct bench_server bare_answers(size_t len)
{
    struct bare bare = {.len = len > HEAD ? len - HEAD : 0};
    return bench_fork(serve, &bare);
}

struct bench_server bare_commits(const char *folder, size_t len)
{
    struct bare bare = {.len = len > HEAD ? len - HEAD : 0, .folder = folder};
    return bench_fork(serve, &bare);
}
