/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting: every customer's units, two by two. */
#include <math.h>
#include <stdlib.h>

#include "core/experiment_change.h"
#include "core/overlap_parts.h"

enum { SLICE_ROWS = 20000 };

/* --- what is counted ------------------------------------------------------------------------ */

static bool takes_part(const struct experiment *experiment)
{
    return !experiment->holdout &&
           (experiment->state == EXPERIMENT_RUNNING || experiment->state == EXPERIMENT_PAUSED);
}

static bool same_weights(const struct experiment *experiment, const struct epoch *a,
                         const struct epoch *b)
{
    double sums[2] = {0};
    for (size_t v = 0; v < experiment->variant_count; v++) {
        sums[0] += a->weights[v];
        sums[1] += b->weights[v];
    }
    for (size_t v = 0; v < experiment->variant_count; v++)
        if (fabs(a->weights[v] / sums[0] - b->weights[v] / sums[1]) > 1e-9)
            return false;
    return true;
}

/* More traffic changes no proportion between variants: only weights begin a stretch. */
static void find_stretches(struct overlap_side *side, struct arena *arena)
{
    const struct experiment *experiment = side->experiment;
    const struct epoch *last = NULL;
    side->stretches = arena_alloc(arena, experiment->epoch_count + 1);
    for (size_t e = 0; e < experiment->epoch_count; e++) {
        const struct epoch *epoch = &experiment->epochs[e];
        if (epoch->phase != experiment->phase)
            continue;
        bool fresh = !last || !same_weights(experiment, last, epoch);
        if (fresh && side->stretch_count < OVERLAP_STRETCHES_MAX)
            side->stretch_count++;
        side->stretches[e] = (uint8_t)(side->stretch_count - 1);
        last = epoch;
    }
}

static int by_start(const void *a, const void *b)
{
    const struct overlap_side *x = a, *y = b;
    int64_t s = experiment_phase_start(x->experiment, x->experiment->phase),
            t = experiment_phase_start(y->experiment, y->experiment->phase);
    return s != t ? (s > t ? 1 : -1)
                  : (x->experiment->number > y->experiment->number) -
                        (x->experiment->number < y->experiment->number);
}

static int by_number(const void *a, const void *b)
{
    const struct overlap_side *x = a, *y = b;
    return (x->experiment->number > y->experiment->number) -
           (x->experiment->number < y->experiment->number);
}

void overlap_count_begin(struct overlap_count *count, struct catalog *catalog, int64_t at)
{
    static struct overlap_pair kept_apart, no_room;
    size_t all = catalog_experiment_count(catalog), found = 0;
    *count = (struct overlap_count){
        .catalog = catalog, .at = at, .kept_apart = &kept_apart, .no_room = &no_room};
    count->sides = xcalloc(all + 1, sizeof *count->sides);
    for (size_t i = 0; i < all; i++)
        if (takes_part(catalog_experiment_at(catalog, i)))
            count->sides[found++].experiment = catalog_experiment_at(catalog, i);
    qsort(count->sides, found, sizeof *count->sides, by_start);
    count->side_count = found < OVERLAP_SIDES_MAX ? found : OVERLAP_SIDES_MAX;
    count->experiments_left_out = found - count->side_count;
    qsort(count->sides, count->side_count, sizeof *count->sides, by_number);
    for (size_t i = 0; i < count->side_count; i++)
        find_stretches(&count->sides[i], &count->arena);
    count->pairs = xcalloc(count->side_count * count->side_count + 1, sizeof(void *));
}

void overlap_count_end(struct overlap_count *count)
{
    free(count->sides);
    free(count->pairs);
    arena_release(&count->arena);
}

/* --- metrics of a pair ---------------------------------------------------------------------- */

static enum moments_kind moments_of(const struct metric *metric)
{
    switch (metric->kind) {
    case METRIC_BINARY:
    case METRIC_RETENTION:
        return MOMENTS_BINARY;
    case METRIC_RATIO:
        return MOMENTS_RATIO;
    case METRIC_NPS:
        return MOMENTS_NPS;
    case METRIC_CSAT:
        return MOMENTS_CSAT;
    case METRIC_MEAN:
    case METRIC_COUNT:
    case METRIC_QUANTILE:
    case METRIC_CES:
        break;
    }
    return MOMENTS_MEAN;
}

