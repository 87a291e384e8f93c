/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compiling a payload: all of it lies in one arena, but for the conditions. */
#include "client/ruleset.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/json.h"

enum { VARIATIONS_MAX = 1000 };

struct ruleset {
    atomic_uint references;
    struct arena arena;
    json_t *root;
    struct ruleset_feature **slots;
    size_t slot_count; /* a power of two */
    struct condition **conditions;
    size_t condition_count;
};

struct ruleset *ruleset_ref(struct ruleset *ruleset)
{
    atomic_fetch_add_explicit(&ruleset->references, 1, memory_order_relaxed);
    return ruleset;
}

void ruleset_unref(struct ruleset **ruleset)
{
    struct ruleset *given = *ruleset;
    *ruleset = NULL;
    if (!given || atomic_fetch_sub_explicit(&given->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < given->condition_count; i++)
        condition_free(given->conditions[i]);
    free(given->conditions);
    arena_release(&given->arena);
    json_decref(given->root);
    free(given);
}

const json_t *ruleset_groups(const struct ruleset *ruleset)
{
    return json_object_get(ruleset->root, "savedGroups");
}

static struct ruleset_feature **slot_of(const struct ruleset *ruleset, const char *key)
{
    return &ruleset->slots[hash64(key, strlen(key)) & (ruleset->slot_count - 1)];
}

const struct ruleset_feature *ruleset_find(const struct ruleset *ruleset, const char *key)
{
    const struct ruleset_feature *feature = *slot_of(ruleset, key);
    while (feature && strcmp(feature->key, key) != 0)
        feature = feature->next;
    return feature;
}

static struct feature_value value_of(struct ruleset *ruleset, json_t *json)
{
    struct feature_value value = {.json = json ? json : json_null()};
    char *text = json_text(value.json);
    value.text = arena_strdup(&ruleset->arena, text);
    free(text);
    return value;
}

static const struct condition *read_condition(struct ruleset *ruleset, json_t *json,
                                              struct error *err)
{
    struct condition *made = condition_compile_lenient(json, err);
    if (!made)
        return NULL;
    ruleset->conditions =
        xrealloc(ruleset->conditions, (ruleset->condition_count + 1) * sizeof *ruleset->conditions);
    ruleset->conditions[ruleset->condition_count++] = made;
    return made;
}

/* An optional text; what is empty counts as absent, as in JavaScript. */
static bool read_name(json_t *json, const struct json_place *place, const char *name,
                      const char *otherwise, const char **out, struct error *err)
{
    *out = NULL;
    if (!json_read_string(json, place, name, JSON_OPTIONAL, 0, SIZE_MAX, out, err))
        return false;
    if (!*out || !**out)
        *out = otherwise;
    return true;
}

static bool read_version(json_t *json, const struct json_place *place, int otherwise, int *out,
                         struct error *err)
{
    int64_t version = otherwise;
    if (!json_read_integer(json, place, "hashVersion", JSON_OPTIONAL, 0, 1000000, &version, err))
        return false;
    *out = version ? (int)version : otherwise;
    return true;
}

static bool read_range(json_t *pair, const struct json_place *place, struct range *out,
                       struct error *err)
{
    const json_t *from = json_array_get(pair, 0), *to = json_array_get(pair, 1);
    if (json_array_size(pair) != 2 || !json_is_number(from) || !json_is_number(to))
        return json_fail(place, err, "must be two numbers");
    *out = (struct range){json_number_value(from), json_number_value(to)};
    return true;
}

static bool read_ranges(struct ruleset *ruleset, json_t *json, const struct json_place *place,
                        enum json_need need, struct range **out, size_t *count, struct error *err)
{
    json_t *list = NULL, *pair;
    size_t i;
    if (!json_read_array(json, place, "ranges", need, 0, SIZE_MAX, &list, err))
        return false;
    if (!list)
        return true;
    struct json_place at = json_member(place, "ranges");
    *out = arena_alloc(&ruleset->arena, json_array_size(list) * sizeof **out);
    json_array_foreach(list, i, pair)
    {
        struct json_place item = json_item(&at, i);
        if (!read_range(pair, &item, &(*out)[i], err))
            return false;
    }
    *count = json_array_size(list);
    return true;
}

static bool read_filters(struct ruleset *ruleset, json_t *json, const struct json_place *place,
                         struct ruleset_rule *rule, struct error *err)
{
    json_t *list = NULL, *item;
    size_t i;
    if (!json_read_array(json, place, "filters", JSON_OPTIONAL, 0, SIZE_MAX, &list, err))
        return false;
    struct json_place all = json_member(place, "filters");
    rule->filters = arena_alloc(&ruleset->arena, json_array_size(list) * sizeof *rule->filters);
    json_array_foreach(list, i, item)
    {
        struct json_place at = json_item(&all, i);
        struct ruleset_filter *filter = &rule->filters[rule->filter_count++];
        if (!json_is_object(item))
            return json_fail(&at, err, "must be an object");
        if (!read_name(item, &at, "attribute", "id", &filter->attribute, err) ||
            !read_name(item, &at, "seed", "", &filter->seed, err) ||
            !read_version(item, &at, 2, &filter->version, err) ||
            !read_ranges(ruleset, item, &at, JSON_REQUIRED, &filter->ranges, &filter->range_count,
                         err))
            return false;
    }
    return true;
}

static bool read_parents(struct ruleset *ruleset, json_t *json, const struct json_place *place,
                         struct ruleset_rule *rule, struct error *err)
{
    json_t *list = NULL, *item;
    size_t i;
    if (!json_read_array(json, place, "parentConditions", JSON_OPTIONAL, 0, SIZE_MAX, &list, err))
        return false;
    struct json_place all = json_member(place, "parentConditions");
    rule->parents = arena_alloc(&ruleset->arena, json_array_size(list) * sizeof *rule->parents);
    json_array_foreach(list, i, item)
    {
        struct json_place at = json_item(&all, i);
        struct ruleset_parent *parent = &rule->parents[rule->parent_count++];
        json_t *condition = NULL;
        if (!json_is_object(item))
            return json_fail(&at, err, "must be an object");
        if (!json_read_string(item, &at, "id", JSON_REQUIRED, 0, SIZE_MAX, &parent->feature, err) ||
            !json_read_object(item, &at, "condition", JSON_REQUIRED, &condition, err) ||
            !json_read_bool(item, &at, "gate", JSON_OPTIONAL, &parent->gate, err) ||
            !(parent->condition = read_condition(ruleset, condition, err)))
            return false;
    }
    return true;
}

static bool read_force(struct ruleset *ruleset, json_t *json, const struct json_place *place,
                       struct ruleset_rule *rule, struct error *err)
{
    json_t *pair = NULL;
    rule->forces = true;
    rule->value = value_of(ruleset, json_object_get(json, "force"));
    rule->forced_variant = json_string_value(json_object_get(json, "id"));
    if (!json_read_array(json, place, "range", JSON_OPTIONAL, 2, 2, &pair, err))
        return false;
    struct json_place at = json_member(place, "range");
    rule->has_range = pair != NULL;
    return !pair || read_range(pair, &at, &rule->range, err);
}

static bool read_namespace(json_t *json, const struct json_place *place, struct ruleset_rule *rule,
                           struct error *err)
{
    json_t *list = NULL;
    if (!json_read_array(json, place, "namespace", JSON_OPTIONAL, 3, 3, &list, err))
        return false;
    if (!list)
        return true;
    json_t *from = json_array_get(list, 1), *to = json_array_get(list, 2);
    rule->space = json_string_value(json_array_get(list, 0));
    rule->space_range = (struct range){json_number_value(from), json_number_value(to)};
    if (!rule->space || !json_is_number(from) || !json_is_number(to))
        return json_fail_at(place, "namespace", err, "must be a name and two numbers");
    return true;
}

/* The weights as numbers, or NULL where they are not usable and all count alike. */
static double *read_weights(struct ruleset *ruleset, json_t *list, size_t count)
{
    json_t *weight;
    size_t i;
    if (json_array_size(list) != count)
        return NULL;
    double *weights = arena_alloc(&ruleset->arena, count * sizeof *weights);
    json_array_foreach(list, i, weight) weights[i] = json_number_value(weight);
    return weights;
}

static bool read_variations(struct ruleset *ruleset, json_t *list, json_t *meta,
                            const struct json_place *place, struct ruleset_rule *rule,
                            struct error *err)
{
    json_t *value;
    size_t i;
    rule->variation_count = json_array_size(list);
    rule->variations =
        arena_alloc(&ruleset->arena, rule->variation_count * sizeof *rule->variations);
    struct json_place all = json_member(place, "meta");
    json_array_foreach(list, i, value)
    {
        struct ruleset_variation *variation = &rule->variations[i];
        struct json_place at = json_item(&all, i);
        json_t *about = json_array_get(meta, i);
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        variation->key = arena_strdup(&ruleset->arena, index);
        variation->value = value_of(ruleset, value);
        if (about && !json_is_object(about))
            return json_fail(&at, err, "must be an object");
        if (!read_name(about, &at, "key", variation->key, &variation->key, err) ||
            !json_read_bool(about, &at, "passthrough", JSON_OPTIONAL, &variation->passes, err))
            return false;
    }
    return true;
}

static bool read_experiment(struct ruleset *ruleset, json_t *json, const struct json_place *place,
                            const char *feature, struct ruleset_rule *rule, struct error *err)
{
    json_t *list = NULL, *meta = NULL;
    if (!json_read_array(json, place, "variations", JSON_OPTIONAL, 0, VARIATIONS_MAX, &list, err) ||
        !json_read_array(json, place, "meta", JSON_OPTIONAL, 0, SIZE_MAX, &meta, err) ||
        !read_name(json, place, "key", feature, &rule->key, err) ||
        !read_name(json, place, "seed", rule->key, &rule->seed, err) ||
        !read_namespace(json, place, rule, err) ||
        !read_variations(ruleset, list, meta, place, rule, err) ||
        !read_ranges(ruleset, json, place, JSON_OPTIONAL, &rule->ranges, &rule->range_count, err))
        return false;
    if (rule->ranges || !rule->variation_count)
        return true;
    size_t count = rule->variation_count;
    rule->range_count = count;
    rule->ranges = arena_alloc(&ruleset->arena, count * sizeof *rule->ranges);
    bucket_ranges(count, rule->has_coverage ? rule->coverage : 1,
                  read_weights(ruleset, json_object_get(json, "weights"), count), rule->ranges);
    return true;
}

static bool read_rule(struct ruleset *ruleset, json_t *json, const struct json_place *place,
                      const char *feature, struct ruleset_rule *rule, struct error *err)
{
    json_t *condition = NULL;
    rule->coverage = NAN;
    rule->forced = -1;
    if (!json_is_object(json))
        return json_fail(place, err, "must be an object");
    if (!read_parents(ruleset, json, place, rule, err) ||
        !read_filters(ruleset, json, place, rule, err) ||
        !read_name(json, place, "hashAttribute", "id", &rule->attribute, err) ||
        !read_name(json, place, "seed", feature, &rule->seed, err) ||
        !read_version(json, place, 1, &rule->version, err) ||
        !json_read_number(json, place, "coverage", JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL,
                          &rule->coverage, err) ||
        !json_read_object(json, place, "condition", JSON_OPTIONAL, &condition, err))
        return false;
    rule->has_coverage = !isnan(rule->coverage);
    if (condition && !(rule->condition = read_condition(ruleset, condition, err)))
        return false;
    return json_object_get(json, "force")
               ? read_force(ruleset, json, place, rule, err)
               : read_experiment(ruleset, json, place, feature, rule, err);
}

/* The variation of this value, or -1 where there is none or more than one. */
static int variation_of(const struct ruleset_rule *experiment, const struct feature_value *value)
{
    int found = -1;
    for (size_t i = 0; experiment && i < experiment->variation_count; i++) {
        if (!json_equal(experiment->variations[i].value.json, value->json))
            continue;
        if (found >= 0)
            return -1;
        found = (int)i;
    }
    return found;
}

static bool lets_pass(const struct ruleset_rule *rule)
{
    for (size_t i = 0; i < rule->variation_count; i++)
        if (rule->variations[i].passes)
            return true;
    return false;
}

/* The server's rules say in their ids what they force: KEY:override:VARIANT, KEY:winner:VARIANT,
 * and KEY:HOLDOUT:VARIANT. */
static const char *variant_in(const char *id, const char *key, bool *holds_out)
{
    size_t len = strlen(key);
    if (!id || strncmp(id, key, len) != 0 || id[len] != ':')
        return NULL;
    const char *word = id + len + 1, *colon = strchr(word, ':');
    if (!colon)
        return NULL;
    struct slice said = {word, (size_t)(colon - word)};
    *holds_out = !slice_is(said, "override") && !slice_is(said, "winner");
    return colon + 1;
}

static void name_forced(const struct ruleset_feature *feature, struct ruleset_rule *rule)
{
    const struct ruleset_rule *experiment = feature->experiment;
    rule->forced_variant = variant_in(rule->forced_variant, feature->key, &rule->holds_out);
    if (!rule->forced_variant) {
        rule->forced = variation_of(experiment, &rule->value);
        if (rule->forced >= 0)
            rule->forced_variant = experiment->variations[rule->forced].key;
        return;
    }
    for (size_t i = 0; experiment && i < experiment->variation_count; i++)
        if (strcmp(experiment->variations[i].key, rule->forced_variant) == 0)
            rule->forced = (int)i;
}

/* Who is held out gets the value of a variant, the first that has it: the control. */
static void name_held(const struct ruleset_rule *experiment, struct ruleset_rule *holdout)
{
    holdout->holds_out = true;
    for (size_t i = 0; i < holdout->variation_count; i++) {
        struct ruleset_variation *variation = &holdout->variations[i];
        variation->stands_for = -1;
        for (size_t k = experiment ? experiment->variation_count : 0; k-- > 0;)
            if (json_equal(experiment->variations[k].value.json, variation->value.json))
                variation->stands_for = (int)k;
    }
}

/* Which variants are meant where a value alone is given. */
static void name_values(struct ruleset_feature *feature)
{
    for (size_t i = 0; i < feature->rule_count; i++)
        if (feature->rules[i].variation_count && !lets_pass(&feature->rules[i]))
            feature->experiment = &feature->rules[i];
    feature->forced = variation_of(feature->experiment, &feature->value);
    for (size_t i = 0; i < feature->rule_count; i++)
        if (feature->rules[i].forces)
            name_forced(feature, &feature->rules[i]);
        else if (lets_pass(&feature->rules[i]))
            name_held(feature->experiment, &feature->rules[i]);
}

static bool read_feature(struct ruleset *ruleset, const char *key, json_t *json,
                         const struct json_place *place, struct error *err)
{
    json_t *rules = NULL, *rule;
    size_t i;
    struct ruleset_feature *feature = arena_alloc(&ruleset->arena, sizeof *feature);
    feature->key = key;
    feature->value = value_of(ruleset, json_object_get(json, "defaultValue"));
    if (!json_is_object(json))
        return json_fail(place, err, "must be an object");
    if (!json_read_array(json, place, "rules", JSON_OPTIONAL, 0, SIZE_MAX, &rules, err))
        return false;
    feature->rules = arena_alloc(&ruleset->arena, json_array_size(rules) * sizeof *feature->rules);
    struct json_place all = json_member(place, "rules");
    json_array_foreach(rules, i, rule)
    {
        struct json_place at = json_item(&all, i);
        if (!read_rule(ruleset, rule, &at, key, &feature->rules[feature->rule_count++], err))
            return false;
    }
    name_values(feature);
    feature->next = *slot_of(ruleset, key);
    *slot_of(ruleset, key) = feature;
    return true;
}

static bool read_features(struct ruleset *ruleset, struct error *err)
{
    json_t *features = NULL, *groups = NULL, *feature;
    const char *key;
    if (!json_is_object(ruleset->root))
        return json_fail(JSON_TOP, err, "must be an object");
    if (!json_read_object(ruleset->root, JSON_TOP, "features", JSON_REQUIRED, &features, err) ||
        !json_read_object(ruleset->root, JSON_TOP, "savedGroups", JSON_OPTIONAL, &groups, err))
        return false;
    ruleset->slot_count = 16;
    while (ruleset->slot_count < 2 * json_object_size(features))
        ruleset->slot_count *= 2;
    ruleset->slots =
        arena_alloc(&ruleset->arena, ruleset->slot_count * sizeof(struct ruleset_feature *));
    struct json_place all = json_member(JSON_TOP, "features");
    json_object_foreach(features, key, feature)
    {
        struct json_place at = json_member(&all, key);
        if (!read_feature(ruleset, key, feature, &at, err))
            return false;
    }
    return true;
}

struct ruleset *ruleset_parse(const char *text, size_t len, struct error *err)
{
    struct ruleset *ruleset = xcalloc(1, sizeof *ruleset);
    atomic_init(&ruleset->references, 1);
    ruleset->root = json_parse(text, len, err);
    if (!ruleset->root || !read_features(ruleset, err))
        ruleset_unref(&ruleset);
    return ruleset;
}
