/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Msprt: the mixture sequential probability ratio test with a normal mixture of variance tau^2,
 * valid at every look [Robbins1970, Johari2022]. V = se^2:
 *
 *     L = sqrt(V/(V + tau^2)) exp( tau^2 d^2 / (2 V (V + tau^2)) ),  p = min(1, 1/L),  e = L
 *     interval d -+ sqrt( V (V + tau^2)/tau^2 * (2 ln(1/alpha) + ln((V + tau^2)/V)) )
 *
 * tau^2 is in the squared units of the effect and best near that of the effects one expects.
 * Two-sided only. */
#ifndef UPLIFT_STATS_MSPRT_H
#define UPLIFT_STATS_MSPRT_H

#include "stats/inference.h"

/* estimate finite, se > 0 finite, mixture_variance > 0, 0 < alpha < 1. Pure and thread-safe. */
struct inference msprt_test(double estimate, double se, double mixture_variance, double alpha);

#endif
