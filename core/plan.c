/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plan: sizes by the table of methods, and the answer as JSON. */
#include "core/plan.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>

#include "core/plan_parts.h"
#include "stats/group.h"
#include "stats/judge.h"
#include "stats/scheduled.h"

/* A method of core/study_parts.h that has no row here is refused as one that cannot be planned. */
static const struct plan_method methods[] = {
    [STUDY_SEQUENTIAL] =
        {
            .needed = power_needed_sequential,
            .judge = judge_sequential,
            .one_sided = true,
            .work = 1,
            .computed = "the least number of customers at which the always-valid range (tuned to "
                        "`tuning` customers) excludes 0 with the chance asked for",
            .assumption = "Only one look, at that number, is counted. Looks before it add to the "
                          "power, so the plan is cautious and most experiments end sooner. The "
                          "range holds from some hundred customers on.",
            .source = "Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, Time-uniform central limit "
                      "theory and asymptotic confidence sequences, Annals of Statistics 52 (2024)",
        },
    [STUDY_MSPRT] =
        {
            .needed = power_needed_msprt,
            .judge = judge_msprt,
            .work = 1,
            .computed = "the least number of customers at which the range of the mixture test "
                        "(with `mixture_variance`) excludes 0 with the chance asked for",
            .assumption = "Only one look, at that number, is counted. Looks before it add to the "
                          "power, so the plan is cautious and most experiments end sooner.",
            .source = "Johari, Koomen, Pekelis, Walsh, Always valid inference, Operations Research "
                      "70 (2022)",
        },
    [STUDY_EXACT] =
        {
            .needed = power_needed_exact,
            .judge = judge_exact,
            .counts = true,
            .work = 5,
            .computed = "the least number of customers at which the exact range of the counts that "
                        "are expected stays away from 0 by as many standard errors as the chance "
                        "asked for needs",
            .assumption = "Only one look, at that number, is counted. The estimate varies normally "
                          "about what is expected; the range itself assumes nothing. Where counts "
                          "are large, a sequential design needs fewer customers.",
            .source = "Lindon, Malek, Anytime-valid inference for multinomial count data, NeurIPS "
                      "(2022)",
        },
    [STUDY_FIXED] =
        {
            .needed = power_needed_fixed,
            .judge = judge_fixed,
            .one_sided = true,
            .once = true,
            .work = 1,
            .computed = "the least number of customers with which Welch's test finds the effect "
                        "with the chance asked for",
            .assumption = "There is one look, at the end: looking before it and stopping when "
                          "something is found errs more often than alpha. The normal quantile "
                          "stands for Student's: below 30 customers an arm, add one or two.",
            .source = "Chow, Shao, Wang, Sample Size Calculations in Clinical Research, 2nd "
                      "edition (2008), sections 3.2.1 and 4.2.1",
        },
    [STUDY_GROUP_SEQUENTIAL] =
        {
            .needed = power_needed_drift,
            .judge = judge_group,
            .one_sided = true,
            .boundaries = true,
            .work = 1,
            .computed = "the number of a fixed design times the inflation with which the "
                        "boundaries of all looks are crossed with the chance asked for",
            .assumption = "Looks come at the shares of the customers that spending.times says. "
                          "expected_total is that of one comparison that ends where it crosses a "
                          "boundary.",
            .source = "Jennison, Turnbull, Group Sequential Methods (2000), chapters 2 and 19; "
                      "Lan, DeMets, Discrete sequential boundaries for clinical trials, Biometrika "
                      "70 (1983)",
        },
    [STUDY_SCHEDULED] =
        {
            .needed = power_needed_drift,
            .judge = judge_group,
            .one_sided = true,
            .boundaries = true,
            .evenly = true,
            .work = 1,
            .computed = "the number of a fixed design times the inflation with which the "
                        "boundaries of evenly spaced looks are crossed with the chance asked for; "
                        "`total` is the design's horizon",
            .assumption = "Customers come evenly. A few looks more or less change little. "
                          "expected_total is that of one comparison that ends where it crosses a "
                          "boundary; what may be found past the horizon is not counted.",
            .source = "Jennison, Turnbull, Group Sequential Methods (2000), chapters 2 and 19; "
                      "Kim, DeMets, Biometrika 74 (1987)",
        },
    [STUDY_BAYESIAN] =
        {
            .needed = power_needed_fixed,
            .judge = judge_bayesian,
            .once = true,
            .work = 1,
            .computed = "the least number of customers with which the credible interval excludes 0 "
                        "with the chance asked for, if the effect is min_effect",
            .assumption = "The prior is flat, so this is the number of a fixed two-sided design: "
                          "nothing is averaged over what the effect might be. There is one look, "
                          "at the end.",
            .source = "Chow, Shao, Wang, Sample Size Calculations in Clinical Research, 2nd "
                      "edition (2008), sections 3.2.1 and 4.2.1",
        },
};

