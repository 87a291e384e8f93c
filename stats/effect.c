/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Effect: one pass over both arms' strata gathers weighted means and variance terms per arm; what
 * is absolute, relative, adjusted or not is then a matter of how the terms are put together. */
#include "stats/effect.h"

#include <math.h>

/* One arm, gathered over strata. */
struct side {
    long double mean, covariate;    /* sum w m, sum w p */
    long double post, product, pre; /* sum w^2 v/n, w^2 c/n, w^2 q/n */
    long double adjusted;           /* sum w^2 V(1)/n */
    long double welch;              /* sum (w^2 V(1)/n)^2 / (n - 1) */
    long double uninformed;         /* sum w^2/n */
};

static bool small(const struct effect_pair *pair)
{
    return pair->control.n < 2 || pair->treatment.n < 2;
}

size_t effect_merge_weighted(struct effect_pair *strata, double *weights, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct effect_pair *last = kept ? &strata[kept - 1] : NULL;
        if (last && (small(last) || small(&strata[i]))) {
            last->control = moments_merge(&last->control, &strata[i].control);
            last->treatment = moments_merge(&last->treatment, &strata[i].treatment);
            if (weights)
                weights[kept - 1] += weights[i];
        } else {
            if (weights)
                weights[kept] = weights[i];
            strata[kept++] = strata[i];
        }
    }
    return kept;
}

size_t effect_merge_strata(struct effect_pair *strata, size_t count)
{
    return effect_merge_weighted(strata, NULL, count);
}

static struct moments everyone(const struct effect_pair *strata, size_t count)
{
    struct moments all = moments_merge(&strata[0].control, &strata[0].treatment);
    for (size_t i = 1; i < count; i++) {
        struct moments here = moments_merge(&strata[i].control, &strata[i].treatment);
        all = moments_merge(&all, &here);
    }
    return all;
}

/* The variance of what a unit adds to the score. Shares are counted once at most, and most of them
 * late, so that it grows with them: the looks of an experiment whose outcomes are still coming in
 * are less alike than its numbers of customers. */
static long double unit_variance(const struct moments *all)
{
    long double variance = 0;
    if (!moments_variance(all, &variance) || !(variance > 0))
        return 0;
    return all->kind == MOMENTS_RATIO ? variance * all->x * all->x : variance;
}

static long double theta_of(const struct moments *all)
{
    if (!all->covariate || !(all->xx > 0) || !(all->yy > 0))
        return 0;
    return all->xy / all->xx;
}

/* v r^2 - 2 theta c r + theta^2 q; what is within rounding of its terms is nothing. */
static long double adjust(long double v, long double c, long double q, long double theta,
                          long double r)
{
    long double terms = v * r * r + theta * theta * q;
    long double left = terms - 2 * theta * c * r;
    return theta != 0 && fabsl(left) <= 1e-14L * fabsl(terms) ? 0 : left;
}

/* Adds one stratum's arm. The problems are those of a control; see shift(). */
static enum effect_problem gather(struct side *side, const struct moments *arm, long double weight,
                                  long double theta)
{
    long double mean, v, q = 0, c = 0;
    if (!(arm->n > 0))
        return EFFECT_CONTROL_EMPTY;
    if (!moments_mean(arm, &mean))
        return EFFECT_CONTROL_NO_DENOMINATOR;
    if (!moments_variance(arm, &v))
        return EFFECT_CONTROL_TOO_FEW;
    if (arm->covariate && !moments_covariate(arm, &q, &c))
        return EFFECT_CONTROL_TOO_FEW;
    long double adjusted = adjust(v, c, q, theta, 1);
    if (v < 0 || q < 0 || adjusted < 0)
        return EFFECT_CONTROL_NEGATIVE_VARIANCE;
    long double scale = weight * weight / arm->n;
    side->mean += weight * mean;
    side->covariate += arm->covariate ? weight * arm->x : 0;
    side->post += scale * v;
    side->product += scale * c;
    side->pre += scale * q;
    side->adjusted += scale * adjusted;
    side->uninformed += scale;
    if (arm->n > 1)
        side->welch += scale * adjusted * (scale * adjusted) / (arm->n - 1);
    return EFFECT_FINE;
}

/* The treatment's problems follow the control's, each at the next place. */
static enum effect_problem shift(enum effect_problem problem, bool treatment)
{
    if (problem == EFFECT_FINE || !treatment)
        return problem;
    return (enum effect_problem)(problem + 1);
}

static enum effect_problem gather_arm(struct side *side, const struct effect_pair *strata,
                                      const double *weights, size_t count, bool treatment,
                                      const struct moments *all, long double theta)
{
    for (size_t i = 0; i < count; i++) {
        const struct effect_pair *here = &strata[i];
        long double weight = weights ? weights[i] : (here->control.n + here->treatment.n) / all->n;
        const struct moments *arm = treatment ? &here->treatment : &here->control;
        enum effect_problem problem = gather(side, arm, weight, theta);
        if (problem)
            return shift(problem, treatment);
    }
    return shift(side->adjusted > 0 ? EFFECT_FINE : EFFECT_CONTROL_NO_VARIANCE, treatment);
}

/* se^2 before the division by M_a^2; r is 1 for an absolute effect. */
static long double squared_error(const struct side *control, const struct side *treatment,
                                 long double theta, long double r)
{
    return adjust(treatment->post, treatment->product, treatment->pre, theta, 1) +
           adjust(control->post, control->product, control->pre, theta, r);
}

/* D - r |M_a| is what the treatment has more than the control taken 1 + r times (1 - r times, where
 * its mean is negative), whose variance is V_b(1) + V_a(1 -+ r). */
