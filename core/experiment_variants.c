/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Factors, variants and overrides of an experiment: the parser's part that hangs together by the
 * variants' keys and levels. */
#include <stdlib.h>

#include "core/experiment_parse.h"
#include "core/json.h"

enum { NAME_MOST = 200, LEVELS_MOST = 16, CUSTOMER_MOST = 256, OVERRIDES_MOST = 10000 };
#define WEIGHT_MOST 1e9

/* --- factors --- */

static bool read_levels_of_factor(struct experiment *e, json_t *object,
                                  const struct json_place *place, struct factor *factor,
                                  struct error *err)
{
    json_t *levels = NULL;
    if (!json_read_array(object, place, "levels", JSON_REQUIRED, 2, LEVELS_MOST, &levels, err) ||
        !experiment_read_list(e, object, place, "levels", LEVELS_MOST, 64, &factor->levels,
                              &factor->level_count, err))
        return false;
    struct json_place whole = json_member(place, "levels");
    for (size_t i = 0; i < factor->level_count; i++) {
        struct json_place at = json_item(&whole, i);
        if (!key_valid(slice_of(factor->levels[i])))
            return json_fail(&at, err,
                             "must be a key: 1 to 64 of a-z, 0-9, '.', '_' and '-', "
                             "beginning with a letter or digit");
    }
    return true;
}

static bool read_factor(struct experiment *e, json_t *object, const struct json_place *place,
                        struct error *err)
{
    static const char *const fields[] = {"key", "levels", NULL};
    struct factor *factor = &e->factors[e->factor_count];
    const char *key = NULL;
    if (!json_check_fields(object, place, fields, err) ||
        !json_read_key(object, place, "key", JSON_REQUIRED, &key, err))
        return false;
    for (size_t i = 0; i < e->factor_count; i++) {
        if (strcmp(e->factors[i].key, key) == 0)
            return json_fail_at(place, "key", err, "\"%s\" is given twice", key);
    }
    factor->key = arena_strdup(&e->private->arena, key);
    e->factor_count++;
    return read_levels_of_factor(e, object, place, factor, err);
}

static bool read_factors(struct experiment *e, json_t *whole, struct error *err)
{
    json_t *factors = NULL;
    if (!json_read_array(whole, JSON_TOP, "factors", JSON_OPTIONAL, 0, EXPERIMENT_FACTORS_MAX,
                         &factors, err))
        return false;
    e->factors = arena_alloc(&e->private->arena, EXPERIMENT_FACTORS_MAX * sizeof *e->factors);
    struct json_place place = json_member(JSON_TOP, "factors");
    for (size_t i = 0; i < json_array_size(factors); i++) {
        struct json_place at = json_item(&place, i);
        if (!read_factor(e, json_array_get(factors, i), &at, err))
            return false;
    }
    return true;
}

/* The combination of the full factorial with this index, the last factor changing fastest. */
static json_t *combination(const struct experiment *e, size_t index)
{
    size_t picks[EXPERIMENT_FACTORS_MAX];
    for (size_t f = e->factor_count; f-- > 0;) {
        picks[f] = index % e->factors[f].level_count;
        index /= e->factors[f].level_count;
    }
    struct text key;
    text_init(&key, EXPERIMENT_FACTORS_MAX * 65);
    json_t *levels = json_object();
    for (size_t f = 0; f < e->factor_count; f++) {
        const char *level = e->factors[f].levels[picks[f]];
        text_printf(&key, "%s%s", f ? "-" : "", level);
        experiment_set(levels, e->factors[f].key, json_string(level));
    }
    json_t *variant = json_object();
    experiment_set(variant, "key", json_string(key.ptr));
    experiment_set(variant, "levels", levels);
    text_release(&key);
    return variant;
}

/* The variants of the full factorial as if the client had written them; NULL where they are too
 * many. */
static json_t *full_factorial(const struct experiment *e, struct error *err)
{
    size_t count = 1;
    for (size_t f = 0; f < e->factor_count; f++)
        count *= e->factors[f].level_count;
    if (count > EXPERIMENT_VARIANTS_MAX) {
        json_fail_at(JSON_TOP, "factors", err,
                     "have %zu combinations, more than %d: list variants for a fraction of them",
                     count, EXPERIMENT_VARIANTS_MAX);
        return NULL;
    }
    json_t *variants = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(variants, combination(e, i)) != 0)
            error_fatal("out of memory while making variants");
    }
    return variants;
}