const struct plan_method *plan_method_of(int method)
{
    static const struct plan_method none = {.needed = NULL};
    return (size_t)method < sizeof methods / sizeof *methods ? &methods[method] : &none;
}

/* --- computing --- */

/* The boundaries, and the drift with which they are crossed. */
static void set_boundaries(struct plan *plan)
{
    const struct group *group = &plan->study.spending.group;
    struct power_design *design = &plan->design;
    size_t bytes = group->looks * sizeof(double);
    plan->critical = arena_alloc(&plan->study.arena, bytes);
    plan->up = arena_alloc(&plan->study.arena, bytes);
    plan->down = arena_alloc(&plan->study.arena, bytes);
    design->drift = HUGE_VAL;
    plan->spent_alpha = plan->method->evenly ? scheduled_alpha(design->alpha) : design->alpha;
    if (!group_critical(group, plan->spent_alpha, design->sides, plan->critical))
        error_fatal("out of memory for the boundaries of %zu looks", group->looks);
    group_drift(group, plan->critical, design->sides, design->power, &design->drift, plan->up,
                plan->down);
}

static void size(struct plan *plan)
{
    const struct power_design *design = &plan->design;
    double customers = power_customers(design, &plan->control, plan->min_effect);
    plan->per_arm = arena_alloc(&plan->study.arena, design->arms * sizeof *plan->per_arm);
    plan->planned = isfinite(customers);
    for (size_t i = 0; plan->planned && i < design->arms; i++) {
        plan->per_arm[i] = power_arm(design, customers, i);
        plan->total += plan->per_arm[i];
    }
}

/* --- the answer --- */

static json_t *per_arm_json(const struct plan *plan)
{
    json_t *list = json_array();
    for (size_t i = 0; i < plan->design.arms; i++)
        json_array_append_new(list, json_figure(plan->per_arm[i]));
    return list;
}

static void append_day(json_t *list, const struct plan *plan, double day)
{
    double effect = HUGE_VAL; /* null */
    power_effect(&plan->design, &plan->control, day * plan->customers_per_day, plan->min_effect,
                 &effect);
    json_array_append_new(list, json_pack("[o, o]", json_figure(day), json_figure(effect)));
}

/* Up to four weeks, or twice the plan's days, and the plan's last day. `days` may be infinite. */
static json_t *days_json(const struct plan *plan, double days)
{
    static const int shown[] = {1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364};
    json_t *list = json_array();
    bool seen = !isfinite(days);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        if (!seen && days <= shown[i]) {
            seen = true;
            if (days < shown[i])
                append_day(list, plan, days);
        }
        if (shown[i] <= fmax(28, 2 * days))
            append_day(list, plan, shown[i]);
    }
    if (!seen)
        append_day(list, plan, days);
    return list;
}

/* Where a comparison ends on average: at its last look unless it crosses before. Without an effect
 * it crosses as often as is spent, on each side. */