static bool started_later(const struct overlap_pair *pair)
{
    return by_start(pair->sides[1], pair->sides[0]) > 0;
}

static void add_metric(struct overlap_pair *pair, const struct metric *metric, bool second,
                       enum metric_role role)
{
    struct overlap_metric *one = pair->metrics;
    while (one < pair->metrics + pair->metric_count && one->metric != metric)
        one++;
    if (one == pair->metrics + pair->metric_count)
        pair->metric_count++;
    else if (role > one->role || (role == one->role && !(second && started_later(pair))))
        return;
    *one = (struct overlap_metric){metric, second, role, moments_of(metric)};
}

static void find_metrics(struct overlap_pair *pair, const struct catalog *catalog,
                         struct arena *arena)
{
    size_t room =
        pair->sides[0]->experiment->metric_count + pair->sides[1]->experiment->metric_count;
    pair->metrics = arena_alloc(arena, (room + 1) * sizeof *pair->metrics);
    for (int s = 0; s < 2; s++) {
        const struct experiment *experiment = pair->sides[s]->experiment;
        for (size_t m = 0; m < experiment->metric_count; m++) {
            const struct experiment_metric *named = &experiment->metrics[m];
            const struct metric *metric = catalog_metric(catalog, slice_of(named->key));
            if (metric && named->role != ROLE_SECONDARY)
                add_metric(pair, metric, s == 1, named->role);
        }
    }
}

/* --- pairs ---------------------------------------------------------------------------------- */

size_t overlap_variants(const struct overlap_pair *pair, size_t side)
{
    return pair->sides[side]->experiment->variant_count;
}

static size_t cells_of(const struct overlap_pair *pair)
{
    return overlap_variants(pair, 0) * overlap_variants(pair, 1);
}

struct moments *overlap_at(const struct overlap_pair *pair, size_t metric, size_t stratum)
{
    return &pair->moments[(metric * pair->strata + stratum) * cells_of(pair)];
}

static void make_moments(struct overlap_count *count, struct overlap_pair *pair)
{
    size_t cells = cells_of(pair), each = pair->strata * cells, all = pair->metric_count * each;
    if (all == 0 ||
        (overlap_variants(pair, 0) - 1) * (overlap_variants(pair, 1) - 1) > OVERLAP_CONTRASTS_MAX)
        return;
    if (count->moment_count + all > OVERLAP_MOMENTS_MAX) {
        count->untested++;
        return;
    }
    count->moment_count += all;
    pair->moments = arena_alloc(&count->arena, all * sizeof *pair->moments);
    for (size_t i = 0; i < all; i++)
        pair->moments[i] = moments_empty(pair->metrics[i / each].kind, false);
}

static bool kept_apart(const struct experiment *a, const struct experiment *b)
{
    return a->layer_key && b->layer_key && strcmp(a->layer_key, b->layer_key) == 0 &&
           !experiment_layers_overlap(a, b);
}

/* Of the experiments i < j, at their first shared customer. */
static struct overlap_pair *pair_of(struct overlap_count *count, size_t i, size_t j)
{
    struct overlap_pair **at = &count->pairs[i * count->side_count + j];
    if (*at)
        return *at;
    if (kept_apart(count->sides[i].experiment, count->sides[j].experiment))
        return *at = count->kept_apart;
    if (count->pair_count == OVERLAP_PAIRS_MAX) {
        count->pairs_left_out++;
        return *at = count->no_room;
    }
    count->pair_count++;
    struct overlap_pair *pair = *at = arena_alloc(&count->arena, sizeof *pair);
    pair->sides[0] = &count->sides[i];
    pair->sides[1] = &count->sides[j];
    pair->strata = pair->sides[0]->stretch_count * pair->sides[1]->stretch_count;
    pair->cells = arena_alloc(&count->arena, cells_of(pair) * sizeof *pair->cells);
    find_metrics(pair, count->catalog, &count->arena);
    make_moments(count, pair);
    return pair;
}

