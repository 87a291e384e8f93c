/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The graph of experiments is walked from each that may be concerned; there are few. */
#include "core/prerequisite.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"

/* --- values --- */

static bool same_members(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)(uintptr_t)a, name, value)
    {
        if (!json_object_get(b, name) || !prerequisite_same_value(value, json_object_get(b, name)))
            return false;
    }
    return true;
}

static bool same_items(const json_t *a, const json_t *b)
{
    size_t i;
    json_t *value;
    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach(a, i, value)
    {
        if (!prerequisite_same_value(value, json_array_get(b, i)))
            return false;
    }
    return true;
}

/* SDKs know one kind of number. */
bool prerequisite_same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_object(a) && json_is_object(b))
        return same_members(a, b);
    if (json_is_array(a) && json_is_array(b))
        return same_items(a, b);
    return json_equal(a, b);
}

/* --- what is named --- */

/* As it will be; as it is where `changed` is NULL. */
static const struct experiment *find(const struct catalog *catalog,
                                     const struct experiment *changed, const char *key)
{
    return changed && strcmp(changed->key, key) == 0 ? changed
                                                     : catalog_experiment(catalog, slice_of(key));
}

static bool names(const struct prerequisite *needed, const char *variant)
{
    for (size_t i = 0; i < needed->variant_count; i++)
        if (strcmp(needed->variants[i], variant) == 0)
            return true;
    return false;
}

/* The first variant named whose value is that of one not named, or NULL. */
static const char *ambiguous(const struct prerequisite *needed, const struct experiment *parent,
                             const char **other)
{
    for (size_t i = 0; i < parent->variant_count; i++)
        for (size_t k = 0; names(needed, parent->variants[i].key) && k < parent->variant_count; k++)
            if (!names(needed, parent->variants[k].key) &&
                prerequisite_same_value(parent->variants[i].value, parent->variants[k].value)) {
                *other = parent->variants[k].key;
                return parent->variants[i].key;
            }
    return NULL;
}

/* Conditions take an object of operators for what they compare by. */
static bool reads_as_condition(const json_t *value)
{
    const char *name;
    json_t *member;
    bool all = json_object_size(value) > 0;
    json_object_foreach((json_t *)(uintptr_t)value, name, member) all = all && name[0] == '$';
    return all;
}

static bool variants_there(const struct prerequisite *needed, const struct experiment *parent,
                           const char *place, struct error *err)
{
    const char *other = "", *one = ambiguous(needed, parent, &other);
    for (size_t i = 0; i < needed->variant_count; i++) {
        int variant = experiment_variant(parent, slice_of(needed->variants[i]));
        if (variant < 0)
            return error_set(err, ERROR_INVALID, place, "\"%s\" has no variant \"%s\"", parent->key,
                             needed->variants[i]);
        if (reads_as_condition(parent->variants[variant].value))
            return error_set(err, ERROR_INVALID, place,
                             "the value of \"%s\" would be read as a condition by SDKs",
                             needed->variants[i]);
    }
    return !one || error_set(err, ERROR_INVALID, place,
                             "SDKs cannot tell \"%s\" from \"%s\", as both have the same value",
                             one, other);
}

static bool parent_there(const struct catalog *catalog, const struct experiment *changed,
                         const struct experiment *child, size_t i, struct error *err)
{
    const struct prerequisite *needed = &child->prerequisites[i];
    const struct experiment *parent = find(catalog, changed, needed->experiment);
    char place[64];
    snprintf(place, sizeof place, "prerequisites[%zu].experiment", i);
    if (!parent)
        return error_set(err, ERROR_INVALID, place, "there is no experiment \"%s\"",
                         needed->experiment);
    if (parent->holdout || parent->state == EXPERIMENT_ARCHIVED)
        return error_set(err, ERROR_INVALID, place, "\"%s\" is %s", parent->key,
                         parent->holdout ? "a holdout" : "archived");
    snprintf(place, sizeof place, "prerequisites[%zu].variants", i);
    return variants_there(needed, parent, place, err);
}

static bool all_there(const struct catalog *catalog, const struct experiment *changed,
                      const struct experiment *child, struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < child->prerequisite_count; i++)
        ok = parent_there(catalog, changed, child, i, err);
    return ok;
}

