/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: with eight metrics of the same customers, which move together, under 100 looks,
 *
 *     holm on running p-values: in at most alpha of the runs is any metric that does not differ
 * ever claimed to (familywise error), whether others differ or not e-bh on e-values:         at the
 * look at which a user stops (the first with a claim, else the last) the mean share of false claims
 * among the claims (false discovery rate) is at most alpha
 *
 * and without a correction far more runs hold a false claim. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>
#include <math.h>

#include "stats/multiple.h"
#include "stats/sequential.h"

enum { METRICS = 8, LOOKS = 100, STEP = 100 };
static const double alpha = 0.05;

struct verdicts {
    bool holm, plain; /* some true null was claimed at some look */
    double false_share;
};

/* Values of one customer: half of each is what they have in common. Those of the first `true_count`
 * metrics are higher in the treatment. */
static void add_customers(struct sim *sim, struct moments *arms, int true_count, double effect)
{
    for (int unit = 0; unit < STEP; unit++) {
        double common = gsl_ran_ugaussian(sim->rng) * M_SQRT1_2;
        for (int i = 0; i < METRICS; i++)
            moments_add(&arms[i],
                        common + gsl_ran_ugaussian(sim->rng) * M_SQRT1_2 +
                            (i < true_count ? effect : 0),
                        0);
    }
}

/* How many claims there are among the family, and how many of them are false. */
static int claims(const struct multiple *family, int true_count, int *wrong)
{
    int all = 0;
    *wrong = 0;
    for (int i = 0; i < METRICS; i++) {
        bool claim = family[i].adjusted <= alpha;
        all += claim;
        *wrong += claim && family[i].index >= (size_t)true_count;
    }
    return all;
}

static int claims_by(const double *p, enum multiple_method method, int true_count, int *wrong)
{
    struct multiple family[METRICS];
    for (size_t i = 0; i < METRICS; i++)
        family[i] = (struct multiple){.p = p[i], .index = i};
    multiple_adjust(family, METRICS, method);
    return claims(family, true_count, wrong);
}

static struct verdicts run(struct sim *sim, int true_count)
{
    struct moments control[METRICS], treatment[METRICS];
    struct verdicts verdicts = {false, false, 0};
    double least[METRICS], inverse[METRICS];
    bool stopped = false;
    for (int i = 0; i < METRICS; i++) {
        control[i] = treatment[i] = moments_empty(MOMENTS_MEAN, false);
        least[i] = 1;
    }
    for (int look = 0; look < LOOKS; look++) {
        int wrong;
        add_customers(sim, control, true_count, 0);
        add_customers(sim, treatment, true_count, 0.1);
        for (int i = 0; i < METRICS; i++) {
            const struct effect_pair pair = {control[i], treatment[i]};
            struct effect effect = effect_between(&pair, 1, EFFECT_ABSOLUTE);
            struct inference now =
                sequential_test(effect.estimate, effect.se, effect.units, alpha, 5000, SIDES_TWO);
            least[i] = fmin(least[i], now.p_value);
            inverse[i] = exp(-now.log_e_value);
        }
        claims_by(least, MULTIPLE_HOLM, true_count, &wrong);
        verdicts.holm = verdicts.holm || wrong > 0;
        claims_by(least, MULTIPLE_NONE, true_count, &wrong);
        verdicts.plain = verdicts.plain || wrong > 0;
        int all = stopped ? 0 : claims_by(inverse, MULTIPLE_BH, true_count, &wrong);
        if (all > 0) {
            stopped = true;
            verdicts.false_share = (double)wrong / all;
        }
    }
    return verdicts;
}

/* The false discovery rate is a mean of shares; rounded up to whole hits it is judged as a count,
 * which has the wider bounds of the two. */
static void with_effects(struct sim *sim, int true_count)
{
    long runs = sim_runs(sim, 60, 5000), holm = 0, plain = 0;
    double rate = 0;
    for (long i = 0; i < runs; i++) {
        struct verdicts verdicts = run(sim, true_count);
        holm += verdicts.holm;
        plain += verdicts.plain;
        rate += verdicts.false_share;
    }
    sim_at_most(sim, holm, runs, alpha, "%d of 8 metrics differ, holm: a false claim", true_count);
    sim_at_most(sim, (long)ceil(rate), runs, alpha,
                "%d of 8 metrics differ, e-bh: false discoveries", true_count);
    if (true_count == 0)
        sim_at_least(sim, plain, runs, 0.05, "no metric differs, uncorrected: a false claim");
}

int main(int argc, char **argv)
{
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261202);
    with_effects(&sim, 0);
    with_effects(&sim, 3);
    return sim_end(&sim);
}
