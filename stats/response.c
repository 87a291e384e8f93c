/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Response: counts in long double, so that products of two of them keep their digits. */
#include "stats/response.h"

#include <float.h>
#include <gsl/gsl_cdf.h>
#include <math.h>

#include "stats/srm.h"

/* --- who answered --- */

struct response_test response_rates(const double *answered, const double *asked, size_t count)
{
    long double answers = 0, all = 0, square = 0;
    struct response_test test = {.df = -1, .p_value = 1};
    for (size_t i = 0; i < count; i++) {
        answers += answered[i];
        all += asked[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (!(asked[i] > 0))
            continue;
        long double off = answered[i] - asked[i] * (answers / all);
        square += off * off / asked[i];
        test.df += 1;
    }
    test.df = fmax(test.df, 0);
    if (test.df > 0 && answers > 0 && answers < all) {
        long double variance = answers / all * ((all - answers) / all);
        test.statistic = (double)fminl(square / variance, DBL_MAX);
        test.p_value = gsl_cdf_chisq_Q(test.statistic, test.df);
    }
    return test;
}

double response_sequential(const double *answered, const double *asked, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, asked[i]);
    if (!(most > 0))
        return 1;
    struct srm test = srm_test_at(answered, asked, count, RESPONSE_CONCENTRATION);
    return srm_sequential_p_value(&test);
}

/* 1/(a + 1/2) - 1/(e + 1/2), without cancelling. */
static double log_rate_variance(double answered, double exposed)
{
    double a = fmin(answered, exposed - 0.5);
    return (exposed - a) / ((a + 0.5) * (exposed + 0.5));
}

static double log_rate(double answered, double exposed)
{
    return log((answered + 0.5) / (exposed + 0.5));
}

struct response_test response_composition(const struct response_stratum *strata, size_t count,
                                          struct segment_effect *work)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        const struct response_stratum *here = &strata[i];
        if (!(here->control_exposed > 0) || !(here->treatment_exposed > 0))
            continue;
        work[known++] = (struct segment_effect){
            .estimate = log_rate(here->treatment_answered, here->treatment_exposed) -
                        log_rate(here->control_answered, here->control_exposed),
            .se = sqrt(log_rate_variance(here->treatment_answered, here->treatment_exposed) +
                       log_rate_variance(here->control_answered, here->control_exposed)),
        };
    }
    if (known < 2)
        return (struct response_test){.p_value = 1};
    struct segment_spread spread = segment_spread_of(work, known);
    return (struct response_test){spread.q, spread.df, spread.p_value};
}

/* --- the effect --- */

enum effect_problem response_naive(const struct effect_pair *answers, double *naive)
{
    long double control, treatment;
    if (!moments_mean(&answers->control, &control))
        return EFFECT_CONTROL_EMPTY;
    if (!moments_mean(&answers->treatment, &treatment))
        return EFFECT_TREATMENT_EMPTY;
    *naive = (double)(treatment - control);
    return EFFECT_FINE;
}

/* Takes out strata without anybody; how many are left, one at least. */
static size_t drop_empty(struct effect_pair *answers, double *exposed, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool empty =
            !(exposed[i] > 0) && !(answers[i].control.n > 0) && !(answers[i].treatment.n > 0);
        if (empty && (kept > 0 || i + 1 < count))
            continue;
        exposed[kept] = exposed[i];
        answers[kept++] = answers[i];
    }
    return kept;
}

struct response_corrected response_post_stratify(struct effect_pair *answers, double *exposed,
                                                 size_t count)
{
    struct response_corrected corrected = {0};
    long double all = 0;
    count = drop_empty(answers, exposed, count);
    corrected.strata = effect_merge_weighted(answers, exposed, count);
    corrected.merged = count - corrected.strata;
    for (size_t i = 0; i < corrected.strata; i++)
        all += exposed[i];
    for (size_t i = 0; i < corrected.strata && all > 0; i++)
        exposed[i] = (double)(exposed[i] / all);
    corrected.effect = effect_between_weighted(answers, exposed, corrected.strata, EFFECT_ABSOLUTE);
    return corrected;
}

/* --- bounds --- */

/* What is left of an arm that is trimmed: the mean, the score at the edge, and the part of the
 * variance that comes of the arm itself. */
struct rest {
    long double mean, edge, variance;
};

static long double score_of(const struct moments *arm, int category)
{
    return arm->kind == MOMENTS_NPS ? 100 * (1 - category) : 1 - category;
}

/* The `keep` worst units of an arm (or its best): 0 < keep <= n. */
static struct rest rest_of(const struct moments *arm, double asked, long double keep, bool worst)
{
    int count = moments_categories(arm->kind), inside = 0;
    int first = worst ? count - 1 : 0, step = worst ? -1 : 1;
    long double passed = arm->counts[first], sum = 0, square = 0;
    while (passed < keep && inside < count - 1)
        passed += arm->counts[first + step * ++inside];
    struct rest rest = {.edge = score_of(arm, first + step * inside)};
    for (int i = 0; i < inside; i++) {
        long double off = score_of(arm, first + step * i) - rest.edge;
        sum += arm->counts[first + step * i] * off;
        square += arm->counts[first + step * i] * off * off;
    }
    rest.mean = rest.edge + sum / keep;
    rest.variance = (square - sum * sum / asked) / (keep * keep);
    return rest;
}

/* The error of one end. `other` is the arm that answers less. */
static double error_of(const struct rest *rest, const struct moments *other, double asked,
                       long double variance)
{
    long double off = rest->mean - rest->edge;
    return (double)sqrtl(rest->variance + off * off * (1 / other->n - 1.0L / asked) +
                         variance / other->n);
}

struct response_lee response_lee(const struct effect_pair *answers, double control_asked,
                                 double treatment_asked)
{
    const struct moments *control = &answers->control, *treatment = &answers->treatment;
    if (!(control->n > 0))
        return (struct response_lee){.problem = EFFECT_CONTROL_EMPTY};
    if (!(treatment->n > 0))
        return (struct response_lee){.problem = EFFECT_TREATMENT_EMPTY};
    bool by_treatment = treatment->n * control_asked > control->n * treatment_asked;
    const struct moments *more = by_treatment ? treatment : control,
                         *less = by_treatment ? control : treatment;
    double more_asked = by_treatment ? treatment_asked : control_asked,
           less_asked = by_treatment ? control_asked : treatment_asked;
    long double keep = fminl(less->n * more_asked / less_asked, more->n), variance = 0;
    struct rest worst = rest_of(more, more_asked, keep, true);
    struct rest best = rest_of(more, more_asked, keep, false);
    struct response_lee lee = {
        .low = (double)(by_treatment ? worst.mean - less->y : less->y - best.mean),
        .high = (double)(by_treatment ? best.mean - less->y : less->y - worst.mean),
        .trims_treatment = by_treatment,
        .trimmed = (double)((more->n - keep) / more->n),
    };
    if (!moments_variance(less, &variance))
        return lee;
    double at_worst = error_of(&worst, less, less_asked, variance),
           at_best = error_of(&best, less, less_asked, variance);
    lee.has_se = at_worst > 0 && at_best > 0;
    lee.low_se = lee.has_se ? (by_treatment ? at_worst : at_best) : 0;
    lee.high_se = lee.has_se ? (by_treatment ? at_best : at_worst) : 0;
    return lee;
}

bool response_agrees(double naive, double corrected)
{
    return !(naive > 0 && corrected < 0) && !(naive < 0 && corrected > 0);
}
