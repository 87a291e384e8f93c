/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where nothing differs, 200 looks at a conversion rate find an effect in at most alpha of
 * the runs by the methods that are valid at every look, and in far more by the fixed test.
 *
 * Exact, absolute effects and relative ones by Fieller (as experiments have them): from the first
 * look on, 50 customers an arm, of whom one or two may have converted. Relative effects by the
 * delta method: from 100 conversions in each arm on; before, the delta method's standard error is
 * too small where the treatment's mean is low by chance, and the share of runs that are misled
 * (looking from the first conversion) is what doc/statistics.md tells. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>

static double rate;

static void buy(gsl_rng *rng, struct moments *arm, long n, double lift)
{
    sim_add_binary(arm, (double)n, gsl_ran_binomial(rng, rate * (1 + lift), (unsigned int)n));
}

static const struct sim_test tests[] = {
    {.name = "sequential, absolute",
     .look = sim_sequential,
     .alpha = 0.05,
     .tuning = 5000,
     .scale = EFFECT_ABSOLUTE},
    {.name = "sequential tuned for 500, absolute",
     .look = sim_sequential,
     .alpha = 0.05,
     .tuning = 500,
     .scale = EFFECT_ABSOLUTE},
    {.name = "sequential, relative, from 100 conversions",
     .look = sim_sequential,
     .alpha = 0.05,
     .tuning = 5000,
     .scale = EFFECT_RELATIVE,
     .from = 100},
    {.name = "sequential, relative, from 25 conversions",
     .look = sim_sequential,
     .alpha = 0.05,
     .tuning = 5000,
     .scale = EFFECT_RELATIVE,
     .from = 25},
    {.name = "sequential, relative, from the first: a known limit",
     .look = sim_sequential,
     .alpha = 0.05,
     .tuning = 5000,
     .scale = EFFECT_RELATIVE,
     .limit = 0.15},
    {.name = "sequential, relative by Fieller",
     .look = sim_fieller,
     .alpha = 0.05,
     .tuning = 5000,
     .scale = EFFECT_RELATIVE},
    {.name = "msprt, relative, from 100 conversions",
     .look = sim_msprt,
     .alpha = 0.05,
     .tuning = 0.0001,
     .scale = EFFECT_RELATIVE,
     .from = 100},
    {.name = "msprt, wide mixture, relative, from 100",
     .look = sim_msprt,
     .alpha = 0.05,
     .tuning = 0.01,
     .scale = EFFECT_RELATIVE,
     .from = 100},
};
enum { TESTS = sizeof tests / sizeof tests[0] };

static const struct sim_test exact = {.name = "exact", .look = sim_exact, .alpha = 0.05};
static const struct sim_test fixed = {
    .name = "fixed", .look = sim_fixed, .alpha = 0.05, .scale = EFFECT_ABSOLUTE};

static void at_rate(struct sim *sim, double chance, const char *words)
{
    const struct sim_world world = {MOMENTS_BINARY, buy, 50, 10000, 200, 0};
    long naive = 0, runs = sim_runs(sim, 100, 10000);
    rate = chance;
    sim_peek_at_most(sim, words, &world, tests, TESTS, sim_runs(sim, 1000, 50000));
    sim_peek_at_most(sim, words, &world, &exact, 1, sim_runs(sim, 25, 1500));
    sim_peek(sim, &world, &fixed, 1, runs, &naive);
    sim_at_least(sim, naive, runs, 0.25, "%s, fixed is misled", words);
}

int main(int argc, char **argv)
{
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261125);
    at_rate(&sim, 0.02, "binary 2%");
    at_rate(&sim, 0.2, "binary 20%");
    return sim_end(&sim);
}
