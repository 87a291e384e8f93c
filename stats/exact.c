/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exact: two nested searches along one curve.
 *
 * Seek an end of the effect (high or low). The curve from the observed shares (L = infinity) to
 * that end's corner (L = 0) minimises the cost, sum n KL(share || theta), for each effect on the
 * way. Walking it until the cost is the budget gives the interval's end; walking until the effect
 * is 0 gives the null's cost, and so the e-value. Costs are taken relative to the observed shares
 * (KL instead of -sum k ln theta), so that nothing cancels at 1e9 units; scores are scaled to a
 * range of 1, and x = ln L. */
#include "stats/exact.h"

#include <math.h>
#include <stdlib.h>

#include "stats/root.h"

/* Past these, L is the corner and the observed shares for all that a double can tell. */
static const double x_corner = -700, x_observed = 300;

/* One arm on its way to a corner. Category 0 is the one sought: gap 0. */
struct arm {
    int categories;
    long double n, share[MOMENTS_CATEGORIES_MAX], gap[MOMENTS_CATEGORIES_MAX];
    long double widest; /* the largest gap of a category with a count */
};

/* Where the curve is at one L. */
struct spot {
    long double cost; /* sum n KL */
    long double gap;  /* the effect's distance from the corner, 0 to 2 */
};

struct curve {
    struct arm *arms;
    size_t count;
    gsl_root_fsolver *outer, *inner;
    double target; /* what the outer search is to reach */
};

/* --- one arm --- */

/* The category's distance from its share at a given L n and shift: theta = share / (1 + z). */
static long double stretch(const struct arm *arm, int i, long double pull, long double shift)
{
    return (arm->gap[i] - shift) / pull;
}

struct balance {
    const struct arm *arm;
    long double pull; /* L n */
};

/* Zero where theta sums to 1; falls with the shift, u = pull - shift. */
static double imbalance(double shift, void *data)
{
    const struct balance *balance = data;
    const struct arm *arm = balance->arm;
    long double sum = 0;
    for (int i = 0; i < arm->categories; i++) {
        if (arm->share[i] > 0)
            sum +=
                arm->share[i] * (arm->gap[i] - shift) / (1 + stretch(arm, i, balance->pull, shift));
    }
    return (double)(sum / arm->widest);
}

/* The shift at which the arm's theta sum to 1; pull itself (u = 0) where they sum to less even so
 * and the sought category takes the rest. */
static long double normalise(const struct arm *arm, long double pull, gsl_root_fsolver *solver)
{
    if (arm->share[0] == 0) {
        long double sum = 0;
        for (int i = 1; i < arm->categories; i++)
            if (arm->share[i] > 0)
                sum += pull * arm->share[i] / arm->gap[i];
        if (sum <= 1)
            return pull;
    }
    struct balance balance = {arm, pull};
    gsl_function f = {imbalance, &balance};
    long double most = fminl(arm->widest, pull * (1 - arm->share[0]));
    return root_between(solver, &f, 0, (double)most);
}

static struct spot spot_of_arm(const struct arm *arm, double x, gsl_root_fsolver *solver)
{
    struct spot spot = {0, 0};
    if (arm->widest == 0) /* every unit is in the sought category already */
        return spot;
    long double pull = expl(x) * arm->n;
    long double shift = normalise(arm, pull, solver);
    for (int i = 0; i < arm->categories; i++) {
        if (arm->share[i] == 0)
            continue;
        long double z = stretch(arm, i, pull, shift);
        spot.cost += arm->n * arm->share[i] * log1pl(z);
        spot.gap += arm->gap[i] * arm->share[i] / (1 + z);
    }
    return spot;
}

/* --- the curve --- */

static struct spot spot_of(const struct curve *curve, double x)
{
    struct spot whole = {0, 0};
    for (size_t i = 0; i < curve->count; i++) {
        struct spot spot = spot_of_arm(&curve->arms[i], x, curve->inner);
        whole.cost += spot.cost;
        whole.gap += spot.gap;
    }
    return whole;
}

static double cost_left(double x, void *data)
{
    const struct curve *curve = data;
    return (double)(spot_of(curve, x).cost - curve->target);
}

static double gap_left(double x, void *data)
{
    const struct curve *curve = data;
    return (double)(curve->target - spot_of(curve, x).gap);
}

/* The x where f, which falls with x, is 0; an end of the range where it has one sign only. */
static double walk(struct curve *curve, double (*f)(double, void *))
{
    gsl_function function = {f, curve};
    double low = -1, high = 1;
    while (low > x_corner && GSL_FN_EVAL(&function, low) < 0)
        low = fmax(2 * low, x_corner);
    while (high < x_observed && GSL_FN_EVAL(&function, high) > 0)
        high = fmin(2 * high, x_observed);
    return root_between(curve->outer, &function, low, high);
}

static void set_arm(struct arm *arm, const struct moments *from, long double weight, bool best)
{
    *arm = (struct arm){.categories = moments_categories(from->kind), .n = from->n};
    int last = arm->categories - 1;
    for (int i = 0; i <= last; i++) {
        arm->share[i] = from->counts[best ? i : last - i] / from->n;
        arm->gap[i] = weight * i / last;
        if (arm->share[i] > 0)
            arm->widest = arm->gap[i];
    }
}

/* Aims the curve at the highest effect (the treatment's best, the control's worst) or the lowest.
 */
