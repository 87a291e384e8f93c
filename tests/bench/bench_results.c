/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results of an experiment with 20 metrics, 4 variants and 10 segments, up to the text of the
 * answer, at ten thousand and at a million customers (BENCH_LONG: ten million too), in time of one
 * processor: the cost must not grow. Not a test. */
#include <stdio.h>
#include <stdlib.h>

#include "core/analysis.h"
#include "core/folded.h"
#include "tests/bench/bench.h"
#include "tests/core/folder.h"

enum { METRICS = 20, FILL = 20000, RUNS = 51 };

static void define(struct uplift *uplift)
{
    struct text lists;
    char text[256];
    text_init(&lists, 4096);
    for (int i = 0; i < METRICS; i++) {
        snprintf(text, sizeof text,
                 "{\"key\": \"m-%d\", \"kind\": \"%s\", \"event\": \"e-%d\","
                 " \"covariate_days\": 14}",
                 i, i % 2 ? "mean" : "binary", i % 4);
        bench_make(uplift, true, text);
        text_printf(&lists, "%s\"m-%d\"", i == 0 ? "" : i == 2 ? "], \"secondary\": [" : ", ", i);
    }
    struct text whole;
    text_init(&whole, 8192);
    text_printf(&whole,
                "{\"key\": \"exp\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"},"
                " {\"key\": \"c\"}, {\"key\": \"d\"}], \"segments\": [\"plan\", \"region\"],"
                " \"metrics\": {\"primary\": [%s]}}",
                lists.ptr);
    bench_make(uplift, false, whole.ptr);
    bench_start(uplift, "exp");
    text_release(&lists);
    text_release(&whole);
}

struct row {
    char customer[32], attributes[64], name[8];
};

/* An exposure and an outcome of one customer each. */
static void make_pair(struct event *events, struct row *row, uint64_t customer, int64_t now)
{
    static const char *const variants[] = {"a", "b", "c", "d"};
    snprintf(row->customer, sizeof row->customer, "customer-%012llu", (unsigned long long)customer);
    snprintf(row->attributes, sizeof row->attributes, "{\"plan\":\"p%d\",\"region\":\"r%d\"}",
             (int)bench_draw(5), (int)bench_draw(5));
    snprintf(row->name, sizeof row->name, "e-%d", (int)bench_draw(8));
    events[0] = (struct event){.type = EVENT_EXPOSURE,
                               .timed = true,
                               .at = now - 2,
                               .received = now,
                               .customer = slice_of(row->customer),
                               .name = slice_of("exp"),
                               .variant = slice_of(variants[customer % 4]),
                               .attributes = slice_of(row->attributes)};
    events[1] = (struct event){.type = EVENT_OUTCOME,
                               .timed = true,
                               .at = now - 1,
                               .received = now,
                               .customer = slice_of(row->customer),
                               .name = slice_of(row->name),
                               .value = (double)bench_draw(10000) / 100,
                               .has_value = true};
}

static void fill(struct uplift *uplift, uint64_t from, uint64_t to)
{
    struct event *events = xcalloc(2 * FILL, sizeof *events);
    struct row *rows = xcalloc(FILL, sizeof *rows);
    while (from < to) {
        size_t count = 0;
        for (; count < FILL && from < to; count++)
            make_pair(&events[2 * count], &rows[count], from++, uplift_now(uplift));
        bench_write(uplift, events, 2 * count);
    }
    free(events);
    free(rows);
}

static double results_once(struct uplift *uplift)
{
    const struct results_options options = {.as_of = -1};
    struct error err = {0};
    double start = bench_used();
    json_t *results = analysis_results(uplift, slice_of("exp"), &options, &err);
    if (!results)
        error_fatal("%s", err.message);
    free(folded_text(results));
    json_decref(results);
    return 1e3 * (bench_used() - start);
}

static void measure(struct uplift *uplift, uint64_t customers)
{
    double runs[RUNS];
    char what[80];
    results_once(uplift);
    for (int i = 0; i < RUNS; i++)
        runs[i] = results_once(uplift);
    snprintf(what, sizeof what, "results at %llu customers", (unsigned long long)customers);
    bench_figure(what, "ms", bench_median(runs, RUNS), 5, false);
}

int main(void)
{
    static const uint64_t sizes[] = {10000, 1000000, 10000000};
    char folder[FOLDER_MAX];
    uint64_t filled = 0;
    must(folder_make(folder));
    struct uplift *uplift = bench_open(folder);
    define(uplift);
    for (size_t i = 0; i < (bench_long() ? 3 : 2); i++) {
        double start = bench_seconds();
        fill(uplift, filled, sizes[i]);
        printf("filled with %llu customers in %.0f s\n", (unsigned long long)(sizes[i] - filled),
               bench_seconds() - start);
        filled = sizes[i];
        measure(uplift, filled);
    }
    uplift_close(&uplift);
    return !folder_remove(folder);
}
