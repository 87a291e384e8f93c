/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From experiments to features. A feature is made of parts, each of which is added where there is
 * something to say. */
#include "core/payload.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/holdout.h"
#include "core/json.h"
#include "core/when.h"

/* --- rules ---------------------------------------------------------------------------------- */

static json_t *value_of(const struct experiment *experiment, int variant)
{
    return json_deep_copy(experiment->variants[variant].value);
}

static void put_condition(json_t *rule, const struct experiment *experiment)
{
    if (experiment->audience)
        json_object_set_new(
            rule, "condition",
            json_deep_copy(json_object_get(experiment_json(experiment), "audience")));
}

static void put_filters(json_t *rule, const struct experiment *experiment)
{
    if (experiment->layer_key)
        json_object_set_new(rule, "filters",
                            json_pack("[{s:s, s:s, s:i, s:[[f,f]]}]", "attribute", "id", "seed",
                                      experiment->layer_key, "hashVersion", 2, "ranges",
                                      experiment->layer_range[0], experiment->layer_range[1]));
}

/* Values are compared as SDKs do: of objects the text, which is that of the feature's own value. */
static json_t *value_condition(const struct catalog *catalog, const struct prerequisite *needed)
{
    const struct experiment *parent = catalog_experiment(catalog, slice_of(needed->experiment));
    json_t *any = json_array();
    for (size_t i = 0; parent && i < needed->variant_count; i++) {
        int variant = experiment_variant(parent, slice_of(needed->variants[i]));
        json_t *value = variant < 0 ? NULL : value_of(parent, variant);
        if (value)
            json_array_append_new(any, json_is_object(value)
                                           ? json_pack("{s:o}", "value", value)
                                           : json_pack("{s:{s:o}}", "value", "$eq", value));
    }
    /* An empty $or holds. */
    if (json_array_size(any) == 0)
        json_array_append_new(any, json_pack("{s:{s:[]}}", "value", "$in"));
    return json_pack("{s:o}", "$or", any);
}

static void put_parents(json_t *rule, const struct catalog *catalog,
                        const struct experiment *experiment)
{
    if (experiment->prerequisite_count == 0)
        return;
    json_t *parents = json_array();
    for (size_t i = 0; i < experiment->prerequisite_count; i++) {
        const struct prerequisite *needed = &experiment->prerequisites[i];
        json_array_append_new(parents, json_pack("{s:s, s:o}", "id", needed->experiment,
                                                 "condition", value_condition(catalog, needed)));
    }
    json_object_set_new(rule, "parentConditions", parents);
}

json_t *payload_bare_rule(const struct experiment *experiment)
{
    double weights[EXPERIMENT_VARIANTS_MAX];
    char phase[8];
    json_t *values = json_array(), *shares = json_array(), *meta = json_array();
    experiment_weights(experiment, weights);
    for (size_t i = 0; i < experiment->variant_count; i++) {
        const struct variant *variant = &experiment->variants[i];
        json_array_append_new(values, value_of(experiment, (int)i));
        json_array_append_new(shares, json_real(weights[i]));
        json_array_append_new(meta,
                              json_pack("{s:s, s:s}", "key", variant->key, "name", variant->name));
    }
    snprintf(phase, sizeof phase, "%d", experiment->phase);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:f, s:o, s:o, s:o}", "key", experiment->key,
                     "name", experiment->name, "phase", phase, "seed", experiment->seed,
                     "hashAttribute", "id", "hashVersion", 2, "coverage", experiment->traffic,
                     "weights", shares, "variations", values, "meta", meta);
}

/* An SDK may have a sticky bucket service: it is to stick where the server does, in this phase. */
static void put_sticky(json_t *rule, const struct experiment *experiment)
{
    if (experiment->sticky)
        json_object_set_new(rule, "bucketVersion", json_integer(experiment->phase));
    else
        json_object_set_new(rule, "disableStickyBucketing", json_true());
}

/* Takes over `condition`, which may be NULL. */
static json_t *force_rule(const struct experiment *experiment, const char *what, int variant,
                          json_t *condition)
{
    char id[160];
    snprintf(id, sizeof id, "%s:%s:%s", experiment->key, what, experiment->variants[variant].key);
    return json_pack("{s:s, s:o*, s:o}", "id", id, "condition", condition, "force",
                     value_of(experiment, variant));
}

