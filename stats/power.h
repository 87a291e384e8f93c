/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Power: how many customers an experiment needs so that an effect is found with a given chance, and
 * the inverse, which effect so many customers can find.
 *
 * Several treatments are compared with one control; customers are split by weights. At n customers
 * in all the arms of a comparison have n w_i / sum w of them, and d and se are those that
 * effect_between computes from arms that are exactly as expected (stats/population.h), so that
 * absolute, relative (delta method) and unequal variances are what the analysis will use. With
 * u = units of both arms and z = Phi^-1(power), the effect is found where |d| / se >= needed:
 *
 *     fixed            Phi^-1(1 - alpha/2) + z; one-sided Phi^-1(1 - alpha) + z   [Chow2008]
 *     sequential       half-width(u)/se + z of stats/sequential.h
 *     msprt            half-width(se)/se + z of stats/msprt.h
 *     exact            (|d| - |end|)/se + z, with `end` the nearer end of stats/exact.h's interval
 *                      at the expected counts
 *     group-sequential theta of group_drift (stats/group.h): the mean of the statistic at the last
 *                      look with which the boundaries are crossed with the power. So n is that of
 *                      the fixed design times (theta / (its needed))^2, the inflation
 *                      [Jennison2000, ch. 2]
 *     bayesian         as fixed, two-sided: with a flat prior the credible interval excludes 0
 *                      just where the confidence interval does
 *
 * n is the least for which this holds in every comparison: the neediest decides. For sequential,
 * msprt and exact this counts one look at n alone; looks before it only add power, so the plan is
 * conservative. All is normal approximation of the estimate: fixed takes z for t, which leaves it a
 * customer or two short where arms have less than about 30. The chance to find the effect on the
 * wrong side counts nowhere.
 *
 * Domain: 0 < alpha < 1/2, 1/2 <= power < 1, where every condition, once it holds, holds for all
 * larger n. Pure; exact and group allocate within a call; thread-safe. */
#ifndef UPLIFT_STATS_POWER_H
#define UPLIFT_STATS_POWER_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/effect.h"
#include "stats/inference.h"
#include "stats/population.h"

/* More customers than this are no plan. */
#define POWER_CUSTOMERS_MAX 1e15

struct power_design;

/* How many standard errors the effect must measure at arms as expected; infinite where it cannot be
 * told. A method is one such function. */
typedef double power_needed(const struct power_design *design, const struct effect_pair *expected,
                            const struct effect *effect);

struct power_design {
    power_needed *needed;
    enum effect_scale scale;
    bool fieller;        /* d and se of a relative effect are those of the absolute one, by which
                          * stats/fieller.h tests it */
    enum sides sides;    /* two for msprt, exact and bayesian */
    double alpha, power; /* alpha of one comparison */
    double tuning;       /* sequential: customers of a comparison, > 0 */
    double mixture_variance; /* msprt: > 0 */
    double drift;            /* group-sequential: theta of group_drift */
    const double *weights;   /* > 0, the control's first; borrowed */
    size_t arms;             /* at least 2 */
};

power_needed power_needed_fixed, power_needed_sequential, power_needed_msprt, power_needed_exact,
    power_needed_drift;

/* Customers in all, at least 2 in each arm, not rounded; HUGE_VAL where more than
 * POWER_CUSTOMERS_MAX would be needed, or where population_shift has no such treatment. */
double power_customers(const struct power_design *design, const struct population *control,
                       double effect);
/* The whole customers of an arm: at least 2. A part of 1e-13 is rounding and no customer. */
double power_arm(const struct power_design *design, double customers, size_t arm);

/* The least effect on the side of `sign` that so many customers find. False, *effect untouched,
 * where there is none, or an arm has fewer than 2 customers. */
bool power_effect(const struct power_design *design, const struct population *control,
                  double customers, double sign, double *effect);

#endif
