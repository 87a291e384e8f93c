/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plan, simulating: each truth is run from the same seed, in slices, so that whoever waits is told
 * how far it is. */
#include <math.h>

#include "core/plan_parts.h"
#include "stats/group.h"
#include "stats/judge.h"

/* Looks at arms in a slice: some milliseconds. */
static const double slice_work = 10000;

/* A simulation under way. */
struct simulation {
    struct plan *plan;
    const struct plan_options *options;
    gsl_rng *rng;
    uint32_t seed;
    double *customers; /* [arms] */
    double total;
    double *times, looks; /* of judging at every look */
    double done, whole;   /* runs of all results */
};

/* --- what is to be done --- */

static bool set_customers(struct simulation *simulation, struct error *err)
{
    struct plan *plan = simulation->plan;
    const struct power_design *design = &plan->design;
    struct json_place place = json_member(JSON_TOP, "simulate");
    double asked = (double)plan->simulate.customers, weight = 0;
    if (!(asked > 0) && !(plan->planned && plan->total <= UINT32_MAX))
        return json_fail_at(&place, "customers", err,
                            "must be given: the plan has more than can be simulated");
    simulation->customers =
        arena_alloc(&plan->study.arena, design->arms * sizeof *simulation->customers);
    for (size_t i = 0; i < design->arms; i++)
        weight += design->weights[i];
    for (size_t i = 0; i < design->arms; i++) {
        double n = asked > 0 ? floor(asked * design->weights[i] / weight + 0.5) : plan->per_arm[i];
        if (!(n >= 2))
            return json_fail_at(&place, "customers", err, "must give each arm at least 2");
        simulation->customers[i] = n;
        simulation->total += n;
    }
    return true;
}

static void set_times(struct simulation *simulation)
{
    struct plan *plan = simulation->plan;
    const struct group *group = &plan->study.spending.group;
    bool planned = plan->method->boundaries;
    size_t looks = planned ? group->looks : (size_t)plan->simulate.looks;
    simulation->times = arena_alloc(&plan->study.arena, looks * sizeof(double));
    simulation->looks = (double)looks;
    for (size_t i = 0; i < looks; i++)
        simulation->times[i] = planned ? group->times[i] : (double)(i + 1) / (double)looks;
}

/* How many truths there are, and each. */
static int truths_of(const struct plan *plan, double truths[2])
{
    truths[0] = plan->simulate.has_truth ? plan->simulate.truth : 0;
    truths[1] = plan->min_effect;
    return plan->simulate.has_truth ? 1 : 2;
}

static bool check_work(struct simulation *simulation, struct error *err)
{
    const struct plan *plan = simulation->plan;
    struct json_place place = json_member(JSON_TOP, "simulate");
    double truths[2], looks = simulation->looks + (plan->method->once ? 1 : 0);
    double results = truths_of(plan, truths);
    double work = results * looks * (double)plan->simulate.runs * (double)plan->design.arms *
                  plan->method->work;
    simulation->whole = results * (plan->method->once ? 2 : 1) * (double)plan->simulate.runs;
    return work <= simulation->options->work_most ||
           json_fail_at(&place, "runs", err,
                        "runs x looks x arms x truths (x %.0f for this method) must be at most "
                        "%.0f here, and is %.0f",
                        plan->method->work, simulation->options->work_most, work);
}

/* --- running --- */

static bool run_slices(struct simulation *simulation, const struct simulate_design *design,
                       struct simulate_tally *tallies, double *any)
{
    double left = (double)simulation->plan->simulate.runs;
    double slice = fmax(1, floor(slice_work / (double)(design->looks * design->count)));
    gsl_rng_set(simulation->rng, simulation->seed);
    while (left > 0) {
        double now = fmin(slice, left);
        if (!simulate_runs(design, simulation->rng, (size_t)now, tallies, any))
            return false;
        left -= now;
        simulation->done += now;
        if (simulation->options->progress)
            simulation->options->progress(simulation->options->data,
                                          simulation->done / simulation->whole);
    }
    return true;
}

/* --- telling --- */

static json_t *share_json(double count, double runs)
{
    struct simulate_range range = simulate_share_range(count, runs, 0.05);
    return json_pack("{s:o, s:[o, o]}", "share", json_figure(count / runs), "range",
                     json_figure(range.low), json_figure(range.high));
}

