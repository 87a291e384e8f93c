/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of a request: found a route and a key at its first call, gathered its body in the next
 * ones, handled at the last, answered at once or after it was suspended. A request that is refused
 * still has its (bounded) body read and thrown away, so that the connection stays usable. */
#include "http/server.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "http/auth.h"
#include "http/cors.h"
#include "http/deliver.h"
#include "http/limit.h"
#include "http/listen.h"
#include "http/log.h"
#include "http/page.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "http/stream.h"
#include "http/tls.h"
#include "http/watch.h"

enum {
    CONNECTIONS_MAX = 2000,
    TIMEOUT_SECONDS = 30,
    ARRIVE_SECONDS = 60,
    /* For the head of a request and of its answer. libmicrohttpd clears it for each request. */
    MEMORY_LIMIT = 16 << 10,
    FINISH_MS = 10000,      /* for what is under way at the end */
    DISCARD_MAX = 16 << 20, /* bytes of a refused body that are read to keep the answer readable */
};

struct place {
    _Atomic(struct MHD_Daemon *) daemon; /* set at start, when requests may have come already */
    struct listener listener;            /* set at start */
    char url[sizeof "https://" + sizeof((struct listener *)0)->place]; /* set at start */
};

/* When the handler of a request began that a thread runs now (histogram_now); 0: none. */
struct turn {
    atomic_int_fast64_t since;
};

/* Of a thread of libmicrohttpd, which is one server's from its first request to its end. */
static _Thread_local struct turn *own_turn;

struct server {
    struct place places[SERVER_LISTEN_MAX];
    size_t place_count;      /* set at start */
    struct uplift *uplift;   /* set at start */
    struct tls *tls;         /* set at start; NULL: none */
    struct limit *limit;     /* set at start */
    struct watch *watch;     /* set at start */
    struct streams *streams; /* set at start */
    pthread_t ticker;
    struct deliver *deliver; /* set at start */
    double started;          /* set at start */
    struct histogram *took;  /* one a route */
    struct log log;          /* set at start */
    struct turn *turns;      /* one a thread */
    size_t turn_count;       /* set at start */
    atomic_size_t turns_taken;
    atomic_size_t active; /* requests from their head to the end of their answer */
    atomic_bool leaving;
    atomic_uint_fast64_t answers[6];
    atomic_uint_fast64_t requests; /* begins at random */
    atomic_size_t held;            /* requests that sleep until the writer answers */
    /* One that was answered, or NULL: most requests are answered before the next one begins, and
     * malloc takes its slow way for what is as large. */
    _Atomic(struct request *) spare;
    atomic_bool ending;
};

uint16_t server_port(const struct server *server)
{
    for (size_t i = 0; i < server->place_count; i++)
        if (server->places[i].listener.port)
            return server->places[i].listener.port;
    return 0;
}

const char *server_url(const struct server *server, size_t i)
{
    return i < server->place_count ? server->places[i].url : NULL;
}

bool server_reload(struct server *server, struct error *err)
{
    if (!server->tls)
        return error_set(err, ERROR_NOT_FOUND, NULL, "there is no certificate to read again");
    return tls_reload(server->tls, err);
}

double server_certificate_ends(const struct server *server)
{
    return server->tls ? (double)tls_ends(server->tls) : 0;
}

uint64_t server_answers(const struct server *server, int class)
{
    return atomic_load(&server->answers[class]);
}

void server_count(struct server *server, int status)
{
    atomic_fetch_add(&server->answers[status / 100 % 6], 1);
}

unsigned server_connections(const struct server *server)
{
    unsigned count = 0;
    for (size_t i = 0; i < server->place_count; i++) {
        struct MHD_Daemon *daemon = atomic_load(&server->places[i].daemon);
        const union MHD_DaemonInfo *info =
            daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS) : NULL;
        count += info ? info->num_connections : 0;
    }
    return count;
}

double server_started(const struct server *server)
{
    return server->started;
}

const struct histogram *server_took(const struct server *server, const struct route *route)
{
    return &server->took[route - router_table()];
}

void server_note(struct server *server, const struct route *route, int64_t nanoseconds)
{
    histogram_add(&server->took[route - router_table()], nanoseconds);
}

/* Counted before it looks: server_stop raises the flag before it counts, so that one of the two
 * always sees the other. */
bool server_hold(struct server *server)
{
    atomic_fetch_add(&server->held, 1);
    if (!atomic_load(&server->ending))
        return true;
    server_let_go(server);
    return false;
}

void server_let_go(struct server *server)
{
    atomic_fetch_sub(&server->held, 1);
}

