/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What statistics cost: a whole report as stats/ computes it, and as the study does it with its
 * JSON; the exact interval of nps; the boundaries of 60 looks. Medians of many runs, in time of one
 * core. Not a test: prints milliseconds beside what is to be reached. */
#include <gsl/gsl_errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/error.h"
#include "core/study.h"
#include "stats/effect.h"
#include "stats/exact.h"
#include "stats/group.h"
#include "stats/multiple.h"
#include "stats/segment.h"
#include "stats/sequential.h"

enum { METRICS = 20, VARIANTS = 4, SEGMENTS = 10, LOOKS = 60, RUNS = 101 };

static volatile double sink;
static json_t *study;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *what, double reach, void (*once)(void))
{
    double runs[RUNS];
    once();
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        once();
        runs[run] = 1e3 * (seconds() - start);
    }
    qsort(runs, RUNS, sizeof *runs, compare);
    printf("%-66s %8.3f ms", what, runs[RUNS / 2]);
    if (reach > 0)
        printf("  (at most %g)", reach);
    putchar('\n');
}

/* --- a report ------------------------------------------------------------------------------- */

/* Sums of an arm: of metric m, variant v, and of segment s (0: of all). */
static struct moments_sums sums_of(int m, int v, int s)
{
    double n = s ? 10000 + 13 * s : 100000 + 7 * v, mean = 5 + 0.1 * m + 0.02 * v;
    return (struct moments_sums){.n = n, .sum = n * mean, .sum_sq = n * (mean * mean + 9)};
}

/* The arms of one metric, whole (0) and by segment, as they are computed once. */
struct arms {
    struct moments of[SEGMENTS + 1][VARIANTS];
};

static void fill(struct arms *arms, int m)
{
    for (int s = 0; s <= SEGMENTS; s++)
        for (int v = 0; v < VARIANTS; v++) {
            struct moments_sums sums = sums_of(m, v, s);
            arms->of[s][v] = moments_of_sums(MOMENTS_MEAN, false, &sums);
        }
}

static struct inference infer(const struct moments *arms, int v, struct segment_effect *effect)
{
    const struct effect_pair pair = {arms[0], arms[v]};
    struct effect e = effect_between(&pair, 1, EFFECT_RELATIVE);
    *effect = (struct segment_effect){e.estimate, e.se};
    return sequential_test(e.estimate, e.se, e.units, 0.05, 5000, SIDES_TWO);
}

static void compare_segments(const struct arms *arms, int v)
{
    struct multiple values[SEGMENTS];
    struct segment_effect effects[SEGMENTS];
    for (int s = 0; s < SEGMENTS; s++)
        values[s].p = infer(arms->of[s + 1], v, &effects[s]).p_value;
    multiple_adjust(values, SEGMENTS, MULTIPLE_HOLM);
    struct segment_spread spread = segment_spread_of(effects, SEGMENTS);
    for (int s = 0; s < SEGMENTS; s++)
        sink += segment_shrink(effects[s], &spread).estimate + values[s].adjusted;
}

/* Every comparison of every metric, whole and by segment, with corrections, Q and shrinkage. */
static void report_of_stats(void)
{
    struct multiple family[METRICS * (VARIANTS - 1)];
    struct segment_effect effect;
    struct arms arms;
    size_t members = 0;
    for (int m = 0; m < METRICS; m++) {
        fill(&arms, m);
        for (int v = 1; v < VARIANTS; v++) {
            family[members++].p = infer(arms.of[0], v, &effect).p_value;
            compare_segments(&arms, v);
        }
    }
    multiple_adjust(family, members, MULTIPLE_HOLM);
    sink += family[0].adjusted;
}

static json_t *arms_json(int m, int s)
{
    json_t *arms = json_array();
    for (int v = 0; v < VARIANTS; v++) {
        struct moments_sums sums = sums_of(m, v, s);
        json_array_append_new(arms, json_pack("{s:f, s:f, s:f}", "n", sums.n, "sum", sums.sum,
                                              "sum_sq", sums.sum_sq));
    }
    return arms;
}

static json_t *metric_json(int m)
{
    char key[16], value[16];
    json_t *segments = json_array();
    snprintf(key, sizeof key, "m%d", m);
    for (int s = 1; s <= SEGMENTS; s++) {
        snprintf(value, sizeof value, "s%d", s);
        json_array_append_new(segments, json_pack("{s:s, s:s, s:o}", "segment", "device", "value",
                                                  value, "arms", arms_json(m, s)));
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "key", key, "kind", "mean", "arms", arms_json(m, 0),
                     "segments", segments);
}

static json_t *study_json(void)
{
    json_t *variants = json_array(), *metrics = json_array();
    for (int v = 0; v < VARIANTS; v++) {
        char key[16];
        snprintf(key, sizeof key, "v%d", v);
        json_array_append_new(variants, json_pack("{s:s}", "key", key));
    }
    for (int m = 0; m < METRICS; m++)
        json_array_append_new(metrics, metric_json(m));
    return json_pack("{s:o, s:o}", "variants", variants, "metrics", metrics);
}

static void report_of_study(void)
{
    struct error err = {0};
    json_t *report = study_analyze(study, &err);
    if (!report)
        error_fatal("the study is refused: %s", err.message);
    json_decref(report);
}

/* --- single methods ------------------------------------------------------------------------- */

static void exact_nps(void)
{
    const struct effect_pair pair = {moments_of_nps(4100, 3200, 2700),
                                     moments_of_nps(4400, 3100, 2500)};
    sink += exact_test(&pair, 1, 0.05).inference.interval.low;
}

static void boundaries(void)
{
    double times[LOOKS], critical[LOOKS];
    for (int i = 0; i < LOOKS; i++)
        times[i] = (i + 1.0) / LOOKS;
    const struct group group = {.function = GROUP_OBRIEN_FLEMING, .times = times, .looks = LOOKS};
    if (!group_critical(&group, 0.05, SIDES_TWO, critical))
        error_fatal("out of memory");
    sink += critical[LOOKS - 1];
}

int main(void)
{
    gsl_set_error_handler_off();
    study = study_json();
    measure("report, 20 metrics x 4 variants x 10 segments, sequential: stats", 1, report_of_stats);
    measure("the same from JSON to JSON (study_analyze)", 0, report_of_study);
    measure("exact interval of nps, 10,000 answers an arm", 1, exact_nps);
    measure("group-sequential boundaries of 60 looks", 50, boundaries);
    json_decref(study);
    return 0;
}
