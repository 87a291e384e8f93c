/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules, one function each, tried in order; the first that holds decides. A variant is judged
 * against the control by itself; the first variant that a rule holds for is named. */
#include "core/decision.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/health.h"
#include "core/json.h"
#include "core/text.h"

void decision_effect_words(double value, bool relative, const char *unit, char out[48])
{
    const char *sign = value < 0 ? "-" : "+";
    value = fabs(value);
    if (relative)
        snprintf(out, 48, "%s%.1f%%", sign, value * 100);
    else if (strcmp(unit, "share") == 0)
        snprintf(out, 48, "%s%.1f points", sign, value * 100);
    else if (strcmp(unit, "points") == 0)
        snprintf(out, 48, "%s%.1f points", sign, value);
    else
        snprintf(out, 48, "%s%.3g", sign, value);
}

static const char *word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static bool is(const json_t *object, const char *name, const char *value)
{
    return strcmp(word(object, name), value) == 0;
}

/* An end of the interval, turned so that up is good; NAN where it is open or there is none. */
static double good_end(const json_t *metric, const json_t *comparison, int end)
{
    bool down = is(metric, "goal", "decrease");
    json_t *interval = json_object_get(comparison, "interval");
    json_t *value = json_array_get(interval, (size_t)(down ? 1 - end : end));
    if (!json_is_number(value))
        return NAN;
    return down ? -json_number_value(value) : json_number_value(value);
}

static double margin_of(const json_t *metric)
{
    return fabs(json_number_value(json_object_get(metric, "limit")));
}

/* "Purchase +6.1% (95% range +2.0% to +10.3%)". */
static void figures(const json_t *metric, const json_t *comparison, double level, struct text *out)
{
    char estimate[48], low[48] = "open", high[48] = "open";
    bool relative = is(metric, "effect", "relative");
    const char *unit = word(metric, "unit");
    json_t *interval = json_object_get(comparison, "interval");
    json_t *ends[] = {json_array_get(interval, 0), json_array_get(interval, 1)};
    if (!json_is_number(json_object_get(comparison, "estimate"))) {
        text_printf(out, "%s: no figure yet", word(metric, "name"));
        return;
    }
    decision_effect_words(json_number_value(json_object_get(comparison, "estimate")), relative,
                          unit, estimate);
    if (json_is_number(ends[0]))
        decision_effect_words(json_number_value(ends[0]), relative, unit, low);
    if (json_is_number(ends[1]))
        decision_effect_words(json_number_value(ends[1]), relative, unit, high);
    text_printf(out, "%s %s (%.4g%% %srange %s to %s)", word(metric, "name"), estimate,
                100 * (1 - level), is(metric, "method", "fixed") ? "" : "valid at any time, ", low,
                high);
}

struct judge {
    const struct decision_input *input;
    json_t *reasons;
    const char *variant;
};

static json_t *comparison_of(const json_t *metric, const char *variant)
{
    json_t *list = json_object_get(metric, "comparisons"), *row;
    size_t i;
    json_array_foreach(list, i, row) if (is(row, "variant", variant)) return row;
    return NULL;
}

static void add_reason(struct judge *judge, const char *id, const json_t *metric,
                       const char *behind)
{
    struct text text;
    text_init(&text, 1024);
    json_t *comparison = comparison_of(metric, judge->variant);
    json_t *alpha = json_object_get(metric, "alpha");
    figures(metric, comparison, json_is_number(alpha) ? json_number_value(alpha) : 0.05, &text);
    text_puts(&text, behind);
    json_array_append_new(judge->reasons,
                          json_pack("{s:s, s:s, s:s, s:{s:O*, s:O*}}", "id", id, "metric",
                                    word(metric, "key"), "text", text.ptr, "values", "estimate",
                                    json_object_get(comparison, "estimate"), "interval",
                                    json_object_get(comparison, "interval")));
    text_release(&text);
}

