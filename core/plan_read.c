/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plan, reading: every refusal names its place. */
#include <math.h>

#include "core/plan_parts.h"
#include "stats/scheduled.h"

enum {
    ARMS_MAX = 64,
    COMPARISONS_MAX = 1000000,
    RUNS_MAX = 1000000,
    LOOKS_MAX = 10000,
    EVEN_LOOKS_MAX = 500
};
/* What one draw takes (population_draw). */
static const int64_t customers_most = 4294967295;

/* --- the design --- */

static bool read_levels(json_t *input, struct plan *plan, struct error *err)
{
    struct power_design *design = &plan->design;
    plan->alpha = 0.05;
    design->power = 0.8;
    if (!json_read_number(input, JSON_TOP, "alpha", JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL,
                          &plan->alpha, err) ||
        !json_read_number(input, JSON_TOP, "power", JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL,
                          &design->power, err))
        return false;
    if (!(plan->alpha > 0 && plan->alpha < 0.5))
        return json_fail_at(JSON_TOP, "alpha", err, "must be between 0 and 0.5, both excluded");
    if (!(design->power >= 0.5 && design->power < 1))
        return json_fail_at(JSON_TOP, "power", err, "must be at least 0.5 and below 1");
    return true;
}

/* After the weights: the treatments are the comparisons unless told. */
static bool read_sharing(json_t *input, struct plan *plan, struct error *err)
{
    static const char *const words[] = {"none", "bonferroni", NULL};
    int correction = 0;
    int64_t treatments = (int64_t)plan->design.arms - 1;
    plan->comparisons = treatments;
    if (!json_read_word(input, JSON_TOP, "correction", JSON_OPTIONAL, words, &correction, err) ||
        !json_read_integer(input, JSON_TOP, "comparisons", JSON_OPTIONAL, treatments,
                           COMPARISONS_MAX, &plan->comparisons, err))
        return false;
    if (correction == 0 && study_given(input, "comparisons"))
        return json_fail_at(JSON_TOP, "comparisons", err, "is for correction bonferroni");
    plan->comparisons = correction ? plan->comparisons : 1;
    plan->design.alpha = plan->alpha / (double)plan->comparisons;
    return plan->design.alpha > 0 ||
           json_fail_at(JSON_TOP, "alpha", err, "is too small to be shared");
}

/* The looks of a schedule, evenly spaced. */
static bool read_looks(json_t *input, struct plan *plan, struct error *err)
{
    int64_t looks = 28;
    if (!plan->method->evenly)
        return !study_given(input, "looks") ||
               json_fail_at(JSON_TOP, "looks", err, "is for method scheduled");
    if (!json_read_integer(input, JSON_TOP, "looks", JSON_OPTIONAL, 1, EVEN_LOOKS_MAX, &looks, err))
        return false;
    double *times = arena_alloc(&plan->study.arena, (size_t)looks * sizeof *times);
    for (int64_t i = 0; i < looks; i++)
        times[i] = (double)(i + 1) / (double)looks;
    plan->study.spending =
        (struct study_spending){.given = true, .group = scheduled_group(times, (size_t)looks)};
    return true;
}

static bool judge_method(json_t *input, struct plan *plan, struct error *err)
{
    const struct plan_method *method = plan->method;
    if (plan->design.sides != SIDES_TWO && !method->one_sided)
        return json_fail_at(JSON_TOP, "sides", err, "must be two for this method");
    if (method->counts && moments_categories((enum moments_kind)plan->kind) == 0)
        return json_fail_at(JSON_TOP, "method", err,
                            "exact is for binary, nps and csat metrics only");
    if (method->counts && plan->design.scale != EFFECT_ABSOLUTE)
        return json_fail_at(JSON_TOP, "effect", err, "must be absolute for method exact");
    if (!study_read_spending(&plan->study, input, JSON_TOP, JSON_OPTIONAL, err))
        return false;
    if (method->evenly && plan->study.spending.given)
        return json_fail_at(JSON_TOP, "spending", err, "is fixed for method scheduled");
    if (!read_looks(input, plan, err))
        return false;
    return !method->boundaries || plan->study.spending.given ||
           json_fail_at(JSON_TOP, "method", err, "group-sequential needs spending");
}

