/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identities: what must hold between results whatever the data are, over designs drawn by chance.
 * They need no reference values, so they reach where nobody has tabulated any. */
#include "tests/stats/near.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_sort.h>

#include "stats/bayes.h"
#include "stats/effect.h"
#include "stats/exact.h"
#include "stats/fixed.h"
#include "stats/group.h"
#include "stats/msprt.h"
#include "stats/sequential.h"

/* --- designs by chance --- */

enum { KINDS = 5, UNITS_MAX = 400 };
static const enum moments_kind kinds[KINDS] = {MOMENTS_BINARY, MOMENTS_MEAN, MOMENTS_RATIO,
                                               MOMENTS_NPS, MOMENTS_CSAT};

/* One unit: y and x as moments_add takes them. */
struct unit {
    double y, x;
};

static struct unit unit_of(gsl_rng *rng, enum moments_kind kind, double shift)
{
    double chance = gsl_rng_uniform(rng) + shift;
    switch (kind) {
    case MOMENTS_BINARY:
        return (struct unit){chance > 0.6, chance > 0.7};
    case MOMENTS_MEAN: {
        double before = gsl_ran_gamma(rng, 2, 3);
        return (struct unit){5 + 0.7 * before + gsl_ran_gaussian(rng, 2) + 8 * shift, before};
    }
    case MOMENTS_RATIO: {
        double sessions = 1 + gsl_ran_poisson(rng, 2);
        return (struct unit){gsl_ran_binomial(rng, 0.3 + shift / 2, (unsigned int)sessions),
                             sessions};
    }
    case MOMENTS_NPS:
        return (struct unit){chance > 0.6 ? 100 : chance > 0.3 ? 0 : -100, 0};
    case MOMENTS_CSAT:
        return (struct unit){0, chance > 0.6 ? 5 : chance > 0.4 ? 4 : chance > 0.2 ? 2 : 1};
    }
    return (struct unit){0, 0};
}

static struct moments arm_of(gsl_rng *rng, enum moments_kind kind, double shift, bool covariate)
{
    struct moments arm = moments_empty(kind, covariate);
    int n = 20 + (int)gsl_rng_uniform_int(rng, UNITS_MAX - 20);
    for (int i = 0; i < n; i++) {
        struct unit unit = unit_of(rng, kind, shift);
        moments_add(&arm, unit.y, unit.x);
    }
    return arm;
}

/* Two arms of which the treatment is better, worse or the same by a little. */
static struct effect_pair pair_of(gsl_rng *rng, enum moments_kind kind, bool covariate)
{
    double shift = 0.3 * (gsl_rng_uniform(rng) - 0.5);
    struct effect_pair pair = {arm_of(rng, kind, 0, covariate),
                               arm_of(rng, kind, shift, covariate)};
    return pair;
}

static bool takes_covariate(enum moments_kind kind)
{
    return kind == MOMENTS_BINARY || kind == MOMENTS_MEAN;
}

static struct effect effect_of(const struct effect_pair *pair, enum effect_scale scale)
{
    struct effect effect = effect_between(pair, 1, scale);
    if (effect.problem)
        fail_msg("%s", effect_problem_words(effect.problem));
    return effect;
}

static double level(gsl_rng *rng)
{
    return exp(-12 * gsl_rng_uniform(rng)) * 0.49;
}

/* --- the tests of an effect with a standard error --- */

enum method { SEQUENTIAL, MSPRT, FIXED, METHODS };

static struct inference infer(enum method method, double d, double se, double alpha,
                              enum sides sides)
{
    switch (method) {
    case SEQUENTIAL:
        return sequential_test(d, se, 3000, alpha, 5000, sides);
    case MSPRT:
        return msprt_test(d, se, 4 * se * se, alpha);
    default:
        return fixed_test(d, se, 37.5, alpha, sides);
    }
}

static bool takes_sides(enum method method, enum sides sides)
{
    return method != MSPRT || sides == SIDES_TWO;
}

static bool holds_zero(const struct interval *range)
{
    return (range->low_open || range->low <= 0) && (range->high_open || range->high >= 0);
}

