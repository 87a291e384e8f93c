/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Durable events over HTTP into a store of a million customers, half of them exposures, half
 * outcomes, beside bare LMDB; what a server with that store needs of time, memory and disk. Not a
 * test. BENCH_CUSTOMERS: another number of customers; BENCH_RUNS: another number of runs of which
 * medians are told. "bench_ingest single" measures single events and nothing else;
 * BENCH_POSTGRES: PostgreSQL too. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/bench/bare.h"
#include "tests/bench/load.h"
#include "tests/bench/peer.h"
#include "tests/core/folder.h"

enum {
    RUNS = 3,
    RUNS_MAX = 99,
    FILL = 10000,
    PAYLOAD = 100,
    GROUP = 10000,
    SIZED = 100000,
    SIZED_FILL = 500
};

static uint64_t customers = 1000000, event_number;
static int runs = RUNS;
static char key[48];
static const double CELL_SECONDS = 0.6;

static void name_customer(char name[32], uint64_t number)
{
    snprintf(name, 32, "customer-%015llu", (unsigned long long)number);
}

/* --- the store ------------------------------------------------------------------------------ */

static void define(struct uplift *uplift)
{
    static const char *const metrics[] = {
        "{\"key\": \"purchase\", \"kind\": \"binary\", \"event\": \"order\"}",
        ("{\"key\": \"revenue\", \"kind\": \"mean\", \"event\": \"order\", \"cap\": 500,"
         " \"covariate_days\": 28}"),
        "{\"key\": \"orders\", \"kind\": \"count\", \"event\": \"order\"}",
        "{\"key\": \"csat\", \"kind\": \"csat\"}"};
    char text[512];
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        bench_make(uplift, true, metrics[i]);
    for (int i = 1; i <= 2; i++) {
        snprintf(text, sizeof text,
                 "{\"key\": \"exp-%d\", \"variants\": [{\"key\": \"control\"},"
                 " {\"key\": \"other\"}], \"segments\": [\"device\", \"country\"],"
                 " \"metrics\": {\"primary\": [\"purchase\"], \"guardrail\": [\"csat\"],"
                 " \"secondary\": [\"revenue\", \"orders\"]}}",
                 i);
        bench_make(uplift, false, text);
        snprintf(text, sizeof text, "exp-%d", i);
        bench_start(uplift, text);
    }
    bench_key(uplift, key);
}

/* What a row of a batch borrows. */
struct names {
    char customer[32], id[40];
};

static void common(struct event *event, struct names *names, uint64_t customer, int64_t now)
{
    name_customer(names->customer, customer);
    snprintf(names->id, sizeof names->id, "%032llx", (unsigned long long)++event_number * 104729);
    event->timed = true;
    event->at = now - 1;
    event->received = now;
    event->id = slice_of(names->id);
    event->customer = slice_of(names->customer);
}

/* Every customer once, in the first experiment. */
static void fill_exposure(struct event *event, struct names *names, uint64_t i, int64_t now)
{
    common(event, names, i, now);
    event->type = EVENT_EXPOSURE;
    event->name = slice_of("exp-1");
    event->variant = slice_of(i % 2 ? "control" : "other");
    event->attributes = slice_of(i % 3 ? "{\"country\":\"DE\",\"device\":\"ios\"}"
                                       : "{\"country\":\"FR\",\"device\":\"web\"}");
}

static void fill_outcome(struct event *event, struct names *names, uint64_t i, int64_t now)
{
    (void)i;
    common(event, names, bench_draw(customers), now);
    event->type = EVENT_OUTCOME;
    event->name = slice_of("order");
    event->value = (double)bench_draw(20000) / 100;
    event->has_value = true;
}

static void fill(struct uplift *uplift, uint64_t events, size_t at_once,
                 void (*make)(struct event *event, struct names *names, uint64_t i, int64_t now))
{
    struct event *list = xcalloc(at_once, sizeof *list);
    struct names *names = xcalloc(at_once, sizeof *names);
    for (uint64_t from = 0; from < events; from += at_once) {
        size_t count = 0;
        for (; count < at_once && from + count < events; count++) {
            list[count] = (struct event){.value = 1};
            make(&list[count], &names[count], from + count, uplift_now(uplift));
        }
        bench_write(uplift, list, count);
    }
    free(list);
    free(names);
}

