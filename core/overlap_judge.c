/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Judging what was counted: one test a contrast, going on from what earlier ones left, and one
 * correction over all of them. */
#include <math.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/overlap_parts.h"
#include "stats/multiple.h"

/* --- rows ----------------------------------------------------------------------------------- */

struct overlap_row *overlap_rows_add(struct overlap_rows *rows, const uint32_t numbers[2],
                                     const uint16_t phases[2], json_t *json)
{
    if (rows->count == rows->room) {
        rows->room = rows->room ? 2 * rows->room : 16;
        rows->list = xrealloc(rows->list, rows->room * sizeof *rows->list);
    }
    struct overlap_row *row = &rows->list[rows->count++];
    *row = (struct overlap_row){
        .numbers = {numbers[0], numbers[1]}, .phases = {phases[0], phases[1]}, .json = json};
    key_u8(&row->key, OVERLAP_PAIR);
    for (int i = 0; i < 2; i++) {
        key_u32(&row->key, numbers[i]);
        key_u16(&row->key, phases[i]);
    }
    return row;
}

void overlap_rows_free(struct overlap_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        json_decref(rows->list[i].json);
    free(rows->list);
    *rows = (struct overlap_rows){0};
}

static bool same_text(const json_t *object, const char *name, const json_t *with)
{
    return json_equal(json_object_get(object, name), with);
}

/* The item of a list whose member `name` equals `value`, or NULL. */
static const json_t *item_of(const json_t *list, const char *name, const json_t *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) if (same_text(item, name, value)) return item;
    return NULL;
}

/* --- one contrast --------------------------------------------------------------------------- */

struct judging {
    const struct overlap_count *count;
    json_t *family; /* contrasts with a p-value; borrowed by their rows too */
};

static struct interaction test(const struct overlap_pair *pair, size_t metric, size_t l, size_t k)
{
    struct interaction_cells strata[INTERACTION_STRATA_MAX];
    size_t across = overlap_variants(pair, 1);
    for (size_t s = 0; s < pair->strata; s++) {
        const struct moments *cells = overlap_at(pair, metric, s);
        strata[s] = (struct interaction_cells){
            {cells[0], cells[k], cells[l * across], cells[l * across + k]}};
    }
    return interaction_of(strata, pair->strata, OVERLAP_ALPHA);
}

static json_t *pair_json(double a, double b)
{
    json_t *pair = json_array();
    json_array_append_new(pair, json_figure(a));
    json_array_append_new(pair, json_figure(b));
    return pair;
}

static double number(const json_t *array, size_t i)
{
    return json_number_value(json_array_get(array, i));
}

/* The range that this look and earlier ones leave. Where nothing is left the effect has changed
 * over time: it begins anew, and that is said. */
static json_t *running_interval(const struct interaction *now, const json_t *before, bool *changed)
{
    const json_t *last = json_object_get(before, "interval");
    double low = now->low, high = now->high;
    *changed = json_is_true(json_object_get(before, "changed"));
    if (json_array_size(last) == 2 && !*changed) {
        low = fmax(low, number(last, 0));
        high = fmin(high, number(last, 1));
    }
    if (low > high) {
        *changed = true;
        return pair_json(now->low, now->high);
    }
    return pair_json(low, high);
}

static json_t *contrast_json(struct judging *judging, const struct interaction *found,
                             json_t *variants, const json_t *before)
{
    const json_t *p = json_object_get(before, "p_value"),
                 *since = json_object_get(before, "significant_since");
    bool changed = false;
    if (found->problem)
        return json_pack("{s:o, s:o, s:n, s:n, s:n, s:O?, s:O?, s:n, s:O?, s:b, s:s}", "variants",
                         variants, "fewest", json_figure(found->fewest), "effects", "estimate",
                         "se", "interval", json_object_get(before, "interval"), "p_value", p,
                         "p_adjusted", "significant_since", since, "changed",
                         (int)json_is_true(json_object_get(before, "changed")), "error",
                         interaction_problem_words(found->problem));
    double least = found->p_value;
    if (json_is_number(p))
        least = fmin(least, json_number_value(p));
    json_t *interval = running_interval(found, before, &changed);
    json_t *contrast = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:n, s:O?, s:b, s:n}", "variants", variants, "fewest",
        json_figure(found->fewest), "effects", pair_json(found->effects[0], found->effects[1]),
        "estimate", json_figure(found->estimate), "se", json_figure(found->se), "interval",
        interval, "p_value", json_figure(least), "p_adjusted", "significant_since", since,
        "changed", (int)changed, "error");
    json_array_append(judging->family, contrast);
    return contrast;
}

