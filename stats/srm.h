/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Srm: does the split of customers over the variants follow the weights? A sample ratio mismatch
 * means that something removes or adds customers unevenly, and no effect can be trusted.
 *
 * With counts k_i, n = sum k_i, weights w_i divided by their sum, over the arms with w_i > 0:
 *
 *     Pearson     X = sum (k_i - n w_i)^2 / (n w_i), df = arms - 1           [Pearson1900]
 *     sequential  ln BF = lnG(A) - lnG(A+n) + sum(lnG(a_i+k_i) - lnG(a_i)) - sum k_i ln w_i,
 *                 a_i = 10000 w_i, A = 10000; p = min(1, 1/BF)               [Lindon2022]
 *
 * The sequential test may be read at every look, the other at one. Strata (epochs with their own
 * weights) are tested each by itself and added: chi-squared, df and ln BF. Pure and thread-safe. */
#ifndef UPLIFT_STATS_SRM_H
#define UPLIFT_STATS_SRM_H

#include <stdbool.h>
#include <stddef.h>

struct srm {
    double statistic, df, log_bayes_factor;
    double units; /* counted into it */
};

/* The alarm: a sequential p-value below this. */
#define SRM_ALARM 0.001

/* One stratum: counts >= 0 and weights >= 0, `arms` of each, at least one weight > 0. Nobody there:
 * statistic and log_bayes_factor 0. A statistic past the largest double is that double. */
struct srm srm_test(const double *counts, const double *weights, size_t arms);
/* The same with another concentration than 10000 (> 0) in the sequential test: the smaller it is,
 * the larger the shifts of the split that it finds soonest. */
struct srm srm_test_at(const double *counts, const double *weights, size_t arms,
                       double concentration);
/* Both together. A stratum without units adds nothing, not even its df, to one that has some. */
struct srm srm_add(struct srm a, struct srm b);

/* Chi-squared's upper tail; 1 where df is 0. */
double srm_p_value(const struct srm *srm);
/* min(1, 1/BF) at this look. */
double srm_sequential_p_value(const struct srm *srm);

#endif
