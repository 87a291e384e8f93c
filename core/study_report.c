/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, writing: the report as JSON. A figure that there is not is null; the order of members is
 * that of the manual. */
#include <math.h>

#include "core/json.h"
#include "core/study_parts.h"
#include "core/study_write.h"
#include "stats/exact.h"

/* --- the sample ratio --- */

static json_t *srm_report(const struct srm *srm, double before)
{
    double p = fmin(srm_sequential_p_value(srm), before);
    json_t *chi_squared = json_object(), *sequential = json_object(), *report = json_object();
    put(chi_squared, "statistic", json_figure(srm->statistic));
    put(chi_squared, "df", json_figure(srm->df));
    put(chi_squared, "p_value", json_figure(srm_p_value(srm)));
    put(sequential, "log_bayes_factor", json_figure(srm->log_bayes_factor));
    put(sequential, "p_value", json_figure(p));
    put(report, "chi_squared", chi_squared);
    put(report, "sequential", sequential);
    put(report, "mismatch", json_boolean(p < SRM_ALARM));
    return report;
}

/* --- arms --- */

/* The mean of an arm over strata, each weighted by the share of its units in all arms; false where
 * a stratum has none. `score` asks for the mean score of csat instead. */
static bool weighted_mean(const struct study *study, struct moments **strata, size_t count,
                          size_t variant, bool score, long double *mean)
{
    long double all = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        long double weight = 0, here = 0;
        for (size_t v = 0; v < study->variant_count; v++)
            weight += strata[i][v].n;
        if (!moments_mean(&strata[i][variant], &here))
            return false;
        sum += weight * (score ? strata[i][variant].x : here);
        all += weight;
    }
    *mean = sum / all;
    return true;
}

static json_t *arm_report(const struct study *study, const struct study_metric *metric,
                          const struct moments *all, struct moments **strata, size_t count,
                          size_t variant)
{
    long double mean = 0, variance = -1, score = 0;
    bool has_mean = weighted_mean(study, strata, count, variant, false, &mean);
    bool has_sd = moments_variance(all, &variance) && variance >= 0;
    json_t *report = json_object();
    put(report, "key", json_string(study->variants[variant].key));
    put(report, "n", json_figure((double)all->n));
    put(report, "mean", figure_if(has_mean, (double)mean));
    put(report, "sd", figure_if(has_sd, has_sd ? (double)sqrtl(variance) : 0));
    if (metric->kind == MOMENTS_CSAT) {
        bool has_score = weighted_mean(study, strata, count, variant, true, &score);
        put(report, "mean_score", figure_if(has_score, (double)score));
    }
    return report;
}

static bool is_survey(const struct study_metric *metric)
{
    return metric->kind == MOMENTS_NPS || metric->kind == MOMENTS_CSAT;
}

/* The range of an arm's own score, for answers; not in segments, where it would cost more than all
 * the rest. */
static void put_score_interval(json_t *report, const struct study_metric *metric,
                               const struct moments *arm)
{
    struct interval interval;
    put(report, "interval",
        exact_mean(arm, metric->settings.alpha, &interval) ? interval_report(&interval)
                                                           : json_null());
}

/* An arm with less than 2 units in all takes no part in merging; it is shown as it is. */
static json_t *arms_report(struct study *study, const struct study_metric *metric,
                           const struct study_arms *arms)
{
    if (metric->kind == STUDY_QUANTILE)
        return study_quantile_arms(study, metric, arms);
    struct study_merged merged = study_merge(study, arms);
    struct moments *all = merged.all;
    json_t *list = json_array();
    for (size_t v = 0; v < study->variant_count; v++) {
        json_t *report = merged.filled[v]
                             ? arm_report(study, metric, &all[v], merged.strata, merged.count, v)
                             : arm_report(study, metric, &all[v], &all, 1, v);
        if (arms == &metric->arms && is_survey(metric))
            put_score_interval(report, metric, &all[v]);
        append(list, report);
    }
    return list;
}

/* --- comparisons --- */

