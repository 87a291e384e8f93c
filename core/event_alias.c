/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Renames, and the two shapes of a track message. */
#include "core/event_alias.h"

#include <string.h>

#include "core/when.h"

/* The first of these members that is there and not null. */
static json_t *first_of(const json_t *object, const char *const *names)
{
    for (; *names; names++) {
        json_t *value = json_object_get(object, *names);
        if (value && !json_is_null(value))
            return value;
    }
    return NULL;
}

static const char *const customers[] = {"customer", "userId", "targetingKey", "anonymousId", NULL};
static const char *const ids[] = {"id", "messageId", NULL};

/* The time that `timestamp` says by our clock; as it stands where it is none. New reference. */
static json_t *corrected(json_t *timestamp, int64_t skew)
{
    int64_t at = 0;
    if (json_is_string(timestamp) && when_parse(slice_of(json_string_value(timestamp)), &at))
        return json_integer(at + skew);
    at = json_integer_value(timestamp);
    if (json_is_integer(timestamp) && at >= WHEN_MIN && at <= WHEN_MAX)
        return json_integer(at + skew);
    return json_incref(timestamp);
}

/* Id, customer and time into `to`. */
static void put_common(json_t *to, const json_t *event, int64_t skew)
{
    json_t *id = first_of(event, ids), *customer = first_of(event, customers);
    json_t *at = json_object_get(event, "at"), *timestamp = json_object_get(event, "timestamp");
    if (id)
        json_object_set(to, "id", id);
    if (customer)
        json_object_set(to, "customer", customer);
    if (at && !json_is_null(at))
        json_object_set(to, "at", at);
    else if (timestamp && !json_is_null(timestamp))
        json_object_set_new(to, "at", corrected(timestamp, skew));
}

static json_t *from_track(const json_t *event, int64_t skew)
{
    static const char *const experiments[] = {"experiment_id", "experimentId", "experiment", NULL};
    static const char *const variants[] = {"variation_id", "variationId", "variant", NULL};
    static const char *const values[] = {"value", "revenue", NULL};
    json_t *name = json_object_get(event, "event");
    const json_t *properties = json_object_get(event, "properties");
    const char *text = json_string_value(name);
    json_t *made = json_object();
    bool viewed = text && strcmp(text, "Experiment Viewed") == 0;
    json_object_set_new(made, "type", json_string(viewed ? "exposure" : "outcome"));
    put_common(made, event, skew);
    const struct {
        const char *name;
        json_t *value;
    } parts[] = {{"experiment", viewed ? first_of(properties, experiments) : NULL},
                 {"variant", viewed ? first_of(properties, variants) : NULL},
                 {"name", viewed ? NULL : name},
                 {"value", viewed ? NULL : first_of(properties, values)}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].value)
            json_object_set(made, parts[i].name, parts[i].value);
    return made;
}

/* One of ours with members of other names. */
static json_t *renamed(json_t *event, int64_t skew)
{
    static const char *const others[] = {"messageId",    "userId",    "anonymousId",
                                         "targetingKey", "timestamp", NULL};
    if (!first_of(event, others))
        return json_incref(event);
    json_t *made = json_copy(event);
    for (const char *const *name = others; *name; name++)
        json_object_del(made, *name);
    put_common(made, event, skew);
    return made;
}

json_t *event_unalias(json_t *event, int64_t skew)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    if (!json_is_object(event))
        return json_incref(event);
    return type && strcmp(type, "track") == 0 ? from_track(event, skew) : renamed(event, skew);
}
