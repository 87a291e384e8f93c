/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading events: one table of fields a type, so that a field of another type is refused by name.
 */
#include "core/event.h"

#include <math.h>
#include <stdlib.h>

#include "core/when.h"

static const char *const type_words[] = {"exposure", "outcome", "feedback", NULL};

/* The first is only for what comes out of an export: nobody else tells us when we received it. */
static const char *const fields[][15] = {
    {"received", "id", "type", "customer", "at", "channel", "experiment", "variant", "attributes",
     NULL},
    {"received", "id", "type", "customer", "at", "channel", "name", "value", NULL},
    {"received", "id", "type", "customer", "at", "channel", "survey", "score", "comment", "stage",
     NULL},
};

static bool read_text(json_t *json, const char *name, enum json_need need, size_t least,
                      size_t most, struct slice *out, struct error *err)
{
    const char *text = NULL;
    if (!json_read_string(json, JSON_TOP, name, need, least, most, &text, err))
        return false;
    *out = text ? slice_of(text) : (struct slice){"", 0};
    return true;
}

static bool read_common(json_t *json, int64_t now, struct event *event, struct error *err)
{
    int64_t at = -1;
    if (!read_text(json, "id", JSON_OPTIONAL, 1, EVENT_ID_MAX, &event->id, err) ||
        !read_text(json, "customer", JSON_REQUIRED, 1, EVENT_CUSTOMER_MAX, &event->customer, err) ||
        !read_text(json, "channel", JSON_OPTIONAL, 0, EVENT_NAME_MAX, &event->channel, err) ||
        !json_read_time(json, JSON_TOP, "at", JSON_OPTIONAL, &at, err))
        return false;
    if (at > now + EVENT_AHEAD_MAX)
        return error_set(err, ERROR_INVALID, "at", "is more than a day in the future");
    event->timed = at >= 0;
    event->at = event->timed ? at : now;
    event->received = now;
    return true;
}

json_t *event_attributes(json_t *all, const char *const *named, size_t count)
{
    if (!json_is_object(all))
        return NULL;
    char *written = json_text(all);
    bool fits = strlen(written) <= EVENT_ATTRIBUTES_MAX;
    free(written);
    if (fits)
        return json_incref(all);
    json_t *some = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(all, named[i]);
        if (value)
            json_object_set(some, named[i], value);
    }
    return some;
}

static bool read_exposure(json_t *json, struct arena *arena, struct event *event, struct error *err)
{
    json_t *attributes = NULL;
    if (!read_text(json, "experiment", JSON_REQUIRED, 1, 64, &event->name, err) ||
        !read_text(json, "variant", JSON_REQUIRED, 1, 64, &event->variant, err) ||
        !json_read_object(json, JSON_TOP, "attributes", JSON_OPTIONAL, &attributes, err))
        return false;
    if (!attributes || json_object_size(attributes) == 0)
        return true;
    char *written = json_text(attributes);
    size_t len = strlen(written);
    if (len <= EVENT_ATTRIBUTES_MAX)
        event->attributes = arena_slice(arena, (struct slice){written, len});
    free(written);
    return len <= EVENT_ATTRIBUTES_MAX ||
           error_set(err, ERROR_INVALID, "attributes", "are longer than %d bytes",
                     EVENT_ATTRIBUTES_MAX);
}

static bool read_outcome(json_t *json, struct event *event, struct error *err)
{
    event->value = 1;
    event->has_value =
        !json_is_null(json_object_get(json, "value")) && json_object_get(json, "value") != NULL;
    return read_text(json, "name", JSON_REQUIRED, 1, EVENT_NAME_MAX, &event->name, err) &&
           json_read_number(json, JSON_TOP, "value", JSON_OPTIONAL, -EVENT_VALUE_MAX,
                            EVENT_VALUE_MAX, &event->value, err);
}

