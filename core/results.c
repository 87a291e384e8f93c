/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a study's report to results: names, units, verdicts with their dates, answers, segments,
 * health, and the decision. */
#include "core/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/decision.h"
#include "core/health.h"
#include "core/json.h"
#include "core/outlook.h"
#include "core/study.h"
#include "core/when.h"

/* --- verdicts ------------------------------------------------------------------------------- */

static const char *verdict(const json_t *comparison, enum metric_role role, bool decrease)
{
    if (role == ROLE_GUARDRAIL) {
        json_t *fine = json_object_get(comparison, "non_inferior");
        return json_is_true(fine)    ? "within-limit"
               : json_is_false(fine) ? "over-limit"
                                     : "not-yet-known";
    }
    json_t *interval = json_object_get(comparison, "interval");
    json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    if (!json_is_true(json_object_get(comparison, "significant")))
        return "unclear";
    if (json_is_number(low) && json_number_value(low) > 0)
        return decrease ? "worse" : "better";
    if (json_is_number(high) && json_number_value(high) < 0)
        return decrease ? "better" : "worse";
    return "unclear";
}

static bool is_clear(const char *verdict)
{
    return strcmp(verdict, "unclear") != 0 && strcmp(verdict, "not-yet-known") != 0;
}

static json_t *this_moment(const struct gathered *g)
{
    return json_pack("{s:o, s:I}", "at", json_when(g->now), "day", (json_int_t)g->day);
}

/* Since when the effect is seen to change over time, or null. */
static json_t *drift_since(const struct gathered *g, json_t *row, const json_t *before)
{
    json_t *since = json_object_get(before, "drift_since");
    if (json_is_object(since))
        return json_incref(since);
    return json_is_true(json_object_get(row, "drift")) ? this_moment(g) : json_null();
}

/* Since when the verdict is what it is, or null where it says nothing. */
static json_t *clear_since(const struct gathered *g, const char *verdict, const json_t *before)
{
    const char *last = json_string_value(json_object_get(before, "verdict"));
    json_t *since = json_object_get(before, "clear_since");
    if (!is_clear(verdict))
        return json_null();
    return last && strcmp(last, verdict) == 0 && json_is_object(since) ? json_incref(since)
                                                                       : this_moment(g);
}

/* A verdict of a method that is valid at every look was right to be called when it was: a family
 * that grows by another metric, or a limit that moves with the control, does not take it back. An
 * effect that was seen to change does. */
static bool stays_clear(const struct gathered *g, const json_t *row, const json_t *before)
{
    const char *last = json_string_value(json_object_get(before, "verdict"));
    return last && is_clear(last) && design_is_anytime(&g->experiment->design) &&
           !json_is_object(json_object_get(row, "drift_since")) &&
           json_is_array(json_object_get(row, "interval"));
}

/* Since when, and why, figures go on from no earlier look; null where they always did. */
static json_t *restarted(const struct gathered *g, const json_t *row, const struct metric *metric,
                         const char *variant, const json_t *before)
{
    bool merged = json_is_true(json_object_get(row, "restarted"));
    json_t *last = json_object_get(before, "restarted");
    if (!merged && !gathered_recounted(g, metric, variant))
        return last ? json_incref(last) : json_null();
    json_t *since = this_moment(g);
    json_object_set_new(since, "reason",
                        json_string(merged ? "two epochs were put together"
                                           : "what the metric counts was changed"));
    return since;
}

/* What this look says alone stands beside what all looks say, also where there is only one. */
static void put_now(json_t *row)
{
    if (!json_object_get(row, "now"))
        json_object_set_new(row, "now",
                            json_pack("{s:O, s:O}", "interval", json_object_get(row, "interval"),
                                      "p_value", json_object_get(row, "p_value")));
}

static void judge_comparison(const struct gathered *g, json_t *row, const struct metric *metric,
                             enum metric_role role)
{
    const char *variant = json_string_value(json_object_get(row, "variant"));
    const json_t *before = gathered_before(g, metric, variant);
    const char *word = verdict(row, role, metric->goal == GOAL_DECREASE);
    put_now(row);
    json_t *since = restarted(g, row, metric, variant, before);
    if (json_is_true(json_object_get(row, "restarted")))
        before = NULL;
    json_object_set_new(row, "restarted", since);
    json_object_set_new(row, "drift_since", drift_since(g, row, before));
    json_object_del(row, "drift");
    if (!is_clear(word) && stays_clear(g, row, before))
        word = json_string_value(json_object_get(before, "verdict"));
    json_object_set_new(row, "verdict", json_string(word));
    json_object_set_new(row, "clear_since", clear_since(g, word, before));
}

