/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, factors: `levels` of the variants read, and `factors` of a metric computed and written. */
#include "core/study_parts.h"
#include "core/study_write.h"

/* --- reading ---------------------------------------------------------------------------------- */

static bool all_or_none(const struct study_reader *reader, json_t *list)
{
    struct json_place place = json_member(JSON_TOP, "variants");
    bool first = study_given(json_array_get(list, 0), "levels");
    for (size_t i = 1; i < json_array_size(list); i++) {
        struct json_place item = json_item(&place, i);
        if (study_given(json_array_get(list, i), "levels") != first)
            return json_fail_at(&item, "levels", reader->err,
                                "must be given for all variants or for none");
    }
    return true;
}

/* The factors are those that the control names, in its order. */
static bool read_factors(const struct study_reader *reader, json_t *levels,
                         const struct json_place *place, struct study_factors *factors)
{
    struct study *study = reader->study;
    const char *name;
    json_t *value;
    if (json_object_size(levels) == 0)
        return json_fail(place, reader->err, "must name at least one factor");
    if (json_object_size(levels) > FACTORIAL_FACTORS_MAX)
        return json_fail(place, reader->err, "must name at most %d factors", FACTORIAL_FACTORS_MAX);
    factors->keys = arena_alloc(&study->arena, json_object_size(levels) * sizeof *factors->keys);
    json_object_foreach(levels, name, value)
    {
        if (!*name)
            return json_fail(place, reader->err, "must not name a factor by no text");
        factors->keys[factors->design.factors++] = name;
    }
    return true;
}

/* The number of a level in the order in which they come; a new one is added. */
static size_t level_number(const char **levels, size_t *count, const char *level)
{
    size_t i = 0;
    while (i < *count && strcmp(levels[i], level) != 0)
        i++;
    if (i == *count)
        levels[(*count)++] = level;
    return i;
}

static bool only_factors(json_t *levels, const struct json_place *place,
                         const struct study_factors *factors, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(levels, name, value)
    {
        size_t f = 0;
        while (f < factors->design.factors && strcmp(factors->keys[f], name) != 0)
            f++;
        if (f == factors->design.factors)
            return json_fail_at(place, name, err, "is no factor of the first variant");
    }
    return true;
}

/* One variant's combination into at[factor]. */
static bool read_combination(const struct study_reader *reader, json_t *variant,
                             const struct json_place *item, struct study_factors *factors,
                             size_t *counts, size_t *at)
{
    struct json_place here = json_member(item, "levels");
    json_t *levels = NULL;
    if (!json_read_object(variant, item, "levels", JSON_REQUIRED, &levels, reader->err) ||
        (factors->design.factors == 0 && !read_factors(reader, levels, &here, factors)))
        return false;
    if (!only_factors(levels, &here, factors, reader->err))
        return false;
    for (size_t f = 0; f < factors->design.factors; f++) {
        const char *level = NULL;
        if (!study_read_key(levels, &here, factors->keys[f], 1, &level, reader->err))
            return false;
        if (!factors->levels[f])
            factors->levels[f] = arena_alloc(&reader->study->arena, reader->study->variant_count *
                                                                        sizeof *factors->levels[f]);
        at[f] = level_number(factors->levels[f], &counts[f], level);
    }
    return true;
}

static bool read_combinations(const struct study_reader *reader, json_t *list,
                              struct study_factors *factors, size_t *counts, size_t *at)
{
    struct json_place place = json_member(JSON_TOP, "variants");
    for (size_t v = 0; v < reader->study->variant_count; v++) {
        struct json_place item = json_item(&place, v);
        size_t own[FACTORIAL_FACTORS_MAX];
        if (!read_combination(reader, json_array_get(list, v), &item, factors, counts, own))
            return false;
        size_t count = factors->design.factors, bytes = count * sizeof *own;
        for (size_t other = 0; other < v; other++)
            if (memcmp(&at[other * count], own, bytes) == 0)
                return json_fail_at(&item, "levels", reader->err,
                                    "are those of variants[%zu] already", other);
        memcpy(&at[v * count], own, bytes);
    }
    return true;
}

