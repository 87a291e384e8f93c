/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, scheduled looks: the plan of an experiment that is watched (design.schedule), the looks
 * that a comparison has had (metrics[].looks), and what is claimed of it at this one. */
#include <math.h>
#include <string.h>

#include "core/json.h"
#include "core/study_parts.h"
#include "stats/scheduled.h"

enum { LOOKS_MAX = 1000 };

/* With less than this in an arm an effect is not nearly normal enough for boundaries beyond two
 * standard errors, above all where arms are of unequal size; the look is left out, and what it
 * would have spent is there for the next. With 25 conversions in the smaller of arms of 90 to
 * 10, 5.05% of runs erred at 5%; from the first on, 10%. */
static const double units_least = 100, conversions_least = 25;

/* --- reading --- */

bool study_read_schedule(struct study *study, json_t *design, const struct json_place *place,
                         struct error *err)
{
    static const char *const fields[] = {"horizon", "customers", "look", NULL};
    struct study_schedule *schedule = &study->schedule;
    struct json_place here = json_member(place, "schedule");
    json_t *object = NULL;
    if (!json_read_object(design, place, "schedule", JSON_OPTIONAL, &object, err))
        return false;
    schedule->given = object != NULL;
    if (!object)
        return true;
    return json_check_fields(object, &here, fields, err) &&
           json_read_number(object, &here, "horizon", JSON_REQUIRED, 1, 1e15, &schedule->horizon,
                            err) &&
           study_read_count(object, &here, "customers", &schedule->customers, err) &&
           json_read_bool(object, &here, "look", JSON_REQUIRED, &schedule->look, err);
}

/* Figures of the looks, one each, that never fall; rising where `rise`. */
static bool read_figures(json_t *json, const struct json_place *place, const char *name,
                         size_t count, bool rise, double *out, struct error *err)
{
    struct json_place list = json_member(place, name);
    json_t *figures = NULL;
    if (!json_read_array(json, place, name, JSON_REQUIRED, count, count, &figures, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_item(&list, i);
        json_t *figure = json_array_get(figures, i);
        out[i] = json_number_value(figure);
        if (!json_is_number(figure) || !isfinite(out[i]))
            return json_fail(&item, err, "must be a number");
        if (rise && !(out[i] > (i ? out[i - 1] * (1 + SCHEDULED_STEP) : 0)))
            return json_fail(&item, err, "must be above %s", i ? "the one before it" : "0");
    }
    return true;
}

static bool read_share(const struct json_place *place, const struct study_looks *looks,
                       struct error *err)
{
    struct json_place list = json_member(place, "share");
    for (size_t i = 0; i < looks->count; i++) {
        struct json_place item = json_item(&list, i);
        if (!(looks->share[i] >= 0 && looks->share[i] <= 1))
            return json_fail(&item, err, "must be from 0 to 1");
        if (i && looks->share[i] < looks->share[i - 1])
            return json_fail(&item, err, "must not be below the one before it");
    }
    return true;
}

/* Room for one more look than there were. */
static void make_room(struct study *study, struct study_looks *looks, size_t count)
{
    looks->count = count;
    looks->information = arena_alloc(&study->arena, (count + 1) * sizeof(double));
    looks->share = arena_alloc(&study->arena, (count + 1) * sizeof(double));
    looks->critical = arena_alloc(&study->arena, (count + 1) * sizeof(double));
}

static bool read_looks(struct study_reader *reader, json_t *json, const struct json_place *place,
                       struct study_looks *looks)
{
    static const char *const fields[] = {"information", "share", "critical", NULL};
    struct error *err = reader->err;
    json_t *information = NULL;
    if (json_is_null(json))
        return true;
    if (!json_check_fields(json, place, fields, err) ||
        !json_read_array(json, place, "information", JSON_REQUIRED, 0, LOOKS_MAX, &information,
                         err))
        return false;
    make_room(reader->study, looks, json_array_size(information));
    return read_figures(json, place, "information", looks->count, true, looks->information, err) &&
           read_figures(json, place, "share", looks->count, false, looks->share, err) &&
           read_figures(json, place, "critical", looks->count, false, looks->critical, err) &&
           read_share(place, looks, err);
}

bool study_read_looks(struct study_reader *reader, json_t *json, const struct json_place *place,
                      struct study_metric *metric)
{
    struct study *study = reader->study;
    size_t count = study->variant_count - 1;
    struct json_place here = json_member(place, "looks");
    json_t *list = NULL;
    bool scheduled = metric->settings.method == STUDY_SCHEDULED;
    if (!json_read_array(json, place, "looks", JSON_OPTIONAL, count, count, &list, reader->err))
        return false;
    if (list && !scheduled)
        return json_fail_at(place, "looks", reader->err, "is for method scheduled");
    if (!scheduled)
        return true;
    metric->looks = arena_alloc(&study->arena, count * sizeof *metric->looks);
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_item(&here, i);
        make_room(study, &metric->looks[i], 0);
        if (list && !read_looks(reader, json_array_get(list, i), &item, &metric->looks[i]))
            return false;
    }
    return true;
}

