/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From tallies to results. The study built here is what uplift-analyze(1) reads, so that every way
 * to the same counts gives the same figures. */
#include "core/analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/decision.h"
#include "core/json.h"
#include "core/study.h"
#include "core/tally.h"
#include "core/uplift.h"

enum { SEGMENT_VALUES_MAX = 100, SMALL_SURVEY = 200 };

struct segment_value {
    struct slice segment, value;
    int64_t exposed;
};

/* All of one phase of one experiment, read at one moment. */
struct gathered {
    const struct catalog *catalog;
    const struct experiment *experiment; /* as it was in that phase */
    const struct experiment *present;
    int phase;
    struct tally_set *tallies;
    struct segment_value *values;
    size_t value_count, value_room;
    struct arena arena;
};

/* --- reading -------------------------------------------------------------------------------- */

static bool take(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct gathered *g = data;
    *tally_set_at(g->tallies, name) = *tally;
    if (!name->segment.len || name->metric != 0)
        return true;
    for (size_t i = 0; i < g->value_count; i++)
        if (slice_equal(g->values[i].segment, name->segment) &&
            slice_equal(g->values[i].value, name->value)) {
            g->values[i].exposed += tally->n;
            return true;
        }
    if (g->value_count == g->value_room) {
        g->value_room = g->value_room ? 2 * g->value_room : 16;
        g->values = xrealloc(g->values, g->value_room * sizeof *g->values);
    }
    g->values[g->value_count++] = (struct segment_value){
        arena_slice(&g->arena, name->segment), arena_slice(&g->arena, name->value), tally->n};
    return true;
}

static int by_size(const void *a, const void *b)
{
    const struct segment_value *x = a, *y = b;
    if (x->exposed != y->exposed)
        return x->exposed > y->exposed ? -1 : 1;
    size_t least = x->value.len < y->value.len ? x->value.len : y->value.len;
    int order = memcmp(x->value.ptr, y->value.ptr, least);
    return order ? order : x->value.len < y->value.len ? -1 : x->value.len > y->value.len;
}

static bool gather(struct uplift *uplift, struct gathered *g, struct error *err)
{
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    struct store_key prefix = {0};
    key_u32(&prefix, g->present->number);
    key_u16(&prefix, (uint16_t)g->phase);
    g->tallies = tally_set_new(NULL);
    bool ok = tally_each(txn, key_slice(&prefix), take, g, err);
    store_abort(&txn);
    if (g->value_count > 1)
        qsort(g->values, g->value_count, sizeof *g->values, by_size);
    return ok;
}

static void release(struct gathered *g)
{
    tally_set_free(&g->tallies);
    free(g->values);
    arena_release(&g->arena);
}

static struct tally tally_of(const struct gathered *g, size_t epoch, uint32_t metric,
                             const struct segment_value *in, size_t variant)
{
    struct tally_name name = {.experiment = g->present->number,
                              .phase = (uint16_t)g->phase,
                              .epoch = (uint16_t)epoch,
                              .metric = metric,
                              .variant = (uint8_t)variant};
    name.segment = in ? in->segment : (struct slice){"", 0};
    name.value = in ? in->value : (struct slice){"", 0};
    return *tally_set_at(g->tallies, &name);
}

static struct tally total(const struct gathered *g, uint32_t metric, const struct segment_value *in,
                          size_t variant)
{
    struct tally sum = {0};
    for (size_t e = 0; e < g->present->epoch_count; e++)
        if (g->present->epochs[e].phase == g->phase) {
            struct tally part = tally_of(g, e, metric, in, variant);
            tally_merge(&sum, &part);
        }
    return sum;
}

static size_t epochs_of(const struct gathered *g)
{
    size_t count = 0;
    for (size_t e = 0; e < g->present->epoch_count; e++)
        count += g->present->epochs[e].phase == g->phase;
    return count;
}

/* --- the study ------------------------------------------------------------------------------ */

static const char *study_kind(const struct metric *metric)
{
    switch (metric->kind) {
    case METRIC_BINARY:
    case METRIC_RETENTION:
        return "binary";
    case METRIC_NPS:
        return "nps";
    case METRIC_CSAT:
        return "csat";
    case METRIC_RATIO:
        return "ratio";
    default:
        return "mean";
    }
}

static void figure(json_t *arm, const char *name, const struct sum *sum)
{
    json_object_set_new(arm, name, json_figure(sum_value(sum)));
}

