/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/fieller.h"

#include <float.h>
#include <math.h>

static double cut(long double value)
{
    return (double)fmaxl(-DBL_MAX, fminl(value, DBL_MAX));
}

double fieller_statistic(const struct effect *effect)
{
    return cut(effect->ratio.difference / sqrtl(effect->ratio.constant));
}

/* a r^2 - 2 b r + c <= 0 between the two roots where a > 0; the one that would cancel is taken from
 * the product of both. */
struct interval fieller_interval(const struct effect *effect, double q, enum sides sides)
{
    const struct effect_ratio *ratio = &effect->ratio;
    long double d = ratio->difference, m = ratio->base, w = (long double)q * q;
    long double a = m * m - w * ratio->square, b = d * m - w * ratio->linear;
    long double c = d * d - w * ratio->constant;
    if (!(a > 0))
        return (struct interval){.low_open = true, .high_open = true};
    long double root = sqrtl(fmaxl(0, b * b - a * c));
    long double far = (b >= 0 ? b + root : b - root) / a;
    long double near = far != 0 ? c / a / far : 0;
    bool less = sides == SIDES_LESS, greater = sides == SIDES_GREATER;
    return (struct interval){
        .low = less ? 0 : cut(fminl(near, far)),
        .high = greater ? 0 : cut(fmaxl(near, far)),
        .low_open = less,
        .high_open = greater,
    };
}
