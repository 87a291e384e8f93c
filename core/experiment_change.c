/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of an experiment. Each one edits a copy of the whole JSON and parses that, so that a
 * change is validated as a new definition is; what may not change is then found by comparing the
 * JSON of both, which the parser has written in one form. */
#include "core/experiment_change.h"

#include <stdlib.h>

#include "core/experiment_parse.h"
#include "core/json.h"

static const char *const step_words[] = {"start", "pause",   "resume",
                                         "stop",  "archive", "new-phase"};
enum { STEPS = sizeof step_words / sizeof *step_words };

const char *experiment_step_word(enum experiment_step step)
{
    return step_words[step];
}

bool experiment_step_parse(struct slice word, enum experiment_step *out)
{
    for (int i = 0; i < STEPS; i++) {
        if (slice_is(word, step_words[i])) {
            *out = (enum experiment_step)i;
            return true;
        }
    }
    return false;
}

/* --- parts of both --- */

/* RFC 7396: a new value, target changed by the patch. */
static json_t *merge_patch(const json_t *target, const json_t *patch)
{
    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *merged = json_is_object(target) ? json_copy((json_t *)target) : json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)patch, name, value)
    {
        if (json_is_null(value))
            json_object_del(merged, name);
        else
            experiment_set(merged, name, merge_patch(json_object_get(merged, name), value));
    }
    return merged;
}

static void set_state(json_t *whole, enum experiment_state state)
{
    experiment_set(whole, "state", json_string(experiment_state_word(state)));
}

/* Opens an epoch at `now` with what the experiment now has; false where that lies before the epoch
 * in force. */
static bool open_epoch(json_t *whole, const struct experiment *next, int64_t now, struct error *err)
{
    size_t count = next->epoch_count;
    if (count > 0 && now < next->epochs[count - 1].started_at)
        return error_set(err, ERROR_CONFLICT, "epochs",
                         "the time of the change lies before the start of the epoch in force");
    if (count == EXPERIMENT_EPOCHS_MAX)
        return error_set(err, ERROR_CONFLICT, "epochs", "there are %d already",
                         EXPERIMENT_EPOCHS_MAX);
    json_t *weights = json_array(), *epoch = json_object();
    for (size_t i = 0; i < next->variant_count; i++)
        json_array_append_new(weights, json_figure(next->variants[i].weight));
    experiment_set(epoch, "phase", json_integer(next->phase));
    experiment_set(epoch, "started_at", json_when(now));
    experiment_set(epoch, "traffic", json_figure(next->traffic));
    experiment_set(epoch, "weights", weights);
    experiment_set(epoch, "seed", json_string(next->seed));
    json_t *epochs = json_copy(json_object_get(whole, "epochs"));
    json_array_append_new(epochs, epoch);
    experiment_set(whole, "epochs", epochs);
    return true;
}

/* The whole as it is parsed with one epoch more, of what it says itself. */
static struct experiment *with_epoch(json_t *whole, struct experiment *next, int64_t now,
                                     struct error *err)
{
    struct experiment *opened = NULL;
    if (open_epoch(whole, next, now, err))
        opened = experiment_parse(whole, err);
    experiment_unref(&next);
    return opened;
}

/* The fields that the client gave in place of those of the present definition (which of them are
 * left out fall back to their defaults), the server's fields as they are, one version on. */
static json_t *amended(const struct experiment *e, json_t *input)
{
    json_t *whole = experiment_whole(e);
    for (const char *const *name = experiment_definition_fields; *name; name++) {
        json_t *value = json_object_get(input, *name);
        if (value)
            experiment_set(whole, *name, json_incref(value));
        else if (strcmp(*name, "key") != 0)
            json_object_del(whole, *name);
    }
    experiment_set(whole, "version", json_integer(e->version + 1));
    return whole;
}

static bool key_kept(const struct experiment *e, const struct experiment *next, struct error *err)
{
    return strcmp(e->key, next->key) == 0 ||
           error_set(err, ERROR_CONFLICT, "key", "cannot be changed (it is \"%s\")", e->key);
}

/* --- amending --- */

static bool frozen(const char *place, struct error *err)
{
    return error_set(err, ERROR_CONFLICT, place,
                     "changing it in a started experiment asks for a new phase");
}

