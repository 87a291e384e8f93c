/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: what the intervals of all of 200 looks have in common (the running interval that the
 * server shows) holds the true effect, at all looks at once, in at least 1 - alpha of the runs:
 * that is, no interval of any look misses it in more than alpha. With no effect, a small and a
 * large one; relative effects by the delta method from 100 conversions in each arm on, by Fieller
 * from the first look on. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>

static const double rate = 0.1;

static void buy(gsl_rng *rng, struct moments *arm, long n, double lift)
{
    sim_add_binary(arm, (double)n, gsl_ran_binomial(rng, rate * (1 + lift), (unsigned int)n));
}

static void with_lift(struct sim *sim, double lift, const char *words)
{
    const struct sim_world world = {MOMENTS_BINARY, buy, 50, 10000, 200, lift};
    const struct sim_test relative = {.look = sim_sequential,
                                      .alpha = 0.05,
                                      .tuning = 5000,
                                      .scale = EFFECT_RELATIVE,
                                      .from = 100,
                                      .coverage = true,
                                      .truth = lift};
    struct sim_test tests[] = {relative, relative, relative, relative, relative}, exact = relative,
                    fixed;
    tests[0].name = "sequential, relative, from 100 conversions";
    tests[1].name = "sequential, absolute";
    tests[1].scale = EFFECT_ABSOLUTE;
    tests[1].truth = rate * lift;
    tests[1].from = 0;
    tests[2].name = "msprt, relative, from 100 conversions";
    tests[2].look = sim_msprt;
    tests[2].tuning = 0.01;
    tests[3] = tests[1];
    tests[3].name = "sequential, absolute, greater";
    tests[3].sides = SIDES_GREATER;
    tests[4].name = "sequential, relative by Fieller";
    tests[4].look = sim_fieller;
    tests[4].from = 0;
    sim_peek_at_most(sim, words, &world, tests, 5, sim_runs(sim, 600, 20000));

    exact = tests[1];
    exact.name = "exact";
    exact.look = sim_exact;
    sim_peek_at_most(sim, words, &world, &exact, 1, sim_runs(sim, 20, 1500));

    long hits, runs = sim_runs(sim, 100, 10000);
    fixed = tests[1];
    fixed.look = sim_fixed;
    sim_peek(sim, &world, &fixed, 1, runs, &hits);
    sim_at_least(sim, hits, runs, 0.25, "%s, fixed misses", words);
}

int main(int argc, char **argv)
{
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261203);
    with_lift(&sim, 0, "misses no effect");
    with_lift(&sim, 0.1, "misses an effect of 10%");
    with_lift(&sim, 1, "misses an effect of 100%");
    return sim_end(&sim);
}
