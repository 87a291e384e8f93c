/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a report to results: names, units, verdicts, answers, segments, health, and the decision. */
#include "core/analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/decision.h"
#include "core/gathered.h"
#include "core/json.h"
#include "core/study.h"
#include "core/uplift.h"

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

static void judge_comparisons(json_t *list, json_t *arms, const struct metric *metric,
                              enum metric_role role, json_t *limit)
{
    size_t i;
    json_t *row;
    bool decrease = metric->goal == GOAL_DECREASE;
    json_array_foreach(list, i, row)
    {
        json_object_set_new(row, "verdict", json_string(verdict(row, role, decrease)));
        json_object_set_new(row, "clear_since", json_null());
        json_object_set(row, "limit", limit);
        if (arms) {
            json_object_set(row, "base", json_object_get(json_array_get(arms, 0), "mean"));
            json_object_set(row, "value", json_object_get(json_array_get(arms, i + 1), "mean"));
        }
    }
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
            list, json_pack("{s:s, s:I, s:I, s:o, s:O?, s:n, s:o}", "variant",
                            g->experiment->variants[v].key, "n", (json_int_t)t.n, "asked",
                            (json_int_t)asked, "rate",
                            asked ? json_real((double)t.n / (double)asked) : json_null(), "score",
                            json_object_get(json_array_get(arms, v), "mean"), "interval", "counts",
                            counts));
    }
    return list;
}

static const char *unit_of(const struct metric *metric)
{
    switch (metric->kind) {
    case METRIC_BINARY:
    case METRIC_RETENTION:
    case METRIC_CSAT:
        return "share";
    case METRIC_NPS:
        return "points";
    default:
        return "number";
    }
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
    json_object_set_new(row, "unit", json_string(unit_of(metric)));
    json_object_set_new(row, "alpha", json_real(g->present->design.alpha));
    json_object_set_new(row, "min_effect",
                        metric->min_effect > 0 ? json_real(metric->min_effect) : json_null());
    judge_comparisons(json_object_get(row, "comparisons"), arms, metric, role, limit);
    if (metric_kind_is_survey(metric->kind))
        json_object_set_new(row, "answers", answers_json(g, metric, arms));
    json_object_set_new(row, "limit", limit);
}

/* The study's segments are by metric; the page reads them by segment. */
static json_t *regroup_segments(const struct gathered *g, json_t *metrics)
{
    json_t *list = json_array(), *metric;
    for (size_t s = 0; s < g->experiment->segment_count; s++) {
        const char *name = g->experiment->segments[s];
        json_t *rows = json_array();
        size_t i, j, looked_at = 0;
        json_array_foreach(metrics, i, metric)
        {
            json_t *part;
            json_array_foreach(json_object_get(metric, "segments"), j, part)
            {
                if (strcmp(json_string_value(json_object_get(part, "segment")), name) != 0)
                    continue;
                looked_at = json_array_size(json_object_get(part, "values"));
                json_array_append_new(rows,
                                      json_pack("{s:O, s:O, s:O, s:O, s:O*, s:O}", "key",
                                                json_object_get(metric, "key"), "name",
                                                json_object_get(metric, "name"), "effect",
                                                json_object_get(metric, "effect"), "unit",
                                                json_object_get(metric, "unit"), "heterogeneity",
                                                json_object_get(part, "heterogeneity"), "values",
                                                json_object_get(part, "values")));
            }
        }
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:o}", "segment", name, "values_looked_at",
                                        (json_int_t)looked_at, "metrics", rows));
    }
    return list;
}

/* --- results -------------------------------------------------------------------------------- */

static json_t *variants_json(const struct gathered *g, int64_t *exposed)
{
    json_t *list = json_array();
    *exposed = 0;
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        const struct variant *variant = &g->experiment->variants[v];
        int64_t n = gathered_total(g, 0, NULL, v).n;
        char letter[8] = {(char)('A' + v % 26), 0};
        *exposed += n;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:I}", "key", variant->key,
                                              "name", variant->name, "letter", letter, "weight",
                                              variant->weight, "exposed", (json_int_t)n));
    }
    return list;
}

static void add_health(json_t *list, const char *id, const char *status, const char *text,
                       json_t *evidence)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:n, s:o}", "id", id, "status", status,
                                          "text", text, "since", "evidence", evidence));
}

