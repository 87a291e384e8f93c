/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, arms by themselves: strata merged for all arms at once, and each arm's mean over them. */
#include "core/study_parts.h"

/* All strata of all arms merged as effect_merge_strata does with two, so that each stratum left has
 * 2 units in every arm that has as many at all. Returns how many are left. */
static size_t merge_strata(const struct study *study, struct moments **strata, size_t count,
                           const bool *filled)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool small = false;
        for (size_t v = 0; v < study->variant_count; v++)
            small = small ||
                    (filled[v] && (strata[i][v].n < 2 || (kept > 0 && strata[kept - 1][v].n < 2)));
        if (kept == 0 || !small) {
            strata[kept++] = strata[i];
            continue;
        }
        for (size_t v = 0; v < study->variant_count; v++)
            strata[kept - 1][v] = moments_merge(&strata[kept - 1][v], &strata[i][v]);
    }
    return kept;
}

/* A copy of the strata, for merging. */
static struct moments **copy_strata(struct study *study, const struct study_arms *arms)
{
    struct moments **copy = arena_alloc(&study->arena, arms->count * sizeof *copy);
    size_t bytes = study->variant_count * sizeof **copy;
    for (size_t i = 0; i < arms->count; i++) {
        copy[i] = arena_alloc(&study->arena, bytes);
        memcpy(copy[i], arms->strata[i], bytes);
    }
    return copy;
}

struct study_merged study_merge(struct study *study, const struct study_arms *arms)
{
    struct study_merged merged = {
        .all = arena_alloc(&study->arena, study->variant_count * sizeof *merged.all),
        .filled = arena_alloc(&study->arena, study->variant_count * sizeof *merged.filled),
        .strata = copy_strata(study, arms),
    };
    for (size_t v = 0; v < study->variant_count; v++) {
        merged.all[v] = arms->strata[0][v];
        for (size_t i = 1; i < arms->count; i++)
            merged.all[v] = moments_merge(&merged.all[v], &arms->strata[i][v]);
        merged.filled[v] = merged.all[v].n >= 2;
    }
    merged.count = merge_strata(study, merged.strata, arms->count, merged.filled);
    return merged;
}

/* Shares of the units of all arms together; nobody there: as good as any. */
static void weigh_strata(const struct study *study, const struct study_merged *merged,
                         double *weights)
{
    long double all = 0, here;
    for (size_t i = 0; i < merged->count; i++)
        for (size_t v = 0; v < study->variant_count; v++)
            all += merged->strata[i][v].n;
    for (size_t i = 0; i < merged->count; i++) {
        here = 0;
        for (size_t v = 0; v < study->variant_count; v++)
            here += merged->strata[i][v].n;
        weights[i] = all > 0 ? (double)(here / all) : 1;
    }
}

struct effect_mean *study_cells(struct study *study, const struct study_arms *arms)
{
    struct study_merged merged = study_merge(study, arms);
    struct effect_mean *cells = arena_alloc(&study->arena, study->variant_count * sizeof *cells);
    double *weights = arena_alloc(&study->arena, merged.count * sizeof *weights), whole = 1;
    struct moments *own = arena_alloc(&study->arena, merged.count * sizeof *own);
    weigh_strata(study, &merged, weights);
    for (size_t v = 0; v < study->variant_count; v++) {
        for (size_t i = 0; i < merged.count; i++)
            own[i] = merged.strata[i][v];
        cells[v] = merged.filled[v] ? effect_mean_of(own, weights, merged.count)
                                    : effect_mean_of(&merged.all[v], &whole, 1);
    }
    return cells;
}

static const char *cell_words(enum effect_problem problem)
{
    switch (problem) {
    case EFFECT_CONTROL_EMPTY:
        return "has no units";
    case EFFECT_CONTROL_TOO_FEW:
        return "has fewer than 2 units";
    case EFFECT_CONTROL_NO_DENOMINATOR:
        return "has a denominator of zero";
    case EFFECT_CONTROL_NO_VARIANCE:
        return "has no variance";
    case EFFECT_CONTROL_NEGATIVE_VARIANCE:
        return "has sums that contradict each other: its variance is negative";
    default:
        return "has figures too large or too small to compute with";
    }
}

json_t *study_cell_error(const struct study *study, size_t variant, enum effect_problem problem)
{
    return json_sprintf("variant %s %s", study->variants[variant].key, cell_words(problem));
}