static bool same_member(const json_t *a, const json_t *b, const char *name)
{
    const json_t *x = json_object_get(a, name), *y = json_object_get(b, name);
    return x && y ? json_equal(x, y) : x == y;
}

/* Elsewhere customers would move from one variant to another. */
static bool weight_may_change(const struct experiment *e, const struct experiment *next)
{
    return next->sticky && e->state != EXPERIMENT_STOPPED;
}

static bool weights_frozen(const struct experiment *e, const char *place, struct error *err)
{
    if (e->state == EXPERIMENT_STOPPED)
        return error_set(err, ERROR_CONFLICT, place, "cannot change: the experiment is stopped");
    return error_set(err, ERROR_CONFLICT, place,
                     "changing it in a started experiment that is not sticky asks for a new phase");
}

/* Names the field of the variant that changed, where the variants are still the same ones. */
static bool variants_kept(const struct experiment *e, const struct experiment *next,
                          struct error *err)
{
    static const char *const fields[] = {"key", "name", "weight", "value", "levels"};
    const json_t *before = json_object_get(e->json, "variants");
    const json_t *after = json_object_get(next->json, "variants");
    if (json_equal(before, after))
        return true;
    if (e->variant_count != next->variant_count)
        return frozen("variants", err);
    for (size_t i = 0; i < e->variant_count; i++) {
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
            bool weight = strcmp(fields[f], "weight") == 0;
            if (same_member(json_array_get(before, i), json_array_get(after, i), fields[f]) ||
                (weight && weight_may_change(e, next)))
                continue;
            char place[64];
            snprintf(place, sizeof place, "variants[%zu].%s", i, fields[f]);
            return weight ? weights_frozen(e, place, err) : frozen(place, err);
        }
    }
    return true;
}

static bool traffic_kept(const struct experiment *e, const struct experiment *next,
                         struct error *err)
{
    if (next->traffic == e->traffic)
        return true;
    if (next->traffic < e->traffic)
        return error_set(err, ERROR_CONFLICT, "traffic",
                         "may only grow in a started experiment (it is %g): less asks for a new "
                         "phase",
                         e->traffic);
    return e->state != EXPERIMENT_STOPPED ||
           error_set(err, ERROR_CONFLICT, "traffic", "cannot change: the experiment is stopped");
}

/* Whether a started experiment may become `next`. */
static bool started_may(const struct experiment *e, const struct experiment *next,
                        struct error *err)
{
    static const char *const fields[] = {
        "audience", "layer",         "seed",    "factors",
        "design",   "prerequisites", "holdout", "evaluation_is_exposure"};
    static const char *const roles[] = {"primary", "guardrail"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!same_member(e->json, next->json, fields[i]))
            return frozen(fields[i], err);
    }
    const json_t *before = json_object_get(e->json, "metrics");
    const json_t *after = json_object_get(next->json, "metrics");
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (!same_member(before, after, roles[i]))
            return frozen(i == 0 ? "metrics.primary" : "metrics.guardrail", err);
    }
    if (e->sticky && !next->sticky)
        return frozen("sticky", err);
    return variants_kept(e, next, err) && traffic_kept(e, next, err);
}

/* Whether other customers are let in, or to other shares. */
static bool lets_in_otherwise(const struct experiment *e, const struct experiment *next)
{
    bool same = next->traffic == e->traffic && next->variant_count == e->variant_count;
    for (size_t i = 0; same && i < e->variant_count; i++)
        same = next->variants[i].weight == e->variants[i].weight;
    return !same;
}

static bool may_become(const struct experiment *e, const struct experiment *next, struct error *err)
{
    if (!key_kept(e, next, err))
        return false;
    if (e->state == EXPERIMENT_ARCHIVED)
        return error_set(err, ERROR_CONFLICT, NULL, "an archived experiment does not change");
    return e->state == EXPERIMENT_DRAFT || started_may(e, next, err);
}

struct experiment *experiment_amend(const struct experiment *e, json_t *input, int64_t now,
                                    struct error *err)
{
    if (!experiment_check_input(input, err) ||
        !json_check_same(input, e->json, experiment_server_fields, err))
        return NULL;
    json_t *whole = amended(e, input);
    /* Compared before the epochs are read, which must fit the variants: a variant more is then
     * refused for what it is. */
    struct experiment *wanted = experiment_parse_definition(whole, err), *next = NULL;
    if (wanted && may_become(e, wanted, err))
        next = experiment_parse(whole, err);
    experiment_unref(&wanted);
    if (next && e->state != EXPERIMENT_DRAFT && lets_in_otherwise(e, next))
        next = with_epoch(whole, next, now, err);
    json_decref(whole);
    return next;
}

