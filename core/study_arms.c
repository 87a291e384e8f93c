/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, reading arms: the sufficient statistics of each kind of metric, alone, in strata and in
 * segments, checked for what no data could have made. */
#include <math.h>

#include "core/json.h"
#include "core/study_parts.h"

/* An arm to be read, and what it is read into. */
struct arm {
    json_t *json;
    const struct json_place *place;
    int kind;
    bool covariate;
    struct moments *out;
    struct error *err;
};

static const char *const *arm_fields(int kind)
{
    static const char *const binary[] = {"n", "sum", "pre_sum", "pre_sum_sq", "pre_sum_post", NULL};
    static const char *const mean[] = {"n",          "sum",          "sum_sq", "pre_sum",
                                       "pre_sum_sq", "pre_sum_post", NULL};
    static const char *const ratio[] = {"n",          "sum",     "sum_sq", "den_sum",
                                        "den_sum_sq", "sum_den", NULL};
    static const char *const nps[] = {"promoters", "passives", "detractors", "asked", NULL};
    static const char *const csat[] = {"scores", "asked", NULL};
    static const char *const *const by_kind[] = {binary, mean, ratio, nps, csat};
    return by_kind[kind];
}

static bool has_covariate(json_t *arm)
{
    return study_given(arm, "pre_sum") || study_given(arm, "pre_sum_sq") ||
           study_given(arm, "pre_sum_post");
}

/* A sum over the arm's units: nothing is the sum of nobody. */
static bool read_sum(const struct arm *arm, const char *name, double n, double least, double *out)
{
    if (!json_read_number(arm->json, arm->place, name, JSON_REQUIRED, least, HUGE_VAL, out,
                          arm->err))
        return false;
    return n > 0 || *out == 0 || json_fail_at(arm->place, name, arm->err, "must be 0 where n is 0");
}

static bool read_binary_covariate(const struct arm *arm, struct moments_sums *sums)
{
    const struct json_place *place = arm->place;
    struct error *err = arm->err;
    double n = sums->n;
    if (!study_read_count(arm->json, place, "pre_sum", &sums->other, err) ||
        !study_read_count(arm->json, place, "pre_sum_post", &sums->product, err))
        return false;
    if (sums->other > n)
        return json_fail_at(place, "pre_sum", err, "must not exceed n for a binary metric");
    if (sums->product > sums->sum || sums->product > sums->other)
        return json_fail_at(place, "pre_sum_post", err, "must not exceed sum or pre_sum");
    if (sums->product < sums->sum - (n - sums->other))
        return json_fail_at(place, "pre_sum_post", err, "must be at least sum + pre_sum - n");
    if (!study_given(arm->json, "pre_sum_sq"))
        return true;
    if (!study_read_count(arm->json, place, "pre_sum_sq", &sums->other_sq, err))
        return false;
    return sums->other_sq == sums->other ||
           json_fail_at(place, "pre_sum_sq", err, "must equal pre_sum for a binary metric");
}

static bool read_binary(const struct arm *arm)
{
    struct moments_sums sums = {0};
    if (!study_read_count(arm->json, arm->place, "n", &sums.n, arm->err) ||
        !study_read_count(arm->json, arm->place, "sum", &sums.sum, arm->err))
        return false;
    if (sums.sum > sums.n)
        return json_fail_at(arm->place, "sum", arm->err, "must not exceed n for a binary metric");
    if (arm->covariate && !read_binary_covariate(arm, &sums))
        return false;
    *arm->out = moments_of_sums(MOMENTS_BINARY, arm->covariate, &sums);
    return true;
}

static bool read_mean(const struct arm *arm)
{
    struct moments_sums sums = {0};
    if (!study_read_count(arm->json, arm->place, "n", &sums.n, arm->err) ||
        !read_sum(arm, "sum", sums.n, -HUGE_VAL, &sums.sum) ||
        !read_sum(arm, "sum_sq", sums.n, 0, &sums.sum_sq))
        return false;
    if (arm->covariate && (!read_sum(arm, "pre_sum", sums.n, -HUGE_VAL, &sums.other) ||
                           !read_sum(arm, "pre_sum_sq", sums.n, 0, &sums.other_sq) ||
                           !read_sum(arm, "pre_sum_post", sums.n, -HUGE_VAL, &sums.product)))
        return false;
    *arm->out = moments_of_sums(MOMENTS_MEAN, arm->covariate, &sums);
    return true;
}