/* --- one pair ------------------------------------------------------------------------------- */

static json_t *variants_of(const struct overlap_pair *pair, size_t l, size_t k)
{
    return json_pack("[s, s]", pair->sides[0]->experiment->variants[l].key,
                     pair->sides[1]->experiment->variants[k].key);
}

static json_t *contrasts_json(struct judging *judging, const struct overlap_pair *pair, size_t m,
                              const json_t *before)
{
    json_t *list = json_array();
    for (size_t l = 1; l < overlap_variants(pair, 0); l++)
        for (size_t k = 1; k < overlap_variants(pair, 1); k++) {
            struct interaction found = test(pair, m, l, k);
            json_t *variants = variants_of(pair, l, k);
            const json_t *last =
                item_of(json_object_get(before, "contrasts"), "variants", variants);
            json_array_append_new(list, contrast_json(judging, &found, variants, last));
        }
    return list;
}

/* What earlier figures are of: they go on only while it stays the same. */
static json_t *counted_json(const struct overlap_pair *pair, const struct overlap_metric *metric)
{
    struct text text;
    text_init(&text, METRIC_COUNTED_MAX + 100);
    text_printf(&text, "%u ", pair->sides[metric->second]->experiment->number);
    metric_counted(metric->metric, &text);
    json_t *counted = json_string(text.ptr);
    text_release(&text);
    return counted;
}

static const char *why_not(const struct overlap_pair *pair, const struct metric *metric)
{
    if (metric_needs_bins(metric))
        return "is read by the distribution of its values, which this test does not do";
    if (!pair->moments)
        return "not tested: too many variants, or too many experiments at once";
    return NULL;
}

static json_t *metric_json_of(struct judging *judging, const struct overlap_pair *pair, size_t m,
                              const json_t *before)
{
    const struct overlap_metric *metric = &pair->metrics[m];
    const char *error = why_not(pair, metric->metric);
    json_t *counted = counted_json(pair, metric), *key = json_string(metric->metric->key);
    const json_t *last = item_of(json_object_get(before, "metrics"), "key", key);
    if (!same_text(last, "counted", counted))
        last = NULL;
    return json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:o, s:s?, s:o}", "key", key, "name", metric->metric->name,
        "unit", metric_unit_word(metric->metric->kind), "role", metric_role_word(metric->role),
        "experiment", pair->sides[metric->second]->experiment->key, "counted", counted, "error",
        error, "contrasts", error ? json_array() : contrasts_json(judging, pair, m, last));
}

static json_t *side_json(const struct overlap_side *side)
{
    const struct experiment *experiment = side->experiment;
    json_t *variants = json_array();
    for (size_t v = 0; v < experiment->variant_count; v++)
        json_array_append_new(variants, json_pack("{s:s, s:s}", "key", experiment->variants[v].key,
                                                  "name", experiment->variants[v].name));
    return json_pack("{s:s, s:s, s:i, s:I, s:o}", "key", experiment->key, "name", experiment->name,
                     "phase", (int)experiment->phase, "exposed", (json_int_t)side->exposed,
                     "variants", variants);
}

