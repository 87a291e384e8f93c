/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the tallies of a phase, and the study that uplift-analyze(1) would read: every way to the
 * same counts gives the same figures, as all of them go through it. */
#include "core/gathered.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/ledger.h"
#include "core/overlap.h"
#include "core/recount.h"
#include "core/when.h"

enum { SEGMENT_VALUES_MAX = 100, SMALL_SURVEY = 200 };

/* A survey of a sequential design is read by the exact method while answers are few, and by the
 * sequential one from then on. Both are right at every look, but the data tell which one is read;
 * so they share alpha, and whatever both say is right with probability 1 - alpha. Few answers
 * decide little, so the exact method gets the small part. */
static const double exact_share = 0.1;

/* --- reading -------------------------------------------------------------------------------- */

/* Adds to the values of segments: to the last one, as variants of a value come one after the other,
 * or as another row, which sum_values will find. */
static void take_value(struct gathered *g, const struct tally_name *name, int64_t exposed)
{
    struct segment_value *last = g->value_count ? &g->values[g->value_count - 1] : NULL;
    if (last && slice_equal(last->segment, name->segment) &&
        slice_equal(last->value, name->value)) {
        last->exposed += exposed;
        return;
    }
    if (g->value_count == g->value_room) {
        g->value_room = g->value_room ? 2 * g->value_room : 16;
        g->values = xrealloc(g->values, g->value_room * sizeof *g->values);
    }
    g->values[g->value_count++] = (struct segment_value){
        arena_slice(&g->arena, name->segment), arena_slice(&g->arena, name->value), exposed};
}

static bool take(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct gathered *g = data;
    if (name->bin != 0) {
        gathered_bins_take(&g->bins, &g->arena, name, tally);
        return true;
    }
    if (name->variant == TALLY_SEALED) {
        g->sealed += tally->n;
        return true;
    }
    *tally_set_at(g->tallies, name) = *tally;
    if (name->segment.len && name->metric == 0)
        take_value(g, name, tally->n);
    return true;
}

static int by_value(const void *a, const void *b)
{
    const struct segment_value *x = a, *y = b;
    int order = slice_order(x->value, y->value);
    return order ? order : slice_order(x->segment, y->segment);
}

static int by_size(const void *a, const void *b)
{
    const struct segment_value *x = a, *y = b;
    if (x->exposed != y->exposed)
        return x->exposed > y->exposed ? -1 : 1;
    return by_value(a, b);
}

/* One row for each value, whatever the epochs are that it comes from. There may be as many as
 * customers, so that each may not be compared with every other one. */
static void sum_values(struct gathered *g)
{
    size_t used = 0;
    if (g->value_count > 1)
        qsort(g->values, g->value_count, sizeof *g->values, by_value);
    for (size_t i = 0; i < g->value_count; i++) {
        if (used > 0 && by_value(&g->values[used - 1], &g->values[i]) == 0)
            g->values[used - 1].exposed += g->values[i].exposed;
        else
            g->values[used++] = g->values[i];
    }
    g->value_count = used;
    if (used > 1)
        qsort(g->values, used, sizeof *g->values, by_size);
}

int64_t gathered_elapsed(const struct gathered *g)
{
    int64_t end = experiment_phase_end(g->present, g->phase);
    return (end < g->now ? end : g->now) - experiment_phase_start(g->present, g->phase);
}

static int64_t day_of(const struct gathered *g)
{
    return gathered_elapsed(g) / WHEN_DAY + 1;
}

double gathered_elapsed_days(const struct gathered *g)
{
    return fmax((double)gathered_elapsed(g), 1) / (double)WHEN_DAY;
}

int64_t gathered_day_start(const struct gathered *g)
{
    return experiment_phase_start(g->present, g->phase) + (day_of(g) - 1) * WHEN_DAY;
}

static void read_recount(struct store_txn *txn, struct gathered *g)
{
    struct recount note;
    g->recounting = recount_read(txn, &note) && recount_concerns(&note, g->present->number);
    if (!g->recounting)
        return;
    int64_t last = (int64_t)ledger_last_customer(txn), next = (int64_t)note.next;
    g->customers_done = next > 0 ? next - 1 : 0;
    g->customers_left = last > g->customers_done ? last - g->customers_done : 0;
}