static void test_identities__a_range_without_0_is_a_small_p_value(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261206);
    long outside = 0, all = 0;
    for (int i = 0; i < 30000; i++) {
        double d = gsl_ran_gaussian(rng, 5), alpha = level(rng);
        enum sides sides = (enum sides)gsl_rng_uniform_int(rng, 3);
        enum method method = (enum method)(i % METHODS);
        if (!takes_sides(method, sides))
            continue;
        struct inference got = infer(method, d, 1, alpha, sides);
        /* The one-sided sequential p-value is kept within [1e-5, 0.4999]. */
        if (fabs(got.p_value / alpha - 1) < 1e-9 || alpha < 1e-5)
            continue;
        assert_int_equal(got.p_value < alpha, !holds_zero(&got.interval));
        outside += got.p_value < alpha;
        all++;
    }
    print_message("# %ld of %ld without 0\n", outside, all);
    assert_true(outside > 3000 && outside < all - 3000);
    gsl_rng_free(rng);
}

static void test_identities__an_exact_range_without_0_is_a_small_p_value(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261207);
    long outside = 0, all = 0;
    for (int i = 0; i < 400; i++) {
        static const enum moments_kind counted[] = {MOMENTS_BINARY, MOMENTS_NPS, MOMENTS_CSAT};
        enum moments_kind kind = counted[i % 3];
        struct effect_pair strata[2] = {
            {arm_of(rng, kind, 0, false), arm_of(rng, kind, 0.3, false)},
            {arm_of(rng, kind, 0, false), arm_of(rng, kind, 0.3, false)}};
        double alpha = level(rng);
        struct exact exact = exact_test(strata, 1 + (size_t)(i % 2), alpha);
        assert_int_equal(exact.problem, EFFECT_FINE);
        bool zero = holds_zero(&exact.inference.interval);
        assert_int_equal(exact.inference.p_value < alpha, !zero);
        assert_true(exact.inference.interval.low <= exact.estimate &&
                    exact.inference.interval.high >= exact.estimate);
        outside += !zero;
        all++;
    }
    print_message("# %ld of %ld without 0\n", outside, all);
    assert_true(outside > 50 && outside < all - 50);
    gsl_rng_free(rng);
}

/* The sequential method's mixture follows its level, so that its p-value differs with it, and at
 * levels that nobody uses (above 0.2; 0.1 one-sided) the range of the smaller level is the narrower
 * one away from the tuning. */
static void test_identities__a_smaller_level_widens_and_keeps_the_p_value(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261208);
    for (int i = 0; i < 20000; i++) {
        double d = gsl_ran_gaussian(rng, 4), alpha = level(rng), less = alpha * 0.8;
        enum sides sides = (enum sides)gsl_rng_uniform_int(rng, 3);
        enum method method = (enum method)(i % METHODS);
        double most = method != SEQUENTIAL ? 1 : sides == SIDES_TWO ? 0.2 : 0.1;
        if (!takes_sides(method, sides) || alpha > most)
            continue;
        struct inference wide = infer(method, d, 1, less, sides),
                         narrow = infer(method, d, 1, alpha, sides);
        assert_true(wide.interval.low_open || wide.interval.low < narrow.interval.low);
        assert_true(wide.interval.high_open || wide.interval.high > narrow.interval.high);
        if (method != SEQUENTIAL)
            assert_true(wide.p_value == narrow.p_value);
    }
    gsl_rng_free(rng);
}

static void test_identities__a_larger_effect_is_more_evidence(void **state)
{
    (void)state;
    for (int method = SEQUENTIAL; method < METHODS; method++)
        for (int sides = SIDES_TWO; sides <= SIDES_GREATER; sides++) {
            double last = 1;
            for (double d = 0; takes_sides((enum method)method, (enum sides)sides) && d < 60;
                 d += 0.1) {
                double p = infer((enum method)method, d, 1, 0.05, (enum sides)sides).p_value;
                assert_true(p <= last && (p < last || p == 1 || p == 0 || p <= 1e-5 || d < 4));
                last = p;
            }
        }
    double last = 1;
    for (int k = 100; k <= 300; k++) { /* 100 of 300 in the control */
        const struct moments_sums a = {.n = 300, .sum = 100}, b = {.n = 300, .sum = k};
        const struct effect_pair pair = {moments_of_sums(MOMENTS_BINARY, false, &a),
                                         moments_of_sums(MOMENTS_BINARY, false, &b)};
        double p = exact_test(&pair, 1, 0.05).inference.p_value;
        assert_true(p <= last * (1 + 1e-9));
        last = p;
    }
    assert_true(last < 1e-50);
}

/* --- swapping, scaling, shifting --- */

