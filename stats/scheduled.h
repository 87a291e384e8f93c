/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scheduled: looks at days fixed beforehand up to a planned sample, then a confidence sequence. For
 * experiments that are watched while they run: a group-sequential test by alpha spending
 * [LanDeMets1983, LanDeMets1989] whose looks need not be known in advance.
 *
 * At look k a comparison has information I_k (stats/effect.h) and the experiment has the share s_k
 * of its planned customers, the horizon, at most 1. The level is alpha in all:
 *
 *     looks up to the horizon   (1 - SCHEDULED_RESERVE) alpha, spent by Kim and DeMets' function
 *                               f(s) = a s^2 [KimDeMets1987] on the clock s_k; the correlation of
 *                               the looks is that of the information, sqrt(I_j / I_k)
 *     after it, at any time     the sequential test (stats/sequential.h) at SCHEDULED_RESERVE
 * alpha, tightest at twice the horizon
 *
 * The interval of a look is d -+ c_k se, a repeated confidence interval [JennisonTurnbull1989]: all
 * of them cover the effect together with probability 1 - alpha, so what they hold in common does,
 * and a claim once made stays. Between looks nothing is claimed.
 *
 * Why s^2: of the usual functions it needs nearly the fewest customers at the planned effect and at
 * twice it, and 11% more than a fixed test at most (make sim). Why a reserve: past the horizon
 * nothing would be left to claim with; it costs 2% of the sample.
 *
 *Assumes independent increments of the score. Where outcomes come late, within a metric's window,
 * they are nearly so, as the information grows with outcomes and not with units alone
 * (stats/effect.h): 4.4 to 4.7% of runs err with conversions spread over 14 to 28 days. Needs no
 *p-value and has none. */
#ifndef UPLIFT_STATS_SCHEDULED_H
#define UPLIFT_STATS_SCHEDULED_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/group.h"
#include "stats/inference.h"

#define SCHEDULED_RESERVE 0.05

/* What is left of alpha for the looks up to the horizon. */
double scheduled_alpha(double alpha);
/* The group-sequential test that looks at these shares make where information comes as customers
 * do, for planning; `times` are borrowed. */
struct group scheduled_group(const double *times, size_t looks);

/* The looks of one comparison, the present one last. */
struct scheduled {
    const double *information; /* rising, above 0 */
    const double *share;       /* of the horizon, never falling, 0 to 1 */
    const double *critical;    /* of the looks before, count - 1 of them */
    size_t count;              /* at least 1 */
};

/* Information must grow by this much of itself for another look to tell anything. */
#define SCHEDULED_STEP 1e-4

/* The critical value of the present look, into *out. 0 < alpha < 1. False where memory is out. Pure
 * but for memory that it frees; thread-safe. */
bool scheduled_critical(const struct scheduled *looks, double alpha, enum sides sides, double *out);

/* A comparison past the horizon: `units` of both arms, `horizon` units in all arms that were
 * planned. Only its interval is meant to be shown, joined with those of the looks. Pure. */
struct inference scheduled_past(double estimate, double se, double units, double horizon,
                                double alpha, enum sides sides);

#endif
