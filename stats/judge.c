/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/judge.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

#include "stats/bayes.h"
#include "stats/exact.h"
#include "stats/fieller.h"
#include "stats/fixed.h"
#include "stats/group.h"
#include "stats/msprt.h"
#include "stats/sequential.h"

static struct simulate_claim none(void)
{
    return (struct simulate_claim){0, false, 0};
}

static struct simulate_claim claim(double estimate, bool claimed)
{
    return (struct simulate_claim){claimed ? (estimate > 0) - (estimate < 0) : 0, true, estimate};
}

/* What is tested, and its standard error. */
struct tested {
    double value, se;
};

static struct tested tested_of(const struct judge *judge, const struct effect *effect)
{
    if (judge->fieller && judge->scale == EFFECT_RELATIVE)
        return (struct tested){fieller_statistic(effect), 1};
    return (struct tested){effect->estimate, effect->se};
}

struct simulate_claim judge_sequential(const void *method, void *memory,
                                       const struct simulate_look *look)
{
    const struct judge *judge = method;
    struct effect effect = effect_between(&look->pair, 1, judge->scale);
    (void)memory;
    if (effect.problem)
        return none();
    struct tested tested = tested_of(judge, &effect);
    double p = sequential_test(tested.value, tested.se, effect.units, judge->alpha, judge->tuning,
                               judge->sides)
                   .p_value;
    return claim(effect.estimate, p <= judge->alpha);
}

struct simulate_claim judge_msprt(const void *method, void *memory,
                                  const struct simulate_look *look)
{
    const struct judge *judge = method;
    struct effect effect = effect_between(&look->pair, 1, judge->scale);
    (void)memory;
    if (effect.problem)
        return none();
    struct tested tested = tested_of(judge, &effect);
    double scale = tested.se / effect.se;
    double p =
        msprt_test(tested.value, tested.se, judge->mixture_variance * scale * scale, judge->alpha)
            .p_value;
    return claim(effect.estimate, p <= judge->alpha);
}

/* An upper bound of ln e, which for two categories is ln e itself: the arms' common shares are one
 * way to have no effect, and ln e is taken at the way that costs least. */
static double log_e_most(const struct effect_pair *pair)
{
    long double n_a = pair->control.n, n_b = pair->treatment.n;
    long double log_e = exact_log_at_shares(&pair->control) + exact_log_at_shares(&pair->treatment);
    for (int i = 0; i < moments_categories(pair->control.kind); i++) {
        double a = pair->control.counts[i], b = pair->treatment.counts[i];
        long double pooled = (a + b) / (n_a + n_b);
        log_e += a > 0 ? a * logl(a / n_a / pooled) : 0;
        log_e += b > 0 ? b * logl(b / n_b / pooled) : 0;
    }
    return (double)log_e;
}

struct simulate_claim judge_exact(const void *method, void *memory,
                                  const struct simulate_look *look)
{
    const struct judge *judge = method;
    const struct effect_pair *pair = &look->pair;
    (void)memory;
    if (!(pair->control.n > 0 && pair->treatment.n > 0))
        return none();
    /* The test costs some twenty times what the bound does, and is asked where it may claim. */
    if (log_e_most(pair) < -log(judge->alpha) - 1e-6)
        return claim((double)(pair->treatment.y - pair->control.y), false);
    struct exact exact = exact_test(pair, 1, judge->alpha);
    if (exact.problem)
        return none();
    return claim(exact.estimate, exact.inference.p_value <= judge->alpha);
}

struct simulate_claim judge_fixed(const void *method, void *memory,
                                  const struct simulate_look *look)
{
    const struct judge *judge = method;
    struct effect effect = effect_between(&look->pair, 1, judge->scale);
    (void)memory;
    if (effect.problem)
        return none();
    /* Student's tails are heavier than the normal's: what that does not find, the test does not. */
    struct tested tested = tested_of(judge, &effect);
    double z = tested.value / tested.se;
    double side = judge->sides == SIDES_TWO ? fabs(z) : judge->sides == SIDES_GREATER ? z : -z;
    double tail = judge->sides == SIDES_TWO ? judge->alpha / 2 : judge->alpha;
    if (side < gsl_cdf_ugaussian_Qinv(tail))
        return claim(effect.estimate, false);
    return claim(effect.estimate, fixed_tail(side, effect.df) <= tail);
}

struct simulate_claim judge_group(const void *method, void *memory,
                                  const struct simulate_look *look)
{
    const struct judge *judge = method;
    struct effect effect = effect_between(&look->pair, 1, judge->scale);
    (void)memory;
    if (effect.problem)
        return none();
    struct tested tested = tested_of(judge, &effect);
    return claim(effect.estimate, group_crosses(tested.value, tested.se,
                                                judge->critical[look->number - 1], judge->sides));
}

struct simulate_claim judge_bayesian(const void *method, void *memory,
                                     const struct simulate_look *look)
{
    static const struct prior flat = {.proper = false};
    const struct judge *judge = method;
    struct effect effect = effect_between(&look->pair, 1, judge->scale);
    (void)memory;
    if (effect.problem)
        return none();
    double half = effect.se * gsl_cdf_ugaussian_Qinv(judge->alpha / 2);
    if (fabs(effect.estimate) < half * (1 - 1e-9))
        return claim(effect.estimate, false);
    struct interval range =
        bayes_posterior(effect.estimate, effect.se, &flat, judge->alpha, false).interval;
    return claim(effect.estimate, range.low > 0 || range.high < 0);
}
