/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift serve: opens the folder, prints the first key once, answers until a signal. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/notify.h"
#include "cli/options.h"
#include "core/analysis.h"
#include "core/keys.h"
#include "core/ledger.h"
#include "core/overlap.h"
#include "core/retention.h"
#include "core/uplift.h"
#include "http/log.h"
#include "http/server.h"

static const char help[] =
    "Usage: uplift serve --data DIR [--listen PLACE]... [OPTION]...\n"
    "Runs the server: assignment, events, results and the page.\n"
    "\n"
    "  --data DIR               the data folder; made when it is new\n"
    "  --listen PLACE           where to listen [127.0.0.1:8080]: ADDRESS:PORT, of which port 0\n"
    "                           takes a free one, or unix:PATH; may be repeated\n"
    "  --socket-mode MODE       permissions of the file of a Unix socket [660]\n"
    "  --tls-cert FILE          speak TLS on all places but Unix sockets: the certificate and "
    "those\n"
    "                           behind it, PEM; read again at SIGHUP\n"
    "  --tls-key FILE           its key, PEM\n"
    "  --threads N              that answer requests, for each place [one a processor]\n"
    "  --connections N          at most so many at once on each place [2000]\n"
    "  --timeout SECONDS        of a connection that neither sends nor takes [30]\n"
    "  --arrive SECONDS         for a request to arrive whole [60]\n"
    "  --retain-days N          drop events older than that, once nothing can change what was\n"
    "                           counted of them [keep all]\n"
    "  --rate N                 requests a second that a key may make; 0: any number [100000]\n"
    "  --store-max BYTES        the store grows to at most so many; K, M, G and T may follow\n"
    "                           [what the disk holds]\n"
    "  --pseudonymise FILE      store no ids but keyed digests of them; the key is in the file,\n"
    "                           which is made for an empty store\n"
    "  --require-consent        keep nothing of customers whose consent is not recorded\n"
    "  --compact-hours N        after an erasure the file is rewritten so many hours later [24];\n"
    "                           0: never\n"
    "  --drain-seconds N        after SIGTERM serve on for so long, not ready any more [0]; a "
    "second\n"
    "                           signal ends it\n"
    "  --log-format FORMAT      text, logfmt or json, on standard error [text]\n"
    "  --log-level LEVEL        error, warning or info, each with those before [info]\n"
    "  --log-requests           one line for each request too\n"
    "  --help                   print this help\n"
    "\n"
    "The first start on a new folder prints an admin key once. SIGTERM or SIGINT ends the "
    "server.\n";

/* Of this process: what the writer tells has no data to find it by. Set before all threads. */
static struct log serve_log = {.most = LOG_INFO};

/* A minute's round looks at EXPIRE_ROUNDS times EXPIRE_MOST rows of what is remembered to refuse
 * duplicates, each in a transaction of its own between those of others; at more where there are so
 * many that all of them would not be looked at in EXPIRE_ALL minutes. So at most one row in
 * fourteen has outlived its seven days, whatever the load. */
enum { HOUSEKEEPING_SECONDS = 60, EXPIRE_MOST = 10000, EXPIRE_ROUNDS = 30, EXPIRE_ALL = 720 };
enum { DESCRIPTORS_SPARE = 32 };

/* "660" into permissions, which are octal everywhere. */
static bool read_mode(const char *text, mode_t *mode)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 8);
    *mode = (mode_t)number;
    return *text >= '0' && *text <= '7' && !*end && number <= 0777;
}

/* "500G" into bytes, rounded down to whole pages of any system. */
static bool read_bytes(const char *text, size_t *bytes)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    const char *unit = end != text && *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (errno || end == text || text[0] == '-' || end[unit ? 1 : 0] || number > SIZE_MAX >> shift)
        return false;
    *bytes = (size_t)number << shift & ~(size_t)0xffff;
    return *bytes >= (size_t)1 << 20 && *bytes <= (size_t)1 << 46;
}

/* Ports are known only now; the link opens the page with the key in its fragment, which browsers do
 * not send to any server. */
static bool welcome(struct uplift *uplift, const struct server *server, struct error *err)
{
    char secret[KEY_SECRET_MAX];
    bool first = keys_count(uplift) == 0;
    if (first && !keys_create(uplift, KEY_ADMIN, KEY_ROLE_ADMIN, "first key", 0, secret, NULL, err))
        return false;
    if (first)
        printf("admin key, shown only now: %s\n", secret);
    for (size_t i = 0; first && server_url(server, i); i++)
        if (strncmp(server_url(server, i), "http", 4) == 0) {
            printf("open the page with it: %s/#key=%s\n", server_url(server, i), secret);
            break;
        }
    for (size_t i = 0; server_url(server, i); i++)
        printf("listening on %s\n", server_url(server, i));
    fflush(stdout);
    return true;
}