static bool read_ratio(const struct arm *arm)
{
    struct moments_sums sums = {0};
    if (!study_read_count(arm->json, arm->place, "n", &sums.n, arm->err) ||
        !read_sum(arm, "sum", sums.n, -HUGE_VAL, &sums.sum) ||
        !read_sum(arm, "sum_sq", sums.n, 0, &sums.sum_sq) ||
        !read_sum(arm, "den_sum", sums.n, -HUGE_VAL, &sums.other) ||
        !read_sum(arm, "den_sum_sq", sums.n, 0, &sums.other_sq) ||
        !read_sum(arm, "sum_den", sums.n, -HUGE_VAL, &sums.product))
        return false;
    *arm->out = moments_of_sums(MOMENTS_RATIO, false, &sums);
    return true;
}

static bool read_nps(const struct arm *arm)
{
    double promoters, passives, detractors;
    if (!study_read_count(arm->json, arm->place, "promoters", &promoters, arm->err) ||
        !study_read_count(arm->json, arm->place, "passives", &passives, arm->err) ||
        !study_read_count(arm->json, arm->place, "detractors", &detractors, arm->err))
        return false;
    *arm->out = moments_of_nps(promoters, passives, detractors);
    return true;
}

static bool read_csat(const struct arm *arm)
{
    double scores[5];
    if (!study_read_counts(arm->json, arm->place, "scores", 5, scores, arm->err))
        return false;
    *arm->out = moments_of_csat(scores);
    return true;
}

static bool read_arm(const struct arm *arm)
{
    static bool (*const by_kind[])(const struct arm *) = {read_binary, read_mean, read_ratio,
                                                          read_nps, read_csat};
    return json_check_fields(arm->json, arm->place, arm_fields(arm->kind), arm->err) &&
           by_kind[arm->kind](arm);
}

/* One stratum: `arms` of `object`, one for each variant. *covariate is -1 until the first arm has
 * told whether there is one. */
static bool read_stratum(struct study_reader *reader, json_t *object,
                         const struct json_place *place, int kind, int *covariate,
                         struct moments **out, struct sketch **bins)
{
    struct study *study = reader->study;
    size_t count = study->variant_count;
    struct json_place list = json_member(place, "arms");
    json_t *arms = NULL;
    if (!json_read_array(object, place, "arms", JSON_REQUIRED, 0, SIZE_MAX, &arms, reader->err))
        return false;
    if (json_array_size(arms) != count)
        return json_fail(&list, reader->err, "must have %zu items, one a variant", count);
    *out = arena_alloc(&study->arena, count * sizeof **out);
    if (bins)
        *bins = arena_alloc(&study->arena, count * sizeof **bins);
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_item(&list, i);
        json_t *json = json_array_get(arms, i);
        bool takes = !bins && (kind == MOMENTS_BINARY || kind == MOMENTS_MEAN);
        bool has = takes && has_covariate(json);
        if (*covariate < 0)
            *covariate = has;
        struct arm arm = {json, &item, kind, has, &(*out)[i], reader->err};
        if (!(bins ? study_read_bins(reader, json, &item, &(*bins)[i], &(*out)[i])
                   : read_arm(&arm)))
            return false;
        if (has != (*covariate > 0))
            return json_fail_at(&item, "pre_sum", reader->err,
                                "must be given for all arms of a metric or for none");
    }
    return true;
}

static bool read_strata_list(struct study_reader *reader, json_t *list,
                             const struct json_place *place, int kind, struct study_arms *out,
                             json_t *seen)
{
    static const char *const fields[] = {"key", "arms", NULL};
    int covariate = -1;
    for (size_t i = 0; i < out->count; i++) {
        struct json_place item = json_item(place, i);
        json_t *stratum = json_array_get(list, i);
        const char *key = NULL;
        if (!json_check_fields(stratum, &item, fields, reader->err) ||
            !study_read_key(stratum, &item, "key", 1, &key, reader->err) ||
            !study_once(seen, key, &item, "key", reader->err) ||
            !read_stratum(reader, stratum, &item, kind, &covariate, &out->strata[i],
                          out->bins ? &out->bins[i] : NULL))
            return false;
    }
    return true;
}