/* After the tallies, and the look before. */
static void finish(struct gathered *g)
{
    sum_values(g);
    for (size_t v = 0; v < g->experiment->variant_count; v++)
        g->exposed += gathered_total(g, 0, NULL, v).n;
    g->look_due = gathered_look_due(g);
}

bool gathered_read(struct store_txn *txn, struct gathered *g, struct error *err)
{
    const struct look_of of = {g->present->number, (uint16_t)g->phase};
    struct store_key prefix = {0};
    key_u32(&prefix, of.experiment);
    key_u16(&prefix, of.phase);
    g->day = day_of(g);
    g->tallies = tally_set_new(NULL);
    read_recount(txn, g);
    if (!look_last(txn, of, INT64_MAX, g->recounting, &g->last, err) && err->code != ERROR_NONE)
        return false;
    if (g->recounting)
        return true;
    if (!tally_each(txn, key_slice(&prefix), take, g, err))
        return false;
    g->interaction = overlap_note(txn, of.experiment, of.phase);
    g->sealed_since = g->sealed ? ledger_sealed_since(txn, of.experiment, of.phase) : 0;
    finish(g);
    return true;
}

void gathered_take(const struct tally_set *tallies, struct gathered *g)
{
    g->day = day_of(g);
    g->tallies = tally_set_new(NULL);
    tally_set_each(tallies, take, g);
    finish(g);
}

void gathered_release(struct gathered *g)
{
    tally_set_free(&g->tallies);
    gathered_bins_release(&g->bins);
    free(g->values);
    look_release(&g->last);
    json_decref(g->interaction);
    arena_release(&g->arena);
}

