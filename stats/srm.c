/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Srm: the gamma functions' differences are of order 1 where each is of order n ln n, so they are
 * taken in long double: 1e-9 of ln BF at 1e9 units. */
#include "stats/srm.h"

#include <float.h>
#include <gsl/gsl_cdf.h>
#include <math.h>

#include "stats/inference.h"

static const double usual_concentration = 10000;

static long double sum_of(const double *values, const double *weights, size_t arms)
{
    long double sum = 0;
    for (size_t i = 0; i < arms; i++)
        sum += weights[i] > 0 ? values[i] : 0;
    return sum;
}

/* ln Gamma(a + k) - ln Gamma(a). */
static long double log_rising(long double a, long double k)
{
    int sign;
    return lgammal_r(a + k, &sign) - lgammal_r(a, &sign);
}

struct srm srm_test_at(const double *counts, const double *weights, size_t arms,
                       double concentration)
{
    long double n = sum_of(counts, weights, arms), all = sum_of(weights, weights, arms);
    long double statistic = 0, log_factor = n > 0 ? -log_rising(concentration, n) : 0;
    struct srm srm = {.df = -1, .units = (double)n};
    for (size_t i = 0; i < arms; i++) {
        long double weight = weights[i] / all, k = counts[i];
        if (!(weight > 0))
            continue;
        srm.df += 1;
        if (!(n > 0))
            continue;
        long double off = k - n * weight;
        statistic += off * off / (n * weight);
        log_factor += log_rising(concentration * weight, k) - k * logl(weight);
    }
    srm.statistic = (double)fminl(statistic, DBL_MAX);
    srm.log_bayes_factor = (double)log_factor;
    return srm;
}

struct srm srm_test(const double *counts, const double *weights, size_t arms)
{
    return srm_test_at(counts, weights, arms, usual_concentration);
}

struct srm srm_add(struct srm a, struct srm b)
{
    if (b.units == 0)
        return a;
    if (a.units == 0)
        return b;
    return (struct srm){
        .statistic = fmin(a.statistic + b.statistic, DBL_MAX),
        .df = a.df + b.df,
        .log_bayes_factor = a.log_bayes_factor + b.log_bayes_factor,
        .units = a.units + b.units,
    };
}

double srm_p_value(const struct srm *srm)
{
    return srm->df > 0 ? gsl_cdf_chisq_Q(srm->statistic, srm->df) : 1;
}

double srm_sequential_p_value(const struct srm *srm)
{
    return inference_p_of_e(srm->log_bayes_factor);
}
