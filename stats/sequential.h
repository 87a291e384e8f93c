/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sequential: asymptotic confidence sequences, valid at every look [WaudbySmith2024].
 *
 * With z = d / se, n units in both arms, N* the n at which the interval is tightest, a = alpha (2
 * alpha one-sided), k = n rho^2:
 *
 *     rho^2      = (-2 ln a + ln(-2 ln a + 1)) / N*
 *     two-sided  half = se sqrt( 2 (k+1)/k * ln( sqrt(k+1) / alpha ) )
 *                e    = exp( z^2/2 * k/(k+1) ) / sqrt(k+1),  p = min(1, 1/e)
 *     one-sided  half = se sqrt( 2 (k+1)/k * ln( 1 + sqrt(k+1)/(2 alpha) ) )
 *                p    = sqrt(k+1) / ( 2 (exp( z^2/2 * k/(k+1) ) - 1) ), the alpha at which the
 *                       bound touches 0 with rho held; within [1e-5, 0.4999]; 0.4999 where the
 *                       effect is not on the tested side; no e-value
 *
 * e is the normal mixture martingale of Robbins [Robbins1970]; the guarantee is asymptotic in n
 * and uniform over all looks. */
#ifndef UPLIFT_STATS_SEQUENTIAL_H
#define UPLIFT_STATS_SEQUENTIAL_H

#include "stats/inference.h"

/* estimate finite, se > 0 finite, units >= 1, 0 < alpha < 1 (one-sided: < 0.5), tuning > 0. Pure
 * and thread-safe. */
struct inference sequential_test(double estimate, double se, double units, double alpha,
                                 double tuning, enum sides sides);

#endif