/* The share of claims on the side where the truth is not. */
static json_t *wrong_json(const struct simulate_tally *tally, double truth)
{
    if (truth == 0 || !(tally->claims > 0))
        return json_null();
    return share_json(truth > 0 ? tally->down : tally->up, tally->claims);
}

static json_t *comparison_json(const struct simulate_design *design,
                               const struct simulate_tally *tally, double truth)
{
    double at_claim = tally->claims > 0 ? tally->at_claim / tally->claims : HUGE_VAL;
    double at_end = tally->estimates > 0 ? tally->at_end / tally->estimates : HUGE_VAL;
    return json_pack("{s:o, s:o, s:{s:o, s:o}, s:{s:o, s:o}}", "claimed",
                     share_json(tally->claims, tally->runs), "wrong_direction",
                     wrong_json(tally, truth), "customers", "mean",
                     json_figure(simulate_mean_customers(design, tally)), "median",
                     json_figure(simulate_median_customers(design, tally)), "estimate", "at_claim",
                     json_figure(at_claim), "at_end", json_figure(at_end));
}

/* One truth judged one way. */
static json_t *result_json(struct simulation *simulation, const struct simulate_design *design,
                           double truth, const char *judged)
{
    struct arena *arena = &simulation->plan->study.arena;
    size_t treatments = design->count - 1;
    struct simulate_tally *tallies = arena_alloc(arena, treatments * sizeof *tallies);
    double any = 0;
    for (size_t i = 0; i < treatments; i++)
        tallies[i].ends = arena_alloc(arena, design->looks * sizeof(double));
    if (!run_slices(simulation, design, tallies, &any))
        error_fatal("out of memory for a simulation of %zu arms", design->count);
    json_t *list = json_array();
    for (size_t i = 0; i < treatments; i++)
        json_array_append_new(list, comparison_json(design, &tallies[i], truth));
    return json_pack("{s:o, s:s, s:o, s:o}", "truth", json_figure(truth), "judged", judged,
                     "claimed", share_json(any, tallies[0].runs), "comparisons", list);
}

static void append_results(struct simulation *simulation, double truth, json_t *results)
{
    static const double last[] = {1};
    const struct plan *plan = simulation->plan;
    const struct power_design *planned = &plan->design;
    struct judge judge = {
        .scale = planned->scale,
        .fieller = planned->fieller,
        .sides = planned->sides,
        .alpha = planned->alpha,
        .tuning = planned->tuning,
        .mixture_variance = planned->mixture_variance,
        .critical = plan->critical,
    };
    struct population *arms =
        arena_alloc(&simulation->plan->study.arena, planned->arms * sizeof *arms);
    struct simulate_design design = {
        .arms = arms,
        .customers = simulation->customers,
        .count = planned->arms,
        .times = simulation->times,
        .looks = (size_t)simulation->looks,
        .judge = plan->method->judge,
        .method = &judge,
    };
    arms[0] = plan->control;
    for (size_t i = 1; i < planned->arms; i++)
        must(population_shift(&plan->control, planned->scale, truth, &arms[i]));
    json_array_append_new(results, result_json(simulation, &design, truth, "every-look"));
    if (plan->method->once) {
        design.times = last;
        design.looks = 1;
        json_array_append_new(results, result_json(simulation, &design, truth, "last-look"));
    }
}

json_t *plan_simulation(struct plan *plan, const struct plan_options *options, struct error *err)
{
    struct simulation simulation = {.plan = plan, .options = options};
    double truths[2];
    simulation.seed = plan->simulate.seed ? (uint32_t)plan->simulate.seed : options->seed;
    set_times(&simulation);
    if (!set_customers(&simulation, err) || !check_work(&simulation, err))
        return NULL;
    simulation.rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (!simulation.rng)
        error_fatal("out of memory for a simulation");
    json_t *results = json_array();
    for (int i = 0, count = truths_of(plan, truths); i < count; i++)
        append_results(&simulation, truths[i], results);
    gsl_rng_free(simulation.rng);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "seed", json_figure(simulation.seed), "runs",
                     json_figure((double)plan->simulate.runs), "looks",
                     json_figure(simulation.looks), "customers", json_figure(simulation.total),
                     "results", results);
}
