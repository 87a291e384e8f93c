/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study: every comparison by its metric's method, then the families that share an error rate. */
#include "core/study.h"

#include <math.h>
#include <stdlib.h>

#include "core/study_parts.h"
#include "stats/exact.h"
#include "stats/fieller.h"
#include "stats/fixed.h"
#include "stats/msprt.h"
#include "stats/multiple.h"
#include "stats/sequential.h"

/* --- one comparison --- */

/* The whole interval better than the margin, or nothing of it. */
static enum study_answer non_inferior(const struct study_metric *metric,
                                      const struct interval *interval)
{
    if (metric->goal == STUDY_INCREASE) {
        if (!interval->low_open && interval->low > -metric->margin)
            return STUDY_YES;
        return !interval->high_open && interval->high <= -metric->margin ? STUDY_NO
                                                                         : STUDY_CANNOT_TELL;
    }
    if (!interval->high_open && interval->high < metric->margin)
        return STUDY_YES;
    return !interval->low_open && interval->low >= metric->margin ? STUDY_NO : STUDY_CANNOT_TELL;
}

static bool excludes_zero(const struct interval *interval)
{
    return (!interval->low_open && interval->low > 0) ||
           (!interval->high_open && interval->high < 0);
}

static void compare_exact(const struct study_settings *settings, const struct effect_pair *strata,
                          size_t count, struct study_comparison *out)
{
    struct exact exact = exact_test(strata, count, settings->alpha);
    out->problem = exact.problem;
    out->estimate = exact.estimate;
    out->inference = exact.inference;
}

/* The prior is on the relative effect: for an absolute one it is scaled by the control's mean. */
static void compare_bayesian(const struct study_settings *settings, const struct effect *effect,
                             int goal, struct study_comparison *out)
{
    struct prior prior = settings->prior;
    if (settings->effect == EFFECT_ABSOLUTE) {
        prior.mean *= effect->base;
        prior.sd *= effect->base;
    }
    if (prior.proper && !(prior.sd > 0)) {
        out->problem = EFFECT_CONTROL_MEAN_ZERO;
        return;
    }
    if (prior.proper && !(isfinite(prior.mean) && isfinite(prior.sd))) {
        out->problem = EFFECT_OUT_OF_RANGE;
        return;
    }
    out->posterior = bayes_posterior(effect->estimate, effect->se, &prior, settings->alpha,
                                     goal == STUDY_DECREASE);
    out->has_posterior = true;
    out->estimate = out->posterior.estimate;
    out->effect.se = out->posterior.se;
    out->inference.interval = out->posterior.interval;
    out->significant = excludes_zero(&out->posterior.interval);
}

/* The boundaries of a metric's level are the same for all its comparisons. */
static double boundary_of(struct study *study, const struct study_settings *settings)
{
    const struct group *group = &study->spending.group;
    enum sides sides = (enum sides)settings->sides;
    struct study_boundary *boundary = &study->boundary;
    if (!boundary->known || boundary->alpha != settings->alpha || boundary->sides != sides) {
        double *critical = arena_alloc(&study->arena, group->looks * sizeof *critical);
        if (!group_critical(group, settings->alpha, sides, critical))
            error_fatal("out of memory for the boundaries of %zu looks", group->looks);
        *boundary = (struct study_boundary){true, settings->alpha, sides,
                                            critical[study->spending.look - 1]};
    }
    return boundary->critical;
}

/* The test of an estimate with its error. Of the effect only units and df count, and its own se, in
 * whose units a mixture's variance is given. */
static struct inference test_of(const struct study *study, const struct study_settings *settings,
                                const struct effect *effect, double estimate, double se)
{
    enum sides sides = (enum sides)settings->sides;
    double alpha = settings->alpha, scale = se / effect->se;
    switch (settings->method) {
    case STUDY_FIXED:
        return fixed_test(estimate, se, effect->df, alpha, sides);
    case STUDY_SEQUENTIAL:
        return sequential_test(estimate, se, effect->units, alpha, settings->tuning, sides);
    case STUDY_MSPRT:
        return msprt_test(estimate, se, settings->mixture_variance * scale * scale, alpha);
    case STUDY_GROUP_SEQUENTIAL:
        return (struct inference){
            .interval = group_interval(estimate, se, study->boundary.critical, sides)};
    case STUDY_SCHEDULED: /* what has no looks of its own */
        return sequential_test(estimate, se, effect->units, alpha, study->schedule.horizon, sides);
    default:
        error_fatal("method %d was read but is not computed", settings->method);
    }
}