static void judge_comparisons(const struct gathered *g, json_t *list, json_t *arms,
                              const struct metric *metric, enum metric_role role, json_t *limit)
{
    size_t i;
    json_t *row;
    const char *level = metric->kind == METRIC_QUANTILE ? "quantile" : "mean";
    json_array_foreach(list, i, row)
    {
        judge_comparison(g, row, metric, role);
        json_object_set(row, "limit", limit);
        json_object_set(row, "base", json_object_get(json_array_get(arms, 0), level));
        json_object_set(row, "value", json_object_get(json_array_get(arms, i + 1), level));
    }
}

/* Low, middle and high scores as people group them: detractors, passives and promoters of nps. */
static json_t *groups_json(const struct metric *metric, const struct tally *tally)
{
    int least, most, middle, high; /* the first scores of the upper two groups */
    int64_t groups[3] = {0};
    metric_kind_scores(metric->kind, &least, &most);
    middle = metric->kind == METRIC_NPS ? 7 : metric->kind == METRIC_CSAT ? 3 : 4;
    high = metric->kind == METRIC_NPS ? 9 : metric->kind == METRIC_CSAT ? 4 : 5;
    for (int s = least; s <= most; s++)
        groups[s >= high ? 2 : s >= middle ? 1 : 0] += tally->scores[s];
    return json_pack("[I, I, I]", (json_int_t)groups[0], (json_int_t)groups[1],
                     (json_int_t)groups[2]);
}

static json_t *answers_json(const struct gathered *g, const struct metric *metric, json_t *arms)
{
    int least, most;
    json_t *list = json_array();
    metric_kind_scores(metric->kind, &least, &most);
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        struct tally t = gathered_total(g, metric->number, NULL, v);
        int64_t asked = gathered_total(g, 0, NULL, v).n;
        json_t *counts = json_array();
        for (int s = least; s <= most; s++)
            json_array_append_new(counts, json_integer((json_int_t)t.scores[s]));
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:o, s:O?, s:O?, s:o, s:o}", "variant",
                            g->experiment->variants[v].key, "n", (json_int_t)t.n, "asked",
                            (json_int_t)asked, "rate",
                            asked ? json_real((double)t.n / (double)asked) : json_null(), "score",
                            json_object_get(json_array_get(arms, v), "mean"), "interval",
                            json_object_get(json_array_get(arms, v), "interval"), "counts", counts,
                            "groups", groups_json(metric, &t)));
    }
    return list;
}

/* The level that a reader may rely on: of a survey's two methods together, of a schedule's looks as
 * its role shares it. */
static double shown_alpha(const struct gathered *g, const struct metric *metric,
                          enum metric_role role)
{
    bool shared = g->experiment->design.method == METHOD_SCHEDULED;
    return shared ? gathered_alpha(g, metric, role) : g->experiment->design.alpha;
}

static void finish_metric(const struct gathered *g, json_t *row, const struct metric *metric,
                          enum metric_role role)
{
    bool decrease = metric->goal == GOAL_DECREASE;
    json_t *arms = json_object_get(row, "arms");
    json_t *limit = role == ROLE_GUARDRAIL ? json_figure(decrease ? gathered_margin(g, metric)
                                                                  : -gathered_margin(g, metric))
                                           : json_null();
    json_object_set_new(row, "name", json_string(metric->name));
    json_object_set_new(row, "kind", json_string(metric_kind_word(metric->kind)));
    json_object_set_new(row, "role", json_string(metric_role_word(role)));
    json_object_set_new(row, "goal", json_string(decrease ? "decrease" : "increase"));
    json_object_set_new(row, "unit", json_string(metric_unit_word(metric->kind)));
    json_object_set_new(row, "alpha", json_real(shown_alpha(g, metric, role)));
    if (metric->cap_percentile > 0)
        json_object_set_new(row, "cap_percentile", json_figure(metric->cap_percentile));
    double least = gathered_min_effect(g, metric);
    json_object_set_new(row, "min_effect", least > 0 ? json_real(least) : json_null());
    json_object_set_new(row, "unit_value", json_figure(metric->unit_value));
    judge_comparisons(g, json_object_get(row, "comparisons"), arms, metric, role, limit);
    if (metric_kind_is_survey(metric->kind))
        json_object_set_new(row, "answers", answers_json(g, metric, arms));
    json_object_set_new(row, "limit", limit);
}

/* --- segments ------------------------------------------------------------------------------- */

