/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: a scheduled design finds the effect that it was planned for with at most 0.6 of the
 * customers that a sequential one needs on average, with no more than alpha false positives.
 *
 * Designs as `uplift plan` makes them, at alpha 0.05 and power 0.8, with a look a day: 10% convert,
 * and the planned effect is such that a fixed test of 28 days finds it. An experiment ends when the
 * effect is claimed, or at the end of its plan. With `full`, a table of the mean number of
 * customers until then, over effects of 0, 0.5, 1 and 2 times the planned one, in shares of the
 * fixed test, for effects that need few, many and very many customers: the sequential default,
 * tuned to 5,000 customers, falls behind as they grow; one that is tuned to the plan (as nobody can
 * who does not know the effect) stands beside it. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/judge.h"
#include "stats/power.h"
#include "stats/scheduled.h"
#include "stats/simulate.h"

enum { DAYS = 28, LOOKS_MAX = 400, EFFECTS = 4 };

static const double effects[EFFECTS] = {0, 0.5, 1, 2}; /* times the planned one */
static const double weights[2] = {1, 1};
static const double rate = 0.1;

enum method { FIXED, SCHEDULED, SEQUENTIAL, TUNED, MSPRT, METHODS };
static const char *const names[METHODS] = {"fixed", "scheduled", "sequential (tuning 5000)",
                                           "sequential (tuned to its plan)", "msprt (likewise)"};

/* A method's plan: its looks, what judges them, and what came of it. */
struct plan {
    double times[LOOKS_MAX], critical[LOOKS_MAX], customers[2];
    size_t looks;
    struct judge judge;
    simulate_judge *judged;
    double mean[EFFECTS], claims[EFFECTS];
};

/* Whole days, a look each, the last one at the end of the plan. */
static void set_looks(struct plan *plan, enum method method, double total, double a_day)
{
    plan->looks = method == FIXED ? 1 : (size_t)fmin(ceil(total / a_day), LOOKS_MAX);
    for (size_t k = 0; k < plan->looks; k++)
        plan->times[k] = fmin((double)(k + 1) * a_day / total, 1);
    plan->times[plan->looks - 1] = 1;
    plan->customers[0] = plan->customers[1] = ceil(total / 2);
}

static struct power_design design_of(const struct plan *plan, enum method method)
{
    static power_needed *const needed[METHODS] = {power_needed_fixed, power_needed_drift,
                                                  power_needed_sequential, power_needed_sequential,
                                                  power_needed_msprt};
    return (struct power_design){.needed = needed[method],
                                 .scale = EFFECT_ABSOLUTE,
                                 .sides = SIDES_TWO,
                                 .alpha = 0.05,
                                 .power = 0.8,
                                 .tuning = plan->judge.tuning,
                                 .mixture_variance = plan->judge.mixture_variance,
                                 .weights = weights,
                                 .arms = 2};
}

/* The boundaries of a look a day up to the horizon, and the drift with which they are crossed. The
 * horizon and the number of looks depend on each other: they settle at once. */
static void set_boundaries(struct plan *plan, struct power_design *design, double fixed)
{
    double up[LOOKS_MAX], down[LOOKS_MAX], inflation = 1.1;
    for (int round = 0; round < 3; round++) {
        set_looks(plan, SCHEDULED, fixed * inflation, fixed / DAYS);
        const struct group group = scheduled_group(plan->times, plan->looks);
        if (!group_critical(&group, scheduled_alpha(0.05), SIDES_TWO, plan->critical) ||
            !group_drift(&group, plan->critical, SIDES_TWO, 0.8, &design->drift, up, down))
            abort();
        inflation = pow(design->drift / 2.801585, 2);
    }
    plan->judge.critical = plan->critical;
}

