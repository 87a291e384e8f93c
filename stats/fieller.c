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

/* Where a <= 0 the set lies outside two roots of different sign, or is everything. Where 0 is left
 * out (c > 0) the effect's sign is known, and its size is that of the smaller root at least,
 * whichever sign the control's mean has. */
static struct interval unbounded(long double d, long double a, long double b, long double c,
                                 enum sides sides)
{
    struct interval range = {.low_open = true, .high_open = true};
    if (!(c > 0))
        return range;
    long double root = sqrtl(b * b - a * c);
    double least = a < 0 ? cut(c / (fabsl(b) + root)) : 0;
    if (d > 0 && sides != SIDES_LESS) {
        range.low = least;
        range.low_open = false;
    } else if (d < 0 && sides != SIDES_GREATER) {
        range.high = -least;
        range.high_open = false;
    }
    return range;
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
        return unbounded(d, a, b, c, sides);
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