static void write_segment_metric(struct json_writer *w, struct study *study, const json_t *metric,
                                 const char *segment)
{
    static const char *const names[] = {"key", "name", "effect", "unit"};
    json_write_object(w, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_write_value(w, names[i], json_object_get(metric, names[i]));
    study_write_segment(w, study, json_string_value(json_object_get(metric, "key")), segment);
    json_write_end(w);
}

/* `metrics` of a segment as text, and how many values were looked at. */
static void write_segment(struct text *out, struct study *study, const json_t *metrics,
                          const char *segment, size_t *values)
{
    size_t i;
    json_t *metric;
    struct json_writer w = json_writer_text(out);
    json_write_array(&w, NULL);
    json_array_foreach(metrics, i, metric)
    {
        const char *key = json_string_value(json_object_get(metric, "key"));
        size_t here = study_segment_values(study, key, segment);
        if (here == 0)
            continue;
        *values = here;
        write_segment_metric(&w, study, metric, segment);
    }
    json_write_end(&w);
}

/* The study's segments are by metric; the page reads them by segment. Folded. */
static json_t *regroup_segments(const struct gathered *g, struct study *study,
                                const json_t *metrics)
{
    json_t *list = json_array();
    for (size_t s = 0; s < g->experiment->segment_count; s++) {
        size_t values = 0;
        struct text text;
        text_init(&text, UINT32_MAX);
        write_segment(&text, study, metrics, g->experiment->segments[s], &values);
        must(!text.failed);
        /* What was written is UTF-8: not looked through again. */
        json_t *folded = json_stringn_nocheck(text.ptr, text.len);
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:o}", "segment", g->experiment->segments[s],
                                        "values_looked_at", (json_int_t)values, "metrics", folded));
        text_release(&text);
    }
    return list;
}

/* --- results -------------------------------------------------------------------------------- */

static json_t *factors_json(const struct experiment *experiment)
{
    json_t *list = json_array();
    for (size_t f = 0; f < experiment->factor_count; f++) {
        const struct factor *factor = &experiment->factors[f];
        json_t *levels = json_array();
        for (size_t i = 0; i < factor->level_count; i++)
            json_array_append_new(levels, json_string(factor->levels[i]));
        json_array_append_new(list, json_pack("{s:s, s:o}", "key", factor->key, "levels", levels));
    }
    return list;
}

static json_t *variants_json(const struct gathered *g, int64_t *exposed)
{
    json_t *list = json_array();
    *exposed = 0;
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        const struct variant *variant = &g->experiment->variants[v];
        int64_t n = gathered_total(g, 0, NULL, v).n;
        char last = (char)('A' + v % 26), letter[3] = {last}; /* A to Z, then AA, AB, … */
        if (v >= 26)
            snprintf(letter, sizeof letter, "%c%c", (char)('A' + v / 26 - 1), last);
        *exposed += n;
        json_t *row =
            json_pack("{s:s, s:s, s:s, s:f, s:I}", "key", variant->key, "name", variant->name,
                      "letter", letter, "weight", variant->weight, "exposed", (json_int_t)n);
        if (variant->levels)
            json_object_set_new(row, "levels", experiment_levels(g->experiment, variant));
        json_array_append_new(list, row);
    }
    return list;
}

/* Of how many customers events are no longer kept, so that their figures are final. */
static json_t *sealed_json(const struct gathered *g)
{
    return g->sealed ? json_pack("{s:I, s:o}", "units", (json_int_t)g->sealed, "since",
                                 json_when(g->sealed_since))
                     : json_null();
}

static json_t *experiment_part(const struct gathered *g, json_t *variants)
{
    const struct experiment *e = g->present;
    json_t *part = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:s?, s:o}", "key", e->key, "name", e->name,
        "hypothesis", e->hypothesis, "state", experiment_state_word(e->state), "phase", g->phase,
        "version", (json_int_t)e->version, "started_at",
        json_when(experiment_phase_start(e, g->phase)), "stopped_at", json_when(e->stopped_at),
        "winner", e->winner >= 0 ? e->variants[e->winner].key : NULL, "variants", variants);
    if (g->experiment->factor_count)
        json_object_set_new(part, "factors", factors_json(g->experiment));
    return part;
}

static void finish_report(const struct gathered *g, struct study *study, json_t *report)
{
    json_t *metrics = json_object_get(report, "metrics"), *row;
    size_t i;
    json_array_foreach(metrics, i, row)
    {
        struct slice key = slice_of(json_string_value(json_object_get(row, "key")));
        const struct metric *metric = catalog_metric(g->catalog, key);
        for (size_t m = 0; metric && m < g->experiment->metric_count; m++)
            if (slice_is(key, g->experiment->metrics[m].key))
                finish_metric(g, row, metric, g->experiment->metrics[m].role);
    }
    json_object_set_new(report, "segments", regroup_segments(g, study, metrics));
}

