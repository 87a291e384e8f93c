/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segment: do effects differ between segments, and what is each once chance is taken out?
 *
 * With effects d_k, standard errors s_k, w_k = 1/s_k^2:
 *
 *     Q      = sum w_k (d_k - dbar)^2, dbar = sum w_k d_k / sum w_k; chi-squared with K - 1
 *              degrees of freedom where all true effects are equal              [Cochran1954]
 *     tau^2  = max(0, (Q - df) / (sum w - sum w^2 / sum w))              [DerSimonian1986]
 *     mu     = mean of d_k with weights 1/(s_k^2 + tau^2)
 *     shrunk = (d_k/s_k^2 + mu/tau^2) / (1/s_k^2 + 1/tau^2), se^2 = 1 / (1/s_k^2 + 1/tau^2);
 *              tau^2 = 0: mu with its own se, 1/sqrt(sum w)
 *
 * Pure and thread-safe. */
#ifndef UPLIFT_STATS_SEGMENT_H
#define UPLIFT_STATS_SEGMENT_H

#include <stddef.h>

/* One segment's effect; se > 0, both finite. */
struct segment_effect {
    double estimate, se;
};

struct segment_spread {
    double q, df, p_value; /* p_value 1 where df is 0 */
    double tau_squared;    /* variance between segments */
    double centre, centre_se;
};

/* count >= 1. One segment has q = 0, df = 0 and its own effect as the centre. Squares are formed in
 * long double, so that no se of a double under- or overflows them; q past the largest double is
 * that double. */
struct segment_spread segment_spread_of(const struct segment_effect *effects, size_t count);

/* One segment's effect drawn to the centre. */
struct segment_effect segment_shrink(struct segment_effect effect,
                                     const struct segment_spread *spread);

#endif