static bool read_feedback(json_t *json, struct event *event, struct error *err)
{
    int64_t score = 0;
    if (!read_text(json, "survey", JSON_REQUIRED, 1, EVENT_NAME_MAX, &event->name, err) ||
        !read_text(json, "comment", JSON_OPTIONAL, 0, EVENT_COMMENT_MAX, &event->comment, err) ||
        !read_text(json, "stage", JSON_OPTIONAL, 0, EVENT_NAME_MAX, &event->stage, err))
        return false;
    bool csat = slice_is(event->name, "csat"), ces = slice_is(event->name, "ces");
    if (!json_read_integer(json, JSON_TOP, "score", JSON_REQUIRED, csat || ces ? 1 : 0,
                           csat  ? 5
                           : ces ? 7
                                 : 10,
                           &score, err))
        return false;
    event->value = (double)score;
    event->has_value = true;
    return true;
}

/* Copies all texts into one piece of the arena; those of attributes lie there already. */
static void keep(struct event *event, struct arena *arena)
{
    struct slice *texts[] = {&event->id,      &event->customer, &event->name,   &event->variant,
                             &event->comment, &event->stage,    &event->channel};
    size_t count = sizeof texts / sizeof *texts, len = 0;
    for (size_t i = 0; i < count; i++)
        len += texts[i]->len;
    char *at = arena_alloc(arena, len);
    for (size_t i = 0; i < count; i++) {
        if (texts[i]->len)
            memcpy(at, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = at;
        at += texts[i]->len;
    }
}

static bool parse(json_t *json, bool exported, int64_t now, struct arena *arena,
                  struct event *event, struct error *err)
{
    struct event read = {0};
    int type = 0;
    if (!json_is_object(json))
        return error_set(err, ERROR_INVALID, NULL, "must be an object");
    if (!json_read_word(json, JSON_TOP, "type", JSON_REQUIRED, type_words, &type, err) ||
        !json_check_fields(json, JSON_TOP, &fields[type][exported ? 0 : 1], err) ||
        !read_common(json, now, &read, err))
        return false;
    read.type = (enum event_type)(type + 1);
    bool ok = read.type == EVENT_EXPOSURE  ? read_exposure(json, arena, &read, err)
              : read.type == EVENT_OUTCOME ? read_outcome(json, &read, err)
                                           : read_feedback(json, &read, err);
    if (ok) {
        keep(&read, arena);
        *event = read;
    }
    return ok;
}

bool event_parse(json_t *json, int64_t now, struct arena *arena, struct event *event,
                 struct error *err)
{
    return parse(json, false, now, arena, event, err);
}

bool event_parse_exported(json_t *json, int64_t now, struct arena *arena, struct event *event,
                          struct error *err)
{
    int64_t received = now;
    if (json_is_object(json) &&
        !json_read_time(json, JSON_TOP, "received", JSON_OPTIONAL, &received, err))
        return false;
    if (received > now + EVENT_AHEAD_MAX)
        return error_set(err, ERROR_INVALID, "received", "is more than a day in the future");
    if (!parse(json, true, received, arena, event, err))
        return false;
    event->told = json_object_get(json, "received") != NULL;
    return true;
}

static void put_text(json_t *json, const char *name, struct slice text)
{
    if (text.len)
        json_object_set_new(json, name, json_stringn(text.ptr, text.len));
}

json_t *event_json(const struct event *event)
{
    json_t *json = json_object();
    put_text(json, "id", event->id);
    json_object_set_new(json, "type", json_string(type_words[event->type - 1]));
    put_text(json, "customer", event->customer);
    if (event->type == EVENT_EXPOSURE) {
        put_text(json, "experiment", event->name);
        put_text(json, "variant", event->variant);
        if (event->attributes.len)
            json_object_set_new(json, "attributes",
                                json_loadb(event->attributes.ptr, event->attributes.len, 0, NULL));
    } else {
        bool outcome = event->type == EVENT_OUTCOME;
        put_text(json, outcome ? "name" : "survey", event->name);
        if (event->has_value)
            json_object_set_new(json, outcome ? "value" : "score", json_figure(event->value));
        put_text(json, "comment", event->comment);
        put_text(json, "stage", event->stage);
    }
    json_object_set_new(json, "at", json_when(event->at));
    put_text(json, "channel", event->channel);
    return json;
}
