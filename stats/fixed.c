/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fixed: Welch's test. GSL's t distribution keeps 1e-12 except for few degrees of freedom far out,
 * where its expansion has lost half the digits (3e-7 at t = 20, df = 50, measured against R's pt),
 * and its inverse with it; there the incomplete beta function that the tail equals takes over,
 * P(|T| > t) = I_b(df/2, 1/2) with b = df/(df + t^2). For many degrees of freedom the beta function
 * is the worse of the two. GSL's inverse of it fails for some df (0 or NaN), so the quantile is
 * searched where the tail is taken from it. */
#include "stats/fixed.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

#include "stats/root.h"

/* GSL's quantile fails from 1e15 degrees of freedom on; the normal one is right long before. */
static const double normal_df = 1e10;
static const double few_df = 10000, far_t = 4, far_tail = 1e-4;
/* ln t stays below this: exp of it is a double. */
static const double log_most = 709, log_nothing = -1000;

double fixed_tail(double t, double df)
{
    if (df < few_df && t > far_t)
        return gsl_cdf_beta_P(1 / (1 + t / df * t), df / 2, 0.5) / 2;
    return gsl_cdf_tdist_Q(t, df);
}

struct sought {
    double log_tail, df;
};

/* Falls with log_t. A tail that underflows is taken as smaller than any double. */
static double log_excess(double log_t, void *data)
{
    const struct sought *sought = data;
    double tail = fixed_tail(exp(log_t), sought->df);
    return (tail > 0 ? log(tail) : log_nothing) - sought->log_tail;
}

/* Up from t = e, which is below (a tail under 1e-4 has t > 3.7), to a bracket. */
static double search(double tail, double df)
{
    gsl_root_fsolver *solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    struct sought sought = {log(tail), df};
    gsl_function f = {log_excess, &sought};
    double low = 1, step = 0.25;
    if (!solver)
        return gsl_cdf_tdist_Qinv(tail, df);
    while (low + step < log_most && GSL_FN_EVAL(&f, low + step) > 0) {
        low += step;
        step *= 2;
    }
    double high = fmin(low + step, log_most);
    double log_t = root_between(solver, &f, low, high);
    gsl_root_fsolver_free(solver);
    return exp(log_t);
}

double fixed_quantile(double tail, double df)
{
    if (df > normal_df)
        return gsl_cdf_ugaussian_Qinv(tail);
    return df < few_df && tail < far_tail ? search(tail, df) : gsl_cdf_tdist_Qinv(tail, df);
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
