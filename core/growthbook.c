/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Remote evaluation decides by assign.h as every other way to ask does, and adds what only an SDK
 * can ask for: variations forced by the application or by the address of its page. */
#include "core/growthbook.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/condition_values.h"
#include "core/decider.h"
#include "core/event.h"
#include "core/holdout.h"
#include "core/json.h"
#include "core/payload.h"
#include "core/uplift.h"

/* Text as it is, a number as JavaScript writes it; what else there may be is no id: empty. */
static void write_id(const json_t *value, struct text *out)
{
    bool none = json_is_number(value) && json_number_value(value) == 0;
    if (json_is_string(value) || (json_is_number(value) && !none))
        value_text(value, out);
}

/* --- remote evaluation ---------------------------------------------------------------------- */

struct question {
    json_t *attributes, *forced_variations, *forced_features;
    const char *url;
    struct text customer; /* empty: there is none */
};

static bool read_question(json_t *body, struct question *q, struct error *err)
{
    if (!json_is_object(body))
        return error_set(err, ERROR_INVALID, NULL, "must be an object");
    if (!json_read_object(body, JSON_TOP, "attributes", JSON_OPTIONAL, &q->attributes, err) ||
        !json_read_object(body, JSON_TOP, "forcedVariations", JSON_OPTIONAL, &q->forced_variations,
                          err) ||
        !json_read_array(body, JSON_TOP, "forcedFeatures", JSON_OPTIONAL, 0, 10000,
                         &q->forced_features, err) ||
        !json_read_string(body, JSON_TOP, "url", JSON_OPTIONAL, 0, SIZE_MAX, &q->url, err))
        return false;
    write_id(json_object_get(q->attributes, "id"), &q->customer);
    return q->customer.len <= EVENT_CUSTOMER_MAX ||
           error_set(err, ERROR_INVALID, "attributes.id", "is longer than %d bytes",
                     EVENT_CUSTOMER_MAX);
}

/* The number that the address gives to the experiment, "?KEY=1": as JavaScript's parseInt reads it;
 * -1: none. */
static long variation_in_url(const char *url, const char *key)
{
    const char *at = url ? strchr(url, '?') : NULL;
    size_t len = strlen(key);
    const char *end = at ? at + 1 + strcspn(at + 1, "?#") : NULL;
    while (at && at < end) {
        const char *name = at + 1;
        at = name + strcspn(name, "&");
        at = at < end ? at : end;
        size_t named = strcspn(name, "=&?#");
        if (named != len || strncmp(name, key, len) != 0)
            continue;
        char *stop = NULL;
        long number = name[len] == '=' ? strtol(name + len + 1, &stop, 10) : -1;
        return stop == name + len + 1 ? -1 : number;
    }
    return -1;
}

/* By the address, else by the application, where a number that is no variant's gives the control.
 * For assign_customer. */
static int forced(const void *asked, const struct experiment *experiment)
{
    const struct question *q = asked;
    long count = (long)experiment->variant_count;
    long by_url = variation_in_url(q->url, experiment->key);
    if (by_url >= 0 && by_url < count)
        return (int)by_url;
    json_t *given = json_object_get(q->forced_variations, experiment->key);
    double index = json_number_value(given);
    bool known = index >= 0 && index < (double)count && index == (double)(long)index;
    return given ? (known ? (int)index : 0) : -1;
}

/* What the SDK gives to the application's callback, and its plugin sends to /track. */
static json_t *track_of(const struct question *q, const struct experiment *experiment,
                        struct assignment is)
{
    const struct variant *variant = &experiment->variants[is.variant];
    json_t *rule = payload_bare_rule(experiment);
    return json_pack("{s:o, s:{s:s, s:s, s:s, s:b, s:b, s:i, s:O, s:s, s:s, s:f, s:b}}",
                     "experiment", rule, "result", "key", variant->key, "name", variant->name,
                     "featureId", experiment->key, "inExperiment", 1, "hashUsed", 1, "variationId",
                     is.variant, "value",
                     json_array_get(json_object_get(rule, "variations"), (size_t)is.variant),
                     "hashAttribute", "id", "hashValue", q->customer.ptr, "bucket", is.bucket,
                     "stickyBucketUsed", is.reason == ASSIGN_STICKY);
}

