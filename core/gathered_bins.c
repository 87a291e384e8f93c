/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bins lie behind the tally they belong to, so one walk in the order of keys meets each tally's
 * bins together. */
#include "core/gathered_bins.h"

#include <math.h>
#include <stdlib.h>

#include "core/gathered.h"
#include "core/json.h"
#include "stats/sketch.h"

static void *grown(void *list, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return list;
    *room = *room ? 2 * *room : 64;
    return xrealloc(list, *room * size);
}

/* The key of the tally that a bin belongs to. */
static void group_key(struct tally_name name, struct store_key *key)
{
    name.bin = 0;
    tally_key(&name, key);
}

void gathered_bins_take(struct gathered_bins *bins, struct arena *arena,
                        const struct tally_name *name, const struct tally *t)
{
    struct store_key key;
    group_key(*name, &key);
    struct gathered_group *last = bins->group_count ? &bins->groups[bins->group_count - 1] : NULL;
    if (!last || slice_order(last->key, key_slice(&key)) != 0) {
        bins->groups =
            grown(bins->groups, bins->group_count, &bins->group_room, sizeof *bins->groups);
        last = &bins->groups[bins->group_count++];
        *last = (struct gathered_group){arena_slice(arena, key_slice(&key)), bins->count, 0};
    }
    bins->bins = grown(bins->bins, bins->count, &bins->room, sizeof *bins->bins);
    bins->bins[bins->count++] = (struct sketch_bin){
        sketch_bin_low(name->bin),
        sketch_bin_high(name->bin),
        {(double)t->n, sum_value(&t->sum), sum_of_squares(&t->sum_sq), sum_value(&t->pre_sum),
         sum_of_squares(&t->pre_sum_sq), sum_value(&t->pre_post)}};
    last->count++;
}

void gathered_bins_release(struct gathered_bins *bins)
{
    free(bins->bins);
    free(bins->groups);
}

static int by_key(const void *a, const void *b)
{
    const struct gathered_group *x = a, *y = b;
    return slice_order(x->key, y->key);
}

/* One epoch's bins of an arm; borrowed. */
static struct sketch sketch_in(const struct gathered *g, const struct metric *metric, size_t epoch,
                               const struct segment_value *in, size_t variant)
{
    struct store_key key;
    const struct tally_name name = {.experiment = g->present->number,
                                    .phase = (uint16_t)g->phase,
                                    .epoch = (uint16_t)epoch,
                                    .metric = metric->number,
                                    .segment = in ? in->segment : (struct slice){"", 0},
                                    .value = in ? in->value : (struct slice){"", 0},
                                    .variant = (uint8_t)variant};
    group_key(name, &key);
    const struct gathered_group sought = {.key = key_slice(&key)}, *found = NULL;
    if (g->bins.group_count)
        found =
            bsearch(&sought, g->bins.groups, g->bins.group_count, sizeof *g->bins.groups, by_key);
    return found ? (struct sketch){g->bins.bins + found->first, found->count}
                 : (struct sketch){NULL, 0};
}

/* The bins of the variants from `from` up to before `to`, over one epoch or (-1) all of the phase,
 * pooled. The caller frees the bins. */
static struct sketch pooled(const struct gathered *g, const struct metric *metric, int epoch,
                            const struct segment_value *in, size_t from, size_t to)
{
    size_t epochs = g->present->epoch_count, count = 0, all = 0;
    struct sketch *parts = xcalloc(epochs * (to - from), sizeof *parts);
    for (size_t e = 0; e < epochs; e++)
        for (size_t v = from; v < to; v++)
            if (g->present->epochs[e].phase == g->phase && (epoch < 0 || e == (size_t)epoch)) {
                parts[count] = sketch_in(g, metric, e, in, v);
                all += parts[count++].count;
            }
    struct sketch whole = {xcalloc(all + 1, sizeof *whole.bins), 0};
    must(sketch_pool(parts, count, &whole));
    free(parts);
    return whole;
}

static void put(json_t *object, const char *name, double value)
{
    json_object_set_new(object, name, json_figure(value));
}

static json_t *bin_json(const struct metric *metric, const struct sketch_bin *bin)
{
    const struct moments_sums *sums = &bin->sums;
    json_t *row = json_object();
    put(row, "low", bin->low);
    put(row, "high", bin->high);
    put(row, "n", sums->n);
    if (metric->kind == METRIC_QUANTILE)
        return row;
    put(row, "sum", sums->sum);
    put(row, "sum_sq", sums->sum_sq);
    if (metric->covariate_days > 0) {
        put(row, "pre_sum", sums->other);
        put(row, "pre_sum_sq", sums->other_sq);
        put(row, "pre_sum_post", sums->product);
    }
    return row;
}

json_t *gathered_bins_arm(const struct gathered *g, const struct metric *metric, int epoch,
                          const struct segment_value *in, size_t variant)
{
    struct sketch sketch = pooled(g, metric, epoch, in, variant, variant + 1);
    json_t *arm = json_object(), *bins = json_array();
    if (metric->kind != METRIC_QUANTILE)
        put(arm, "n", sketch_n(&sketch));
    for (size_t i = 0; i < sketch.count; i++)
        json_array_append_new(bins, bin_json(metric, &sketch.bins[i]));
    json_object_set_new(arm, "bins", bins);
    free(sketch.bins);
    return arm;
}

double gathered_bins_level(const struct gathered *g, const struct metric *metric)
{
    struct sketch control = pooled(g, metric, -1, NULL, 0, 1);
    struct sketch all = pooled(g, metric, -1, NULL, 0, g->experiment->variant_count);
    double level = 0, cap;
    if (metric->kind == METRIC_QUANTILE)
        sketch_quantile(&control, metric->quantile, &level);
    else if (sketch_cap(&all, metric->cap_percentile / 100, &cap))
        level = (double)sketch_capped(&control, cap, false).y;
    free(control.bins);
    free(all.bins);
    return level;
}