/* `arms` or `strata` of a metric or of a segment's value. */
bool study_read_arms(struct study_reader *reader, json_t *object, const struct json_place *place,
                     int kind, struct study_arms *out)
{
    json_t *list = NULL;
    int covariate = -1;
    if (!json_read_array(object, place, "strata", JSON_OPTIONAL, 1, SIZE_MAX, &list, reader->err))
        return false;
    if (list && study_given(object, "arms"))
        return json_fail_at(place, "strata", reader->err, "must not be given together with arms");
    out->count = list ? json_array_size(list) : 1;
    out->strata = arena_alloc(&reader->study->arena, out->count * sizeof *out->strata);
    if (reader->metric->binned)
        out->bins = arena_alloc(&reader->study->arena, out->count * sizeof *out->bins);
    if (!list)
        return read_stratum(reader, object, place, kind, &covariate, &out->strata[0], out->bins);
    struct json_place here = json_member(place, "strata");
    json_t *seen = json_object();
    bool fine = read_strata_list(reader, list, &here, kind, out, seen);
    json_decref(seen);
    return fine && study_pool_strata(reader, place, out);
}

/* --- segments --- */

/* Refuses a value that its segment has already. `groups` maps a segment to an object of its
 * values, in the order in which segments first appear. */
static bool note_segment(json_t *groups, const struct study_segment *segment,
                         const struct json_place *place, struct error *err)
{
    json_t *values = json_object_get(groups, segment->segment);
    if (!values) {
        values = json_object();
        if (json_object_set_new(groups, segment->segment, values) != 0)
            error_fatal("out of memory while reading a study");
    }
    return study_once(values, segment->value, place, "value", err);
}

static bool read_segment(struct study_reader *reader, json_t *json, const struct json_place *place,
                         int kind, struct study_segment *out)
{
    static const char *const fields[] = {"segment", "value", "arms", "strata", NULL};
    return json_check_fields(json, place, fields, reader->err) &&
           study_read_key(json, place, "segment", 1, &out->segment, reader->err) &&
           study_read_key(json, place, "value", 0, &out->value, reader->err) &&
           study_read_arms(reader, json, place, kind, &out->arms) &&
           study_read_asked(reader, json, place, &out->arms);
}

/* Puts the values of each segment together, in the order of first appearance: a stable sort by the
 * segment's number, which `groups` gets in place of its values. */
static void group_segments(struct study *study, struct study_metric *metric, json_t *groups)
{
    size_t count = metric->segment_count, *next, start = 0, group = 0;
    struct study_segment *sorted = arena_alloc(&study->arena, count * sizeof *sorted);
    const char *name;
    json_t *values;
    next = arena_alloc(&study->arena, json_object_size(groups) * sizeof *next);
    json_object_foreach(groups, name, values)
    {
        next[group] = start;
        start += json_object_size(values);
        json_object_clear(values);
        if (json_object_set_new(values, "", json_integer((json_int_t)group++)) != 0)
            error_fatal("out of memory while reading a study");
    }
    for (size_t i = 0; i < count; i++) {
        json_t *number = json_object_get(json_object_get(groups, metric->segments[i].segment), "");
        sorted[next[json_integer_value(number)]++] = metric->segments[i];
    }
    metric->segments = sorted;
}

static bool read_segment_list(struct study_reader *reader, json_t *list,
                              const struct json_place *place, struct study_metric *metric,
                              json_t *groups)
{
    for (size_t i = 0; i < metric->segment_count; i++) {
        struct json_place item = json_item(place, i);
        struct study_segment *segment = &metric->segments[i];
        if (!read_segment(reader, json_array_get(list, i), &item, metric->kind, segment) ||
            !note_segment(groups, segment, &item, reader->err))
            return false;
    }
    group_segments(reader->study, metric, groups);
    return true;
}

bool study_read_segments(struct study_reader *reader, json_t *json, const struct json_place *place,
                         struct study_metric *metric)
{
    json_t *list = NULL;
    if (!json_read_array(json, place, "segments", JSON_OPTIONAL, 0, SIZE_MAX, &list, reader->err))
        return false;
    if (!list)
        return true;
    struct json_place here = json_member(place, "segments");
    metric->has_segments = true;
    metric->segment_count = json_array_size(list);
    metric->segments =
        arena_alloc(&reader->study->arena, metric->segment_count * sizeof *metric->segments);
    json_t *groups = json_object();
    bool fine = read_segment_list(reader, list, &here, metric, groups);
    json_decref(groups);
    return fine;
}
