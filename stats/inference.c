/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inference: the few steps that every method shares. */
#include "stats/inference.h"

#include <float.h>
#include <math.h>

double inference_e_value(double log_e)
{
    return fmin(exp(log_e), DBL_MAX);
}

double inference_p_of_e(double log_e)
{
    return log_e > 0 ? exp(-log_e) : 1;
}

static double within_range(double x)
{
    return fmax(-DBL_MAX, fmin(x, DBL_MAX));
}

struct interval inference_interval(double estimate, double half, enum sides sides)
{
    struct interval interval = {
        .low = within_range(estimate - half),
        .high = within_range(estimate + half),
        .low_open = sides == SIDES_LESS,
        .high_open = sides == SIDES_GREATER,
    };
    if (interval.low_open)
        interval.low = 0;
    if (interval.high_open)
        interval.high = 0;
    return interval;
}
