/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segment: Cochran's Q and the method of moments. */
#include "stats/segment.h"

#include <float.h>
#include <gsl/gsl_cdf.h>
#include <math.h>

/* The mean of the effects weighted by 1/(se^2 + between); *sum gets the weights' sum. */
static long double weighted_mean(const struct segment_effect *effects, size_t count,
                                 long double between, long double *sum)
{
    long double mean = 0, weights = 0;
    for (size_t i = 0; i < count; i++) {
        long double se = effects[i].se, weight = 1 / (se * se + between);
        weights += weight;
        mean += (effects[i].estimate - mean) * (weight / weights);
    }
    *sum = weights;
    return mean;
}

struct segment_spread segment_spread_of(const struct segment_effect *effects, size_t count)
{
    long double sum, q = 0, before = 0, pairs = 0;
    long double mean = weighted_mean(effects, count, 0, &sum), df = (long double)(count - 1);
    for (size_t i = 0; i < count; i++) {
        long double se = effects[i].se, weight = 1 / (se * se);
        pairs += weight * before;
        before += weight;
        q += weight * (effects[i].estimate - mean) * (effects[i].estimate - mean);
    }
    /* sum w - sum w^2 / sum w as products of pairs: where one weight outweighs all others the
     * difference would be nothing but rounding. */
    long double between = count > 1 ? fmaxl(0, (q - df) * sum / (2 * pairs)) : 0;
    long double centre = weighted_mean(effects, count, between, &sum);
    double statistic = (double)fminl(q, DBL_MAX);
    return (struct segment_spread){
        .q = statistic,
        .df = (double)df,
        .p_value = count > 1 ? gsl_cdf_chisq_Q(statistic, (double)df) : 1,
        .tau_squared = (double)fminl(between, DBL_MAX),
        .centre = (double)centre,
        .centre_se = (double)(1 / sqrtl(sum)),
    };
}

struct segment_effect segment_shrink(struct segment_effect effect,
                                     const struct segment_spread *spread)
{
    long double between = spread->tau_squared, own = (long double)effect.se * effect.se;
    if (!(between > 0))
        return (struct segment_effect){spread->centre, spread->centre_se};
    /* The shares of the segment's own effect and of the centre: their sum is 1. */
    long double trust = between / (between + own);
    return (struct segment_effect){
        .estimate = (double)(trust * effect.estimate + (1 - trust) * spread->centre),
        .se = (double)sqrtl(own * trust),
    };
}