static void weigh(struct study *study, struct factorial *design)
{
    size_t rows = factorial_rows(design), pairs = design->factors * design->factors;
    design->weights = arena_alloc(&study->arena, rows * design->cells * sizeof *design->weights);
    design->identified = arena_alloc(&study->arena, rows * sizeof *design->identified);
    design->pairs = arena_alloc(&study->arena, pairs * sizeof *design->pairs);
    if (!factorial_weigh(design))
        error_fatal("out of memory for a design of %zu combinations", design->cells);
}

bool study_read_levels(const struct study_reader *reader, json_t *list)
{
    struct study *study = reader->study;
    struct json_place place = json_member(JSON_TOP, "variants");
    size_t cells = study->variant_count;
    if (!all_or_none(reader, list))
        return false;
    if (!study_given(json_array_get(list, 0), "levels"))
        return true;
    if (cells > FACTORIAL_CELLS_MAX)
        return json_fail(&place, reader->err, "must have at most %d items where they have levels",
                         FACTORIAL_CELLS_MAX);
    struct study_factors *factors = arena_alloc(&study->arena, sizeof *factors);
    size_t *counts = arena_alloc(&study->arena, FACTORIAL_FACTORS_MAX * sizeof *counts);
    size_t *at = arena_alloc(&study->arena, cells * FACTORIAL_FACTORS_MAX * sizeof *at);
    factors->levels = arena_alloc(&study->arena, FACTORIAL_FACTORS_MAX * sizeof *factors->levels);
    if (!read_combinations(reader, list, factors, counts, at))
        return false;
    factors->design.cells = cells;
    factors->design.levels = counts;
    factors->design.at = at;
    weigh(study, &factors->design);
    study->factors = factors;
    return true;
}

/* --- computing and writing -------------------------------------------------------------------- */

/* A metric's factors under way. */
struct factored {
    struct study *study;
    const struct study_factors *factors;
    const struct study_metric *metric;
    const struct effect_mean *cells;
    struct study_settings settings; /* the metric's, but for exact */
};

static json_t *problem_text(const struct factored *factored, enum factorial_problem problem,
                            size_t cell, const char *aliased)
{
    switch (problem) {
    case FACTORIAL_NOT_IDENTIFIED:
        return json_string(aliased);
    case FACTORIAL_CELL:
        return study_cell_error(factored->study, cell, factored->cells[cell].problem);
    case FACTORIAL_REFERENCE_ZERO:
        return json_string("the mean at the first level is zero: nothing to be relative to");
    default:
        return json_string(effect_problem_words(EFFECT_OUT_OF_RANGE));
    }
}

/* The main effect by the metric's method; a problem of the method becomes one of the effect. */
static struct factorial_effect infer(const struct factored *factored, size_t factor, size_t level,
                                     struct study_comparison *comparison)
{
    struct factorial_effect main =
        factorial_main(&factored->factors->design, factored->cells, factor, level,
                       (enum effect_scale)factored->settings.effect);
    if (main.problem)
        return main;
    comparison->estimate = main.effect.estimate;
    comparison->effect = main.effect;
    study_infer(factored->study, &factored->settings, factored->metric->goal, &main.effect,
                comparison);
    if (comparison->problem)
        main.problem = comparison->problem == EFFECT_CONTROL_MEAN_ZERO ? FACTORIAL_REFERENCE_ZERO
                                                                       : FACTORIAL_OUT_OF_RANGE;
    return main;
}

static json_t *main_report(const struct factored *factored, size_t factor, size_t level)
{
    const struct study_factors *factors = factored->factors;
    struct study_comparison comparison = {0};
    struct factorial_effect main = infer(factored, factor, level, &comparison);
    const struct inference *inference = &comparison.inference;
    bool fine = !main.problem;
    json_t *row = json_object();
    struct json_writer w = json_writer_tree(row);
    put(row, "factor", json_string(factors->keys[factor]));
    put(row, "level", json_string(factors->levels[factor][level]));
    put(row, "reference", json_string(factors->levels[factor][0]));
    put(row, "estimate", figure_if(fine, comparison.estimate));
    put(row, "se", figure_if(fine, comparison.effect.se));
    write_interval(&w, "interval", fine, &inference->interval);
    put(row, "p_value", figure_if(fine && inference->has_p_value, inference->p_value));
    if (!fine)
        put(row, "error",
            problem_text(factored, main.problem, main.cell,
                         "these combinations cannot tell it from the effects of other factors"));
    return row;
}