static void add_limit_reason(struct judge *judge, const char *id, const json_t *metric,
                             const char *what)
{
    char limit[48], behind[128];
    decision_effect_words(margin_of(metric), is(metric, "effect", "relative"), word(metric, "unit"),
                          limit);
    snprintf(behind, sizeof behind, ", %s %s", what, limit + 1);
    add_reason(judge, id, metric, behind);
}

static json_t *decide(struct judge *judge, const char *action, const char *headline)
{
    return json_pack("{s:s, s:s?, s:s, s:s, s:O, s:n, s:n}", "action", action, "variant",
                     judge->variant, "headline", headline, "rule", action, "reasons",
                     judge->reasons, "expected_days_left", "value_per_month");
}

/* --- health, before all --------------------------------------------------------------------- */

static json_t *rule_invalid(struct judge *judge)
{
    const struct decision_input *input = judge->input;
    char text[160];
    if (!input->split_off && input->crossed_share <= HEALTH_CROSSED_MAX)
        return NULL;
    judge->variant = NULL;
    if (input->split_off)
        snprintf(text, sizeof text,
                 "The traffic split is not the planned one; the groups cannot be compared.");
    else
        snprintf(text, sizeof text, "%.1f%% of customers saw two variants, more than %.0f%%.",
                 100 * input->crossed_share, 100 * HEALTH_CROSSED_MAX);
    json_array_append_new(judge->reasons,
                          json_pack("{s:s, s:n, s:s, s:{s:f}}", "id",
                                    input->split_off ? "sample-ratio" : "crossovers", "metric",
                                    "text", text, "values", "crossed", input->crossed_share));
    return decide(judge, "invalid",
                  input->split_off ? "Do not decide: the traffic split is off."
                                   : "Do not decide: too many customers saw two variants.");
}

/* --- rules for one variant ------------------------------------------------------------------ */

/* Calls for every metric of a role; counts those for which `holds`. */
static size_t count_if(struct judge *judge, const char *role,
                       bool (*holds)(const json_t *metric, const json_t *comparison))
{
    size_t i, count = 0;
    json_t *metric;
    json_array_foreach(judge->input->metrics, i, metric)
    {
        json_t *comparison = comparison_of(metric, judge->variant);
        if (is(metric, "role", role) && comparison && holds(metric, comparison))
            count++;
    }
    return count;
}

static bool any_of(const json_t *metric, const json_t *comparison)
{
    (void)metric;
    (void)comparison;
    return true;
}

static bool is_over(const json_t *metric, const json_t *comparison)
{
    (void)metric;
    return is(comparison, "verdict", "over-limit");
}

static bool is_within(const json_t *metric, const json_t *comparison)
{
    (void)metric;
    return is(comparison, "verdict", "within-limit");
}

static bool is_better(const json_t *metric, const json_t *comparison)
{
    (void)metric;
    return is(comparison, "verdict", "better");
}

static bool is_worse(const json_t *metric, const json_t *comparison)
{
    (void)metric;
    return is(comparison, "verdict", "worse");
}

/* Harm is sure, though it may still be within the limit. */
static bool is_harmed(const json_t *metric, const json_t *comparison)
{
    return good_end(metric, comparison, 1) < 0 && !is(comparison, "verdict", "within-limit");
}

/* min_effect is relative to the control; an absolute effect is held against as much of its value.
 */
static bool is_too_small(const json_t *metric, const json_t *comparison)
{
    double least = json_number_value(json_object_get(metric, "min_effect"));
    if (!is(metric, "effect", "relative"))
        least *= fabs(json_number_value(json_object_get(comparison, "base")));
    return least > 0 && good_end(metric, comparison, 1) < least;
}