static void make_plan(struct plan *plan, enum method method, double effect, double fixed)
{
    static simulate_judge *const judges[METHODS] = {judge_fixed, judge_group, judge_sequential,
                                                    judge_sequential, judge_msprt};
    struct population control = population_of_rate(MOMENTS_BINARY, rate);
    plan->judged = judges[method];
    plan->judge = (struct judge){.scale = EFFECT_ABSOLUTE,
                                 .sides = SIDES_TWO,
                                 .alpha = 0.05,
                                 .tuning = method == TUNED ? 1.5 * fixed : 5000,
                                 .mixture_variance = effect * effect};
    struct power_design design = design_of(plan, method);
    if (method == SCHEDULED)
        set_boundaries(plan, &design, fixed);
    double total = power_customers(&design, &control, effect);
    set_looks(plan, method, total, fixed / DAYS);
    if (method == SCHEDULED) {
        const struct group group = scheduled_group(plan->times, plan->looks);
        if (!group_critical(&group, scheduled_alpha(0.05), SIDES_TWO, plan->critical))
            abort();
    }
}

static void run(struct sim *sim, struct plan *plan, double effect, long runs)
{
    for (int e = 0; e < EFFECTS; e++) {
        struct population arms[2] = {
            population_of_rate(MOMENTS_BINARY, rate),
            population_of_rate(MOMENTS_BINARY, rate + effects[e] * effect)};
        double ends[LOOKS_MAX] = {0}, any = 0;
        struct simulate_tally tally = {.ends = ends};
        const struct simulate_design design = {.arms = arms,
                                               .customers = plan->customers,
                                               .count = 2,
                                               .times = plan->times,
                                               .looks = plan->looks,
                                               .judge = plan->judged,
                                               .method = &plan->judge};
        if (!simulate_runs(&design, sim->rng, (size_t)runs, &tally, &any))
            abort();
        plan->claims[e] = tally.claims;
        plan->mean[e] = simulate_mean_customers(&design, &tally);
    }
}

static void tell(const struct plan *plans, double effect, double fixed, long runs)
{
    printf("\n10%% against %.2f%%: a fixed test needs %.0f customers; in shares of that\n",
           100 * (rate + effect), fixed);
    printf("%-32s %8s", "", "plan");
    for (int e = 0; e < EFFECTS; e++)
        printf("   at %g x effect  ", effects[e]);
    printf("\n");
    for (int m = 0; m < METHODS; m++) {
        printf("%-32s %8.2f", names[m], 2 * plans[m].customers[0] / fixed);
        for (int e = 0; e < EFFECTS; e++)
            printf("  %6.2f (%5.1f%%) ", plans[m].mean[e] / fixed,
                   100 * plans[m].claims[e] / (double)runs);
        printf("\n");
    }
    printf("mean customers until the decision (share of runs that claim an effect)\n\n");
}

/* All designs for one effect; the claim is made where it is `promised`. */
static void compare(struct sim *sim, double effect, long runs, bool promised)
{
    static struct plan plans[METHODS];
    struct population control = population_of_rate(MOMENTS_BINARY, rate);
    struct power_design design = design_of(&plans[FIXED], FIXED);
    double fixed = power_customers(&design, &control, effect);
    for (int m = 0; m < METHODS; m++) {
        make_plan(&plans[m], (enum method)m, effect, fixed);
        run(sim, &plans[m], effect, runs);
    }
    if (sim->full)
        tell(plans, effect, fixed, runs);
    const struct plan *scheduled = &plans[SCHEDULED], *sequential = &plans[SEQUENTIAL];
    sim_at_most(sim, (long)scheduled->claims[0], runs, 0.05, "scheduled, no effect, %.2f%%",
                100 * (rate + effect));
    sim_at_least(sim, (long)scheduled->claims[2], runs, 0.8, "scheduled, power, %.2f%%",
                 100 * (rate + effect));
    if (promised)
        sim_ratio_at_most(sim, scheduled->mean[2], sequential->mean[2], 0.6,
                          "customers, scheduled against sequential, planned effect");
}

/* --- the whole way, look by look ----------------------------------------------------------------
 *
 * As an experiment goes it: boundaries of looks that are not known beforehand, information from
 * what has happened, then the sequence up to twice the horizon. No effect. */

enum { REAL_LOOKS = 8, LEAST = 25 };

