/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an experiment says of others: prerequisites, and the experiments that a holdout covers.
 * Whether those others are there is for prerequisite.h and the catalog. */
#include <stdlib.h>

#include "core/experiment_parse.h"
#include "core/json.h"

enum { KEY_MOST = 64, TAG_MOST = 64, LISTED_MOST = 1000 };

/* --- prerequisites --- */

static bool read_prerequisite(struct experiment *e, json_t *object, const struct json_place *place,
                              struct error *err)
{
    static const char *const fields[] = {"experiment", "variants", NULL};
    struct prerequisite *needed = &e->prerequisites[e->prerequisite_count];
    const char *key = NULL;
    json_t *variants = NULL;
    if (!json_check_fields(object, place, fields, err) ||
        !json_read_key(object, place, "experiment", JSON_REQUIRED, &key, err) ||
        !json_read_array(object, place, "variants", JSON_REQUIRED, 1, EXPERIMENT_VARIANTS_MAX,
                         &variants, err) ||
        !experiment_read_list(e, object, place, "variants", EXPERIMENT_VARIANTS_MAX, KEY_MOST,
                              &needed->variants, &needed->variant_count, err))
        return false;
    for (size_t i = 0; i < e->prerequisite_count; i++)
        if (strcmp(e->prerequisites[i].experiment, key) == 0)
            return json_fail_at(place, "experiment", err, "\"%s\" is listed already", key);
    if (strcmp(e->key, key) == 0)
        return json_fail_at(place, "experiment", err, "is this experiment itself");
    needed->experiment = arena_strdup(&e->private->arena, key);
    e->prerequisite_count++;
    return true;
}

static bool read_prerequisites(struct experiment *e, json_t *whole, struct error *err)
{
    json_t *list = NULL;
    if (!json_read_array(whole, JSON_TOP, "prerequisites", JSON_OPTIONAL, 0,
                         EXPERIMENT_PREREQUISITES_MAX, &list, err))
        return false;
    size_t count = json_array_size(list);
    e->prerequisites = arena_alloc(&e->private->arena, (count + 1) * sizeof *e->prerequisites);
    struct json_place place = json_member(JSON_TOP, "prerequisites");
    for (size_t i = 0; i < count; i++) {
        struct json_place at = json_item(&place, i);
        if (!read_prerequisite(e, json_array_get(list, i), &at, err))
            return false;
    }
    return true;
}

/* --- holdouts --- */

/* A holdout holds for everybody and for good, or what it says of the whole would not be true of
 * it. Its arms are compared as they were drawn. */
static bool check_holdout(const struct experiment *e, struct error *err)
{
    if (e->variant_count != 2)
        return json_fail_at(JSON_TOP, "variants", err,
                            "of a holdout must be two: who is held out, then who is not");
    if (e->factor_count > 0)
        return json_fail_at(JSON_TOP, "factors", err, "are not for a holdout");
    if (e->audience)
        return json_fail_at(JSON_TOP, "audience", err, "is not for a holdout: it holds for all");
    if (e->traffic != 1)
        return json_fail_at(JSON_TOP, "traffic", err, "of a holdout must be 1: weights divide it");
    if (e->layer_key)
        return json_fail_at(JSON_TOP, "layer", err, "is not for a holdout");
    if (e->sticky)
        return json_fail_at(JSON_TOP, "sticky", err, "is not for a holdout: its weights stay");
    if (e->private->overrides)
        return json_fail_at(JSON_TOP, "overrides", err, "are not for a holdout");
    return e->prerequisite_count == 0 ||
           json_fail_at(JSON_TOP, "prerequisites", err, "are not for a holdout");
}

static bool read_holdout(struct experiment *e, json_t *whole, struct error *err)
{
    static const char *const fields[] = {"experiments", "tags", NULL};
    json_t *object = NULL;
    if (!json_read_object(whole, JSON_TOP, "holdout", JSON_OPTIONAL, &object, err))
        return false;
    if (!object)
        return true;
    struct json_place place = json_member(JSON_TOP, "holdout");
    struct holdout *holdout = arena_alloc(&e->private->arena, sizeof *holdout);
    *holdout = (struct holdout){0};
    if (!json_check_fields(object, &place, fields, err) ||
        !experiment_read_list(e, object, &place, "experiments", LISTED_MOST, KEY_MOST,
                              &holdout->experiments, &holdout->experiment_count, err) ||
        !experiment_read_list(e, object, &place, "tags", LISTED_MOST, TAG_MOST, &holdout->tags,
                              &holdout->tag_count, err))
        return false;
    e->holdout = holdout;
    return check_holdout(e, err);
}

bool experiment_read_links(struct experiment *e, json_t *whole, struct error *err)
{
    return read_prerequisites(e, whole, err) && read_holdout(e, whole, err);
}

/* --- writing --- */

static json_t *write_prerequisites(const struct experiment *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < e->prerequisite_count; i++) {
        const struct prerequisite *needed = &e->prerequisites[i];
        json_t *object = json_object();
        experiment_set(object, "experiment", json_string(needed->experiment));
        experiment_set(object, "variants",
                       experiment_write_list(needed->variants, needed->variant_count));
        json_array_append_new(list, object);
    }
    return list;
}

void experiment_write_links(const struct experiment *e, json_t *object)
{
    if (e->prerequisite_count > 0)
        experiment_set(object, "prerequisites", write_prerequisites(e));
    if (!e->holdout)
        return;
    json_t *holdout = json_object();
    if (e->holdout->experiment_count > 0)
        experiment_set(
            holdout, "experiments",
            experiment_write_list(e->holdout->experiments, e->holdout->experiment_count));
    if (e->holdout->tag_count > 0)
        experiment_set(holdout, "tags",
                       experiment_write_list(e->holdout->tags, e->holdout->tag_count));
    experiment_set(object, "holdout", holdout);
}
