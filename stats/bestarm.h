/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bestarm: how likely each arm is the best one, and what shares of traffic follow from it.
 *
 * Arm i has the posterior N(m_i, s_i^2), arms are independent:
 *
 *     P_i     = P(arm i is the best) = integral phi(z) prod_{j != i} Phi((m_i + s_i z - m_j)/s_j)
 * dz Thompson sampling gives arm i the share P_i                            [Thompson1933] top two
 * w_i = P_i/2 + 1/2 sum_{j != i} P_j P_i/(1 - P_j)             [Russo2020, beta = 1/2]
 *
 * (top two: draw an arm, keep it half of the time, else draw until another one comes; so an arm
 * that is nearly sure to be best gets half of the traffic and its rivals share the rest).
 *
 * The integrand is log-concave: its one peak is found first (Brent, from GSL), and everything is
 * computed relative to it, with the peak's logarithm kept. So P_i has 1e-9 of itself left also
 * where it is 1e-300; 1 - P_j is the sum of the others; and the limit of w where some P_j is 1
 * comes by itself, the others by their odds among themselves. An arm whose peak lies beyond z = 1e6
 * has no odds; where all rivals of an arm are such, they share evenly. GSL's adaptive quadrature;
 * no random number, the same answer each time. The sum of P is 1 to 1e-9. An s_j below
 * s_i/1e12 counts as that.
 *
 * Tags: stats/REFERENCES.md. */
#ifndef UPLIFT_STATS_BESTARM_H
#define UPLIFT_STATS_BESTARM_H

#include <stdbool.h>
#include <stddef.h>

enum { BESTARM_ARMS_MAX = 256 };

struct bestarm_arm {
    double mean, se; /* finite; se > 0 */
};

struct bestarm {
    double probability;     /* and the Thompson share */
    double log_probability; /* -infinity for an arm that has no odds */
    double top_two;
};

/* 1 to BESTARM_ARMS_MAX arms, out[count]; the best is the lowest where `decrease`. False where
 * memory is out. Time grows with the square of the arms: 64 take some 0.1 s, 256 some 1 s.
 * Allocates and frees; holds no state: thread-safe. */
bool bestarm_of(const struct bestarm_arm *arms, size_t count, bool decrease, struct bestarm *out);

#endif
