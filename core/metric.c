/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics: parsing with the place of every fault, the stored form, references.
 * The JSON of a metric is written from the parsed fields, so that what is shown is what counts. */
#include "core/metric.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/json.h"
#include "core/when.h"

enum { NAME_MOST = 200, EVENT_MOST = 256, DAYS_MOST = 730, COVARIATE_MOST = 365 };
#define AMOUNT_MOST 1e15

struct metric_private {
    struct arena arena;
    atomic_uint refs;
};

static const char *const kind_words[] = {
#define METRIC_KIND(name, word, survey) word,
#include "core/metric.def"
#undef METRIC_KIND
    NULL};
static const char *const goal_words[] = {"increase", "decrease", NULL};
static const char *const role_words[] = {"primary", "guardrail", "secondary", NULL};
static const char *const server_fields[] = {"version", "created_at", NULL};
static const char *const stored_fields[] = {
    "key",    "name",        "kind",           "event",          "denominator",
    "goal",   "window_days", "from_days",      "to_days",        "cap",
    "margin", "min_effect",  "unit_value",     "covariate_days", "version",
    "number", "created_at",  "cap_percentile", "quantile",       NULL};

const char *metric_kind_word(enum metric_kind kind)
{
    return kind_words[kind];
}

const char *metric_unit_word(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_BINARY:
    case METRIC_RETENTION:
    case METRIC_CSAT:
        return "share";
    case METRIC_NPS:
        return "points";
    default:
        return "number";
    }
}

const char *metric_role_word(enum metric_role role)
{
    return role_words[role];
}

bool metric_kind_is_survey(enum metric_kind kind)
{
    static const bool surveys[] = {
#define METRIC_KIND(name, word, survey) survey,
#include "core/metric.def"
#undef METRIC_KIND
    };
    return surveys[kind];
}

bool metric_needs_bins(const struct metric *metric)
{
    return metric->kind == METRIC_QUANTILE || metric->cap_percentile > 0;
}

void metric_kind_scores(enum metric_kind kind, int *least, int *most)
{
    must(metric_kind_is_survey(kind));
    *least = kind == METRIC_NPS ? 0 : 1;
    *most = kind == METRIC_NPS ? 10 : kind == METRIC_CSAT ? 5 : 7;
}

/* --- parsing --- */

/* Refuses a field that this kind does not use. */
static bool only_for(json_t *object, const char *field, bool used, enum metric_kind kind,
                     struct error *err)
{
    json_t *value = json_object_get(object, field);
    if (used || !value || json_is_null(value))
        return true;
    return json_fail_at(JSON_TOP, field, err, "is not for a metric of kind %s", kind_words[kind]);
}

static bool fields_fit(json_t *object, enum metric_kind kind, struct error *err)
{
    bool ratio = kind == METRIC_RATIO, retention = kind == METRIC_RETENTION;
    bool covariate = kind == METRIC_BINARY || kind == METRIC_MEAN || kind == METRIC_COUNT;
    return only_for(object, "denominator", ratio, kind, err) &&
           only_for(object, "from_days", retention, kind, err) &&
           only_for(object, "to_days", retention, kind, err) &&
           only_for(object, "window_days", !retention, kind, err) &&
           only_for(object, "covariate_days", covariate, kind, err) &&
           only_for(object, "cap", kind == METRIC_MEAN, kind, err) &&
           only_for(object, "cap_percentile", kind == METRIC_MEAN, kind, err) &&
           only_for(object, "quantile", kind == METRIC_QUANTILE, kind, err);
}

static bool read_days(json_t *object, const char *name, enum json_need need, int least, int most,
                      int *out, struct error *err)
{
    int64_t days = *out;
    if (!json_read_integer(object, JSON_TOP, name, need, least, most, &days, err))
        return false;
    *out = (int)days;
    return true;
}