bool study_by_fieller(const struct study_settings *settings)
{
    return settings->fieller && settings->effect == EFFECT_RELATIVE;
}

struct interval study_range(const struct study_settings *settings, const struct effect *effect,
                            double q)
{
    enum sides sides = (enum sides)settings->sides;
    return study_by_fieller(settings) ? fieller_interval(effect, q, sides)
                                      : inference_interval(effect->estimate, q * effect->se, sides);
}

/* The statistic and its width in standard errors say all; the range is Fieller's of that width. */
static struct inference test_by_fieller(const struct study *study,
                                        const struct study_settings *settings,
                                        const struct effect *effect)
{
    struct inference inference = test_of(study, settings, effect, fieller_statistic(effect), 1);
    struct interval width = test_of(study, settings, effect, 0, 1).interval;
    inference.interval = study_range(settings, effect, fmax(width.high, -width.low));
    return inference;
}

void study_infer(struct study *study, const struct study_settings *settings, int goal,
                 const struct effect *effect, struct study_comparison *out)
{
    if (settings->method == STUDY_BAYESIAN) {
        compare_bayesian(settings, effect, goal, out);
        return;
    }
    bool group = settings->method == STUDY_GROUP_SEQUENTIAL, fieller = study_by_fieller(settings);
    double estimate = fieller ? fieller_statistic(effect) : effect->estimate;
    double se = fieller ? 1 : effect->se;
    out->has_critical = group;
    out->critical = group ? boundary_of(study, settings) : 0;
    out->inference = fieller ? test_by_fieller(study, settings, effect)
                             : test_of(study, settings, effect, estimate, se);
    out->significant =
        group && group_crosses(estimate, se, out->critical, (enum sides)settings->sides);
}

/* The methods that need an effect with its standard error. */
static void compare_normal(struct study *study, const struct study_metric *metric,
                           const struct effect_pair *strata, size_t count, size_t variant,
                           bool whole, struct study_comparison *out)
{
    const struct study_settings *settings = &metric->settings;
    struct effect effect = effect_between(strata, count, (enum effect_scale)settings->effect);
    out->problem = effect.problem;
    out->estimate = effect.estimate;
    out->has_se = true;
    out->effect = effect;
    if (effect.problem)
        return;
    if (settings->method == STUDY_SCHEDULED && whole)
        study_compare_scheduled(study, metric, variant, out);
    else
        study_infer(study, settings, metric->goal, &effect, out);
}

static void compare(struct study *study, const struct study_metric *metric, struct study_arms *arms,
                    size_t variant)
{
    struct effect_pair *pairs = arena_alloc(&study->arena, arms->count * sizeof *pairs);
    for (size_t i = 0; i < arms->count; i++)
        pairs[i] = (struct effect_pair){arms->strata[i][0], arms->strata[i][variant]};
    size_t count = effect_merge_strata(pairs, arms->count);
    bool whole = arms == &metric->arms;
    struct study_comparison *out = &arms->comparisons[variant - 1];
    out->strata = count;
    if (metric->kind == STUDY_QUANTILE)
        study_compare_quantile(metric, arms, variant, out);
    else if (metric->settings.method == STUDY_EXACT)
        compare_exact(&metric->settings, pairs, count, out);
    else
        compare_normal(study, metric, pairs, count, variant, whole, out);
    if (metric->before && whole)
        study_narrow(out, &metric->before[variant - 1]);
    if (metric->settings.method == STUDY_SCHEDULED && whole && !out->problem)
        out->significant = excludes_zero(&out->inference.interval);
    if (!out->problem && metric->has_margin)
        out->non_inferior = non_inferior(metric, &out->inference.interval);
}

static void compare_all(struct study *study, const struct study_metric *metric,
                        struct study_arms *arms)
{
    arms->comparisons =
        arena_alloc(&study->arena, (study->variant_count - 1) * sizeof *arms->comparisons);
    for (size_t variant = 1; variant < study->variant_count; variant++)
        compare(study, metric, arms, variant);
}

/* --- families --- */