static void test_identities__swapped_arms_mirror_an_absolute_effect(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261209);
    for (int i = 0; i < 500; i++) {
        enum moments_kind kind = kinds[i % KINDS];
        struct effect_pair pair = pair_of(rng, kind, takes_covariate(kind) && i % 2);
        const struct effect_pair swapped = {pair.treatment, pair.control};
        struct effect one = effect_of(&pair, EFFECT_ABSOLUTE),
                      other = effect_of(&swapped, EFFECT_ABSOLUTE);
        near("estimate", other.estimate, -one.estimate, 1e-12, 1e-14 * one.se);
        near("se", other.se, one.se, 1e-13, 0);
        near("df", other.df, one.df, 1e-12, 0);
        if (!moments_categories(kind))
            continue;
        struct exact up = exact_test(&pair, 1, 0.05), down = exact_test(&swapped, 1, 0.05);
        near("low", down.inference.interval.low, -up.inference.interval.high, 1e-9, 1e-9);
        near("high", down.inference.interval.high, -up.inference.interval.low, 1e-9, 1e-9);
        near("ln e", down.inference.log_e_value, up.inference.log_e_value, 1e-9, 1e-9);
    }
    gsl_rng_free(rng);
}

/* (1 + d)(1 + d') = 1 for positive means, and se' = se / (1 + d)^2 by the delta method. */
static void test_identities__swapped_arms_invert_a_relative_effect(void **state)
{
    (void)state;
    static const enum moments_kind positive[] = {MOMENTS_BINARY, MOMENTS_MEAN, MOMENTS_RATIO,
                                                 MOMENTS_CSAT};
    gsl_rng *rng = chance(20261210);
    for (int i = 0; i < 400; i++) {
        struct effect_pair pair = pair_of(rng, positive[i % 4], false);
        const struct effect_pair swapped = {pair.treatment, pair.control};
        struct effect one = effect_of(&pair, EFFECT_RELATIVE),
                      other = effect_of(&swapped, EFFECT_RELATIVE);
        double times = 1 + one.estimate;
        near("product", times * (1 + other.estimate), 1, 1e-12, 0);
        near("se", other.se, one.se / (times * times), 1e-12, 0);
    }
    gsl_rng_free(rng);
}

/* The arm whose values are `by` times these, plus `more`. */
static struct moments linear(const struct moments *arm, double by, double more)
{
    struct moments changed = *arm;
    changed.y = arm->y * by + more;
    changed.yy *= (long double)by * by;
    changed.xy *= by;
    return changed;
}

static void test_identities__units_of_measure_do_not_matter(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261211);
    for (int i = 0; i < 400; i++) {
        enum moments_kind kind = i % 2 ? MOMENTS_MEAN : MOMENTS_RATIO;
        struct effect_pair pair = pair_of(rng, kind, kind == MOMENTS_MEAN && i % 4 == 1);
        double by = exp(40 * (gsl_rng_uniform(rng) - 0.5));
        const struct effect_pair scaled = {linear(&pair.control, by, 0),
                                           linear(&pair.treatment, by, 0)};
        struct effect one = effect_of(&pair, EFFECT_ABSOLUTE),
                      other = effect_of(&scaled, EFFECT_ABSOLUTE);
        near("absolute", other.estimate, by * one.estimate, 1e-11, 1e-13 * by * one.se);
        near("se", other.se, by * one.se, 1e-12, 0);
        one = effect_of(&pair, EFFECT_RELATIVE);
        other = effect_of(&scaled, EFFECT_RELATIVE);
        near("relative", other.estimate, one.estimate, 1e-11, 1e-13 * one.se);
        near("se", other.se, one.se, 1e-12, 0);
        for (int method = SEQUENTIAL; method < METHODS; method++) {
            double z = one.estimate / one.se;
            struct inference plain = infer((enum method)method, z, 1, 0.05, SIDES_TWO),
                             large = infer((enum method)method, z * by, by, 0.05, SIDES_TWO);
            near("p", large.p_value, plain.p_value, 1e-9, 0);
            near("end", large.interval.low, by * plain.interval.low, 1e-11, 1e-11 * by);
        }
    }
    gsl_rng_free(rng);
}

