/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where as many answer in both arms but other customers do, and nothing else differs, the
 * naive effect of a survey errs nearly always and the post-stratified one in alpha of the runs; the
 * tests of rates and of composition keep their level, and find what they are for; limits around
 * Lee's bounds hold the effect. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdio.h>

#include "stats/fixed.h"
#include "stats/response.h"
#include "stats/sequential.h"

enum { STRATA = 2, LOOKS = 20 };
static const double alpha = 0.05;

/* Two arms of a survey: who is exposed at a look, in which stratum, who of them answers, and who of
 * those is pleased. The arms differ in no score. */
struct survey {
    unsigned exposed[STRATA]; /* of each arm, a look */
    double rate[2][STRATA];   /* of answering, by arm */
    double pleased[STRATA];   /* of those who answer */
};

/* As many answer in both arms, but in the second those who use android, who are the pleased ones.
 */
static const struct survey other_customers = {{240, 160}, {{0.2, 0.1}, {0.1, 0.25}}, {0.4, 0.8}};
/* Strata answer unlike, but alike in both arms. */
static const struct survey same_customers = {{240, 160}, {{0.2, 0.1}, {0.2, 0.1}}, {0.4, 0.8}};

struct counts {
    double exposed[2][STRATA], low[2][STRATA], high[2][STRATA];
};

static void look(gsl_rng *rng, const struct survey *survey, struct counts *counts)
{
    for (int arm = 0; arm < 2; arm++)
        for (int k = 0; k < STRATA; k++) {
            unsigned n = survey->exposed[k];
            unsigned answers = gsl_ran_binomial(rng, survey->rate[arm][k], n);
            unsigned pleased = gsl_ran_binomial(rng, survey->pleased[k], answers);
            counts->exposed[arm][k] += n;
            counts->high[arm][k] += pleased;
            counts->low[arm][k] += answers - pleased;
        }
}

static struct moments csat(double low, double high)
{
    const double scores[5] = {low, 0, 0, 0, high};
    return moments_of_csat(scores);
}

static struct effect naive_of(const struct counts *counts)
{
    struct effect_pair pair = {
        csat(counts->low[0][0] + counts->low[0][1], counts->high[0][0] + counts->high[0][1]),
        csat(counts->low[1][0] + counts->low[1][1], counts->high[1][0] + counts->high[1][1])};
    return effect_between(&pair, 1, EFFECT_ABSOLUTE);
}

static struct effect corrected_of(const struct counts *counts)
{
    struct effect_pair pairs[STRATA];
    double exposed[STRATA];
    for (int k = 0; k < STRATA; k++) {
        pairs[k] = (struct effect_pair){csat(counts->low[0][k], counts->high[0][k]),
                                        csat(counts->low[1][k], counts->high[1][k])};
        exposed[k] = counts->exposed[0][k] + counts->exposed[1][k];
    }
    return response_post_stratify(pairs, exposed, STRATA).effect;
}

static bool rates_differ(const struct counts *counts)
{
    double answered[2], asked[2];
    for (int arm = 0; arm < 2; arm++) {
        answered[arm] =
            counts->low[arm][0] + counts->low[arm][1] + counts->high[arm][0] + counts->high[arm][1];
        asked[arm] = counts->exposed[arm][0] + counts->exposed[arm][1];
    }
    return response_rates(answered, asked, 2).p_value <= alpha;
}

static bool composition_differs(const struct counts *counts)
{
    struct response_stratum strata[STRATA];
    struct segment_effect work[STRATA];
    for (int k = 0; k < STRATA; k++)
        strata[k] = (struct response_stratum){
            counts->exposed[0][k], counts->low[0][k] + counts->high[0][k], counts->exposed[1][k],
            counts->low[1][k] + counts->high[1][k]};
    return response_composition(strata, STRATA, work).p_value <= alpha;
}

static bool rejects(const struct effect *effect)
{
    return !effect->problem &&
           fixed_test(effect->estimate, effect->se, effect->df, alpha, SIDES_TWO).p_value <= alpha;
}

static bool rejects_at_any_look(const struct effect *effect)
{
    return !effect->problem &&
           sequential_test(effect->estimate, effect->se, effect->units, alpha, 5000, SIDES_TWO)
                   .p_value <= alpha;
}