static double used_bytes(struct uplift *uplift)
{
    uint64_t used, file, bound;
    store_size(uplift->store, &used, &file, &bound);
    return (double)used;
}

/* Bytes of the file, in commits so small that pages that wait for reuse do not show: customers
 * exposed once, then two outcomes for each of them, at random. */
static void measure_sizes(void)
{
    char folder[FOLDER_MAX];
    uint64_t all = customers;
    must(folder_make(folder));
    struct uplift *uplift = bench_open(folder);
    define(uplift);
    customers = SIZED;
    double empty = used_bytes(uplift);
    fill(uplift, SIZED, SIZED_FILL, fill_exposure);
    double exposed = used_bytes(uplift);
    fill(uplift, 2 * SIZED, SIZED_FILL, fill_outcome);
    double grown = used_bytes(uplift);
    bench_figure("disk per customer exposed, all tables", "B", (exposed - empty) / SIZED, 400,
                 false);
    bench_figure("disk per event then, all tables", "B", (grown - exposed) / (2 * SIZED), 250,
                 false);
    customers = all;
    uplift_close(&uplift);
    folder_remove(folder);
}

static void fill_folder(const char *folder)
{
    struct uplift *uplift = bench_open(folder);
    define(uplift);
    double began = bench_seconds();
    fill(uplift, customers, FILL, fill_exposure);
    bench_figure("exposures of new customers in process", "/s",
                 (double)customers / (bench_seconds() - began), 0, true);
    began = bench_seconds();
    fill(uplift, customers / 4, FILL, fill_outcome);
    bench_figure("outcomes of random customers in process", "/s",
                 (double)customers / 4 / (bench_seconds() - began), 0, true);
    uplift_close(&uplift);
}

/* --- events --------------------------------------------------------------------------------- */

static void write_event(struct text *body)
{
    char name[32];
    uint64_t number = bench_draw(customers);
    long long at = (long long)clock_now(&clock_system) - 1;
    name_customer(name, number);
    event_number++;
    if (event_number % 2)
        text_printf(body,
                    "{\"id\":\"%032llx\",\"type\":\"exposure\",\"customer\":\"%s\","
                    "\"experiment\":\"exp-%d\",\"variant\":\"%s\",\"at\":%lld,"
                    "\"attributes\":{\"country\":\"DE\",\"device\":\"ios\"}}",
                    (unsigned long long)event_number * 104729, name, 1 + (int)bench_draw(2),
                    number % 2 ? "control" : "other", at);
    else
        text_printf(body,
                    "{\"id\":\"%032llx\",\"type\":\"outcome\",\"customer\":\"%s\","
                    "\"name\":\"order\",\"value\":%d.%02d,\"at\":%lld}",
                    (unsigned long long)event_number * 104729, name, (int)bench_draw(200),
                    (int)bench_draw(100), at);
}

static void next(void *data, struct text *body)
{
    size_t batch = *(size_t *)data;
    for (size_t i = 0; i < batch; i++) {
        text_add(body, i ? "," : "[", 1);
        write_event(body);
    }
    text_add(body, "]", 1);
}

static void next_question(void *data, struct text *body)
{
    (void)data;
    text_puts(body, "{\"customer\": \"customer-1\", \"experiments\": [\"exp-1\"]}");
}

static struct load_figures run(const struct bench_server *server, const char *path, size_t batch,
                               unsigned connections, double seconds)
{
    const struct load load = {.port = server->port,
                              .connections = connections,
                              .warm = 0.3,
                              .seconds = seconds,
                              .path = path,
                              .key = key,
                              .next = next,
                              .data = &batch,
                              /* The first answers come together, and so do those after them. */
                              .least = 2 * connections};
    struct load_figures figures = load_run(&load);
    figures.rate *= (double)batch;
    if (figures.refused)
        error_fatal("%llu requests were refused", (unsigned long long)figures.refused);
    return figures;
}

