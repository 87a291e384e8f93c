/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, writing: the report as JSON. A figure that there is not is null; the order of members is
 * that of the manual. */
#include <math.h>

#include "core/json_write.h"
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

static bool is_survey(const struct study_metric *metric)
{
    return metric->kind == MOMENTS_NPS || metric->kind == MOMENTS_CSAT;
}

/* `all` are the units of all strata together. */
static void write_arm(struct json_writer *w, const struct study *study,
                      const struct study_metric *metric, const struct moments *all,
                      struct moments **strata, size_t count, size_t variant, bool whole)
{
    long double mean = 0, variance = -1, score = 0;
    bool has_mean = weighted_mean(study, strata, count, variant, false, &mean);
    bool has_sd = moments_variance(all, &variance) && variance >= 0;
    struct interval interval;
    json_write_object(w, NULL);
    json_write_string(w, "key", study->variants[variant].key);
    json_write_figure(w, "n", (double)all->n);
    write_if(w, "mean", has_mean, (double)mean);
    write_if(w, "sd", has_sd, has_sd ? (double)sqrtl(variance) : 0);
    if (metric->kind == MOMENTS_CSAT) {
        bool has_score = weighted_mean(study, strata, count, variant, true, &score);
        write_if(w, "mean_score", has_score, (double)score);
    }
    /* The range of an arm's own score, for answers; not in segments, where it would cost more than
     * all the rest. */
    if (whole && is_survey(metric))
        write_interval(w, "interval", exact_mean(all, metric->settings.alpha, &interval),
                       &interval);
    json_write_end(w);
}

/* An arm with less than 2 units in all takes no part in merging; it is shown as it is. */
static void write_arms(struct json_writer *w, struct study *study,
                       const struct study_metric *metric, const struct study_arms *arms)
{
    bool whole = arms == &metric->arms;
    json_write_array(w, "arms");
    if (metric->kind == STUDY_QUANTILE) {
        for (size_t v = 0; v < study->variant_count; v++)
            study_write_quantile_arm(w, study, metric, arms, v);
    } else {
        struct study_merged merged = study_merge(study, arms);
        struct moments *all = merged.all;
        for (size_t v = 0; v < study->variant_count; v++)
            write_arm(w, study, metric, &all[v], merged.filled[v] ? merged.strata : &all,
                      merged.filled[v] ? merged.count : 1, v, whole);
    }
    json_write_end(w);
}

/* --- comparisons --- */

static void write_pair(struct json_writer *w, const char *name, bool there, double control,
                       double treatment)
{
    if (!there) {
        json_write_null(w, name);
        return;
    }
    json_write_object(w, name);
    json_write_figure(w, "control", control);
    json_write_figure(w, "treatment", treatment);
    json_write_end(w);
}

static void write_adjusted(struct json_writer *w, const struct study_comparison *comparison)
{
    const struct effect *effect = &comparison->effect;
    bool fine = !comparison->problem;
    write_if(w, "theta", fine, effect->theta);
    write_pair(w, "mean_adjusted", fine, effect->control_mean, effect->treatment_mean);
    write_if(w, "variance_reduction", fine, effect->variance_reduction);
}

/* Beside what all looks say together, what this one says alone. */
static void write_alone(struct json_writer *w, const struct study_comparison *comparison)
{
    bool fine = !comparison->problem;
    json_write_object(w, "now");
    write_interval(w, "interval", fine, &comparison->alone.interval);
    write_if(w, "p_value", fine && comparison->alone.has_p_value, comparison->alone.p_value);
    json_write_end(w);
    json_write_bool(w, "drift", comparison->drift);
    json_write_bool(w, "restarted", comparison->restarted);
}

static void write_posterior(struct json_writer *w, const struct study_comparison *comparison)
{
    const struct bayes *posterior = &comparison->posterior;
    bool there = !comparison->problem && comparison->has_posterior;
    write_if(w, "chance_to_win", there, posterior->chance_to_win);
    write_pair(w, "risk", there, posterior->risk_control, posterior->risk_treatment);
}

