/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading and writing designs. What a method can do stands in one table. */
#include "core/design.h"

#include <math.h>
#include <string.h>

static const char *const method_words[] = {
    "sequential", "fixed", "exact", "msprt", "bayesian", "scheduled", "group-sequential", NULL};
static const char *const sides_words[] = {"two", "greater", "less", NULL};
static const char *const effect_words[] = {"relative", "absolute", NULL};
static const char *const correction_words[] = {"none", "holm", "bh", "e-bh", NULL};

static const struct {
    bool anytime, one_sided, absolute_only, e_value;
} methods[] = {
    [METHOD_SEQUENTIAL] = {.anytime = true, .one_sided = true, .e_value = true},
    [METHOD_FIXED] = {.one_sided = true},
    [METHOD_EXACT] = {.anytime = true, .absolute_only = true, .e_value = true},
    [METHOD_MSPRT] = {.anytime = true, .e_value = true},
    [METHOD_BAYESIAN] = {.anytime = false},
    [METHOD_SCHEDULED] = {.anytime = true, .one_sided = true},
};

const char *design_method_word(enum design_method method)
{
    return method_words[method];
}

const char *design_sides_word(enum design_sides sides)
{
    return sides_words[sides];
}

const char *design_effect_word(enum design_effect effect)
{
    return effect_words[effect];
}

const char *design_correction_word(enum design_correction correction)
{
    return correction_words[correction];
}

bool design_is_anytime(const struct design *design)
{
    return methods[design->method].anytime;
}

/* --- the schedule --- */

int design_look_day(const struct design *design, int64_t days)
{
    int last = 0;
    if (!design->looks)
        return days >= design->min_days && days > 0 ? (int)days : 0;
    for (size_t i = 0; i < design->look_count && design->looks[i] <= days; i++)
        last = design->looks[i];
    return last;
}

int design_next_look_day(const struct design *design, int64_t day)
{
    if (!design->looks)
        return day + 1 > design->min_days ? (int)day + 1 : design->min_days;
    for (size_t i = 0; i < design->look_count; i++)
        if (design->looks[i] > day)
            return design->looks[i];
    return 0;
}

/* --- reading --- */

static bool given(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return value && !json_is_null(value);
}

static bool read_share(json_t *object, const struct json_place *place, const char *name,
                       double *out, struct error *err)
{
    if (!json_read_number(object, place, name, JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL, out, err))
        return false;
    return (*out > 0 && *out < 1) || json_fail_at(place, name, err, "must be above 0 and below 1");
}

static bool read_method(struct design *design, json_t *object, const struct json_place *place,
                        struct error *err)
{
    int method = METHOD_SEQUENTIAL;
    if (!json_read_word(object, place, "method", JSON_OPTIONAL, method_words, &method, err))
        return false;
    if (method > METHOD_SCHEDULED)
        return json_fail_at(
            place, "method", err,
            "%s is for a study whose looks are known; an experiment takes scheduled",
            method_words[method]);
    design->method = (enum design_method)method;
    return true;
}

static bool read_words(struct design *design, json_t *object, const struct json_place *place,
                       struct error *err)
{
    bool absolute = methods[design->method].absolute_only;
    int sides = SIDES_TWO, correction = CORRECTION_HOLM;
    int effect = absolute ? EFFECT_ABSOLUTE : EFFECT_RELATIVE;
    if (!json_read_word(object, place, "sides", JSON_OPTIONAL, sides_words, &sides, err) ||
        !json_read_word(object, place, "effect", JSON_OPTIONAL, effect_words, &effect, err) ||
        !json_read_word(object, place, "correction", JSON_OPTIONAL, correction_words, &correction,
                        err))
        return false;
    design->sides = (enum design_sides)sides;
    design->effect = (enum design_effect)effect;
    design->correction = (enum design_correction)correction;
    if (absolute && effect != EFFECT_ABSOLUTE)
        return json_fail_at(place, "effect", err, "must be absolute with the exact method");
    if (!methods[design->method].one_sided && sides != SIDES_TWO)
        return json_fail_at(place, "sides", err, "must be two with the %s method",
                            method_words[design->method]);
    if (correction == CORRECTION_EBH && (!methods[design->method].e_value || sides != SIDES_TWO))
        return json_fail_at(place, "correction", err,
                            "e-bh needs e-values, which this method and sides do not have");
    return true;
}

static bool read_days(struct design *design, json_t *object, const struct json_place *place,
                      struct error *err)
{
    int64_t least = 7, planned = 0;
    if (!json_read_integer(object, place, "min_days", JSON_OPTIONAL, 0, DESIGN_DAYS_MOST, &least,
                           err) ||
        !json_read_integer(object, place, "planned_days", JSON_OPTIONAL, 1, DESIGN_DAYS_MOST,
                           &planned, err))
        return false;
    design->min_days = (int)least;
    design->planned_days = (int)planned;
    return planned == 0 || planned >= least ||
           json_fail_at(place, "planned_days", err, "must be at least min_days (%d)",
                        design->min_days);
}

static bool read_prior(struct design *design, json_t *object, const struct json_place *place,
                       struct error *err)
{
    static const char *const fields[] = {"mean", "sd", "proper", NULL};
    struct json_place here = json_member(place, "prior");
    json_t *prior = NULL;
    if (!json_read_object(object, place, "prior", JSON_OPTIONAL, &prior, err))
        return false;
    if (!prior)
        return true;
    if (!json_check_fields(prior, &here, fields, err) ||
        !json_read_number(prior, &here, "mean", JSON_OPTIONAL, -1e6, 1e6, &design->prior_mean,
                          err) ||
        !json_read_number(prior, &here, "sd", JSON_OPTIONAL, 1e-9, 1e6, &design->prior_sd, err))
        return false;
    return json_read_bool(prior, &here, "proper", JSON_OPTIONAL, &design->prior_proper, err);
}