static bool read_window(struct metric *metric, json_t *object, struct error *err)
{
    if (metric->kind == METRIC_RETENTION) {
        if (!read_days(object, "from_days", JSON_REQUIRED, 0, DAYS_MOST, &metric->from_days, err) ||
            !read_days(object, "to_days", JSON_REQUIRED, 1, DAYS_MOST, &metric->to_days, err))
            return false;
        metric->window_days = metric->to_days;
        return metric->from_days < metric->to_days ||
               json_fail_at(JSON_TOP, "to_days", err, "must be above from_days");
    }
    return read_days(object, "window_days", JSON_OPTIONAL, 1, DAYS_MOST, &metric->window_days,
                     err) &&
           read_days(object, "covariate_days", JSON_OPTIONAL, 0, COVARIATE_MOST,
                     &metric->covariate_days, err);
}

static bool read_amounts(struct metric *metric, json_t *object, struct error *err)
{
    if (!json_read_number(object, JSON_TOP, "min_effect", JSON_OPTIONAL, 0, AMOUNT_MOST,
                          &metric->min_effect, err) ||
        !json_read_number(object, JSON_TOP, "margin", JSON_OPTIONAL, 0, AMOUNT_MOST,
                          &metric->margin, err) ||
        !json_read_number(object, JSON_TOP, "cap", JSON_OPTIONAL, 0, AMOUNT_MOST, &metric->cap,
                          err) ||
        !json_read_number(object, JSON_TOP, "unit_value", JSON_OPTIONAL, -AMOUNT_MOST, AMOUNT_MOST,
                          &metric->unit_value, err))
        return false;
    return metric->cap > 0 || json_fail_at(JSON_TOP, "cap", err, "must be above 0");
}

/* What needs the distribution of values. */
static bool read_distribution(struct metric *metric, json_t *object, struct error *err)
{
    enum json_need need = metric->kind == METRIC_QUANTILE ? JSON_REQUIRED : JSON_OPTIONAL;
    double percentile = 99;
    if (!json_read_number(object, JSON_TOP, "cap_percentile", JSON_OPTIONAL, 50, 100, &percentile,
                          err) ||
        !json_read_number(object, JSON_TOP, "quantile", need, 0.5, 0.99, &metric->quantile, err))
        return false;
    json_t *given = json_object_get(object, "cap_percentile");
    if (!given || json_is_null(given))
        return true;
    if (!(percentile > 50 && percentile < 100))
        return json_fail_at(JSON_TOP, "cap_percentile", err,
                            "must be between 50 and 100, both excluded");
    metric->cap_percentile = percentile;
    return isinf(metric->cap) ||
           json_fail_at(JSON_TOP, "cap_percentile", err, "must not be given together with cap");
}

static bool read_names(struct metric *metric, json_t *object, struct error *err)
{
    struct arena *arena = &metric->private->arena;
    const char *key = NULL, *name = NULL, *event = NULL, *denominator = NULL;
    int kind = 0, goal = GOAL_INCREASE;
    if (!json_read_key(object, JSON_TOP, "key", JSON_REQUIRED, &key, err) ||
        !json_read_string(object, JSON_TOP, "name", JSON_OPTIONAL, 1, NAME_MOST, &name, err) ||
        !json_read_word(object, JSON_TOP, "kind", JSON_REQUIRED, kind_words, &kind, err) ||
        !fields_fit(object, (enum metric_kind)kind, err) ||
        !json_read_word(object, JSON_TOP, "goal", JSON_OPTIONAL, goal_words, &goal, err))
        return false;
    bool survey = metric_kind_is_survey((enum metric_kind)kind);
    enum json_need division = kind == METRIC_RATIO ? JSON_REQUIRED : JSON_OPTIONAL;
    if (!json_read_string(object, JSON_TOP, "event", survey ? JSON_OPTIONAL : JSON_REQUIRED, 1,
                          EVENT_MOST, &event, err) ||
        !json_read_string(object, JSON_TOP, "denominator", division, 1, EVENT_MOST, &denominator,
                          err))
        return false;
    metric->key = arena_strdup(arena, key);
    metric->name = arena_strdup(arena, name ? name : key);
    metric->kind = (enum metric_kind)kind;
    metric->goal = (enum metric_goal)goal;
    metric->event = arena_strdup(arena, event ? event : kind_words[kind]);
    metric->denominator = denominator ? arena_strdup(arena, denominator) : NULL;
    return true;
}