struct experiment *experiment_patch(const struct experiment *e, json_t *patch, int64_t now,
                                    struct error *err)
{
    /* The patch itself is checked: in what it is merged into, a null has already vanished. */
    if (!experiment_check_input(patch, err) ||
        !json_check_same(patch, e->json, experiment_server_fields, err))
        return NULL;
    json_t *input = merge_patch(e->json, patch);
    struct experiment *next = experiment_amend(e, input, now, err);
    json_decref(input);
    return next;
}

/* --- steps --- */

static bool no_options(json_t *options, struct error *err)
{
    static const char *const none[] = {NULL};
    return !options || json_is_null(options) || json_check_fields(options, JSON_TOP, none, err);
}

static bool from_states(const struct experiment *e, enum experiment_step step,
                        enum experiment_state one, enum experiment_state other, struct error *err)
{
    if (e->state == one || e->state == other)
        return true;
    const char *words = experiment_state_word(one);
    if (one == other)
        return error_set(err, ERROR_CONFLICT, "state", "must be %s for %s, but it is %s", words,
                         step_words[step], experiment_state_word(e->state));
    return error_set(err, ERROR_CONFLICT, "state", "must be %s or %s for %s, but it is %s", words,
                     experiment_state_word(other), step_words[step],
                     experiment_state_word(e->state));
}

static bool allowed(const struct experiment *e, enum experiment_step step, struct error *err)
{
    switch (step) {
    case STEP_START:
        return from_states(e, step, EXPERIMENT_DRAFT, EXPERIMENT_DRAFT, err);
    case STEP_PAUSE:
        return from_states(e, step, EXPERIMENT_RUNNING, EXPERIMENT_RUNNING, err);
    case STEP_RESUME:
        return from_states(e, step, EXPERIMENT_PAUSED, EXPERIMENT_PAUSED, err);
    case STEP_STOP:
    case STEP_NEW_PHASE:
        return from_states(e, step, EXPERIMENT_RUNNING, EXPERIMENT_PAUSED, err);
    case STEP_ARCHIVE:
        return from_states(e, step, EXPERIMENT_STOPPED, EXPERIMENT_STOPPED, err);
    }
    return error_set(err, ERROR_INVALID, "step", "is none");
}

/* Who is held out must stay so, or experiments would meet them halfway. */
static bool holdout_may(const struct experiment *e, enum experiment_step step, struct error *err)
{
    return !e->holdout || (step != STEP_PAUSE && step != STEP_NEW_PHASE) ||
           error_set(err, ERROR_CONFLICT, "holdout", "has no %s: stop it, and make another one",
                     step == STEP_PAUSE ? "pause" : "new phase");
}

static struct experiment *start(const struct experiment *e, json_t *whole, int64_t now,
                                struct error *err)
{
    set_state(whole, EXPERIMENT_RUNNING);
    experiment_set(whole, "started_at", json_when(now));
    return open_epoch(whole, e, now, err) ? experiment_parse(whole, err) : NULL;
}

static struct experiment *stop(const struct experiment *e, json_t *whole, json_t *options,
                               int64_t now, struct error *err)
{
    static const char *const fields[] = {"winner", "reason", NULL};
    const char *reason = NULL;
    if (options && !json_is_null(options) &&
        (!json_check_fields(options, JSON_TOP, fields, err) ||
         !json_read_string(options, JSON_TOP, "reason", JSON_OPTIONAL, 1, EXPERIMENT_REASON_MAX,
                           &reason, err)))
        return NULL;
    if (now < e->epochs[e->epoch_count - 1].started_at) {
        error_set(err, ERROR_CONFLICT, "stopped_at",
                  "would lie before the start of the last epoch");
        return NULL;
    }
    json_t *winner = json_object_get(options, "winner");
    experiment_set(whole, "winner", winner ? json_incref(winner) : json_null());
    experiment_set(whole, "stop_reason", reason ? json_string(reason) : json_null());
    experiment_set(whole, "stopped_at", json_when(now));
    set_state(whole, EXPERIMENT_STOPPED);
    return experiment_parse(whole, err);
}

