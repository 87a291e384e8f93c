/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Power: one condition, searched in the number of customers or in the effect. */
#include "stats/power.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

#include "stats/exact.h"
#include "stats/fieller.h"
#include "stats/msprt.h"
#include "stats/sequential.h"

/* Halvings of a bracket of which one end is at most a few times the other. */
enum { HALVINGS = 54 };

static double z_of_power(const struct power_design *design)
{
    return gsl_cdf_ugaussian_Pinv(design->power);
}

/* --- methods --- */

double power_needed_fixed(const struct power_design *design, const struct effect_pair *expected,
                          const struct effect *effect)
{
    (void)expected, (void)effect;
    double tail = design->sides == SIDES_TWO ? design->alpha / 2 : design->alpha;
    return gsl_cdf_ugaussian_Qinv(tail) + z_of_power(design);
}

double power_needed_sequential(const struct power_design *design,
                               const struct effect_pair *expected, const struct effect *effect)
{
    (void)expected;
    struct interval range =
        sequential_test(0, 1, effect->units, design->alpha, design->tuning, design->sides).interval;
    return (range.low_open ? range.high : -range.low) + z_of_power(design);
}

double power_needed_msprt(const struct power_design *design, const struct effect_pair *expected,
                          const struct effect *effect)
{
    (void)expected;
    struct inference none = msprt_test(0, effect->se, design->mixture_variance, design->alpha);
    return none.interval.high / effect->se + z_of_power(design);
}

double power_needed_exact(const struct power_design *design, const struct effect_pair *expected,
                          const struct effect *effect)
{
    struct exact exact = exact_test(expected, 1, design->alpha);
    if (exact.problem)
        return HUGE_VAL;
    const struct interval *range = &exact.inference.interval;
    double half = exact.estimate > 0 ? exact.estimate - range->low : range->high - exact.estimate;
    return half / effect->se + z_of_power(design);
}

double power_needed_drift(const struct power_design *design, const struct effect_pair *expected,
                          const struct effect *effect)
{
    (void)expected, (void)effect;
    return design->drift;
}

/* --- the condition --- */

static double weight_of_all(const struct power_design *design)
{
    double sum = 0;
    for (size_t i = 0; i < design->arms; i++)
        sum += design->weights[i];
    return sum;
}

static double smallest_share(const struct power_design *design)
{
    double least = design->weights[0];
    for (size_t i = 1; i < design->arms; i++)
        least = fmin(least, design->weights[i]);
    return least / weight_of_all(design);
}

static double statistic_of(const struct power_design *design, const struct effect *effect)
{
    bool fieller = design->fieller && design->scale == EFFECT_RELATIVE;
    return fabs(fieller ? fieller_statistic(effect) : effect->estimate / effect->se);
}

/* Whether every comparison finds the effect. Treatments that follow one of the same weight would
 * only repeat it. */
static bool finds(const struct power_design *design, const struct population *control,
                  const struct population *treatment, double customers)
{
    double each = customers / weight_of_all(design);
    struct effect_pair pair = {.control = population_expected(control, each * design->weights[0])};
    for (size_t i = 1; i < design->arms; i++) {
        if (i > 1 && design->weights[i] == design->weights[i - 1])
            continue;
        pair.treatment = population_expected(treatment, each * design->weights[i]);
        struct effect effect = effect_between(&pair, 1, design->scale);
        if (effect.problem ||
            !(statistic_of(design, &effect) >= design->needed(design, &pair, &effect)))
            return false;
    }
    return true;
}

/* --- customers --- */

double power_customers(const struct power_design *design, const struct population *control,
                       double effect)
{
    struct population treatment;
    double low = 2 / smallest_share(design), high = low;
    if (!population_shift(control, design->scale, effect, &treatment))
        return HUGE_VAL;
    while (!finds(design, control, &treatment, high)) {
        low = high;
        high *= 2;
        if (high > POWER_CUSTOMERS_MAX)
            return HUGE_VAL;
    }
    for (int i = 0; i < HALVINGS && low < high; i++) {
        double middle = low + (high - low) / 2;
        if (finds(design, control, &treatment, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

double power_arm(const struct power_design *design, double customers, size_t arm)
{
    double n = customers * design->weights[arm] / weight_of_all(design);
    return fmax(2, ceil(n * (1 - 1e-13)));
}

/* --- effect --- */

struct detection {
    const struct power_design *design;
    const struct population *control;
    double customers;
};

static bool is_found(const struct detection *detection, double effect)
{
    struct population treatment;
    return population_shift(detection->control, detection->design->scale, effect, &treatment) &&
           finds(detection->design, detection->control, &treatment, detection->customers);
}

bool power_effect(const struct power_design *design, const struct population *control,
                  double customers, double sign, double *effect)
{
    const struct detection detection = {design, control, customers};
    double unit = design->scale == EFFECT_RELATIVE ? fabs(control->mean) : 1, limit;
    double side = sign > 0 ? 1 : -1;
    if (!population_room(control, design->scale, sign, &limit) ||
        !(customers * smallest_share(design) >= 2))
        return false;
    /* Far below what anything finds: every method needs more than one standard error. */
    double low = fmin(sqrt(control->variance / customers) / unit, limit) / 16;
    double most = fmin(limit * (1 - 1e-9), low * 1e9), high = 2 * low;
    while (!is_found(&detection, side * high)) {
        if (!(high < most))
            return false;
        low = high;
        high = fmin(2 * high, most);
    }
    for (int i = 0; i < HALVINGS; i++) {
        double middle = low + (high - low) / 2;
        if (is_found(&detection, side * middle))
            high = middle;
        else
            low = middle;
    }
    *effect = side * high;
    return true;
}
