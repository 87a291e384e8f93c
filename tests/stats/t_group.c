/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Group: published boundaries, what is spent adds up to alpha (by simulation too), limits, and
 * looks that lie close together. */
#include "tests/stats/near.h"

#include "stats/group.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <stdlib.h>

static void critical(const struct group *group, double alpha, enum sides sides, double *out)
{
    assert_true(group_critical(group, alpha, sides, out));
}

/* Jennison and Turnbull (2000) and rpact: four equal looks, alpha 0.05 two-sided. */
static void test_group__four_equal_looks(void **state)
{
    (void)state;
    static const double times[] = {0.25, 0.5, 0.75, 1};
    static const double want[] = {4.3326, 2.9631, 2.3590, 2.0141};
    const struct group group = {
        .function = GROUP_OBRIEN_FLEMING, .gamma = 1, .times = times, .looks = 4};
    double got[4];
    critical(&group, 0.05, SIDES_TWO, got);
    for (int i = 0; i < 4; i++)
        near("obrien-fleming", got[i], want[i], 0, 1e-4);
}

static void test_group__one_look_is_the_normal_quantile(void **state)
{
    (void)state;
    static const double times[] = {1};
    for (int function = GROUP_OBRIEN_FLEMING; function <= GROUP_HWANG; function++) {
        const struct group group = {
            .function = (enum group_spending)function, .gamma = 1.5, .times = times, .looks = 1};
        double c;
        critical(&group, 0.05, SIDES_TWO, &c);
        near("two-sided", c, gsl_cdf_ugaussian_Qinv(0.025), 0, 1e-9);
        critical(&group, 0.01, SIDES_GREATER, &c);
        near("one-sided", c, gsl_cdf_ugaussian_Qinv(0.01), 0, 1e-9);
    }
}

static void test_group__spends_all_and_never_takes_back(void **state)
{
    (void)state;
    for (int function = GROUP_OBRIEN_FLEMING; function <= GROUP_HWANG; function++)
        for (double gamma = 0.5; gamma < 5; gamma += 1.5) {
            const struct group group = {.function = (enum group_spending)function, .gamma = gamma};
            double before = 0;
            for (double t = 0.05; t <= 1; t += 0.05) {
                double spent = group_spent(&group, 0.025, t);
                assert_true(spent >= before && spent <= 0.025 * (1 + 1e-12));
                before = spent;
            }
            near("at the end", group_spent(&group, 0.025, 1), 0.025, 1e-12, 0);
        }
    const struct group flat = {.function = GROUP_HWANG, .gamma = 0};
    near("gamma 0", group_spent(&flat, 0.025, 0.3), 0.0075, 1e-12, 0);
}

/* Runs of a Brownian motion without drift: crossing at each look as often as is spent there. */
static void test_group__crosses_as_often_as_it_spends(void **state)
{
    (void)state;
    static const double times[] = {0.2, 0.3, 0.75, 1};
    const struct group group = {.function = GROUP_POCOCK, .gamma = 1, .times = times, .looks = 4};
    enum { RUNS = 200000 };
    gsl_rng *rng = chance(20261201);
    for (int one_sided = 0; one_sided < 2; one_sided++) {
        enum sides sides = one_sided ? SIDES_LESS : SIDES_TWO;
        double c[4], spent = 0, a = one_sided ? 0.1 : 0.05;
        int crossed[4] = {0};
        critical(&group, 0.1, sides, c);
        for (int run = 0; run < RUNS; run++) {
            double score = 0, before = 0;
            for (int k = 0; k < 4; k++) {
                score += gsl_ran_gaussian(rng, sqrt(times[k] - before));
                before = times[k];
                if (group_crosses(score, sqrt(times[k]), c[k], sides)) {
                    crossed[k]++;
                    break;
                }
            }
        }
        for (int k = 0; k < 4; k++) {
            double now = group_spent(&group, a, times[k]),
                   share = (now - spent) * (one_sided ? 1 : 2);
            spent = now;
            /* Five standard deviations of a binomial. */
            near("share", (double)crossed[k] / RUNS, share, 0, 5 * sqrt(share / RUNS));
        }
    }
    gsl_rng_free(rng);
}

/* Splitting a look in two that lie as close as can be changes next to nothing. */
static void test_group__close_looks_are_as_one(void **state)
{
    (void)state;
    static const double apart[] = {0.3, 0.6, 1}, close[] = {0.3, 0.6, 0.6000001, 1};
    const struct group three = {.function = GROUP_KIM_DEMETS,
                                .gamma = 2,
                                .times = apart,
                                .looks = 3},
                       four = {
                           .function = GROUP_KIM_DEMETS, .gamma = 2, .times = close, .looks = 4};
    double a[3], b[4];
    critical(&three, 0.05, SIDES_TWO, a);
    critical(&four, 0.05, SIDES_TWO, b);
    near("before", b[1], a[1], 0, 1e-9);
    near("after", b[3], a[2], 0, 1e-3);
}

static void test_group__hundreds_of_looks(void **state)
{
    (void)state;
    enum { LOOKS = 300 };
    double times[LOOKS], c[LOOKS];
    for (int i = 0; i < LOOKS; i++)
        times[i] = (double)(i + 1) / LOOKS;
    for (int function = GROUP_OBRIEN_FLEMING; function <= GROUP_HWANG; function++) {
        const struct group group = {
            .function = (enum group_spending)function, .gamma = 1, .times = times, .looks = LOOKS};
        critical(&group, 0.05, SIDES_TWO, c);
        for (int i = 0; i < LOOKS; i++)
            assert_true(c[i] > 1.9 && c[i] <= GROUP_CRITICAL_MAX);
        assert_true(c[LOOKS - 1] < 4);
    }
    const struct group early = {
        .function = GROUP_OBRIEN_FLEMING, .gamma = 1, .times = times, .looks = 3};
    critical(&early, 1e-9, SIDES_TWO, c);
    assert_true(c[0] == GROUP_CRITICAL_MAX); /* a share too small for a double */
}

static void test_group__interval_and_crossing_agree(void **state)
{
    (void)state;
    for (double d = -4; d <= 4; d += 0.37)
        for (int sides = SIDES_TWO; sides <= SIDES_LESS; sides++) {
            struct interval range = group_interval(d, 1, 2.5, (enum sides)sides);
            bool excludes =
                (!range.low_open && range.low >= 0) || (!range.high_open && range.high <= 0);
            assert_int_equal(excludes, group_crosses(d, 1, 2.5, (enum sides)sides));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group__four_equal_looks),
        cmocka_unit_test(test_group__one_look_is_the_normal_quantile),
        cmocka_unit_test(test_group__spends_all_and_never_takes_back),
        cmocka_unit_test(test_group__crosses_as_often_as_it_spends),
        cmocka_unit_test(test_group__close_looks_are_as_one),
        cmocka_unit_test(test_group__hundreds_of_looks),
        cmocka_unit_test(test_group__interval_and_crossing_agree),
    };
    return run_all(tests);
}