/* --- computing --- */

/* Whether an arm, all strata of it, is large enough to be looked at. */
static bool is_enough(const struct study_metric *metric, size_t variant)
{
    struct moments all = metric->arms.strata[0][variant];
    for (size_t i = 1; i < metric->arms.count; i++)
        all = moments_merge(&all, &metric->arms.strata[i][variant]);
    bool binary = metric->kind == MOMENTS_BINARY;
    return all.n >= units_least &&
           (!binary || (all.counts[0] >= conversions_least && all.counts[1] >= conversions_least));
}

static double share_of(const struct study *study)
{
    return fmin(1, study->schedule.customers / study->schedule.horizon);
}

/* Whether there is something new to look at, and enough of it. The last place is kept for the look
 * at the horizon. */
static bool may_look(const struct study *study, const struct study_metric *metric,
                     const struct study_looks *looks, const struct effect *effect, size_t variant)
{
    double last = looks->count ? looks->information[looks->count - 1] : 0;
    return study->schedule.look && effect->information > last * (1 + SCHEDULED_STEP) &&
           (looks->count + 1 < LOOKS_MAX || share_of(study) >= 1) && is_enough(metric, 0) &&
           is_enough(metric, variant);
}

static void look(const struct study *study, const struct study_metric *metric,
                 struct study_looks *looks, const struct effect *effect,
                 struct study_comparison *out)
{
    enum sides sides = (enum sides)metric->settings.sides;
    size_t k = looks->count++;
    double share = share_of(study);
    looks->information[k] = effect->information;
    looks->share[k] = k ? fmax(share, looks->share[k - 1]) : share;
    const struct scheduled scheduled = {looks->information, looks->share, looks->critical,
                                        looks->count};
    if (!scheduled_critical(&scheduled, metric->settings.alpha, sides, &looks->critical[k]))
        error_fatal("out of memory for the boundary of look %zu", looks->count);
    looks->taken = true;
    out->inference.interval = study_range(&metric->settings, effect, looks->critical[k]);
}

/* How many standard errors the range has past the horizon. */
static double past_width(const struct study *study, const struct study_settings *settings,
                         const struct effect *effect)
{
    struct interval width = scheduled_past(0, 1, effect->units, study->schedule.horizon,
                                           settings->alpha, (enum sides)settings->sides)
                                .interval;
    return fmax(width.high, -width.low);
}

void study_compare_scheduled(struct study *study, const struct study_metric *metric, size_t variant,
                             struct study_comparison *out)
{
    const struct study_settings *settings = &metric->settings;
    const struct effect *effect = &out->effect;
    struct study_looks *looks = &metric->looks[variant - 1];
    size_t taken = looks->count;
    if (taken > 0 && looks->share[taken - 1] >= 1)
        out->inference.interval =
            study_range(settings, effect, past_width(study, settings, effect));
    else if (may_look(study, metric, looks, effect, variant))
        look(study, metric, looks, effect, out);
    else
        out->inference.interval = (struct interval){.low_open = true, .high_open = true};
    out->has_critical = looks->count > 0;
    out->critical = looks->count ? looks->critical[looks->count - 1] : 0;
}

/* --- reporting --- */

static json_t *figures(const double *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_figure(values[i]));
    return list;
}

json_t *study_looks_report(const struct study_looks *looks)
{
    json_t *report = json_object();
    json_object_set_new(report, "information", figures(looks->information, looks->count));
    json_object_set_new(report, "share", figures(looks->share, looks->count));
    json_object_set_new(report, "critical", figures(looks->critical, looks->count));
    return report;
}
