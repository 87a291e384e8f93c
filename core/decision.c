/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules, one function each, tried in order; the first that holds decides. A variant is judged
 * against the control by itself; the first variant that a rule holds for is named. */
#include "core/decision.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/health.h"
#include "core/json.h"
#include "core/outlook.h"
#include "core/text.h"
#include "core/words.h"

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

struct judge {
    const struct decision_input *input;
    json_t *reasons;
    const char *variant;
    double days_low, days_high; /* until more is known; days_low < 0: no end in sight */
};

static json_t *comparison_of(const json_t *metric, const char *variant)
{
    json_t *list = json_object_get(metric, "comparisons"), *row;
    size_t i;
    json_array_foreach(list, i, row) if (is(row, "variant", variant)) return row;
    return NULL;
}

/* A figure's name and value among the values of a reason. */
static void put_value(json_t *reason, const char *name, json_t *value)
{
    json_object_set_new(json_object_get(reason, "values"), name, value);
}

/* "Purchases +6.1% (…)" and since when it is clear, or that the effect changed. The text's end is
 * given by say_more. Returns the reason, borrowed. */
static json_t *add_reason(struct judge *judge, const char *id, const json_t *metric)
{
    struct text text;
    text_init(&text, 2000);
    json_t *row = comparison_of(metric, judge->variant);
    json_t *clear = json_object_get(row, "clear_since");
    words_comparison(metric, row, &text);
    if (json_is_object(clear) && !is(metric, "role", "guardrail"))
        text_printf(&text, ", clear since day %lld",
                    (long long)json_integer_value(json_object_get(clear, "day")));
    if (json_is_object(json_object_get(row, "drift_since")))
        text_puts(&text, ", the effect changed over time");
    json_t *reason = json_pack("{s:s, s:s, s:s?, s:s, s:{s:O*, s:O*, s:O*, s:O*}}", "id", id,
                               "metric", word(metric, "key"), "variant", judge->variant, "text",
                               text.ptr, "values", "estimate", json_object_get(row, "estimate"),
                               "interval", json_object_get(row, "interval"), "clear_since", clear,
                               "drift_since", json_object_get(row, "drift_since"));
    text_release(&text);
    json_array_append_new(judge->reasons, reason);
    return reason;
}