static bool read_method(json_t *input, struct plan *plan, struct error *err)
{
    struct power_design *design = &plan->design;
    int method = STUDY_SEQUENTIAL, scale = EFFECT_RELATIVE, sides = SIDES_TWO, relative = -1;
    design->tuning = 5000;
    design->mixture_variance = 0.0001;
    if (!json_read_word(input, JSON_TOP, "method", JSON_OPTIONAL, study_method_words, &method,
                        err) ||
        !json_read_word(input, JSON_TOP, "effect", JSON_OPTIONAL, study_effect_words, &scale,
                        err) ||
        !json_read_word(input, JSON_TOP, "relative", JSON_OPTIONAL, study_relative_words, &relative,
                        err) ||
        !json_read_word(input, JSON_TOP, "sides", JSON_OPTIONAL, study_sides_words, &sides, err) ||
        !json_read_word(input, JSON_TOP, "kind", JSON_REQUIRED, study_kind_words, &plan->kind,
                        err) ||
        !study_read_positive(input, JSON_TOP, "tuning", &design->tuning, err) ||
        !study_read_positive(input, JSON_TOP, "mixture_variance", &design->mixture_variance, err))
        return false;
    if (plan->kind == STUDY_QUANTILE)
        return json_fail_at(
            JSON_TOP, "kind", err,
            "quantile cannot be planned: how far apart values lie is not in a baseline");
    plan->method = plan_method_of(method);
    design->needed = plan->method->needed;
    design->scale = (enum effect_scale)scale;
    /* A schedule is for experiments alone, and they test relative effects so. */
    design->fieller = relative < 0 ? plan->method->evenly : relative == 1;
    design->sides = (enum sides)sides;
    if (!design->needed)
        return json_fail_at(JSON_TOP, "method", err, "%s cannot be planned",
                            study_method_words[method]);
    return judge_method(input, plan, err);
}

static bool read_weights(json_t *input, struct plan *plan, struct error *err)
{
    struct json_place place = json_member(JSON_TOP, "weights");
    json_t *list = NULL;
    if (!json_read_array(input, JSON_TOP, "weights", JSON_OPTIONAL, 2, ARMS_MAX, &list, err))
        return false;
    plan->design.arms = list ? json_array_size(list) : 2;
    double *weights = arena_alloc(&plan->study.arena, plan->design.arms * sizeof *weights);
    for (size_t i = 0; i < plan->design.arms; i++) {
        struct json_place item = json_item(&place, i);
        json_t *value = list ? json_array_get(list, i) : NULL;
        weights[i] = list ? json_number_value(value) : 1;
        if (!(weights[i] > 0) || !isfinite(weights[i]))
            return json_fail(&item, err, "must be a number above 0");
    }
    plan->design.weights = weights;
    return true;
}

/* --- the metric --- */

static bool read_rate(json_t *baseline, const struct json_place *place, struct plan *plan,
                      struct error *err)
{
    static const char *const fields[] = {"rate", NULL};
    double rate = 0;
    if (!json_check_fields(baseline, place, fields, err) ||
        !json_read_number(baseline, place, "rate", JSON_REQUIRED, -HUGE_VAL, HUGE_VAL, &rate, err))
        return false;
    if (!(rate > 0 && rate < 1))
        return json_fail_at(place, "rate", err, "must be between 0 and 1, both excluded");
    plan->control = population_of_rate((enum moments_kind)plan->kind, rate);
    return true;
}

static bool read_mean(json_t *baseline, const struct json_place *place, struct plan *plan,
                      struct error *err)
{
    static const char *const fields[] = {"mean", "sd", NULL};
    double mean = 0, sd = 0;
    if (!json_check_fields(baseline, place, fields, err) ||
        !json_read_number(baseline, place, "mean", JSON_REQUIRED, -HUGE_VAL, HUGE_VAL, &mean,
                          err) ||
        !json_read_number(baseline, place, "sd", JSON_REQUIRED, -HUGE_VAL, HUGE_VAL, &sd, err))
        return false;
    if (!(sd > 0))
        return json_fail_at(place, "sd", err, "must be above 0");
    plan->control = population_of_mean(mean, sd);
    return (plan->control.variance > 0 && isfinite(plan->control.variance)) ||
           json_fail_at(place, "sd", err, "is too large or too small to compute with");
}

static bool read_nps(json_t *baseline, const struct json_place *place, struct plan *plan,
                     struct error *err)
{
    static const char *const fields[] = {"promoters", "detractors", NULL};
    double promoters = 0, detractors = 0;
    if (!json_check_fields(baseline, place, fields, err) ||
        !json_read_number(baseline, place, "promoters", JSON_REQUIRED, 0, 1, &promoters, err) ||
        !json_read_number(baseline, place, "detractors", JSON_REQUIRED, 0, 1, &detractors, err))
        return false;
    if (promoters + detractors > 1)
        return json_fail(place, err, "promoters and detractors must be at most 1 together");
    plan->control = population_of_nps(promoters, detractors);
    return plan->control.variance > 0 ||
           json_fail(place, err, "all customers would be alike: there is nothing to plan");
}