static bool read_server(struct metric *metric, json_t *object, struct error *err)
{
    int64_t number = 0;
    if (!json_read_integer(object, JSON_TOP, "number", JSON_REQUIRED, 1, UINT32_MAX, &number,
                           err) ||
        !json_read_integer(object, JSON_TOP, "version", JSON_REQUIRED, 1, INT64_C(1) << 53,
                           &metric->version, err) ||
        !json_read_time(object, JSON_TOP, "created_at", JSON_REQUIRED, &metric->created_at, err))
        return false;
    metric->number = (uint32_t)number;
    return true;
}

static void put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        error_fatal("out of memory while writing a metric");
}

static json_t *write_json(const struct metric *metric)
{
    bool retention = metric->kind == METRIC_RETENTION;
    json_t *object = json_object();
    put(object, "key", json_string(metric->key));
    put(object, "name", json_string(metric->name));
    put(object, "kind", json_string(kind_words[metric->kind]));
    put(object, "event", json_string(metric->event));
    if (metric->denominator)
        put(object, "denominator", json_string(metric->denominator));
    put(object, "goal", json_string(goal_words[metric->goal]));
    if (retention) {
        put(object, "from_days", json_integer(metric->from_days));
        put(object, "to_days", json_integer(metric->to_days));
    } else {
        put(object, "window_days", json_integer(metric->window_days));
    }
    if (metric->covariate_days > 0)
        put(object, "covariate_days", json_integer(metric->covariate_days));
    if (metric->min_effect > 0)
        put(object, "min_effect", json_figure(metric->min_effect));
    if (metric->margin > 0)
        put(object, "margin", json_figure(metric->margin));
    if (isfinite(metric->cap))
        put(object, "cap", json_figure(metric->cap));
    if (metric->cap_percentile > 0)
        put(object, "cap_percentile", json_figure(metric->cap_percentile));
    if (metric->quantile > 0)
        put(object, "quantile", json_figure(metric->quantile));
    if (!isnan(metric->unit_value))
        put(object, "unit_value", json_figure(metric->unit_value));
    put(object, "version", json_integer(metric->version));
    put(object, "created_at", json_when(metric->created_at));
    return object;
}

/* A metric from a definition that has the server's fields and the number in it. */
static struct metric *parse(json_t *whole, struct error *err)
{
    if (!json_check_fields(whole, JSON_TOP, stored_fields, err))
        return NULL;
    struct metric *metric = xcalloc(1, sizeof *metric);
    metric->private = xcalloc(1, sizeof *metric->private);
    atomic_init(&metric->private->refs, 1);
    metric->window_days = 14;
    metric->cap = HUGE_VAL;
    metric->unit_value = NAN;
    if (!read_names(metric, whole, err) || !read_window(metric, whole, err) ||
        !read_amounts(metric, whole, err) || !read_distribution(metric, whole, err) ||
        !read_server(metric, whole, err)) {
        metric_unref(&metric);
        return NULL;
    }
    metric->json = write_json(metric);
    return metric;
}

/* --- making --- */

/* The fields of input under the server's fields given; NULL where input is no object or tries to
 * name the number itself. */
static json_t *under_server(json_t *input, uint32_t number, int64_t version, int64_t created_at,
                            struct error *err)
{
    if (!json_is_object(input)) {
        json_fail(JSON_TOP, err, "must be an object");
        return NULL;
    }
    if (json_object_get(input, "number")) {
        json_fail_at(JSON_TOP, "number", err, "unknown field");
        return NULL;
    }
    json_t *whole = json_copy(input);
    put(whole, "number", json_integer(number));
    put(whole, "version", json_integer(version));
    put(whole, "created_at", json_when(created_at));
    return whole;
}