bool server_ending(const struct server *server)
{
    return atomic_load(&server->leaving);
}

void server_leave(struct server *server)
{
    atomic_store(&server->leaving, true);
}

bool server_alive(const struct server *server, int64_t nanoseconds)
{
    int64_t now = histogram_now();
    for (size_t i = 0; i < server->turn_count; i++) {
        int64_t since = atomic_load(&server->turns[i].since);
        if (since && now - since > nanoseconds)
            return false;
    }
    return true;
}

struct streams *server_streams(const struct server *server)
{
    return server->streams;
}

/* Refuses a request whose body may still come. */
static void refuse(struct request *request, int status, enum error_code code, const char *words)
{
    request->refused_status = (unsigned)status;
    error_set(&request->refused, code, NULL, "%s", words);
}

static void find_route(struct request *request, char allowed[64])
{
    request->route = router_find(request->method, request->path, request->place, allowed);
    if (cors_begin(request))
        return;
    if (request->route) {
        if (auth_check(request, request->route->access, &request->refused) &&
            !limit_take(request->server->limit, request->key.id, (double)request->key.rate,
                        watch_now()))
            refuse(request, MHD_HTTP_TOO_MANY_REQUESTS, ERROR_BUSY,
                   "this key asks more often than it may; try again in a second");
        return;
    }
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (*allowed)
        refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, ERROR_CONFLICT,
               "this resource does not know that method");
    else if (!reads || !page_find(request->path))
        refuse(request, MHD_HTTP_NOT_FOUND, ERROR_NOT_FOUND, "there is no such resource");
}

/* Sixteen hex digits that look random: numbers of requests, begun at random, by the finalizer of
 * MurmurHash3, which maps no two to one. Asking the kernel for each cost more than the rest of it.
 */
static void write_id(uint64_t number, char id[17])
{
    number = (number ^ number >> 33) * UINT64_C(0xff51afd7ed558ccd);
    number = (number ^ number >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    number ^= number >> 33;
    for (int i = 0; i < 16; i++, number <<= 4)
        id[i] = "0123456789abcdef"[number >> 60];
    id[16] = '\0';
}

/* A caller's id of a request, which is shown and told of in the log: one word, and no key. */
static bool id_is_sane(const char *id)
{
    static const char *const keys[] = {"sdk-", "svc-", "adm-"};
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._~+/=:-";
    size_t len = strlen(id);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strstr(id, keys[i]))
            return false;
    return len > 0 && len <= REQUEST_ID_MAX && strspn(id, allowed) == len;
}

static void set_id(struct request *request)
{
    const char *given = request_header(request, "X-Request-Id");
    write_id(atomic_fetch_add(&request->server->requests, 1), request->unique);
    if (given && id_is_sane(given))
        memcpy(request->id, given, strlen(given) + 1);
    else
        memcpy(request->id, request->unique, sizeof request->unique);
}

static struct request *request_new(struct server *server, struct MHD_Connection *connection,
                                   const char *path, const char *method)
{
    struct request *spare = atomic_exchange(&server->spare, NULL);
    struct request *request = spare ? memset(spare, 0, sizeof *spare) : xcalloc(1, sizeof *spare);
    atomic_fetch_add(&server->active, 1);
    request->server = server;
    request->uplift = server->uplift;
    request->connection = connection;
    request->path = path;
    request->method = method;
    request->began = histogram_now();
    set_id(request);
    return request;
}

static size_t declared_length(const struct request *request)
{
    const char *header = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return header ? strtoull(header, NULL, 10) : 0;
}

static enum MHD_Result begin(struct server *server, struct MHD_Connection *connection,
                             const char *path, const char *method, void **context)
{
    char allowed[64];
    struct request *request = request_new(server, connection, path, method);
    *context = request;
    find_route(request, allowed);
    size_t most = request->route ? request->route->body_max : 0;
    text_init(&request->body, most);
    if (request->refused_status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        respond_error(request, &request->refused);
        MHD_add_response_header(request->ready, "Allow", allowed);
    }
    size_t declared = declared_length(request);
    if (declared > most && request->refused.code == ERROR_NONE)
        error_set(&request->refused, ERROR_TOO_LARGE, NULL, "the body is larger than %zu bytes",
                  most);
    if (declared <= DISCARD_MAX)
        return MHD_YES;
    /* Too long to read and throw away: answered at once, although a client that does not listen
     * while it sends sees only that the connection is closed. */
    if (!request->ready)
        respond_error(request, &request->refused);
    return respond_send(request);
}

