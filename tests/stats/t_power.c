/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Power: textbook numbers, brute force over whole customers, the published inflation of
 * group-sequential designs, the inverse, and limits. Whether a plan keeps its power is shown by
 * running it (t_simulate.c). */
#include "tests/stats/near.h"

#include "stats/exact.h"
#include "stats/group.h"
#include "stats/power.h"
#include "stats/sequential.h"

#include <gsl/gsl_cdf.h>

static const double even[] = {1, 1};

static struct power_design design_of(power_needed *needed, enum effect_scale scale)
{
    return (struct power_design){
        .needed = needed,
        .scale = scale,
        .sides = SIDES_TWO,
        .alpha = 0.05,
        .power = 0.8,
        .tuning = 5000,
        .mixture_variance = 1e-4,
        .drift = 2.9,
        .weights = even,
        .arms = 2,
    };
}

/* n = (z_0.975 + z_0.8)^2 (v_a + v_b) / d^2 an arm: [Chow2008] 3.2.1 and 4.2.1, worked out with
 * z = 1.959963984540054 and 0.8416212335729143 in Python. */
static void test_power__textbook_sizes(void **state)
{
    (void)state;
    struct power_design design = design_of(power_needed_fixed, EFFECT_ABSOLUTE);
    struct population tenth = population_of_rate(MOMENTS_BINARY, 0.1),
                      unit = population_of_mean(7, 1), nps = population_of_nps(0.5, 0.2);
    near("10% and 12%", power_customers(&design, &tenth, 0.02) / 2, 3838.102193, 1e-9, 0);
    assert_true(power_arm(&design, power_customers(&design, &tenth, 0.02), 1) == 3839);
    near("10% and 8%", power_customers(&design, &tenth, -0.02) / 2, 3210.191811, 1e-9, 0);
    near("half an sd", power_customers(&design, &unit, 0.5) / 2, 62.79103787, 1e-9, 0);
    /* nps 30 and 35: variances 6100 and 10^4 (0.7 - 0.1225) */
    near("five points", power_customers(&design, &nps, 5) / 2, 3728.217874, 1e-9, 0);
    design.power = 0.9;
    near("power 0.9", power_customers(&design, &unit, 0.5) / 2, 84.05938, 1e-7, 0);
    design.sides = SIDES_GREATER;
    near("one-sided", power_customers(&design, &unit, 0.5) / 2, 68.51078, 1e-7, 0);
    /* Relative 20 %: d = 0.2, v_b/m^2 + v_a 1.2^2/m^2 = (0.1056 + 0.1296)/0.01, by hand. */
    design = design_of(power_needed_fixed, EFFECT_RELATIVE);
    near("relative", power_customers(&design, &tenth, 0.2) / 2, 7.848879734 * 23.52 / 0.04, 1e-9,
         0);
}

/* Unequal weights, and several treatments: the neediest decides. By the formula over weights. */
static void test_power__weights(void **state)
{
    (void)state;
    static const double weights[] = {2, 1, 3, 1};
    struct power_design design = design_of(power_needed_fixed, EFFECT_ABSOLUTE);
    struct population unit = population_of_mean(0, 1);
    design.weights = weights;
    double square = 7.848879734 / 0.04;
    for (size_t arms = 2; arms <= 4; arms++) {
        design.arms = arms;
        double all = 0;
        for (size_t i = 0; i < arms; i++)
            all += weights[i];
        double n = power_customers(&design, &unit, 0.2);
        near("total", n, square * (1 / 2.0 + 1) * all, 1e-9, 0);
        near("arm", power_arm(&design, n, 1), ceil(square * 1.5), 0, 0);
        near("control", power_arm(&design, n, 0), ceil(square * 3), 0, 0);
    }
    static const double last[] = {2, 3, 1};
    design.weights = last;
    design.arms = 3;
    near("the last is neediest", power_customers(&design, &unit, 0.2), square * 1.5 * 6, 1e-9, 0);
    /* 30 to 1: an always-valid range widens with customers that only one arm gets. */
    static const double lopsided[] = {1, 1, 30};
    design = design_of(power_needed_sequential, EFFECT_ABSOLUTE);
    design.weights = lopsided;
    double both = (design.arms = 3, power_customers(&design, &unit, 0.2));
    double first = (design.arms = 2, power_customers(&design, &unit, 0.2) / 2);
    assert_true(both / 32 >= first * (1 - 1e-12));
}

/* The condition of the header, with whole customers and every formula written out. */
static bool sequential_finds(double n, double rate, double effect, bool relative, enum sides sides)
{
    double other = relative ? rate * (1 + effect) : rate + effect;
    double v_a = rate * (1 - rate) / n, v_b = other * (1 - other) / n;
    double se =
        relative ? sqrt(v_b / rate / rate + v_a * other * other / pow(rate, 4)) : sqrt(v_a + v_b);
    double a = sides == SIDES_TWO ? 0.05 : 0.1;
    double rho2 = (-2 * log(a) + log(-2 * log(a) + 1)) / 5000, k = 2 * n * rho2;
    double half = sides == SIDES_TWO ? sqrt(2 * (k + 1) / k * log(sqrt(k + 1) / 0.05))
                                     : sqrt(2 * (k + 1) / k * log(1 + sqrt(k + 1) / 0.1));
    return fabs(effect) / se - half >= 0.8416212335729143;
}

