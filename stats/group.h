/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Group: group-sequential tests by alpha spending [LanDeMets1983], boundaries by recursive
 * numerical integration [Armitage1969; Jennison2000, chapter 19].
 *
 * At looks with information 0 < t_1 < ... < t_K the score S_k = Z_k sqrt(t_k) is a Brownian motion
 * at t_k. With a = alpha/2 on each side (two-sided), or alpha on the tested side and no boundary on
 * the other, the critical value c_k is where the chance to be beyond it for the first time at look
 * k is f(s_k) - f(s_{k-1}) a side. The spending times s_k are the t_k, which then end at 1, or
 * given beside them: they may be anything that the outcomes do not decide, as the share of the
 * planned customers, while the t_k only count by their ratios [LanDeMets1989].
 *
 *     obrien-fleming    f(t) = 2 (1 - Phi( Phi^-1(1 - a/2) / sqrt(t) ))
 *     pocock            f(t) = a ln(1 + (e - 1) t)
 *     kim-demets        f(t) = a t^gamma                              gamma > 0   [KimDeMets1987]
 *     hwang-shih-decani f(t) = a (1 - exp(-gamma t))/(1 - exp(-gamma)), a t at 0  [Hwang1990]
 *
 * Where S_k may be within the boundaries is carried on a grid with at least GROUP_STEPS points a
 * standard deviation of the steps before and behind it (Simpson's rule), so that looks may lie as
 * close as they like. Critical values agree with rpact's to 1e-4. A share too small for a double
 * makes c_k 38.
 *
 * Under an effect S_k has the drift theta, mean theta t_k: theta is the mean of Z_K, |effect| / se
 * at the last look. The density of paths that have crossed nothing is the one without drift times
 * exp(theta s - theta^2 t / 2) (Girsanov), so both come from the same grids. */
#ifndef UPLIFT_STATS_GROUP_H
#define UPLIFT_STATS_GROUP_H

#include <stddef.h>

#include "stats/inference.h"

enum group_spending { GROUP_OBRIEN_FLEMING, GROUP_POCOCK, GROUP_KIM_DEMETS, GROUP_HWANG };
enum { GROUP_STEPS = 8 };
#define GROUP_CRITICAL_MAX 38.0

struct group {
    enum group_spending function;
    double gamma;           /* kim-demets (> 0) and hwang-shih-decani */
    const double *times;    /* information: increasing, above 0 */
    size_t looks;           /* how many of them there are, at least 1 */
    const double *spending; /* spending times, never falling, 0 to 1; NULL: the times */
    /* Critical values of the first looks, where they were fixed when those were taken. */
    const double *known;
    size_t known_count;
};

/* What may have been spent up to information time t, on one side, of `a` on that side. */
double group_spent(const struct group *group, double a, double t);

/* The critical values of all looks, into out[looks]; known ones are copied. 0 < alpha < 1. False
 * where memory is out. Allocates and frees; holds no state: thread-safe. */
bool group_critical(const struct group *group, double alpha, enum sides sides, double *out);

/* The chances to cross for the first time at each look under a drift, into up[looks] (on the tested
 * side) and down[looks] (on the other; 0 where one-sided), at any critical values, not only those
 * of group_critical. One-sided in either direction a drift > 0 is towards the tested side. |theta|
 * up to 10. Returns as group_critical. */
bool group_crossing(const struct group *group, const double *critical, enum sides sides,
                    double theta, double *up, double *down);
/* The least theta >= 0 with which the boundaries are crossed on the tested side with a chance of
 * `power`, 1/2 <= power < 1, and the chances of group_crossing at it. False, nothing written, where
 * memory is out or no theta up to 50 does. */
bool group_drift(const struct group *group, const double *critical, enum sides sides, double power,
                 double *theta, double *up, double *down);

/* The interval d -+ critical se, on the tested side only where one-sided; no p-value. */
struct interval group_interval(double estimate, double se, double critical, enum sides sides);
/* Whether the estimate is at or past the boundary, on the tested side. */
bool group_crosses(double estimate, double se, double critical, enum sides sides);

#endif
