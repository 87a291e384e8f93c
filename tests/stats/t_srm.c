/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Srm: limits and identities; reference values are studies of tests/data/stats. */
#include "tests/stats/near.h"

#include "stats/srm.h"

#include <gsl/gsl_randist.h>

static struct srm two(double a, double b)
{
    return srm_test((double[]){a, b}, (double[]){1, 1}, 2);
}

static bool is_alarm(const struct srm *srm)
{
    return srm_sequential_p_value(srm) < SRM_ALARM;
}

static void test_srm__by_hand(void **state)
{
    (void)state;
    struct srm srm = two(4040, 3960);
    near("statistic", srm.statistic, 0.8, 1e-14, 0);
    near("df", srm.df, 1, 0, 0);
    near("p", srm_p_value(&srm), 0.37109336952269756, 1e-12, 0);
    near("ln BF", srm.log_bayes_factor, -0.11611620349653681, 1e-11, 0);
    assert_true(srm_sequential_p_value(&srm) == 1);
    assert_false(is_alarm(&srm));
}

static void test_srm__nobody_there(void **state)
{
    (void)state;
    struct srm srm = two(0, 0);
    assert_true(srm.statistic == 0 && srm.df == 1 && srm.log_bayes_factor == 0);
    assert_true(srm_p_value(&srm) == 1 && srm_sequential_p_value(&srm) == 1);
    assert_false(is_alarm(&srm));
}

static void test_srm__weights_count_only_as_shares(void **state)
{
    (void)state;
    double counts[3] = {500, 320, 190}, weights[3] = {5, 3, 2},
           scaled[3] = {0.5e-300, 0.3e-300, 0.2e-300};
    struct srm a = srm_test(counts, weights, 3), b = srm_test(counts, scaled, 3);
    near("statistic", a.statistic, b.statistic, 1e-12, 0);
    near("ln BF", a.log_bayes_factor, b.log_bayes_factor, 1e-10, 1e-10);
}

static void test_srm__an_arm_of_weight_0_is_left_out(void **state)
{
    (void)state;
    struct srm with = srm_test((double[]){50, 12345, 70}, (double[]){1, 0, 1}, 3);
    struct srm without = two(50, 70);
    assert_true(with.statistic == without.statistic && with.df == without.df);
    assert_true(with.log_bayes_factor == without.log_bayes_factor);
    struct srm alone = srm_test((double[]){50, 70}, (double[]){1, 0}, 2);
    assert_true(alone.df == 0 && srm_p_value(&alone) == 1);
    near("one arm", alone.log_bayes_factor, 0, 0, 1e-12);
}

static void test_srm__strata_add_up(void **state)
{
    (void)state;
    struct srm a = two(100, 120), b = srm_test((double[]){10, 45}, (double[]){1, 4}, 2);
    struct srm none = two(0, 0), sum = srm_add(a, b);
    near("statistic", sum.statistic, a.statistic + b.statistic, 0, 0);
    near("df", sum.df, 2, 0, 0);
    near("ln BF", sum.log_bayes_factor, a.log_bayes_factor + b.log_bayes_factor, 0, 0);
    struct srm first = srm_add(none, a), second = srm_add(a, none);
    assert_true(first.df == 1 && second.df == 1 && first.statistic == a.statistic);
    struct srm nobody = srm_add(none, none);
    assert_true(nobody.df == 1 && srm_p_value(&nobody) == 1);
}

static void test_srm__digits_survive_a_billion_units(void **state)
{
    (void)state;
    /* 60-digit reference: counts 500000000 and 500200000. */
    struct srm srm = two(500000000, 500200000);
    near("ln BF", srm.log_bayes_factor, 14.239208313844124, 0, 2e-8);
    srm = two(1e9, 0);
    assert_true(isfinite(srm.log_bayes_factor) && isfinite(srm.statistic) && is_alarm(&srm));
    assert_true(srm_sequential_p_value(&srm) == 0);
}

/* 1,000 runs of 100 looks each: the alarm's level is 0.001, so 6 or more have a chance of 6e-4. */
static void test_srm__alarm_is_rare_where_the_split_is_right(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261126);
    int alarms = 0;
    for (int run = 0; run < 1000; run++) {
        double a = 0, n = 0;
        bool alarm = false;
        for (int look = 0; look < 100 && !alarm; look++) {
            n += 1000;
            a += gsl_ran_binomial(rng, 0.5, 1000);
            struct srm srm = two(a, n - a);
            alarm = is_alarm(&srm);
        }
        alarms += alarm;
    }
    print_message("# of 1000 sound runs %d raised the alarm\n", alarms);
    assert_true(alarms <= 5);
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_srm__by_hand),
        cmocka_unit_test(test_srm__nobody_there),
        cmocka_unit_test(test_srm__weights_count_only_as_shares),
        cmocka_unit_test(test_srm__an_arm_of_weight_0_is_left_out),
        cmocka_unit_test(test_srm__strata_add_up),
        cmocka_unit_test(test_srm__digits_survive_a_billion_units),
        cmocka_unit_test(test_srm__alarm_is_rare_where_the_split_is_right),
    };
    return run_all(tests);
}