static void test_identities__what_all_spend_more_is_no_effect(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261212);
    for (int i = 0; i < 300; i++) {
        struct effect_pair pair = pair_of(rng, MOMENTS_MEAN, i % 2);
        double more = 1000 * (gsl_rng_uniform(rng) + 0.1);
        const struct effect_pair shifted = {linear(&pair.control, 1, more),
                                            linear(&pair.treatment, 1, more)};
        struct effect one = effect_of(&pair, EFFECT_ABSOLUTE),
                      other = effect_of(&shifted, EFFECT_ABSOLUTE);
        near("absolute", other.estimate, one.estimate, 1e-10, 1e-12 * one.se);
        near("se", other.se, one.se, 1e-12, 0);
        one = effect_of(&pair, EFFECT_RELATIVE);
        other = effect_of(&shifted, EFFECT_RELATIVE);
        assert_true(fabs(other.estimate) < fabs(one.estimate) && other.se < one.se);
    }
    gsl_rng_free(rng);
}

static struct moments relabelled(const struct moments *arm)
{
    const struct moments_sums sums = {.n = (double)arm->n, .sum = arm->counts[1]};
    return arm->kind == MOMENTS_NPS ? moments_of_nps(arm->counts[2], arm->counts[1], arm->counts[0])
                                    : moments_of_sums(MOMENTS_BINARY, false, &sums);
}

/* Not converting instead of converting, detractors for promoters: the mirror image. */
static void test_identities__relabelled_outcomes_mirror_the_result(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261213);
    for (int i = 0; i < 200; i++) {
        struct effect_pair pair = pair_of(rng, i % 2 ? MOMENTS_NPS : MOMENTS_BINARY, false);
        const struct effect_pair other = {relabelled(&pair.control), relabelled(&pair.treatment)};
        struct exact up = exact_test(&pair, 1, 0.05), down = exact_test(&other, 1, 0.05);
        near("estimate", down.estimate, -up.estimate, 1e-12, 1e-12);
        near("low", down.inference.interval.low, -up.inference.interval.high, 1e-9, 1e-9);
        near("high", down.inference.interval.high, -up.inference.interval.low, 1e-9, 1e-9);
        near("ln e", down.inference.log_e_value, up.inference.log_e_value, 1e-9, 1e-9);
        struct effect one = effect_of(&pair, EFFECT_ABSOLUTE),
                      mirrored = effect_of(&other, EFFECT_ABSOLUTE);
        near("effect", mirrored.estimate, -one.estimate, 1e-12, 1e-14 * one.se);
        near("se", mirrored.se, one.se, 1e-12, 0);
    }
    gsl_rng_free(rng);
}

/* --- parts and the whole --- */

static void test_identities__merged_moments_are_those_of_the_whole(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261214);
    for (int i = 0; i < 300; i++) {
        enum moments_kind kind = kinds[i % KINDS];
        struct moments whole = moments_empty(kind, false), parts[4], merged = whole;
        for (int part = 0; part < 4; part++) {
            parts[part] = moments_empty(kind, false);
            int units = (int)gsl_rng_uniform_int(rng, 60); /* none at times */
            for (int k = 0; k < units; k++) {
                struct unit unit = unit_of(rng, kind, 0.1 * part);
                moments_add(&whole, unit.y, unit.x);
                moments_add(&parts[part], unit.y, unit.x);
            }
            merged = moments_merge(&merged, &parts[part]);
        }
        near("n", (double)merged.n, (double)whole.n, 0, 0);
        near("y", (double)merged.y, (double)whole.y, 1e-15, 1e-15);
        near("x", (double)merged.x, (double)whole.x, 1e-15, 1e-15);
        near("yy", (double)merged.yy, (double)whole.yy, 1e-14, 1e-14);
        near("xx", (double)merged.xx, (double)whole.xx, 1e-14, 1e-14);
        near("xy", (double)merged.xy, (double)whole.xy, 1e-13, 1e-13);
        for (int c = 0; c < MOMENTS_CATEGORIES_MAX; c++)
            assert_true(merged.counts[c] == whole.counts[c]);
    }
    gsl_rng_free(rng);
}