/* Takes over `value`. */
static void write_made(struct json_writer *w, const char *name, json_t *value)
{
    json_write_value(w, name, value);
    json_decref(value);
}

static void write_answer(struct json_writer *w, enum study_answer answer)
{
    if (answer == STUDY_CANNOT_TELL)
        json_write_null(w, "non_inferior");
    else
        json_write_bool(w, "non_inferior", answer == STUDY_YES);
}

/* What only some methods or metrics have. */
static void write_special(struct json_writer *w, struct study *study,
                          const struct study_metric *metric, const struct study_arms *arms,
                          size_t variant)
{
    const struct study_comparison *comparison = &arms->comparisons[variant - 1];
    bool whole = arms == &metric->arms;
    if (metric->has_margin)
        write_answer(w, comparison->non_inferior);
    if (arms->count > 1)
        json_write_figure(w, "strata", (double)comparison->strata);
    if (metric->before && whole)
        write_alone(w, comparison);
    if (metric->looks && whole)
        write_made(w, "looks", study_looks_report(&metric->looks[variant - 1]));
    if (arms->asked)
        write_made(w, "response", study_response(study, metric, arms, variant));
    if (comparison->problem)
        json_write_string(w, "error", effect_problem_words(comparison->problem));
}

static void write_comparison(struct json_writer *w, struct study *study,
                             const struct study_metric *metric, const struct study_arms *arms,
                             size_t variant)
{
    const struct study_comparison *comparison = &arms->comparisons[variant - 1];
    const struct inference *inference = &comparison->inference;
    bool fine = !comparison->problem, has_p = fine && inference->has_p_value;
    json_write_object(w, NULL);
    json_write_string(w, "variant", study->variants[variant].key);
    write_if(w, "estimate", fine, comparison->estimate);
    write_if(w, "se", fine && comparison->has_se, comparison->effect.se);
    write_interval(w, "interval", fine, &inference->interval);
    write_if(w, "p_value", has_p, inference->p_value);
    write_if(w, "p_adjusted", has_p, comparison->p_adjusted);
    write_if(w, "e_value", fine && inference->has_e_value, inference->e_value);
    write_if(w, "critical_value", fine && comparison->has_critical, comparison->critical);
    write_posterior(w, comparison);
    if (comparison->has_se && arms->strata[0][0].covariate)
        write_adjusted(w, comparison);
    json_write_bool(w, "significant", comparison->significant);
    write_special(w, study, metric, arms, variant);
    json_write_end(w);
}

