/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Simulate: one workspace a call, used by its runs one after the other. */
#include "stats/simulate.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/root.h"

/* A run under way. */
struct run {
    struct moments *arms; /* [count] */
    bool *claimed;        /* [count], of which the last is not used */
    unsigned char *memory;
};

static double customers_at(const struct simulate_design *design, size_t arm, size_t look)
{
    return floor(design->customers[arm] * design->times[look] + 0.5);
}

static void grow(const struct simulate_design *design, struct run *run, size_t look, gsl_rng *rng)
{
    for (size_t i = 0; i < design->count; i++) {
        double n = customers_at(design, i, look) - (double)run->arms[i].n;
        struct moments batch = population_draw(&design->arms[i], n, rng);
        run->arms[i] = moments_merge(&run->arms[i], &batch);
    }
}

static void end_comparison(struct simulate_tally *tally, size_t look, struct simulate_claim claim)
{
    tally->runs++;
    tally->ends[look]++;
    tally->claims += claim.side != 0;
    tally->up += claim.side > 0;
    tally->down += claim.side < 0;
    tally->at_claim += claim.side != 0 ? claim.estimate : 0;
    tally->estimates += claim.has_estimate;
    tally->at_end += claim.has_estimate ? claim.estimate : 0;
}

/* Asks about the comparisons that are open. Returns how many ended. */
static size_t judge_open(const struct simulate_design *design, struct run *run, size_t look,
                         struct simulate_tally *tallies, bool *any)
{
    size_t ended = 0;
    for (size_t i = 1; i < design->count; i++) {
        if (run->claimed[i - 1])
            continue;
        const struct simulate_look now = {
            .number = look + 1,
            .looks = design->looks,
            .share = design->times[look],
            .pair = {run->arms[0], run->arms[i]},
        };
        struct simulate_claim claim =
            design->judge(design->method, run->memory + (i - 1) * design->memory, &now);
        if (claim.side == 0 && look + 1 < design->looks)
            continue;
        run->claimed[i - 1] = true;
        *any = *any || claim.side != 0;
        end_comparison(&tallies[i - 1], look, claim);
        ended++;
    }
    return ended;
}

static bool run_once(const struct simulate_design *design, struct run *run, gsl_rng *rng,
                     struct simulate_tally *tallies)
{
    size_t open = design->count - 1;
    bool any = false;
    for (size_t i = 0; i < design->count; i++)
        run->arms[i] = moments_empty(design->arms[i].kind, false);
    memset(run->claimed, 0, design->count * sizeof *run->claimed);
    memset(run->memory, 0, design->count * design->memory);
    for (size_t look = 0; open > 0 && look < design->looks; look++) {
        grow(design, run, look, rng);
        open -= judge_open(design, run, look, tallies, &any);
    }
    return any;
}

bool simulate_runs(const struct simulate_design *design, gsl_rng *rng, size_t runs,
                   struct simulate_tally *tallies, double *any)
{
    struct run run = {
        .arms = calloc(design->count, sizeof *run.arms),
        .claimed = calloc(design->count, sizeof *run.claimed),
        .memory = calloc(design->count, design->memory ? design->memory : 1),
    };
    bool ok = run.arms && run.claimed && run.memory;
    for (size_t i = 0; ok && i < runs; i++)
        *any += run_once(design, &run, rng, tallies);
    free(run.arms);
    free(run.claimed);
    free(run.memory);
    return ok;
}

static double all_customers_at(const struct simulate_design *design, size_t look)
{
    double sum = 0;
    for (size_t i = 0; i < design->count; i++)
        sum += customers_at(design, i, look);
    return sum;
}

double simulate_mean_customers(const struct simulate_design *design,
                               const struct simulate_tally *tally)
{
    double sum = 0;
    for (size_t look = 0; look < design->looks; look++)
        sum += tally->ends[look] * all_customers_at(design, look);
    return sum / tally->runs;
}

double simulate_median_customers(const struct simulate_design *design,
                                 const struct simulate_tally *tally)
{
    double seen = 0;
    size_t look = 0;
    while (look + 1 < design->looks && 2 * (seen + tally->ends[look]) < tally->runs)
        seen += tally->ends[look++];
    return all_customers_at(design, look);
}

/* What a beta distribution has beyond x, less what it is to have there. */
struct tail {
    double a, b, want;
    bool upper;
};

static double tail_excess(double x, void *data)
{
    const struct tail *tail = data;
    return (tail->upper ? gsl_cdf_beta_Q(x, tail->a, tail->b)
                        : gsl_cdf_beta_P(x, tail->a, tail->b)) -
           tail->want;
}

/* By search: GSL's own inverse gives NaN for some a and b (as a = 5, b = 360 at 0.025). Without
 * memory the end beyond which nothing can be. */
static double beta_quantile(struct tail tail)
{
    gsl_root_fsolver *solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    gsl_function f = {tail_excess, &tail};
    if (!solver)
        return tail.upper;
    double x = root_between(solver, &f, 0, 1);
    gsl_root_fsolver_free(solver);
    return x;
}

struct simulate_range simulate_share_range(double count, double runs, double alpha)
{
    struct tail below = {count, runs - count + 1, alpha / 2, false};
    struct tail above = {count + 1, runs - count, alpha / 2, true};
    return (struct simulate_range){
        .low = count > 0 ? beta_quantile(below) : 0,
        .high = count < runs ? beta_quantile(above) : 1,
    };
}
