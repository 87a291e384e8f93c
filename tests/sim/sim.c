/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/sim.h"

#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/exact.h"
#include "stats/fieller.h"
#include "stats/fixed.h"
#include "stats/msprt.h"
#include "stats/sequential.h"
#include "stats/simulate.h"

static const double miss = 0.001;

void sim_begin(struct sim *sim, int argc, char **argv, unsigned long seed)
{
    *sim = (struct sim){.full = argc == 2 && strcmp(argv[1], "full") == 0};
    if (argc > 2 || (argc == 2 && !sim->full)) {
        fprintf(stderr, "usage: %s [full]\n", argv[0]);
        exit(2);
    }
    gsl_set_error_handler_off();
    sim->rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (!sim->rng)
        abort();
    gsl_rng_set(sim->rng, seed);
    printf("# seed %lu\n", seed);
    if (sim->full)
        printf("%-66s %8s %8s %8s  %-17s %9s\n", "claim", "runs", "hits", "share", "99.9% bounds",
               "level");
}

int sim_end(struct sim *sim)
{
    if (!sim->full)
        printf("1..%d\n", sim->points);
    gsl_rng_free(sim->rng);
    return sim->failed > 0;
}

long sim_runs(const struct sim *sim, long brief, long full)
{
    return sim->full ? full : brief;
}

struct sim_bounds sim_bounds(long hits, long runs)
{
    struct simulate_range range = simulate_share_range((double)hits, (double)runs, 2 * miss);
    return (struct sim_bounds){range.low, range.high};
}

static void point(struct sim *sim, long hits, long runs, double level, bool most, const char *words)
{
    struct sim_bounds bounds = sim_bounds(hits, runs);
    bool fine = most ? bounds.low <= level : bounds.high >= level;
    bool shown = most ? bounds.high <= level : bounds.low >= level;
    double share = 100 * (double)hits / (double)runs;
    sim->points++;
    sim->failed += !fine;
    if (sim->full)
        printf("%-66s %8ld %8ld %7.3f%%  %6.3f%% - %6.3f%% %s %.4g%%  %s\n", words, runs, hits,
               share, 100 * bounds.low, 100 * bounds.high, most ? "<=" : ">=", 100 * level,
               shown  ? "shown"
               : fine ? "not contradicted"
                      : "CONTRADICTED");
    else
        printf("%s %d - %s: %ld of %ld runs (%.2f%%, bounds %.2f%% to %.2f%%), at %s %.4g%%\n",
               fine ? "ok" : "not ok", sim->points, words, hits, runs, share, 100 * bounds.low,
               100 * bounds.high, most ? "most" : "least", 100 * level);
    fflush(stdout);
}

static void point_of(struct sim *sim, long hits, long runs, double level, bool most,
                     const char *words, va_list list)
{
    char text[200];
    vsnprintf(text, sizeof text, words, list);
    point(sim, hits, runs, level, most, text);
}

void sim_ratio_at_most(struct sim *sim, double a, double b, double most, const char *words)
{
    bool fine = a <= most * b;
    sim->points++;
    sim->failed += !fine;
    if (sim->full)
        printf("%-66s %.0f / %.0f = %.3f <= %g  %s\n", words, a, b, a / b, most,
               fine ? "shown" : "CONTRADICTED");
    else
        printf("%s %d - %s: %.0f / %.0f = %.3f, at most %g\n", fine ? "ok" : "not ok", sim->points,
               words, a, b, a / b, most);
}

void sim_at_most(struct sim *sim, long hits, long runs, double level, const char *words, ...)
{
    va_list list;
    va_start(list, words);
    point_of(sim, hits, runs, level, true, words, list);
    va_end(list);
}

void sim_at_least(struct sim *sim, long hits, long runs, double level, const char *words, ...)
{
    va_list list;
    va_start(list, words);
    point_of(sim, hits, runs, level, false, words, list);
    va_end(list);
}

/* --- ways to look --- */

bool sim_sequential(const struct effect_pair *pair, const struct sim_test *test,
                    struct inference *out)
{
    struct effect effect = effect_between(pair, 1, test->scale);
    if (!effect.problem)
        *out = sequential_test(effect.estimate, effect.se, effect.units, test->alpha, test->tuning,
                               test->sides);
    return !effect.problem;
}

