/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moments: reference values, cancellation, and that merging is what counting all would give. */
#include "tests/stats/near.h"

#include "stats/moments.h"

#include <gsl/gsl_randist.h>

static double variance_of(const struct moments *arm)
{
    long double variance;
    assert_true(moments_variance(arm, &variance));
    return (double)variance;
}

static double mean_of(const struct moments *arm)
{
    long double mean;
    assert_true(moments_mean(arm, &mean));
    return (double)mean;
}

static void test_moments__of_each_kind_by_hand(void **state)
{
    (void)state;
    struct moments arm =
        moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){.n = 20, .sum = 5});
    near("binary mean", mean_of(&arm), 0.25, 1e-15, 0);
    near("binary variance", variance_of(&arm), 0.1875, 1e-15, 0);

    /* 1, 2, 4: mean 7/3, variance 7/3 */
    arm = moments_of_sums(MOMENTS_MEAN, false, &(struct moments_sums){3, 7, 21, 0, 0, 0});
    near("mean", mean_of(&arm), 7.0 / 3, 1e-15, 0);
    near("variance", variance_of(&arm), 7.0 / 3, 1e-15, 0);

    arm = moments_of_nps(50, 30, 20);
    near("nps", mean_of(&arm), 30, 1e-15, 0);
    near("nps variance", variance_of(&arm), 100.0 / 99 * 1e4 * (0.7 - 0.09), 1e-14, 0);

    arm = moments_of_csat((double[]){5, 5, 10, 40, 40});
    near("top two", mean_of(&arm), 0.8, 1e-15, 0);
    near("csat variance", variance_of(&arm), 0.16, 1e-14, 0);
    near("mean score", (double)arm.x, 4.05, 1e-15, 0);

    /* Pairs (1,1), (2,3), (6,4): N = 3, D = 8/3, R = 9/8. */
    arm = moments_of_sums(MOMENTS_RATIO, false, &(struct moments_sums){3, 9, 41, 8, 26, 31});
    double numerator = 7, denominator = 7.0 / 3, product = 3.5, ratio = 9.0 / 8;
    near("ratio", mean_of(&arm), ratio, 1e-15, 0);
    near("ratio variance", variance_of(&arm),
         (numerator - 2 * ratio * product + ratio * ratio * denominator) / (64.0 / 9), 1e-14, 0);
}

static void test_moments__covariate_divides_as_the_kind_does(void **state)
{
    (void)state;
    long double variance, covariance;
    struct moments arm =
        moments_of_sums(MOMENTS_BINARY, true, &(struct moments_sums){10, 4, 0, 5, 0, 3});
    assert_true(moments_covariate(&arm, &variance, &covariance));
    near("binary covariate", (double)variance, 0.25, 1e-15, 0);
    near("binary covariance", (double)covariance, 0.3 - 0.2, 1e-14, 0);
    arm = moments_of_sums(MOMENTS_MEAN, true, &(struct moments_sums){3, 7, 21, 6, 14, 17});
    assert_true(moments_covariate(&arm, &variance, &covariance));
    near("covariate", (double)variance, 1, 1e-15, 0);
    near("covariance", (double)covariance, 1.5, 1e-15, 0);
}

/* Values c - 1 and c + 1, half each: sums that a double holds exactly, variance n/(n-1). */
static void test_moments__variance_near_a_million_keeps_its_digits(void **state)
{
    (void)state;
    for (double n = 4; n <= 4e9; n *= 10) {
        double c = 1e6, sum = n * c, sum_sq = n * (c * c + 1);
        struct moments arm =
            moments_of_sums(MOMENTS_MEAN, false, &(struct moments_sums){n, sum, sum_sq, 0, 0, 0});
        /* The sum of squares itself is rounded to a double; allow for what that is worth. */
        double given = 1 + (sum_sq - n * c * c - n) / n;
        near("variance", variance_of(&arm), given * n / (n - 1), 1e-6, 0);
    }
}

/* Sums rounded once to doubles, as the ledger gives them. */
static void test_moments__equal_values_have_no_variance(void **state)
{
    (void)state;
    double values[] = {0.1, 0.3, 1e-8, 123456.789, -7.7};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        long double x = values[i];
        struct moments_sums sums = {3, (double)(3 * x), (double)(3 * x * x), 0, 0, 0};
        struct moments arm = moments_of_sums(MOMENTS_MEAN, false, &sums);
        assert_true(variance_of(&arm) == 0);
        /* The same numerator and denominator, three times as large: a ratio without spread. */
        arm = moments_of_sums(MOMENTS_RATIO, false,
                              &(struct moments_sums){4, 3 * 10, 9 * 30, 10, 30, 3 * 30});
        assert_true(variance_of(&arm) == 0);
    }
}