static json_t *expected_json(const struct plan *plan)
{
    const struct group *group = &plan->study.spending.group;
    bool two = plan->design.sides == SIDES_TWO;
    double a = two ? plan->spent_alpha / 2 : plan->spent_alpha, spent = 0, none = 1, effect = 1;
    if (!plan->planned)
        return json_null();
    for (size_t k = 0; k + 1 < group->looks; k++) {
        double now = group_spent(group, a, group->times[k]), saved = 1 - group->times[k];
        none -= saved * (now - spent) * (two ? 2 : 1);
        effect -= saved * (plan->up[k] + plan->down[k]);
        spent = now;
    }
    return json_pack("{s:o, s:o}", "none", json_figure(none * plan->total), "effect",
                     json_figure(effect * plan->total));
}

static json_t *text_json(struct text *text)
{
    json_t *string = json_stringn(text->ptr, text->len);
    text_release(text);
    return string;
}

static json_t *computed_json(const struct plan *plan)
{
    const struct power_design *design = &plan->design;
    struct text text;
    text_init(&text, 2000);
    text_printf(&text, "With alpha %.6g, %s, and power %.6g: %s.", design->alpha,
                design->sides == SIDES_TWO ? "two-sided" : "one-sided", design->power,
                plan->method->computed);
    if (plan->comparisons > 1)
        text_printf(&text,
                    " alpha is %.6g shared among %lld comparisons (Bonferroni), which also serves "
                    "Holm's correction.",
                    plan->alpha, (long long)plan->comparisons);
    if (design->arms > 2)
        text_puts(&text, " Each treatment is compared with the control; the comparison that needs "
                         "most decides.");
    return text_json(&text);
}

static json_t *assumption_json(const struct plan *plan)
{
    struct text text;
    text_init(&text, 2000);
    text_puts(&text, plan->method->assumption);
    text_puts(&text, " Customers are independent of each other, and as the baseline says.");
    if (plan->kind == MOMENTS_NPS)
        text_puts(&text, " Under the effect the share of passives stays: half the change is new "
                         "promoters, half lost detractors.");
    else if (plan->kind == MOMENTS_BINARY || plan->kind == MOMENTS_CSAT)
        text_puts(&text, " Each arm's variance is that of its own rate, under the effect.");
    else
        text_puts(&text, " The effect does not change the sd.");
    return text_json(&text);
}

static json_t *answer(const struct plan *plan)
{
    static const char *const too_small = "the effect is too small, or the baseline too variable: "
                                         "more than 1e15 customers would be needed";
    bool daily = plan->customers_per_day > 0;
    double days = plan->planned && daily ? ceil(plan->total / plan->customers_per_day) : HUGE_VAL;
    json_t *json = json_pack(
        "{s:o, s:o, s:o, s:o}", "per_arm", plan->planned ? per_arm_json(plan) : json_null(),
        "total", plan->planned ? json_figure(plan->total) : json_null(), "days", json_figure(days),
        "detectable_effect_after_days", daily ? days_json(plan, days) : json_null());
    if (plan->method->boundaries)
        json_object_set_new(json, "expected_total", expected_json(plan));
    json_object_set_new(json, "method_text",
                        json_pack("{s:o, s:o, s:s}", "computed", computed_json(plan), "assumption",
                                  assumption_json(plan), "source", plan->method->source));
    if (!plan->planned)
        json_object_set_new(json, "error", json_string(too_small));
    return json;
}

/* What simulating adds to the answer; NULL with *err, the answer dropped, where it is refused. */
static json_t *with_simulation(json_t *json, struct plan *plan, const struct plan_options *options,
                               struct error *err)
{
    json_t *simulation = plan_simulation(plan, options, err);
    if (simulation) {
        json_object_set_new(json, "simulation", simulation);
        return json;
    }
    json_decref(json);
    return NULL;
}

json_t *plan_answer(json_t *input, const struct plan_options *options, struct error *err)
{
    struct plan plan = {0};
    json_t *json = NULL;
    if (plan_read(input, &plan, err)) {
        if (plan.method->boundaries)
            set_boundaries(&plan);
        size(&plan);
        json = answer(&plan);
        if (plan.simulate.asked || options->simulate)
            json = with_simulation(json, &plan, options, err);
    }
    arena_release(&plan.study.arena);
    return json;
}

uint32_t plan_seed(void)
{
    return 1 + randombytes_uniform(UINT32_MAX - 1);
}