static json_t *health_json(struct uplift *uplift, json_t *srm, double crossed, int64_t crossings)
{
    char text[160];
    json_t *list = json_array();
    bool off = json_is_true(json_object_get(srm, "mismatch"));
    double p = json_number_value(json_object_get(json_object_get(srm, "sequential"), "p_value"));
    if (off)
        snprintf(text, sizeof text, "Traffic split is off (p %s%.3f)", p < 0.001 ? "< " : "= ",
                 fmax(p, 0.001));
    else
        snprintf(text, sizeof text, "Traffic split as planned (p = %.2f)", p);
    add_health(list, "sample-ratio", off ? "fail" : "ok", text,
               srm ? json_incref(srm) : json_null());
    snprintf(text, sizeof text,
             crossings ? "%.1f%% of customers saw more than one variant, left out"
                       : "Nobody saw more than one variant",
             100 * crossed);
    add_health(list, "crossovers",
               crossed > 0.01 ? "fail"
               : crossings    ? "warn"
                              : "ok",
               text, json_pack("{s:I, s:f}", "customers", (json_int_t)crossings, "share", crossed));
    int64_t last = atomic_load(&uplift->last_event_at);
    int64_t minutes = last ? (uplift_now(uplift) - last) / 60000 : -1;
    if (last)
        snprintf(text, sizeof text, "Events arriving, last %lld min ago", (long long)minutes);
    else
        snprintf(text, sizeof text, "No new event since the server started");
    add_health(list, "events", "ok", text,
               json_pack("{s:I}", "rejected", (json_int_t)atomic_load(&uplift->rejected)));
    return list;
}

static json_t *rebuild_json(struct uplift *uplift)
{
    uint64_t of = atomic_load(&uplift->rebuild.of), done = atomic_load(&uplift->rebuild.done);
    return of ? json_pack("{s:f}", "done", (double)done / (double)of) : json_null();
}

static json_t *experiment_part(const struct gathered *g, json_t *variants)
{
    const struct experiment *e = g->present;
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:s?, s:o}", "key", e->key, "name",
                     e->name, "hypothesis", e->hypothesis, "state", experiment_state_word(e->state),
                     "phase", g->phase, "version", (json_int_t)e->version, "started_at",
                     json_when(experiment_phase_start(e, g->phase)), "stopped_at",
                     json_when(e->stopped_at), "winner",
                     e->winner >= 0 ? e->variants[e->winner].key : NULL, "variants", variants);
}

static void finish_report(const struct gathered *g, json_t *report)
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
    json_object_set_new(report, "segments", regroup_segments(g, metrics));
    json_array_foreach(metrics, i, row) json_object_del(row, "segments");
}

static json_t *make_results(struct uplift *uplift, const struct gathered *g, struct error *err)
{
    json_t *study = gathered_study(g), *report = study_analyze(study, err);
    json_decref(study);
    if (!report)
        return NULL;
    finish_report(g, report);
    int64_t exposed, now = uplift_now(uplift),
                     crossings = gathered_total(g, 0, NULL, TALLY_CROSSED).n;
    json_t *variants = variants_json(g, &exposed), *srm = json_object_get(report, "srm");
    double crossed = exposed + crossings ? (double)crossings / (double)(exposed + crossings) : 0;
    int64_t end = experiment_phase_end(g->present, g->phase);
    int64_t day =
        ((end < now ? end : now) - experiment_phase_start(g->present, g->phase)) / WHEN_DAY + 1;
    const struct decision_input input = {.metrics = json_object_get(report, "metrics"),
                                         .split_off =
                                             json_is_true(json_object_get(srm, "mismatch")),
                                         .crossed_share = crossed,
                                         .day = day,
                                         .complete = g->present->state == EXPERIMENT_STOPPED ||
                                                     g->present->state == EXPERIMENT_ARCHIVED,
                                         .design = &g->present->design};
    json_t *decision = decision_make(&input);
    json_t *health = health_json(uplift, srm, crossed, crossings);
    const struct design *design = &g->present->design;
    json_t *results = json_pack(
        "{s:o, s:o, s:s, s:I, s:n, s:o, s:{s:s, s:f, s:s, s:s}, s:O, s:O, s:[], s:o*, "
        "s:o, s:o}",
        "experiment", experiment_part(g, variants), "as_of", json_when(now), "zone", "UTC", "day",
        (json_int_t)day, "planned_days", "rebuilding", rebuild_json(uplift), "design", "method",
        design_method_word(design->method), "alpha", design->alpha, "effect",
        design_effect_word(design->effect), "correction",
        design_correction_word(design->correction), "metrics", json_object_get(report, "metrics"),
        "segments", json_object_get(report, "segments"), "looks", "srm",
        srm ? json_incref(srm) : NULL, "health", health, "decision", decision);
    json_decref(report);
    return results;
}