static struct effect_ratio ratio_of(const struct side *control, const struct side *treatment,
                                    long double theta, long double difference)
{
    int sign = control->mean < 0 ? -1 : 1;
    return (struct effect_ratio){
        .difference = difference,
        .base = fabsl(control->mean),
        .constant = squared_error(control, treatment, theta, 1),
        .linear = sign * (theta * control->product - control->post),
        .square = control->post,
    };
}

/* Puts the sides together. The divisor is |M_a| for a relative effect, else 1. */
static struct effect combine(const struct side *control, const struct side *treatment,
                             long double theta, enum effect_scale scale)
{
    bool relative = scale == EFFECT_RELATIVE;
    if (relative && control->mean == 0)
        return (struct effect){.problem = EFFECT_CONTROL_MEAN_ZERO};
    long double divisor = relative ? fabsl(control->mean) : 1;
    long double r = relative ? treatment->mean / control->mean : 1;
    long double control_mean = control->mean - theta * control->covariate;
    long double treatment_mean = treatment->mean - theta * treatment->covariate;
    long double square = squared_error(control, treatment, theta, r);
    long double plain = squared_error(control, treatment, 0, r);
    long double adjusted = control->adjusted + treatment->adjusted;
    struct effect effect = {
        .estimate = (double)((treatment_mean - control_mean) / divisor),
        .se = (double)(sqrtl(square) / divisor),
        .df = (double)(adjusted * adjusted / (control->welch + treatment->welch)),
        .base = (double)fabsl(control->mean),
        .theta = (double)theta,
        .control_mean = (double)control_mean,
        .treatment_mean = (double)treatment_mean,
        .variance_reduction = (double)(1 - square / plain),
    };
    bool sound = isfinite(effect.estimate) && isfinite(effect.se) && effect.se > 0 &&
                 isfinite(effect.df) && isfinite(effect.theta) && isfinite(effect.control_mean) &&
                 isfinite(effect.treatment_mean) && isfinite(effect.variance_reduction);
    if (relative)
        effect.ratio = ratio_of(control, treatment, theta, treatment_mean - control_mean);
    return sound ? effect : (struct effect){.problem = EFFECT_OUT_OF_RANGE};
}

struct effect effect_between_weighted(const struct effect_pair *strata, const double *weights,
                                      size_t count, enum effect_scale scale)
{
    struct moments all = everyone(strata, count);
    struct side control = {0}, treatment = {0};
    long double theta = theta_of(&all);
    enum effect_problem problem = gather_arm(&control, strata, weights, count, false, &all, theta);
    if (!problem)
        problem = gather_arm(&treatment, strata, weights, count, true, &all, theta);
    if (problem)
        return (struct effect){.problem = problem};
    struct effect effect = combine(&control, &treatment, theta, scale);
    if (effect.problem)
        return effect;
    effect.units = (double)all.n;
    effect.information =
        (double)(unit_variance(&all) / (control.uninformed + treatment.uninformed));
    effect.adjusted = all.covariate;
    return effect;
}

struct effect_mean effect_mean_of(const struct moments *strata, const double *weights, size_t count)
{
    struct side side = {0};
    long double units = 0;
    for (size_t i = 0; i < count; i++) {
        struct moments arm = strata[i];
        arm.covariate = false;
        enum effect_problem problem = gather(&side, &arm, weights[i], 0);
        if (problem)
            return (struct effect_mean){.problem = problem};
        units += arm.n;
    }
    struct effect_mean mean = {.has_mean = true, .mean = side.mean, .units = (double)units};
    double se = (double)sqrtl(side.adjusted);
    if (!isfinite((double)side.mean) || !isfinite(se) || (side.adjusted > 0 && !(se > 0)))
        return (struct effect_mean){.problem = EFFECT_OUT_OF_RANGE};
    if (!(side.adjusted > 0))
        mean.problem = EFFECT_CONTROL_NO_VARIANCE;
    mean.variance = side.adjusted;
    mean.welch = side.welch;
    return mean;
}

struct effect effect_between(const struct effect_pair *strata, size_t count,
                             enum effect_scale scale)
{
    return effect_between_weighted(strata, NULL, count, scale);
}

const char *effect_problem_words(enum effect_problem problem)
{
    switch (problem) {
    case EFFECT_FINE:
        break;
    case EFFECT_CONTROL_EMPTY:
        return "the control has no units";
    case EFFECT_TREATMENT_EMPTY:
        return "the treatment has no units";
    case EFFECT_CONTROL_TOO_FEW:
        return "the control has fewer than 2 units";
    case EFFECT_TREATMENT_TOO_FEW:
        return "the treatment has fewer than 2 units";
    case EFFECT_CONTROL_NO_DENOMINATOR:
        return "the control's denominator is zero";
    case EFFECT_TREATMENT_NO_DENOMINATOR:
        return "the treatment's denominator is zero";
    case EFFECT_CONTROL_NO_VARIANCE:
        return "the control has no variance";
    case EFFECT_TREATMENT_NO_VARIANCE:
        return "the treatment has no variance";
    case EFFECT_CONTROL_NEGATIVE_VARIANCE:
        return "the control's sums contradict each other: its variance is negative";
    case EFFECT_TREATMENT_NEGATIVE_VARIANCE:
        return "the treatment's sums contradict each other: its variance is negative";
    case EFFECT_CONTROL_MEAN_ZERO:
        return "the control's mean is zero: nothing to be relative to";
    case EFFECT_CONTROL_QUANTILE_ZERO:
        return "the control's quantile is zero: nothing to be relative to";
    case EFFECT_OUT_OF_RANGE:
        return "the figures are too large or too small to compute with";
    }
    return "";
}
