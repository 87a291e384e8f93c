/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers are found anew at each call: experiments are few, and their order tells all. */
#include "core/layers.h"

#include <stdlib.h>
#include <string.h>

#include "core/catalog.h"
#include "core/experiment_change.h"
#include "core/json.h"
#include "core/uplift.h"

/* Experiments in layers, by layer, where they begin, and key. */
struct placed {
    const struct experiment **list;
    size_t count;
};

static int by_place(const void *a, const void *b)
{
    const struct experiment *x = *(const struct experiment *const *)a;
    const struct experiment *y = *(const struct experiment *const *)b;
    int order = strcmp(x->layer_key, y->layer_key);
    if (order == 0)
        order = (x->layer_range[0] > y->layer_range[0]) - (x->layer_range[0] < y->layer_range[0]);
    return order ? order : strcmp(x->key, y->key);
}

static struct placed placed_of(const struct catalog *catalog)
{
    size_t count = catalog_experiment_count(catalog);
    struct placed placed = {.list = xcalloc(count + 1, sizeof(void *))};
    for (size_t i = 0; i < count; i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (experiment->layer_key && experiment->state != EXPERIMENT_ARCHIVED)
            placed.list[placed.count++] = experiment;
    }
    if (placed.count > 1)
        qsort(placed.list, placed.count, sizeof(void *), by_place);
    return placed;
}

/* How many from `from` on are in its layer. */
static size_t layer_size(const struct placed *placed, size_t from)
{
    size_t to = from;
    while (to < placed->count &&
           strcmp(placed->list[to]->layer_key, placed->list[from]->layer_key) == 0)
        to++;
    return to - from;
}

static json_t *range_json(double from, double to)
{
    json_t *range = json_array();
    json_array_append_new(range, json_figure(from));
    json_array_append_new(range, json_figure(to));
    return range;
}

static json_t *overlaps_of(const struct experiment *experiment,
                           const struct experiment *const *list, size_t count)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < count && experiment->state != EXPERIMENT_STOPPED; i++)
        if (list[i] != experiment && experiment_holds_layer(list[i]) &&
            experiment_layers_overlap(experiment, list[i]))
            json_array_append_new(keys, json_string(list[i]->key));
    return keys;
}

static json_t *experiment_row(const struct experiment *experiment,
                              const struct experiment *const *list, size_t count)
{
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "key", experiment->key, "name",
        experiment->name, "state", experiment_state_word(experiment->state), "range",
        range_json(experiment->layer_range[0], experiment->layer_range[1]), "holds",
        (int)experiment_holds_layer(experiment), "traffic", json_figure(experiment->traffic),
        "created_at", json_when(experiment->created_at), "started_at",
        json_when(experiment->started_at), "stopped_at", json_when(experiment->stopped_at),
        "overlaps", overlaps_of(experiment, list, count));
}

static json_t *layer_json(const struct experiment *const *list, size_t count)
{
    json_t *rows = json_array(), *free_ranges = json_array();
    double end = 0, share = 0;
    for (size_t i = 0; i <= count; i++) {
        double from = i < count ? list[i]->layer_range[0] : 1;
        if (i < count)
            json_array_append_new(rows, experiment_row(list[i], list, count));
        if (i < count && !experiment_holds_layer(list[i]))
            continue;
        if (from > end) {
            json_array_append_new(free_ranges, range_json(end, from));
            share += from - end;
        }
        if (i < count && list[i]->layer_range[1] > end)
            end = list[i]->layer_range[1];
    }
    return json_pack("{s:s, s:o, s:o, s:o}", "key", list[0]->layer_key, "free", free_ranges,
                     "free_share", json_figure(share), "experiments", rows);
}

json_t *uplift_layer_list(struct uplift *uplift, struct slice after, size_t limit)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    struct placed placed = placed_of(catalog);
    json_t *layers = json_array(), *next = json_null();
    for (size_t i = 0, size; i < placed.count; i += size) {
        size = layer_size(&placed, i);
        if (slice_order(slice_of(placed.list[i]->layer_key), after) <= 0)
            continue;
        if (json_array_size(layers) == limit) {
            next = json_string(
                json_string_value(json_object_get(json_array_get(layers, limit - 1), "key")));
            break;
        }
        json_array_append_new(layers, layer_json(placed.list + i, size));
    }
    free(placed.list);
    catalog_release(&uplift->catalog, catalog);
    return json_pack("{s:o, s:o}", "layers", layers, "next", next);
}

json_t *uplift_layer_get(struct uplift *uplift, struct slice key, struct error *err)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    struct placed placed = placed_of(catalog);
    json_t *layer = NULL;
    for (size_t i = 0, size; !layer && i < placed.count; i += size) {
        size = layer_size(&placed, i);
        if (slice_is(key, placed.list[i]->layer_key))
            layer = layer_json(placed.list + i, size);
    }
    free(placed.list);
    catalog_release(&uplift->catalog, catalog);
    if (!layer)
        error_set(err, ERROR_NOT_FOUND, NULL, "no experiment is in a layer \"%.*s\"",
                  (int)(key.len < 64 ? key.len : 64), key.ptr);
    return layer;
}
