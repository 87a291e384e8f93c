/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Durable events over HTTP into a store of a million customers, half of them exposures, half
 * outcomes, beside bare LMDB; what a server with that store needs of time, memory and disk. Not a
 * test. BENCH_CUSTOMERS: another number of customers. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/bench/bare.h"
#include "tests/bench/load.h"
#include "tests/core/folder.h"

enum { RUNS = 3, FILL = 10000, PAYLOAD = 100, GROUP = 10000, SIZED = 100000, SIZED_FILL = 500 };

static uint64_t customers = 1000000, event_number;
static char key[48];

static void name_customer(char name[32], uint64_t number)
{
    snprintf(name, 32, "customer-%015llu", (unsigned long long)number);
}

/* --- the store ------------------------------------------------------------------------------ */

static void define(struct uplift *uplift)
{
    static const char *const metrics[] = {
        "{\"key\": \"purchase\", \"kind\": \"binary\", \"event\": \"order\"}",
        "{\"key\": \"revenue\", \"kind\": \"mean\", \"event\": \"order\", \"cap\": 500,"
        " \"covariate_days\": 28}",
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

static struct load_figures run(const struct bench_server *server, size_t batch,
                               unsigned connections)
{
    const struct load load = {.port = server->port,
                              .connections = connections,
                              .warm = 0.3,
                              .seconds = bench_long() ? 10 : 1.5,
                              .path = "/v1/events",
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

static void measure_single(const struct bench_server *ours)
{
    double rates[2][RUNS], p99s[2][RUNS];
    char folder[FOLDER_MAX];
    must(folder_make(folder));
    struct bench_server bare = bare_commits(folder, 300);
    for (int i = 0; i < RUNS; i++)
        for (int which = 0; which < 2; which++) {
            struct load_figures figures = run(which ? &bare : ours, 1, 64);
            rates[which][i] = figures.rate;
            p99s[which][i] = figures.p99;
        }
    bench_stop(&bare);
    folder_remove(folder);
    bench_ratio("single events, 64 connections (bare group commit)", "/s",
                bench_median(rates[0], RUNS), bench_median(rates[1], RUNS), 0.6);
    bench_figure("  p99", "ms", bench_median(p99s[0], RUNS), 10, false);
    bench_figure("  bare p99", "ms", bench_median(p99s[1], RUNS), 0, false);
}

static void measure_batches(const struct bench_server *ours)
{
    double rates[2][RUNS];
    char folder[FOLDER_MAX], what[80];
    must(folder_make(folder));
    struct bare_store *bare = bare_open(folder, customers, PAYLOAD);
    static const struct {
        size_t batch;
        unsigned connections;
        double reach;
    } cases[] = {{1000, 8, 0.4}, {1000, 64, 0.4}, {1000, 1, 0}, {100, 1, 0},
                 {100, 8, 0},    {100, 64, 0},    {1, 1, 0},    {1, 8, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int runs = cases[c].reach > 0 ? RUNS : 1;
        for (int i = 0; i < runs; i++) {
            rates[0][i] = run(ours, cases[c].batch, cases[c].connections).rate;
            if (cases[c].reach > 0)
                rates[1][i] = bare_puts(bare, 10 * GROUP, GROUP);
        }
        snprintf(what, sizeof what, "events in batches of %zu, %u connections%s", cases[c].batch,
                 cases[c].connections, cases[c].reach > 0 ? " (bare random puts)" : "");
        if (cases[c].reach > 0)
            bench_ratio(what, "/s", bench_median(rates[0], RUNS), bench_median(rates[1], RUNS),
                        cases[c].reach);
        else
            bench_figure(what, "/s", rates[0][0], 0, true);
    }
    bare_close(&bare);
    folder_remove(folder);
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

int main(void)
{
    char folder[FOLDER_MAX];
    double resident, private;
    const char *given = getenv("BENCH_CUSTOMERS");
    if (given)
        customers = strtoull(given, NULL, 10);
    must(folder_make(folder));
    printf("%llu customers\n", (unsigned long long)customers);
    measure_binary();
    measure_sizes();
    fill_folder(folder);
    struct bench_server ours = start(folder);
    bench_memory(ours.pid, &resident, &private);
    bench_figure("memory idle, resident", "MB", resident, 15, false);
    bench_figure("memory idle, private", "MB", private, 0, false);
    measure_single(&ours);
    measure_batches(&ours);
    bench_memory(ours.pid, &resident, &private);
    bench_figure("memory under load, private", "MB", private, 100, false);
    bench_figure("memory under load, resident with pages of the store", "MB", resident, 0, false);
    bench_stop(&ours);
    folder_remove(folder);
    return 0;
}