static json_t *arm_json(const struct metric *metric, const struct tally *t)
{
    if (metric->kind == METRIC_NPS) {
        int64_t groups[3] = {0};
        for (int s = 0; s <= 10; s++)
            groups[s >= 9 ? 0 : s >= 7 ? 1 : 2] += t->scores[s];
        return json_pack("{s:I, s:I, s:I}", "promoters", (json_int_t)groups[0], "passives",
                         (json_int_t)groups[1], "detractors", (json_int_t)groups[2]);
    }
    if (metric->kind == METRIC_CSAT) {
        json_t *scores = json_array();
        for (int s = 1; s <= 5; s++)
            json_array_append_new(scores, json_integer((json_int_t)t->scores[s]));
        return json_pack("{s:o}", "scores", scores);
    }
    bool binary = metric->kind == METRIC_BINARY || metric->kind == METRIC_RETENTION;
    json_t *arm = json_pack("{s:I}", "n", (json_int_t)t->n);
    figure(arm, "sum", &t->sum);
    if (!binary)
        figure(arm, "sum_sq", &t->sum_sq);
    if (metric->kind == METRIC_RATIO) {
        figure(arm, "den_sum", &t->den_sum);
        figure(arm, "den_sum_sq", &t->den_sum_sq);
        figure(arm, "sum_den", &t->sum_den);
    }
    if (metric->covariate_days > 0) {
        figure(arm, "pre_sum", &t->pre_sum);
        if (!binary)
            figure(arm, "pre_sum_sq", &t->pre_sum_sq);
        figure(arm, "pre_sum_post", &t->pre_post);
    }
    return arm;
}

static json_t *arms_json(const struct gathered *g, const struct metric *metric, int epoch,
                         const struct segment_value *in)
{
    json_t *arms = json_array();
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        struct tally t = epoch < 0 ? total(g, metric->number, in, v)
                                   : tally_of(g, (size_t)epoch, metric->number, in, v);
        json_array_append_new(arms, arm_json(metric, &t));
    }
    return arms;
}

/* Arms of one epoch, or one stratum for each of several. */
static void put_arms(json_t *into, const struct gathered *g, const struct metric *metric,
                     const struct segment_value *in)
{
    if (epochs_of(g) < 2) {
        json_object_set_new(into, "arms", arms_json(g, metric, -1, in));
        return;
    }
    json_t *strata = json_array();
    for (size_t e = 0; e < g->present->epoch_count; e++) {
        char key[32];
        snprintf(key, sizeof key, "epoch-%zu", e + 1);
        if (g->present->epochs[e].phase == g->phase)
            json_array_append_new(strata, json_pack("{s:s, s:o}", "key", key, "arms",
                                                    arms_json(g, metric, (int)e, in)));
    }
    json_object_set_new(into, "strata", strata);
}

static json_t *segments_json(const struct gathered *g, const struct metric *metric)
{
    json_t *list = json_array();
    for (size_t i = 0; i < g->value_count && i < SEGMENT_VALUES_MAX; i++) {
        json_t *row =
            json_pack("{s:s%, s:s%}", "segment", g->values[i].segment.ptr, g->values[i].segment.len,
                      "value", g->values[i].value.ptr, g->values[i].value.len);
        put_arms(row, g, metric, &g->values[i]);
        json_array_append_new(list, row);
    }
    return list;
}

static bool small_survey(const struct gathered *g, const struct metric *metric)
{
    for (size_t v = 0; v < g->experiment->variant_count; v++)
        if (total(g, metric->number, NULL, v).n < SMALL_SURVEY)
            return true;
    return false;
}

static enum design_method method_for(const struct gathered *g, const struct metric *metric)
{
    const char *kind = study_kind(metric);
    bool counts = strcmp(kind, "mean") != 0 && strcmp(kind, "ratio") != 0;
    bool survey = metric->kind == METRIC_NPS || metric->kind == METRIC_CSAT;
    enum design_method method = g->present->design.method;
    if (method == METHOD_EXACT)
        return counts ? METHOD_EXACT : METHOD_SEQUENTIAL;
    bool two = g->present->design.sides == SIDES_TWO;
    return method == METHOD_SEQUENTIAL && survey && two && small_survey(g, metric) ? METHOD_EXACT
                                                                                   : method;
}

static bool absolute_effect(const struct gathered *g, const struct metric *metric)
{
    return metric->kind == METRIC_NPS || metric->kind == METRIC_CSAT ||
           method_for(g, metric) == METHOD_EXACT || g->present->design.effect == EFFECT_ABSOLUTE;
}

/* The margin in the units of the effect. Surveys give it in points, of which the effect of csat is
 * a share; the others give it relative to the control, and an absolute effect needs it absolute. */