/* Goes on with the text of a reason. */
static void say_more(json_t *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say_more(json_t *reason, const char *format, ...)
{
    char behind[400];
    struct text text;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(behind, sizeof behind, format, arguments);
    va_end(arguments);
    text_init(&text, 4000);
    text_puts(&text, word(reason, "text"));
    text_puts(&text, behind);
    json_object_set_new(reason, "text", json_string(text.ptr));
    text_release(&text);
}

static void say_limit(json_t *reason, const json_t *metric, const char *what)
{
    char limit[WORDS_FIGURE];
    words_size(metric, margin_of(metric), limit);
    say_more(reason, ", %s %s", what, limit);
    put_value(reason, "limit", json_figure(margin_of(metric)));
}

/* Money a month, if everybody got the variant: of the first primary metric with a value of its
 * unit, to two digits. */
static json_t *value_per_month(const struct judge *judge)
{
    size_t i;
    json_t *metric;
    json_array_foreach(judge->input->metrics, i, metric)
    {
        json_t *unit = json_object_get(metric, "unit_value");
        json_t *row = judge->variant ? comparison_of(metric, judge->variant) : NULL;
        json_t *estimate = json_object_get(row, "estimate");
        if (!is(metric, "role", "primary") || !json_is_number(unit) || !json_is_number(estimate))
            continue;
        double effect = json_number_value(estimate);
        if (is(metric, "effect", "relative"))
            effect *= fabs(json_number_value(json_object_get(row, "base")));
        if (is(metric, "goal", "decrease"))
            effect = -effect;
        double value = effect * json_number_value(unit) * judge->input->customers_per_month;
        double step = value != 0 ? pow(10, floor(log10(fabs(value))) - 1) : 1;
        return json_figure(round(value / step) * step);
    }
    return json_null();
}

static json_t *days_left(const struct judge *judge)
{
    if (judge->days_low < 0 || judge->input->complete)
        return json_null();
    return json_pack("[o, o]", json_figure(fmax(1, floor(judge->days_low))),
                     json_figure(ceil(judge->days_high)));
}

static json_t *decide(struct judge *judge, const char *action, const char *headline)
{
    return json_pack("{s:s, s:s?, s:s, s:s, s:O, s:o, s:o}", "action", action, "variant",
                     judge->variant, "headline", headline, "rule", action, "reasons",
                     judge->reasons, "expected_days_left", days_left(judge), "value_per_month",
                     value_per_month(judge));
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

/* The effect among those who answered a survey and the one corrected for who answered differ in
 * sign: what of it is good news cannot be trusted. */
static bool turns_sign(const json_t *comparison)
{
    return json_is_false(json_object_get(json_object_get(comparison, "response"), "sign_agrees"));
}

/* Better, and able to support shipping. */
static bool is_sound_gain(const json_t *metric, const json_t *comparison)
{
    return is_better(metric, comparison) && !turns_sign(comparison);
}

static bool is_sound_within(const json_t *metric, const json_t *comparison)
{
    return is_within(metric, comparison) && !turns_sign(comparison);
}

/* Good news that cannot support shipping. */
static bool is_turned(const json_t *metric, const json_t *comparison)
{
    return turns_sign(comparison) &&
           (is_better(metric, comparison) || is_within(metric, comparison));
}

/* Harm is sure, though it may still be within the limit. */
static bool is_harmed(const json_t *metric, const json_t *comparison)
{
    return good_end(metric, comparison, 1) < 0 && !is(comparison, "verdict", "within-limit");
}

/* min_effect is relative to the control; an absolute effect is held against as much of its value.
 * 0: none is given. */
static double least_effect(const json_t *metric, const json_t *comparison)
{
    double least = json_number_value(json_object_get(metric, "min_effect"));
    if (!is(metric, "effect", "relative"))
        least *= fabs(json_number_value(json_object_get(comparison, "base")));
    return least;
}

static bool is_too_small(const json_t *metric, const json_t *comparison)
{
    double least = least_effect(metric, comparison);
    return least > 0 && good_end(metric, comparison, 1) < least;
}

/* Calls `say` with a new reason for every metric of a role for which `holds`. */
static void explain(struct judge *judge, const char *role, const char *id,
                    bool (*holds)(const json_t *metric, const json_t *comparison),
                    void (*say)(struct judge *judge, json_t *reason, const json_t *metric,
                                const json_t *comparison))
{
    size_t i;
    json_t *metric;
    json_array_foreach(judge->input->metrics, i, metric)
    {
        json_t *comparison = comparison_of(metric, judge->variant);
        if (!is(metric, "role", role) || !comparison || !holds(metric, comparison))
            continue;
        json_t *reason = add_reason(judge, id, metric);
        if (say)
            say(judge, reason, metric, comparison);
    }
}

static void say_beyond(struct judge *judge, json_t *reason, const json_t *metric,
                       const json_t *comparison)
{
    (void)judge;
    (void)comparison;
    say_limit(reason, metric, "beyond the tolerated");
}

static void say_perhaps(struct judge *judge, json_t *reason, const json_t *metric,
                        const json_t *comparison)
{
    (void)judge;
    (void)comparison;
    say_limit(reason, metric, "worse, but perhaps within the limit of");
}

static void say_within(struct judge *judge, json_t *reason, const json_t *metric,
                       const json_t *comparison)
{
    (void)judge;
    (void)comparison;
    say_limit(reason, metric, "within the limit of");
}

/* The segment whose corrected effect turns the sign, or NULL. */
static const json_t *turning_segment(const json_t *response)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(response, "by_segment"), i, row)
    {
        if (json_is_false(json_object_get(row, "sign_agrees")))
            return row;
    }
    return NULL;
}

