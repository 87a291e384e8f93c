/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/bayes.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf_hyperg.h>
#include <math.h>

/* phi(z) + z Phi(z): the mean of what is above 0 of N(z, 1). Where z is far below, both terms are
 * nearly the same; there it is phi(z) U(1, 1/2, z^2/2)/2, a parabolic cylinder function. */
static double mean_above(double z)
{
    if (z > -3)
        return gsl_ran_ugaussian_pdf(z) + z * gsl_cdf_ugaussian_P(z);
    double density = gsl_ran_ugaussian_pdf(z);
    return density > 0 ? density / 2 * gsl_sf_hyperg_U(1, 0.5, z * z / 2) : 0;
}

/* E[max(x, 0)] of x from N(mean, sd^2). Past 40 sd what is below 0 is nothing, and z may be more
 * than a double holds. */
static double part_above(double mean, double sd)
{
    double z = mean / sd;
    return z > 40 ? mean : sd * mean_above(z);
}

struct bayes bayes_posterior(double estimate, double se, const struct prior *prior, double alpha,
                             bool decrease)
{
    double mean = estimate, sd = se;
    if (prior->proper) {
        /* By the ratio of the two sd, which neither squares nor overflows. */
        double ratio = se / prior->sd, share = 1 / (1 + ratio * ratio); /* the data's weight */
        mean = share * estimate + (1 - share) * prior->mean;
        sd = se * sqrt(share);
        if (!(sd > 0)) /* se is so much larger that the prior stays */
            sd = prior->sd;
    }
    double z = mean / sd, up = part_above(mean, sd), down = part_above(-mean, sd);
    return (struct bayes){
        .estimate = mean,
        .se = sd,
        .interval = inference_interval(mean, sd * gsl_cdf_ugaussian_Qinv(alpha / 2), SIDES_TWO),
        .chance_to_win = gsl_cdf_ugaussian_P(decrease ? -z : z),
        .risk_control = decrease ? down : up,
        .risk_treatment = decrease ? up : down,
    };
}
