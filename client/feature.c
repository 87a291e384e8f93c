/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules are tried in order, the first that yields wins. The order of the steps within one is that
 * of the SDKs, as what is computed before another step fails is seen in the result. */
#include "client/feature.h"

#include "client/ruleset.h"
#include "core/condition_values.h"
#include "core/json.h"

/* The features whose parents are looked at, innermost first. */
struct pending {
    const char *key;
    const struct pending *outer;
    int depth;
};

struct deciding {
    const struct ruleset *ruleset;
    const json_t *attributes;
    int steps;
};

static const struct feature_value nothing = {.text = "null"};

/* What is hashed: the attribute as text, or empty where there is no such unit. */
static bool unit_of(const struct deciding *d, const char *attribute, struct text *out)
{
    const json_t *value = json_object_get(d->attributes, attribute);
    text_init(out, VALUE_TEXT_MAX);
    if (value_truthy(value))
        value_text(value, out);
    return out->len > 0;
}

/* -1 for a version that there is not. */
static double bucket_at(int version, const char *seed, const struct text *unit)
{
    struct slice value = {unit->ptr, unit->len};
    return version == 2   ? bucket_of(slice_of(seed), value)
           : version == 1 ? bucket_of_version_1(slice_of(seed), value)
                          : -1;
}

static bool passes_filter(const struct deciding *d, const struct ruleset_filter *filter)
{
    struct text unit;
    bool has_unit = unit_of(d, filter->attribute, &unit);
    double n = has_unit ? bucket_at(filter->version, filter->seed, &unit) : -1;
    text_release(&unit);
    return n >= 0 && bucket_choose(n, filter->ranges, filter->range_count) >= 0;
}

static bool passes_filters(const struct deciding *d, const struct ruleset_rule *rule)
{
    for (size_t i = 0; i < rule->filter_count; i++)
        if (!passes_filter(d, &rule->filters[i]))
            return false;
    return true;
}

static bool passes_condition(const struct deciding *d, const struct ruleset_rule *rule)
{
    return !rule->condition ||
           condition_matches(rule->condition, d->attributes, ruleset_groups(d->ruleset));
}

/* A rollout takes in whoever's bucket equals its coverage; ranges end before theirs. */
static bool in_rollout(const struct deciding *d, const struct ruleset_rule *rule)
{
    if (!rule->has_range && !rule->has_coverage)
        return true;
    if (!rule->has_range && rule->coverage == 0)
        return false;
    struct text unit;
    bool has_unit = unit_of(d, rule->attribute, &unit);
    double n = has_unit ? bucket_at(rule->version, rule->seed, &unit) : -1;
    text_release(&unit);
    if (n < 0)
        return false;
    return rule->has_range ? bucket_in(n, rule->range) : n <= rule->coverage;
}

/* Filters replace a namespace. */
static bool in_namespace(const struct ruleset_rule *rule, const struct text *unit)
{
    if (!rule->space || rule->filter_count)
        return true;
    struct text seed;
    text_init(&seed, SIZE_MAX / 2);
    text_puts(&seed, "__");
    text_puts(&seed, rule->space);
    double n = bucket_at(1, seed.ptr, unit);
    text_release(&seed);
    return bucket_in(n, rule->space_range);
}

/* The index of the variation, or -1; *bucket where one was computed. */
static int choose(const struct deciding *d, const struct ruleset_rule *rule, double *bucket)
{
    if (rule->variation_count < 2)
        return -1;
    struct text unit;
    int chosen = -1;
    if (unit_of(d, rule->attribute, &unit) && in_namespace(rule, &unit) &&
        passes_condition(d, rule)) {
        *bucket = bucket_at(rule->version, rule->seed, &unit);
        if (*bucket >= 0)
            chosen = bucket_choose(*bucket, rule->ranges, rule->range_count);
    }
    text_release(&unit);
    return chosen < (int)rule->variation_count ? chosen : -1;
}

static void expose(struct feature_result *result, const struct ruleset_rule *rule, int variation)
{
    if (result->exposure_count < FEATURE_PASSED_MAX)
        result->exposures[result->exposure_count++] =
            (struct feature_exposure){rule->key, rule->variations[variation].key, rule->seed};
}

static void settle(struct feature_result *result, enum feature_source source,
                   const struct feature_value *value, const char *variant, int index)
{
    result->source = source;
    result->value = value;
    result->variant = variant;
    result->index = index;
}