/* " by device", or nothing for a segment without a name or with a very long one. */
static void segment_words(const json_t *row, char out[80])
{
    const char *name = word(row, "segment");
    out[0] = '\0';
    if (*name && strlen(name) < 70)
        snprintf(out, 80, " by %s", name);
}

static void say_turned(struct judge *judge, json_t *reason, const json_t *metric,
                       const json_t *comparison)
{
    const json_t *response = json_object_get(comparison, "response");
    const json_t *turning = turning_segment(response);
    json_t *naive = json_object_get(response, "naive");
    json_t *corrected = json_object_get(turning, "post_stratified");
    char before[WORDS_FIGURE], after[WORDS_FIGURE], by[80];
    (void)judge;
    words_effect(json_number_value(naive), false, word(metric, "unit"), before);
    words_effect(json_number_value(corrected), false, word(metric, "unit"), after);
    segment_words(turning, by);
    say_more(reason,
             ": %s among those who answered, but %s once weighted to everybody exposed%s; who "
             "answers makes the difference, so it cannot support shipping",
             before, after, by);
    put_value(reason, "naive", json_incref(naive));
    put_value(reason, "post_stratified", json_incref(corrected));
}

/* Surveys whose good news is not counted; a reason each. */
static void explain_turned(struct judge *judge)
{
    explain(judge, "primary", "response-bias", is_turned, say_turned);
    explain(judge, "guardrail", "response-bias", is_turned, say_turned);
}

/* --- how long it takes ---------------------------------------------------------------------- */

static struct outlook outlook_to(const struct judge *judge, const json_t *metric,
                                 const json_t *comparison, size_t end, double boundary)
{
    return outlook_of(metric, comparison, end, boundary, &judge->input->plan);
}

static void say_days(const struct judge *judge, json_t *reason, const struct outlook *outlook)
{
    char days[WORDS_FIGURE];
    if (judge->input->complete)
        return;
    if (outlook->known) {
        words_days(outlook->days_low, outlook->days_high, days);
        say_more(reason, ": %s if it stays so", days);
    } else {
        say_more(reason, ": no end in sight if it stays so");
    }
    put_value(reason, "days_left",
              outlook->known ? json_pack("[o, o]", json_figure(outlook->days_low),
                                         json_figure(outlook->days_high))
                             : json_null());
}

/* A primary is settled when its range leaves out either no change or what is worth having. */
static struct outlook outlook_of_primary(const struct judge *judge, const json_t *metric,
                                         const json_t *comparison)
{
    double estimate = json_number_value(json_object_get(comparison, "estimate"));
    bool down = is(metric, "goal", "decrease");
    double least = (down ? -1 : 1) * least_effect(metric, comparison);
    struct outlook clear = outlook_to(judge, metric, comparison, estimate > 0 ? 0 : 1, 0);
    if (least == 0)
        return clear;
    struct outlook small = outlook_to(judge, metric, comparison, down ? 0 : 1, least);
    return small.days_low < clear.days_low ? small : clear;
}

static void say_unclear(struct judge *judge, json_t *reason, const json_t *metric,
                        const json_t *comparison)
{
    struct outlook outlook = outlook_of_primary(judge, metric, comparison);
    say_more(reason, ", not clear yet");
    say_days(judge, reason, &outlook);
    if (outlook.known && (judge->days_low < 0 || outlook.days_low < judge->days_low)) {
        judge->days_low = outlook.days_low;
        judge->days_high = outlook.days_high;
    }
}

