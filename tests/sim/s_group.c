/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where nothing differs, a group-sequential test errs in alpha of the runs over all of its
 * planned looks together, not more and not less, by each spending function, with looks at unequal
 * times, two-sided and one-sided. Looked at twenty times with the last look's boundary it errs in
 * far more: the plan is part of the test. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>
#include <stdlib.h>

#include "stats/group.h"

enum { LOOKS = 4, UNITS = 4000, PEEKS = 20 };
static const double times[LOOKS] = {0.2, 0.45, 0.7, 1};

static void buy(gsl_rng *rng, struct moments *arm, double n)
{
    sim_add_binary(arm, n, gsl_ran_binomial(rng, 0.3, (unsigned int)n));
}

/* Whether any look crosses its critical value. */
static bool crosses(struct sim *sim, const double *at, const double *critical, int looks,
                    enum sides sides)
{
    struct effect_pair pair = {moments_empty(MOMENTS_BINARY, false),
                               moments_empty(MOMENTS_BINARY, false)};
    for (int k = 0; k < looks; k++) {
        double more = UNITS * at[k] - (double)pair.control.n;
        buy(sim->rng, &pair.control, more);
        buy(sim->rng, &pair.treatment, more);
        struct effect effect = effect_between(&pair, 1, EFFECT_ABSOLUTE);
        if (group_crosses(effect.estimate, effect.se, critical[k], sides))
            return true;
    }
    return false;
}

static void by_function(struct sim *sim, enum group_spending function, double gamma,
                        enum sides sides, const char *words)
{
    const struct group group = {
        .function = function, .gamma = gamma, .times = times, .looks = LOOKS};
    double critical[LOOKS];
    long runs = sim_runs(sim, 20000, 1000000), hits = 0;
    if (!group_critical(&group, 0.05, sides, critical))
        abort();
    for (long run = 0; run < runs; run++)
        hits += crosses(sim, times, critical, LOOKS, sides);
    sim_at_most(sim, hits, runs, 0.0515, "group-sequential, %s (alpha and a 33rd of it)", words);
    sim_at_least(sim, hits, runs, 0.0485, "group-sequential, %s, spends its alpha", words);
}

static void without_a_plan(struct sim *sim)
{
    double at[PEEKS], critical[PEEKS];
    long runs = sim_runs(sim, 2000, 50000), hits = 0;
    for (int k = 0; k < PEEKS; k++) {
        at[k] = (double)(k + 1) / PEEKS;
        critical[k] = 2.0141;
    }
    for (long run = 0; run < runs; run++)
        hits += crosses(sim, at, critical, PEEKS, SIDES_TWO);
    sim_at_least(sim, hits, runs, 0.15, "the last boundary at 20 unplanned looks is misled");
}

int main(int argc, char **argv)
{
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261130);
    by_function(&sim, GROUP_OBRIEN_FLEMING, 1, SIDES_TWO, "obrien-fleming");
    by_function(&sim, GROUP_POCOCK, 1, SIDES_TWO, "pocock");
    by_function(&sim, GROUP_KIM_DEMETS, 1.5, SIDES_TWO, "kim-demets 1.5");
    by_function(&sim, GROUP_HWANG, -2, SIDES_TWO, "hwang-shih-decani -2");
    by_function(&sim, GROUP_OBRIEN_FLEMING, 1, SIDES_GREATER, "obrien-fleming, one-sided");
    by_function(&sim, GROUP_POCOCK, 1, SIDES_LESS, "pocock, one-sided");
    without_a_plan(&sim);
    return sim_end(&sim);
}
