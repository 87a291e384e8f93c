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

/* Runs of a Brownian motion with a drift cross on either side as often as is computed: published
 * constants (Jennison and Turnbull 2000, table 2.1, Pocock, five looks), uneven looks of our own,
 * and a Lan-DeMets boundary one-sided. Five standard deviations of a binomial. */
static void crosses_as_computed(const struct group *group, const double *critical, enum sides sides,
                                double theta, gsl_rng *rng)
{
    enum { RUNS = 40000, LOOKS = 5 };
    double up[LOOKS], down[LOOKS];
    int ups[LOOKS] = {0}, downs[LOOKS] = {0};
    assert_true(group_crossing(group, critical, sides, theta, up, down));
    for (int run = 0; run < RUNS; run++) {
        double score = 0, before = 0;
        bool crossed = false;
        for (size_t k = 0; !crossed && k < group->looks; k++) {
            double t = group->times[k];
            score += theta * (t - before) + gsl_ran_gaussian(rng, sqrt(t - before));
            before = t;
            bool above = score >= critical[k] * sqrt(t),
                 below = sides == SIDES_TWO && score <= -critical[k] * sqrt(t);
            ups[k] += above;
            downs[k] += below;
            crossed = above || below;
        }
    }
    for (size_t k = 0; k < group->looks; k++) {
        near("up", (double)ups[k] / RUNS, up[k], 0, 5 * sqrt(up[k] / RUNS) + 1e-5);
        near("down", (double)downs[k] / RUNS, down[k], 0, 5 * sqrt(down[k] / RUNS) + 1e-5);
    }
}

static void test_group__crosses_under_a_drift_as_computed(void **state)
{
    (void)state;
    static const double even[] = {0.2, 0.4, 0.6, 0.8, 1}, uneven[] = {0.05, 0.06, 0.7, 1},
                        flat[] = {2.413, 2.413, 2.413, 2.413, 2.413};
    const struct group five = {.times = even, .looks = 5},
                       four = {.function = GROUP_OBRIEN_FLEMING, .times = uneven, .looks = 4};
    double c[4];
    gsl_rng *rng = chance(20261203);
    crosses_as_computed(&five, flat, SIDES_TWO, 3.1, rng);
    crosses_as_computed(&five, flat, SIDES_TWO, -0.7, rng);
    critical(&four, 0.2, SIDES_TWO, c);
    crosses_as_computed(&four, c, SIDES_TWO, 2.5, rng);
    critical(&four, 0.1, SIDES_LESS, c);
    crosses_as_computed(&four, c, SIDES_LESS, 2.5, rng);
    gsl_rng_free(rng);
}

/* Without drift what is spent comes back; at the drift of a power, the power; one look is the
 * normal distribution's. */
static void test_group__drift_gives_the_power(void **state)
{
    (void)state;
    static const double times[] = {0.2, 0.4, 0.6, 0.8, 1}, once[] = {1};
    for (int function = GROUP_OBRIEN_FLEMING; function <= GROUP_HWANG; function++)
        for (int sides = SIDES_TWO; sides <= SIDES_GREATER; sides++)
            for (double power = 0.5; power < 0.9999; power += (1 - power) / 3) {
                const struct group group = {.function = (enum group_spending)function,
                                            .gamma = 2,
                                            .times = times,
                                            .looks = 5};
                double c[5], up[5], down[5], theta, spent = 0, found = 0;
                critical(&group, 0.05, (enum sides)sides, c);
                assert_true(group_crossing(&group, c, (enum sides)sides, 0, up, down));
                for (int k = 0; k < 5; k++)
                    spent += up[k] + down[k];
                near("spent", spent, 0.05, 1e-5, 0);
                assert_true(group_drift(&group, c, (enum sides)sides, power, &theta, up, down));
                for (int k = 0; k < 5; k++)
                    found += up[k];
                near("power", found, power, 1e-9, 0);
            }
    const struct group group = {.function = GROUP_POCOCK, .times = once, .looks = 1};
    double c, theta, up, down;
    critical(&group, 0.05, SIDES_TWO, &c);
    assert_true(group_drift(&group, &c, SIDES_TWO, 0.9, &theta, &up, &down));
    near("its power", up, 0.9, 1e-12, 0);
    near("one look", theta, gsl_cdf_ugaussian_Qinv(0.025) + gsl_cdf_ugaussian_Pinv(0.9), 1e-9, 0);
    /* A boundary that is not reached by any drift that is looked at. */
    static const double never[] = {60};
    assert_false(group_drift(&group, never, SIDES_TWO, 0.9, &theta, &up, &down));
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
        cmocka_unit_test(test_group__crosses_under_a_drift_as_computed),
        cmocka_unit_test(test_group__drift_gives_the_power),
        cmocka_unit_test(test_group__interval_and_crossing_agree),
    };
    return run_all(tests);
}
