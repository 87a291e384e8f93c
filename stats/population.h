/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Population: what the customers of one arm are expected to be like, for planning and simulation.
 *
 *     kind          mean                variance of one customer
 *     binary, csat  rate                rate (1 - rate)               (csat: of the top two scores)
 *     mean          mean                sd^2                          (normal where it is drawn)
 *     nps           100 (P - D)         10^4 ((P + D) - (P - D)^2)    (P, D shares)
 *
 * A ratio is planned as a mean whose sd is that of the delta method for one customer
 * (stats/moments.h). An effect moves the mean to m + e (absolute) or m + e |m| (relative):
 *
 *     binary, csat  the rate moves, and its variance with it
 *     mean          the sd stays
 *     nps           the share of passives stays: half the move comes to the promoters, half goes
 *                   from the detractors, P + x and D - x with x = move/200
 *
 * Plain values, pure and thread-safe, except for the generator that population_draw is given. */
#ifndef UPLIFT_STATS_POPULATION_H
#define UPLIFT_STATS_POPULATION_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>

#include "stats/effect.h"
#include "stats/moments.h"

struct population {
    enum moments_kind kind; /* binary, mean, nps or csat */
    double mean, variance;
    double shares[MOMENTS_CATEGORIES_MAX]; /* of the categories, best first; 0 for mean */
};

/* Binary or csat, 0 <= rate <= 1. */
struct population population_of_rate(enum moments_kind kind, double rate);
/* A mean of any finite size, sd >= 0 with a finite square. */
struct population population_of_mean(double mean, double sd);
/* Shares, each >= 0 and together at most 1. */
struct population population_of_nps(double promoters, double detractors);

/* The effects that there can be on the side of `sign`: 0 < |effect| < *limit, HUGE_VAL for a mean.
 * False where none is, as relative to a mean of 0 or up from a rate of 1. */
bool population_room(const struct population *from, enum effect_scale scale, double sign,
                     double *limit);
/* `from` under an effect. False, *to untouched, where the effect is out of room, or leaves no
 * variance or a figure that is not finite. An effect of 0 gives `from` itself. */
bool population_shift(const struct population *from, enum effect_scale scale, double effect,
                      struct population *to);

/* The moments of n >= 2 customers that are as expected: mean and variance are the population's, the
 * counts of the categories their shares of n, whole or not. */
struct moments population_expected(const struct population *from, double n);
/* The moments of n customers drawn at random: counts are binomial or multinomial, the sum and the
 * centred square of a mean are those of n normal ones, N(n m, n s^2) and s^2 chi^2_{n-1}, which are
 * independent. n is whole, 0 to 2^32 - 1. */
struct moments population_draw(const struct population *from, double n, gsl_rng *rng);

#endif