struct metric *metric_create(json_t *input, uint32_t number, int64_t now, struct error *err)
{
    for (size_t i = 0; server_fields[i]; i++) {
        json_t *value = json_object_get(input, server_fields[i]);
        if (value && !json_is_null(value)) {
            json_fail_at(JSON_TOP, server_fields[i], err, "is set by the server");
            return NULL;
        }
    }
    json_t *whole = under_server(input, number, 1, now, err);
    struct metric *metric = whole ? parse(whole, err) : NULL;
    json_decref(whole);
    return metric;
}

struct metric *metric_amend(const struct metric *metric, json_t *input, struct error *err)
{
    if (!json_check_same(input, metric->json, server_fields, err))
        return NULL;
    json_t *whole =
        under_server(input, metric->number, metric->version + 1, metric->created_at, err);
    if (whole && !json_object_get(whole, "key"))
        put(whole, "key", json_string(metric->key));
    struct metric *next = whole ? parse(whole, err) : NULL;
    json_decref(whole);
    if (next && strcmp(next->key, metric->key) != 0)
        error_set(err, ERROR_CONFLICT, "key", "cannot be changed (it is \"%s\")", metric->key);
    else if (next && next->kind != metric->kind)
        error_set(err, ERROR_CONFLICT, "kind", "cannot be changed (it is %s)",
                  kind_words[metric->kind]);
    if (err->code != ERROR_NONE)
        metric_unref(&next);
    return next;
}

void metric_counted(const struct metric *metric, struct text *out)
{
    const char *denominator = metric->denominator ? metric->denominator : "";
    /* With the length of the first name, so that no two pairs of names read alike. */
    text_printf(out, "%s %zu %s %s %d %d %d %d %.17g", metric_kind_word(metric->kind),
                strlen(metric->event), metric->event, denominator, metric->window_days,
                metric->covariate_days, metric->from_days, metric->to_days, metric->cap);
    /* Only where given: the lines that older looks hold must stay what they were. */
    if (metric->cap_percentile > 0)
        text_printf(out, " p%.17g", metric->cap_percentile);
    if (metric->quantile > 0)
        text_printf(out, " q%.17g", metric->quantile);
}

bool metric_counts_differently(const struct metric *a, const struct metric *b)
{
    struct text one, other;
    text_init(&one, METRIC_COUNTED_MAX);
    text_init(&other, METRIC_COUNTED_MAX);
    metric_counted(a, &one);
    metric_counted(b, &other);
    bool differ = strcmp(one.ptr, other.ptr) != 0;
    text_release(&one);
    text_release(&other);
    return differ;
}

/* --- the stored form --- */

struct metric *metric_from_stored(const char *text, size_t len, struct error *err)
{
    struct error why = {0};
    json_t *whole = json_parse(text, len, &why);
    struct metric *metric = whole ? parse(whole, &why) : NULL;
    json_decref(whole);
    if (!metric)
        error_set(err, ERROR_CORRUPT, why.place, "stored metric: %s", why.message);
    return metric;
}

json_t *metric_whole(const struct metric *metric)
{
    json_t *whole = json_copy(metric->json);
    put(whole, "number", json_integer(metric->number));
    return whole;
}

char *metric_stored(const struct metric *metric)
{
    json_t *whole = metric_whole(metric);
    char *text = json_text(whole);
    json_decref(whole);
    return text;
}

const json_t *metric_json(const struct metric *metric)
{
    return metric->json;
}

struct metric *metric_ref(const struct metric *metric)
{
    atomic_fetch_add_explicit(&metric->private->refs, 1, memory_order_relaxed);
    return (struct metric *)metric;
}

void metric_unref(struct metric **metric)
{
    struct metric *old = *metric;
    *metric = NULL;
    if (!old || atomic_fetch_sub_explicit(&old->private->refs, 1, memory_order_acq_rel) > 1)
        return;
    json_decref(old->json);
    arena_release(&old->private->arena);
    free(old->private);
    free(old);
}
