/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fixed: Welch's t-test, valid at one look whose time was chosen beforehand [Welch1947].
 *
 *     t = d / se,  df = (A + B)^2 / (A^2/(n_a - 1) + B^2/(n_b - 1)),  A = v_a/n_a, B = v_b/n_b
 *
 * (Satterthwaite's degrees of freedom; with strata the sums run over every arm of every stratum.)
 * effect_between computes df. Two-sided p = 2 P(T > |t|), interval d -+ t_{1-alpha/2} se;
 * one-sided p = P(T > t) or P(T < t), interval with alpha on the one side. */
#ifndef UPLIFT_STATS_FIXED_H
#define UPLIFT_STATS_FIXED_H

#include "stats/inference.h"

/* estimate finite, se > 0, df > 0, 0 < alpha < 1. Pure and thread-safe. */
struct inference fixed_test(double estimate, double se, double df, double alpha, enum sides sides);

/* P(T > t) of Student's t with df degrees of freedom, with its digits kept in the far tail. */
double fixed_tail(double t, double df);
/* The t with P(T > t) = tail, 0 < tail < 1. */
double fixed_quantile(double tail, double df);

#endif