static void test_power__sequential_by_brute_force(void **state)
{
    (void)state;
    static const double effects[] = {0.02, -0.03, 0.2};
    struct population tenth = population_of_rate(MOMENTS_BINARY, 0.1);
    for (int scale = EFFECT_RELATIVE; scale <= EFFECT_ABSOLUTE; scale++)
        for (int one_sided = 0; one_sided < 2; one_sided++)
            for (size_t i = 0; i < 3; i++) {
                bool relative = scale == EFFECT_RELATIVE;
                double effect = effects[i] * (relative && i < 2 ? 10 : 1), n = 2;
                struct power_design design =
                    design_of(power_needed_sequential, (enum effect_scale)scale);
                design.sides = !one_sided ? SIDES_TWO : effect > 0 ? SIDES_GREATER : SIDES_LESS;
                while (!sequential_finds(n, 0.1, effect, relative, design.sides))
                    n++;
                near("an arm", power_arm(&design, power_customers(&design, &tenth, effect), 0), n,
                     0, 0);
            }
}

static bool msprt_finds(double n, double rate, double effect)
{
    double other = rate * (1 + effect), v_a = rate * (1 - rate) / n, v_b = other * (1 - other) / n;
    double v = v_b / rate / rate + v_a * other * other / pow(rate, 4), t = 1e-4;
    double half = sqrt(v * (v + t) / t * (2 * log(1 / 0.05) + log((v + t) / v)));
    return (effect - half) / sqrt(v) >= 0.8416212335729143;
}

static void test_power__msprt_by_brute_force(void **state)
{
    (void)state;
    struct population tenth = population_of_rate(MOMENTS_BINARY, 0.1);
    struct power_design design = design_of(power_needed_msprt, EFFECT_RELATIVE);
    for (double effect = 0.05; effect < 0.9; effect *= 2) {
        double n = 2;
        while (!msprt_finds(n, 0.1, effect))
            n++;
        near("an arm", power_arm(&design, power_customers(&design, &tenth, effect), 1), n, 0, 0);
    }
}

/* Just where the exact range at the expected counts is z se away from 0, and not one percent
 * before. */
static void exact_is_reached(struct population control, double effect)
{
    struct power_design design = design_of(power_needed_exact, EFFECT_ABSOLUTE);
    struct population treatment;
    double n = power_customers(&design, &control, effect) / 2;
    assert_true(population_shift(&control, EFFECT_ABSOLUTE, effect, &treatment));
    double se = sqrt((control.variance + treatment.variance) / n);
    struct effect_pair pair = {population_expected(&control, n),
                               population_expected(&treatment, n)};
    struct interval range = exact_test(&pair, 1, 0.05).inference.interval;
    double nearer = effect > 0 ? range.low : -range.high;
    near("nearer end", nearer / se, 0.8416212335729143, 0, 1e-6);
    pair = (struct effect_pair){population_expected(&control, 0.99 * n),
                                population_expected(&treatment, 0.99 * n)};
    range = exact_test(&pair, 1, 0.05).inference.interval;
    assert_true((effect > 0 ? range.low : -range.high) / se < 0.84);
}

static void test_power__exact_by_its_interval(void **state)
{
    (void)state;
    exact_is_reached(population_of_rate(MOMENTS_BINARY, 0.1), 0.02);
    exact_is_reached(population_of_rate(MOMENTS_CSAT, 0.7), -0.1);
    exact_is_reached(population_of_nps(0.5, 0.2), 8);
}

/* The neediest method is the one that promises most. */
static void test_power__methods_in_order(void **state)
{
    (void)state;
    struct population tenth = population_of_rate(MOMENTS_BINARY, 0.1);
    power_needed *const methods[] = {power_needed_fixed, power_needed_sequential,
                                     power_needed_exact};
    double before = 0;
    for (size_t i = 0; i < 3; i++) {
        struct power_design design = design_of(methods[i], EFFECT_ABSOLUTE);
        double n = power_customers(&design, &tenth, 0.02);
        assert_true(n > before);
        before = n;
        design.power = 0.95;
        assert_true(power_customers(&design, &tenth, 0.02) > n);
        design.power = 0.8;
        design.alpha = 0.01;
        assert_true(power_customers(&design, &tenth, 0.02) > n);
    }
}