static void put_adjusted(json_t *report, const struct study_comparison *comparison)
{
    const struct effect *effect = &comparison->effect;
    bool fine = !comparison->problem;
    json_t *means = fine ? json_object() : json_null();
    if (fine) {
        put(means, "control", json_figure(effect->control_mean));
        put(means, "treatment", json_figure(effect->treatment_mean));
    }
    put(report, "theta", figure_if(fine, effect->theta));
    put(report, "mean_adjusted", means);
    put(report, "variance_reduction", figure_if(fine, effect->variance_reduction));
}

/* Beside what all looks say together, what this one says alone. */
static void put_alone(json_t *report, const struct study_comparison *comparison)
{
    bool fine = !comparison->problem;
    json_t *now = json_object();
    put(now, "interval", fine ? interval_report(&comparison->alone.interval) : json_null());
    put(now, "p_value",
        figure_if(fine && comparison->alone.has_p_value, comparison->alone.p_value));
    put(report, "now", now);
    put(report, "drift", json_boolean(comparison->drift));
    put(report, "restarted", json_boolean(comparison->restarted));
}

static void put_posterior(json_t *report, const struct study_comparison *comparison)
{
    const struct bayes *posterior = &comparison->posterior;
    bool there = !comparison->problem && comparison->has_posterior;
    json_t *risk = there ? json_object() : json_null();
    if (there) {
        put(risk, "control", json_figure(posterior->risk_control));
        put(risk, "treatment", json_figure(posterior->risk_treatment));
    }
    put(report, "chance_to_win", figure_if(there, posterior->chance_to_win));
    put(report, "risk", risk);
}

static json_t *comparison_report(struct study *study, const struct study_metric *metric,
                                 const struct study_arms *arms, size_t variant)
{
    const struct study_comparison *comparison = &arms->comparisons[variant - 1];
    const struct inference *inference = &comparison->inference;
    bool fine = !comparison->problem, has_p = fine && inference->has_p_value;
    json_t *report = json_object();
    put(report, "variant", json_string(study->variants[variant].key));
    put(report, "estimate", figure_if(fine, comparison->estimate));
    put(report, "se", figure_if(fine && comparison->has_se, comparison->effect.se));
    put(report, "interval", fine ? interval_report(&inference->interval) : json_null());
    put(report, "p_value", figure_if(has_p, inference->p_value));
    put(report, "p_adjusted", figure_if(has_p, comparison->p_adjusted));
    put(report, "e_value", figure_if(fine && inference->has_e_value, inference->e_value));
    put(report, "critical_value",
        figure_if(fine && comparison->has_critical, comparison->critical));
    put_posterior(report, comparison);
    if (comparison->has_se && arms->strata[0][0].covariate)
        put_adjusted(report, comparison);
    put(report, "significant", json_boolean(comparison->significant));
    if (metric->has_margin)
        put(report, "non_inferior",
            comparison->non_inferior == STUDY_CANNOT_TELL
                ? json_null()
                : json_boolean(comparison->non_inferior == STUDY_YES));
    if (arms->count > 1)
        put(report, "strata", json_integer((json_int_t)comparison->strata));
    if (metric->before && arms == &metric->arms)
        put_alone(report, comparison);
    if (metric->looks && arms == &metric->arms)
        put(report, "looks", study_looks_report(&metric->looks[variant - 1]));
    if (arms->asked)
        put(report, "response", study_response(study, metric, arms, variant));
    if (!fine)
        put(report, "error", json_string(effect_problem_words(comparison->problem)));
    return report;
}

static json_t *comparisons_report(struct study *study, const struct study_metric *metric,
                                  const struct study_arms *arms)
{
    json_t *list = json_array();
    for (size_t v = 1; v < study->variant_count; v++)
        append(list, comparison_report(study, metric, arms, v));
    return list;
}

/* --- segments --- */

/* The effect of one value, false where it has no estimate with a standard error. */
static bool effect_of(const struct study_segment *value, size_t variant,
                      struct segment_effect *effect)
{
    const struct study_comparison *comparison = &value->arms.comparisons[variant - 1];
    if (comparison->problem || !comparison->has_se)
        return false;
    *effect = (struct segment_effect){comparison->estimate, comparison->effect.se};
    return true;
}

/* What the values of one segment tell together about one variant; false where none has an effect.
 */
