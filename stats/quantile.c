/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quantile: regions of an arm are its bins and the gaps around them, 0 to 2 count. Region 2i is the
 * gap before bin i, region 2i + 1 that bin; `at` r/2 bins lie below a region, and (r + 1)/2 of them
 * through it. M+ only grows with the region and M- only falls, so what a stretch of regions costs
 * at least is known from its ends: that makes it cheap to find what is within reach. */
#include "stats/quantile.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { STEPS = 56 };

static const double step_most = 8, step_ratio = 1.25, even_share = 0.1;

struct mixture {
    double step[STEPS], log_weight[STEPS];
    double plus[STEPS], minus[STEPS]; /* psi(step), psi(-step) */
};

/* An arm, with ln M+ and ln M- where at units below were asked for; NaN where not yet. */
struct side {
    const struct sketch *sketch;
    const struct mixture *mixture;
    double n;
    double *below;        /* [i]: units of the bins before i; count + 1 of them */
    double *plus, *minus; /* by the same index */
};

struct stretch {
    size_t from, to; /* regions, both included */
};

/* --- the mixture --- */

/* The share of a half-normal distribution below x. */
static double half_normal(double x, double sd)
{
    return erf(x / (sd * M_SQRT2));
}

static void mixture_make(struct mixture *mixture, const struct quantile_plan *plan)
{
    double p = plan->level, twice = -2 * log(plan->alpha);
    double sd = sqrt((twice + log1p(twice)) / (plan->tuning / 2 * p * (1 - p)));
    double half_step = sqrt(step_ratio), upper = 1;
    for (int j = 0; j < STEPS; j++) {
        double step = step_most * pow(step_ratio, -j);
        double lower = j == STEPS - 1 ? 0 : half_normal(step / half_step, sd);
        mixture->step[j] = step;
        mixture->log_weight[j] = log((1 - even_share) * (upper - lower) + even_share / STEPS);
        mixture->plus[j] = log1p(p * expm1(step));
        mixture->minus[j] = log1p(p * expm1(-step));
        upper = lower;
    }
}

/* What is 40 below the largest exponent does not show in a double. */
static double mixture_log(const struct mixture *mixture, bool plus, double k, double n)
{
    const double *psi = plus ? mixture->plus : mixture->minus;
    double exponent[STEPS], most = -HUGE_VAL, sum = 0;
    double signed_k = plus ? k : -k;
    for (int j = 0; j < STEPS; j++) {
        exponent[j] = mixture->log_weight[j] + mixture->step[j] * signed_k - n * psi[j];
        most = fmax(most, exponent[j]);
    }
    for (int j = 0; j < STEPS; j++)
        if (exponent[j] > most - 40)
            sum += exp(exponent[j] - most);
    return most + log(sum);
}

double quantile_log_m(const struct quantile_plan *plan, bool plus, double k, double n)
{
    struct mixture mixture;
    mixture_make(&mixture, plan);
    return mixture_log(&mixture, plus, k, n);
}

/* --- one arm --- */

static size_t numbers_of(const struct sketch *sketch)
{
    return 3 * (sketch->count + 1);
}

/* `numbers` has room for numbers_of(sketch). */
static struct side side_make(const struct sketch *sketch, const struct mixture *mixture,
                             double *numbers)
{
    size_t count = sketch->count + 1;
    struct side side = {sketch, mixture, 0, numbers, numbers + count, numbers + 2 * count};
    for (size_t i = 0; i < count; i++) {
        side.below[i] = side.n;
        side.plus[i] = side.minus[i] = NAN;
        if (i < sketch->count)
            side.n += sketch->bins[i].sums.n;
    }
    return side;
}

static size_t last_region(const struct side *side)
{
    return 2 * side->sketch->count;
}

static double region_low(const struct side *side, size_t region)
{
    if (region == 0)
        return -HUGE_VAL;
    const struct sketch_bin *bin = &side->sketch->bins[(region - 1) / 2];
    return region % 2 ? bin->low : bin->high;
}

static double region_high(const struct side *side, size_t region)
{
    if (region == last_region(side))
        return HUGE_VAL;
    const struct sketch_bin *bin = &side->sketch->bins[region / 2];
    return region % 2 ? bin->high : bin->low;
}

static double log_plus(struct side *side, size_t region)
{
    double *known = &side->plus[region / 2];
    if (isnan(*known))
        *known = mixture_log(side->mixture, true, side->below[region / 2], side->n);
    return *known;
}

static double log_minus(struct side *side, size_t region)
{
    double *known = &side->minus[(region + 1) / 2];
    if (isnan(*known))
        *known = mixture_log(side->mixture, false, side->below[(region + 1) / 2], side->n);
    return *known;
}