/* K epochs that went alike: the effect of one, its variance a Kth. Their order tells nothing. */
static void test_identities__epochs_that_are_alike_add_up(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261215);
    enum { EPOCHS = 7 };
    for (int i = 0; i < 300; i++) {
        enum moments_kind kind = kinds[i % KINDS];
        enum effect_scale scale = i % 2 ? EFFECT_RELATIVE : EFFECT_ABSOLUTE;
        struct effect_pair pair = pair_of(rng, kind, takes_covariate(kind) && i % 3 == 0);
        struct effect_pair strata[EPOCHS];
        if (kind == MOMENTS_NPS)
            scale = EFFECT_ABSOLUTE;
        for (int k = 0; k < EPOCHS; k++)
            strata[k] = pair;
        struct effect one = effect_of(&pair, scale), all = effect_between(strata, EPOCHS, scale);
        near("estimate", all.estimate, one.estimate, 1e-12, 1e-14 * one.se);
        near("se", all.se, one.se / sqrt(EPOCHS), 1e-12, 0);
        near("units", all.units, EPOCHS * one.units, 0, 0);

        strata[0] = pair_of(rng, kind, pair.control.covariate);
        struct effect first = effect_between(strata, EPOCHS, scale);
        strata[EPOCHS - 1] = strata[0];
        strata[0] = pair;
        struct effect last = effect_between(strata, EPOCHS, scale);
        near("moved estimate", last.estimate, first.estimate, 1e-12, 1e-13 * first.se);
        near("moved se", last.se, first.se, 1e-12, 0);
    }
    gsl_rng_free(rng);
}

/* --- CUPED --- */

static void test_identities__a_covariate_that_tells_nothing_changes_nothing(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261216);
    for (int i = 0; i < 200; i++) {
        struct effect_pair pair = pair_of(rng, MOMENTS_MEAN, true), plain = pair;
        plain.control.covariate = plain.treatment.covariate = false;
        pair.control.x = pair.treatment.x = 3; /* the same for all: theta is 0 */
        pair.control.xx = pair.treatment.xx = pair.control.xy = pair.treatment.xy = 0;
        for (int scale = EFFECT_RELATIVE; scale <= EFFECT_ABSOLUTE; scale++) {
            struct effect with = effect_of(&pair, (enum effect_scale)scale),
                          without = effect_of(&plain, (enum effect_scale)scale);
            assert_true(with.theta == 0 && with.variance_reduction == 0);
            assert_true(with.estimate == without.estimate && with.se == without.se);
            assert_true(with.df == without.df);
        }
    }
    gsl_rng_free(rng);
}

/* Half a million units an arm whose covariate is drawn apart: theta is within five of its standard
 * errors of 0, and what it changes is far below the standard error. */
static void test_identities__an_unrelated_covariate_changes_next_to_nothing(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261217);
    struct effect_pair pair = {moments_empty(MOMENTS_MEAN, true),
                               moments_empty(MOMENTS_MEAN, true)};
    for (int i = 0; i < 500000; i++) {
        moments_add(&pair.control, 10 + gsl_ran_ugaussian(rng), gsl_ran_ugaussian(rng));
        moments_add(&pair.treatment, 10.1 + gsl_ran_ugaussian(rng), gsl_ran_ugaussian(rng));
    }
    struct effect with = effect_of(&pair, EFFECT_ABSOLUTE);
    pair.control.covariate = pair.treatment.covariate = false;
    struct effect without = effect_of(&pair, EFFECT_ABSOLUTE);
    near("theta", with.theta, 0, 0, 5e-3);
    near("estimate", with.estimate, without.estimate, 0, 0.02 * without.se);
    near("se", with.se, without.se, 1e-4, 0);
    gsl_rng_free(rng);
}

/* --- distributions --- */

/* The largest distance of the p-values' distribution from the uniform one. By Dvoretzky, Kiefer,
 * Wolfowitz and Massart it is above sqrt(ln(2/a)/(2n)) with a chance of at most a. */
static void test_identities__fixed_p_values_are_uniform_where_nothing_differs(void **state)
{
    (void)state;
    enum { RUNS = 20000 };
    static double p[RUNS];
    gsl_rng *rng = chance(20261218);
    double distance = 0;
    for (int i = 0; i < RUNS; i++) {
        struct effect_pair pair = {moments_empty(MOMENTS_MEAN, false),
                                   moments_empty(MOMENTS_MEAN, false)};
        for (int k = 0; k < 30; k++)
            moments_add(&pair.control, gsl_ran_gaussian(rng, 1), 0);
        for (int k = 0; k < 20; k++)
            moments_add(&pair.treatment, gsl_ran_gaussian(rng, 3), 0);
        struct effect effect = effect_of(&pair, EFFECT_ABSOLUTE);
        p[i] = fixed_test(effect.estimate, effect.se, effect.df, 0.05, SIDES_TWO).p_value;
    }
    gsl_sort(p, 1, RUNS);
    for (int i = 0; i < RUNS; i++)
        distance = fmax(distance, fmax((i + 1.0) / RUNS - p[i], p[i] - (double)i / RUNS));
    print_message("# Kolmogorov distance %.4f\n", distance);
    /* A chance of 1e-4, and 0.002 for Welch's degrees of freedom, which are an approximation. */
    assert_true(distance < sqrt(log(2 / 1e-4) / (2 * RUNS)) + 0.002);
    gsl_rng_free(rng);
}

