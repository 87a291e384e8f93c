/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bayes: the normal posterior of an effect [Stucchio2015 for the risks].
 *
 * Data N(d, se^2), prior N(m0, s0^2): the posterior has precision 1/se^2 + 1/s0^2 and mean
 * (d/se^2 + m0/s0^2) over it; with a flat prior it is the data. With mean m, sd s, z = m/s:
 *
 *     chance of an increase     P(effect > 0) = Phi(z)
 *     credible interval         m -+ s Phi^-1(1 - alpha/2), equal tails
 *     loss of keeping control   E[max(effect, 0)]  = s (phi(z) + z Phi(z))
 *     loss of the treatment     E[max(-effect, 0)] = s (phi(z) - z Phi(-z))
 *
 * the last two by Tricomi's function where they are tail areas, so that no digits cancel. Where a
 * decrease is wanted the chance and the losses change sides. Not valid under peeking in the
 * frequentist sense: there is no p-value. */
#ifndef UPLIFT_STATS_BAYES_H
#define UPLIFT_STATS_BAYES_H

#include <stdbool.h>

#include "stats/inference.h"

struct prior {
    bool proper;     /* false: flat, the rest is not read */
    double mean, sd; /* in the units of the effect; sd > 0 */
};

struct bayes {
    double estimate, se; /* of the posterior */
    struct interval interval;
    double chance_to_win;                /* that the treatment is better than the control */
    double risk_control, risk_treatment; /* expected loss of choosing each, >= 0 */
};

/* estimate finite, se > 0 finite, 0 < alpha < 1. Pure and thread-safe. */
struct bayes bayes_posterior(double estimate, double se, const struct prior *prior, double alpha,
                             bool decrease);

#endif
