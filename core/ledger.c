/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ledger_unit: the one pure function that counts. What it is given and nothing else decides. */
#include "core/ledger.h"

#include <math.h>
#include <stdio.h>

#include "core/json.h"
#include "core/when.h"

static bool in_phase(const struct event *event, const struct experiment *experiment, int phase,
                     int *epoch)
{
    if (event->type != EVENT_EXPOSURE || !slice_is(event->name, experiment->key))
        return false;
    int64_t at = event_time(event);
    *epoch = experiment_epoch_at(experiment, at);
    return *epoch >= 0 && experiment->epochs[*epoch].phase == phase &&
           at < experiment_phase_end(experiment, phase);
}

/* The first exposure decides; one to another variant takes the customer out of the analysis. */
static const struct event *find_exposure(const struct event *events, size_t count,
                                         const struct experiment *experiment, int phase,
                                         struct unit *unit)
{
    const struct experiment *then = experiment_in_phase(experiment, phase);
    const struct event *first = NULL;
    for (size_t i = 0; then && i < count; i++) {
        int epoch, variant;
        if (!in_phase(&events[i], experiment, phase, &epoch) ||
            (variant = experiment_variant(then, events[i].variant)) < 0)
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

/* Sum and number of the outcomes of a name within from ≤ time < to. */
struct outcomes {
    double sum;
    int64_t count;
};

static struct outcomes outcomes(const struct event *events, size_t count, const char *name,
                                int64_t from, int64_t to)
{
    struct outcomes found = {0, 0};
    for (size_t i = 0; i < count; i++) {
        int64_t at = event_time(&events[i]);
        if (events[i].type != EVENT_OUTCOME || at < from || at >= to ||
            !slice_is(events[i].name, name))
            continue;
        found.sum += events[i].value;
        found.count++;
    }
    return found;
}

static const struct event *first_answer(const struct event *events, size_t count,
                                        const char *survey, int64_t from, int64_t to)
{
    for (size_t i = 0; i < count; i++) {
        int64_t at = event_time(&events[i]);
        if (events[i].type == EVENT_FEEDBACK && at >= from && at < to &&
            slice_is(events[i].name, survey))
            return &events[i];
    }
    return NULL;
}

static double outcome_value(const struct metric *metric, struct outcomes found)
{
    switch (metric->kind) {
    case METRIC_BINARY:
    case METRIC_RETENTION:
        return found.count > 0;
    case METRIC_COUNT:
        return (double)found.count;
    case METRIC_MEAN:
        return fmin(found.sum, metric->cap);
    default:
        return found.sum;
    }
}

static struct unit_metric count_survey(const struct event *events, size_t count,
                                       const struct metric *metric, int64_t from, int64_t to)
{
    struct unit_metric result = {.metric = metric->number, .adds.score = -1};
    const struct event *answer = first_answer(events, count, metric->event, from, to);
    int least, most;
    metric_kind_scores(metric->kind, &least, &most);
    if (answer && answer->value >= least && answer->value <= most) {
        result.answered = true;
        result.adds.value = answer->value;
        result.adds.score = (int)answer->value;
    }
    return result;
}

static struct unit_metric count_metric(const struct event *events, size_t count,
                                       const struct metric *metric, int64_t exposed_at)
{
    int64_t from = exposed_at + metric->from_days * WHEN_DAY;
    int64_t to =
        exposed_at +
        (metric->kind == METRIC_RETENTION ? metric->to_days : metric->window_days) * WHEN_DAY;
    if (metric_kind_is_survey(metric->kind))
        return count_survey(events, count, metric, from, to);
    struct unit_metric result = {.metric = metric->number,
                                 .answered = true,
                                 .binned = metric_needs_bins(metric),
                                 .adds.score = -1};
    result.adds.value = outcome_value(metric, outcomes(events, count, metric->event, from, to));
    if (metric->kind == METRIC_RATIO)
        result.adds.den = outcomes(events, count, metric->denominator, from, to).sum;
    if (metric->covariate_days > 0)
        result.adds.pre = outcome_value(
            metric, outcomes(events, count, metric->event,
                             exposed_at - metric->covariate_days * WHEN_DAY, exposed_at));
    return result;
}

bool ledger_unit(const struct event *events, size_t count, const struct experiment *experiment,
                 int phase, const struct catalog *catalog, struct arena *arena, struct unit *unit)
{
    *unit = (struct unit){0};
    const struct event *exposure = find_exposure(events, count, experiment, phase, unit);
    if (!exposure || unit->variant < 0)
        return exposure != NULL;
    find_segments(exposure, experiment, arena, unit);
    unit->metrics = arena_alloc(arena, experiment->metric_count * sizeof *unit->metrics);
    for (size_t i = 0; i < experiment->metric_count; i++) {
        const struct metric *metric = catalog_metric(catalog, slice_of(experiment->metrics[i].key));
        if (metric)
            unit->metrics[unit->metric_count++] =
                count_metric(events, count, metric, unit->exposed_at);
    }
    return true;
}