static void write_comparisons(struct json_writer *w, struct study *study,
                              const struct study_metric *metric, const struct study_arms *arms)
{
    json_write_array(w, "comparisons");
    for (size_t v = 1; v < study->variant_count; v++)
        write_comparison(w, study, metric, arms, v);
    json_write_end(w);
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

/* Fills the spreads too, [variant]. */
static void write_heterogeneity(struct json_writer *w, struct study *study,
                                const struct study_segment *values, size_t count,
                                struct segment_spread *spreads)
{
    json_write_array(w, "heterogeneity");
    for (size_t v = 1; v < study->variant_count; v++) {
        const struct segment_spread *spread = &spreads[v];
        bool known = spread_of(study, values, count, v, &spreads[v]);
        json_write_object(w, NULL);
        json_write_string(w, "variant", study->variants[v].key);
        write_if(w, "q", known, spread->q);
        write_if(w, "df", known, spread->df);
        write_if(w, "p_value", known && spread->df > 0, spread->p_value);
        json_write_end(w);
    }
    json_write_end(w);
}

static void write_shrunk(struct json_writer *w, const struct study *study,
                         const struct study_segment *value, const struct segment_spread *spreads)
{
    json_write_object(w, "shrunk");
    for (size_t v = 1; v < study->variant_count; v++) {
        struct segment_effect effect = {0, 0};
        bool known = effect_of(value, v, &effect);
        if (known)
            effect = segment_shrink(effect, &spreads[v]);
        json_write_object(w, study->variants[v].key);
        write_if(w, "estimate", known, effect.estimate);
        write_if(w, "se", known, effect.se);
        json_write_end(w);
    }
    json_write_end(w);
}

/* The `count` values of one segment, which lie together from `values` on. */
static void write_segment(struct json_writer *w, struct study *study,
                          const struct study_metric *metric, const struct study_segment *values,
                          size_t count)
{
    struct segment_spread *spreads =
        arena_alloc(&study->arena, study->variant_count * sizeof *spreads);
    write_heterogeneity(w, study, values, count, spreads);
    json_write_array(w, "values");
    for (size_t i = 0; i < count; i++) {
        json_write_object(w, NULL);
        json_write_string(w, "value", values[i].value);
        write_arms(w, study, metric, &values[i].arms);
        write_comparisons(w, study, metric, &values[i].arms);
        write_shrunk(w, study, &values[i], spreads);
        json_write_end(w);
    }
    json_write_end(w);
}

/* How many values of the same segment follow from the one at `first` on. */
static size_t run_of(const struct study_metric *metric, size_t first)
{
    size_t end = first + 1;
    while (end < metric->segment_count &&
           strcmp(metric->segments[end].segment, metric->segments[first].segment) == 0)
        end++;
    return end - first;
}

static void write_segments(struct json_writer *w, struct study *study,
                           const struct study_metric *metric)
{
    json_write_array(w, "segments");
    for (size_t first = 0, count; first < metric->segment_count; first += count) {
        count = run_of(metric, first);
        json_write_object(w, NULL);
        json_write_string(w, "segment", metric->segments[first].segment);
        write_segment(w, study, metric, &metric->segments[first], count);
        json_write_end(w);
    }
    json_write_end(w);
}

static const struct study_metric *metric_named(const struct study *study, const char *key)
{
    for (size_t i = 0; i < study->metric_count; i++)
        if (strcmp(study->metrics[i].key, key) == 0)
            return &study->metrics[i];
    return NULL;
}

size_t study_segment_values(const struct study *study, const char *key, const char *segment)
{
    const struct study_metric *metric = metric_named(study, key);
    for (size_t first = 0; metric && first < metric->segment_count; first += run_of(metric, first))
        if (strcmp(metric->segments[first].segment, segment) == 0)
            return run_of(metric, first);
    return 0;
}

void study_write_segment(struct json_writer *w, struct study *study, const char *key,
                         const char *segment)
{
    const struct study_metric *metric = metric_named(study, key);
    for (size_t first = 0; metric && first < metric->segment_count; first += run_of(metric, first))
        if (strcmp(metric->segments[first].segment, segment) == 0)
            write_segment(w, study, metric, &metric->segments[first], run_of(metric, first));
}

/* --- the whole --- */

static json_t *metric_report(struct study *study, const struct study_metric *metric, bool segments)
{
    json_t *report = json_object();
    struct json_writer w = json_writer_tree(report);
    put(report, "key", json_string(metric->key));
    put(report, "kind", json_string(study_kind_words[metric->kind]));
    put(report, "method", json_string(study_method_words[metric->settings.method]));
    put(report, "effect", json_string(study_effect_words[metric->settings.effect]));
    put(report, "method_text", study_text_report(study, metric));
    study_report_bins(report, metric);
    write_arms(&w, study, metric, &metric->arms);
    write_comparisons(&w, study, metric, &metric->arms);
    if (metric->arms.asked)
        put(report, "response", study_response_rates(study, &metric->arms));
    if (metric->has_segments && segments)
        write_segments(&w, study, metric);
    if (study_has_factors(study, metric))
        put(report, "factors", study_factors_report(study, metric));
    if (study_has_best(study, metric))
        put(report, "best", study_best_report(study, metric));
    return report;
}

json_t *study_report(struct study *study, bool segments)
{
    json_t *report = json_object(), *metrics = json_array();
    if (study->has_srm)
        put(report, "srm", srm_report(&study->srm, study->srm_before));
    for (size_t i = 0; i < study->metric_count; i++)
        append(metrics, metric_report(study, &study->metrics[i], segments));
    put(report, "metrics", metrics);
    return report;
}