static void aim(struct curve *curve, const struct effect_pair *strata, size_t count, bool high)
{
    long double n = 0;
    for (size_t i = 0; i < count; i++)
        n += strata[i].control.n + strata[i].treatment.n;
    for (size_t i = 0; i < count; i++) {
        long double weight = (strata[i].control.n + strata[i].treatment.n) / n;
        set_arm(&curve->arms[2 * i], &strata[i].control, weight, !high);
        set_arm(&curve->arms[2 * i + 1], &strata[i].treatment, weight, high);
    }
}

long double exact_log_at_shares(const struct moments *arm)
{
    int categories = moments_categories(arm->kind), sign;
    const long double half = 0.5L;
    long double sum =
        lgammal_r(categories * half, &sign) - lgammal_r(arm->n + categories * half, &sign);
    for (int i = 0; i < categories; i++) {
        long double k = arm->counts[i];
        sum += lgammal_r(k + half, &sign) - lgammal_r(half, &sign);
        if (k > 0)
            sum -= k * logl(k / arm->n);
    }
    return sum;
}

/* The ends, in units of the scores' range. */
static struct interval ends_of(struct curve *curve, const struct effect_pair *strata, size_t count,
                               double budget)
{
    struct interval ends = {0};
    curve->target = budget;
    aim(curve, strata, count, true);
    ends.high = (double)(1 - spot_of(curve, walk(curve, cost_left)).gap);
    aim(curve, strata, count, false);
    ends.low = (double)(spot_of(curve, walk(curve, cost_left)).gap - 1);
    return ends;
}

/* The least cost of an effect of 0, from an observed one. */
static double cost_of_none(struct curve *curve, const struct effect_pair *strata, size_t count,
                           double observed)
{
    if (observed == 0)
        return 0;
    aim(curve, strata, count, observed < 0);
    curve->target = 1;
    return (double)spot_of(curve, walk(curve, gap_left)).cost;
}

static enum effect_problem look_at(const struct effect_pair *strata, size_t count,
                                   long double *observed, long double *log_e)
{
    long double n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(strata[i].control.n > 0))
            return EFFECT_CONTROL_EMPTY;
        if (!(strata[i].treatment.n > 0))
            return EFFECT_TREATMENT_EMPTY;
        long double here = strata[i].control.n + strata[i].treatment.n;
        n += here;
        *observed += here * (strata[i].treatment.y - strata[i].control.y);
        *log_e +=
            exact_log_at_shares(&strata[i].control) + exact_log_at_shares(&strata[i].treatment);
    }
    *observed /= n;
    return EFFECT_FINE;
}

static struct exact test_on(struct curve *curve, const struct effect_pair *strata, size_t count,
                            double alpha)
{
    struct exact exact = {0};
    long double observed = 0, at_shares = 0;
    exact.problem = look_at(strata, count, &observed, &at_shares);
    if (exact.problem)
        return exact;
    double range = strata[0].control.kind == MOMENTS_NPS ? 200 : 1;
    struct interval ends = ends_of(curve, strata, count, (double)(-logl(alpha) - at_shares));
    double log_e = (double)(at_shares + cost_of_none(curve, strata, count, (double)observed));
    exact.estimate = (double)observed;
    exact.inference = (struct inference){
        .interval = {.low = range * ends.low, .high = range * ends.high},
        .p_value = inference_p_of_e(log_e),
        .has_p_value = true,
        .e_value = inference_e_value(log_e),
        .log_e_value = log_e,
        .has_e_value = true,
    };
    return exact;
}

static void release(struct curve *curve)
{
    free(curve->arms);
    if (curve->outer)
        gsl_root_fsolver_free(curve->outer);
    if (curve->inner)
        gsl_root_fsolver_free(curve->inner);
}

/* A curve of so many arms; false where memory is out. Release it either way. */
static bool prepare(struct curve *curve, size_t arms)
{
    *curve = (struct curve){
        .arms = calloc(arms, sizeof *curve->arms),
        .count = arms,
        .outer = gsl_root_fsolver_alloc(gsl_root_fsolver_brent),
        .inner = gsl_root_fsolver_alloc(gsl_root_fsolver_brent),
    };
    return curve->arms && curve->outer && curve->inner;
}

struct exact exact_test(const struct effect_pair *strata, size_t count, double alpha)
{
    struct exact exact = {.problem = EFFECT_OUT_OF_RANGE};
    struct curve curve;
    if (prepare(&curve, 2 * count))
        exact = test_on(&curve, strata, count, alpha);
    release(&curve);
    return exact;
}

bool exact_mean(const struct moments *arm, double alpha, struct interval *out)
{
    struct curve curve;
    bool fine = prepare(&curve, 1) && arm->n > 0;
    if (fine) {
        double least = arm->kind == MOMENTS_NPS ? -100 : 0,
               most = arm->kind == MOMENTS_NPS ? 100 : 1;
        curve.target = (double)(-logl(alpha) - exact_log_at_shares(arm));
        set_arm(curve.arms, arm, 1, true);
        double high = (double)(1 - spot_of(&curve, walk(&curve, cost_left)).gap);
        set_arm(curve.arms, arm, 1, false);
        double low = (double)spot_of(&curve, walk(&curve, cost_left)).gap;
        *out = (struct interval){.low = least + (most - least) * low,
                                 .high = least + (most - least) * high};
    }
    release(&curve);
    return fine;
}
