/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, reading: design, variants and metrics, with every refusal naming its place. Nothing is
 * computed here but the sample ratio, whose input is needed nowhere else. */
#include <math.h>
#include <stdio.h>

#include "core/json.h"
#include "core/study.h"
#include "core/study_parts.h"

const char *const study_method_words[] = {"sequential",       "msprt",    "exact",     "fixed",
                                          "group-sequential", "bayesian", "scheduled", NULL};
const char *const study_kind_words[] = {"binary", "mean", "ratio", "nps", "csat", "quantile", NULL};
const char *const study_effect_words[] = {"relative", "absolute", NULL};
const char *const study_sides_words[] = {"two", "greater", "less", NULL};
const char *const study_correction_words[] = {"none", "holm", "bh", "e-bh", NULL};
const char *const study_relative_words[] = {"delta", "fieller", NULL};
static const char *const goal_words[] = {"increase", "decrease", NULL};
static const char *const role_words[] = {"primary", "guardrail", "secondary", NULL};
static const char *const spending_words[] = {"obrien-fleming", "pocock", "kim-demets",
                                             "hwang-shih-decani", NULL};

/* What a method can do. */
struct method {
    bool one_sided, e_value;
};
static const struct method methods[] = {
    [STUDY_SEQUENTIAL] = {.one_sided = true, .e_value = true},
    [STUDY_MSPRT] = {.e_value = true},
    [STUDY_EXACT] = {.e_value = true},
    [STUDY_FIXED] = {.one_sided = true},
    [STUDY_GROUP_SEQUENTIAL] = {.one_sided = true},
    [STUDY_BAYESIAN] = {.one_sided = false},
    [STUDY_SCHEDULED] = {.one_sided = true},
};

static const double count_most = 9007199254740992.0; /* 2^53 */
enum { KEY_BYTES_MAX = 1000, LOOKS_MAX = 500 };

/* Information times closer than this make boundaries dear and tell nothing. */
static const double time_step = 1e-4;

bool study_given(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return value && !json_is_null(value);
}

bool study_read_key(json_t *object, const struct json_place *place, const char *name, size_t least,
                    const char **out, struct error *err)
{
    return json_read_string(object, place, name, JSON_REQUIRED, least, KEY_BYTES_MAX, out, err);
}

/* Refuses a key that is in `seen` and puts it there. */
bool study_once(json_t *seen, const char *key, const struct json_place *place, const char *name,
                struct error *err)
{
    if (json_object_get(seen, key))
        return json_fail_at(place, name, err, "is a repeated key");
    if (json_object_set_new(seen, key, json_true()) != 0)
        error_fatal("out of memory while reading a study");
    return true;
}

bool study_read_positive(json_t *object, const struct json_place *place, const char *name,
                         double *out, struct error *err)
{
    double value = 1;
    if (!json_read_number(object, place, name, JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL, &value, err))
        return false;
    if (!(value > 0))
        return json_fail_at(place, name, err, "must be above 0");
    if (study_given(object, name))
        *out = value;
    return true;
}

bool study_read_count(json_t *object, const struct json_place *place, const char *name, double *out,
                      struct error *err)
{
    int64_t value = 0;
    if (!json_read_integer(object, place, name, JSON_REQUIRED, 0, (int64_t)count_most, &value, err))
        return false;
    *out = (double)value;
    return true;
}

/* An array of `count` counts. */
/* Written as 5 or as 5.0. Integers are compared as such: 2^53 + 1 would become 2^53. */
static bool is_count(const json_t *value, double *out)
{
    *out = json_number_value(value);
    if (json_is_integer(value))
        return json_integer_value(value) >= 0 && json_integer_value(value) <= (int64_t)count_most;
    return json_is_real(value) && *out >= 0 && *out <= count_most && *out == floor(*out);
}