/* What an open guardrail still needs. All must be known, so the slowest counts. */
static void say_open(struct judge *judge, json_t *reason, const json_t *metric,
                     const json_t *comparison)
{
    bool down = is(metric, "goal", "decrease");
    double limit = json_number_value(json_object_get(metric, "limit"));
    struct outlook outlook = outlook_to(judge, metric, comparison, down ? 1 : 0, limit);
    char least[WORDS_FIGURE], most[WORDS_FIGURE];
    say_limit(reason, metric, "not yet known against the limit of");
    if (outlook.known) {
        const char *unit = json_object_get(metric, "answers") ? "answers" : "customers";
        words_count(ceil(outlook.units_low), least);
        words_count(ceil(outlook.units_high), most);
        if (strcmp(least, most) == 0)
            say_more(reason, "; needs %s more %s", least, unit);
        else if (isfinite(outlook.units_high))
            say_more(reason, "; needs %s to %s more %s", least, most, unit);
        else
            say_more(reason, "; needs at least %s more %s", least, unit);
        put_value(reason, "units_left",
                  json_pack("[o, o]", json_figure(ceil(outlook.units_low)),
                            json_figure(ceil(outlook.units_high))));
    }
    say_days(judge, reason, &outlook);
    judge->days_low = outlook.known ? fmax(judge->days_low, outlook.days_low) : HUGE_VAL;
    judge->days_high = fmax(judge->days_high, outlook.days_high);
}

static void say_too_small(struct judge *judge, json_t *reason, const json_t *metric,
                          const json_t *comparison)
{
    char least[WORDS_FIGURE];
    (void)judge;
    words_size(metric, least_effect(metric, comparison), least);
    say_more(reason, ", less than the %s worth having", least);
    put_value(reason, "min_effect", json_figure(least_effect(metric, comparison)));
}

/* Both risks: what shipping may cost, and what not shipping may forgo. */
static void say_risks(struct judge *judge, json_t *reason, const json_t *metric,
                      const json_t *comparison)
{
    double worst = good_end(metric, comparison, 0), best = good_end(metric, comparison, 1);
    char figure[WORDS_FIGURE];
    (void)judge;
    if (worst < 0) {
        words_size(metric, worst, figure);
        say_more(reason, "; shipping may cost up to %s", figure);
    }
    if (best > 0) {
        words_size(metric, best, figure);
        say_more(reason, "; not shipping may forgo up to %s", figure);
    }
}

static void say_risk_of_guardrail(struct judge *judge, json_t *reason, const json_t *metric,
                                  const json_t *comparison)
{
    say_limit(reason, metric, "limit");
    say_risks(judge, reason, metric, comparison);
}

/* --- rules, tried on each variant ----------------------------------------------------------- */

static json_t *rule_roll_back(struct judge *judge)
{
    size_t over = count_if(judge, "guardrail", is_over),
           worse = count_if(judge, "primary", is_worse);
    char headline[200];
    if (over + worse == 0)
        return NULL;
    bool gains = count_if(judge, "primary", is_better) > 0;
    explain(judge, "primary", "primary", any_of, NULL);
    explain(judge, "guardrail", "over-limit", is_over, say_beyond);
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
    int days = (input->plan.design->min_days + 6) / 7 * 7;
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
    explain(judge, "primary", "gain", is_better, NULL);
    explain(judge, "guardrail", "harm", is_harmed, say_perhaps);
    explain_turned(judge);
    snprintf(headline, sizeof headline,
             "A person must decide on %s: it gains on the main metric and harms a guardrail.",
             judge->variant);
    return decide(judge, "diverging", headline);
}

static bool is_open(const json_t *metric, const json_t *comparison)
{
    return !is_within(metric, comparison);
}

static bool is_unsound(const json_t *metric, const json_t *comparison)
{
    return !is_sound_within(metric, comparison);
}

