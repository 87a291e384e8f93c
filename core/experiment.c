/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Experiments: making, storing, showing and looking up; experiment_parse.c reads them. */
#include "core/experiment.h"

#include <stdlib.h>

#include "core/condition.h"
#include "core/experiment_parse.h"
#include "core/json.h"

void experiment_set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        error_fatal("out of memory while writing an experiment");
}

static void append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        error_fatal("out of memory while writing an experiment");
}

/* --- writing --- */

json_t *experiment_write_list(const char *const *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        append(array, json_string(list[i]));
    return array;
}

static json_t *write_layer(const struct experiment *e)
{
    if (!e->layer_key)
        return json_null();
    json_t *layer = json_object(), *range = json_array();
    append(range, json_figure(e->layer_range[0]));
    append(range, json_figure(e->layer_range[1]));
    experiment_set(layer, "key", json_string(e->layer_key));
    experiment_set(layer, "range", range);
    return layer;
}

static json_t *write_factors(const struct experiment *e)
{
    json_t *factors = json_array();
    for (size_t f = 0; f < e->factor_count; f++) {
        const struct factor *factor = &e->factors[f];
        json_t *object = json_object();
        experiment_set(object, "key", json_string(factor->key));
        experiment_set(object, "levels",
                       experiment_write_list(factor->levels, factor->level_count));
        append(factors, object);
    }
    return factors;
}

json_t *experiment_levels(const struct experiment *e, const struct variant *variant)
{
    json_t *levels = json_object();
    for (size_t f = 0; f < e->factor_count; f++)
        experiment_set(levels, e->factors[f].key,
                       json_string(e->factors[f].levels[variant->levels[f]]));
    return levels;
}

static json_t *write_variant(const struct experiment *e, const struct variant *variant)
{
    json_t *object = json_object();
    experiment_set(object, "key", json_string(variant->key));
    experiment_set(object, "name", json_string(variant->name));
    experiment_set(object, "weight", json_figure(variant->weight));
    experiment_set(object, "value", json_incref(variant->value));
    if (variant->levels)
        experiment_set(object, "levels", experiment_levels(e, variant));
    return object;
}

static json_t *write_variants(const struct experiment *e)
{
    json_t *variants = json_array();
    for (size_t i = 0; i < e->variant_count; i++)
        append(variants, write_variant(e, &e->variants[i]));
    return variants;
}

static json_t *write_metrics(const struct experiment *e)
{
    json_t *metrics = json_object();
    for (int role = 0; role < ROLE_COUNT; role++) {
        json_t *list = json_array();
        for (size_t i = 0; i < e->metric_count; i++) {
            if (e->metrics[i].role == (enum metric_role)role)
                append(list, json_string(e->metrics[i].key));
        }
        experiment_set(metrics, metric_role_word((enum metric_role)role), list);
    }
    return metrics;
}

static json_t *write_epochs(const struct experiment *e)
{
    json_t *epochs = json_array();
    for (size_t i = 0; i < e->epoch_count; i++) {
        const struct epoch *epoch = &e->epochs[i];
        const struct experiment *then = experiment_in_phase(e, epoch->phase);
        json_t *object = json_object(), *weights = json_array();
        for (size_t v = 0; v < then->variant_count; v++)
            append(weights, json_figure(epoch->weights[v]));
        experiment_set(object, "phase", json_integer(epoch->phase));
        experiment_set(object, "started_at", json_when(epoch->started_at));
        experiment_set(object, "traffic", json_figure(epoch->traffic));
        experiment_set(object, "weights", weights);
        experiment_set(object, "seed", json_string(epoch->seed));
        append(epochs, object);
    }
    return epochs;
}

