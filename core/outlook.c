/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads what a forecast needs out of the JSON of results. */
#include "core/outlook.h"

#include <math.h>
#include <string.h>

#include "core/forecast.h"
#include "core/json.h"

static bool is(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

static double number(const json_t *object, const char *name, double otherwise)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static struct forecast_rule rule_of(const json_t *metric, const struct design *design)
{
    bool fixed = is(metric, "method", "fixed") || is(metric, "method", "bayesian");
    return (struct forecast_rule){
        .fixed = fixed, .alpha = number(metric, "alpha", design->alpha), .tuning = design->tuning};
}

/* Units of both arms. */
static double units_of(const json_t *metric, const json_t *comparison)
{
    const json_t *arms = json_object_get(metric, "arms");
    const char *variant = json_string_value(json_object_get(comparison, "variant"));
    double units = number(json_array_get(arms, 0), "n", 0);
    size_t i;
    json_t *arm;
    json_array_foreach(arms, i, arm) if (variant && is(arm, "key", variant)) units +=
        number(arm, "n", 0);
    return units;
}

static struct outlook nothing_in_sight(void)
{
    return (struct outlook){false, HUGE_VAL, HUGE_VAL, HUGE_VAL, HUGE_VAL};
}

static struct outlook until_horizon(const struct outlook_plan *plan, double units)
{
    double a_day = units / plan->elapsed_days;
    if (!(plan->horizon_days > 0) || !isfinite(plan->horizon_days) || !(units > 0))
        return nothing_in_sight();
    double next = fmin(plan->next_look_days, plan->horizon_days);
    return (struct outlook){true, next * a_day, plan->horizon_days * a_day, next,
                            plan->horizon_days};
}

struct outlook outlook_of(const json_t *metric, const json_t *comparison, size_t end,
                          double boundary, const struct outlook_plan *plan)
{
    double elapsed_days = plan->elapsed_days;
    if (is(metric, "method", "scheduled"))
        return until_horizon(plan, units_of(metric, comparison));
    /* Of this look alone: its ends lie about the estimate, also where earlier looks were luckier.
     */
    const json_t *now = json_object_get(comparison, "now");
    const json_t *at = json_array_get(json_object_get(now ? now : comparison, "interval"), end);
    double units = units_of(metric, comparison);
    if (!json_is_number(at) || !json_is_number(json_object_get(comparison, "estimate")) ||
        !(units > 0) || !(elapsed_days > 0))
        return nothing_in_sight();
    struct forecast_rule rule = rule_of(metric, plan->design);
    struct forecast forecast =
        forecast_crossing(&rule, units, number(comparison, "estimate", 0), json_number_value(at),
                          number(comparison, "se", 0), boundary);
    double days = elapsed_days / units;
    if (!forecast.known)
        return nothing_in_sight();
    return (struct outlook){true, forecast.low, forecast.high, forecast.low * days,
                            forecast.high * days};
}

/* --- the plan ------------------------------------------------------------------------------- */

/* The standard error of a comparison; where its method has none, that of an interval as wide. */
static double se_of(const struct forecast_rule *rule, const json_t *comparison, double units)
{
    const json_t *interval = json_object_get(json_object_get(comparison, "now"), "interval");
    const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    double se = number(comparison, "se", 0);
    if (se > 0 || !json_is_number(low) || !json_is_number(high))
        return se;
    return forecast_se(rule, units, (json_number_value(high) - json_number_value(low)) / 2);
}

/* Days for one comparison at a power. */
static double days_for(const json_t *metric, const json_t *comparison, const struct design *design,
                       double power, double elapsed_days)
{
    struct forecast_rule rule = rule_of(metric, design);
    double units = units_of(metric, comparison);
    double size = number(metric, "min_effect", 0);
    if (!is(metric, "effect", "relative"))
        size *= fabs(number(comparison, "base", 0));
    double se = se_of(&rule, comparison, units);
    return forecast_needed(&rule, units, se, size, power) * elapsed_days / units;
}

json_t *outlook_planned_days(json_t *metrics, const struct outlook_plan *plan)
{
    const struct design *design = plan->design;
    double low = 0, high = 0, elapsed_days = plan->elapsed_days;
    size_t i, j;
    json_t *metric, *comparison;
    if (design->planned_days > 0)
        return json_pack("[i, i]", design->planned_days, design->planned_days);
    if (design->method == METHOD_SCHEDULED && isfinite(plan->horizon_days)) {
        json_t *day =
            json_figure(plan->over_day ? plan->over_day : ceil(elapsed_days + plan->horizon_days));
        return json_pack("[O, o]", day, day);
    }
    json_array_foreach(metrics, i, metric)
    {
        if (!is(metric, "role", "primary"))
            continue;
        json_array_foreach(json_object_get(metric, "comparisons"), j, comparison)
        {
            low = fmax(low, days_for(metric, comparison, design, 0.5, elapsed_days));
            high = fmax(high, days_for(metric, comparison, design, design->power, elapsed_days));
        }
    }
    if (!(low > 0) || !isfinite(high))
        return json_null();
    return json_pack("[o, o]", json_figure(ceil(low)), json_figure(ceil(high)));
}