/* Finds experiment and phase, gathers, and hands on to `make`. */
static json_t *with_gathered(struct uplift *uplift, struct slice key, int phase,
                             json_t *(*make)(struct uplift *uplift, const struct gathered *g,
                                             struct error *err),
                             struct error *err)
{
    json_t *made = NULL;
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct experiment *experiment = catalog_experiment(catalog, key);
    struct gathered g = {.catalog = catalog, .present = experiment};
    if (experiment) {
        g.phase = phase ? phase : experiment->phase;
        g.experiment = experiment_in_phase(experiment, g.phase);
    }
    if (!experiment)
        error_set(err, ERROR_NOT_FOUND, NULL, "there is no experiment '%.*s'", (int)key.len,
                  key.ptr);
    else if (!g.experiment)
        error_set(err, ERROR_NOT_FOUND, "phase", "there was no phase %d", phase);
    else if (experiment->epoch_count == 0)
        error_set(err, ERROR_CONFLICT, NULL, "the experiment has not been started");
    else if (gathered_read(uplift, &g, err))
        made = make(uplift, &g, err);
    gathered_release(&g);
    catalog_release(&uplift->catalog, catalog);
    return made;
}

json_t *analysis_results(struct uplift *uplift, struct slice key,
                         const struct results_options *options, struct error *err)
{
    if (options->as_of >= 0) {
        error_set(err, ERROR_UNSUPPORTED, "as_of", "is not available in this version");
        return NULL;
    }
    return with_gathered(uplift, key, options->phase, make_results, err);
}

static json_t *make_study(struct uplift *uplift, const struct gathered *g, struct error *err)
{
    (void)uplift;
    (void)err;
    return gathered_study(g);
}

json_t *analysis_study(struct uplift *uplift, struct slice key, int phase, struct error *err)
{
    return with_gathered(uplift, key, phase, make_study, err);
}

static json_t *first_primary(json_t *results)
{
    size_t i;
    json_t *metric;
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
    {
        json_t *comparison = json_array_get(json_object_get(metric, "comparisons"), 0);
        const char *role = json_string_value(json_object_get(metric, "role"));
        if (comparison && strcmp(role, "primary") == 0)
            return json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "metric",
                             json_object_get(metric, "key"), "name",
                             json_object_get(metric, "name"), "effect",
                             json_object_get(metric, "effect"), "variant",
                             json_object_get(comparison, "variant"), "estimate",
                             json_object_get(comparison, "estimate"), "interval",
                             json_object_get(comparison, "interval"), "verdict",
                             json_object_get(comparison, "verdict"));
    }
    return json_null();
}

static const char *worst_health(json_t *results)
{
    const char *worst = "ok";
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(results, "health"), i, row)
    {
        const char *status = json_string_value(json_object_get(row, "status"));
        if (strcmp(status, "fail") == 0)
            return "fail";
        if (strcmp(status, "warn") == 0)
            worst = "warn";
    }
    return worst;
}

json_t *analysis_summary(struct uplift *uplift, struct slice key)
{
    struct error err = {0};
    const struct results_options options = {.as_of = -1};
    json_t *results = analysis_results(uplift, key, &options, &err);
    if (!results)
        return json_null();
    json_t *decision = json_object_get(results, "decision"), *row;
    json_int_t exposed = 0;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(results, "experiment"), "variants"), i, row)
        exposed += json_integer_value(json_object_get(row, "exposed"));
    json_t *summary = json_pack("{s:O, s:O, s:O, s:n, s:I, s:s, s:o}", "action",
                                json_object_get(decision, "action"), "headline",
                                json_object_get(decision, "headline"), "day",
                                json_object_get(results, "day"), "planned_days", "exposed", exposed,
                                "health", worst_health(results), "primary", first_primary(results));
    json_decref(results);
    return summary;
}