static void test_moments__nothing_where_nothing_is_defined(void **state)
{
    (void)state;
    long double out = -1, other = -1;
    struct moments none = moments_empty(MOMENTS_MEAN, true);
    assert_false(moments_mean(&none, &out));
    assert_false(moments_variance(&none, &out));
    assert_false(moments_covariate(&none, &out, &other));
    struct moments one =
        moments_of_sums(MOMENTS_MEAN, false, &(struct moments_sums){1, 3, 9, 0, 0, 0});
    assert_true(mean_of(&one) == 3);
    assert_false(moments_variance(&one, &out));
    struct moments no_denominator =
        moments_of_sums(MOMENTS_RATIO, false, &(struct moments_sums){3, 9, 41, 0, 0, 0});
    assert_false(moments_mean(&no_denominator, &out));
    assert_false(moments_variance(&no_denominator, &out));
    assert_true(out == -1 && other == -1);
    struct moments answers = moments_of_nps(1, 0, 0);
    assert_true(mean_of(&answers) == 100);
    assert_false(moments_variance(&answers, &out));
    answers = moments_of_nps(0, 0, 0);
    assert_false(moments_mean(&answers, &out));
    assert_true(answers.y == 0 && answers.yy == 0);
    answers = moments_of_csat((double[]){0, 0, 0, 0, 0});
    assert_false(moments_mean(&answers, &out));
    assert_true(answers.y == 0 && answers.yy == 0 && answers.x == 0);
    struct moments contradiction =
        moments_of_sums(MOMENTS_MEAN, false, &(struct moments_sums){10, 10, 1, 0, 0, 0});
    assert_true(variance_of(&contradiction) < 0);
}

static void same(const struct moments *a, const struct moments *b, double rel)
{
    assert_true(a->n == b->n);
    near("y", (double)a->y, (double)b->y, rel, 1e-12);
    near("x", (double)a->x, (double)b->x, rel, 1e-12);
    near("yy", (double)a->yy, (double)b->yy, rel, 1e-9);
    near("xx", (double)a->xx, (double)b->xx, rel, 1e-9);
    near("xy", (double)a->xy, (double)b->xy, rel, 1e-7);
    for (int i = 0; i < MOMENTS_CATEGORIES_MAX; i++)
        assert_true(a->counts[i] == b->counts[i]);
}

static void add_unit(gsl_rng *rng, enum moments_kind kind, struct moments *arm)
{
    double z = gsl_ran_gaussian(rng, 1);
    switch (kind) {
    case MOMENTS_BINARY:
        moments_add(arm, z > 0, gsl_rng_uniform(rng) < 0.3);
        break;
    case MOMENTS_MEAN:
    case MOMENTS_RATIO:
        moments_add(arm, 50 + 20 * z, 10 + 3 * z + gsl_ran_gaussian(rng, 4));
        break;
    case MOMENTS_NPS:
        moments_add(arm, z > 0.5 ? 100 : z < -1 ? -100 : 0, 0);
        break;
    case MOMENTS_CSAT:
        moments_add(arm, 0, fmax(1, fmin(5, round(3.5 + z))));
        break;
    }
}

static void test_moments__merged_parts_are_the_whole_and_back(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261124);
    for (int kind = MOMENTS_BINARY; kind <= MOMENTS_CSAT; kind++) {
        struct moments whole = moments_empty((enum moments_kind)kind, kind <= MOMENTS_MEAN);
        struct moments parts[3] = {whole, whole, whole};
        for (int unit = 0; unit < 3000; unit++) {
            gsl_rng *copy = gsl_rng_clone(rng);
            add_unit(rng, (enum moments_kind)kind, &whole);
            add_unit(copy, (enum moments_kind)kind, &parts[unit % 7 == 0 ? 0 : unit % 2 + 1]);
            gsl_rng_free(copy);
        }
        struct moments merged = moments_merge(&parts[0], &parts[1]);
        merged = moments_merge(&parts[2], &merged);
        same(&merged, &whole, 1e-12);
        struct moments rest = moments_subtract(&merged, &parts[2]);
        struct moments first = moments_merge(&parts[1], &parts[0]);
        same(&rest, &first, 1e-11);
        struct moments nothing = moments_subtract(&whole, &whole);
        assert_true(nothing.n == 0);
        struct moments empty = moments_empty((enum moments_kind)kind, kind <= MOMENTS_MEAN);
        merged = moments_merge(&empty, &whole);
        same(&merged, &whole, 0);
        merged = moments_subtract(&whole, &empty);
        same(&merged, &whole, 0);
    }
    gsl_rng_free(rng);
}

static void test_moments__counting_units_gives_the_moments_of_the_sums(void **state)
{
    (void)state;
    struct moments nps = moments_empty(MOMENTS_NPS, false);
    struct moments csat = moments_empty(MOMENTS_CSAT, false);
    double scores[5] = {3, 1, 4, 1, 5}, answers[3] = {100, 0, -100}, counts[3] = {7, 5, 2};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < scores[i]; j++)
            moments_add(&csat, 0, i + 1);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < counts[i]; j++)
            moments_add(&nps, answers[i], 0);
    struct moments of_csat = moments_of_csat(scores), of_nps = moments_of_nps(7, 5, 2);
    same(&csat, &of_csat, 1e-14);
    same(&nps, &of_nps, 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments__of_each_kind_by_hand),
        cmocka_unit_test(test_moments__covariate_divides_as_the_kind_does),
        cmocka_unit_test(test_moments__variance_near_a_million_keeps_its_digits),
        cmocka_unit_test(test_moments__equal_values_have_no_variance),
        cmocka_unit_test(test_moments__nothing_where_nothing_is_defined),
        cmocka_unit_test(test_moments__merged_parts_are_the_whole_and_back),
        cmocka_unit_test(test_moments__counting_units_gives_the_moments_of_the_sums),
    };
    return run_all(tests);
}