static void gather(struct request *request, const char *bytes, size_t len)
{
    if (request->refused.code == ERROR_NONE && !text_add(&request->body, bytes, len))
        error_set(&request->refused, ERROR_TOO_LARGE, NULL, "the body is larger than %zu bytes",
                  request->body.max);
}

static void handle(struct request *request)
{
    const char *encoding = request_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
    bool packed = encoding && strcasecmp(encoding, "gzip") == 0;
    bool refused = request->refused.code != ERROR_NONE;
    if (!refused && packed)
        request_inflate(request, request->body.max, &request->refused);
    else if (!refused && encoding && strcasecmp(encoding, "identity") != 0)
        refuse(request, 415, ERROR_UNSUPPORTED, "only gzip is known as an encoding");
    if (request->refused.code != ERROR_NONE) {
        if (!request->ready)
            respond_error(request, &request->refused);
    } else if (request->route) {
        request->route->handle(request);
    } else if (request->shared) {
        cors_preflight(request);
    } else {
        page_respond(request);
    }
}

/* Between these two the thread may not be gone for long: server_alive. */
static void turn_begin(struct server *server)
{
    if (!own_turn) {
        size_t taken = atomic_fetch_add(&server->turns_taken, 1);
        must(taken < server->turn_count);
        own_turn = &server->turns[taken];
    }
    atomic_store(&own_turn->since, histogram_now());
}

static void turn_end(void)
{
    atomic_store(&own_turn->since, 0);
}

/* Called for the path, and for names and values of the query, which do not begin with a slash but
 * where somebody does without its escape: those of ours never do. */
static size_t unescape(void *data, struct MHD_Connection *connection, char *text)
{
    (void)data;
    (void)connection;
    return text[0] == '/' ? router_decode(text) : MHD_http_unescape(text);
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len, void **context)
{
    (void)version;
    struct request *request = *context;
    if (!request)
        return begin(data, connection, path, method, context);
    if (*len) {
        request->taken += *len;
        if (request->taken > DISCARD_MAX)
            return MHD_NO;
        gather(request, bytes, *len);
        *len = 0;
        return MHD_YES;
    }
    /* A request that sleeps belongs to the writer from the moment that it was queued: nothing of it
     * may be read here until libmicrohttpd calls again, which is after it was resumed. */
    if (!request->suspended) {
        watch_handled(request->server->watch, connection);
        turn_begin(request->server);
        handle(request);
        turn_end();
        if (request->suspended)
            return MHD_YES;
    }
    return respond_send(request);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why)
{
    struct server *server = data;
    struct request *request = *context;
    watch_answered(server->watch, connection);
    if (!request)
        return;
    log_request(&server->log, request, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    if (request->ready)
        MHD_destroy_response(request->ready);
    json_decref(request->later);
    text_release(&request->written);
    text_release(&request->body);
    free(atomic_exchange(&server->spare, request));
    *context = NULL;
    atomic_fetch_sub(&server->active, 1);
}

/* Wakes streams, and once a second cuts what does not arrive. A change that customers see is told
 * to SDKs within a quarter of a second. */
static void *tick(void *data)
{
    struct server *server = data;
    const struct timespec pause = {.tv_nsec = 250000000};
    for (unsigned quarter = 0; !atomic_load(&server->ending); quarter++) {
        nanosleep(&pause, NULL);
        streams_tick(server->streams, quarter % 4 == 3);
        if (quarter % 4 == 3)
            watch_cut(server->watch);
    }
    return NULL;
}

static size_t route_count(void)
{
    size_t count = 0;
    while (router_table()[count].method)
        count++;
    return count;
}

static void release(struct server **server)
{
    for (size_t i = 0; i < (*server)->place_count; i++)
        listen_close(&(*server)->places[i].listener);
    tls_close(&(*server)->tls);
    limit_free(&(*server)->limit);
    watch_free(&(*server)->watch);
    streams_free(&(*server)->streams);
    free((*server)->turns);
    free((*server)->took);
    free(atomic_load(&(*server)->spare));
    free(*server);
    *server = NULL;
}

static bool open_tls(struct server *server, const struct server_options *options, struct error *err)
{
    if (!options->tls_certificate)
        return true;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES ||
        MHD_is_feature_supported(MHD_FEATURE_HTTPS_CERT_CALLBACK) != MHD_YES)
        return error_set(err, ERROR_UNSUPPORTED, "--tls-cert",
                         "the libmicrohttpd of this system was built without TLS");
    server->tls = tls_open(options->tls_certificate, options->tls_key, err);
    return server->tls != NULL;
}