static void settle_chosen(struct feature_result *result, const struct ruleset_feature *feature,
                          const struct ruleset_rule *rule, int chosen)
{
    const struct ruleset_variation *variation = &rule->variations[chosen];
    result->in_experiment = true;
    result->held_out = rule->holds_out;
    if (rule->holds_out && variation->stands_for >= 0)
        settle(result, FEATURE_EXPERIMENT, &variation->value,
               feature->experiment->variations[variation->stands_for].key, variation->stands_for);
    else
        settle(result, FEATURE_EXPERIMENT, &variation->value, variation->key, chosen);
}

static struct feature_result decide(struct deciding *d, const char *key,
                                    const struct pending *outer);

enum parents { PARENTS_HOLD, PARENTS_FAIL, PARENTS_GATE, PARENTS_CYCLE };

static enum parents check_parents(struct deciding *d, const struct ruleset_rule *rule,
                                  const struct pending *here)
{
    for (size_t i = 0; i < rule->parent_count; i++) {
        const struct ruleset_parent *parent = &rule->parents[i];
        struct feature_result result = decide(d, parent->feature, here);
        if (result.source == FEATURE_CYCLIC)
            return PARENTS_CYCLE;
        /* A copy: values are shared by threads. */
        json_t *seen = json_object();
        json_object_set_new(seen, "value",
                            result.value->json ? json_deep_copy(result.value->json) : json_null());
        bool holds = condition_matches(parent->condition, seen, ruleset_groups(d->ruleset));
        json_decref(seen);
        if (!holds)
            return parent->gate ? PARENTS_GATE : PARENTS_FAIL;
    }
    return PARENTS_HOLD;
}

/* Whether the rule yields something; it is then in the result. */
static bool try_rule(struct deciding *d, const struct ruleset_feature *feature,
                     const struct ruleset_rule *rule, const struct pending *here,
                     struct feature_result *result)
{
    enum parents parents = check_parents(d, rule, here);
    if (parents == PARENTS_CYCLE || parents == PARENTS_GATE) {
        settle(result, parents == PARENTS_CYCLE ? FEATURE_CYCLIC : FEATURE_PREREQUISITE, &nothing,
               NULL, -1);
        return true;
    }
    if (parents == PARENTS_FAIL || !passes_filters(d, rule))
        return false;
    if (rule->forces) {
        if (!passes_condition(d, rule) || !in_rollout(d, rule))
            return false;
        settle(result, FEATURE_FORCE, &rule->value, rule->forced_variant, rule->forced);
        result->held_out = rule->holds_out;
        return true;
    }
    double bucket = -1;
    int chosen = choose(d, rule, &bucket);
    if (!rule->holds_out)
        result->bucket = bucket;
    if (chosen < 0)
        return false;
    expose(result, rule, chosen);
    if (rule->variations[chosen].passes)
        return false;
    settle_chosen(result, feature, rule, chosen);
    result->bucket = bucket;
    return true;
}

static bool is_pending(const struct pending *outer, const char *key)
{
    for (; outer; outer = outer->outer)
        if (strcmp(outer->key, key) == 0)
            return true;
    return false;
}

static struct feature_result decide(struct deciding *d, const char *key,
                                    const struct pending *outer)
{
    struct feature_result result = {.value = &nothing, .index = -1, .bucket = -1};
    struct pending here = {key, outer, outer ? outer->depth + 1 : 0};
    if (is_pending(outer, key) || here.depth > FEATURE_DEPTH_MAX ||
        d->steps++ > FEATURE_STEPS_MAX) {
        result.source = FEATURE_CYCLIC;
        return result;
    }
    const struct ruleset_feature *feature = ruleset_find(d->ruleset, key);
    if (!feature)
        return result;
    for (size_t i = 0; i < feature->rule_count; i++)
        if (try_rule(d, feature, &feature->rules[i], &here, &result))
            return result;
    settle(&result, FEATURE_DEFAULT, &feature->value,
           feature->forced < 0 ? NULL : feature->experiment->variations[feature->forced].key,
           feature->forced);
    return result;
}

struct feature_result feature_decide(const struct ruleset *ruleset, const char *key,
                                     const json_t *attributes)
{
    struct deciding d = {.ruleset = ruleset, .attributes = attributes};
    return decide(&d, key, NULL);
}