static json_t *cells_json(const struct overlap_pair *pair)
{
    json_t *rows = json_array();
    size_t across = overlap_variants(pair, 1);
    for (size_t l = 0; l < overlap_variants(pair, 0); l++) {
        json_t *row = json_array();
        for (size_t k = 0; k < across; k++)
            json_array_append_new(row, json_integer((json_int_t)pair->cells[l * across + k]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *row_json(struct judging *judging, const struct overlap_pair *pair,
                        const json_t *before)
{
    int64_t a = pair->sides[0]->exposed, b = pair->sides[1]->exposed, smaller = a < b ? a : b;
    json_t *metrics = json_array();
    for (size_t m = 0; m < pair->metric_count; m++)
        json_array_append_new(metrics, metric_json_of(judging, pair, m, before));
    return json_pack(
        "{s:[o, o], s:I, s:o, s:I, s:o, s:o}", "experiments", side_json(pair->sides[0]),
        side_json(pair->sides[1]), "customers", (json_int_t)pair->customers, "share",
        json_figure(smaller ? (double)pair->customers / (double)smaller : 0), "crossed",
        (json_int_t)pair->crossed, "cells", cells_json(pair), "metrics", metrics);
}

/* --- all of them ---------------------------------------------------------------------------- */

static const struct overlap_row *row_of(const struct overlap_rows *rows, const uint32_t numbers[2],
                                        const uint16_t phases[2])
{
    for (size_t i = 0; i < rows->count; i++)
        if (memcmp(rows->list[i].numbers, numbers, sizeof rows->list[i].numbers) == 0 &&
            memcmp(rows->list[i].phases, phases, sizeof rows->list[i].phases) == 0)
            return &rows->list[i];
    return NULL;
}

static void judge_pair(struct judging *judging, const struct overlap_pair *pair,
                       const struct overlap_rows *before, struct overlap_rows *out)
{
    const struct experiment *a = pair->sides[0]->experiment, *b = pair->sides[1]->experiment;
    const uint32_t numbers[2] = {a->number, b->number};
    const uint16_t phases[2] = {a->phase, b->phase};
    const struct overlap_row *last = row_of(before, numbers, phases);
    json_t *json = row_json(judging, pair, last ? last->json : NULL);
    overlap_rows_add(out, numbers, phases, json)->fresh = true;
}

static void correct(const struct judging *judging)
{
    size_t size = json_array_size(judging->family);
    struct multiple *family = xcalloc(size + 1, sizeof *family);
    for (size_t i = 0; i < size; i++)
        family[i] = (struct multiple){
            .p = json_number_value(json_object_get(json_array_get(judging->family, i), "p_value")),
            .index = i};
    multiple_adjust(family, size, MULTIPLE_HOLM);
    for (size_t i = 0; i < size; i++) {
        json_t *contrast = json_array_get(judging->family, family[i].index);
        json_object_set_new(contrast, "p_adjusted", json_figure(family[i].adjusted));
        if (family[i].adjusted <= OVERLAP_ALPHA &&
            !json_is_string(json_object_get(contrast, "significant_since")))
            json_object_set_new(contrast, "significant_since", json_when(judging->count->at));
    }
    free(family);
}

/* A row of before stays while both phases last and one of the two has been stopped: health goes on
 * telling of it. */
static bool stays(const struct overlap_count *count, const struct overlap_row *row)
{
    bool ended = false;
    for (int i = 0; i < 2; i++) {
        const struct experiment *experiment =
            catalog_experiment_numbered(count->catalog, row->numbers[i]);
        if (!experiment || experiment->phase != row->phases[i] ||
            experiment->state == EXPERIMENT_ARCHIVED)
            return false;
        ended = ended || experiment->state == EXPERIMENT_STOPPED;
    }
    return ended;
}

void overlap_judge(const struct overlap_count *count, const struct overlap_rows *before,
                   struct overlap_rows *out)
{
    struct judging judging = {count, json_array()};
    *out = (struct overlap_rows){0};
    for (size_t i = 0; i < count->side_count * count->side_count; i++) {
        const struct overlap_pair *pair = count->pairs[i];
        if (pair && pair != count->kept_apart && pair != count->no_room)
            judge_pair(&judging, pair, before, out);
    }
    correct(&judging);
    json_decref(judging.family);
    for (size_t i = 0; i < out->count; i++)
        overlap_words_row(out->list[i].json);
    for (size_t i = 0; i < before->count; i++) {
        const struct overlap_row *row = &before->list[i];
        if (stays(count, row) && !row_of(out, row->numbers, row->phases))
            overlap_rows_add(out, row->numbers, row->phases, json_incref(row->json));
    }
}

bool overlap_is_news(const json_t *contrast, int64_t at)
{
    json_t *when = json_when(at);
    bool news = same_text(contrast, "significant_since", when);
    json_decref(when);
    return news;
}