static bool read_level(const struct factor *factor, json_t *levels, const struct json_place *place,
                       size_t *out, struct error *err)
{
    const char *level = NULL;
    if (!json_read_string(levels, place, factor->key, JSON_REQUIRED, 1, 64, &level, err))
        return false;
    *out = experiment_find_text(factor->levels, factor->level_count, level);
    return *out < factor->level_count ||
           json_fail_at(place, factor->key, err, "\"%s\" is no level of this factor", level);
}

static bool levels_given(const struct experiment *e, json_t *levels, const struct json_place *place,
                         struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(levels, name, value)
    {
        size_t f = 0;
        while (f < e->factor_count && strcmp(e->factors[f].key, name) != 0)
            f++;
        if (f == e->factor_count)
            return json_fail_at(place, name, err, "is no factor of this experiment");
    }
    return true;
}

static bool read_variant_levels(struct experiment *e, json_t *object,
                                const struct json_place *place, struct variant *variant,
                                struct error *err)
{
    enum json_need need = e->factor_count ? JSON_REQUIRED : JSON_OPTIONAL;
    json_t *levels = NULL;
    if (!json_read_object(object, place, "levels", need, &levels, err))
        return false;
    struct json_place at = json_member(place, "levels");
    if (!levels_given(e, levels, &at, err))
        return false;
    if (e->factor_count == 0)
        return true;
    size_t size = e->factor_count * sizeof *variant->levels;
    variant->levels = arena_alloc(&e->private->arena, size);
    for (size_t f = 0; f < e->factor_count; f++) {
        if (!read_level(&e->factors[f], levels, &at, &variant->levels[f], err))
            return false;
    }
    for (const struct variant *other = e->variants; other < variant; other++) {
        if (memcmp(other->levels, variant->levels, size) == 0)
            return json_fail(&at, err, "are those of variant \"%s\" already", other->key);
    }
    return true;
}

/* --- variants --- */

/* "boolean", "number", "string" or "object"; NULL for a type that no variant may have. */
static const char *type_word(const json_t *value)
{
    if (json_is_boolean(value))
        return "boolean";
    if (json_is_number(value))
        return "number";
    if (json_is_string(value))
        return "string";
    return json_is_object(value) ? "object" : NULL;
}

/* Written once, as it is part of each answer. */
static void write_said(struct experiment *e, struct variant *variant)
{
    char *value = json_text(variant->value);
    struct text text;
    text_init(&text, SIZE_MAX / 2);
    text_printf(&text, "\"variant\":\"%s\",\"value\":", variant->key);
    text_puts(&text, value);
    variant->said = arena_slice(&e->private->arena, (struct slice){text.ptr, text.len});
    text_release(&text);
    free(value);
}

static bool read_value(struct experiment *e, json_t *object, const struct json_place *place,
                       struct variant *variant, struct error *err)
{
    json_t *value = json_object_get(object, "value");
    const struct variant *first = e->variants;
    if (json_is_null(value))
        value = NULL;
    if (value && !type_word(value))
        return json_fail_at(place, "value", err, "must be a boolean, number, string or object");
    if (variant != first && !value != e->private->values_left_out)
        return json_fail_at(place, "value", err,
                            value ? "is given, but not for the first variant"
                                  : "is missing: the first variant has one");
    if (variant != first && value && strcmp(type_word(value), type_word(first->value)) != 0)
        return json_fail_at(place, "value", err, "must be a %s, as that of the first variant",
                            type_word(first->value));
    struct json_place at = json_member(place, "value");
    if (value && !experiment_check_depth(value, &at, EXPERIMENT_LEVELS_MAX, err))
        return false;
    e->private->values_left_out = !value;
    variant->value = value ? json_deep_copy(value) : json_string(variant->key);
    if (!variant->value)
        error_fatal("out of memory while reading an experiment");
    write_said(e, variant);
    return true;
}

static bool read_weight(struct experiment *e, json_t *object, const struct json_place *place,
                        struct variant *variant, struct error *err)
{
    variant->weight = -1;
    if (!json_read_number(object, place, "weight", JSON_OPTIONAL, 0, WEIGHT_MOST, &variant->weight,
                          err))
        return false;
    bool given = variant->weight >= 0, first_given = e->variants->weight >= 0;
    if (given != first_given)
        return json_fail_at(place, "weight", err,
                            given ? "is given, but not for the first variant"
                                  : "is missing: the first variant has one");
    return true;
}