static json_t *feature_of(const struct question *q, const struct experiment *experiment,
                          struct assignment is)
{
    json_t *value = json_deep_copy(experiment->variants[is.variant].value);
    char id[80];
    if (!is.exposes)
        return json_pack("{s:o}", "defaultValue", value);
    if (is.holdout) {
        const struct assignment held = {
            .variant = HOLDOUT_HELD,
            .bucket = bucket_of(slice_of(is.holdout->seed), slice_of(q->customer.ptr))};
        snprintf(id, sizeof id, "holdout:%s", is.holdout->key);
        return json_pack("{s:O, s:[{s:s, s:o, s:[o]}]}", "defaultValue", value, "rules", "id", id,
                         "force", value, "tracks", track_of(q, is.holdout, held));
    }
    snprintf(id, sizeof id, "%s:%d", experiment->key, experiment->phase);
    return json_pack("{s:o, s:[{s:s, s:o, s:[o]}]}", "defaultValue",
                     json_deep_copy(experiment->variants[0].value), "rules", "id", id, "force",
                     value, "tracks", track_of(q, experiment, is));
}

static json_t *decide_all(const struct question *q, const struct decider *decider)
{
    const struct catalog *catalog = decider->catalog;
    json_t *features = json_object(), *pair;
    size_t i;
    for (i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (experiment_decides(experiment))
            json_object_set_new(
                features, experiment->key,
                feature_of(q, experiment, assign_decide(&decider->customer, experiment, NULL)));
    }
    json_array_foreach(q->forced_features, i, pair)
    {
        const char *key = json_string_value(json_array_get(pair, 0));
        json_t *value = json_array_get(pair, 1);
        if (key && value)
            json_object_set_new(features, key, json_pack("{s:O}", "defaultValue", value));
    }
    return features;
}

/* An SDK drops an answer with the date of the one before it. What this customer gets may change
 * without a change of the payload (another forced feature, a withdrawn consent), so the end of the
 * date stands for what is answered. */
static json_t *with_date(const struct catalog *catalog, json_t *features)
{
    const struct payload *payload = catalog_payload(catalog);
    char date[PAYLOAD_DATE_MAX], *written = json_text(features);
    uint64_t said = hash64(written, strlen(written));
    free(written);
    payload_date(payload->at, (said ^ said >> 32) + payload->row, date);
    return json_pack("{s:i, s:s, s:o, s:[], s:{}}", "status", 200, "dateUpdated", date, "features",
                     features, "experiments", "savedGroups");
}

json_t *growthbook_evaluate(struct uplift *uplift, json_t *question, struct error *err)
{
    struct question q = {.url = NULL};
    struct decider decider;
    json_t *answer = NULL;
    text_init(&q.customer, SIZE_MAX / 2);
    bool ok = read_question(question, &q, err);
    if (ok) {
        struct slice id = {q.customer.ptr ? q.customer.ptr : "", q.customer.len};
        ok = decider_begin(&decider, uplift, id, q.attributes, false, err);
        decider.customer.forced = forced;
        decider.customer.asked = &q;
        answer = ok ? with_date(decider.catalog, decide_all(&q, &decider)) : NULL;
        ok = decider_end(&decider, err) && ok;
    }
    text_release(&q.customer);
    if (!ok)
        json_decref(answer);
    return ok ? answer : NULL;
}

/* --- events --------------------------------------------------------------------------------- */

struct batch {
    const struct catalog *catalog;
    const char *prefix;
    json_t *customers; /* by who is said to be there: of the exposures in the body */
    json_t *events, *places;
};

static const json_t *properties_of(const json_t *item)
{
    return json_object_get(item, "properties_json");
}

static bool is_named(const json_t *item, const char *name)
{
    const char *given = json_string_value(json_object_get(item, "event_name"));
    return given && strcmp(given, name) == 0;
}

