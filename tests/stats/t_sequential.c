/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sequential: that the interval inverts the test, the limits, and the promise itself, under 200
 * peeks a run. */
#include "tests/stats/near.h"

#include "stats/effect.h"
#include "stats/fixed.h"
#include "stats/sequential.h"

#include <float.h>
#include <gsl/gsl_randist.h>

static double rho_factor(double a)
{
    return -2 * log(a) + log(-2 * log(a) + 1);
}

/* At the level of its own p-value, with rho held, the interval ends at 0. */
static void test_sequential__interval_inverts_the_test(void **state)
{
    (void)state;
    for (double z = 3.3; z < 30; z *= 1.17) {
        for (double n = 50; n < 1e9; n *= 13) {
            struct inference at = sequential_test(z, 1, n, 0.05, 5000, SIDES_TWO);
            if (at.p_value >= 1 || at.p_value < 1e-290)
                continue;
            double tuning = 5000 * rho_factor(at.p_value) / rho_factor(0.05);
            struct inference on = sequential_test(z, 1, n, at.p_value, tuning, SIDES_TWO);
            near("low", on.interval.low, 0, 0, 1e-9 * z);

            at = sequential_test(z, 1, n, 0.05, 5000, SIDES_GREATER);
            if (at.p_value <= 1e-5 || at.p_value >= 0.4999)
                continue;
            tuning = 5000 * rho_factor(2 * at.p_value) / rho_factor(0.1);
            on = sequential_test(z, 1, n, at.p_value, tuning, SIDES_GREATER);
            near("low, one-sided", on.interval.low, 0, 0, 1e-9 * z);
        }
    }
}

static void test_sequential__interval_and_p_value_agree_at_alpha(void **state)
{
    (void)state;
    gsl_rng *rng = chance(6);
    int significant = 0;
    for (int i = 0; i < 20000; i++) {
        double d = gsl_ran_gaussian(rng, 4), n = floor(exp(20 * gsl_rng_uniform(rng))) + 1;
        double alpha = exp(-20 * gsl_rng_uniform(rng)) * 0.99;
        struct inference two = sequential_test(d, 1, n, alpha, 5000, SIDES_TWO);
        bool excludes = two.interval.low > 0 || two.interval.high < 0;
        assert_int_equal(excludes, two.p_value < alpha);
        near("e", two.e_value, exp(two.log_e_value), 1e-14, 0);
        significant += excludes;
    }
    assert_true(significant > 500 && significant < 19500);
    gsl_rng_free(rng);
}

static void test_sequential__sides_mirror_each_other(void **state)
{
    (void)state;
    for (double d = -6; d <= 6; d += 0.5) {
        struct inference up = sequential_test(d, 1, 3000, 0.05, 5000, SIDES_GREATER);
        struct inference down = sequential_test(-d, 1, 3000, 0.05, 5000, SIDES_LESS);
        near("p", up.p_value, down.p_value, 0, 0);
        near("end", up.interval.low, -down.interval.high, 0, 0);
        assert_true(up.interval.high_open && !up.interval.low_open);
        assert_true(down.interval.low_open && !down.interval.high_open);
        assert_false(up.has_e_value || down.has_e_value);
        assert_true(up.p_value >= 1e-5 && up.p_value <= 0.4999);
        if (d <= 0)
            assert_true(up.p_value == 0.4999);
    }
}

/* N* is where half-width / (se sqrt n) times sqrt n, the width in units of a fixed sd, is least in
 * the sense of its tuning: no neighbour's tuning is narrower there by more than the approximation
 * of rho gives (1 %). */
static void test_sequential__is_tightest_near_its_tuning(void **state)
{
    (void)state;
    double at = sequential_test(0, 1, 5000, 0.05, 5000, SIDES_TWO).interval.high;
    for (double tuning = 50; tuning <= 500000; tuning *= 1.5) {
        double other = sequential_test(0, 1, 5000, 0.05, tuning, SIDES_TWO).interval.high;
        assert_true(other > 0.99 * at);
    }
    assert_true(sequential_test(0, 1, 5000, 0.05, 50, SIDES_TWO).interval.high > 1.05 * at);
    assert_true(sequential_test(0, 1, 5000, 0.05, 500000, SIDES_TWO).interval.high > 1.05 * at);
}

static void test_sequential__limits_stay_finite(void **state)
{
    (void)state;
    struct inference far = sequential_test(1e4, 1, 2e9, 1e-9, 5000, SIDES_TWO);
    assert_true(far.e_value == DBL_MAX && far.p_value == 0);
    assert_true(far.interval.low > 9000);
    far = sequential_test(1e300, 1e-300, 10, 0.05, 5000, SIDES_TWO);
    assert_true(far.e_value == DBL_MAX && far.p_value == 0 && isfinite(far.log_e_value));
    far = sequential_test(1e300, 1e-300, 10, 0.05, 5000, SIDES_GREATER);
    assert_true(far.p_value == 1e-5);
    struct inference wide = sequential_test(1e308, 1e308, 1, 1e-300, 1e300, SIDES_TWO);
    assert_true(isfinite(wide.interval.low) && isfinite(wide.interval.high));
    struct inference none = sequential_test(0, 1, 1, 0.05, 5000, SIDES_TWO);
    assert_true(none.p_value == 1 && none.e_value < 1);
}

/* One run of an A/A test on a conversion rate: whether any of 200 looks finds an effect. */
static void run_of_peeks(gsl_rng *rng, bool *sequential, bool *naive)
{
    struct moments_sums a = {0}, b = {0};
    for (int look = 0; look < 200; look++) {
        a.n += 100;
        b.n += 100;
        a.sum += gsl_ran_binomial(rng, 0.2, 100);
        b.sum += gsl_ran_binomial(rng, 0.2, 100);
        struct effect_pair pair = {moments_of_sums(MOMENTS_BINARY, false, &a),
                                   moments_of_sums(MOMENTS_BINARY, false, &b)};
        struct effect effect = effect_between(&pair, 1, EFFECT_RELATIVE);
        struct inference always =
            sequential_test(effect.estimate, effect.se, effect.units, 0.05, 5000, SIDES_TWO);
        *sequential = *sequential || always.p_value <= 0.05;
        if (!*naive) /* the costly one */
            *naive =
                fixed_test(effect.estimate, effect.se, effect.df, 0.05, SIDES_TWO).p_value <= 0.05;
    }
}

/* 1,000 runs: at a true rate of 0.05 more than 71 have a chance of 1 in 700 (binomial). A fixed
 * test, looked at as often, errs in about four of ten, which shows that the peeks bite. */
static void test_sequential__errs_in_at_most_5_percent_under_200_peeks(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261124);
    int wrong = 0, naive_wrong = 0;
    for (int run = 0; run < 1000; run++) {
        bool sequential = false, naive = false;
        run_of_peeks(rng, &sequential, &naive);
        wrong += sequential;
        naive_wrong += naive;
    }
    print_message("# of 1000 A/A runs: sequential %d, fixed %d found an effect\n", wrong,
                  naive_wrong);
    assert_true(wrong <= 71);
    assert_true(naive_wrong > 250);
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequential__interval_inverts_the_test),
        cmocka_unit_test(test_sequential__interval_and_p_value_agree_at_alpha),
        cmocka_unit_test(test_sequential__sides_mirror_each_other),
        cmocka_unit_test(test_sequential__is_tightest_near_its_tuning),
        cmocka_unit_test(test_sequential__limits_stay_finite),
        cmocka_unit_test(test_sequential__errs_in_at_most_5_percent_under_200_peeks),
    };
    return run_all(tests);
}
