/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Simulate: what a design does when it is run many times: how often it claims an effect, how soon,
 * and how flattering the estimate at a claim is.
 *
 * A run is an experiment with known truth. Its customers come in batches, one before each look
 * (population_draw), and the sufficient statistics grow by them. At each look a judge is asked
 * about each treatment against the control that has not been claimed yet; the run ends when all
 * are, or after the last look. With no effect the share of runs with a claim is the rate of false
 * positives, with one it is the power.
 *
 * Everything is a function of the design and of the generator's state: the same seed gives the same
 * figures, however the runs are cut into calls. No state outlives a call but the caller's tally.
 * Thread-safe with one generator and one tally a thread. */
#ifndef UPLIFT_STATS_SIMULATE_H
#define UPLIFT_STATS_SIMULATE_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>
#include <stddef.h>

#include "stats/effect.h"
#include "stats/population.h"

/* One look at one comparison. */
struct simulate_look {
    size_t number, looks;    /* from 1 to looks */
    double share;            /* of the planned customers that are there: times[number - 1] */
    struct effect_pair pair; /* all customers so far */
};

struct simulate_claim {
    int side; /* 1: the treatment is higher; -1: lower; 0: nothing is claimed */
    bool has_estimate;
    double estimate; /* where has_estimate */
};

/* What a method says at a look. `method` is its own; `memory` are the design's bytes for this
 * comparison, zeroed at the start of each run, for methods that need what earlier looks said. */
typedef struct simulate_claim simulate_judge(const void *method, void *memory,
                                             const struct simulate_look *look);

struct simulate_design {
    const struct population *arms; /* [count], the control first; borrowed, as all pointers */
    const double *customers;       /* [count] at the last look: whole, 1 to 2^32 - 1 */
    size_t count;                  /* at least 2 */
    const double *times;           /* [looks] shares of the customers, increasing, the last 1 */
    size_t looks;                  /* at least 1 */
    simulate_judge *judge;
    const void *method;
    size_t memory; /* bytes a comparison; 0 for none */
};

/* What happened to a comparison in all runs. Begins as zeros with the caller's `ends`. */
struct simulate_tally {
    double runs;
    double claims, up, down;  /* runs with a claim, and on which side */
    double *ends;             /* [looks] runs that ended at each look: by a claim, or the last */
    double at_claim;          /* sum of the estimates of claims */
    double estimates, at_end; /* runs with an estimate where they ended, and the sum of those */
};

/* Adds so many runs to tallies[count - 1], one a treatment, and to *any the runs in which any was
 * claimed. False, nothing added, where memory is out. */
bool simulate_runs(const struct simulate_design *design, gsl_rng *rng, size_t runs,
                   struct simulate_tally *tallies, double *any);

/* Customers in all arms until a comparison's claim or the last look: mean and median over its runs
 * (of an even number the lower middle). Needs a run. */
double simulate_mean_customers(const struct simulate_design *design,
                               const struct simulate_tally *tally);
double simulate_median_customers(const struct simulate_design *design,
                                 const struct simulate_tally *tally);

/* The range that holds the true share with at least the confidence 1 - alpha, whatever it is, where
 * `count` of `runs` were seen [ClopperPearson1934]: the alpha/2 quantile of Beta(x, n - x + 1) and
 * the 1 - alpha/2 quantile of Beta(x + 1, n - x), 0 and 1 at the ends. 1 <= runs <= 10^6: GSL's
 * beta distribution loses its digits above 2 * 10^6. 0 < alpha < 1. */
struct simulate_range {
    double low, high;
};
struct simulate_range simulate_share_range(double count, double runs, double alpha);

#endif