struct way {
    double rate;
    double first, second; /* customers of each arm, a look */
    int window;           /* conversions come evenly over so many looks from exposure on */
};

/* Conversions of the arm's customers of this look, put where they come. */
static void convert(struct sim *sim, const struct way *way, double customers, int at,
                    double *coming)
{
    unsigned count = gsl_ran_binomial(sim->rng, way->rate, (unsigned)customers);
    for (unsigned i = 0; i < count; i++) {
        int when = at + (int)gsl_rng_uniform_int(sim->rng, (unsigned long)way->window);
        if (when < 2 * REAL_LOOKS)
            coming[when]++;
    }
}

static bool claims_at(const struct effect *effect, struct scheduled *looks, double *information,
                      double *critical, double horizon)
{
    size_t k = looks->count;
    if (k > 0 && looks->share[k - 1] >= 1) {
        struct interval range =
            scheduled_past(effect->estimate, effect->se, effect->units, horizon, 0.05, SIDES_TWO)
                .interval;
        return range.low > 0 || range.high < 0;
    }
    information[k] = effect->information;
    looks->count++;
    if (!scheduled_critical(looks, 0.05, SIDES_TWO, &critical[k]))
        abort();
    return group_crosses(effect->estimate, effect->se, critical[k], SIDES_TWO);
}

static bool ever_claims(struct sim *sim, const struct way *way)
{
    double coming[2][2 * REAL_LOOKS] = {{0}}, information[REAL_LOOKS], share[REAL_LOOKS],
                         critical[REAL_LOOKS], n[2] = {0}, sum[2] = {0};
    const double each[2] = {way->first, way->second};
    struct scheduled looks = {information, share, critical, 0};
    for (int t = 0; t < 2 * REAL_LOOKS; t++) {
        struct effect_pair pair = {moments_empty(MOMENTS_BINARY, false),
                                   moments_empty(MOMENTS_BINARY, false)};
        for (int arm = 0; arm < 2; arm++) {
            convert(sim, way, each[arm], t, coming[arm]);
            n[arm] += each[arm];
            sum[arm] += coming[arm][t];
            sim_add_binary(arm ? &pair.treatment : &pair.control, n[arm], sum[arm]);
        }
        if (fmin(sum[0], sum[1]) < LEAST)
            continue; /* what it would have spent is there for the next */
        if (looks.count < REAL_LOOKS)
            share[looks.count] = fmin(1, (double)(t + 1) / REAL_LOOKS);
        struct effect effect = effect_between(&pair, 1, EFFECT_ABSOLUTE);
        if (!effect.problem && claims_at(&effect, &looks, information, critical,
                                         REAL_LOOKS * (way->first + way->second)))
            return true;
    }
    return false;
}

static void the_whole_way(struct sim *sim)
{
    static const struct {
        struct way way;
        const char *words;
    } ways[] = {{{0.1, 3000, 3000, 1}, "conversions at once"},
                {{0.1, 3000, 3000, 4}, "conversions over half of the plan"},
                {{0.1, 3000, 3000, 8}, "conversions over all of it"},
                {{0.5, 1000, 1000, 8}, "half converts, over all of it"},
                {{0.02, 9000, 1000, 1}, "arms of 90 to 10, 20 conversions a look"}};
    long runs = sim_runs(sim, 250, 20000);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        long hits = 0;
        for (long run = 0; run < runs; run++)
            hits += ever_claims(sim, &ways[i].way);
        sim_at_most(sim, hits, runs, 0.0525,
                    "scheduled to twice its horizon, %s (alpha and a 20th)", ways[i].words);
    }
}

int main(int argc, char **argv)
{
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261201);
    long runs = sim_runs(&sim, 4000, 100000);
    if (sim.full) {
        compare(&sim, 0.02, runs, false);
        compare(&sim, 0.01, runs, false);
    }
    compare(&sim, 0.005, runs, true);
    if (sim.full)
        compare(&sim, 0.002, runs, true);
    the_whole_way(&sim);
    return sim_end(&sim);
}
