/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where nothing differs, 200 looks at a ratio (orders a session, where a customer who comes
 * often also orders more or less often each time) find an effect in at most alpha of the runs: the
 * unit is the customer, not the session. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>

static void visit(gsl_rng *rng, struct moments *arm, long n, double lift)
{
    for (long i = 0; i < n; i++) {
        double keen = gsl_ran_gamma(rng, 2, 0.5);
        unsigned int sessions = 1 + gsl_ran_poisson(rng, 2 * keen);
        double chance = 0.15 * (1 + lift) * keen / (1 + keen);
        moments_add(arm, gsl_ran_binomial(rng, chance, sessions), sessions);
    }
}

int main(int argc, char **argv)
{
    static const struct sim_world world = {MOMENTS_RATIO, visit, 100, 4000, 200, 0};
    static const struct sim_test tests[] = {
        {.name = "relative",
         .look = sim_sequential,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_RELATIVE},
        {.name = "absolute",
         .look = sim_sequential,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_ABSOLUTE},
    };
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261127);
    sim_peek_at_most(&sim, "orders a session, sequential", &world, tests, 2,
                     sim_runs(&sim, 400, 20000));
    return sim_end(&sim);
}
