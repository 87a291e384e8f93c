/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Widths as stats/ computes them at a standard error that falls as 1/sqrt(n); roots by bisection on
 * the logarithm of n, as the width only falls. */
#include "core/forecast.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

#include "stats/sequential.h"

/* The quartiles of the normal distribution, in standard errors. */
#define QUARTILE 0.6744897501960817

static double half_width(const struct forecast_rule *rule, double units, double se)
{
    if (rule->fixed)
        return se * gsl_cdf_ugaussian_Pinv(1 - rule->alpha / 2);
    return sequential_test(0, se, units, rule->alpha, rule->tuning, SIDES_TWO).interval.high;
}

double forecast_se(const struct forecast_rule *rule, double units, double half)
{
    return half / half_width(rule, units, 1);
}

/* The least n in [units × from, units × FORECAST_MOST] at which `holds`, which once true stays
 * true; HUGE_VAL where there is none. */
static double least_units(const struct forecast_rule *rule, double units, double from, double se,
                          bool (*holds)(const struct forecast_rule *rule, double n, double se,
                                        const double *data),
                          const double *data)
{
    double low = log(units * from), high = log(units * FORECAST_MOST);
    if (!holds(rule, exp(high), se * sqrt(units / exp(high)), data))
        return HUGE_VAL;
    for (int i = 0; i < 60; i++) {
        double n = exp((low + high) / 2);
        if (holds(rule, n, se * sqrt(units / n), data))
            high = log(n);
        else
            low = log(n);
    }
    return exp(high);
}

/* data: the gap to be covered, and by how much the width now stands out against the rule's. */
static bool is_narrow(const struct forecast_rule *rule, double n, double se, const double *data)
{
    return half_width(rule, n, se) * data[1] <= data[0];
}

static double crossing(const struct forecast_rule *rule, double units, double gap,
                       double stands_out, double se)
{
    const double data[2] = {gap, stands_out};
    return gap > 0 ? least_units(rule, units, 1, se, is_narrow, data) : HUGE_VAL;
}

struct forecast forecast_crossing(const struct forecast_rule *rule, double units, double estimate,
                                  double end, double se, double boundary)
{
    struct forecast none = {false, HUGE_VAL, HUGE_VAL}, now = {true, 0, 0};
    bool upward = end < estimate; /* the lower end, to rise above the boundary */
    double half = fabs(estimate - end), gap = upward ? estimate - boundary : boundary - estimate;
    if (!(units > 1) || !(half > 0) || !isfinite(half) || !isfinite(gap))
        return none;
    if (upward ? end > boundary : end < boundary)
        return now;
    if (!(se > 0))
        se = forecast_se(rule, units, half);
    double stands_out = half / half_width(rule, units, se);
    double low = crossing(rule, units, gap + QUARTILE * se, stands_out, se);
    double high = crossing(rule, units, gap - QUARTILE * se, stands_out, se);
    if (!isfinite(low))
        return none;
    return (struct forecast){true, fmax(0, low - units), fmax(0, high - units)};
}

/* data: the size to be found, and the standard errors that the power asks for. */
static bool has_power(const struct forecast_rule *rule, double n, double se, const double *data)
{
    return data[0] - half_width(rule, n, se) >= data[1] * se;
}

double forecast_needed(const struct forecast_rule *rule, double units, double se, double size,
                       double power)
{
    const double data[2] = {size, gsl_cdf_ugaussian_Pinv(power)};
    if (!(units >= 100) || !(se > 0) || !(size > 0) || !isfinite(se))
        return HUGE_VAL;
    return least_units(rule, units, 1 / FORECAST_MOST, se, has_power, data);
}
