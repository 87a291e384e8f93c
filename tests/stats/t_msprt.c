/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Msprt: its formula as printed, interval and p-value, limits, and the promise under peeks. */
#include "tests/stats/near.h"

#include "stats/msprt.h"

#include <float.h>
#include <gsl/gsl_randist.h>

static void test_msprt__is_its_formula(void **state)
{
    (void)state;
    for (double d = -0.3; d < 0.3; d += 0.047)
        for (double v = 1e-4; v < 1; v *= 7) {
            double t = 0.003, alpha = 0.05;
            double ratio = sqrt(v / (v + t)) * exp(t * d * d / (2 * v * (v + t)));
            double half = sqrt(v * (v + t) / t * (2 * log(1 / alpha) + log((v + t) / v)));
            struct inference got = msprt_test(d, sqrt(v), t, alpha);
            near("e", got.e_value, ratio, 1e-12, 0);
            near("p", got.p_value, fmin(1, 1 / ratio), 1e-12, 0);
            near("low", got.interval.low, d - half, 1e-12, 1e-14);
            near("high", got.interval.high, d + half, 1e-12, 1e-14);
        }
}

static void test_msprt__interval_and_p_value_agree(void **state)
{
    (void)state;
    gsl_rng *rng = chance(8);
    int significant = 0;
    for (int i = 0; i < 20000; i++) {
        double d = gsl_ran_gaussian(rng, 4), t = exp(10 - 20 * gsl_rng_uniform(rng));
        double alpha = exp(-20 * gsl_rng_uniform(rng)) * 0.99;
        struct inference got = msprt_test(d, 1, t, alpha);
        bool excludes = got.interval.low > 0 || got.interval.high < 0;
        assert_int_equal(excludes, got.p_value < alpha);
        significant += excludes;
    }
    assert_true(significant > 500 && significant < 19500);
    gsl_rng_free(rng);
}

static void test_msprt__limits(void **state)
{
    (void)state;
    static const double se[] = {1e-200, 1e-150, 1, 1e150, 1e200};
    for (size_t i = 0; i < sizeof se / sizeof *se; i++)
        for (double t = 1e-300; t < 1e300; t *= 1e75) {
            struct inference got = msprt_test(se[i] * 3, se[i], t, 1e-9);
            assert_true(got.p_value >= 0 && got.p_value <= 1 && isfinite(got.e_value));
            assert_true(isfinite(got.interval.low) && isfinite(got.interval.high));
        }
    assert_true(msprt_test(1e4, 1, 1, 0.05).e_value == DBL_MAX);
}

/* A/A with 200 peeks a run; at a true rate of 0.05 more than 73 of 1000 have a chance of about 1 in
 * 1000. The mixture is as wide as the effects that such noise shows early on. */
static void test_msprt__errs_in_at_most_5_percent_under_peeks(void **state)
{
    (void)state;
    enum { RUNS = 1000 };
    gsl_rng *rng = chance(20261202);
    int wrong = 0;
    for (int run = 0; run < RUNS; run++) {
        double sum = 0, n = 0;
        bool found = false;
        for (int look = 0; look < 200 && !found; look++) {
            n += 50;
            sum +=
                gsl_ran_gaussian(rng, sqrt(2 * 50)); /* a difference of two arms of unit variance */
            found = msprt_test(sum / n, sqrt(2 / n), 0.01, 0.05).p_value <= 0.05;
        }
        wrong += found;
    }
    print_message("# of %d A/A runs %d found an effect\n", RUNS, wrong);
    assert_true(wrong <= 73);
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_msprt__is_its_formula),
        cmocka_unit_test(test_msprt__interval_and_p_value_agree),
        cmocka_unit_test(test_msprt__limits),
        cmocka_unit_test(test_msprt__errs_in_at_most_5_percent_under_peeks),
    };
    return run_all(tests);
}