/* A family under way: which comparison each p-value belongs to, and its level. */
struct family {
    struct multiple *members;
    struct study_comparison **comparisons;
    double *alphas;
    size_t count;
};

static struct family family_new(struct study *study, size_t most)
{
    return (struct family){
        .members = arena_alloc(&study->arena, most * sizeof(struct multiple)),
        .comparisons = arena_alloc(&study->arena, most * sizeof(struct study_comparison *)),
        .alphas = arena_alloc(&study->arena, most * sizeof(double)),
    };
}

/* Joins a comparison that has a p-value; by its e-value where that is what is corrected. */
static void family_join(struct family *family, struct study_comparison *comparison, double alpha,
                        bool by_e_value)
{
    const struct inference *inference = &comparison->inference;
    if (comparison->problem || !inference->has_p_value)
        return;
    double p = by_e_value ? exp(-inference->log_e_value) : inference->p_value;
    family->members[family->count] = (struct multiple){.p = p, .index = family->count};
    family->comparisons[family->count] = comparison;
    family->alphas[family->count] = alpha;
    family->count++;
}

/* Adjusts the family and empties it. */
static void family_settle(struct family *family, enum multiple_method method)
{
    multiple_adjust(family->members, family->count, method);
    for (size_t i = 0; i < family->count; i++) {
        size_t at = family->members[i].index;
        struct study_comparison *comparison = family->comparisons[at];
        comparison->p_adjusted = family->members[i].adjusted;
        comparison->significant = comparison->p_adjusted <= family->alphas[at];
    }
    family->count = 0;
}

static enum multiple_method method_of(int correction)
{
    switch (correction) {
    case STUDY_HOLM:
        return MULTIPLE_HOLM;
    case STUDY_BH:
    case STUDY_E_BH:
        return MULTIPLE_BH;
    default:
        return MULTIPLE_NONE;
    }
}

/* Each role is a family; guardrails are not corrected. */
static void adjust_metrics(struct study *study)
{
    size_t per_metric = study->variant_count - 1;
    struct family family = family_new(study, study->metric_count * per_metric);
    for (int role = STUDY_PRIMARY; role <= STUDY_NO_ROLE; role++) {
        int correction = role == STUDY_GUARDRAIL ? STUDY_NONE : study->correction;
        for (size_t i = 0; i < study->metric_count; i++) {
            struct study_metric *metric = &study->metrics[i];
            for (size_t j = 0; metric->role == role && j < per_metric; j++)
                family_join(&family, &metric->arms.comparisons[j], metric->settings.alpha,
                            correction == STUDY_E_BH);
        }
        family_settle(&family, method_of(correction));
    }
}

/* Holm over the values of one segment, for each variant. Values of a segment lie together. */
static void adjust_segments(struct study *study, struct study_metric *metric)
{
    struct family family = family_new(study, metric->segment_count);
    for (size_t first = 0, end; first < metric->segment_count; first = end) {
        const char *name = metric->segments[first].segment;
        for (end = first + 1; end < metric->segment_count; end++)
            if (strcmp(metric->segments[end].segment, name) != 0)
                break;
        for (size_t variant = 1; variant < study->variant_count; variant++) {
            for (size_t i = first; i < end; i++)
                family_join(&family, &metric->segments[i].arms.comparisons[variant - 1],
                            metric->settings.alpha, false);
            family_settle(&family, MULTIPLE_HOLM);
        }
    }
}

static void compute(struct study *study)
{
    for (size_t i = 0; i < study->metric_count; i++) {
        struct study_metric *metric = &study->metrics[i];
        compare_all(study, metric, &metric->arms);
        for (size_t j = 0; j < metric->segment_count; j++)
            compare_all(study, metric, &metric->segments[j].arms);
        adjust_segments(study, metric);
    }
    adjust_metrics(study);
}

struct study *study_open(json_t *json, struct error *err)
{
    struct study *study = xcalloc(1, sizeof *study);
    if (study_read(json, study, err))
        compute(study);
    else
        study_close(&study);
    return study;
}

void study_close(struct study **study)
{
    if (*study)
        arena_release(&(*study)->arena);
    free(*study);
    *study = NULL;
}

json_t *study_analyze(json_t *json, struct error *err)
{
    struct study *study = study_open(json, err);
    json_t *report = study ? study_report(study, true) : NULL;
    study_close(&study);
    return report;
}
