/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Effect: the difference that a treatment makes against the control, and its standard error.
 *
 * One formula covers the plain, CUPED and stratified effects. With strata k (epochs: stretches of
 * an experiment with the same weights), n_k units in both arms, w_k = n_k / sum of n, means m, unit
 * variances v, covariate means p, covariate variances q, covariances c:
 *
 *     theta    = cov(post, pre) / var(pre) over all units of both arms; 0 without a covariate and
 *                where either pooled variance is 0                                    [Deng2013]
 *     M_a, M_b = sum w_k m_ak, sum w_k m_bk                             (unadjusted)
 *     D        = sum w_k ((m_bk - theta p_bk) - (m_ak - theta p_ak))
 *     V(r)     = v r^2 - 2 theta c r + theta^2 q                 (V(1): the adjusted variance)
 *     absolute: estimate = D,          se^2 = sum w_k^2 (V_bk(1)/n_bk + V_ak(1)/n_ak)
 *     relative: estimate = D / |M_a|,  se^2 = sum w_k^2 (V_bk(1)/n_bk + V_ak(r)/n_ak) / M_a^2
 *               with r = M_b / M_a                                     [Oehlert1992, Deng2018]
 *
 * One stratum has w = 1. The relative variance is the delta method's
 * Var D/M^2 + D^2 Var M/M^4 - 2 D Cov(D, M)/M^3, gathered so that nothing cancels.
 * The weights are the strata's observed shares [Miratrix2013].
 *
 * All functions are pure and thread-safe. Tags: stats/REFERENCES.md. */
#ifndef UPLIFT_STATS_EFFECT_H
#define UPLIFT_STATS_EFFECT_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/moments.h"

enum effect_scale { EFFECT_RELATIVE, EFFECT_ABSOLUTE };

/* The two arms of a comparison in one stratum; both of one kind. */
struct effect_pair {
    struct moments control, treatment;
};

/* Why there is no estimate. */
enum effect_problem {
    EFFECT_FINE,
    EFFECT_CONTROL_EMPTY,
    EFFECT_TREATMENT_EMPTY,
    EFFECT_CONTROL_TOO_FEW, /* n < 2 where n - 1 divides */
    EFFECT_TREATMENT_TOO_FEW,
    EFFECT_CONTROL_NO_DENOMINATOR,
    EFFECT_TREATMENT_NO_DENOMINATOR,
    EFFECT_CONTROL_NO_VARIANCE, /* adjusted, with a covariate */
    EFFECT_TREATMENT_NO_VARIANCE,
    EFFECT_CONTROL_NEGATIVE_VARIANCE, /* the given sums contradict each other */
    EFFECT_TREATMENT_NEGATIVE_VARIANCE,
    EFFECT_CONTROL_MEAN_ZERO, /* nothing to be relative to */
    EFFECT_CONTROL_QUANTILE_ZERO,
    EFFECT_OUT_OF_RANGE, /* a figure too large or too small for a double */
};

/* A relative effect as a ratio, D / |M_a|: D - r |M_a| has the variance constant - 2 linear r +
 * square r^2 (stats/fieller.h). */
struct effect_ratio {
    long double difference, base; /* D and |M_a| > 0 */
    long double constant, linear, square;
};

struct effect {
    enum effect_problem problem; /* all else is 0 unless EFFECT_FINE */
    double estimate, se;         /* se > 0 */
    double df;    /* Welch-Satterthwaite over the arms' se^2 (adjusted), see stats/fixed.h */
    double units; /* n of both arms, all strata */
    /* v / sum w_k^2 (1/n_ak + 1/n_bk) with v the variance of a unit over both arms (of N - (N/D) D
     * of a ratio): the variance of the score, the sum over units of which the effect is the mean.
     * It grows as units come and as outcomes do, and is on no scale of its own: its ratios count.
     */
    double information;
    double base;               /* |M_a|: the control's mean, not adjusted */
    struct effect_ratio ratio; /* where relative */
    bool adjusted;             /* there was a covariate: the fields below are set */
    double theta, control_mean, treatment_mean; /* adjusted means, weighted over strata */
    double variance_reduction;                  /* 1 - se^2 / se^2 without the covariate */
};

/* Merges, in place and in order, each stratum with fewer than 2 units in an arm with the one before
 * it (the first with the one after), until all have 2 or only one is left. Returns how many there
 * are now; at least 1 for count >= 1. */
size_t effect_merge_strata(struct effect_pair *strata, size_t count);
/* The same where each stratum has a weight of its own: weights of merged strata are added, in
 * place. weights NULL: none. */
size_t effect_merge_weighted(struct effect_pair *strata, double *weights, size_t count);

/* The effect over strata that effect_merge_strata went over; count >= 1. A variance within 1e-14 of
 * its terms after adjusting counts as 0. */
struct effect effect_between(const struct effect_pair *strata, size_t count,
                             enum effect_scale scale);
/* The same with weights w_k of the caller's, >= 0 and 1 in sum, in place of the strata's shares of
 * units; NULL: those shares. */
struct effect effect_between_weighted(const struct effect_pair *strata, const double *weights,
                                      size_t count, enum effect_scale scale);

/* One arm alone: its mean over strata k with weights w_k whose sum is 1, unadjusted, and what the
 * error of a contrast needs of it:
 *
 *     mean = sum w_k m_k,  variance = sum w_k^2 v_k/n_k  (of that mean),
 *     welch = sum (w_k^2 v_k/n_k)^2 / (n_k - 1) */
struct effect_mean {
    enum effect_problem problem; /* that of a control; all else is 0 unless EFFECT_FINE... */
    bool has_mean;               /* ...or EFFECT_CONTROL_NO_VARIANCE, which has a mean */
    long double mean, variance, welch;
    double units;
};

/* count >= 1. */
struct effect_mean effect_mean_of(const struct moments *strata, const double *weights,
                                  size_t count);

/* A problem in words, as "the control has no units"; static. */
const char *effect_problem_words(enum effect_problem problem);

#endif
