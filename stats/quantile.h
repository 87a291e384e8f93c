/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quantile: the difference between a quantile of two arms, valid at every number of units and at
 * every look, for any distribution [Howard2022, theorems 1 and 5].
 *
 * At a true quantile q of level p, #(Y < q) is a sum of Bernoulli variables with means of at most
 * p, and #(Y <= q) one with means of at least p. So with psi(l) = ln(1 - p + p e^l) and any weights
 * w_j that add up to 1 over steps l_j > 0,
 *
 *     M+ = sum w_j exp(  l_j #(Y <  q) - n psi(l_j))
 *     M- = sum w_j exp( -l_j #(Y <= q) - n psi(-l_j))
 *     M(q) = (M+ + M-) / 2
 *
 * is an e-process at q, atoms or not: exp(l) is by how much the odds of lying below q would be off.
 * The steps go down from 8 by a fifth at a time, 56 of them. Nine tenths of the weight are those of
 * the half of a normal distribution on l, of variance
 *
 *     (-2 ln a + ln(-2 ln a + 1)) / (N p (1 - p)),   N = tuning / 2, a = alpha
 *
 * which is tightest near N units an arm, as sequential.h is; one tenth is even over the steps, so
 * that few units with a large difference and many with a small one count soon as well. The
 * continuous mixture of these masses has the same ln M to 0.03 where |z| is up to 5. The paper's is
 * a beta distribution; its incomplete beta functions are not to be had at 1e7 units or far out in a
 * tail, while a sum of exponentials is right at any n.
 *
 * Where only bins are known, #(Y < q) is taken as the units of the bins below that of q, and
 * #(Y <= q) as those through it: less evidence, never more. A value on an edge that two bins
 * share must lie in the same one of them always.
 *
 * Two arms: the product of their M is an e-process at the true pair, so
 * {(q_a, q_b): ln M_a + ln M_b < ln(1/alpha)} covers it at all times with probability 1 - alpha.
 * The interval is the range over that set of q_b - q_a, or of q_b/q_a - 1. The null is q_a = q_b:
 * ln e = least ln M_a(q) + ln M_b(q) over all q, p = min(1, 1/e). Two-sided; no standard error.
 * Each arm pays for looking on, so the interval is about a quarter wider near `tuning` (and a half
 * at ten times that) than sequential.h would give if the density at the quantile were known; false
 * alarms are far fewer than alpha.
 *
 * Costs about log(bins) + bins within reach of the quantile, each 56 exponentials. All functions
 * are thread-safe, hold no state and free what they allocate. Tags: stats/REFERENCES.md. */
#ifndef UPLIFT_STATS_QUANTILE_H
#define UPLIFT_STATS_QUANTILE_H

#include <stdbool.h>

#include "stats/effect.h"
#include "stats/inference.h"
#include "stats/sketch.h"

/* 0 < level, alpha < 1; tuning > 0, in units of both arms. */
struct quantile_plan {
    double level, alpha, tuning;
    enum effect_scale scale;
};

struct quantile {
    enum effect_problem problem; /* all else is 0 unless EFFECT_FINE */
    double estimate;             /* of sketch_quantile: q_b - q_a, or (q_b - q_a)/|q_a| */
    /* An end that no bin bounds is open; so are both of a relative effect unless all q_a of the set
     * are above 0. */
    struct inference inference;
};

/* The effect of the treatment. EFFECT_CONTROL_EMPTY, EFFECT_TREATMENT_EMPTY;
 * EFFECT_CONTROL_QUANTILE_ZERO for a relative effect on a quantile of 0; EFFECT_OUT_OF_RANGE for
 * figures beyond a double, or where memory is out. One unit an arm is enough: with few units the
 * ends are open. */
struct quantile quantile_test(const struct sketch *control, const struct sketch *treatment,
                              const struct quantile_plan *plan);

/* The range of one arm's own quantile: all q with ln M(q) < ln(1/alpha). False at n = 0 or where
 * memory is out. */
bool quantile_range(const struct sketch *arm, const struct quantile_plan *plan,
                    struct interval *out);

/* ln M+ (k = #(Y < q)) or ln M- (k = #(Y <= q)) of n units; for tests. */
double quantile_log_m(const struct quantile_plan *plan, bool plus, double k, double n);

#endif