static void write_definition(const struct experiment *e, json_t *object)
{
    const struct experiment_private *private = e->private;
    experiment_set(object, "key", json_string(e->key));
    experiment_set(object, "name", json_string(e->name));
    experiment_set(object, "hypothesis", json_string(e->hypothesis));
    experiment_set(object, "owner", json_string(e->owner));
    experiment_set(object, "tags", experiment_write_list(e->tags, e->tag_count));
    experiment_set(object, "state", json_string(experiment_state_word(e->state)));
    experiment_set(object, "audience",
                   private->audience ? json_incref(private->audience) : json_object());
    experiment_set(object, "traffic", json_figure(e->traffic));
    experiment_set(object, "layer", write_layer(e));
    experiment_set(object, "seed", json_string(e->seed));
    if (e->sticky)
        experiment_set(object, "sticky", json_true());
    experiment_write_links(e, object);
    if (e->factor_count > 0)
        experiment_set(object, "factors", write_factors(e));
    experiment_set(object, "variants", write_variants(e));
    experiment_set(object, "overrides",
                   private->overrides ? json_incref(private->overrides) : json_object());
    experiment_set(object, "segments", experiment_write_list(e->segments, e->segment_count));
    experiment_set(object, "metrics", write_metrics(e));
    experiment_set(object, "design", design_json(&e->design));
    experiment_set(object, "evaluation_is_exposure", json_boolean(e->evaluation_is_exposure));
}

json_t *experiment_write(const struct experiment *e)
{
    json_t *object = json_object();
    write_definition(e, object);
    experiment_set(object, "winner",
                   e->winner >= 0 ? json_string(e->variants[e->winner].key) : json_null());
    experiment_set(object, "stop_reason",
                   e->stop_reason ? json_string(e->stop_reason) : json_null());
    experiment_set(object, "limits", json_incref(e->private->limits));
    experiment_set(object, "phase", json_integer(e->phase));
    experiment_set(object, "version", json_integer(e->version));
    experiment_set(object, "created_at", json_when(e->created_at));
    experiment_set(object, "started_at", json_when(e->started_at));
    experiment_set(object, "stopped_at", json_when(e->stopped_at));
    experiment_set(object, "epochs", write_epochs(e));
    return object;
}

json_t *experiment_whole(const struct experiment *e)
{
    json_t *whole = json_copy(e->json);
    experiment_set(whole, "number", json_integer(e->number));
    experiment_set(whole, "segments_ever",
                   experiment_write_list(e->segments_ever, e->segments_ever_count));
    if (e->past_count == 0)
        return whole;
    json_t *past = json_array();
    for (size_t i = 0; i < e->past_count; i++)
        append(past, experiment_whole(e->past[i]));
    experiment_set(whole, "past", past);
    return whole;
}

const json_t *experiment_json(const struct experiment *experiment)
{
    return experiment->json;
}

bool experiment_limits(const struct experiment *experiment, const char *metric, double *margin,
                       double *min_effect)
{
    const json_t *row = json_object_get(experiment->private->limits, metric);
    if (!row)
        return false;
    *margin = json_number_value(json_object_get(row, "margin"));
    *min_effect = json_number_value(json_object_get(row, "min_effect"));
    return true;
}

/* --- making and storing --- */

/* What a fresh draft has of the server's fields. */
static json_t *fresh(json_t *input, uint32_t number, int64_t now)
{
    json_t *whole = json_copy(input);
    experiment_set(whole, "number", json_integer(number));
    experiment_set(whole, "state", json_string(experiment_state_word(EXPERIMENT_DRAFT)));
    experiment_set(whole, "winner", json_null());
    experiment_set(whole, "stop_reason", json_null());
    experiment_set(whole, "limits", json_object());
    experiment_set(whole, "phase", json_integer(1));
    experiment_set(whole, "version", json_integer(1));
    experiment_set(whole, "created_at", json_when(now));
    experiment_set(whole, "started_at", json_null());
    experiment_set(whole, "stopped_at", json_null());
    experiment_set(whole, "epochs", json_array());
    return whole;
}

/* Whether what the client gave of the server's fields is null or that of a fresh draft. */
static bool fresh_fields(json_t *input, const json_t *draft, struct error *err)
{
    for (const char *const *name = experiment_server_fields; *name; name++) {
        const char *const one[] = {*name, NULL};
        if (!json_is_null(json_object_get(input, *name)) &&
            !json_check_same(input, draft, one, err))
            return false;
    }
    return true;
}