static bool is_over(const struct experiment *experiment)
{
    return experiment->state == EXPERIMENT_STOPPED || experiment->state == EXPERIMENT_ARCHIVED;
}

/* The last event: as this process saw it, else as the last look did. */
static int64_t last_event_at(const struct gathered *g)
{
    int64_t at = g->event_at;
    const json_t *check = health_check(json_object_get(g->last.results, "health"), "events");
    const char *text =
        json_string_value(json_object_get(json_object_get(check, "evidence"), "last_event_at"));
    if (at == 0 && text)
        when_parse(slice_of(text), &at);
    return at;
}

/* Customers a month if everybody in the audience were let in, as they came so far. */
static double monthly(const struct gathered *g, int64_t exposed, double elapsed)
{
    const struct experiment *e = g->experiment;
    double let_in = e->traffic * (e->layer_key ? e->layer_range[1] - e->layer_range[0] : 1);
    return (double)exposed / elapsed * 30 / let_in;
}

static struct outlook_plan plan_of(const struct gathered *g, const json_t *schedule, double elapsed)
{
    const struct design *design = &g->experiment->design;
    struct outlook_plan plan = {.design = design, .elapsed_days = elapsed};
    if (design->method != METHOD_SCHEDULED)
        return plan;
    double left = fmax(0, (double)(design->horizon - g->exposed));
    json_t *next = json_object_get(schedule, "next_look_day");
    plan.horizon_days = g->exposed > 0 ? left * elapsed / (double)g->exposed : HUGE_VAL;
    plan.over_day = (int)json_integer_value(json_object_get(schedule, "over_day"));
    plan.next_look_days =
        json_is_integer(next) ? fmax(0, json_number_value(next) - elapsed) : HUGE_VAL;
    /* Reached, but for the look there. */
    if (plan.horizon_days == 0 && plan.over_day == 0)
        plan.horizon_days = fmax(plan.next_look_days, 0);
    return plan;
}

/* The study's report, with all that results add to it. */
static json_t *make_report(const struct gathered *g, struct error *err)
{
    json_t *json = gathered_study(g), *report = NULL;
    struct study *study = study_open(json, err);
    if (study) {
        report = study_report(study, false);
        finish_report(g, study, report);
    }
    study_close(&study);
    json_decref(json);
    return report;
}

json_t *results_make(const struct gathered *g, struct error *err)
{
    json_t *report = make_report(g, err);
    if (!report)
        return NULL;
    struct health_input health = {.metrics = json_object_get(report, "metrics"),
                                  .srm = json_object_get(report, "srm"),
                                  .crossed = gathered_total(g, 0, NULL, TALLY_CROSSED).n,
                                  .running = g->present->state == EXPERIMENT_RUNNING,
                                  .last_event_at = last_event_at(g),
                                  .rejected = g->rejected,
                                  .interaction = g->interaction,
                                  .now = g->now,
                                  .before = json_object_get(g->last.results, "health")};
    health.variants = variants_json(g, &health.exposed);
    double elapsed = gathered_elapsed_days(g);
    json_t *schedule = gathered_schedule(g);
    const struct outlook_plan plan = plan_of(g, schedule, elapsed);
    const struct decision_input input = {
        .metrics = health.metrics,
        .split_off = json_is_true(json_object_get(health.srm, "mismatch")),
        .crossed_share = health_crossed_share(&health),
        .day = g->day,
        .plan = plan,
        .customers_per_month = monthly(g, health.exposed, elapsed),
        .complete = is_over(g->present),
        .schedule_over = json_is_true(json_object_get(schedule, "over"))};
    json_t *results =
        json_pack("{s:o, s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:O, s:O, s:O*, s:o, s:o}",
                  "experiment", experiment_part(g, health.variants), "as_of", json_when(g->now),
                  "zone", "UTC", "day", (json_int_t)g->day, "planned_days",
                  outlook_planned_days(health.metrics, &plan), "rebuilding", json_null(), "sealed",
                  sealed_json(g), "design", design_json(plan.design), "schedule", schedule,
                  "metrics", health.metrics, "segments", json_object_get(report, "segments"), "srm",
                  health.srm, "health", health_report(&health), "decision", decision_make(&input));
    json_decref(report);
    return results;
}

json_int_t results_exposed(const json_t *results)
{
    json_int_t exposed = 0;
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(results, "experiment"), "variants"), i, row)
        exposed += json_integer_value(json_object_get(row, "exposed"));
    return exposed;
}