/* Refuses what another method would read: somebody forgot to name it. */
static bool read_own(const struct design *design, json_t *object, const struct json_place *place,
                     struct error *err)
{
    static const struct {
        const char *name;
        enum design_method method;
    } own[] = {{"looks", METHOD_SCHEDULED},
               {"horizon", METHOD_SCHEDULED},
               {"prior", METHOD_BAYESIAN},
               {"mixture_variance", METHOD_MSPRT}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (design->method != own[i].method && given(object, own[i].name))
            return json_fail_at(place, own[i].name, err, "is for the %s method",
                                method_words[own[i].method]);
    return true;
}

static bool read_look_list(struct design *design, json_t *list, const struct json_place *place,
                           struct arena *arena, struct error *err)
{
    int last = 0;
    design->look_count = json_array_size(list);
    design->looks = arena_alloc(arena, design->look_count * sizeof *design->looks);
    for (size_t i = 0; i < design->look_count; i++) {
        struct json_place item = json_item(place, i);
        json_t *day = json_array_get(list, i);
        json_int_t value = json_integer_value(day);
        if (!json_is_integer(day) || value < 1 || value > DESIGN_DAYS_MOST)
            return json_fail(&item, err, "must be a day from 1 to %d", DESIGN_DAYS_MOST);
        if (value <= last)
            return json_fail(&item, err, "must be after the one before it (%d)", last);
        last = design->looks[i] = (int)value;
    }
    return true;
}

static bool read_schedule(struct design *design, json_t *object, const struct json_place *place,
                          struct arena *arena, struct error *err)
{
    struct json_place here = json_member(place, "looks");
    json_t *looks = NULL;
    if (design->method != METHOD_SCHEDULED)
        return true;
    if (!json_read_integer(object, place, "horizon", JSON_REQUIRED, 100, INT64_C(1000000000000),
                           &design->horizon, err) ||
        !json_read_array(object, place, "looks", JSON_OPTIONAL, 1, DESIGN_LOOKS_MOST, &looks, err))
        return false;
    return !looks || read_look_list(design, looks, &here, arena, err);
}

bool design_read(json_t *object, const struct json_place *place, struct arena *arena,
                 struct design *design, struct error *err)
{
    static const char *const fields[] = {
        "method",     "alpha", "sides",    "effect",       "tuning", "power",   "min_days",
        "correction", "prior", "best_arm", "planned_days", "looks",  "horizon", "mixture_variance",
        NULL};
    *design = (struct design){
        .alpha = 0.05, .tuning = 5000, .power = 0.8, .mixture_variance = 0.0001, .prior_sd = 0.3};
    if ((object && !json_check_fields(object, place, fields, err)) ||
        !read_method(design, object, place, err) || !read_words(design, object, place, err) ||
        !read_share(object, place, "alpha", &design->alpha, err) ||
        !read_share(object, place, "power", &design->power, err) ||
        !json_read_number(object, place, "tuning", JSON_OPTIONAL, 1, 1e15, &design->tuning, err) ||
        !json_read_number(object, place, "mixture_variance", JSON_OPTIONAL, 1e-30, 1e30,
                          &design->mixture_variance, err) ||
        !json_read_bool(object, place, "best_arm", JSON_OPTIONAL, &design->best_arm, err) ||
        !read_own(design, object, place, err) || !read_prior(design, object, place, err) ||
        !read_days(design, object, place, err) || !read_schedule(design, object, place, arena, err))
        return false;
    return design->sides == SIDES_TWO || design->alpha < 0.5 ||
           json_fail_at(place, "alpha", err, "must be below 0.5 for a one-sided test");
}

/* --- writing --- */

static void put(json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value) != 0)
        error_fatal("out of memory while writing a design");
}

static void put_method(json_t *object, const struct design *design)
{
    if (design->method == METHOD_MSPRT)
        put(object, "mixture_variance", json_figure(design->mixture_variance));
    if (design->method == METHOD_BAYESIAN)
        put(object, "prior",
            json_pack("{s:o, s:o, s:b}", "mean", json_figure(design->prior_mean), "sd",
                      json_figure(design->prior_sd), "proper", design->prior_proper));
    if (design->method != METHOD_SCHEDULED)
        return;
    put(object, "horizon", json_integer(design->horizon));
    if (!design->looks)
        return;
    json_t *looks = json_array();
    for (size_t i = 0; i < design->look_count; i++)
        json_array_append_new(looks, json_integer(design->looks[i]));
    put(object, "looks", looks);
}

json_t *design_json(const struct design *design)
{
    json_t *object = json_object();
    put(object, "method", json_string(design_method_word(design->method)));
    put(object, "alpha", json_figure(design->alpha));
    put(object, "sides", json_string(design_sides_word(design->sides)));
    put(object, "effect", json_string(design_effect_word(design->effect)));
    put(object, "tuning", json_figure(design->tuning));
    put(object, "correction", json_string(design_correction_word(design->correction)));
    put(object, "power", json_figure(design->power));
    put(object, "min_days", json_integer(design->min_days));
    if (design->planned_days > 0)
        put(object, "planned_days", json_integer(design->planned_days));
    if (design->best_arm)
        put(object, "best_arm", json_true());
    put_method(object, design);
    return object;
}