/* The least that ln M may be within a stretch; of one region, what it is. */
static double cost(struct side *side, size_t from, size_t to)
{
    double plus = log_plus(side, from), minus = log_minus(side, to);
    double most = fmax(plus, minus), least = fmin(plus, minus);
    return most + log1p(exp(least - most)) - M_LN2;
}

/* The regions that may cost less than `budget`: M+ rules out those too far up, M- those too far
 * down. Never empty where budget > 0: the region of the estimate costs at most 0. */
static struct stretch within(struct side *side, double budget)
{
    struct stretch found = {0, last_region(side)};
    size_t low = 0, high = last_region(side);
    while (low < high) { /* the last one with M+/2 within the budget */
        size_t middle = low + (high - low + 1) / 2;
        if (log_plus(side, middle) - M_LN2 < budget)
            low = middle;
        else
            high = middle - 1;
    }
    found.to = low;
    low = 0;
    high = found.to;
    while (low < high) { /* the first one with M-/2 within it */
        size_t middle = low + (high - low) / 2;
        if (log_minus(side, middle) - M_LN2 < budget)
            high = middle;
        else
            low = middle + 1;
    }
    found.from = low;
    return found;
}

/* What every region costs at least. */
static double floor_of(struct side *side)
{
    return cost(side, 0, last_region(side));
}

/* --- two arms --- */

/* The regions of both arms that touch one value: a bound of some bin. Any two regions that have a
 * value in common touch such a bound together. */
struct meeting {
    struct stretch control, treatment;
};

/* Moves on to the regions that touch `at`, which is not below what they touched before. */
static struct stretch touching(const struct side *side, struct stretch before, double at)
{
    while (region_high(side, before.from) < at)
        before.from++;
    while (before.to < last_region(side) && region_low(side, before.to + 1) <= at)
        before.to++;
    return before;
}

/* One meeting for each bound, in order; returns how many there are. */
static size_t meet(const struct side *control, const struct side *treatment, struct meeting *out)
{
    struct meeting here = {{0, 0}, {0, 0}};
    size_t count = 0;
    for (;;) {
        double at =
            fmin(region_high(control, here.control.to), region_high(treatment, here.treatment.to));
        if (isinf(at))
            return count;
        here.control = touching(control, here.control, at);
        here.treatment = touching(treatment, here.treatment, at);
        out[count++] = here;
    }
}

struct search {
    struct side *control, *treatment;
    const struct meeting *meetings;
    double best;
};

static double least_of(struct side *side, struct stretch stretch)
{
    double least = HUGE_VAL;
    for (size_t i = stretch.from; i <= stretch.to; i++)
        least = fmin(least, cost(side, i, i));
    return least;
}

/* What all meetings within from..to cost at least. */
static double bound(const struct search *search, size_t from, size_t to)
{
    const struct meeting *first = &search->meetings[from], *last = &search->meetings[to];
    return cost(search->control, first->control.from, last->control.to) +
           cost(search->treatment, first->treatment.from, last->treatment.to);
}

/* The least cost of a meeting within from..to, by halves, the more promising one first. The depth
 * is the logarithm of their number. */
static void search_least(struct search *search, size_t from, size_t to)
{
    if (from == to) {
        const struct meeting *here = &search->meetings[from];
        search->best = fmin(search->best, least_of(search->control, here->control) +
                                              least_of(search->treatment, here->treatment));
        return;
    }
    size_t middle = from + (to - from) / 2;
    double first = bound(search, from, middle), second = bound(search, middle + 1, to);
    if (first <= second && first < search->best)
        search_least(search, from, middle);
    if (second < search->best)
        search_least(search, middle + 1, to);
    if (first > second && first < search->best)
        search_least(search, from, middle);
}

static double least_in_common(struct side *control, struct side *treatment, struct meeting *room)
{
    struct search search = {control, treatment, room, HUGE_VAL};
    search_least(&search, 0, meet(control, treatment, room) - 1);
    return search.best;
}

/* The treatment's regions within reach, with the least cost of those up to each, and from each on.
 */
struct reach {
    struct stretch regions;
    double *up_to, *from;
};

static void reach_fill(struct reach *reach, struct side *side)
{
    size_t first = reach->regions.from, count = reach->regions.to - first + 1;
    for (size_t i = 0; i < count; i++)
        reach->up_to[i] = reach->from[i] = cost(side, first + i, first + i);
    for (size_t i = 1; i < count; i++)
        reach->up_to[i] = fmin(reach->up_to[i], reach->up_to[i - 1]);
    for (size_t i = count - 1; i-- > 0;)
        reach->from[i] = fmin(reach->from[i], reach->from[i + 1]);
}

/* The first and last region that cost less than `budget`; false where none does. */
static bool reach_ends(const struct reach *reach, double budget, struct stretch *out)
{
    size_t count = reach->regions.to - reach->regions.from + 1, low = 0, high = count - 1;
    if (!(reach->from[0] < budget))
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reach->up_to[middle] < budget)
            high = middle;
        else
            low = middle + 1;
    }
    out->from = reach->regions.from + low;
    high = count - 1;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (reach->from[middle] < budget)
            low = middle;
        else
            high = middle - 1;
    }
    out->to = reach->regions.from + low;
    return true;
}