static void add_overrides(json_t *rules, const struct experiment *experiment)
{
    json_t *overrides = (json_t *)(uintptr_t)experiment_overrides(experiment), *given;
    const char *customer;
    for (size_t i = 0; overrides && i < experiment->variant_count; i++) {
        json_t *customers = json_array();
        json_object_foreach(
            overrides, customer,
            given) if (strcmp(json_string_value(given), experiment->variants[i].key) == 0)
            json_array_append_new(customers, json_string(customer));
        if (json_array_size(customers) > 0)
            json_array_append_new(rules,
                                  force_rule(experiment, "override", (int)i,
                                             json_pack("{s:{s:O}}", "id", "$in", customers)));
        json_decref(customers);
    }
}

/* --- holdouts ------------------------------------------------------------------------------- */

static json_t *filter(const char *seed, json_t *ranges)
{
    return json_pack("{s:s, s:s, s:i, s:o}", "attribute", "id", "seed", seed, "hashVersion", 2,
                     "ranges", ranges);
}

/* Of whoever is held out. */
static json_t *held_filter(const struct experiment *holdout)
{
    const struct range held = holdout->ranges[HOLDOUT_HELD];
    return json_pack("[o]", filter(holdout->seed, json_pack("[[f,f]]", held.from, held.to)));
}

/* Of whoever the experiment's traffic lets in. */
static json_t *traffic_filter(const struct experiment *experiment)
{
    json_t *ranges = json_array();
    for (size_t i = 0; i < experiment->variant_count; i++)
        json_array_append_new(
            ranges, json_pack("[f,f]", experiment->ranges[i].from, experiment->ranges[i].to));
    return filter(experiment->seed, ranges);
}

static json_t *held_rule(const struct experiment *experiment, const struct experiment *holdout)
{
    json_t *rule = force_rule(experiment, holdout->key, 0, NULL);
    json_object_set_new(rule, "filters", held_filter(holdout));
    return rule;
}

static json_t *tracked_rule(const struct experiment *experiment, const struct experiment *holdout)
{
    char id[160];
    json_t *rule = payload_bare_rule(holdout), *filters;
    snprintf(id, sizeof id, "%s:%s", experiment->key, holdout->key);
    json_object_set_new(rule, "id", json_string(id));
    json_object_set_new(rule, "variations",
                        json_pack("[o, o]", value_of(experiment, 0), value_of(experiment, 0)));
    json_object_set_new(json_array_get(json_object_get(rule, "meta"), HOLDOUT_OPEN), "passthrough",
                        json_true());
    put_sticky(rule, holdout);
    put_filters(rule, experiment);
    put_condition(rule, experiment);
    filters = json_object_get(rule, "filters");
    if (!filters)
        json_object_set_new(rule, "filters", filters = json_array());
    json_array_append_new(filters, traffic_filter(experiment));
    return rule;
}

static void add_holdouts(json_t *rules, const struct catalog *catalog,
                         const struct experiment *experiment)
{
    size_t at = 0;
    const struct experiment *holdout;
    while ((holdout = holdout_next(catalog, experiment, &at)))
        json_array_append_new(rules,
                              experiment->state == EXPERIMENT_RUNNING && holdout_counts(experiment)
                                  ? tracked_rule(experiment, holdout)
                                  : held_rule(experiment, holdout));
}

static json_t *holdout_feature(const struct experiment *holdout)
{
    int variant = holdout->winner >= 0 ? holdout->winner : HOLDOUT_OPEN;
    if (holdout->state != EXPERIMENT_RUNNING)
        return json_pack("{s:o}", "defaultValue", value_of(holdout, variant));
    return json_pack("{s:o, s:[o]}", "defaultValue", value_of(holdout, HOLDOUT_OPEN), "rules",
                     held_rule(holdout, holdout));
}

/* --- features ------------------------------------------------------------------------------- */

static json_t *running_rules(const struct catalog *catalog, const struct experiment *experiment)
{
    json_t *rules = json_array(), *rule = payload_bare_rule(experiment);
    char id[80];
    snprintf(id, sizeof id, "%s:%d", experiment->key, experiment->phase);
    json_object_set_new(rule, "id", json_string(id));
    put_sticky(rule, experiment);
    put_parents(rule, catalog, experiment);
    put_filters(rule, experiment);
    put_condition(rule, experiment);
    add_overrides(rules, experiment);
    add_holdouts(rules, catalog, experiment);
    json_array_append_new(rules, rule);
    return rules;
}

