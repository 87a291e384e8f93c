/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sequential: asymptotic confidence sequences, as mixtures with k = n rho^2. */
#include "stats/sequential.h"

#include <math.h>

#include "stats/mixture.h"

static const double p_least = 1e-5, p_most = 0.4999;

/* -2 ln a by log1p would gain nothing: a is far from 1 wherever the result matters. */
static double rho_squared(double a, double tuning)
{
    double twice = -2 * log(a);
    return (twice + log1p(twice)) / tuning;
}

static struct inference one_sided(double estimate, double se, double k, double alpha,
                                  enum sides sides)
{
    double root = sqrt(k + 1);
    double half = se * sqrt(2 * ((k + 1) / k) * log1p(root / (2 * alpha)));
    bool tested_side = sides == SIDES_GREATER ? estimate > 0 : estimate < 0;
    double p = p_most;
    if (tested_side)
        p = fmin(fmax(root / (2 * expm1(mixture_exponent(estimate, se, k))), p_least), p_most);
    return (struct inference){
        .interval = inference_interval(estimate, half, sides),
        .p_value = p,
        .has_p_value = true,
    };
}

struct inference sequential_test(double estimate, double se, double units, double alpha,
                                 double tuning, enum sides sides)
{
    bool two = sides == SIDES_TWO;
    double k = units * rho_squared(two ? alpha : 2 * alpha, tuning);
    return two ? mixture_test(estimate, se, k, alpha) : one_sided(estimate, se, k, alpha, sides);
}