struct experiment *experiment_create(json_t *input, uint32_t number, int64_t now, struct error *err)
{
    if (!experiment_check_input(input, err))
        return NULL;
    json_t *whole = fresh(input, number, now);
    struct experiment *e = fresh_fields(input, whole, err) ? experiment_parse(whole, err) : NULL;
    json_decref(whole);
    return e;
}

struct experiment *experiment_from_stored(const char *text, size_t len, struct error *err)
{
    struct error why = {0};
    json_t *whole = json_parse(text, len, &why);
    struct experiment *e = whole ? experiment_parse(whole, &why) : NULL;
    json_decref(whole);
    if (!e)
        error_set(err, ERROR_CORRUPT, why.place, "stored experiment: %s", why.message);
    return e;
}

char *experiment_stored(const struct experiment *experiment)
{
    json_t *whole = experiment_whole(experiment);
    char *text = json_text(whole);
    json_decref(whole);
    return text;
}

struct experiment *experiment_ref(const struct experiment *experiment)
{
    atomic_fetch_add_explicit(&experiment->private->refs, 1, memory_order_relaxed);
    return (struct experiment *)experiment;
}

void experiment_unref(struct experiment **experiment)
{
    struct experiment *old = *experiment;
    *experiment = NULL;
    if (!old || atomic_fetch_sub_explicit(&old->private->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < old->variant_count; i++)
        json_decref(old->variants[i].value);
    for (size_t i = 0; i < old->past_count; i++)
        experiment_unref(&old->past[i]);
    condition_free(old->audience);
    json_decref(old->private->audience);
    json_decref(old->private->overrides);
    json_decref(old->private->limits);
    json_decref(old->json);
    arena_release(&old->private->arena);
    free(old->private);
    free(old);
}

/* --- looking up --- */

bool experiment_decides(const struct experiment *experiment)
{
    return experiment->state != EXPERIMENT_DRAFT && experiment->state != EXPERIMENT_ARCHIVED;
}

int experiment_variant(const struct experiment *experiment, struct slice key)
{
    for (size_t i = 0; i < experiment->variant_count; i++) {
        if (slice_is(key, experiment->variants[i].key))
            return (int)i;
    }
    return -1;
}

int experiment_override(const struct experiment *experiment, struct slice customer)
{
    const json_t *overrides = experiment->private->overrides;
    const json_t *key = overrides ? json_object_getn(overrides, customer.ptr, customer.len) : NULL;
    return key ? experiment_variant(experiment, slice_of(json_string_value(key))) : -1;
}

const json_t *experiment_overrides(const struct experiment *experiment)
{
    return experiment->private->overrides;
}

void experiment_weights(const struct experiment *experiment, double *out)
{
    double sum = 0;
    for (size_t i = 0; i < experiment->variant_count; i++)
        sum += experiment->variants[i].weight;
    for (size_t i = 0; i < experiment->variant_count; i++)
        out[i] = experiment->variants[i].weight / sum;
}

const struct experiment *experiment_in_phase(const struct experiment *experiment, int phase)
{
    if (phase == experiment->phase)
        return experiment;
    return phase >= 1 && (size_t)phase <= experiment->past_count ? experiment->past[phase - 1]
                                                                 : NULL;
}

int experiment_epoch_at(const struct experiment *experiment, int64_t at)
{
    size_t i = experiment->epoch_count;
    while (i > 0 && experiment->epochs[i - 1].started_at > at)
        i--;
    return (int)i - 1;
}

int64_t experiment_phase_start(const struct experiment *experiment, int phase)
{
    for (size_t i = 0; i < experiment->epoch_count; i++) {
        if (experiment->epochs[i].phase == phase)
            return experiment->epochs[i].started_at;
    }
    return -1;
}

int64_t experiment_phase_end(const struct experiment *experiment, int phase)
{
    int64_t next = experiment_phase_start(experiment, phase + 1);
    if (next >= 0)
        return next;
    return experiment->stopped_at >= 0 ? experiment->stopped_at : INT64_MAX;
}
