/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exact: inference from the counts of categories that is valid at every number of units and at
 * every look, without a normal approximation: the Dirichlet mixture e-process of [Lindon2022].
 *
 * An arm with counts k over its categories has, against probabilities theta, with a_i = 1/2,
 *
 *     ln M(theta) = ln B(a + k) - ln B(a) - sum k_i ln theta_i
 *
 * and the product over the arms is an e-process. So the set of all theta with
 * sum over arms of ln M < ln(1/alpha) covers the truth at all times with probability 1 - alpha.
 * The interval is the range over that set of the effect sum_k w_k (s.theta_bk - s.theta_ak), with
 * scores s = 100, 0, -100 for nps and 1, 0 else, strata k of weight w_k = n_k / sum of n. (With one
 * stratum: the difference of two arms. With several the set is that of all arms of all strata; it
 * covers every linear function at once, so weights taken from the data are allowed.)
 * The null is effect = 0: ln e = the least sum of ln M under it, p = min(1, 1/e).
 *
 * The set is convex and the effect linear. With gaps g_i >= 0 of each score to the one sought
 * (the best for a treatment and the worst for a control where the high end is sought), the least
 * cost for an effect has theta_i = L k_i / (u + g_i), one multiplier L for all arms and one u >= 0
 * per arm that makes theta sum to 1; where the sought category has no count and u reaches 0, that
 * category takes what is left over. Both are found by bracketing (Brent, from GSL).
 *
 * Agreement with 50-digit brute force: 1e-9 of the range of the scores. Two-sided and absolute
 * only; there is no standard error. */
#ifndef UPLIFT_STATS_EXACT_H
#define UPLIFT_STATS_EXACT_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/effect.h"
#include "stats/inference.h"

struct exact {
    enum effect_problem problem; /* all else is 0 unless EFFECT_FINE */
    double estimate;             /* difference of means, weighted over strata */
    struct inference inference;
};

/* Strata as in effect_between, count >= 1; of a kind with categories (binary, nps, csat);
 * 0 < alpha < 1. Needs a unit in each arm, nothing more: EFFECT_CONTROL_EMPTY,
 * EFFECT_TREATMENT_EMPTY; EFFECT_OUT_OF_RANGE where memory is out. Allocates and frees; holds no
 * state: thread-safe. */
struct exact exact_test(const struct effect_pair *strata, size_t count, double alpha);

/* An arm's ln M at its own observed shares: ln B(a + k) - ln B(a) - sum k ln(k/n), at most 0; 0 for
 * an empty arm. Pure. */
long double exact_log_at_shares(const struct moments *arm);

/* The range of one arm's mean score over the set of its own theta with ln M < ln(1/alpha): covers
 * the true mean at all times with probability 1 - alpha. In score units, -100 to 100 for nps, else
 * 0 to 1. False where the arm is empty or memory is out. Thread-safe. */
bool exact_mean(const struct moments *arm, double alpha, struct interval *out);

#endif
