/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where nothing differs, 200 looks with a one-sided sequential test find a change to the
 * tested side in at most alpha of the runs (relative effects: from 100 conversions in each arm on);
 * and where the treatment is on the other side, in fewer still. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>

static void buy(gsl_rng *rng, struct moments *arm, long n, double lift)
{
    sim_add_binary(arm, (double)n, gsl_ran_binomial(rng, 0.1 * (1 + lift), (unsigned int)n));
}

int main(int argc, char **argv)
{
    static const struct sim_test tests[] = {
        {.name = "greater, absolute",
         .look = sim_sequential,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_ABSOLUTE,
         .sides = SIDES_GREATER},
        {.name = "less, absolute",
         .look = sim_sequential,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_ABSOLUTE,
         .sides = SIDES_LESS},
        {.name = "greater, relative, from 100 conversions",
         .look = sim_sequential,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_RELATIVE,
         .sides = SIDES_GREATER,
         .from = 100},
        {.name = "less, relative, from 100 conversions",
         .look = sim_sequential,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_RELATIVE,
         .sides = SIDES_LESS,
         .from = 100},
        {.name = "less, relative, from the first: a known limit",
         .look = sim_sequential,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_RELATIVE,
         .sides = SIDES_LESS,
         .limit = 0.08},
    };
    static const struct sim_world same = {MOMENTS_BINARY, buy, 50, 10000, 200, 0};
    static const struct sim_world worse = {MOMENTS_BINARY, buy, 50, 10000, 200, -0.05};
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261129);
    long runs = sim_runs(&sim, 1000, 50000);
    sim_peek_at_most(&sim, "one-sided, no difference", &same, tests, 5, runs);
    sim_peek_at_most(&sim, "one-sided, worse by 5%", &worse, tests, 1, runs);
    return sim_end(&sim);
}