static json_t *stopped_feature(const struct catalog *catalog, const struct experiment *experiment)
{
    int winner = experiment->winner;
    json_t *rules = json_array();
    add_holdouts(rules, catalog, experiment);
    bool all =
        json_array_size(rules) == 0 && !experiment->audience && experiment->prerequisite_count == 0;
    if (winner < 0 || all) {
        json_decref(rules);
        return json_pack("{s:o}", "defaultValue", value_of(experiment, winner < 0 ? 0 : winner));
    }
    json_t *rule = force_rule(experiment, "winner", winner, NULL);
    put_parents(rule, catalog, experiment);
    put_condition(rule, experiment);
    json_array_append_new(rules, rule);
    return json_pack("{s:o, s:o}", "defaultValue", value_of(experiment, 0), "rules", rules);
}

json_t *payload_feature(const struct catalog *catalog, const struct experiment *experiment)
{
    if (experiment->holdout)
        return holdout_feature(experiment);
    if (experiment->state == EXPERIMENT_STOPPED)
        return stopped_feature(catalog, experiment);
    json_t *feature = json_pack("{s:o}", "defaultValue", value_of(experiment, 0));
    if (experiment->state == EXPERIMENT_RUNNING)
        json_object_set_new(feature, "rules", running_rules(catalog, experiment));
    return feature;
}

/* --- the document --------------------------------------------------------------------------- */

const char *payload_date(int64_t at, uint64_t part, char out[PAYLOAD_DATE_MAX])
{
    char second[WHEN_TEXT_MAX];
    when_format(at - at % WHEN_SECOND, second);
    second[strlen(second) - 1] = '\0'; /* the Z */
    snprintf(out, PAYLOAD_DATE_MAX, "%s.%03d%06dZ", second, (int)(at % WHEN_SECOND),
             (int)(part % 1000000));
    return out;
}

static void write_features(const struct catalog *catalog, struct text *out)
{
    const char *between = "";
    text_puts(out, "\"features\":{");
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (!experiment_decides(experiment))
            continue;
        json_t *feature = payload_feature(catalog, experiment);
        char *written = json_text(feature);
        text_printf(out, "%s\"%s\":", between, experiment->key);
        text_puts(out, written);
        free(written);
        json_decref(feature);
        between = ",";
    }
    text_puts(out, "},\"experiments\":[],\"savedGroups\":{}}");
}

static void write_head(int64_t at, uint64_t row, struct text *out)
{
    char date[PAYLOAD_DATE_MAX];
    text_printf(out, "{\"status\":200,\"dateUpdated\":\"%s\",", payload_date(at, row, date));
}

static void find_tag(struct payload *payload, struct slice body)
{
    unsigned char digest[16];
    crypto_generichash(digest, sizeof digest, (const unsigned char *)body.ptr, body.len, NULL, 0);
    sodium_bin2hex(payload->tag, sizeof payload->tag, digest, sizeof digest);
}

static bool has_features(const struct payload *payload, const struct text *features)
{
    return payload && payload->body.len >= features->len &&
           memcmp(payload->body.ptr + payload->body.len - features->len, features->ptr,
                  features->len) == 0;
}

/* JSON has no line breaks, so that the document is one line of an event. */
static void frame(struct payload *payload, const struct text *head, const struct text *features)
{
    struct text event, body;
    text_init(&body, SIZE_MAX / 2);
    text_add(&body, head->ptr, head->len);
    text_add(&body, features->ptr, features->len);
    find_tag(payload, (struct slice){body.ptr, body.len});
    text_init(&event, SIZE_MAX / 2);
    text_puts(&event, "event: features\ndata: ");
    size_t before = event.len;
    text_add(&event, body.ptr, body.len);
    text_puts(&event, "\n\n");
    payload->event.len = event.len;
    payload->event.ptr = text_take(&event);
    payload->body = (struct slice){payload->event.ptr + before, body.len};
    text_release(&body);
}

struct payload *payload_make(const struct catalog *catalog, int64_t at, uint64_t row,
                             struct payload *before)
{
    struct text head, features;
    text_init(&features, SIZE_MAX / 2);
    write_features(catalog, &features);
    if (has_features(before, &features)) {
        text_release(&features);
        return payload_ref(before);
    }
    struct payload *payload = xcalloc(1, sizeof *payload);
    atomic_init(&payload->references, 1);
    payload->at = at;
    payload->row = row;
    text_init(&head, SIZE_MAX / 2);
    write_head(at, row, &head);
    frame(payload, &head, &features);
    text_release(&head);
    text_release(&features);
    return payload;
}

struct payload *payload_ref(struct payload *payload)
{
    atomic_fetch_add(&payload->references, 1);
    return payload;
}

void payload_unref(struct payload **payload)
{
    struct payload *old = *payload;
    *payload = NULL;
    if (!old || atomic_fetch_sub(&old->references, 1) != 1)
        return;
    free((char *)(uintptr_t)old->event.ptr);
    free(old);
}