static bool spread_of(struct study *study, const struct study_segment *values, size_t count,
                      size_t variant, struct segment_spread *spread)
{
    struct segment_effect *effects = arena_alloc(&study->arena, count * sizeof *effects);
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        known += effect_of(&values[i], variant, &effects[known]);
    if (known > 0)
        *spread = segment_spread_of(effects, known);
    return known > 0;
}

static json_t *heterogeneity_report(const struct study *study, size_t variant, bool known,
                                    const struct segment_spread *spread)
{
    json_t *report = json_object();
    put(report, "variant", json_string(study->variants[variant].key));
    put(report, "q", figure_if(known, spread->q));
    put(report, "df", figure_if(known, spread->df));
    put(report, "p_value", figure_if(known && spread->df > 0, spread->p_value));
    return report;
}

static json_t *shrunk_report(const struct study_segment *value, size_t variant,
                             const struct segment_spread *spread)
{
    struct segment_effect effect = {0, 0};
    bool known = effect_of(value, variant, &effect);
    if (known)
        effect = segment_shrink(effect, spread);
    json_t *report = json_object();
    put(report, "estimate", figure_if(known, effect.estimate));
    put(report, "se", figure_if(known, effect.se));
    return report;
}

/* One segment: the `count` values that lie together from `values` on. */
static json_t *segment_report(struct study *study, const struct study_metric *metric,
                              const struct study_segment *values, size_t count)
{
    json_t *report = json_object(), *heterogeneity = json_array(), *list = json_array();
    struct segment_spread *spreads =
        arena_alloc(&study->arena, study->variant_count * sizeof *spreads);
    for (size_t v = 1; v < study->variant_count; v++) {
        bool known = spread_of(study, values, count, v, &spreads[v]);
        append(heterogeneity, heterogeneity_report(study, v, known, &spreads[v]));
    }
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object(), *shrunk = json_object();
        for (size_t v = 1; v < study->variant_count; v++)
            put(shrunk, study->variants[v].key, shrunk_report(&values[i], v, &spreads[v]));
        put(value, "value", json_string(values[i].value));
        put(value, "arms", arms_report(study, metric, &values[i].arms));
        put(value, "comparisons", comparisons_report(study, metric, &values[i].arms));
        put(value, "shrunk", shrunk);
        append(list, value);
    }
    put(report, "segment", json_string(values[0].segment));
    put(report, "heterogeneity", heterogeneity);
    put(report, "values", list);
    return report;
}

static json_t *segments_report(struct study *study, const struct study_metric *metric)
{
    json_t *list = json_array();
    const struct study_segment *segments = metric->segments;
    for (size_t first = 0, end; first < metric->segment_count; first = end) {
        for (end = first + 1; end < metric->segment_count; end++)
            if (strcmp(segments[end].segment, segments[first].segment) != 0)
                break;
        append(list, segment_report(study, metric, &segments[first], end - first));
    }
    return list;
}

/* --- the whole --- */

static json_t *metric_report(struct study *study, const struct study_metric *metric)
{
    json_t *report = json_object();
    put(report, "key", json_string(metric->key));
    put(report, "kind", json_string(study_kind_words[metric->kind]));
    put(report, "method", json_string(study_method_words[metric->settings.method]));
    put(report, "effect", json_string(study_effect_words[metric->settings.effect]));
    put(report, "method_text", study_text_report(study, metric));
    study_report_bins(report, metric);
    put(report, "arms", arms_report(study, metric, &metric->arms));
    put(report, "comparisons", comparisons_report(study, metric, &metric->arms));
    if (metric->arms.asked)
        put(report, "response", study_response_rates(study, &metric->arms));
    if (metric->has_segments)
        put(report, "segments", segments_report(study, metric));
    if (study_has_factors(study, metric))
        put(report, "factors", study_factors_report(study, metric));
    if (study_has_best(study, metric))
        put(report, "best", study_best_report(study, metric));
    return report;
}

json_t *study_report(struct study *study)
{
    json_t *report = json_object(), *metrics = json_array();
    if (study->has_srm)
        put(report, "srm", srm_report(&study->srm, study->srm_before));
    for (size_t i = 0; i < study->metric_count; i++)
        append(metrics, metric_report(study, &study->metrics[i]));
    put(report, "metrics", metrics);
    return report;
}
