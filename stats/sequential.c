/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sequential: asymptotic confidence sequences. All is computed from k = n rho^2 and z = d / se, so
 * that no intermediate grows with n. */
#include "stats/sequential.h"

#include <float.h>
#include <math.h>

static const double p_least = 1e-5, p_most = 0.4999;

/* -2 ln a by log1p would gain nothing: a is far from 1 wherever the result matters. */
static double rho_squared(double a, double tuning)
{
    double twice = -2 * log(a);
    return (twice + log1p(twice)) / tuning;
}

/* z^2/2 * k/(k+1), at most the largest double. */
static double exponent_of(double estimate, double se, double k)
{
    double z = estimate / se;
    return fmin(z * z / 2 * (k / (k + 1)), DBL_MAX);
}

static struct inference two_sided(double estimate, double se, double k, double alpha)
{
    double half_log = log1p(k) / 2;
    double half = se * sqrt(2 * ((k + 1) / k) * (half_log - log(alpha)));
    double log_e = exponent_of(estimate, se, k) - half_log;
    return (struct inference){
        .interval = inference_interval(estimate, half, SIDES_TWO),
        .p_value = inference_p_of_e(log_e),
        .has_p_value = true,
        .e_value = inference_e_value(log_e),
        .log_e_value = log_e,
        .has_e_value = true,
    };
}

static struct inference one_sided(double estimate, double se, double k, double alpha,
                                  enum sides sides)
{
    double root = sqrt(k + 1);
    double half = se * sqrt(2 * ((k + 1) / k) * log1p(root / (2 * alpha)));
    bool tested_side = sides == SIDES_GREATER ? estimate > 0 : estimate < 0;
    double p = p_most;
    if (tested_side)
        p = fmin(fmax(root / (2 * expm1(exponent_of(estimate, se, k))), p_least), p_most);
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
    return two ? two_sided(estimate, se, k, alpha) : one_sided(estimate, se, k, alpha, sides);
}
