/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ledger_unit: the one pure function that counts. What it is given and nothing else decides. */
#include "core/ledger_parts.h"

#include <math.h>
#include <stdio.h>

#include "core/json.h"
#include "core/when.h"

bool ledger_exposure_of(const struct event *event, const struct experiment *experiment, int phase,
                        int *epoch, int *variant)
{
    const struct experiment *then = experiment_in_phase(experiment, phase);
    if (!then || event->type != EVENT_EXPOSURE || !slice_is(event->name, experiment->key))
        return false;
    int64_t at = event_time(event);
    *epoch = experiment_epoch_at(experiment, at);
    if (*epoch < 0 || experiment->epochs[*epoch].phase != phase ||
        at >= experiment_phase_end(experiment, phase))
        return false;
    *variant = experiment_variant(then, event->variant);
    return *variant >= 0;
}

/* The first exposure decides; one to another variant takes the customer out of the analysis. */
static const struct event *find_exposure(const struct event *events, size_t count,
                                         const struct experiment *experiment, int phase,
                                         struct unit *unit)
{
    const struct event *first = NULL;
    for (size_t i = 0; i < count; i++) {
        int epoch, variant;
        if (!ledger_exposure_of(&events[i], experiment, phase, &epoch, &variant))
            continue;
        if (!first) {
            first = &events[i];
            unit->variant = variant;
            unit->epoch = (uint16_t)epoch;
            unit->exposed_at = event_time(first);
        } else if (variant != unit->variant) {
            unit->variant = -1;
            break;
        }
    }
    return first;
}

/* An attribute's value as the word of a segment, at most LEDGER_SEGMENT_VALUE_MAX bytes. */
static struct slice segment_value(const json_t *value, struct arena *arena)
{
    char number[32];
    struct slice text = slice_of("(none)");
    if (json_is_string(value) && json_string_length(value) > 0)
        text = (struct slice){json_string_value(value), json_string_length(value)};
    else if (json_is_boolean(value))
        text = slice_of(json_is_true(value) ? "true" : "false");
    else if (json_is_number(value)) {
        snprintf(number, sizeof number, "%.15g", json_number_value(value));
        text = slice_of(number);
    }
    size_t len = 0;
    uint32_t c;
    for (size_t step; len < text.len; len += step) {
        step = utf8_next(text.ptr + len, text.len - len, &c);
        if (step == 0 || c == 0 || len + step > LEDGER_SEGMENT_VALUE_MAX)
            break;
    }
    return arena_slice(arena, (struct slice){text.ptr, len});
}

static void find_segments(const struct event *exposure, const struct experiment *experiment,
                          struct arena *arena, struct unit *unit)
{
    struct slice text = exposure->attributes;
    json_t *attributes = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    unit->segment_count = experiment->segment_count;
    for (size_t i = 0; i < experiment->segment_count; i++) {
        const char *name = experiment->segments[i];
        unit->segments[i].name = slice_of(name);
        unit->segments[i].value = segment_value(json_object_get(attributes, name), arena);
    }
    json_decref(attributes);
}

/* --- adding events ------------------------------------------------------------------------- */

/* What one outcome adds to a sum. */
static exact_sum worth(const struct metric *metric, const struct event *event)
{
    return metric->kind == METRIC_COUNT ? EXACT_ONE : exact_of(event->value);
}

static exact_sum with_outcome(const struct metric *metric, exact_sum sum, const struct event *event)
{
    bool once = metric->kind == METRIC_BINARY || metric->kind == METRIC_RETENTION;
    return once ? EXACT_ONE : sum + worth(metric, event);
}

static double outcome_value(const struct metric *metric, exact_sum sum)
{
    double value = exact_value(sum);
    return metric->kind == METRIC_MEAN ? fmin(value, metric->cap) : value;
}

static bool within_window(const struct metric *metric, int64_t exposed_at, int64_t at)
{
    int days = metric->kind == METRIC_RETENTION ? metric->to_days : metric->window_days;
    return at >= exposed_at + metric->from_days * WHEN_DAY && at < exposed_at + days * WHEN_DAY;
}

static bool before_exposure(const struct metric *metric, int64_t exposed_at, int64_t at)
{
    return metric->covariate_days > 0 && at < exposed_at &&
           at >= exposed_at - metric->covariate_days * WHEN_DAY;
}

static void add_outcome(struct unit_metric *counted, const struct metric *metric,
                        const struct event *event, int64_t exposed_at)
{
    int64_t at = event_time(event);
    bool within = within_window(metric, exposed_at, at);
    if (slice_is(event->name, metric->event)) {
        if (within)
            counted->sum = with_outcome(metric, counted->sum, event);
        else if (before_exposure(metric, exposed_at, at))
            counted->pre = with_outcome(metric, counted->pre, event);
        counted->adds.value = outcome_value(metric, counted->sum);
        counted->adds.pre = outcome_value(metric, counted->pre);
    }
    if (within && metric->denominator && slice_is(event->name, metric->denominator)) {
        counted->den += exact_of(event->value);
        counted->adds.den = exact_value(counted->den);
    }
}

