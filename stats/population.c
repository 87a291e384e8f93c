/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Population: distributions of one customer; moments are made without raw sums, so that nothing
 * cancels where a mean is much larger than its sd. */
#include "stats/population.h"

#include <gsl/gsl_randist.h>
#include <math.h>

struct population population_of_rate(enum moments_kind kind, double rate)
{
    return (struct population){
        .kind = kind, .mean = rate, .variance = rate * (1 - rate), .shares = {rate, 1 - rate}};
}

struct population population_of_mean(double mean, double sd)
{
    return (struct population){.kind = MOMENTS_MEAN, .mean = mean, .variance = sd * sd};
}

struct population population_of_nps(double promoters, double detractors)
{
    double net = promoters - detractors, answered = promoters + detractors;
    return (struct population){
        .kind = MOMENTS_NPS,
        .mean = 100 * net,
        .variance = 1e4 * (answered - net * net),
        .shares = {promoters, fmax(0, 1 - answered), detractors},
    };
}

/* How far the mean can move. */
static double room_of(const struct population *from, bool up)
{
    switch (from->kind) {
    case MOMENTS_BINARY:
    case MOMENTS_CSAT:
        return up ? from->shares[1] : from->shares[0];
    case MOMENTS_NPS:
        return 200 * (up ? from->shares[2] : from->shares[0]);
    case MOMENTS_MEAN:
    case MOMENTS_RATIO:
        break;
    }
    return HUGE_VAL;
}

bool population_room(const struct population *from, enum effect_scale scale, double sign,
                     double *limit)
{
    double unit = scale == EFFECT_RELATIVE ? fabs(from->mean) : 1;
    double room = room_of(from, sign > 0);
    if (!(unit > 0) || !(room > 0))
        return false;
    *limit = room / unit;
    return true;
}

bool population_shift(const struct population *from, enum effect_scale scale, double effect,
                      struct population *to)
{
    double limit = HUGE_VAL, move = effect * (scale == EFFECT_RELATIVE ? fabs(from->mean) : 1);
    struct population moved = *from;
    if (effect != 0 && (!population_room(from, scale, effect, &limit) || !(fabs(effect) < limit)))
        return false;
    if (effect != 0 && from->kind == MOMENTS_NPS)
        moved =
            population_of_nps(from->shares[0] + move / 200, fmax(0, from->shares[2] - move / 200));
    else if (effect != 0 && from->kind == MOMENTS_MEAN)
        moved.mean += move;
    else if (effect != 0)
        moved = population_of_rate(from->kind, from->mean + move);
    if (!isfinite(moved.mean) || !(moved.variance > 0))
        return false;
    *to = moved;
    return true;
}

struct moments population_expected(const struct population *from, double n)
{
    bool by_n = from->kind == MOMENTS_BINARY || from->kind == MOMENTS_CSAT;
    struct moments arm = moments_empty(from->kind, false);
    arm.n = n;
    arm.y = from->mean;
    arm.yy = (by_n ? arm.n : arm.n - 1) * from->variance;
    for (int i = 0; i < moments_categories(from->kind); i++)
        arm.counts[i] = n * from->shares[i];
    return arm;
}

static struct moments draw_mean(const struct population *from, double n, gsl_rng *rng)
{
    struct moments arm = moments_empty(MOMENTS_MEAN, false);
    double sd = sqrt(from->variance);
    arm.n = n;
    arm.y = (long double)from->mean + gsl_ran_gaussian_ziggurat(rng, sd / sqrt(n));
    if (n > 1)
        arm.yy = from->variance * gsl_ran_chisq(rng, n - 1);
    return arm;
}

struct moments population_draw(const struct population *from, double n, gsl_rng *rng)
{
    unsigned int counts[3];
    if (!(n > 0))
        return moments_empty(from->kind, false);
    if (from->kind == MOMENTS_MEAN)
        return draw_mean(from, n, rng);
    if (from->kind == MOMENTS_NPS) {
        gsl_ran_multinomial(rng, 3, (unsigned int)n, from->shares, counts);
        return moments_of_nps(counts[0], counts[1], counts[2]);
    }
    double top = gsl_ran_binomial(rng, from->mean, (unsigned int)n);
    if (from->kind == MOMENTS_CSAT)
        return moments_of_csat((const double[5]){0, 0, n - top, top, 0});
    struct moments_sums sums = {.n = n, .sum = top};
    return moments_of_sums(MOMENTS_BINARY, false, &sums);
}