/* --- customers ------------------------------------------------------------------------------ */

static void add_unit(struct moments *cell, const struct unit_metric *unit)
{
    double value = unit->adds.value;
    if (!unit->answered)
        return;
    switch (cell->kind) {
    case MOMENTS_RATIO:
        moments_add(cell, value, unit->adds.den);
        return;
    case MOMENTS_NPS:
        moments_add(cell, unit->adds.score >= 9 ? 100 : unit->adds.score >= 7 ? 0 : -100, 0);
        return;
    case MOMENTS_CSAT:
        moments_add(cell, 0, unit->adds.score);
        return;
    case MOMENTS_BINARY:
    case MOMENTS_MEAN:
        moments_add(cell, value, 0);
        return;
    }
}

static size_t stretch_of(const struct overlap_side *side, const struct unit *unit)
{
    return unit->epoch < side->experiment->epoch_count ? side->stretches[unit->epoch]
                                                       : side->stretch_count - 1;
}

static void add_metrics(struct overlap_pair *pair, const struct unit *const units[2], size_t cell)
{
    size_t stratum = stretch_of(pair->sides[0], units[0]) * pair->sides[1]->stretch_count +
                     stretch_of(pair->sides[1], units[1]);
    for (size_t m = 0; m < pair->metric_count; m++) {
        const struct unit *unit = units[pair->metrics[m].second];
        for (size_t k = 0; k < unit->metric_count; k++)
            if (unit->metrics[k].metric == pair->metrics[m].metric->number)
                add_unit(&overlap_at(pair, m, stratum)[cell], &unit->metrics[k]);
    }
}

static void add_shared(struct overlap_count *count, struct overlap_pair *pair,
                       const struct unit *const units[2])
{
    if (pair == count->kept_apart || pair == count->no_room)
        return;
    if (units[0]->variant < 0 || units[1]->variant < 0) {
        pair->crossed++;
        return;
    }
    size_t cell = (size_t)units[0]->variant * overlap_variants(pair, 1) + (size_t)units[1]->variant;
    pair->customers++;
    pair->cells[cell]++;
    if (pair->moments)
        add_metrics(pair, units, cell);
}

static size_t side_of(const struct overlap_count *count, uint32_t number, uint16_t phase)
{
    size_t low = 0, high = count->side_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (count->sides[middle].experiment->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < count->side_count && count->sides[low].experiment->number == number &&
                 count->sides[low].experiment->phase == phase;
    return found ? low : SIZE_MAX;
}

static bool wanted(void *data, uint32_t number, uint16_t phase)
{
    return side_of(data, number, phase) != SIZE_MAX;
}

/* Units come by the numbers of their experiments, as sides are. */
static void visit(void *data, const struct ledger_held *held, size_t units)
{
    struct overlap_count *count = data;
    size_t sides[LEDGER_WALK_UNITS_MAX];
    for (size_t i = 0; i < units; i++) {
        struct overlap_side *side =
            &count->sides[sides[i] = side_of(count, held[i].experiment->number, held[i].phase)];
        must(held[i].unit.variant < (int)side->experiment->variant_count);
        side->exposed += held[i].unit.variant >= 0;
        for (size_t j = 0; j < i; j++) {
            const struct unit *const both[2] = {&held[j].unit, &held[i].unit};
            add_shared(count, pair_of(count, sides[j], sides[i]), both);
        }
    }
}

bool overlap_count_slice(struct overlap_count *count, struct store_txn *txn,
                         const struct catalog *catalog, uint64_t *from, struct error *err)
{
    struct ledger_walk walk = {.catalog = catalog,
                               .from = *from,
                               .rows = SLICE_ROWS,
                               .wanted = wanted,
                               .visit = visit,
                               .data = count};
    bool ok = ledger_walk_units(txn, &walk, err);
    *from = walk.from;
    return ok;
}