static json_t *rule_ship(struct judge *judge)
{
    char headline[200];
    if (!count_if(judge, "primary", is_sound_gain) || count_if(judge, "guardrail", is_unsound))
        return NULL;
    explain(judge, "primary", "gain", is_sound_gain, NULL);
    explain(judge, "guardrail", "within-limit", is_within, say_within);
    explain_turned(judge);
    snprintf(headline, sizeof headline, "Ship %s: the main metric is better%s.", judge->variant,
             count_if(judge, "guardrail", any_of) ? ", and every guardrail is within its limit"
                                                  : "");
    return decide(judge, "ship", headline);
}

static json_t *rule_unpowered(struct judge *judge)
{
    char headline[200];
    if (!count_if(judge, "primary", is_sound_gain))
        return NULL;
    explain(judge, "primary", "gain", is_sound_gain, NULL);
    explain(judge, "guardrail", "not-yet-known", is_open, say_open);
    explain_turned(judge);
    if (!isfinite(judge->days_low))
        judge->days_low = -1;
    snprintf(headline, sizeof headline, "%s is better on the main metric, but a guardrail %s.",
             judge->variant,
             count_if(judge, "guardrail", is_open) ? "is not yet known" : "turns with who answers");
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
        judge->days_low = judge->days_high = -1;
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
    judge->days_low = judge->days_high = -1;
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
    json_array_foreach(list, i, row)
    {
        judge->variant = word(row, "variant");
        explain(judge, "primary", "too-small", any_of, say_too_small);
    }
    judge->variant = NULL;
    return decide(judge, "stop", "Stop: any change is smaller than what is worth having.");
}

static json_t *rule_your_call(struct judge *judge)
{
    const struct design *design = judge->input->plan.design;
    bool over = judge->input->complete || judge->input->schedule_over ||
                (design->planned_days > 0 && judge->input->day > design->planned_days);
    json_t *list = json_object_get(json_array_get(judge->input->metrics, 0), "comparisons"), *row;
    size_t i;
    if (!over)
        return NULL;
    json_array_foreach(list, i, row)
    {
        judge->variant = word(row, "variant");
        explain(judge, "primary", "open", any_of, say_risks);
        explain(judge, "guardrail", "guardrail", any_of, say_risk_of_guardrail);
        explain_turned(judge);
    }
    judge->variant = NULL;
    return decide(judge, "your-call",
                  "Your call: the plan is over, and the figures leave it open.");
}

static bool is_unclear(const json_t *metric, const json_t *comparison)
{
    return !is_better(metric, comparison) && !is_worse(metric, comparison);
}

static json_t *keep_running(struct judge *judge)
{
    json_t *list = json_object_get(json_array_get(judge->input->metrics, 0), "comparisons"), *row;
    size_t i;
    json_array_foreach(list, i, row)
    {
        judge->variant = word(row, "variant");
        explain(judge, "primary", "unclear", is_unclear, say_unclear);
        explain_turned(judge);
    }
    judge->variant = NULL;
    return decide(judge, "keep-running", "Keep running: we cannot tell yet.");
}

/* Rolling back one variant must not hide that another is fine. */
static json_t *roll_back(struct judge *judge)
{
    json_t *made = for_each_variant(judge, rule_roll_back);
    json_t *other = made ? for_each_variant(judge, rule_ship) : NULL;
    if (other)
        json_array_append_new(
            json_object_get(made, "reasons"),
            json_pack("{s:s, s:n, s:O, s:s+, s:{}}", "id", "other-variant", "metric", "variant",
                      json_object_get(other, "variant"), "text", word(other, "variant"),
                      ": better on the main metric, with every guardrail within its limit",
                      "values"));
    json_decref(other);
    return made;
}

json_t *decision_make(const struct decision_input *input)
{
    static json_t *(*const per_variant[])(struct judge * judge) = {rule_diverging, rule_ship,
                                                                   rule_unpowered};
    struct judge judge = {.input = input, .reasons = json_array(), .days_low = -1, .days_high = -1};
    json_t *made = rule_invalid(&judge);
    if (!made)
        made = roll_back(&judge);
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