static void explain(struct judge *judge, const char *role, const char *id, const char *behind,
                    bool limit, bool (*holds)(const json_t *metric, const json_t *comparison))
{
    size_t i;
    json_t *metric;
    json_array_foreach(judge->input->metrics, i, metric)
    {
        json_t *comparison = comparison_of(metric, judge->variant);
        if (!is(metric, "role", role) || !comparison || !holds(metric, comparison))
            continue;
        if (limit)
            add_limit_reason(judge, id, metric, behind);
        else
            add_reason(judge, id, metric, behind);
    }
}

static json_t *rule_roll_back(struct judge *judge)
{
    size_t over = count_if(judge, "guardrail", is_over),
           worse = count_if(judge, "primary", is_worse);
    char headline[200];
    if (over + worse == 0)
        return NULL;
    bool gains = count_if(judge, "primary", is_better) > 0;
    explain(judge, "primary", "primary", "", false, any_of);
    explain(judge, "guardrail", "over-limit", "beyond the tolerated", true, is_over);
    snprintf(headline, sizeof headline, "Roll back %s: %s.", judge->variant,
             gains && over ? "it gains on the main metric, and does harm beyond the limit"
             : over        ? "it does harm beyond the limit"
                           : "it makes the main metric worse");
    return decide(judge, "roll-back", headline);
}

static json_t *rule_too_early(struct judge *judge)
{
    const struct decision_input *input = judge->input;
    char text[200];
    /* Customers differ over the week, so only whole weeks count. */
    int days = (input->design->min_days + 6) / 7 * 7;
    if (input->complete || input->day > days)
        return NULL;
    snprintf(text, sizeof text, "Day %lld of at least %d; customers differ over the week.",
             (long long)input->day, days);
    judge->variant = NULL;
    json_array_append_new(judge->reasons,
                          json_pack("{s:s, s:n, s:s, s:{s:I, s:i}}", "id", "min-days", "metric",
                                    "text", text, "values", "day", (json_int_t)input->day,
                                    "min_days", days));
    return decide(judge, "too-early", "Too early to decide.");
}

static json_t *rule_diverging(struct judge *judge)
{
    char headline[200];
    if (!count_if(judge, "primary", is_better) || !count_if(judge, "guardrail", is_harmed))
        return NULL;
    explain(judge, "primary", "gain", "", false, is_better);
    explain(judge, "guardrail", "harm", "worse, but perhaps within the limit of", true, is_harmed);
    snprintf(headline, sizeof headline,
             "A person must decide on %s: it gains on the main metric and harms a guardrail.",
             judge->variant);
    return decide(judge, "diverging", headline);
}

static bool is_open(const json_t *metric, const json_t *comparison)
{
    return !is_within(metric, comparison);
}

static json_t *rule_ship(struct judge *judge)
{
    char headline[200];
    if (!count_if(judge, "primary", is_better) || count_if(judge, "guardrail", is_open))
        return NULL;
    explain(judge, "primary", "gain", "", false, is_better);
    explain(judge, "guardrail", "within-limit", "within the limit of", true, is_within);
    snprintf(headline, sizeof headline, "Ship %s: the main metric is better%s.", judge->variant,
             count_if(judge, "guardrail", any_of) ? ", and every guardrail is within its limit"
                                                  : "");
    return decide(judge, "ship", headline);
}

static json_t *rule_unpowered(struct judge *judge)
{
    char headline[200];
    if (!count_if(judge, "primary", is_better))
        return NULL;
    explain(judge, "primary", "gain", "", false, is_better);
    explain(judge, "guardrail", "not-yet-known", "not yet known against the limit of", true,
            is_open);
    snprintf(headline, sizeof headline,
             "%s is better on the main metric, but a guardrail is not yet known.", judge->variant);
    return decide(judge, "unpowered", headline);
}

/* --- rules over all variants ---------------------------------------------------------------- */

