/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One decision (10 attributes, an audience of 3 conditions) beside the bare hash of the customer,
 * the median of five runs each. Not a test: prints a ratio. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/assign.h"
#include "core/bucket.h"
#include "core/error.h"
#include "core/experiment_change.h"

enum { CUSTOMERS = 1024, ROUNDS = 400000, RUNS = 5 };

struct bench {
    struct experiment *experiment;
    json_t *attributes;
    char customers[CUSTOMERS][32];
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double hash_once(const struct bench *bench, struct slice customer)
{
    return bucket_of(slice_of(bench->experiment->seed), customer);
}

static double decide_once(const struct bench *bench, struct slice customer)
{
    return assign_decide(bench->experiment, customer, bench->attributes, NULL, NULL).bucket;
}

/* Nanoseconds a call. */
static double measure(const struct bench *bench,
                      double (*once)(const struct bench *bench, struct slice customer))
{
    double runs[RUNS];
    volatile double sink = 0;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        for (int i = 0; i < ROUNDS; i++)
            sink += once(bench, (struct slice){bench->customers[i % CUSTOMERS], 24});
        runs[run] = (seconds() - start) / ROUNDS * 1e9;
    }
    qsort(runs, RUNS, sizeof *runs, compare);
    return runs[RUNS / 2];
}

int main(void)
{
    static const char definition[] =
        "{\"key\": \"checkout-recs\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
        " \"audience\": {\"country\": {\"$in\": [\"DE\", \"FR\"]}, \"age\": {\"$gte\": 18},"
        " \"device\": \"ios\"}}";
    static struct bench bench;
    struct error err = {0};
    json_t *json = json_loads(definition, 0, NULL);
    struct experiment *draft = experiment_create(json, 1, 0, &err);
    must(draft);
    bench.experiment = experiment_step(draft, STEP_START, NULL, 0, &err);
    must(bench.experiment);
    bench.attributes = json_pack("{s:s, s:i, s:s, s:i, s:i, s:s, s:b, s:n, s:f, s:s}", "country",
                                 "DE", "age", 30, "device", "ios", "x1", 1, "x2", 2, "x3", "c",
                                 "x4", 1, "x5", "x6", 1.5, "x7", "z");
    for (int i = 0; i < CUSTOMERS; i++)
        snprintf(bench.customers[i], sizeof bench.customers[i], "customer-%015d", i * 7919);
    double hash = measure(&bench, hash_once), decision = measure(&bench, decide_once);
    printf("hash %.0f ns, decision %.0f ns (%.2f million/s): %.1f hashes a decision\n", hash,
           decision, 1e3 / decision, decision / hash);
    experiment_unref(&bench.experiment);
    experiment_unref(&draft);
    json_decref(bench.attributes);
    json_decref(json);
    return 0;
}