static bool read_variant(struct experiment *e, json_t *object, const struct json_place *place,
                         struct error *err)
{
    static const char *const fields[] = {"key", "name", "weight", "value", "levels", NULL};
    struct variant *variant = &e->variants[e->variant_count];
    const char *key = NULL, *name = NULL;
    if (!json_check_fields(object, place, fields, err) ||
        !json_read_key(object, place, "key", JSON_REQUIRED, &key, err) ||
        !json_read_string(object, place, "name", JSON_OPTIONAL, 1, NAME_MOST, &name, err))
        return false;
    if (experiment_variant(e, slice_of(key)) >= 0)
        return json_fail_at(place, "key", err, "\"%s\" is given twice", key);
    variant->key = arena_strdup(&e->private->arena, key);
    variant->name = arena_strdup(&e->private->arena, name ? name : key);
    bool good = read_weight(e, object, place, variant, err) &&
                read_value(e, object, place, variant, err) &&
                read_variant_levels(e, object, place, variant, err);
    e->variant_count++;
    return good;
}

/* Equal weights where none are given; their sum must be above 0. */
static bool settle_weights(struct experiment *e, struct error *err)
{
    double sum = 0;
    for (size_t i = 0; i < e->variant_count; i++) {
        if (e->variants[i].weight < 0)
            e->variants[i].weight = 1.0 / (double)e->variant_count;
        sum += e->variants[i].weight;
    }
    return sum > 0 || json_fail_at(JSON_TOP, "variants", err, "weights must have a sum above 0");
}

static bool read_variant_list(struct experiment *e, json_t *variants, struct error *err)
{
    size_t count = json_array_size(variants);
    e->variants = arena_alloc(&e->private->arena, count * sizeof *e->variants);
    struct json_place place = json_member(JSON_TOP, "variants");
    for (size_t i = 0; i < count; i++) {
        struct json_place at = json_item(&place, i);
        if (!read_variant(e, json_array_get(variants, i), &at, err))
            return false;
    }
    return settle_weights(e, err);
}

static bool read_variants(struct experiment *e, json_t *whole, struct error *err)
{
    enum json_need need = e->factor_count ? JSON_OPTIONAL : JSON_REQUIRED;
    json_t *variants = NULL;
    if (!json_read_array(whole, JSON_TOP, "variants", need, 2, EXPERIMENT_VARIANTS_MAX, &variants,
                         err))
        return false;
    if (variants)
        return read_variant_list(e, variants, err);
    variants = full_factorial(e, err);
    bool good = variants && read_variant_list(e, variants, err);
    json_decref(variants);
    return good;
}

static bool read_overrides(struct experiment *e, json_t *whole, struct error *err)
{
    json_t *overrides = NULL, *value;
    if (!json_read_object(whole, JSON_TOP, "overrides", JSON_OPTIONAL, &overrides, err))
        return false;
    struct json_place place = json_member(JSON_TOP, "overrides");
    if (json_object_size(overrides) > OVERRIDES_MOST)
        return json_fail(&place, err, "must have at most %d customers", OVERRIDES_MOST);
    const char *customer;
    json_object_foreach(overrides, customer, value)
    {
        size_t len = strlen(customer);
        if (len == 0 || len > CUSTOMER_MOST)
            return json_fail_at(&place, customer, err, "a customer must have 1 to %d bytes",
                                CUSTOMER_MOST);
        if (!json_is_string(value))
            return json_fail_at(&place, customer, err, "must be the key of a variant");
        struct slice key = {json_string_value(value), json_string_length(value)};
        if (experiment_variant(e, key) < 0)
            return json_fail_at(&place, customer, err, "\"%s\" is no variant of this experiment",
                                key.ptr);
    }
    e->private->overrides = json_object_size(overrides) > 0 ? json_deep_copy(overrides) : NULL;
    return true;
}

bool experiment_read_variants(struct experiment *e, json_t *whole, struct error *err)
{
    return read_factors(e, whole, err) && read_variants(e, whole, err) &&
           read_overrides(e, whole, err);
}