/* Device and user of an event. The caller frees it with free(). */
static char *visitor_of(const json_t *item)
{
    json_t *pair =
        json_pack("[O?, O?]", json_object_get(item, "device_id"), json_object_get(item, "user_id"));
    char *text = json_text(pair);
    json_decref(pair);
    return text;
}

static void put_id_text(json_t *event, const char *name, const json_t *value)
{
    struct text text;
    text_init(&text, SIZE_MAX / 2);
    write_id(value, &text);
    if (text.len > 0)
        json_object_set_new(event, name, json_stringn(text.ptr, text.len));
    text_release(&text);
}

static json_t *exposure_of(const struct batch *batch, const json_t *item)
{
    const json_t *properties = properties_of(item);
    json_t *event = json_pack("{s:s, s:O*, s:O*}", "type", "exposure", "experiment",
                              json_object_get(properties, "experimentId"), "variant",
                              json_object_get(properties, "variationId"));
    const char *key = json_string_value(json_object_get(event, "experiment"));
    const char *variant = json_string_value(json_object_get(event, "variant"));
    const struct experiment *experiment =
        key ? catalog_experiment(batch->catalog, slice_of(key)) : NULL;
    put_id_text(event, "customer", json_object_get(properties, "hashValue"));
    if (!experiment || !variant || experiment_variant(experiment, slice_of(variant)) < 0)
        return event; /* will be refused, or is of an earlier phase */
    char id[EVENT_ID_MAX];
    snprintf(id, sizeof id, "viewed:%s:%d:%s", key, experiment->phase, variant);
    json_object_set_new(event, "id", json_string(id));
    json_t *attributes = event_attributes(json_object_get(item, "context_json"),
                                          experiment->segments, experiment->segment_count);
    if (attributes)
        json_object_set_new(event, "attributes", attributes);
    return event;
}

static json_t *value_in(const json_t *properties)
{
    json_t *value = json_object_get(properties, "value");
    if (!json_is_number(value))
        value = json_object_get(properties, "revenue");
    return json_is_number(value) ? value : NULL;
}

static json_t *outcome_of(const struct batch *batch, const json_t *item, size_t place)
{
    char id[EVENT_ID_MAX], *visitor = visitor_of(item);
    json_t *customer = json_object_get(batch->customers, visitor);
    free(visitor);
    const char *const given[] = {"device_id", "user_id"};
    for (size_t i = 0; i < 2 && !customer; i++) {
        customer = json_object_get(item, given[i]);
        if (!json_is_string(customer) || json_string_length(customer) == 0)
            customer = NULL;
    }
    snprintf(id, sizeof id, "%s:%zu", batch->prefix, place);
    return json_pack("{s:s, s:O*, s:O*, s:O*, s:s}", "type", "outcome", "name",
                     json_object_get(item, "event_name"), "customer", customer, "value",
                     value_in(properties_of(item)), "id", id);
}

static void find_customers(const struct batch *batch, json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        json_t *unit = json_object_get(properties_of(item), "hashValue");
        if (!is_named(item, "Experiment Viewed") || !unit)
            continue;
        char *visitor = visitor_of(item);
        put_id_text(batch->customers, visitor, unit);
        free(visitor);
    }
}

json_t *growthbook_events(const struct catalog *catalog, json_t *body, const char *prefix,
                          json_t **places, struct error *err)
{
    if (!json_is_array(body) && !json_is_object(body)) {
        error_set(err, ERROR_INVALID, NULL, "must be an array of events");
        return NULL;
    }
    json_t *list = json_is_array(body) ? json_incref(body) : json_pack("[O]", body), *item;
    struct batch batch = {catalog, prefix, json_object(), json_array(), json_array()};
    size_t i;
    find_customers(&batch, list);
    json_array_foreach(list, i, item)
    {
        if (is_named(item, "Feature Evaluated"))
            continue;
        json_array_append_new(batch.events, !json_is_object(item) ? json_incref(item)
                                            : is_named(item, "Experiment Viewed")
                                                ? exposure_of(&batch, item)
                                                : outcome_of(&batch, item, i));
        json_array_append_new(batch.places, json_integer((json_int_t)i));
    }
    json_decref(batch.customers);
    json_decref(list);
    *places = batch.places;
    return batch.events;
}
