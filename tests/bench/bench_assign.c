/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One decision as a request makes it, from the published catalog of 20 running experiments by the
 * key of one (10 attributes, an audience of 3 conditions), beside the bare hash of the customer,
 * the median of five runs each, and beside GrowthBook's SDK in Node. Not a test: prints a ratio. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/assign.h"
#include "core/bucket.h"
#include "core/catalog.h"
#include "core/error.h"
#include "core/experiment_change.h"
#include "tests/bench/peer.h"

enum { CUSTOMERS = 1024, ROUNDS = 400000, RUNS = 5, EXPERIMENTS = 20 };

struct bench {
    struct catalog_root catalog;
    json_t *attributes;
    char customers[CUSTOMERS][32];
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double hash_once(struct bench *bench, struct slice customer)
{
    (void)bench;
    return bucket_of(slice_of("exp-11"), customer);
}

static double decide_once(struct bench *bench, struct slice customer)
{
    struct catalog *catalog = catalog_acquire(&bench->catalog);
    const struct experiment *experiment = catalog_experiment(catalog, slice_of("exp-11"));
    const struct assign_customer who = {.id = customer, .attributes = bench->attributes};
    double bucket = assign_decide(&who, experiment, NULL).bucket;
    catalog_release(&bench->catalog, catalog);
    return bucket;
}

/* Nanoseconds a call. */
static double measure(struct bench *bench,
                      double (*once)(struct bench *bench, struct slice customer))
{
    double runs[RUNS];
    volatile double sink = 0;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        for (int i = 0; i < ROUNDS; i++)
            sink += once(bench, (struct slice){bench->customers[i % CUSTOMERS], 24});
        runs[run] = (seconds() - start) / ROUNDS * 1e9;
    }
    (void)sink;
    qsort(runs, RUNS, sizeof *runs, compare);
    return runs[RUNS / 2];
}

static struct experiment *make_running(uint32_t number)
{
    char text[512];
    struct error err = {0};
    snprintf(text, sizeof text,
             "{\"key\": \"exp-%u\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
             " \"audience\": {\"country\": {\"$in\": [\"DE\", \"FR\"]}, \"age\": {\"$gte\": 18},"
             " \"device\": \"ios\"}}",
             number);
    json_t *json = json_loads(text, 0, NULL);
    struct experiment *draft = experiment_create(json, number, 0, &err);
    must(draft);
    struct experiment *running = experiment_step(draft, STEP_START, NULL, 0, &err);
    must(running);
    experiment_unref(&draft);
    json_decref(json);
    return running;
}

/* GrowthBook's SDK has two ways on a server: one client for all, and an instance a request. */
static void compare_peers(double ours)
{
    static const struct {
        const char *argument, *what;
    } ways[] = {{"client", "decisions in process (GrowthBook's SDK, one client)"},
                {"instance", "decisions in process (the same, an instance a request)"}};
    if (!peer_packages("decisions of GrowthBook's SDK in process"))
        return;
    for (int i = 0; i < 2; i++) {
        double others = peer_number("node", "in_process.mjs", ways[i].argument);
        if (others > 0)
            bench_ratio(ways[i].what, "/s", ours, others, 20);
    }
}

int main(void)
{
    static struct bench bench;
    struct experiment *list[EXPERIMENTS];
    for (uint32_t i = 0; i < EXPERIMENTS; i++)
        list[i] = make_running(i + 1);
    catalog_root_init(&bench.catalog);
    catalog_publish(&bench.catalog, catalog_new(1, list, EXPERIMENTS, NULL, 0));
    bench.attributes = json_pack("{s:s, s:i, s:s, s:i, s:i, s:s, s:b, s:n, s:f, s:s}", "country",
                                 "DE", "age", 30, "device", "ios", "x1", 1, "x2", 2, "x3", "c",
                                 "x4", 1, "x5", "x6", 1.5, "x7", "z");
    for (int i = 0; i < CUSTOMERS; i++)
        snprintf(bench.customers[i], sizeof bench.customers[i], "customer-%015d", i * 7919);
    double hash = measure(&bench, hash_once), decision = measure(&bench, decide_once);
    printf("hash %.0f ns, decision %.0f ns: %.1f hashes a decision\n", hash, decision,
           decision / hash);
    printf("decisions in process %.2f million/s (at least 2.5)\n", 1e3 / decision);
    compare_peers(1e9 / decision);
    for (size_t i = 0; i < EXPERIMENTS; i++)
        experiment_unref(&list[i]);
    catalog_root_release(&bench.catalog);
    json_decref(bench.attributes);
    return 0;
}