/* Medians of ours and of the bare server, in turn. */
struct pair {
    double rate[2], p99[2];
    double used[2]; /* microseconds of processors an event */
};

static struct pair beside(const struct bench_server servers[2], size_t batch, unsigned connections,
                          double seconds)
{
    double rates[2][RUNS_MAX], p99s[2][RUNS_MAX], used[2][RUNS_MAX];
    char bare_path[32];
    struct pair pair;
    snprintf(bare_path, sizeof bare_path, "/%zu", batch);
    for (int i = 0; i < runs; i++)
        for (int which = 0; which < 2; which++) {
            double before = bench_used_by(servers[which].pid);
            struct load_figures figures =
                run(&servers[which], which ? bare_path : "/v1/events", batch, connections, seconds);
            rates[which][i] = figures.rate;
            p99s[which][i] = figures.p99;
            used[which][i] = 1e6 * (bench_used_by(servers[which].pid) - before) /
                             (double)(figures.answers * batch);
        }
    for (int which = 0; which < 2; which++) {
        pair.rate[which] = bench_median(rates[which], (size_t)runs);
        pair.p99[which] = bench_median(p99s[which], (size_t)runs);
        pair.used[which] = bench_median(used[which], (size_t)runs);
    }
    return pair;
}

/* The bare store is empty at first, as measures of group commit are told elsewhere. */
static void measure_single(const struct bench_server *ours)
{
    char folder[FOLDER_MAX];
    must(folder_make(folder));
    struct bench_server servers[2] = {*ours, bare_commits(folder, 300)};
    struct pair pair = beside(servers, 1, 64, bench_long() ? 10 : 1.5);
    bench_stop(&servers[1]);
    folder_remove(folder);
    bench_ratio("single events, 64 connections (bare group commit)", "/s", pair.rate[0],
                pair.rate[1], 0.6);
    bench_figure("  p99", "ms", pair.p99[0], 10, false);
    bench_figure("  bare p99", "ms", pair.p99[1], 0, false);
    bench_ratio("  of processors for one", "us", pair.used[0], pair.used[1], 1.67);
}

/* Every size of batches with every number of connections, beside a server that does no more than
 * to put as many records of as many bytes into a store of as many. */
static void measure_cells(const struct bench_server *ours)
{
    static const size_t batches[] = {1, 100, 1000};
    static const unsigned connections[] = {1, 8, 64};
    char folder[FOLDER_MAX];
    must(folder_make(folder));
    struct bare_store *store = bare_open(folder, customers, PAYLOAD);
    bare_close(&store);
    struct bench_server servers[2] = {*ours, bare_commits(folder, 300)};
    printf("events over HTTP beside bare libmicrohttpd and LMDB, medians of %d\n", runs);
    printf("%6s %12s %12s %12s %6s %10s %10s %10s %10s\n", "batch", "connections", "ours /s",
           "bare /s", "ratio", "p99 ms", "bare ms", "ours us", "bare us");
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
        for (size_t c = 0; c < sizeof connections / sizeof *connections; c++) {
            struct pair pair =
                beside(servers, batches[b], connections[c], bench_long() ? 5 : CELL_SECONDS);
            printf("%6zu %12u %12.0f %12.0f %6.2f %10.2f %10.2f %10.2f %10.2f\n", batches[b],
                   connections[c], pair.rate[0], pair.rate[1], pair.rate[0] / pair.rate[1],
                   pair.p99[0], pair.p99[1], pair.used[0], pair.used[1]);
            fflush(stdout);
        }
    bench_stop(&servers[1]);
    folder_remove(folder);
}

/* Batches beside LMDB alone, without HTTP. */
static void measure_batches(const struct bench_server *ours, unsigned connections)
{
    double rates[2][RUNS_MAX];
    char folder[FOLDER_MAX], what[80];
    must(folder_make(folder));
    struct bare_store *bare = bare_open(folder, customers, PAYLOAD);
    for (int i = 0; i < runs; i++) {
        rates[0][i] = run(ours, "/v1/events", 1000, connections, bench_long() ? 10 : 1.5).rate;
        rates[1][i] = bare_puts(bare, 10 * GROUP, GROUP);
    }
    snprintf(what, sizeof what, "events in batches of 1000, %u connections (bare random puts)",
             connections);
    bench_ratio(what, "/s", bench_median(rates[0], (size_t)runs),
                bench_median(rates[1], (size_t)runs), 0.4);
    bare_close(&bare);
    folder_remove(folder);
}

