/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, what earlier looks showed: reading it, and narrowing a comparison by it. */
#include <math.h>

#include "core/study_parts.h"

/* An end of an interval; null is an open one. */
static bool read_end(json_t *value, const struct json_place *place, double *end, bool *open,
                     struct error *err)
{
    *open = json_is_null(value);
    *end = json_number_value(value);
    return *open || (json_is_number(value) && isfinite(*end)) ||
           json_fail(place, err, "must be a number or null");
}

static bool read_interval(json_t *json, const struct json_place *place, struct study_before *before,
                          struct error *err)
{
    struct json_place list = json_member(place, "interval");
    struct json_place first = json_item(&list, 0), second = json_item(&list, 1);
    struct interval *interval = &before->interval;
    json_t *ends = NULL;
    if (!json_read_array(json, place, "interval", JSON_OPTIONAL, 2, 2, &ends, err))
        return false;
    before->has_interval = ends != NULL;
    if (!ends)
        return true;
    if (!read_end(json_array_get(ends, 0), &first, &interval->low, &interval->low_open, err) ||
        !read_end(json_array_get(ends, 1), &second, &interval->high, &interval->high_open, err))
        return false;
    return interval->low_open || interval->high_open || interval->low <= interval->high ||
           json_fail(&list, err, "must not begin above its end");
}

static bool read_one(json_t *json, const struct json_place *place, struct study_before *before,
                     struct error *err)
{
    static const char *const fields[] = {"p_value", "interval", "strata", NULL};
    if (json_is_null(json))
        return true;
    before->given = true;
    before->p_value = 1;
    return json_check_fields(json, place, fields, err) &&
           json_read_number(json, place, "p_value", JSON_OPTIONAL, 0, 1, &before->p_value, err) &&
           json_read_integer(json, place, "strata", JSON_OPTIONAL, 0, INT64_C(1) << 31,
                             &before->strata, err) &&
           read_interval(json, place, before, err);
}

bool study_read_before(struct study_reader *reader, json_t *json, const struct json_place *place,
                       struct study_metric *metric)
{
    size_t count = reader->study->variant_count - 1;
    json_t *list = NULL;
    if (!json_read_array(json, place, "before", JSON_OPTIONAL, count, count, &list, reader->err))
        return false;
    if (!list)
        return true;
    int method = metric->settings.method;
    if (method == STUDY_FIXED || method == STUDY_GROUP_SEQUENTIAL || method == STUDY_BAYESIAN)
        return json_fail_at(place, "before", reader->err,
                            "is for methods that are valid at every look, which %s is not",
                            study_method_words[method]);
    struct json_place here = json_member(place, "before");
    metric->before = arena_alloc(&reader->study->arena, count * sizeof *metric->before);
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_item(&here, i);
        if (!read_one(json_array_get(list, i), &item, &metric->before[i], reader->err))
            return false;
    }
    return true;
}

/* What both intervals hold; false where there is nothing. */
static bool intersect(struct interval *interval, const struct interval *other)
{
    struct interval both = *interval;
    if (!other->low_open && (both.low_open || other->low > both.low)) {
        both.low = other->low;
        both.low_open = false;
    }
    if (!other->high_open && (both.high_open || other->high < both.high)) {
        both.high = other->high;
        both.high_open = false;
    }
    if (!both.low_open && !both.high_open && both.low > both.high)
        return false;
    *interval = both;
    return true;
}

void study_narrow(struct study_comparison *comparison, const struct study_before *before)
{
    comparison->alone = comparison->inference;
    if (comparison->problem || !before->given)
        return;
    /* Strata that were apart are one now: its effect is of another kind than the earlier ones. */
    if ((int64_t)comparison->strata < before->strata) {
        comparison->restarted = true;
        return;
    }
    if (before->has_interval && !intersect(&comparison->inference.interval, &before->interval)) {
        comparison->drift = true;
        return;
    }
    comparison->inference.p_value = fmin(comparison->inference.p_value, before->p_value);
}