static void tell_refusing(const struct error *why)
{
    if (why)
        log_error(&serve_log, LOG_ERROR, "a write was refused", why);
    else
        log_say(&serve_log, LOG_INFO, "writes go well again");
}

struct expiry {
    struct uplift *uplift;
    struct store_key from; /* where the next look begins */
    uint64_t rows;
    bool more;
};

static bool expire_some(void *data, struct ingest_run *run, struct error *err)
{
    struct expiry *expiry = data;
    (void)err;
    expiry->rows = store_count(run->txn, STORE_SEEN);
    expiry->more =
        ledger_expire_seen(run->txn, uplift_now(expiry->uplift), EXPIRE_MOST, &expiry->from);
    return true;
}

static bool expire(struct expiry *expiry, struct error *err)
{
    bool ok = true;
    expiry->more = true;
    for (uint64_t i = 0;
         ok && expiry->more && i < EXPIRE_ROUNDS + expiry->rows / EXPIRE_MOST / EXPIRE_ALL; i++)
        ok = ingest_call(expiry->uplift->ingest, expire_some, expiry, err);
    return ok;
}

/* Whether a signal is there, which sigtimedwait will then take. */
static bool is_ending(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

/* Slices of retention until its pass is over, or half a minute: between them the others write. */
static bool retain(struct uplift *uplift, struct error *err)
{
    bool ok = true, more = uplift->retain_days > 0;
    int64_t until = uplift_now(uplift) + HOUSEKEEPING_SECONDS * WHEN_SECOND / 2;
    while (ok && more && uplift_now(uplift) < until && !is_ending())
        ok = retention_keep(uplift, uplift->retain_days, 1, &more, err);
    return ok;
}

/* While another process reads it is not the time: the next round tries again. */
static bool compact_when_due(struct uplift *uplift, int64_t hours, struct error *err)
{
    struct error busy = {0};
    int64_t since = 0;
    uint64_t before, after;
    if (hours == 0 || !store_compaction_due(uplift->store, &since, err) || since == 0 ||
        uplift_now(uplift) - since < hours * WHEN_HOUR)
        return err->code == ERROR_NONE;
    /* The writer waits meanwhile, and is not dead. */
    notify_send("WATCHDOG_USEC=%lld", 86400 * 1000000LL);
    if (store_compact(uplift->store, &before, &after, &busy))
        log_say(&serve_log, LOG_INFO, "compacted: %llu bytes on disk, %llu before",
                (unsigned long long)after, (unsigned long long)before);
    else if (busy.code != ERROR_BUSY)
        *err = busy;
    if (notify_watchdog())
        notify_send("WATCHDOG_USEC=%lld\nWATCHDOG=1", (long long)notify_watchdog());
    return err->code == ERROR_NONE;
}

static bool keep_house(struct uplift *uplift, int64_t compact_hours, struct expiry *expiry,
                       struct error *err)
{
    rebuild_start(uplift); /* one that a full disk ended goes on */
    return expire(expiry, err) && keys_save(uplift, err) && overlap_keep_house(uplift, err) &&
           analysis_keep_house(uplift, err) && retain(uplift, err) &&
           compact_when_due(uplift, compact_hours, err);
}

/* One line where it begins to fail, or fails in another way, and one where it goes well again. */
static void tell_house(bool ok, const struct error *err, char told[ERROR_LINE_MAX])
{
    char line[ERROR_LINE_MAX];
    if (!ok && strcmp(error_line(err, line), told) != 0)
        log_say(&serve_log, LOG_ERROR, "housekeeping: %s", line);
    else if (ok && *told)
        log_say(&serve_log, LOG_INFO, "housekeeping goes well again");
    snprintf(told, ERROR_LINE_MAX, "%s", ok ? "" : line);
}

static void tell_clock(struct uplift *uplift, bool *doubted)
{
    bool doubts = ingest_doubts_clock(uplift->ingest);
    if (doubts != *doubted)
        log_say(&serve_log, LOG_WARNING, "the clock %s",
                doubts ? "leapt ahead: events are refused until it is right or believed"
                       : "is believed again");
    *doubted = doubts;
}

static void reload(struct server *server)
{
    struct error err = {0};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
                (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    if (server_reload(server, &err))
        log_say(&serve_log, LOG_INFO, "the certificate was read again");
    else if (err.code != ERROR_NOT_FOUND)
        log_error(&serve_log, LOG_ERROR, "the old certificate stays", &err);
    notify_send("READY=1");
}

/* --- life and end --------------------------------------------------------------------------- */

struct running {
    struct uplift *uplift;
    struct server *server;
    int64_t compact_hours, drain_seconds;
    sigset_t signals;
    pthread_t watchdog;
    int64_t watchdog_usec; /* 0: nobody waits for signs of life */
    atomic_bool ending;
};

/* The snapshot is its taker's to end: one that stays would hold every page that is freed since. */
static void end_snapshot(void *data, struct store_txn *txn, int64_t cut)
{
    (void)data;
    (void)cut;
    store_abort(&txn);
}

/* Gives a sign of life when the writer took a job, which it never does where it hangs, and no
 * thread hangs in a request. The job has no weight: one that is refused by a full queue would tell
 * of life where nothing empties it. A disk that refuses writes is no reason to begin anew. */
static void *watch_over(void *data)
{
    struct running *running = data;
    const struct timespec pause = {.tv_nsec = 100000000};
    int64_t every = running->watchdog_usec / 3, waited = every;
    for (; !atomic_load(&running->ending); waited += 100000) {
        struct error err = {0};
        if (waited >= every) {
            ingest_snapshot(running->uplift->ingest, end_snapshot, NULL, &err);
            if (server_alive(running->server, running->watchdog_usec * 1000))
                notify_send("WATCHDOG=1");
            waited = 0;
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void begin_life(struct running *running)
{
    running->watchdog_usec = notify_watchdog();
    if (running->watchdog_usec &&
        pthread_create(&running->watchdog, NULL, watch_over, running) != 0)
        error_fatal("cannot start a thread");
    notify_send("READY=1");
}

/* Serves on for the drain, unless a second signal comes. From then on a signal ends the process as
 * signals do: what was acknowledged is on disk. True: nobody waits for clients any more. */
static bool leave(struct running *running)
{
    const struct timespec drain = {.tv_sec = running->drain_seconds};
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    server_leave(running->server);
    notify_send("STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld",
                (long long)(running->drain_seconds + 30) * 1000000);
    bool again = running->drain_seconds && sigtimedwait(&ends, NULL, &drain) > 0;
    pthread_sigmask(SIG_UNBLOCK, &ends, NULL);
    return again;
}

/* Waits for the signal that ends the server, and keeps house meanwhile. */
static void wait_for_end(struct running *running)
{
    struct uplift *uplift = running->uplift;
    const struct timespec pause = {.tv_sec = HOUSEKEEPING_SECONDS};
    struct expiry expiry = {.uplift = uplift};
    char told[ERROR_LINE_MAX] = "";
    bool doubted = false;
    atomic_store(&uplift->house_kept_at, uplift_now(uplift)); /* all was done, or comes soon */
    for (int got; (got = sigtimedwait(&running->signals, NULL, &pause)) < 0 || got == SIGHUP;) {
        if (got == SIGHUP)
            reload(running->server);
        struct error err = {0};
        bool ok = keep_house(uplift, running->compact_hours, &expiry, &err);
        if (ok)
            atomic_store(&uplift->house_kept_at, uplift_now(uplift));
        else
            atomic_fetch_add(&uplift->house_failed, 1);
        tell_house(ok, &err, told);
        tell_clock(uplift, &doubted);
    }
}

/* How many connections, of those asked for on each of some places, file descriptors allow, of which
 * some are kept for the store. libmicrohttpd tries for ever, without a pause, to take a connection
 * that it has no descriptor for. */
static int64_t connections_possible(int64_t asked, int64_t places)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return asked;
    rlim_t needed = (rlim_t)(asked * places) + DESCRIPTORS_SPARE;
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= needed)
        return asked;
    int64_t most = (int64_t)limit.rlim_cur,
            spare = most > 2 * DESCRIPTORS_SPARE ? DESCRIPTORS_SPARE : most / 2,
            each = (most - spare) / places;
    log_say(&serve_log, LOG_WARNING,
            "takes %lld connections at once, not %lld: the limit of open files is %lld",
            (long long)each, (long long)asked, (long long)most);
    return each > 0 ? each : 1;
}

/* SIGHUP reads files again; where there are none, the end of a terminal ends a server that was
 * begun on it. */
static void choose_signals(bool reloads, sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    if (reloads || !isatty(STDIN_FILENO))
        sigaddset(signals, SIGHUP);
    /* Before any thread starts, so that all of them leave these to this one. */
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static bool run(const char *data, const struct uplift_options *open,
                const struct server_options *options, struct running *running, struct error *err)
{
    choose_signals(options->tls_certificate, &running->signals);
    running->uplift = uplift_open_with(data, open, err);
    running->server = running->uplift ? server_start(running->uplift, options, err) : NULL;
    bool ok = running->server && welcome(running->uplift, running->server, err), hurry = !ok;
    if (ok) {
        begin_life(running);
        wait_for_end(running);
        hurry = leave(running);
    }
    atomic_store(&running->ending, true);
    if (running->watchdog_usec)
        pthread_join(running->watchdog, NULL);
    server_stop(&running->server, hurry);
    uplift_close(&running->uplift);
    return ok;
}

int serve_command(int argc, char **argv)
{
    const char *data = NULL, *store_max = NULL, *mode = "660";
    struct option_values listen = {.values = {"127.0.0.1:8080"}, .count = 1};
    const char *log_format = "text", *log_level = "info";
    struct server_options server = {.log = &serve_log};
    struct running running = {.compact_hours = 24};
    int64_t threads = 0, connections = 2000, timeout = 30, arrive = 60, rate = 100000;
    struct uplift_options open = {.refusing = tell_refusing};
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "listen", .kind = OPTION_LIST, .out = &listen},
        {.name = "socket-mode", .kind = OPTION_TEXT, .out = &mode},
        {.name = "tls-cert", .kind = OPTION_TEXT, .out = &server.tls_certificate},
        {.name = "tls-key", .kind = OPTION_TEXT, .out = &server.tls_key},
        {.name = "threads", .kind = OPTION_INTEGER, .out = &threads, .least = 1, .most = 1024},
        {.name = "connections",
         .kind = OPTION_INTEGER,
         .out = &connections,
         .least = 1,
         .most = 1000000},
        {.name = "timeout", .kind = OPTION_INTEGER, .out = &timeout, .least = 1, .most = 86400},
        {.name = "arrive", .kind = OPTION_INTEGER, .out = &arrive, .least = 1, .most = 86400},
        {.name = "retain-days",
         .kind = OPTION_INTEGER,
         .out = &open.retain_days,
         .least = 1,
         .most = 36500},
        {.name = "rate", .kind = OPTION_INTEGER, .out = &rate, .least = 0, .most = 1000000000},
        {.name = "compact-hours",
         .kind = OPTION_INTEGER,
         .out = &running.compact_hours,
         .least = 0,
         .most = 100000},
        {.name = "drain-seconds",
         .kind = OPTION_INTEGER,
         .out = &running.drain_seconds,
         .least = 0,
         .most = 3600},
        {.name = "log-format", .kind = OPTION_TEXT, .out = &log_format, .choices = log_formats},
        {.name = "log-level", .kind = OPTION_TEXT, .out = &log_level, .choices = log_levels},
        {.name = "log-requests", .kind = OPTION_FLAG, .out = &serve_log.requests},
        {.name = "store-max", .kind = OPTION_TEXT, .out = &store_max},
        {.name = "require-consent", .kind = OPTION_FLAG, .out = &open.require_consent},
        {.name = "pseudonymise", .kind = OPTION_TEXT, .out = &open.pseudonyms},
        {0}};
    struct options options = {.command = "serve", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    serve_log.format = (enum log_format)options_word(log_formats, log_format);
    serve_log.most = (enum log_level)options_word(log_levels, log_level);
    if (!read_mode(mode, &server.socket_mode))
        return options_wrong("serve", "--socket-mode: must be octal, such as 660");
    if (listen.count > SERVER_LISTEN_MAX)
        return options_wrong("serve", "--listen: more than %d", SERVER_LISTEN_MAX);
    if (!server.tls_certificate != !server.tls_key)
        return options_wrong("serve", "--tls-cert and --tls-key go together");
    if (store_max && !read_bytes(store_max, &open.store_max))
        return options_wrong("serve", "--store-max: must be a number of bytes from 1M on, such as "
                                      "500G");
    open.no_compaction = running.compact_hours == 0;
    server.listen = listen.values;
    server.listen_count = listen.count;
    server.threads = (unsigned)threads;
    server.connections_max = (unsigned)connections_possible(connections, (int64_t)listen.count);
    server.timeout_seconds = (unsigned)timeout;
    server.arrive_seconds = (unsigned)arrive;
    server.rate = (double)rate;
    struct error err = {0};
    if (run(data, &open, &server, &running, &err))
        return COMMAND_OK;
    log_error(&serve_log, LOG_ERROR, "", &err);
    return COMMAND_FOUND_WRONG;
}