static double margin_of(const struct gathered *g, const struct metric *metric)
{
    if (metric->kind == METRIC_CSAT)
        return metric->margin / 100;
    if (metric->kind == METRIC_NPS || !absolute_effect(g, metric))
        return metric->margin;
    struct tally control = total(g, metric->number, NULL, 0);
    double units = metric->kind == METRIC_RATIO ? sum_value(&control.den_sum) : (double)control.n;
    return units != 0 ? metric->margin * fabs(sum_value(&control.sum) / units) : 0;
}

static json_t *metric_study(const struct gathered *g, const struct metric *metric,
                            enum metric_role role)
{
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "key", metric->key, "kind",
                            study_kind(metric), "role", metric_role_word(role), "goal",
                            metric->goal == GOAL_DECREASE ? "decrease" : "increase", "method",
                            design_method_word(method_for(g, metric)), "effect",
                            absolute_effect(g, metric) ? "absolute" : "relative");
    if (role == ROLE_GUARDRAIL)
        json_object_set_new(row, "margin", json_figure(margin_of(g, metric)));
    put_arms(row, g, metric, NULL);
    if (g->value_count)
        json_object_set_new(row, "segments", segments_json(g, metric));
    return row;
}

static json_t *exposed_of(const struct gathered *g, size_t epoch)
{
    json_t *list = json_array();
    for (size_t v = 0; v < g->experiment->variant_count; v++)
        json_array_append_new(list, json_integer((json_int_t)tally_of(g, epoch, 0, NULL, v).n));
    return list;
}

static void put_exposed(json_t *study, const struct gathered *g)
{
    json_t *variants = json_array(), *strata = json_array();
    bool one = epochs_of(g) < 2;
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        const struct variant *variant = &g->experiment->variants[v];
        json_t *row = json_pack("{s:s, s:f}", "key", variant->key, "weight", variant->weight);
        if (one)
            json_object_set_new(row, "exposed", json_integer((json_int_t)total(g, 0, NULL, v).n));
        json_array_append_new(variants, row);
    }
    json_object_set_new(study, "variants", variants);
    for (size_t e = 0; !one && e < g->present->epoch_count; e++) {
        const struct epoch *epoch = &g->present->epochs[e];
        char key[32];
        if (epoch->phase != g->phase)
            continue;
        json_t *weights = json_array();
        for (size_t v = 0; v < g->experiment->variant_count; v++)
            json_array_append_new(weights, json_figure(epoch->weights[v]));
        snprintf(key, sizeof key, "epoch-%zu", e + 1);
        json_array_append_new(strata, json_pack("{s:s, s:o, s:o}", "key", key, "weights", weights,
                                                "exposed", exposed_of(g, e)));
    }
    if (one)
        json_decref(strata);
    else
        json_object_set_new(study, "srm_strata", strata);
}

static json_t *build_study(const struct gathered *g)
{
    const struct design *design = &g->present->design;
    json_t *metrics = json_array();
    json_t *study =
        json_pack("{s:{s:s, s:f, s:s, s:s, s:f, s:s}, s:o}", "design", "method",
                  design_method_word(design->method), "alpha", design->alpha, "sides",
                  design_sides_word(design->sides), "effect", design_effect_word(design->effect),
                  "tuning", design->tuning, "correction",
                  design_correction_word(design->correction), "metrics", metrics);
    for (size_t i = 0; i < g->experiment->metric_count; i++) {
        const struct metric *metric =
            catalog_metric(g->catalog, slice_of(g->experiment->metrics[i].key));
        if (metric)
            json_array_append_new(metrics, metric_study(g, metric, g->experiment->metrics[i].role));
    }
    put_exposed(study, g);
    return study;
}

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
        struct tally t = total(g, metric->number, NULL, v);
        int64_t asked = total(g, 0, NULL, v).n;
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
    json_t *limit = role == ROLE_GUARDRAIL
                        ? json_figure(decrease ? margin_of(g, metric) : -margin_of(g, metric))
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
        int64_t n = total(g, 0, NULL, v).n;
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
    json_t *study = build_study(g), *report = study_analyze(study, err);
    json_decref(study);
    if (!report)
        return NULL;
    finish_report(g, report);
    int64_t exposed, now = uplift_now(uplift), crossings = total(g, 0, NULL, TALLY_CROSSED).n;
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
    else if (gather(uplift, &g, err))
        made = make(uplift, &g, err);
    release(&g);
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
    return build_study(g);
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