/* Batches, and single events, beside single rows: what a team would do that has no batches. */
static void measure_postgres(const struct bench_server *ours)
{
    const char *set = getenv("BENCH_POSTGRES");
    if (!set || !*set) {
        printf("PostgreSQL, single rows, 64 clients: skipped, BENCH_POSTGRES is not set\n");
        return;
    }
    double single = run(ours, "/v1/events", 1, 64, 3).rate;
    double many = run(ours, "/v1/events", 1000, 8, 3).rate;
    double rows = peer_number("sh", "postgres.sh", "3");
    if (rows > 0) {
        bench_ratio("events in batches of 1000 (PostgreSQL, single rows)", "/s", many, rows, 5);
        bench_ratio("single events, 64 connections (PostgreSQL, single rows)", "/s", single, rows,
                    1);
    }
}

/* Until the first answer, of a server that was not running. */
static struct bench_server start(const char *folder)
{
    double took[RUNS];
    struct bench_server server = {0};
    struct load load = {
        .connections = 1, .most = 1, .path = "/v1/assign", .key = key, .next = next_question};
    for (int i = 0; i < RUNS; i++) {
        if (i)
            bench_stop(&server);
        double began = bench_seconds();
        server = bench_serve(folder);
        load.port = server.port;
        load_run(&load);
        took[i] = 1e3 * (bench_seconds() - began);
    }
    bench_figure("start to the first answer", "ms", bench_median(took, RUNS), 100, false);
    return server;
}

static void measure_binary(void)
{
    char command[512];
    const char *bin = getenv("UPLIFT_BIN");
    struct stat info = {0};
    char folder[FOLDER_MAX];
    must(folder_make(folder));
    snprintf(command, sizeof command, "%s/stripped", folder);
    char *path = xstrdup(command);
    snprintf(command, sizeof command, "strip -o %s %s", path, bin && *bin ? bin : "./uplift");
    if (system(command) == 0 && stat(path, &info) == 0)
        bench_figure("binary with page, stripped", "MB", (double)info.st_size / 1e6, 2, false);
    free(path);
    folder_remove(folder);
}

static void read_settings(void)
{
    const char *count = getenv("BENCH_CUSTOMERS"), *times = getenv("BENCH_RUNS");
    if (count)
        customers = strtoull(count, NULL, 10);
    if (times)
        runs = (int)strtol(times, NULL, 10);
    must(customers > 0 && runs > 0 && runs <= RUNS_MAX);
}

static void measure_server(const char *folder)
{
    double resident, private;
    struct bench_server ours = start(folder);
    bench_memory(ours.pid, &resident, &private);
    bench_figure("memory idle, resident", "MB", resident, 15, false);
    bench_figure("memory idle, private", "MB", private, 0, false);
    measure_single(&ours);
    measure_batches(&ours, 8);
    measure_batches(&ours, 64);
    measure_cells(&ours);
    measure_postgres(&ours);
    bench_memory(ours.pid, &resident, &private);
    bench_figure("memory under load, private", "MB", private, 100, false);
    bench_figure("memory under load, resident with pages of the store", "MB", resident, 0, false);
    bench_stop(&ours);
}

int main(int argc, char **argv)
{
    char folder[FOLDER_MAX];
    bool single = argc > 1 && strcmp(argv[1], "single") == 0;
    read_settings();
    must(folder_make(folder));
    printf("%llu customers\n", (unsigned long long)customers);
    if (!single) {
        measure_binary();
        measure_sizes();
    }
    fill_folder(folder);
    if (single) {
        struct bench_server ours = bench_serve(folder);
        measure_single(&ours);
        bench_stop(&ours);
    } else {
        measure_server(folder);
    }
    folder_remove(folder);
    return 0;
}