static struct tally gathered_epoch(const struct gathered *g, size_t epoch, uint32_t metric,
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

struct tally gathered_total(const struct gathered *g, uint32_t metric,
                            const struct segment_value *in, size_t variant)
{
    struct tally sum = {0};
    for (size_t e = 0; e < g->present->epoch_count; e++)
        if (g->present->epochs[e].phase == g->phase) {
            struct tally part = gathered_epoch(g, e, metric, in, variant);
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
    case METRIC_QUANTILE:
        return "quantile";
    default:
        return "mean";
    }
}

static void figure(json_t *arm, const char *name, const struct sum *sum)
{
    json_object_set_new(arm, name, json_figure(sum_value(sum)));
}

static void figure_of_squares(json_t *arm, const char *name, const struct sum *sum)
{
    json_object_set_new(arm, name, json_figure(sum_of_squares(sum)));
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
        figure_of_squares(arm, "sum_sq", &t->sum_sq);
    if (metric->kind == METRIC_RATIO) {
        figure(arm, "den_sum", &t->den_sum);
        figure_of_squares(arm, "den_sum_sq", &t->den_sum_sq);
        figure(arm, "sum_den", &t->sum_den);
    }
    if (metric->covariate_days > 0) {
        figure(arm, "pre_sum", &t->pre_sum);
        if (!binary)
            figure_of_squares(arm, "pre_sum_sq", &t->pre_sum_sq);
        figure(arm, "pre_sum_post", &t->pre_post);
    }
    return arm;
}

/* Surveys that the study takes as scores; everybody exposed is asked. */
static bool is_score(const struct metric *metric)
{
    return metric->kind == METRIC_NPS || metric->kind == METRIC_CSAT;
}

static int64_t exposed_in(const struct gathered *g, int epoch, size_t variant)
{
    return epoch < 0 ? gathered_total(g, 0, NULL, variant).n
                     : gathered_epoch(g, (size_t)epoch, 0, NULL, variant).n;
}

static json_t *arms_json(const struct gathered *g, const struct metric *metric, int epoch,
                         const struct segment_value *in)
{
    json_t *arms = json_array();
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        if (metric_needs_bins(metric)) {
            json_array_append_new(arms, gathered_bins_arm(g, metric, epoch, in, v));
            continue;
        }
        struct tally t = epoch < 0 ? gathered_total(g, metric->number, in, v)
                                   : gathered_epoch(g, (size_t)epoch, metric->number, in, v);
        json_t *arm = arm_json(metric, &t);
        if (is_score(metric) && !in)
            json_object_set_new(arm, "asked", json_integer((json_int_t)exposed_in(g, epoch, v)));
        json_array_append_new(arms, arm);
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

/* --- who answered --- */

/* A stratum of a segment, made up of tallies by variant: who was exposed, and the answers. */
struct stratum {
    struct tally *exposed, *answers;
};

static struct stratum stratum_new(const struct gathered *g)
{
    size_t count = g->experiment->variant_count;
    return (struct stratum){xcalloc(count, sizeof(struct tally)),
                            xcalloc(count, sizeof(struct tally))};
}

static void stratum_free(struct stratum *stratum)
{
    free(stratum->exposed);
    free(stratum->answers);
}

/* Sets it to the tallies of one value; `in` NULL: of all. */
static void stratum_fill(struct stratum *stratum, const struct gathered *g,
                         const struct metric *metric, const struct segment_value *in)
{
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        stratum->exposed[v] = gathered_total(g, 0, in, v);
        stratum->answers[v] = gathered_total(g, metric->number, in, v);
    }
}

/* Takes the counts of `part` from those of `rest`. False where more is taken than there is. */
static bool stratum_take(struct stratum *rest, const struct stratum *part, size_t variants)
{
    bool fine = true;
    for (size_t v = 0; v < variants; v++) {
        rest->exposed[v].n -= part->exposed[v].n;
        rest->answers[v].n -= part->answers[v].n;
        fine = fine && rest->answers[v].n >= 0 && rest->exposed[v].n >= rest->answers[v].n;
        for (int s = 0; s < TALLY_SCORES; s++) {
            rest->answers[v].scores[s] -= part->answers[v].scores[s];
            fine = fine && rest->answers[v].scores[s] >= 0;
        }
    }
    return fine;
}

static json_t *stratum_json(const struct gathered *g, const struct metric *metric,
                            const char *segment, struct slice name, const struct stratum *stratum)
{
    json_t *exposed = json_array(), *arms = json_array();
    for (size_t v = 0; v < g->experiment->variant_count; v++) {
        json_array_append_new(exposed, json_integer((json_int_t)stratum->exposed[v].n));
        json_array_append_new(arms, arm_json(metric, &stratum->answers[v]));
    }
    return json_pack("{s:s, s:s%, s:o, s:o}", "segment", segment, "stratum", name.ptr, name.len,
                     "exposed", exposed, "arms", arms);
}

/* Adds the strata of one segment. Whoever is in none of the values that are listed (there are too
 * many, or they are being counted anew) is in one stratum of its own without a name, which no value
 * has, so that strata sum to all. Where tallies contradict each other the segment is left out. */
static void put_strata(json_t *list, const struct gathered *g, const struct metric *metric,
                       const char *segment)
{
    struct stratum rest = stratum_new(g), part = stratum_new(g);
    json_t *rows = json_array();
    bool fine = true;
    int64_t left = 0;
    stratum_fill(&rest, g, metric, NULL);
    for (size_t i = 0; i < g->value_count && i < SEGMENT_VALUES_MAX; i++) {
        const struct segment_value *value = &g->values[i];
        if (!slice_is(value->segment, segment) || value->value.len == 0)
            continue;
        stratum_fill(&part, g, metric, value);
        fine = stratum_take(&rest, &part, g->experiment->variant_count) && fine;
        json_array_append_new(rows, stratum_json(g, metric, segment, value->value, &part));
    }
    for (size_t v = 0; v < g->experiment->variant_count; v++)
        left += rest.exposed[v].n;
    if (left > 0)
        json_array_append_new(rows, stratum_json(g, metric, segment, slice_of(""), &rest));
    if (fine)
        json_array_extend(list, rows);
    json_decref(rows);
    stratum_free(&rest);
    stratum_free(&part);
}

static json_t *respondents_json(const struct gathered *g, const struct metric *metric)
{
    json_t *list = json_array();
    for (size_t s = 0; s < g->experiment->segment_count; s++)
        put_strata(list, g, metric, g->experiment->segments[s]);
    return list;
}

static bool small_survey(const struct gathered *g, const struct metric *metric)
{
    for (size_t v = 0; v < g->experiment->variant_count; v++)
        if (gathered_total(g, metric->number, NULL, v).n < SMALL_SURVEY)
            return true;
    return false;
}

/* Whether the method depends on how many have answered. */
static bool two_methods(const struct gathered *g, const struct metric *metric)
{
    const struct design *design = &g->experiment->design;
    return is_score(metric) && design->method == METHOD_SEQUENTIAL && design->sides == SIDES_TWO;
}

static enum design_method method_for(const struct gathered *g, const struct metric *metric)
{
    const char *kind = study_kind(metric);
    bool counts = strcmp(kind, "mean") != 0 && strcmp(kind, "ratio") != 0;
    enum design_method method = g->experiment->design.method;
    /* What is valid at every look is so at the planned end too. */
    if (metric->kind == METRIC_QUANTILE)
        return method == METHOD_EXACT ? METHOD_EXACT : METHOD_SEQUENTIAL;
    if (method == METHOD_EXACT)
        return counts ? METHOD_EXACT : METHOD_SEQUENTIAL;
    /* A mixture's variance, or a prior, of shares and relative effects says nothing of points: what
     * is relative to a score about 0 would be next to nothing. */
    bool scaled =
        method == METHOD_MSPRT || (method == METHOD_BAYESIAN && g->experiment->design.prior_proper);
    if (scaled && metric->kind == METRIC_NPS)
        return METHOD_SEQUENTIAL;
    return two_methods(g, metric) && small_survey(g, metric) ? METHOD_EXACT : method;
}

/* Scheduled looks leave no p-value to correct: their comparisons of one role share alpha equally
 * instead, guardrails excepted (as in core/study.h). */
static double shared_alpha(const struct gathered *g, enum metric_role role)
{
    const struct design *design = &g->experiment->design;
    size_t metrics = 0;
    if (design->method != METHOD_SCHEDULED || design->correction == CORRECTION_NONE ||
        role == ROLE_GUARDRAIL)
        return design->alpha;
    for (size_t i = 0; i < g->experiment->metric_count; i++)
        metrics += g->experiment->metrics[i].role == role;
    return design->alpha / (double)(metrics * (g->experiment->variant_count - 1));
}

double gathered_alpha(const struct gathered *g, const struct metric *metric, enum metric_role role)
{
    double alpha = shared_alpha(g, role);
    if (!two_methods(g, metric))
        return alpha;
    return alpha * (method_for(g, metric) == METHOD_EXACT ? exact_share : 1 - exact_share);
}

static bool absolute_effect(const struct gathered *g, const struct metric *metric)
{
    return is_score(metric) || method_for(g, metric) == METHOD_EXACT ||
           g->experiment->design.effect == EFFECT_ABSOLUTE;
}

/* The margin in the units of the effect. Surveys give it in points, of which the effect of csat is
 * a share; the others give it relative to the control, and an absolute effect needs it absolute. */
double gathered_margin(const struct gathered *g, const struct metric *metric)
{
    double margin = metric->margin, min_effect;
    experiment_limits(g->experiment, metric->key, &margin, &min_effect);
    if (metric->kind == METRIC_CSAT)
        return margin / 100;
    if (metric->kind == METRIC_NPS || !absolute_effect(g, metric))
        return margin;
    if (metric_needs_bins(metric))
        return margin * fabs(gathered_bins_level(g, metric));
    struct tally control = gathered_total(g, metric->number, NULL, 0);
    double units = metric->kind == METRIC_RATIO ? sum_value(&control.den_sum) : (double)control.n;
    return units != 0 ? margin * fabs(sum_value(&control.sum) / units) : 0;
}

/* --- what the last look left ------------------------------------------------------------------ */

static bool is(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

/* The item of a list whose member `name` is `value`, or NULL. */
static const json_t *item_of(const json_t *list, const char *name, const char *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) if (is(item, name, value)) return item;
    return NULL;
}

const json_t *gathered_before(const struct gathered *g, const struct metric *metric,
                              const char *variant)
{
    struct text counted;
    text_init(&counted, METRIC_COUNTED_MAX);
    metric_counted(metric, &counted);
    const json_t *row = item_of(json_object_get(g->last.results, "metrics"), "key", metric->key);
    bool same = is(g->last.counted, metric->key, counted.ptr) &&
                is(row, "effect", absolute_effect(g, metric) ? "absolute" : "relative");
    text_release(&counted);
    return same ? item_of(json_object_get(row, "comparisons"), "variant", variant) : NULL;
}

bool gathered_recounted(const struct gathered *g, const struct metric *metric, const char *variant)
{
    const json_t *row = item_of(json_object_get(g->last.results, "metrics"), "key", metric->key);
    return item_of(json_object_get(row, "comparisons"), "variant", variant) &&
           !gathered_before(g, metric, variant);
}

json_t *gathered_running(const struct gathered *g)
{
    const json_t *last = g->last.results;
    return last ? json_pack("{s:o, s:O}", "results", look_running(last), "counted", g->last.counted)
                : json_null();
}

json_t *gathered_counted(const struct gathered *g)
{
    json_t *all = json_object();
    struct text counted;
    text_init(&counted, METRIC_COUNTED_MAX);
    for (size_t i = 0; i < g->experiment->metric_count; i++) {
        const char *key = g->experiment->metrics[i].key;
        const struct metric *metric = catalog_metric(g->catalog, slice_of(key));
        text_clear(&counted);
        if (!metric)
            continue;
        metric_counted(metric, &counted);
        json_object_set_new(all, key, json_string(counted.ptr));
    }
    text_release(&counted);
    return all;
}

/* The smallest p-value of earlier looks, a new reference. Where those read by the other of two
 * methods it was held against that one's share of alpha, and is scaled to be held against this
 * one's: as it stands it would be given the larger share for nothing. */
static json_t *p_before(const struct gathered *g, const struct metric *metric, const json_t *row)
{
    json_t *p = json_object_get(row, "p_value");
    const json_t *last = item_of(json_object_get(g->last.results, "metrics"), "key", metric->key);
    if (!json_is_number(p) || !two_methods(g, metric) ||
        is(last, "method", design_method_word(method_for(g, metric))))
        return json_incref(p);
    double mine = method_for(g, metric) == METHOD_EXACT ? exact_share : 1 - exact_share;
    return json_figure(fmin(1, json_number_value(p) * (mine / (1 - mine))));
}

/* `before` of a metric, or NULL. A comparison whose effect was seen to change over time is never
 * narrowed again: its ranges are about different effects. */
static json_t *before_json(const struct gathered *g, const struct metric *metric)
{
    json_t *list = json_array();
    bool any = false;
    if (!g->last.results || !design_is_anytime(&g->experiment->design)) {
        json_decref(list);
        return NULL;
    }
    for (size_t v = 1; v < g->experiment->variant_count; v++) {
        const json_t *row = gathered_before(g, metric, g->experiment->variants[v].key);
        bool usable =
            row && (!json_is_object(json_object_get(row, "drift_since")) || gathered_waits(g));
        any = any || usable;
        json_array_append_new(list, usable ? json_pack("{s:o?, s:O?, s:O?}", "p_value",
                                                       p_before(g, metric, row), "interval",
                                                       json_object_get(row, "interval"), "strata",
                                                       json_object_get(row, "strata"))
                                           : json_null());
    }
    if (any)
        return list;
    json_decref(list);
    return NULL;
}

/* The scheduled looks that each comparison has had, or NULL. */
static json_t *looks_json(const struct gathered *g, const struct metric *metric)
{
    json_t *list = json_array();
    for (size_t v = 1; v < g->experiment->variant_count; v++) {
        const json_t *row = gathered_before(g, metric, g->experiment->variants[v].key);
        json_t *looks = json_object_get(row, "looks");
        json_array_append(list, looks ? looks : json_null());
    }
    return list;
}

static void put_srm_before(json_t *study, const struct gathered *g)
{
    const json_t *srm = json_object_get(g->last.results, "srm");
    json_t *p = json_object_get(json_object_get(srm, "sequential"), "p_value");
    if (json_is_number(p))
        json_object_set(study, "srm_before", p);
}

/* --- the whole -------------------------------------------------------------------------------- */

double gathered_min_effect(const struct gathered *g, const struct metric *metric)
{
    double margin, min_effect = metric->min_effect;
    experiment_limits(g->experiment, metric->key, &margin, &min_effect);
    return min_effect;
}

static json_t *metric_study(const struct gathered *g, const struct metric *metric,
                            enum metric_role role)
{
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f}", "key", metric->key, "kind",
                            study_kind(metric), "role", metric_role_word(role), "goal",
                            metric->goal == GOAL_DECREASE ? "decrease" : "increase", "method",
                            design_method_word(method_for(g, metric)), "effect",
                            absolute_effect(g, metric) ? "absolute" : "relative", "alpha",
                            gathered_alpha(g, metric, role));
    if (role == ROLE_GUARDRAIL)
        json_object_set_new(row, "margin", json_figure(gathered_margin(g, metric)));
    if (metric->cap_percentile > 0)
        json_object_set_new(row, "cap_percentile", json_figure(metric->cap_percentile));
    if (metric->kind == METRIC_QUANTILE) {
        json_object_set_new(row, "quantile", json_figure(metric->quantile));
        json_object_set_new(row, "sides", json_string(design_sides_word(SIDES_TWO)));
    }
    put_arms(row, g, metric, NULL);
    json_t *before = before_json(g, metric);
    if (before)
        json_object_set_new(row, "before", before);
    if (method_for(g, metric) == METHOD_SCHEDULED)
        json_object_set_new(row, "looks", looks_json(g, metric));
    if (g->value_count && !g->without_segments)
        json_object_set_new(row, "segments", segments_json(g, metric));
    if (is_score(metric) && g->experiment->segment_count)
        json_object_set_new(row, "respondents", respondents_json(g, metric));
    return row;
}