bool study_read_counts(json_t *object, const struct json_place *place, const char *name,
                       size_t count, double *out, struct error *err)
{
    struct json_place list = json_member(place, name);
    json_t *counts = NULL;
    if (!json_read_array(object, place, name, JSON_REQUIRED, count, count, &counts, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_item(&list, i);
        if (!is_count(json_array_get(counts, i), &out[i]))
            return json_fail(&item, err, "must be an integer from 0 to 9007199254740992");
    }
    return true;
}

/* --- the design --- */

/* Fields that a metric may override. */
static bool read_settings(json_t *object, const struct json_place *place,
                          struct study_settings *settings, struct error *err)
{
    double alpha = settings->alpha;
    if (!json_read_word(object, place, "method", JSON_OPTIONAL, study_method_words,
                        &settings->method, err) ||
        !json_read_word(object, place, "effect", JSON_OPTIONAL, study_effect_words,
                        &settings->effect, err) ||
        !json_read_word(object, place, "sides", JSON_OPTIONAL, study_sides_words, &settings->sides,
                        err) ||
        !json_read_number(object, place, "alpha", JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL, &alpha, err))
        return false;
    if (!(alpha > 0 && alpha < 1))
        return json_fail_at(place, "alpha", err, "must be between 0 and 1, both excluded");
    settings->alpha = alpha;
    return true;
}

static bool read_prior(json_t *design, const struct json_place *place, struct prior *out,
                       struct error *err)
{
    static const char *const fields[] = {"mean", "sd", "proper", NULL};
    json_t *prior = NULL;
    if (!json_read_object(design, place, "prior", JSON_OPTIONAL, &prior, err) || !prior)
        return err->code == ERROR_NONE;
    struct json_place here = json_member(place, "prior");
    return json_check_fields(prior, &here, fields, err) &&
           json_read_number(prior, &here, "mean", JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL, &out->mean,
                            err) &&
           study_read_positive(prior, &here, "sd", &out->sd, err) &&
           json_read_bool(prior, &here, "proper", JSON_OPTIONAL, &out->proper, err);
}

/* Increasing shares of the information, the last of them 1. */
static bool read_times(struct study *study, json_t *spending, const struct json_place *place,
                       struct error *err)
{
    json_t *times = NULL;
    if (!json_read_array(spending, place, "times", JSON_REQUIRED, 1, LOOKS_MAX, &times, err))
        return false;
    struct json_place list = json_member(place, "times");
    double last = 0;
    size_t looks = json_array_size(times);
    double *out = arena_alloc(&study->arena, looks * sizeof *out);
    study->spending.group.times = out;
    study->spending.group.looks = looks;
    for (size_t i = 0; i < looks; i++) {
        struct json_place item = json_item(&list, i);
        json_t *time = json_array_get(times, i);
        if (!json_is_number(time))
            return json_fail(&item, err, "must be a number");
        if (!(json_number_value(time) > last))
            return json_fail(&item, err, "must be above %s", i ? "the one before it" : "0");
        if (json_number_value(time) - last < time_step)
            return json_fail(&item, err, "must be at least %g above %s", time_step,
                             i ? "the one before it" : "0");
        last = out[i] = json_number_value(time);
    }
    return last == 1 || json_fail(&list, err, "must end with 1");
}

bool study_read_spending(struct study *study, json_t *design, const struct json_place *place,
                         enum json_need look_need, struct error *err)
{
    static const char *const fields[] = {"function", "gamma", "times", "look", NULL};
    json_t *spending = NULL;
    int function = 0;
    double gamma = 1;
    int64_t look = 1;
    if (!json_read_object(design, place, "spending", JSON_OPTIONAL, &spending, err) || !spending)
        return err->code == ERROR_NONE;
    struct json_place here = json_member(place, "spending");
    if (!json_check_fields(spending, &here, fields, err) ||
        !json_read_word(spending, &here, "function", JSON_REQUIRED, spending_words, &function,
                        err) ||
        !json_read_number(spending, &here, "gamma", JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL, &gamma,
                          err) ||
        !read_times(study, spending, &here, err) ||
        !json_read_integer(spending, &here, "look", look_need, 1,
                           (int64_t)study->spending.group.looks, &look, err))
        return false;
    study->spending.given = true;
    study->spending.look = (size_t)look;
    study->spending.group.function = (enum group_spending)function;
    study->spending.group.gamma = gamma;
    bool kim_demets = strcmp(spending_words[function], "kim-demets") == 0;
    return !kim_demets || gamma > 0 ||
           json_fail_at(&here, "gamma", err, "must be above 0 for kim-demets");
}

static bool read_design(struct study_reader *reader, json_t *json)
{
    static const char *const fields[] = {
        "method",           "alpha",      "sides",    "effect",   "tuning",   "prior", "spending",
        "mixture_variance", "correction", "best_arm", "schedule", "relative", NULL};
    struct error *err = reader->err;
    struct json_place place = json_member(JSON_TOP, "design");
    int relative = 0;
    if (!json_read_object(json, JSON_TOP, "design", JSON_OPTIONAL, &reader->design, err))
        return false;
    json_t *design = reader->design;
    if (!design)
        return true;
    if (!json_check_fields(design, &place, fields, err) ||
        !read_settings(design, &place, &reader->settings, err) ||
        !study_read_positive(design, &place, "tuning", &reader->settings.tuning, err) ||
        !study_read_positive(design, &place, "mixture_variance", &reader->settings.mixture_variance,
                             err) ||
        !json_read_word(design, &place, "correction", JSON_OPTIONAL, study_correction_words,
                        &reader->study->correction, err) ||
        !read_prior(design, &place, &reader->settings.prior, err) ||
        !study_read_spending(reader->study, design, &place, JSON_REQUIRED, err) ||
        !study_read_schedule(reader->study, design, &place, err) ||
        !json_read_word(design, &place, "relative", JSON_OPTIONAL, study_relative_words, &relative,
                        err) ||
        !json_read_bool(design, &place, "best_arm", JSON_OPTIONAL, &reader->study->best_arm, err))
        return false;
    reader->settings.fieller = relative == 1;
    return true;
}

/* --- variants --- */

static bool read_variant(struct study_reader *reader, json_t *json, const struct json_place *place,
                         struct study_variant *variant, json_t *seen)
{
    static const char *const fields[] = {"key", "weight", "exposed", "levels", NULL};
    struct error *err = reader->err;
    variant->weight = 1;
    if (!json_check_fields(json, place, fields, err) ||
        !study_read_key(json, place, "key", 1, &variant->key, err) ||
        !study_once(seen, variant->key, place, "key", err) ||
        !json_read_number(json, place, "weight", JSON_OPTIONAL, 0, HUGE_VAL, &variant->weight, err))
        return false;
    return !study_given(json, "exposed") ||
           study_read_count(json, place, "exposed", &variant->exposed, err);
}

static bool read_variant_list(struct study_reader *reader, json_t *list, json_t *seen)
{
    struct study *study = reader->study;
    struct json_place place = json_member(JSON_TOP, "variants");
    bool first = study_given(json_array_get(list, 0), "exposed");
    double weight = 0;
    for (size_t i = 0; i < study->variant_count; i++) {
        struct json_place item = json_item(&place, i);
        json_t *json = json_array_get(list, i);
        if (!read_variant(reader, json, &item, &study->variants[i], seen))
            return false;
        if (study_given(json, "exposed") != first)
            return json_fail_at(&item, "exposed", reader->err,
                                "must be given for all variants or for none");
        weight = fmax(weight, study->variants[i].weight);
    }
    study->has_srm = first;
    return weight > 0 || json_fail(&place, reader->err, "at least one weight must be above 0");
}

static bool read_variants(struct study_reader *reader, json_t *json)
{
    struct study *study = reader->study;
    json_t *list = NULL;
    if (!json_read_array(json, JSON_TOP, "variants", JSON_REQUIRED, 2, SIZE_MAX, &list,
                         reader->err))
        return false;
    study->variant_count = json_array_size(list);
    study->variants = arena_alloc(&study->arena, study->variant_count * sizeof *study->variants);
    json_t *seen = json_object();
    bool fine = read_variant_list(reader, list, seen);
    json_decref(seen);
    return fine && study_read_levels(reader, list) && study_judge_best(reader);
}

/* --- the sample ratio --- */

static double *numbers(struct study *study)
{
    return arena_alloc(&study->arena, study->variant_count * sizeof(double));
}

/* The sample ratio of variants[].exposed. */
static void test_variants(struct study *study)
{
    double *exposed = numbers(study), *weights = numbers(study);
    for (size_t i = 0; i < study->variant_count; i++) {
        exposed[i] = study->variants[i].exposed;
        weights[i] = study->variants[i].weight;
    }
    study->srm = srm_test(exposed, weights, study->variant_count);
}

static bool read_weights(struct study_reader *reader, json_t *stratum,
                         const struct json_place *place, double *out)
{
    size_t count = reader->study->variant_count;
    struct json_place list = json_member(place, "weights");
    json_t *weights = NULL;
    double most = 0;
    if (!json_read_array(stratum, place, "weights", JSON_REQUIRED, count, count, &weights,
                         reader->err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_item(&list, i);
        json_t *value = json_array_get(weights, i);
        out[i] = json_number_value(value);
        if (!json_is_number(value) || !(out[i] >= 0) || !isfinite(out[i]))
            return json_fail(&item, reader->err, "must be a number of at least 0");
        most = fmax(most, out[i]);
    }
    return most > 0 || json_fail(&list, reader->err, "at least one weight must be above 0");
}

static bool read_srm_stratum(struct study_reader *reader, json_t *json,
                             const struct json_place *place, json_t *seen, struct srm *srm)
{
    static const char *const fields[] = {"key", "weights", "exposed", NULL};
    struct study *study = reader->study;
    double *weights = numbers(study), *exposed = numbers(study);
    const char *key = NULL;
    if (!json_check_fields(json, place, fields, reader->err) ||
        !study_read_key(json, place, "key", 1, &key, reader->err) ||
        !study_once(seen, key, place, "key", reader->err) ||
        !read_weights(reader, json, place, weights) ||
        !study_read_counts(json, place, "exposed", study->variant_count, exposed, reader->err))
        return false;
    *srm = srm_test(exposed, weights, study->variant_count);
    return true;
}

static bool read_srm_list(struct study_reader *reader, json_t *list, json_t *seen)
{
    struct json_place place = json_member(JSON_TOP, "srm_strata");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct json_place item = json_item(&place, i);
        struct srm srm;
        if (!read_srm_stratum(reader, json_array_get(list, i), &item, seen, &srm))
            return false;
        reader->study->srm = i ? srm_add(reader->study->srm, srm) : srm;
    }
    return true;
}

static bool read_srm(struct study_reader *reader, json_t *json)
{
    json_t *list = NULL;
    reader->study->srm_before = 1;
    if (!json_read_number(json, JSON_TOP, "srm_before", JSON_OPTIONAL, 0, 1,
                          &reader->study->srm_before, reader->err))
        return false;
    if (!json_read_array(json, JSON_TOP, "srm_strata", JSON_OPTIONAL, 1, SIZE_MAX, &list,
                         reader->err))
        return false;
    if (reader->study->has_srm)
        test_variants(reader->study);
    if (!list)
        return true;
    if (reader->study->has_srm)
        return json_fail_at(JSON_TOP, "srm_strata", reader->err,
                            "must not be given together with variants[].exposed");
    reader->study->has_srm = true;
    json_t *seen = json_object();
    bool fine = read_srm_list(reader, list, seen);
    json_decref(seen);
    return fine;
}

/* --- metrics --- */

/* A metric whose settings are to be judged. */
struct judged {
    const struct study_reader *reader;
    json_t *json;
    const struct json_place *place;
    const struct study_metric *metric;
};

/* Refuses a setting where it was given: in the metric, else in the design. */
static bool refuse(const struct judged *judged, const char *name, const char *why)
{
    static const struct json_place design = {NULL, "design", 0};
    bool own = study_given(judged->json, name) || !study_given(judged->reader->design, name);
    json_fail_at(own ? judged->place : &design, name, judged->reader->err, "%s", why);
    return false;
}

static bool judge_exact(const struct judged *judged)
{
    if (moments_categories((enum moments_kind)judged->metric->kind) == 0)
        return refuse(judged, "method", "exact is for binary, nps and csat metrics only");
    if (judged->metric->settings.effect != EFFECT_ABSOLUTE)
        return refuse(judged, "effect", "must be absolute for method exact");
    return true;
}

static bool judge_quantile(const struct judged *judged)
{
    const struct study_settings *settings = &judged->metric->settings;
    if (settings->method != STUDY_SEQUENTIAL && settings->method != STUDY_EXACT)
        return refuse(judged, "method", "must be sequential or exact for a quantile metric");
    return settings->sides == SIDES_TWO ||
           refuse(judged, "sides", "must be two for a quantile metric");
}

/* Whether the method can do what is asked of it. */
static bool judge(const struct judged *judged)
{
    const struct study_metric *metric = judged->metric;
    const struct study_settings *settings = &metric->settings;
    const struct method *method = &methods[settings->method];
    bool one_sided = settings->sides != SIDES_TWO;
    if (one_sided && !method->one_sided)
        return refuse(judged, "sides", "must be two for this method");
    bool sequence = settings->method == STUDY_SEQUENTIAL || settings->method == STUDY_SCHEDULED;
    if (one_sided && sequence && settings->alpha >= 0.5)
        return refuse(judged, "alpha", "must be below 0.5 for a one-sided sequential test");
    if (one_sided && study_by_fieller(settings) && settings->alpha >= 0.5)
        return refuse(judged, "alpha", "must be below 0.5 for a one-sided test by fieller");
    bool quantile = metric->kind == STUDY_QUANTILE;
    if (quantile && !judge_quantile(judged))
        return false;
    if (settings->method == STUDY_EXACT && !quantile && !judge_exact(judged))
        return false;
    if (settings->method == STUDY_GROUP_SEQUENTIAL && !judged->reader->study->spending.given)
        return refuse(judged, "method", "group-sequential needs design.spending");
    if (settings->method == STUDY_SCHEDULED && !judged->reader->study->schedule.given)
        return refuse(judged, "method", "scheduled needs design.schedule");
    bool corrected =
        judged->reader->study->correction == STUDY_E_BH && metric->role != STUDY_GUARDRAIL;
    if (corrected && !method->e_value)
        return refuse(judged, "method", "has no e-value, which correction e-bh needs");
    if (corrected && one_sided)
        return refuse(judged, "sides",
                      "must be two: a one-sided test has no e-value, which correction e-bh needs");
    return true;
}

static bool read_metric(struct study_reader *reader, json_t *json, const struct json_place *place,
                        struct study_metric *metric, json_t *seen)
{
    static const char *const fields[] = {
        "key",         "kind",   "goal",   "method",         "effect",   "alpha",
        "sides",       "role",   "margin", "arms",           "strata",   "segments",
        "respondents", "before", "looks",  "cap_percentile", "quantile", NULL};
    struct error *err = reader->err;
    metric->settings = reader->settings;
    metric->role = STUDY_NO_ROLE;
    metric->has_margin = study_given(json, "margin");
    if (!json_check_fields(json, place, fields, err) ||
        !study_read_key(json, place, "key", 1, &metric->key, err) ||
        !study_once(seen, metric->key, place, "key", err) ||
        !json_read_word(json, place, "kind", JSON_REQUIRED, study_kind_words, &metric->kind, err) ||
        !json_read_word(json, place, "goal", JSON_OPTIONAL, goal_words, &metric->goal, err) ||
        !json_read_word(json, place, "role", JSON_OPTIONAL, role_words, &metric->role, err) ||
        !json_read_number(json, place, "margin", JSON_OPTIONAL, 0, HUGE_VAL, &metric->margin,
                          err) ||
        !read_settings(json, place, &metric->settings, err) ||
        !study_read_bin_fields(json, place, metric, err))
        return false;
    struct judged judged = {reader, json, place, metric};
    reader->metric = metric;
    reader->bins_covariate = -1;
    return judge(&judged) && study_read_arms(reader, json, place, metric->kind, &metric->arms) &&
           study_read_asked(reader, json, place, &metric->arms) &&
           study_read_respondents(reader, json, place, metric) &&
           study_read_before(reader, json, place, metric) &&
           study_read_looks(reader, json, place, metric) &&
           study_read_segments(reader, json, place, metric) &&
           study_cap_metric(reader, place, metric);
}

static bool read_metrics(struct study_reader *reader, json_t *json)
{
    struct study *study = reader->study;
    struct json_place place = json_member(JSON_TOP, "metrics");
    json_t *list = NULL;
    if (!json_read_array(json, JSON_TOP, "metrics", JSON_REQUIRED, 0, SIZE_MAX, &list, reader->err))
        return false;
    study->metric_count = json_array_size(list);
    study->metrics = arena_alloc(&study->arena, study->metric_count * sizeof *study->metrics);
    json_t *seen = json_object();
    bool fine = true;
    for (size_t i = 0; fine && i < study->metric_count; i++) {
        struct json_place item = json_item(&place, i);
        fine = read_metric(reader, json_array_get(list, i), &item, &study->metrics[i], seen);
    }
    json_decref(seen);
    return fine;
}

bool study_read(json_t *json, struct study *study, struct error *err)
{
    static const char *const fields[] = {"design",     "variants",   "metrics",
                                         "srm_strata", "srm_before", NULL};
    struct study_reader reader = {
        .study = study,
        .settings = {.method = STUDY_SEQUENTIAL,
                     .effect = EFFECT_RELATIVE,
                     .sides = SIDES_TWO,
                     .alpha = 0.05,
                     .tuning = 5000,
                     .mixture_variance = 0.0001,
                     .prior = {.proper = false, .mean = 0, .sd = 0.3}},
        .err = err,
    };
    return json_check_fields(json, JSON_TOP, fields, err) && read_design(&reader, json) &&
           read_variants(&reader, json) && read_srm(&reader, json) && read_metrics(&reader, json);
}
