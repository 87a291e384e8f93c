/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser of experiments. It reads a whole (definition and server's fields) into a struct whose
 * memory lives in the experiment's arena; the first fault ends it and names its place. */
#include "core/experiment_parse.h"

#include <math.h>
#include <stdlib.h>

#include "core/condition.h"
#include "core/json.h"
#include "core/when.h"

enum {
    NAME_MOST = 200,
    HYPOTHESIS_MOST = 4000,
    OWNER_MOST = 200,
    TAGS_MOST = 50,
    TAG_MOST = 64,
    SEED_MOST = 128,
    SEGMENT_MOST = 64,
    SEGMENTS_EVER_MOST = 10000
};
#define VERSION_MOST (INT64_C(1) << 53)

/* The fields that a client may write, and those that only the server sets. */
#define DEFINITION_FIELDS                                                                          \
    "key", "name", "hypothesis", "owner", "tags", "audience", "traffic", "layer", "seed",          \
        "sticky", "prerequisites", "holdout", "factors", "variants", "overrides", "segments",      \
        "metrics", "design", "evaluation_is_exposure"
#define SERVER_FIELDS                                                                              \
    "state", "winner", "stop_reason", "version", "phase", "created_at", "started_at",              \
        "stopped_at", "limits", "epochs"

const char *const experiment_definition_fields[] = {DEFINITION_FIELDS, NULL};
const char *const experiment_server_fields[] = {SERVER_FIELDS, NULL};
static const char *const input_fields[] = {DEFINITION_FIELDS, SERVER_FIELDS, NULL};
static const char *const whole_fields[] = {DEFINITION_FIELDS, SERVER_FIELDS, "number", "past",
                                           "segments_ever",   NULL};
static const char *const state_words[] = {"draft",   "running",  "paused",
                                          "stopped", "archived", NULL};

const char *experiment_state_word(enum experiment_state state)
{
    return state_words[state];
}

/* --- small parts --- */

bool experiment_check_input(json_t *input, struct error *err)
{
    return json_check_fields(input, JSON_TOP, input_fields, err);
}

bool experiment_check_depth(const json_t *value, const struct json_place *place, int levels,
                            struct error *err)
{
    if (levels < 0)
        return json_fail(place, err, "must be nested less deeply");
    const char *name;
    json_t *inner;
    size_t i;
    json_object_foreach((json_t *)value, name, inner)
    {
        if (!experiment_check_depth(inner, place, levels - 1, err))
            return false;
    }
    json_array_foreach(value, i, inner)
    {
        if (!experiment_check_depth(inner, place, levels - 1, err))
            return false;
    }
    return true;
}

/* A string for the item of a list: as json_read_string does it for members. */
static bool read_item_string(json_t *value, const struct json_place *place, size_t most,
                             const char **out, struct error *err)
{
    size_t len = json_string_length(value);
    if (!json_is_string(value))
        return json_fail(place, err, "must be a string");
    if (len == 0 || len > most)
        return json_fail(place, err, "must have 1 to %zu bytes", most);
    *out = json_string_value(value);
    return true;
}

size_t experiment_find_text(const char *const *list, size_t count, const char *text)
{
    size_t i = 0;
    while (i < count && strcmp(list[i], text) != 0)
        i++;
    return i;
}

/* A list of different strings; *out stays NULL where the member is absent. */
bool experiment_read_list(struct experiment *e, json_t *object, const struct json_place *place,
                          const char *name, size_t count_most, size_t bytes_most, const char ***out,
                          size_t *count, struct error *err)
{
    json_t *array = NULL;
    if (!json_read_array(object, place, name, JSON_OPTIONAL, 0, count_most, &array, err))
        return false;
    size_t n = json_array_size(array);
    const char **list = arena_alloc(&e->private->arena, (n + 1) * sizeof *list);
    struct json_place whole = json_member(place, name);
    for (size_t i = 0; i < n; i++) {
        struct json_place at = json_item(&whole, i);
        const char *text = NULL;
        if (!read_item_string(json_array_get(array, i), &at, bytes_most, &text, err))
            return false;
        if (experiment_find_text(list, i, text) < i)
            return json_fail(&at, err, "\"%s\" is listed already", text);
        list[i] = arena_strdup(&e->private->arena, text);
    }
    *out = list;
    *count = n;
    return true;
}

static bool read_labels(struct experiment *e, json_t *whole, struct error *err)
{
    const char *key = NULL, *name = NULL, *hypothesis = "", *owner = "";
    if (!json_read_key(whole, JSON_TOP, "key", JSON_REQUIRED, &key, err) ||
        !json_read_string(whole, JSON_TOP, "name", JSON_OPTIONAL, 1, NAME_MOST, &name, err) ||
        !json_read_string(whole, JSON_TOP, "hypothesis", JSON_OPTIONAL, 0, HYPOTHESIS_MOST,
                          &hypothesis, err) ||
        !json_read_string(whole, JSON_TOP, "owner", JSON_OPTIONAL, 0, OWNER_MOST, &owner, err) ||
        !experiment_read_list(e, whole, JSON_TOP, "tags", TAGS_MOST, TAG_MOST, &e->tags,
                              &e->tag_count, err))
        return false;
    struct arena *arena = &e->private->arena;
    e->key = arena_strdup(arena, key);
    e->name = arena_strdup(arena, name ? name : key);
    e->hypothesis = arena_strdup(arena, hypothesis);
    e->owner = arena_strdup(arena, owner);
    return true;
}

/* --- who is let in --- */

/* The ends of a range within [0, 1]: two numbers, the first below the second. */
static bool read_range(json_t *layer, const struct json_place *place, double out[2],
                       struct error *err)
{
    json_t *range = NULL;
    if (!json_read_array(layer, place, "range", JSON_REQUIRED, 2, 2, &range, err))
        return false;
    struct json_place whole = json_member(place, "range");
    for (size_t i = 0; i < 2; i++) {
        struct json_place at = json_item(&whole, i);
        json_t *end = json_array_get(range, i);
        out[i] = json_number_value(end);
        if (!json_is_number(end))
            return json_fail(&at, err, "must be a number");
        if (!(out[i] >= 0 && out[i] <= 1))
            return json_fail(&at, err, "must be from 0 to 1");
    }
    return out[0] < out[1] || json_fail(&whole, err, "must begin below its end");
}

static bool read_layer(struct experiment *e, json_t *whole, struct error *err)
{
    static const char *const fields[] = {"key", "range", NULL};
    json_t *layer = NULL;
    if (!json_read_object(whole, JSON_TOP, "layer", JSON_OPTIONAL, &layer, err))
        return false;
    if (!layer)
        return true;
    struct json_place place = json_member(JSON_TOP, "layer");
    const char *key = NULL;
    if (!json_check_fields(layer, &place, fields, err) ||
        !json_read_key(layer, &place, "key", JSON_REQUIRED, &key, err) ||
        !read_range(layer, &place, e->layer_range, err))
        return false;
    e->layer_key = arena_strdup(&e->private->arena, key);
    return true;
}

static bool read_audience(struct experiment *e, json_t *whole, struct error *err)
{
    json_t *audience = NULL;
    if (!json_read_object(whole, JSON_TOP, "audience", JSON_OPTIONAL, &audience, err))
        return false;
    if (json_object_size(audience) == 0)
        return true;
    struct json_place place = json_member(JSON_TOP, "audience");
    if (!experiment_check_depth(audience, &place, EXPERIMENT_LEVELS_MAX, err))
        return false;
    e->private->audience = json_deep_copy(audience);
    e->audience = condition_compile(e->private->audience, &place, err);
    e->audience_reads_id = e->audience && condition_reads(e->audience, "id");
    return e->audience != NULL;
}

static bool read_seed(struct experiment *e, json_t *whole, struct error *err)
{
    const char *seed = NULL;
    if (!json_read_string(whole, JSON_TOP, "seed", JSON_OPTIONAL, 1, SEED_MOST, &seed, err))
        return false;
    struct text fresh;
    text_init(&fresh, SEED_MOST);
    if (seed)
        text_puts(&fresh, seed);
    else if (e->phase > 1)
        text_printf(&fresh, "%s.%d", e->key, e->phase);
    else
        text_puts(&fresh, e->key);
    e->seed = arena_strdup(&e->private->arena, fresh.ptr);
    text_release(&fresh);
    return true;
}

static bool read_traffic(struct experiment *e, json_t *whole, struct error *err)
{
    e->traffic = 1;
    if (!json_read_number(whole, JSON_TOP, "traffic", JSON_OPTIONAL, 0, 1, &e->traffic, err))
        return false;
    return e->traffic > 0 || json_fail_at(JSON_TOP, "traffic", err, "must be above 0");
}

/* --- what is measured --- */

static bool read_role(struct experiment *e, json_t *metrics, const struct json_place *place,
                      enum metric_role role, struct error *err)
{
    json_t *list = NULL;
    const char *name = metric_role_word(role);
    if (!json_read_array(metrics, place, name, JSON_OPTIONAL, 0, EXPERIMENT_METRICS_MAX, &list,
                         err))
        return false;
    struct json_place whole = json_member(place, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct json_place at = json_item(&whole, i);
        const char *key = NULL;
        if (!read_item_string(json_array_get(list, i), &at, 64, &key, err))
            return false;
        for (size_t m = 0; m < e->metric_count; m++) {
            if (strcmp(e->metrics[m].key, key) == 0)
                return json_fail(&at, err, "\"%s\" is listed already", key);
        }
        if (e->metric_count == EXPERIMENT_METRICS_MAX)
            return json_fail(place, err, "must have at most %d", EXPERIMENT_METRICS_MAX);
        e->metrics[e->metric_count++] =
            (struct experiment_metric){arena_strdup(&e->private->arena, key), role};
    }
    return true;
}

static bool read_metrics(struct experiment *e, json_t *whole, struct error *err)
{
    static const char *const fields[] = {"primary", "guardrail", "secondary", NULL};
    json_t *metrics = NULL;
    if (!json_read_object(whole, JSON_TOP, "metrics", JSON_OPTIONAL, &metrics, err))
        return false;
    struct json_place place = json_member(JSON_TOP, "metrics");
    if (metrics && !json_check_fields(metrics, &place, fields, err))
        return false;
    e->metrics = arena_alloc(&e->private->arena, EXPERIMENT_METRICS_MAX * sizeof *e->metrics);
    for (int role = 0; role < ROLE_COUNT; role++) {
        if (!read_role(e, metrics, &place, (enum metric_role)role, err))
            return false;
    }
    return true;
}

static bool read_design(struct experiment *e, json_t *whole, struct error *err)
{
    json_t *object = NULL;
    if (!json_read_object(whole, JSON_TOP, "design", JSON_OPTIONAL, &object, err))
        return false;
    struct json_place place = json_member(JSON_TOP, "design");
    return design_read(object, &place, &e->private->arena, &e->design, err);
}

/* --- the server's fields --- */

static bool read_epoch_weights(struct experiment *e, json_t *object, const struct json_place *place,
                               struct epoch *epoch, struct error *err)
{
    json_t *weights = NULL;
    if (!json_read_array(object, place, "weights", JSON_REQUIRED, 2, EXPERIMENT_VARIANTS_MAX,
                         &weights, err))
        return false;
    size_t count = json_array_size(weights);
    epoch->weights = arena_alloc(&e->private->arena, count * sizeof *epoch->weights);
    for (size_t i = 0; i < count; i++)
        epoch->weights[i] = json_number_value(json_array_get(weights, i));
    const struct experiment *then = experiment_in_phase(e, epoch->phase);
    return (then && then->variant_count == count) ||
           json_fail_at(place, "weights", err, "must be one for each variant of the phase");
}

static bool read_epoch(struct experiment *e, json_t *object, const struct json_place *place,
                       struct error *err)
{
    static const char *const fields[] = {"phase", "started_at", "traffic", "weights", "seed", NULL};
    struct epoch *epoch = &e->epochs[e->epoch_count];
    int64_t phase = 0;
    const char *seed = NULL;
    if (!json_check_fields(object, place, fields, err) ||
        !json_read_integer(object, place, "phase", JSON_REQUIRED, 1, e->phase, &phase, err) ||
        !json_read_time(object, place, "started_at", JSON_REQUIRED, &epoch->started_at, err) ||
        !json_read_number(object, place, "traffic", JSON_REQUIRED, 0, 1, &epoch->traffic, err) ||
        !json_read_string(object, place, "seed", JSON_REQUIRED, 1, SEED_MOST, &seed, err))
        return false;
    epoch->phase = (uint16_t)phase;
    epoch->seed = arena_strdup(&e->private->arena, seed);
    if (e->epoch_count > 0 && epoch->started_at < epoch[-1].started_at)
        return json_fail_at(place, "started_at", err, "must not be before the epoch before it");
    if (!read_epoch_weights(e, object, place, epoch, err))
        return false;
    e->epoch_count++;
    return true;
}

static bool read_epochs(struct experiment *e, json_t *whole, struct error *err)
{
    json_t *epochs = NULL;
    if (!json_read_array(whole, JSON_TOP, "epochs", JSON_OPTIONAL, 0, EXPERIMENT_EPOCHS_MAX,
                         &epochs, err))
        return false;
    size_t count = json_array_size(epochs);
    e->epochs = arena_alloc(&e->private->arena, (count + 1) * sizeof *e->epochs);
    struct json_place place = json_member(JSON_TOP, "epochs");
    for (size_t i = 0; i < count; i++) {
        struct json_place at = json_item(&place, i);
        if (!read_epoch(e, json_array_get(epochs, i), &at, err))
            return false;
    }
    return (e->state == EXPERIMENT_DRAFT) == (count == 0) ||
           json_fail(&place, err, "must be there once the experiment was started, not before");
}

static struct experiment *parse(json_t *whole, bool present, struct error *err);

static bool read_past(struct experiment *e, json_t *whole, struct error *err)
{
    json_t *past = NULL;
    if (!json_read_array(whole, JSON_TOP, "past", JSON_OPTIONAL, 0, EXPERIMENT_PHASES_MAX, &past,
                         err))
        return false;
    e->past = arena_alloc(&e->private->arena, (json_array_size(past) + 1) * sizeof(void *));
    for (size_t i = 0; i < json_array_size(past); i++) {
        struct experiment *then = parse(json_array_get(past, i), false, err);
        if (!then)
            return false;
        e->past[e->past_count++] = then;
    }
    return e->past_count + 1 == e->phase ||
           json_fail_at(JSON_TOP, "past", err, "must hold each phase before this one");
}

static bool read_winner(struct experiment *e, json_t *whole, struct error *err)
{
    const char *winner = NULL;
    e->winner = -1;
    if (!json_read_string(whole, JSON_TOP, "winner", JSON_OPTIONAL, 1, 64, &winner, err))
        return false;
    if (!winner)
        return true;
    e->winner = experiment_variant(e, slice_of(winner));
    return e->winner >= 0 ||
           json_fail_at(JSON_TOP, "winner", err, "\"%s\" is no variant of this experiment", winner);
}

static bool read_stop_reason(struct experiment *e, json_t *whole, struct error *err)
{
    const char *reason = NULL;
    if (!json_read_string(whole, JSON_TOP, "stop_reason", JSON_OPTIONAL, 1, EXPERIMENT_REASON_MAX,
                          &reason, err))
        return false;
    e->stop_reason = reason ? arena_strdup(&e->private->arena, reason) : NULL;
    return true;
}

static bool read_limits(struct experiment *e, json_t *whole, struct error *err)
{
    static const char *const fields[] = {"margin", "min_effect", NULL};
    struct json_place place = json_member(JSON_TOP, "limits");
    json_t *limits = NULL, *row;
    const char *key;
    double value;
    if (!json_read_object(whole, JSON_TOP, "limits", JSON_OPTIONAL, &limits, err))
        return false;
    json_object_foreach(limits, key, row)
    {
        struct json_place here = json_member(&place, key);
        if (!json_check_fields(row, &here, fields, err) ||
            !json_read_number(row, &here, "margin", JSON_REQUIRED, 0, HUGE_VAL, &value, err) ||
            !json_read_number(row, &here, "min_effect", JSON_REQUIRED, 0, HUGE_VAL, &value, err))
            return false;
    }
    e->private->limits = limits ? json_deep_copy(limits) : json_object();
    return true;
}

static bool read_segments(struct experiment *e, json_t *whole, struct error *err)
{
    const char **ever = NULL;
    size_t count = 0;
    if (!experiment_read_list(e, whole, JSON_TOP, "segments", EXPERIMENT_SEGMENTS_MAX, SEGMENT_MOST,
                              &e->segments, &e->segment_count, err) ||
        !experiment_read_list(e, whole, JSON_TOP, "segments_ever", SEGMENTS_EVER_MOST, SEGMENT_MOST,
                              &ever, &count, err))
        return false;
    e->segments_ever =
        arena_alloc(&e->private->arena, (count + e->segment_count + 1) * sizeof *ever);
    for (size_t i = 0; i < count; i++)
        e->segments_ever[i] = ever[i];
    e->segments_ever_count = count;
    for (size_t i = 0; i < e->segment_count; i++)
        if (experiment_find_text(e->segments_ever, count, e->segments[i]) == count)
            e->segments_ever[e->segments_ever_count++] = e->segments[i];
    return true;
}

static bool read_server(struct experiment *e, json_t *whole, struct error *err)
{
    int state = EXPERIMENT_DRAFT;
    int64_t number = 0, phase = 1;
    e->started_at = e->stopped_at = -1;
    if (!json_read_integer(whole, JSON_TOP, "number", JSON_REQUIRED, 1, UINT32_MAX, &number, err) ||
        !json_read_word(whole, JSON_TOP, "state", JSON_REQUIRED, state_words, &state, err) ||
        !json_read_integer(whole, JSON_TOP, "version", JSON_REQUIRED, 1, VERSION_MOST, &e->version,
                           err) ||
        !json_read_integer(whole, JSON_TOP, "phase", JSON_REQUIRED, 1, EXPERIMENT_PHASES_MAX,
                           &phase, err) ||
        !json_read_time(whole, JSON_TOP, "created_at", JSON_REQUIRED, &e->created_at, err) ||
        !json_read_time(whole, JSON_TOP, "started_at", JSON_OPTIONAL, &e->started_at, err) ||
        !json_read_time(whole, JSON_TOP, "stopped_at", JSON_OPTIONAL, &e->stopped_at, err))
        return false;
    e->number = (uint32_t)number;
    e->state = (enum experiment_state)state;
    e->phase = (uint16_t)phase;
    return true;
}

/* --- the whole --- */

static bool read_whole(struct experiment *e, json_t *whole, struct error *err)
{
    return json_check_fields(whole, JSON_TOP, whole_fields, err) && read_server(e, whole, err) &&
           read_labels(e, whole, err) && read_audience(e, whole, err) &&
           read_traffic(e, whole, err) && read_layer(e, whole, err) && read_seed(e, whole, err) &&
           json_read_bool(whole, JSON_TOP, "sticky", JSON_OPTIONAL, &e->sticky, err) &&
           experiment_read_variants(e, whole, err) && experiment_read_links(e, whole, err) &&
           read_segments(e, whole, err) && read_metrics(e, whole, err) &&
           read_design(e, whole, err) &&
           json_read_bool(whole, JSON_TOP, "evaluation_is_exposure", JSON_OPTIONAL,
                          &e->evaluation_is_exposure, err) &&
           read_winner(e, whole, err) && read_stop_reason(e, whole, err) &&
           read_limits(e, whole, err);
}

static void find_ranges(struct experiment *e)
{
    double weights[EXPERIMENT_VARIANTS_MAX];
    experiment_weights(e, weights);
    e->ranges = arena_alloc(&e->private->arena, e->variant_count * sizeof *e->ranges);
    bucket_ranges(e->variant_count, e->traffic, weights, e->ranges);
}

/* `present`: with its past and its epochs; else the definition that a phase ended with. */
static struct experiment *parse(json_t *whole, bool present, struct error *err)
{
    struct experiment *e = xcalloc(1, sizeof *e);
    e->private = xcalloc(1, sizeof *e->private);
    atomic_init(&e->private->refs, 1);
    if (!read_whole(e, whole, err) ||
        (present && (!read_past(e, whole, err) || !read_epochs(e, whole, err)))) {
        experiment_unref(&e);
        return NULL;
    }
    find_ranges(e);
    e->json = experiment_write(e);
    return e;
}

struct experiment *experiment_parse(json_t *whole, struct error *err)
{
    return parse(whole, true, err);
}

struct experiment *experiment_parse_definition(json_t *whole, struct error *err)
{
    return parse(whole, false, err);
}