/* How many runs came to what; the first five at the last look. */
struct tallied {
    int naive, corrected, rates, composition, turned;
    int naive_ever, corrected_ever; /* sequential, at any look */
};

static struct tallied simulate(gsl_rng *rng, const struct survey *survey, int runs)
{
    struct tallied all = {0};
    for (int run = 0; run < runs; run++) {
        struct counts counts = {0};
        bool naive_ever = false, corrected_ever = false;
        struct effect naive = {0}, corrected = {0};
        for (int i = 0; i < LOOKS; i++) {
            look(rng, survey, &counts);
            naive = naive_of(&counts);
            corrected = corrected_of(&counts);
            naive_ever = naive_ever || rejects_at_any_look(&naive);
            corrected_ever = corrected_ever || rejects_at_any_look(&corrected);
        }
        all.naive += rejects(&naive);
        all.corrected += rejects(&corrected);
        all.rates += rates_differ(&counts);
        all.composition += composition_differs(&counts);
        all.turned += !response_agrees(naive.estimate, corrected.estimate);
        all.naive_ever += naive_ever;
        all.corrected_ever += corrected_ever;
    }
    return all;
}

/* Of 100 asked, 10 would answer in either arm; in the second so would 5 more, who are displeased.
 * NPS of those 10 is 30 in the first arm and 50 in the second: an effect of 20. How often limits
 * around the bounds hold it. */
static int bounds_hold(gsl_rng *rng, int runs)
{
    enum { ASKED = 5000 };
    static const double first[] = {0.05, 0.03, 0.02, 0.9}, second[] = {0.06, 0.03, 0.06, 0.85};
    int held = 0;
    for (int run = 0; run < runs; run++) {
        unsigned a[4], b[4];
        gsl_ran_multinomial(rng, 4, ASKED, first, a);
        gsl_ran_multinomial(rng, 4, ASKED, second, b);
        struct effect_pair pair = {moments_of_nps(a[0], a[1], a[2]),
                                   moments_of_nps(b[0], b[1], b[2])};
        struct response_lee lee = response_lee(&pair, ASKED, ASKED);
        struct interval low = fixed_test(lee.low, lee.low_se, 1000, alpha, SIDES_TWO).interval;
        struct interval high = fixed_test(lee.high, lee.high_se, 1000, alpha, SIDES_TWO).interval;
        held += low.low <= 20 && 20 <= high.high;
    }
    return held;
}

/* It errs in alpha of the runs, give or take a tenth of that. */
static void at_level(struct sim *sim, int hits, int runs, const char *words)
{
    sim_at_most(sim, hits, runs, 1.1 * alpha, "%s", words);
    sim_at_least(sim, hits, runs, 0.8 * alpha, "%s, and no less", words);
}

int main(int argc, char **argv)
{
    struct sim sim;
    sim_begin(&sim, argc, argv, 20090701);
    int runs = (int)sim_runs(&sim, 2000, 40000);
    struct tallied other = simulate(sim.rng, &other_customers, runs);
    sim_at_least(&sim, other.naive, runs, 0.99, "other customers answer: naive is misled");
    sim_at_least(&sim, other.naive_ever, runs, 0.95, "at some look of a sequential one too");
    at_level(&sim, other.corrected, runs, "other customers answer: post-stratified");
    sim_at_most(&sim, other.corrected_ever, runs, alpha, "post-stratified, under peeking");
    at_level(&sim, other.rates, runs, "rates of answering that are alike");
    sim_at_least(&sim, other.composition, runs, 0.99, "composition that is not");
    struct tallied same = simulate(sim.rng, &same_customers, runs);
    at_level(&sim, same.naive, runs, "the same customers answer: naive");
    at_level(&sim, same.corrected, runs, "the same customers answer: post-stratified");
    at_level(&sim, same.rates, runs, "the same customers answer: rates");
    at_level(&sim, same.composition, runs, "the same customers answer: composition");
    printf("# without any effect or bias the sign turns in %.3f of runs\n",
           (double)same.turned / runs);
    sim_at_least(&sim, bounds_hold(sim.rng, runs), runs, 0.95, "limits around Lee's bounds hold");
    return sim_end(&sim);
}
