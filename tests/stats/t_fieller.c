/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fieller: the range is the set that it is defined as, agrees with the delta method where that is
 * right, is open where the control may be nothing, and mirrors, scales and inverts as it should. */
#include "tests/stats/near.h"

#include "stats/fieller.h"

#include <gsl/gsl_cdf.h>

static struct effect effect_of(double n, double mean_a, double mean_b, double sd)
{
    struct moments_sums a = {
        .n = n, .sum = n * mean_a, .sum_sq = n * mean_a * mean_a + (n - 1) * sd * sd};
    struct moments_sums b = {
        .n = n, .sum = n * mean_b, .sum_sq = n * mean_b * mean_b + (n - 1) * sd * sd};
    const struct effect_pair pair = {moments_of_sums(MOMENTS_MEAN, false, &a),
                                     moments_of_sums(MOMENTS_MEAN, false, &b)};
    struct effect effect = effect_between(&pair, 1, EFFECT_RELATIVE);
    assert_int_equal(effect.problem, EFFECT_FINE);
    return effect;
}

/* |D - r |M_a|| in standard errors. */
static double off(const struct effect *effect, double r)
{
    const struct effect_ratio *ratio = &effect->ratio;
    long double variance = ratio->constant - 2 * ratio->linear * r + ratio->square * r * r;
    return (double)fabsl((ratio->difference - r * ratio->base) / sqrtl(variance));
}

static void test_fieller__ends_are_q_standard_errors_away(void **state)
{
    (void)state;
    static const double means[][2] = {{5, 5.5},   {5, -3},        {-5, 4},
                                      {-5, -5.1}, {1e6, 1e6 + 1}, {5, 0}};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++)
        for (double q = 0.1; q < 5; q += 0.7) {
            struct effect effect = effect_of(400, means[i][0], means[i][1], 10);
            struct interval range = fieller_interval(&effect, q, SIDES_TWO);
            assert_false(range.low_open || range.high_open);
            assert_true(range.low < effect.estimate && effect.estimate < range.high);
            near("low", off(&effect, range.low), q, 1e-9, 1e-9);
            near("high", off(&effect, range.high), q, 1e-9, 1e-9);
        }
}

/* Confidence limits of a ratio of independent means 50 and 40 with standard errors 2 and 3, from
 * the quadratic by hand: (40^2 - 1.96^2 3^2) rho^2 - 2 (2000) rho + 50^2 - 1.96^2 2^2 = 0. */
static void test_fieller__by_hand(void **state)
{
    (void)state;
    struct effect effect = {.ratio = {10, 40, 13, -9, 9}};
    struct interval range = fieller_interval(&effect, 1.96, SIDES_TWO);
    double w = 1.96 * 1.96, a = 1600 - 9 * w, c = 2500 - 4 * w;
    double root = sqrt(2000. * 2000 - a * c);
    near("low", range.low, (2000 - root) / a - 1, 1e-12, 0);
    near("high", range.high, (2000 + root) / a - 1, 1e-12, 0);
    near("statistic", fieller_statistic(&effect), 10 / sqrt(13), 1e-14, 0);
}

static void test_fieller__is_the_delta_method_where_that_is_right(void **state)
{
    (void)state;
    struct effect effect = effect_of(1e8, 5, 5.01, 10);
    struct interval range = fieller_interval(&effect, 2, SIDES_TWO);
    near("low", range.low, effect.estimate - 2 * effect.se, 0, 2e-3 * effect.se);
    near("high", range.high, effect.estimate + 2 * effect.se, 0, 2e-3 * effect.se);
}

static void test_fieller__is_open_while_the_control_may_be_nothing(void **state)
{
    (void)state;
    struct effect effect = effect_of(100, 1, 2, 10); /* the control is one standard error from 0 */
    struct interval range = fieller_interval(&effect, 1.01, SIDES_TWO);
    assert_true(range.low_open && range.high_open);
    range = fieller_interval(&effect, 0.9, SIDES_TWO);
    assert_false(range.low_open || range.high_open);
}

/* A difference is sure, and the control may be nothing: the near end is that of the smaller root,
 * and 0 is left out just where the absolute effect's range leaves it out. */
static void test_fieller__far_end_is_open_where_there_is_a_difference(void **state)
{
    (void)state;
    struct effect effect = {.ratio = {60, 5, 60, -5, 5}};
    for (double q = 2.3; q < 9; q += 0.5) {
        struct interval range = fieller_interval(&effect, q, SIDES_TWO);
        assert_true(range.high_open);
        assert_int_equal(!range.low_open, fieller_statistic(&effect) > q);
        assert_true(range.low_open || range.low > 0);
    }
    effect.ratio.difference = -60;
    struct interval mirrored = fieller_interval(&effect, 3, SIDES_TWO);
    assert_true(mirrored.low_open && !mirrored.high_open && mirrored.high < 0);
    assert_true(fieller_interval(&effect, 3, SIDES_GREATER).high_open);
}

static void test_fieller__excludes_nothing_as_the_absolute_effect_does(void **state)
{
    (void)state;
    for (double mean_b = -9; mean_b < 14; mean_b += 0.37)
        for (int negative = 0; negative < 2; negative++) {
            double turn = negative ? -1 : 1;
            struct effect effect = effect_of(900, 5 * turn, mean_b * turn, 10);
            double z = fieller_statistic(&effect);
            for (double q = 0.5; q < 8; q += 0.9) {
                struct interval range = fieller_interval(&effect, q, SIDES_TWO);
                assert_int_equal(fabs(z) > q, range.low > 0 || range.high < 0);
            }
            assert_true((z > 0) == (turn * (mean_b - 5) > 0));
        }
}

static void test_fieller__one_end(void **state)
{
    (void)state;
    struct effect effect = effect_of(900, 5, 6, 10);
    struct interval two = fieller_interval(&effect, 2, SIDES_TWO);
    struct interval low = fieller_interval(&effect, 2, SIDES_GREATER);
    struct interval high = fieller_interval(&effect, 2, SIDES_LESS);
    assert_true(low.low == two.low && low.high_open && !low.low_open);
    assert_true(high.high == two.high && high.low_open && !high.high_open);
}

static void test_fieller__scales(void **state)
{
    (void)state;
    struct effect small = effect_of(900, 5, 6, 10), large = effect_of(900, 5e100, 6e100, 1e101);
    struct interval a = fieller_interval(&small, 3, SIDES_TWO);
    struct interval b = fieller_interval(&large, 3, SIDES_TWO);
    near("low", b.low, a.low, 1e-12, 0);
    near("high", b.high, a.high, 1e-12, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fieller__ends_are_q_standard_errors_away),
        cmocka_unit_test(test_fieller__by_hand),
        cmocka_unit_test(test_fieller__is_the_delta_method_where_that_is_right),
        cmocka_unit_test(test_fieller__is_open_while_the_control_may_be_nothing),
        cmocka_unit_test(test_fieller__excludes_nothing_as_the_absolute_effect_does),
        cmocka_unit_test(test_fieller__far_end_is_open_where_there_is_a_difference),
        cmocka_unit_test(test_fieller__one_end),
        cmocka_unit_test(test_fieller__scales),
    };
    return run_all(tests);
}