static json_t *mains_report(const struct factored *factored)
{
    const struct factorial *design = &factored->factors->design;
    json_t *list = json_array();
    for (size_t f = 0; f < design->factors; f++)
        for (size_t level = 1; level < design->levels[f]; level++)
            append(list, main_report(factored, f, level));
    return list;
}

static json_t *interaction_report(const struct factored *factored, size_t f, size_t g)
{
    const struct study_factors *factors = factored->factors;
    struct factorial_test test = factorial_interaction(&factors->design, factored->cells, f, g);
    bool fine = !test.problem;
    json_t *row = json_object(), *pair = json_array();
    append(pair, json_string(factors->keys[f]));
    append(pair, json_string(factors->keys[g]));
    put(row, "factors", pair);
    put(row, "statistic", figure_if(fine, test.statistic));
    put(row, "df", figure_if(fine, test.df));
    put(row, "p_value", figure_if(fine, test.p_value));
    if (!fine)
        put(row, "error",
            problem_text(factored, test.problem, test.cell,
                         "these combinations cannot tell it from other effects; main effects are "
                         "read as if there were none of it"));
    return row;
}

/* A factor that has one level in all variants depends on nothing and has no row. */
static json_t *interactions_report(const struct factored *factored)
{
    const struct factorial *design = &factored->factors->design;
    json_t *list = json_array();
    for (size_t f = 0; f < design->factors; f++)
        for (size_t g = f + 1; g < design->factors; g++)
            if (design->levels[f] > 1 && design->levels[g] > 1)
                append(list, interaction_report(factored, f, g));
    return list;
}

static json_t *cell_report(const struct factored *factored, size_t variant,
                           const struct segment_effect *effect)
{
    const struct effect_mean *cell = &factored->cells[variant];
    bool known = !cell->problem;
    json_t *row = json_object(), *shrunk = json_object();
    put(shrunk, "estimate", figure_if(known, effect->estimate));
    put(shrunk, "se", figure_if(known, effect->se));
    put(row, "variant", json_string(factored->study->variants[variant].key));
    put(row, "mean", figure_if(cell->has_mean, (double)cell->mean));
    put(row, "shrunk", shrunk);
    if (!known)
        put(row, "error", study_cell_error(factored->study, variant, cell->problem));
    return row;
}

static void put_cells(json_t *report, const struct factored *factored)
{
    struct study *study = factored->study;
    size_t count = study->variant_count;
    struct segment_effect *room = arena_alloc(&study->arena, count * sizeof *room);
    struct segment_effect *shrunk = arena_alloc(&study->arena, count * sizeof *shrunk);
    bool decrease = factored->metric->goal == STUDY_DECREASE;
    size_t best = factorial_best(factored->cells, count, decrease, room, shrunk);
    json_t *list = json_array();
    for (size_t v = 0; v < count; v++)
        append(list, cell_report(factored, v, &shrunk[v]));
    put(report, "cells", list);
    put(report, "best", best < count ? json_string(study->variants[best].key) : json_null());
}

/* Quantiles of cells do not average to one of all, nor have they a variance to go by. */
bool study_has_factors(const struct study *study, const struct study_metric *metric)
{
    return study->factors && metric->kind != STUDY_QUANTILE;
}

/* By its looks a schedule can only be read for a comparison; a main effect is read as a segment is,
 * by the sequential method, and so is one of exact. */
static int method_of(const struct study_settings *settings)
{
    bool has_own = settings->method != STUDY_EXACT && settings->method != STUDY_SCHEDULED;
    return has_own ? settings->method : STUDY_SEQUENTIAL;
}

json_t *study_factors_report(struct study *study, const struct study_metric *metric)
{
    struct factored factored = {.study = study,
                                .factors = study->factors,
                                .metric = metric,
                                .cells = study_cells(study, &metric->arms),
                                .settings = metric->settings};
    json_t *report = json_object();
    factored.settings.method = method_of(&metric->settings);
    if (metric->settings.method == STUDY_SCHEDULED)
        factored.settings.tuning = study->schedule.horizon;
    put(report, "method", json_string(study_method_words[factored.settings.method]));
    put(report, "main", mains_report(&factored));
    put(report, "interactions", interactions_report(&factored));
    put_cells(report, &factored);
    return report;
}
