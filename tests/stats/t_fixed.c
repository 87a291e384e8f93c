/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fixed: Student's t against R, and the test against its own interval. */
#include "tests/stats/near.h"

#include "stats/fixed.h"

struct row {
    double given, df, want;
};

/* R 4.2.2: pt(t, df, lower.tail = FALSE) */
static void test_fixed__tail_equals_that_of_r(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {6.3137999999999996, 1, 0.049999622321669872},
        {4.3026499999999999, 2, 0.025000029382252893},
        {1, 5, 0.18160873382456127},
        {3.2000000000000002, 9.6999999999999993, 0.0049283672873922492},
        {20, 50, 8.2742609737197831e-26},
        {10, 31, 1.6023977459154444e-11},
        {1.98, 100, 0.025225803416547704},
        {8, 1234.5, 1.422361497624925e-15},
        {5, 1000000, 2.8669989354453676e-07},
        {0, 3, 0.5},
        {-2, 7, 0.95719033571851209},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        near("tail", fixed_tail(rows[i].given, rows[i].df), rows[i].want, 1e-11, 0);
    assert_true(fixed_tail(40, 2e9) >= 0 && fixed_tail(40, 2e9) < 1e-300);
    assert_true(fixed_tail(1e300, 1) < 1e-300);
}

/* R 4.2.2: qt(tail, df, lower.tail = FALSE) */
static void test_fixed__quantile_equals_that_of_r(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {0.025, 1, 12.706204736174707},       {0.005, 2, 9.9248432009182928},
        {5e-10, 1.8, 93343.786514526088},     {0.05, 4.5, 2.0655758888785245},
        {5e-10, 30, 8.7215112243730601},      {1e-15, 50, 11.336304033653027},
        {0.1, 999, 1.2823995700373976},       {1e-12, 5000, 7.0522785315297236},
        {0.025, 1000000, 1.9599663568141066}, {5e-10, 2e9, 6.1094102341372096},
        {0.4, 10, 0.26018482949208016},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        near("quantile", fixed_quantile(rows[i].given, rows[i].df), rows[i].want, 1e-10, 0);
}

/* Also where GSL's inverse of the beta function fails: every df, whatever it is. */
static void test_fixed__quantile_inverts_the_tail(void **state)
{
    (void)state;
    for (double df = 1; df < 4e9; df *= 1.21) {
        for (double tail = 0.49; tail > 1e-120; tail *= tail > 1e-6 ? 0.61 : 1e-9) {
            double t = fixed_quantile(tail, df);
            assert_true(isfinite(t));
            near("tail again", fixed_tail(t, df), tail, 1e-9, 0);
        }
    }
}

static void test_fixed__interval_inverts_the_test(void **state)
{
    (void)state;
    for (double df = 1; df < 1e7; df *= 3) {
        for (double t = 0.1; t < 30; t *= 1.5) {
            double p = fixed_test(t, 1, df, 0.05, SIDES_TWO).p_value;
            if (p < 1e-290)
                continue;
            near("low", fixed_test(t, 1, df, p, SIDES_TWO).interval.low, 0, 0, 1e-9 * t);
            near("high", fixed_test(-t, 1, df, p, SIDES_TWO).interval.high, 0, 0, 1e-9 * t);
            double one = fixed_test(t, 1, df, 0.05, SIDES_GREATER).p_value;
            near("half of p", one, p / 2, 1e-12, 0);
            near("low, one-sided", fixed_test(t, 1, df, one, SIDES_GREATER).interval.low, 0, 0,
                 1e-9 * t);
            near("the other side", fixed_test(t, 1, df, 0.05, SIDES_LESS).p_value, 1 - one, 1e-12,
                 0);
        }
    }
}

static void test_fixed__ends_are_open_or_finite(void **state)
{
    (void)state;
    struct inference up = fixed_test(2, 1, 10, 0.05, SIDES_GREATER);
    assert_true(up.interval.high_open && !up.interval.low_open && !up.has_e_value);
    struct inference down = fixed_test(2, 1, 10, 0.05, SIDES_LESS);
    assert_true(down.interval.low_open && !down.interval.high_open);
    struct inference wide = fixed_test(1e308, 1e308, 1, 1e-300, SIDES_TWO);
    assert_true(isfinite(wide.interval.low) && isfinite(wide.interval.high));
    struct inference none = fixed_test(0, 1, 10, 0.05, SIDES_TWO);
    assert_true(none.p_value == 1);
    struct inference far = fixed_test(1e300, 1e-300, 10, 0.05, SIDES_TWO);
    assert_true(far.p_value >= 0 && far.p_value < 1e-300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed__tail_equals_that_of_r),
        cmocka_unit_test(test_fixed__quantile_equals_that_of_r),
        cmocka_unit_test(test_fixed__quantile_inverts_the_tail),
        cmocka_unit_test(test_fixed__interval_inverts_the_test),
        cmocka_unit_test(test_fixed__ends_are_open_or_finite),
    };
    return run_all(tests);
}