/* How good a variant looks on the first primary metric, up is good; NAN without a figure. */
static double merit(const struct judge *judge, const char *variant)
{
    size_t i;
    json_t *metric;
    json_array_foreach(judge->input->metrics, i, metric)
    {
        json_t *estimate = json_object_get(comparison_of(metric, variant), "estimate");
        if (is(metric, "role", "primary") && json_is_number(estimate))
            return is(metric, "goal", "decrease") ? -json_number_value(estimate)
                                                  : json_number_value(estimate);
    }
    return NAN;
}

/* Tries a rule on every variant; where it holds for several, the one with the most merit is named.
 */
static json_t *for_each_variant(struct judge *judge, json_t *(*rule)(struct judge *judge))
{
    json_t *list = json_object_get(json_array_get(judge->input->metrics, 0), "comparisons"), *row;
    json_t *best = NULL;
    double most = NAN;
    size_t i;
    json_array_foreach(list, i, row)
    {
        judge->variant = word(row, "variant");
        json_array_clear(judge->reasons);
        json_t *made = rule(judge);
        double value = merit(judge, judge->variant);
        if (made && (!best || value > most)) {
            json_decref(best);
            best = json_deep_copy(made); /* its reasons are cleared for the next variant */
            most = value;
        }
        json_decref(made);
    }
    judge->variant = NULL;
    json_array_clear(judge->reasons);
    return best;
}

static json_t *rule_stop(struct judge *judge)
{
    json_t *list = json_object_get(json_array_get(judge->input->metrics, 0), "comparisons"), *row;
    size_t i, variants = json_array_size(list);
    json_array_foreach(list, i, row)
    {
        judge->variant = word(row, "variant");
        size_t primaries = count_if(judge, "primary", any_of);
        if (primaries == 0 || count_if(judge, "primary", is_too_small) < primaries)
            return NULL;
    }
    if (variants == 0)
        return NULL;
    explain(judge, "primary", "too-small", "", false, any_of);
    judge->variant = NULL;
    return decide(judge, "stop", "Stop: any change is smaller than what is worth having.");
}

static json_t *rule_your_call(struct judge *judge)
{
    const struct design *design = judge->input->design;
    bool over = judge->input->complete ||
                (design->planned_days > 0 && judge->input->day > design->planned_days);
    json_t *list = json_object_get(json_array_get(judge->input->metrics, 0), "comparisons"), *row;
    size_t i;
    if (!over)
        return NULL;
    json_array_foreach(list, i, row)
    {
        judge->variant = word(row, "variant");
        explain(judge, "primary", "open", "", false, any_of);
        explain(judge, "guardrail", "guardrail", "limit", true, any_of);
    }
    judge->variant = NULL;
    return decide(judge, "your-call",
                  "Your call: the plan is over, and the figures leave it open.");
}

static json_t *keep_running(struct judge *judge)
{
    json_t *list = json_object_get(json_array_get(judge->input->metrics, 0), "comparisons"), *row;
    size_t i;
    json_array_foreach(list, i, row)
    {
        judge->variant = word(row, "variant");
        explain(judge, "primary", "unclear", ", not clear yet", false, any_of);
    }
    judge->variant = NULL;
    return decide(judge, "keep-running", "Keep running: we cannot tell yet.");
}

json_t *decision_make(const struct decision_input *input)
{
    static json_t *(*const per_variant[])(struct judge * judge) = {rule_diverging, rule_ship,
                                                                   rule_unpowered};
    struct judge judge = {.input = input, .reasons = json_array()};
    json_t *made = rule_invalid(&judge);
    if (!made)
        made = for_each_variant(&judge, rule_roll_back);
    if (!made)
        made = rule_too_early(&judge);
    for (size_t i = 0; !made && i < sizeof per_variant / sizeof *per_variant; i++)
        made = for_each_variant(&judge, per_variant[i]);
    if (!made)
        made = rule_stop(&judge);
    if (!made)
        made = rule_your_call(&judge);
    if (!made)
        made = keep_running(&judge);
    json_decref(judge.reasons);
    return made;
}