/* The first answer counts. False where two came at the same time. */
static bool add_answer(struct unit_metric *counted, const struct metric *metric,
                       const struct event *event, int64_t exposed_at)
{
    int64_t at = event_time(event);
    int least, most;
    if (!slice_is(event->name, metric->event) || !within_window(metric, exposed_at, at) ||
        (counted->answered_at >= 0 && at > counted->answered_at))
        return true;
    if (at == counted->answered_at)
        return false;
    metric_kind_scores(metric->kind, &least, &most);
    counted->answered_at = at;
    counted->answered = event->value >= least && event->value <= most;
    counted->sum = counted->answered ? exact_of(event->value) : 0;
    counted->adds.value = exact_value(counted->sum);
    counted->adds.score = counted->answered ? (int)event->value : -1;
    return true;
}

static bool add_to_metrics(struct unit *unit, const struct event *event,
                           const struct experiment *experiment, const struct catalog *catalog)
{
    bool told = true;
    size_t i = 0;
    for (size_t m = 0; m < experiment->metric_count; m++) {
        const struct metric *metric = catalog_metric(catalog, slice_of(experiment->metrics[m].key));
        if (!metric)
            continue;
        if (i == unit->metric_count || unit->metrics[i].metric != metric->number)
            return false;
        struct unit_metric *counted = &unit->metrics[i++];
        bool survey = metric_kind_is_survey(metric->kind);
        if (survey && event->type == EVENT_FEEDBACK)
            told = add_answer(counted, metric, event, unit->exposed_at) && told;
        else if (!survey && event->type == EVENT_OUTCOME)
            add_outcome(counted, metric, event, unit->exposed_at);
    }
    return told && i == unit->metric_count;
}

static void leave_analysis(struct unit *unit)
{
    unit->variant = -1;
    unit->segment_count = 0;
    unit->metric_count = 0;
}

bool ledger_unit_add(struct unit *unit, const struct event *event,
                     const struct experiment *experiment, int phase, const struct catalog *catalog)
{
    int epoch, variant;
    if (event->type != EVENT_EXPOSURE)
        return unit->variant < 0 || unit->sealed ||
               add_to_metrics(unit, event, experiment_in_phase(experiment, phase), catalog);
    if (!ledger_exposure_of(event, experiment, phase, &epoch, &variant))
        return true;
    if (event_time(event) <= unit->exposed_at)
        return unit->sealed;
    if (unit->variant >= 0 && variant != unit->variant)
        leave_analysis(unit);
    return true;
}

/* --- the whole ------------------------------------------------------------------------------ */

static void begin_metrics(const struct experiment *experiment, const struct catalog *catalog,
                          struct arena *arena, struct unit *unit)
{
    unit->metrics = arena_alloc(arena, experiment->metric_count * sizeof *unit->metrics);
    for (size_t i = 0; i < experiment->metric_count; i++) {
        const struct metric *metric = catalog_metric(catalog, slice_of(experiment->metrics[i].key));
        if (metric)
            unit->metrics[unit->metric_count++] =
                (struct unit_metric){.metric = metric->number,
                                     .answered = !metric_kind_is_survey(metric->kind),
                                     .binned = metric_needs_bins(metric),
                                     .adds.score = -1,
                                     .answered_at = -1};
    }
}

bool ledger_unit(const struct event *events, size_t count, const struct experiment *experiment,
                 int phase, const struct catalog *catalog, struct arena *arena, struct unit *unit)
{
    *unit = (struct unit){0};
    const struct event *exposure = find_exposure(events, count, experiment, phase, unit);
    if (!exposure || unit->variant < 0)
        return exposure != NULL;
    const struct experiment *then = experiment_in_phase(experiment, phase);
    find_segments(exposure, then, arena, unit);
    begin_metrics(then, catalog, arena, unit);
    /* Of two answers at the same time the first in order is there when the other is added. */
    for (size_t i = 0; i < count; i++)
        if (events[i].type != EVENT_EXPOSURE)
            add_to_metrics(unit, &events[i], then, catalog);
    return true;
}

bool ledger_unit_beside(const struct unit *old, const struct event *events, size_t count,
                        const struct experiment *experiment, int phase,
                        const struct catalog *catalog, struct arena *arena, struct unit *unit)
{
    if (!old || !old->sealed)
        return ledger_unit(events, count, experiment, phase, catalog, arena, unit);
    *unit = *old;
    for (size_t i = 0; i < count; i++)
        must(ledger_unit_add(unit, &events[i], experiment, phase, catalog));
    return true;
}