static bool read_baseline(json_t *input, struct plan *plan, struct error *err)
{
    struct json_place place = json_member(JSON_TOP, "baseline");
    json_t *baseline = NULL;
    bool fine = json_read_object(input, JSON_TOP, "baseline", JSON_REQUIRED, &baseline, err);
    switch ((enum moments_kind)plan->kind) {
    case MOMENTS_BINARY:
    case MOMENTS_CSAT:
        fine = fine && read_rate(baseline, &place, plan, err);
        break;
    case MOMENTS_NPS:
        fine = fine && read_nps(baseline, &place, plan, err);
        break;
    case MOMENTS_MEAN:
    case MOMENTS_RATIO:
        fine = fine && read_mean(baseline, &place, plan, err);
        break;
    }
    if (fine && plan->design.scale == EFFECT_RELATIVE && plan->control.mean == 0)
        return json_fail(&place, err, "its mean is 0: nothing to be relative to");
    return fine;
}

bool plan_check_effect(const struct plan *plan, double effect, const struct json_place *place,
                       const char *member, struct error *err)
{
    enum effect_scale scale = plan->design.scale;
    struct population treatment;
    double up = 0, down = 0;
    if (population_shift(&plan->control, scale, effect, &treatment))
        return true;
    population_room(&plan->control, scale, 1, &up);
    population_room(&plan->control, scale, -1, &down);
    if (isinf(up))
        return json_fail_at(place, member, err, "is too large to compute with");
    return json_fail_at(place, member, err,
                        "must be between %.6g and %.6g, where the baseline ends", -down, up);
}

static bool read_effect(json_t *input, struct plan *plan, struct error *err)
{
    double effect = 0;
    if (!json_read_number(input, JSON_TOP, "min_effect", JSON_REQUIRED, -HUGE_VAL, HUGE_VAL,
                          &effect, err))
        return false;
    if (effect == 0)
        return json_fail_at(JSON_TOP, "min_effect", err, "must not be 0");
    if (plan->design.sides == SIDES_GREATER && effect < 0)
        return json_fail_at(JSON_TOP, "min_effect", err, "must be above 0 for sides greater");
    if (plan->design.sides == SIDES_LESS && effect > 0)
        return json_fail_at(JSON_TOP, "min_effect", err, "must be below 0 for sides less");
    plan->min_effect = effect;
    return plan_check_effect(plan, effect, JSON_TOP, "min_effect", err);
}

/* --- the simulation --- */

static bool read_truth(json_t *json, const struct json_place *place, struct plan *plan,
                       struct error *err)
{
    struct plan_simulate *simulate = &plan->simulate;
    simulate->has_truth = study_given(json, "truth");
    return json_read_number(json, place, "truth", JSON_OPTIONAL, -HUGE_VAL, HUGE_VAL,
                            &simulate->truth, err) &&
           (!simulate->has_truth || plan_check_effect(plan, simulate->truth, place, "truth", err));
}

static bool read_simulate(json_t *input, struct plan *plan, struct error *err)
{
    static const char *const fields[] = {"runs", "looks", "customers", "seed", "truth", NULL};
    struct plan_simulate *simulate = &plan->simulate;
    struct json_place place = json_member(JSON_TOP, "simulate");
    json_t *json = NULL;
    simulate->runs = 2000;
    simulate->looks = 30;
    if (!json_read_object(input, JSON_TOP, "simulate", JSON_OPTIONAL, &json, err))
        return false;
    simulate->asked = json != NULL;
    if (!json)
        return true;
    if (!json_check_fields(json, &place, fields, err) ||
        !json_read_integer(json, &place, "runs", JSON_OPTIONAL, 1, RUNS_MAX, &simulate->runs,
                           err) ||
        !json_read_integer(json, &place, "looks", JSON_OPTIONAL, 1, LOOKS_MAX, &simulate->looks,
                           err) ||
        !json_read_integer(json, &place, "customers", JSON_OPTIONAL, 4, customers_most,
                           &simulate->customers, err) ||
        !json_read_integer(json, &place, "seed", JSON_OPTIONAL, 1, UINT32_MAX, &simulate->seed,
                           err))
        return false;
    if (plan->method->boundaries && study_given(json, "looks"))
        return json_fail_at(&place, "looks", err,
                            plan->method->evenly
                                ? "is not for scheduled, whose looks are those of its plan"
                                : "group-sequential looks at spending.times");
    return read_truth(json, &place, plan, err);
}

bool plan_read(json_t *input, struct plan *plan, struct error *err)
{
    static const char *const fields[] = {"method",   "alpha",    "sides",       "power",
                                         "kind",     "baseline", "effect",      "min_effect",
                                         "weights",  "tuning",   "correction",  "mixture_variance",
                                         "spending", "simulate", "comparisons", "customers_per_day",
                                         "looks",    "relative", NULL};
    return json_check_fields(input, JSON_TOP, fields, err) && read_method(input, plan, err) &&
           read_levels(input, plan, err) && read_weights(input, plan, err) &&
           read_sharing(input, plan, err) && read_baseline(input, plan, err) &&
           read_effect(input, plan, err) &&
           study_read_positive(input, JSON_TOP, "customers_per_day", &plan->customers_per_day,
                               err) &&
           read_simulate(input, plan, err);
}