static bool needs(const struct experiment *child, const char *key)
{
    for (size_t i = 0; i < child->prerequisite_count; i++)
        if (strcmp(child->prerequisites[i].experiment, key) == 0)
            return child->state != EXPERIMENT_ARCHIVED;
    return false;
}

/* --- where it leads --- */

struct walk {
    const struct catalog *catalog;
    const struct experiment *changed;
    size_t decisions; /* so far */
    bool far;         /* too many, or too deep */
    bool back;        /* the changed one was met */
};

/* A circle is walked until it is too far. */
static void walk_on(struct walk *walk, const struct experiment *from, int depth)
{
    if (++walk->decisions > PREREQUISITE_DECISIONS_MAX || depth > PREREQUISITE_DEPTH_MAX) {
        walk->far = true;
        return;
    }
    for (size_t i = 0; i < from->prerequisite_count && !walk->far; i++) {
        const struct experiment *parent =
            find(walk->catalog, walk->changed, from->prerequisites[i].experiment);
        walk->back = walk->back || (parent && parent == walk->changed);
        if (parent)
            walk_on(walk, parent, depth + 1);
    }
}

static bool ends(const struct catalog *catalog, const struct experiment *changed, struct error *err)
{
    for (size_t i = 0; i < changed->prerequisite_count; i++) {
        const struct experiment *parent =
            find(catalog, changed, changed->prerequisites[i].experiment);
        struct walk walk = {.catalog = catalog, .changed = changed};
        char place[64];
        snprintf(place, sizeof place, "prerequisites[%zu].experiment", i);
        if (parent)
            walk_on(&walk, parent, 1);
        if (walk.back)
            return error_set(err, ERROR_INVALID, place,
                             "\"%s\" needs \"%s\" by prerequisites of its own", parent->key,
                             changed->key);
    }
    struct walk whole = {.catalog = catalog, .changed = changed};
    walk_on(&whole, changed, 0);
    return !whole.far || error_set(err, ERROR_INVALID, "prerequisites",
                                   "lead to more than %d decisions, or %d in a row",
                                   PREREQUISITE_DECISIONS_MAX, PREREQUISITE_DEPTH_MAX);
}

static bool others_end(const struct catalog *catalog, const struct experiment *changed,
                       struct error *err)
{
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *other = catalog_experiment_at(catalog, i);
        struct walk then = {.catalog = catalog}, next = {.catalog = catalog, .changed = changed};
        if (other->prerequisite_count == 0 || other->number == changed->number)
            continue;
        walk_on(&then, other, 0);
        walk_on(&next, other, 0);
        if (next.far && !then.far)
            return error_set(err, ERROR_INVALID, "prerequisites",
                             "lead to more than %d decisions, or %d in a row, for \"%s\", which "
                             "needs this one",
                             PREREQUISITE_DECISIONS_MAX, PREREQUISITE_DEPTH_MAX, other->key);
    }
    return true;
}

bool prerequisite_check_ends(const struct catalog *catalog, const struct experiment *changed,
                             struct error *err)
{
    return changed->prerequisite_count == 0 ||
           (ends(catalog, changed, err) && others_end(catalog, changed, err));
}

bool prerequisite_check(const struct catalog *catalog, const struct experiment *changed,
                        struct error *err)
{
    if (!all_there(catalog, changed, changed, err) ||
        !prerequisite_check_ends(catalog, changed, err))
        return false;
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *child = catalog_experiment_at(catalog, i);
        struct error why = {0};
        if (child->number != changed->number && needs(child, changed->key) &&
            !all_there(catalog, changed, child, &why))
            return error_set(err, ERROR_CONFLICT, NULL, "\"%s\" needs it as it was: %s: %s",
                             child->key, why.place, why.message);
    }
    return true;
}

bool prerequisite_check_free(const struct catalog *catalog, const struct experiment *experiment,
                             struct error *err)
{
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *child = catalog_experiment_at(catalog, i);
        if (child->number != experiment->number && needs(child, experiment->key))
            return error_set(err, ERROR_CONFLICT, NULL,
                             "the experiment \"%s\" needs this one as a prerequisite", child->key);
    }
    return true;
}