static json_t *exposed_of(const struct gathered *g, size_t epoch)
{
    json_t *list = json_array();
    for (size_t v = 0; v < g->experiment->variant_count; v++)
        json_array_append_new(list,
                              json_integer((json_int_t)gathered_epoch(g, epoch, 0, NULL, v).n));
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
            json_object_set_new(row, "exposed",
                                json_integer((json_int_t)gathered_total(g, 0, NULL, v).n));
        if (variant->levels)
            json_object_set_new(row, "levels", experiment_levels(g->experiment, variant));
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

static json_t *study_design(const struct gathered *g)
{
    const struct design *design = &g->experiment->design;
    bool shared = design->method == METHOD_SCHEDULED; /* alpha is, see shared_alpha */
    json_t *object =
        json_pack("{s:s, s:f, s:s, s:s, s:f, s:f, s:s, s:b, s:{s:f, s:f, s:b}}", "method",
                  design_method_word(design->method), "alpha", design->alpha, "sides",
                  design_sides_word(design->sides), "effect", design_effect_word(design->effect),
                  "tuning", design->tuning, "mixture_variance", design->mixture_variance,
                  "correction", shared ? "none" : design_correction_word(design->correction),
                  "best_arm", design->best_arm, "prior", "mean", design->prior_mean, "sd",
                  design->prior_sd, "proper", design->prior_proper);
    /* The delta method errs far too often where few have come and somebody looks again and again.
     */
    if (design_is_anytime(design))
        json_object_set_new(object, "relative", json_string("fieller"));
    if (design->method == METHOD_SCHEDULED)
        json_object_set_new(object, "schedule",
                            json_pack("{s:I, s:I, s:b}", "horizon", (json_int_t)design->horizon,
                                      "customers", (json_int_t)g->exposed, "look", g->look));
    return object;
}

json_t *gathered_study(const struct gathered *g)
{
    json_t *metrics = json_array();
    json_t *study = json_pack("{s:o, s:o}", "design", study_design(g), "metrics", metrics);
    for (size_t i = 0; i < g->experiment->metric_count; i++) {
        const struct metric *metric =
            catalog_metric(g->catalog, slice_of(g->experiment->metrics[i].key));
        if (metric)
            json_array_append_new(metrics, metric_study(g, metric, g->experiment->metrics[i].role));
    }
    put_exposed(study, g);
    put_srm_before(study, g);
    return study;
}
