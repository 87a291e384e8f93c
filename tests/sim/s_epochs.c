/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where the share of traffic changes on the way (10% treatment in the first epoch, 50% from
 * then on) while customers buy more in the second epoch for reasons of their own, pooling all
 * customers finds an effect that is not there in nearly every run; the effect over epochs as strata
 * errs, under 200 looks, in at most alpha of them (from 25 treated customers who bought on;
 * relative from 100). */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>

#include "stats/sequential.h"

enum { LOOKS = 200, STEP = 200 };

/* What the customers of an epoch do, and how many of them get the treatment. */
struct epoch {
    double rate, share;
};
static const struct epoch epochs[2] = {{0.1, 0.1}, {0.14, 0.5}};

static void arrive(struct sim *sim, const struct epoch *epoch, struct effect_pair *pair)
{
    unsigned int treated = gsl_ran_binomial(sim->rng, epoch->share, STEP);
    sim_add_binary(&pair->treatment, treated, gsl_ran_binomial(sim->rng, epoch->rate, treated));
    sim_add_binary(&pair->control, STEP - treated,
                   gsl_ran_binomial(sim->rng, epoch->rate, STEP - treated));
}

static bool claims(const struct effect_pair *strata, size_t count, enum effect_scale scale)
{
    struct effect effect = effect_between(strata, count, scale);
    return !effect.problem &&
           sequential_test(effect.estimate, effect.se, effect.units, 0.05, 5000, SIDES_TWO)
                   .p_value <= 0.05;
}

/* hits: pooled, stratified absolute, stratified relative. */
static void run(struct sim *sim, long *hits)
{
    struct moments none = moments_empty(MOMENTS_BINARY, false);
    struct effect_pair seen[2] = {{none, none}, {none, none}};
    bool hit[3] = {false};
    for (int look = 0; look < LOOKS; look++) {
        struct effect_pair strata[2], pooled;
        arrive(sim, &epochs[look >= LOOKS / 2], &seen[look >= LOOKS / 2]);
        strata[0] = seen[0];
        strata[1] = seen[1];
        pooled.control = moments_merge(&seen[0].control, &seen[1].control);
        pooled.treatment = moments_merge(&seen[0].treatment, &seen[1].treatment);
        size_t count = effect_merge_strata(strata, 2);
        double converted = pooled.treatment.counts[0];
        hit[0] = hit[0] || claims(&pooled, 1, EFFECT_ABSOLUTE);
        hit[1] = hit[1] || (converted >= 25 && claims(strata, count, EFFECT_ABSOLUTE));
        hit[2] = hit[2] || (converted >= 100 && claims(strata, count, EFFECT_RELATIVE));
    }
    for (int i = 0; i < 3; i++)
        hits[i] += hit[i];
}

int main(int argc, char **argv)
{
    struct sim sim;
    long hits[3] = {0};
    sim_begin(&sim, argc, argv, 20261204);
    long runs = sim_runs(&sim, 1000, 50000);
    for (long i = 0; i < runs; i++)
        run(&sim, hits);
    sim_at_least(&sim, hits[0], runs, 0.95, "epochs pooled are misled");
    sim_at_most(&sim, hits[1], runs, 0.05, "epochs as strata, sequential, absolute");
    sim_at_most(&sim, hits[2], runs, 0.05, "epochs as strata, sequential, relative");
    return sim_end(&sim);
}
