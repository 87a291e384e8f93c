/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mixture: the two-sided normal mixture martingale that sequential and msprt share [Robbins1970].
 *
 * With z = d / se and k > 0, how many times the variance of the mixing distribution is that of the
 * estimate:
 *
 *     ln e = z^2/2 * k/(k+1) - ln(k+1)/2,  p = min(1, 1/e)
 *     half = se sqrt( (k+1)/k * (ln(k+1) + 2 ln(1/alpha)) ), where the interval inverts p = alpha
 *
 * All is computed from k and z, so that no intermediate grows with n. */
#ifndef UPLIFT_STATS_MIXTURE_H
#define UPLIFT_STATS_MIXTURE_H

#include "stats/inference.h"

/* estimate finite, se > 0 finite, k > 0 (past 1e300 it counts as that), 0 < alpha < 1. Pure and
 * thread-safe. */
struct inference mixture_test(double estimate, double se, double k, double alpha);
/* z^2/2 * k/(k+1), at most the largest double. */
double mixture_exponent(double estimate, double se, double k);

#endif