/* A flat prior says what the normal test says; a wanted decrease is the mirror image. */
static void test_identities__a_flat_posterior_is_the_data(void **state)
{
    (void)state;
    static const struct prior flat = {.proper = false};
    gsl_rng *rng = chance(20261219);
    for (int i = 0; i < 2000; i++) {
        double d = gsl_ran_gaussian(rng, 3), alpha = level(rng);
        struct bayes up = bayes_posterior(d, 1, &flat, alpha, false),
                     down = bayes_posterior(-d, 1, &flat, alpha, true);
        struct inference test = fixed_test(d, 1, 1e12, alpha, SIDES_GREATER);
        near("chance", up.chance_to_win, 1 - test.p_value, 0, 1e-9);
        near("mirror", down.chance_to_win, up.chance_to_win, 1e-12, 0);
        near("risk", down.risk_treatment, up.risk_treatment, 1e-12, 0);
        near("net", up.risk_control - up.risk_treatment, d, 1e-12, 1e-12);
        const struct prior strong = {.proper = true, .mean = 0, .sd = 0.5};
        struct bayes drawn = bayes_posterior(d, 1, &strong, alpha, false);
        assert_true(fabs(drawn.estimate) < fabs(d) && drawn.se < 0.5);
    }
    gsl_rng_free(rng);
}

/* A plan's critical values for a smaller level are larger, and two-sided ones at 2 alpha are at
 * most a little below one-sided ones at alpha, as what is beyond the other side counts. */
static void test_identities__boundaries_of_a_plan_order_by_level(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261220);
    for (int i = 0; i < 60; i++) {
        double times[5], t = 0, strict[5], mild[5], one_sided[5];
        for (int k = 0; k < 5; k++)
            times[k] = t += 0.05 + gsl_rng_uniform(rng);
        for (int k = 0; k < 5; k++)
            times[k] /= t;
        const struct group group = {.function = (enum group_spending)(i % 4),
                                    .gamma = 0.5 + 2 * gsl_rng_uniform(rng),
                                    .times = times,
                                    .looks = 5};
        double alpha = fmax(level(rng), 1e-4);
        assert_true(group_critical(&group, alpha / 2, SIDES_TWO, strict));
        assert_true(group_critical(&group, alpha, SIDES_TWO, mild));
        assert_true(group_critical(&group, alpha / 2, SIDES_GREATER, one_sided));
        for (int k = 0; k < 5; k++) {
            assert_true(strict[k] > mild[k] || strict[k] == GROUP_CRITICAL_MAX);
            assert_true(mild[k] <= one_sided[k] + 1e-4 && mild[k] > one_sided[k] - 0.1);
        }
    }
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities__a_range_without_0_is_a_small_p_value),
        cmocka_unit_test(test_identities__an_exact_range_without_0_is_a_small_p_value),
        cmocka_unit_test(test_identities__a_smaller_level_widens_and_keeps_the_p_value),
        cmocka_unit_test(test_identities__a_larger_effect_is_more_evidence),
        cmocka_unit_test(test_identities__swapped_arms_mirror_an_absolute_effect),
        cmocka_unit_test(test_identities__swapped_arms_invert_a_relative_effect),
        cmocka_unit_test(test_identities__units_of_measure_do_not_matter),
        cmocka_unit_test(test_identities__what_all_spend_more_is_no_effect),
        cmocka_unit_test(test_identities__relabelled_outcomes_mirror_the_result),
        cmocka_unit_test(test_identities__merged_moments_are_those_of_the_whole),
        cmocka_unit_test(test_identities__epochs_that_are_alike_add_up),
        cmocka_unit_test(test_identities__a_covariate_that_tells_nothing_changes_nothing),
        cmocka_unit_test(test_identities__an_unrelated_covariate_changes_next_to_nothing),
        cmocka_unit_test(test_identities__fixed_p_values_are_uniform_where_nothing_differs),
        cmocka_unit_test(test_identities__a_flat_posterior_is_the_data),
        cmocka_unit_test(test_identities__boundaries_of_a_plan_order_by_level),
    };
    return run_all(tests);
}