bool sim_fieller(const struct effect_pair *pair, const struct sim_test *test, struct inference *out)
{
    struct effect effect = effect_between(pair, 1, EFFECT_RELATIVE);
    if (effect.problem)
        return false;
    double q =
        sequential_test(0, 1, effect.units, test->alpha, test->tuning, SIDES_TWO).interval.high;
    *out = sequential_test(fieller_statistic(&effect), 1, effect.units, test->alpha, test->tuning,
                           SIDES_TWO);
    out->interval = fieller_interval(&effect, q, SIDES_TWO);
    return true;
}

bool sim_msprt(const struct effect_pair *pair, const struct sim_test *test, struct inference *out)
{
    struct effect effect = effect_between(pair, 1, test->scale);
    if (!effect.problem)
        *out = msprt_test(effect.estimate, effect.se, test->tuning, test->alpha);
    return !effect.problem;
}

bool sim_exact(const struct effect_pair *pair, const struct sim_test *test, struct inference *out)
{
    struct exact exact = exact_test(pair, 1, test->alpha);
    *out = exact.inference;
    return !exact.problem;
}

bool sim_fixed(const struct effect_pair *pair, const struct sim_test *test, struct inference *out)
{
    struct effect effect = effect_between(pair, 1, test->scale);
    if (!effect.problem)
        *out = fixed_test(effect.estimate, effect.se, effect.df, test->alpha, test->sides);
    return !effect.problem;
}

/* --- looking --- */

/* Whether an arm has what the test waits for. */
static bool ready(const struct moments *arm, long from)
{
    double seen = arm->kind == MOMENTS_BINARY ? arm->counts[0] : (double)arm->n;
    return seen >= (double)from;
}

static bool wrong(const struct effect_pair *pair, const struct sim_test *test)
{
    struct inference now;
    if (!ready(&pair->control, test->from) || !ready(&pair->treatment, test->from) ||
        !test->look(pair, test, &now))
        return false;
    if (!test->coverage)
        return now.p_value <= test->alpha;
    const struct interval *range = &now.interval;
    return (!range->low_open && test->truth < range->low) ||
           (!range->high_open && test->truth > range->high);
}

static void run(struct sim *sim, const struct sim_world *world, const struct sim_test *tests,
                int count, long *hits)
{
    struct effect_pair pair = {moments_empty(world->kind, false),
                               moments_empty(world->kind, false)};
    bool done[SIM_TESTS_MAX] = {false};
    long units = 0;
    int left = count;
    for (int look = 0; look < world->looks && left > 0; look++) {
        long until = world->first + (world->last - world->first) * look /
                                        (world->looks > 1 ? world->looks - 1 : 1);
        world->feed(sim->rng, &pair.control, until - units, 0);
        world->feed(sim->rng, &pair.treatment, until - units, world->lift);
        units = until;
        for (int i = 0; i < count; i++) {
            if (done[i] || !wrong(&pair, &tests[i]))
                continue;
            done[i] = true;
            hits[i]++;
            left--;
        }
    }
}

void sim_peek(struct sim *sim, const struct sim_world *world, const struct sim_test *tests,
              int count, long runs, long *hits)
{
    if (count > SIM_TESTS_MAX)
        abort();
    for (int i = 0; i < count; i++)
        hits[i] = 0;
    for (long i = 0; i < runs; i++)
        run(sim, world, tests, count, hits);
}

void sim_peek_at_most(struct sim *sim, const char *words, const struct sim_world *world,
                      const struct sim_test *tests, int count, long runs)
{
    long hits[SIM_TESTS_MAX];
    sim_peek(sim, world, tests, count, runs, hits);
    for (int i = 0; i < count; i++) {
        double level = tests[i].limit > 0 ? tests[i].limit : tests[i].alpha;
        sim_at_most(sim, hits[i], runs, level, "%s, %s", words, tests[i].name);
    }
}

void sim_add_binary(struct moments *arm, double n, double sum)
{
    struct moments_sums sums = {.n = n, .sum = sum};
    struct moments batch = moments_of_sums(MOMENTS_BINARY, false, &sums);
    *arm = moments_merge(arm, &batch);
}