static void test_power__effect_is_the_inverse(void **state)
{
    (void)state;
    const struct population all[] = {
        population_of_rate(MOMENTS_BINARY, 0.1), population_of_rate(MOMENTS_CSAT, 0.7),
        population_of_mean(1e6, 1e5), population_of_mean(-3, 2), population_of_nps(0.5, 0.2)};
    power_needed *const methods[] = {power_needed_fixed, power_needed_sequential,
                                     power_needed_msprt, power_needed_drift, power_needed_exact};
    static const double weights[] = {3, 2, 1};
    for (size_t m = 0; m < 5; m++)
        for (size_t p = 0; p < 5; p++)
            for (int scale = EFFECT_RELATIVE; scale <= EFFECT_ABSOLUTE; scale++)
                for (double share = -0.2; share < 0.3; share += 0.15) {
                    bool exact = methods[m] == power_needed_exact;
                    if (exact && (scale == EFFECT_RELATIVE || all[p].kind == MOMENTS_MEAN))
                        continue;
                    double unit = scale == EFFECT_RELATIVE ? 1 : fabs(all[p].mean), got = 0;
                    struct power_design design = design_of(methods[m], (enum effect_scale)scale);
                    design.mixture_variance = 0.01 * unit * unit;
                    design.weights = weights;
                    design.arms = 3;
                    double n = power_customers(&design, &all[p], share * unit);
                    assert_true(isfinite(n));
                    assert_true(power_effect(&design, &all[p], n, share, &got));
                    if (n > 12) /* else two an arm are enough, and find less too */
                        near("effect", got, share * unit, exact ? 1e-7 : 1e-10, 0);
                    else
                        assert_true(fabs(got) <= fabs(share * unit));
                }
}

/* Jennison and Turnbull (2000), tables 2.1 to 2.4: K = 5, alpha 0.05 two-sided. Constants 2.413 and
 * 2.040 sqrt(5/k), inflation 1.229 and 1.207, 1.028 and 1.026 for power 0.8 and 0.9. */
static void test_power__published_inflation(void **state)
{
    (void)state;
    static const double times[] = {0.2, 0.4, 0.6, 0.8, 1}, powers[] = {0.8, 0.9};
    static const double pocock[] = {1.229, 1.207}, obrien[] = {1.028, 1.026};
    const struct group group = {.times = times, .looks = 5};
    struct population unit = population_of_mean(0, 1);
    double flat[5], steep[5], up[5], down[5];
    for (int k = 0; k < 5; k++) {
        flat[k] = 2.413;
        steep[k] = 2.040 * sqrt(5 / (k + 1.0));
    }
    for (int i = 0; i < 2; i++) {
        struct power_design fixed = design_of(power_needed_fixed, EFFECT_ABSOLUTE);
        fixed.power = powers[i];
        struct power_design looks = fixed;
        looks.needed = power_needed_drift;
        double n = power_customers(&fixed, &unit, 0.1);
        assert_true(group_drift(&group, flat, SIDES_TWO, powers[i], &looks.drift, up, down));
        near("pocock", power_customers(&looks, &unit, 0.1) / n, pocock[i], 0, 6e-4);
        assert_true(group_drift(&group, steep, SIDES_TWO, powers[i], &looks.drift, up, down));
        near("obrien-fleming", power_customers(&looks, &unit, 0.1) / n, obrien[i], 0, 6e-4);
    }
}

static void test_power__limits(void **state)
{
    (void)state;
    struct power_design design = design_of(power_needed_sequential, EFFECT_ABSOLUTE);
    struct population rate = population_of_rate(MOMENTS_BINARY, 0.1),
                      large = population_of_mean(1e6, 1), zero = population_of_mean(0, 1);
    double effect = 0;
    assert_true(power_customers(&design, &rate, 0.9) == HUGE_VAL);
    assert_true(power_customers(&design, &rate, 1e-9) == HUGE_VAL);
    assert_true(power_customers(&design, &large, 1e4) == 4);
    near("far from 0", power_customers(&design, &large, 0.1), power_customers(&design, &zero, 0.1),
         1e-6, 0);
    assert_false(power_effect(&design, &rate, 3, 1, &effect));
    assert_false(power_effect(&design, &rate, 8, 1, &effect)); /* not even a rate of 1 */
    assert_true(power_effect(&design, &rate, 1e9, -1, &effect) && effect < 0 && effect > -1e-3);
    design.alpha = 1e-9;
    design.power = 0.999999;
    double n = power_customers(&design, &rate, 0.01);
    assert_true(isfinite(n) && n > 1e5);
    /* Relative effects of a mean saturate: the control's own error grows with them. */
    design = design_of(power_needed_fixed, EFFECT_RELATIVE);
    struct population wide = population_of_mean(1, 100);
    assert_false(power_effect(&design, &wide, 1000, 1, &effect));
    assert_false(power_effect(&design, &zero, 1000, 1, &effect));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power__textbook_sizes),
        cmocka_unit_test(test_power__weights),
        cmocka_unit_test(test_power__sequential_by_brute_force),
        cmocka_unit_test(test_power__msprt_by_brute_force),
        cmocka_unit_test(test_power__exact_by_its_interval),
        cmocka_unit_test(test_power__methods_in_order),
        cmocka_unit_test(test_power__effect_is_the_inverse),
        cmocka_unit_test(test_power__published_inflation),
        cmocka_unit_test(test_power__limits),
    };
    return run_all(tests);
}