/* The whole becomes that of the next phase, without its first epoch: the present definition joins
 * the past, the patch is merged in, the seed is a fresh one unless the patch names one. */
static void turn_phase(const struct experiment *e, json_t *whole, json_t *patch)
{
    json_t *then = json_copy(e->json);
    experiment_set(then, "epochs", json_array());
    experiment_set(then, "number", json_integer(e->number));
    json_t *past = json_object_get(whole, "past");
    past = past ? json_copy(past) : json_array();
    json_array_append_new(past, then);
    json_t *input = json_is_object(patch) ? merge_patch(e->json, patch) : json_copy(e->json);
    for (const char *const *name = experiment_definition_fields; *name; name++) {
        json_t *value = json_object_get(input, *name);
        if (value)
            experiment_set(whole, *name, json_incref(value));
        else
            json_object_del(whole, *name);
    }
    json_decref(input);
    if (!json_object_get(patch, "seed"))
        json_object_del(whole, "seed");
    experiment_set(whole, "past", past);
    experiment_set(whole, "phase", json_integer(e->phase + 1));
}

static struct experiment *new_phase(const struct experiment *e, json_t *whole, json_t *patch,
                                    int64_t now, struct error *err)
{
    if (patch && !json_is_null(patch) &&
        (!experiment_check_input(patch, err) ||
         !json_check_same(patch, e->json, experiment_server_fields, err)))
        return NULL;
    if (e->phase == EXPERIMENT_PHASES_MAX) {
        error_set(err, ERROR_CONFLICT, "phase", "there are %d already", EXPERIMENT_PHASES_MAX);
        return NULL;
    }
    turn_phase(e, whole, patch);
    struct experiment *next = experiment_parse(whole, err);
    if (next && !key_kept(e, next, err))
        experiment_unref(&next);
    return next ? with_epoch(whole, next, now, err) : NULL;
}

struct experiment *experiment_step(const struct experiment *e, enum experiment_step step,
                                   json_t *options, int64_t now, struct error *err)
{
    if (!allowed(e, step, err) || !holdout_may(e, step, err) ||
        (step != STEP_STOP && step != STEP_NEW_PHASE && !no_options(options, err)))
        return NULL;
    json_t *whole = experiment_whole(e);
    experiment_set(whole, "version", json_integer(e->version + 1));
    struct experiment *next = NULL;
    if (step == STEP_START)
        next = start(e, whole, now, err);
    else if (step == STEP_STOP)
        next = stop(e, whole, options, now, err);
    else if (step == STEP_NEW_PHASE)
        next = new_phase(e, whole, options, now, err);
    else {
        set_state(whole, step == STEP_PAUSE    ? EXPERIMENT_PAUSED
                         : step == STEP_RESUME ? EXPERIMENT_RUNNING
                                               : EXPERIMENT_ARCHIVED);
        next = experiment_parse(whole, err);
    }
    json_decref(whole);
    return next;
}

struct experiment *experiment_with_limits(const struct experiment *e, json_t *limits,
                                          struct error *err)
{
    json_t *whole = experiment_whole(e);
    experiment_set(whole, "limits", json_incref(limits));
    struct experiment *next = experiment_parse(whole, err);
    json_decref(whole);
    return next;
}

/* --- comparing two --- */

bool experiment_holds_layer(const struct experiment *experiment)
{
    return experiment->layer_key &&
           (experiment->state == EXPERIMENT_RUNNING || experiment->state == EXPERIMENT_PAUSED);
}

bool experiment_layers_overlap(const struct experiment *a, const struct experiment *b)
{
    if (!a->layer_key || !b->layer_key || strcmp(a->layer_key, b->layer_key) != 0)
        return false;
    return a->layer_range[0] < b->layer_range[1] && b->layer_range[0] < a->layer_range[1];
}

bool experiment_counts_differently(const struct experiment *a, const struct experiment *b)
{
    return b->state != EXPERIMENT_DRAFT && a->phase == b->phase &&
           (!same_member(a->json, b->json, "metrics") ||
            !same_member(a->json, b->json, "segments"));
}
