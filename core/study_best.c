/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, the best arm: how likely each variant is the best on a metric, and the shares of traffic
 * that follow. */
#include <math.h>

#include "core/study_parts.h"
#include "core/study_write.h"
#include "stats/bestarm.h"

bool study_judge_best(const struct study_reader *reader)
{
    static const struct json_place design = {NULL, "design", 0};
    if (!reader->study->best_arm || reader->study->variant_count <= BESTARM_ARMS_MAX)
        return true;
    return json_fail_at(&design, "best_arm", reader->err, "is for at most %d variants",
                        BESTARM_ARMS_MAX);
}

bool study_has_best(const struct study *study, const struct study_metric *metric)
{
    bool roles = false;
    for (size_t i = 0; i < study->metric_count; i++)
        roles = roles || study->metrics[i].role != STUDY_NO_ROLE;
    return study->best_arm && metric->kind != STUDY_QUANTILE &&
           (!roles || metric->role == STUDY_PRIMARY);
}

/* The first variant without an estimate, or how many variants there are. */
static size_t first_unknown(const struct study *study, const struct effect_mean *cells)
{
    size_t v = 0;
    while (v < study->variant_count && !cells[v].problem)
        v++;
    return v;
}

json_t *study_best_report(struct study *study, const struct study_metric *metric)
{
    size_t count = study->variant_count;
    struct effect_mean *cells = study_cells(study, &metric->arms);
    struct bestarm_arm *arms = arena_alloc(&study->arena, count * sizeof *arms);
    struct bestarm *best = arena_alloc(&study->arena, count * sizeof *best);
    size_t unknown = first_unknown(study, cells);
    bool known = unknown == count;
    json_t *list = json_array();
    for (size_t v = 0; v < count; v++)
        arms[v] = (struct bestarm_arm){(double)cells[v].mean, (double)sqrtl(cells[v].variance)};
    if (known && !bestarm_of(arms, count, metric->goal == STUDY_DECREASE, best))
        error_fatal("out of memory for the best of %zu variants", count);
    for (size_t v = 0; v < count; v++) {
        json_t *row = json_object();
        put(row, "variant", json_string(study->variants[v].key));
        put(row, "probability", figure_if(known, best[v].probability));
        put(row, "thompson", figure_if(known, best[v].probability));
        put(row, "top_two", figure_if(known, best[v].top_two));
        if (!known)
            put(row, "error", study_cell_error(study, unknown, cells[unknown].problem));
        append(list, row);
    }
    return list;
}
