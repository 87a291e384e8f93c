/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/mixture.h"

#include <float.h>
#include <math.h>

double mixture_exponent(double estimate, double se, double k)
{
    double z = estimate / se;
    return fmin(z * z / 2 * (k / (k + 1)), DBL_MAX);
}

struct inference mixture_test(double estimate, double se, double k, double alpha)
{
    k = fmin(k, 1e300);
    double half_log = log1p(k) / 2;
    double half = se * sqrt(2 * ((k + 1) / k) * (half_log - log(alpha)));
    double log_e = mixture_exponent(estimate, se, k) - half_log;
    return (struct inference){
        .interval = inference_interval(estimate, half, SIDES_TWO),
        .p_value = inference_p_of_e(log_e),
        .has_p_value = true,
        .e_value = inference_e_value(log_e),
        .log_e_value = log_e,
        .has_e_value = true,
    };
}