/* Widens [*low, *high] by the effects of a control within [a_low, a_high] and a treatment within
 * [b_low, b_high]. */
static void widen(enum effect_scale scale, double a_low, double a_high, double b_low, double b_high,
                  double *low, double *high)
{
    if (scale == EFFECT_ABSOLUTE) {
        *low = fmin(*low, b_low - a_high);
        *high = fmax(*high, b_high - a_low);
    } else if (a_low > 0) {
        *low = fmin(*low, b_low / (b_low < 0 ? a_low : a_high) - 1);
        *high = fmax(*high, b_high / (b_high > 0 ? a_low : a_high) - 1);
    } else {
        *low = -HUGE_VAL;
        *high = HUGE_VAL;
    }
}

static struct interval interval_of(double low, double high)
{
    bool has_low = isfinite(low), has_high = isfinite(high);
    return (struct interval){has_low ? low : 0, has_high ? high : 0, !has_low, !has_high};
}

static struct interval range_between(struct side *control, struct side *treatment,
                                     const struct quantile_plan *plan, double *room)
{
    double budget = -log(plan->alpha), low = HUGE_VAL, high = -HUGE_VAL;
    struct stretch within_b = within(treatment, budget - floor_of(control));
    struct reach reach = {within_b, room, room + (within_b.to - within_b.from + 1)};
    reach_fill(&reach, treatment);
    struct stretch within_a = within(control, budget - reach.from[0]);
    for (size_t a = within_a.from; a <= within_a.to; a++) {
        struct stretch b;
        if (reach_ends(&reach, budget - cost(control, a, a), &b))
            widen(plan->scale, region_low(control, a), region_high(control, a),
                  region_low(treatment, b.from), region_high(treatment, b.to), &low, &high);
    }
    return interval_of(low, high);
}

static enum effect_problem estimate(const struct sketch *control, const struct sketch *treatment,
                                    enum effect_scale scale, double level, double *out)
{
    double a, b;
    if (!sketch_quantile(control, level, &a))
        return EFFECT_CONTROL_EMPTY;
    if (!sketch_quantile(treatment, level, &b))
        return EFFECT_TREATMENT_EMPTY;
    if (scale == EFFECT_RELATIVE && a == 0)
        return EFFECT_CONTROL_QUANTILE_ZERO;
    *out = scale == EFFECT_RELATIVE ? (b - a) / fabs(a) : b - a;
    return isfinite(*out) ? EFFECT_FINE : EFFECT_OUT_OF_RANGE;
}

struct quantile quantile_test(const struct sketch *control, const struct sketch *treatment,
                              const struct quantile_plan *plan)
{
    struct quantile result = {0};
    struct mixture mixture;
    size_t regions = 2 * (control->count + treatment->count) + 2;
    size_t of_control = numbers_of(control), of_treatment = numbers_of(treatment);
    result.problem = estimate(control, treatment, plan->scale, plan->level, &result.estimate);
    if (result.problem)
        return (struct quantile){.problem = result.problem};
    double *numbers = malloc((of_control + of_treatment + 2 * regions) * sizeof *numbers);
    struct meeting *meetings = malloc(regions * sizeof *meetings);
    if (numbers && meetings) {
        mixture_make(&mixture, plan);
        struct side a = side_make(control, &mixture, numbers);
        struct side b = side_make(treatment, &mixture, numbers + of_control);
        double log_e = least_in_common(&a, &b, meetings);
        result.inference = (struct inference){
            .interval = range_between(&a, &b, plan, numbers + of_control + of_treatment),
            .p_value = inference_p_of_e(log_e),
            .has_p_value = true,
            .e_value = inference_e_value(log_e),
            .log_e_value = log_e,
            .has_e_value = true,
        };
    } else {
        result = (struct quantile){.problem = EFFECT_OUT_OF_RANGE};
    }
    free(numbers);
    free(meetings);
    return result;
}

bool quantile_range(const struct sketch *arm, const struct quantile_plan *plan,
                    struct interval *out)
{
    struct mixture mixture;
    double *numbers = malloc(numbers_of(arm) * sizeof *numbers);
    bool fine = numbers && sketch_n(arm) > 0;
    if (fine) {
        mixture_make(&mixture, plan);
        double budget = -log(plan->alpha);
        struct side side = side_make(arm, &mixture, numbers);
        struct stretch found = within(&side, budget);
        while (!(cost(&side, found.from, found.from) < budget))
            found.from++;
        while (!(cost(&side, found.to, found.to) < budget))
            found.to--;
        *out = interval_of(region_low(&side, found.from), region_high(&side, found.to));
    }
    free(numbers);
    return fine;
}