/* Sockets before threads: where one cannot be had, nothing was answered on another. */
static bool open_places(struct server *server, const struct server_options *options,
                        struct error *err)
{
    must(options->listen_count <= SERVER_LISTEN_MAX);
    for (size_t i = 0; i < options->listen_count; i++) {
        struct place *place = &server->places[server->place_count++];
        if (!listen_open(&place->listener, options->listen[i], options->socket_mode, err))
            return false;
        const char *scheme = place->listener.path ? "" : server->tls ? "https://" : "http://";
        stpcpy(stpcpy(place->url, scheme), place->listener.place);
    }
    return true;
}

static unsigned connections_most(const struct server_options *options)
{
    return options->connections_max ? options->connections_max : CONNECTIONS_MAX;
}

static unsigned threads_of(const struct server_options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return options->threads ? options->threads : processors > 1 ? (unsigned)processors : 2;
}

static bool serve_place(struct server *server, struct place *place,
                        const struct server_options *options, struct error *err)
{
    unsigned timeout = options->timeout_seconds ? options->timeout_seconds : TIMEOUT_SECONDS;
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    const struct MHD_OptionItem secure[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(uintptr_t)tls_retrieve},
        {MHD_OPTION_END, 0, NULL}};
    bool tls = server->tls && !place->listener.path;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags | (tls ? MHD_USE_TLS : 0u), 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, place->listener.socket, MHD_OPTION_ARRAY,
        tls ? secure : secure + 2, MHD_OPTION_THREAD_POOL_SIZE, threads_of(options),
        MHD_OPTION_CONNECTION_LIMIT, connections_most(options), MHD_OPTION_CONNECTION_TIMEOUT,
        timeout, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_LIMIT,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, watch_notify, server->watch, MHD_OPTION_END);
    atomic_store(&place->daemon, daemon);
    return daemon || error_set_errno(err, ERROR_IO, "--listen", "cannot answer on %s", place->url);
}

static struct server *server_new(struct uplift *uplift, const struct server_options *options)
{
    struct server *server = xcalloc(1, sizeof *server);
    uint64_t first;
    server->uplift = uplift;
    server->started = (double)time(NULL);
    randombytes_buf(&first, sizeof first);
    atomic_store(&server->requests, first);
    server->took = xcalloc(route_count(), sizeof *server->took);
    server->turn_count = threads_of(options) * options->listen_count;
    server->turns = xcalloc(server->turn_count, sizeof *server->turns);
    if (options->log)
        server->log = *options->log;
    server->limit = limit_new(options->rate, options->rate);
    server->watch = watch_new(options->arrive_seconds ? options->arrive_seconds : ARRIVE_SECONDS);
    server->streams = streams_new(uplift, connections_most(options) / 2);
    return server;
}

struct server *server_start(struct uplift *uplift, const struct server_options *options,
                            struct error *err)
{
    struct server *server = server_new(uplift, options);
    bool ok = open_tls(server, options, err) && open_places(server, options, err);
    if (!ok) {
        release(&server);
        return NULL;
    }
    if (pthread_create(&server->ticker, NULL, tick, server) != 0)
        error_fatal("cannot start a thread");
    server->deliver = deliver_start(uplift);
    for (size_t i = 0; ok && i < server->place_count; i++)
        ok = serve_place(server, &server->places[i], options, err);
    if (!ok)
        server_stop(&server, true);
    return server;
}

/* libmicrohttpd ends the process when it is stopped with a request asleep, so the writer's answers
 * are waited for, however slow the disk is. Clients are not: a bounded time, or none in a hurry. */
static void drain(struct server *server, bool hurry)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    atomic_store(&server->leaving, true);
    atomic_store(&server->ending, true);
    pthread_join(server->ticker, NULL);
    streams_end(server->streams);
    while (atomic_load(&server->held) > 0)
        nanosleep(&pause, NULL);
    long long until = watch_now() + (hurry ? 0 : FINISH_MS);
    while (atomic_load(&server->active) > 0 && watch_now() < until)
        nanosleep(&pause, NULL);
}

void server_stop(struct server **server, bool hurry)
{
    if (!*server)
        return;
    /* The sockets listen until all is done, but nobody takes what comes: listen_close. */
    for (size_t i = 0; i < (*server)->place_count; i++)
        if (atomic_load(&(*server)->places[i].daemon))
            MHD_quiesce_daemon(atomic_load(&(*server)->places[i].daemon));
    drain(*server, hurry);
    for (size_t i = 0; i < (*server)->place_count; i++)
        if (atomic_load(&(*server)->places[i].daemon))
            MHD_stop_daemon(atomic_load(&(*server)->places[i].daemon));
    deliver_stop(&(*server)->deliver);
    release(server);
}
