/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exact: brute force over a grid, mirrors, corners, and the promise under peeks at tiny counts. */
#include "tests/stats/near.h"

#include "stats/exact.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf_gamma.h>

static struct moments binary(double n, double sum)
{
    return moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){.n = n, .sum = sum});
}

static struct exact binary_test(double n_a, double sum_a, double n_b, double sum_b, double alpha)
{
    struct effect_pair pair = {binary(n_a, sum_a), binary(n_b, sum_b)};
    struct exact exact = exact_test(&pair, 1, alpha);
    assert_true(exact.problem == EFFECT_FINE);
    return exact;
}

static struct exact nps_test(const double *a, const double *b, double alpha)
{
    struct effect_pair pair = {moments_of_nps(a[0], a[1], a[2]), moments_of_nps(b[0], b[1], b[2])};
    return exact_test(&pair, 1, alpha);
}

/* ln M of a binary arm by its definition. */
static double log_m(double n, double sum, double theta)
{
    return gsl_sf_lnbeta(sum + 0.5, n - sum + 0.5) - gsl_sf_lnbeta(0.5, 0.5) - sum * log(theta) -
           (n - sum) * log1p(-theta);
}

/* The largest effect of a 300 x 300 grid within the set is at most one cell below the end. */
static void test_exact__covers_a_grid_of_the_set_and_no_more(void **state)
{
    (void)state;
    static const double cases[][4] = {{20, 6, 20, 13}, {12, 0, 15, 0}, {50, 49, 8, 1}};
    const int cells = 300;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const double *k = cases[c];
        double low = 1, high = -1, budget = log(1 / 0.05);
        struct exact exact = binary_test(k[0], k[1], k[2], k[3], 0.05);
        for (int i = 0; i < cells; i++) {
            double a = (i + 0.5) / cells, m = log_m(k[0], k[1], a);
            for (int j = 0; j < cells; j++) {
                double b = (j + 0.5) / cells;
                if (m + log_m(k[2], k[3], b) < budget) {
                    low = fmin(low, b - a);
                    high = fmax(high, b - a);
                }
            }
        }
        assert_true(exact.inference.interval.low <= low && exact.inference.interval.high >= high);
        near("low", exact.inference.interval.low, low, 0, 2.0 / cells);
        near("high", exact.inference.interval.high, high, 0, 2.0 / cells);
    }
}

static void test_exact__interval_inverts_the_test(void **state)
{
    (void)state;
    for (double sum = 12; sum <= 40; sum += 4) {
        struct exact exact = binary_test(40, 4, 40, sum, 0.05);
        if (exact.inference.p_value >= 1)
            continue;
        struct exact on = binary_test(40, 4, 40, sum, exact.inference.p_value);
        near("low", on.inference.interval.low, 0, 0, 1e-10);
    }
    const double a[3] = {5, 20, 75}, b[3] = {60, 30, 10};
    struct exact exact = nps_test(a, b, 0.05);
    assert_true(exact.inference.p_value < 0.05 && exact.inference.interval.low > 0);
    near("nps low", nps_test(a, b, exact.inference.p_value).inference.interval.low, 0, 0, 1e-7);
}

static void test_exact__relabelling_and_swapping_mirror(void **state)
{
    (void)state;
    gsl_rng *rng = chance(7);
    for (int i = 0; i < 200; i++) {
        double n_a = 1 + (double)gsl_rng_uniform_int(rng, 60);
        double n_b = 1 + (double)gsl_rng_uniform_int(rng, 60);
        double a = (double)gsl_rng_uniform_int(rng, (unsigned long)n_a + 1);
        double b = (double)gsl_rng_uniform_int(rng, (unsigned long)n_b + 1);
        struct inference one = binary_test(n_a, a, n_b, b, 0.05).inference;
        struct inference relabelled = binary_test(n_a, n_a - a, n_b, n_b - b, 0.05).inference;
        struct inference swapped = binary_test(n_b, b, n_a, a, 0.05).inference;
        near("relabelled low", relabelled.interval.low, -one.interval.high, 0, 1e-11);
        near("relabelled high", relabelled.interval.high, -one.interval.low, 0, 1e-11);
        near("relabelled e", relabelled.log_e_value, one.log_e_value, 1e-10, 1e-10);
        near("swapped low", swapped.interval.low, -one.interval.high, 0, 1e-11);
        near("swapped e", swapped.log_e_value, one.log_e_value, 1e-10, 1e-10);
        assert_true(one.interval.low >= -1 && one.interval.high <= 1);
        bool excludes = one.interval.low > 0 || one.interval.high < 0;
        assert_int_equal(excludes, one.p_value < 0.05);
    }
    gsl_rng_free(rng);
}

/* Without passives and with the scores 1 and -1, nps is a binary of twice the range, but its third
 * category makes it wider. */
static void test_exact__corners_are_reached(void **state)
{
    (void)state;
    const double best[3] = {9, 0, 0}, worst[3] = {0, 0, 9};
    struct exact exact = nps_test(best, worst, 0.05);
    near("estimate", exact.estimate, -200, 0, 0);
    assert_true(exact.inference.interval.low == -200);
    near("high", exact.inference.interval.high, -44.172535907575, 0, 1e-6);
    exact = nps_test(worst, best, 0.05);
    assert_true(exact.inference.interval.high == 200);
    struct exact one = binary_test(1, 0, 1, 1, 0.05);
    assert_true(one.inference.interval.high == 1 && one.inference.interval.low > -1);
}

static void test_exact__says_which_arm_is_empty(void **state)
{
    (void)state;
    struct effect_pair pair = {binary(0, 0), binary(3, 1)};
    assert_true(exact_test(&pair, 1, 0.05).problem == EFFECT_CONTROL_EMPTY);
    pair = (struct effect_pair){binary(3, 1), binary(0, 0)};
    assert_true(exact_test(&pair, 1, 0.05).problem == EFFECT_TREATMENT_EMPTY);
}

/* At 1e9 units the set is an ellipse: half-width sqrt(2 budget) se, to the curvature's 1e-4. */
static void test_exact__is_normal_at_a_billion_units(void **state)
{
    (void)state;
    double n = 1e9, p = 0.03, q = 0.0301;
    struct exact exact = binary_test(n, n * p, n, n * q, 0.05);
    double constant = gsl_sf_lnbeta(0.5, 0.5);
    double se = sqrt((p * (1 - p) + q * (1 - q)) / n);
    /* ln M at the shares by Stirling: ln sqrt(2 pi) - ln B(a) - ln(n)/2. */
    double budget = log(1 / 0.05) - 2 * (log(2 * M_PI) / 2 - constant - log(n) / 2);
    near("half", (exact.inference.interval.high - exact.inference.interval.low) / 2,
         sqrt(2 * budget) * se, 1e-4, 0);
    near("middle", (exact.inference.interval.high + exact.inference.interval.low) / 2, q - p, 1e-3,
         0);
}

static void test_exact__strata_of_one_split_are_no_narrower_than_the_pool(void **state)
{
    (void)state;
    struct effect_pair strata[2] = {{binary(100, 20), binary(100, 35)},
                                    {binary(100, 22), binary(100, 33)}};
    struct exact apart = exact_test(strata, 2, 0.05);
    struct exact pooled = binary_test(200, 42, 200, 68, 0.05);
    near("estimate", apart.estimate, pooled.estimate, 1e-14, 0);
    assert_true(apart.inference.interval.low < pooled.inference.interval.low);
    assert_true(apart.inference.interval.high > pooled.inference.interval.high);
}

/* 400 runs of 40 looks from the first unit on, rates where the normal approximation is worst. At a
 * true rate of 0.05 more than 34 have a chance of 1 in 500 (binomial). */
static void test_exact__errs_in_at_most_5_percent_from_the_first_unit_on(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261125);
    int wrong = 0;
    for (int run = 0; run < 400; run++) {
        double n = 0, a = 0, b = 0;
        bool found = false;
        for (int look = 0; look < 40 && !found; look++) {
            unsigned int step = look < 10 ? 1 : 10;
            n += step;
            a += gsl_ran_binomial(rng, 0.02, step);
            b += gsl_ran_binomial(rng, 0.02, step);
            found = binary_test(n, a, n, b, 0.05).inference.p_value <= 0.05;
        }
        wrong += found;
    }
    print_message("# of 400 A/A runs %d found an effect\n", wrong);
    assert_true(wrong <= 34);
    gsl_rng_free(rng);
}

/* With two categories the set is an interval, at whose ends ln M is the bound itself. */
static void test_exact__mean_of_one_arm_is_where_the_process_meets_the_bound(void **state)
{
    (void)state;
    static const double cases[][3] = {{20, 6, 0.05}, {1000, 990, 0.01}, {3, 1, 0.2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double *k = cases[i];
        struct moments arm = binary(k[0], k[1]);
        struct interval range;
        assert_true(exact_mean(&arm, k[2], &range));
        assert_true(range.low < k[1] / k[0] && k[1] / k[0] < range.high);
        near("low", log_m(k[0], k[1], range.low), log(1 / k[2]), 0, 1e-7);
        near("high", log_m(k[0], k[1], range.high), log(1 / k[2]), 0, 1e-7);
    }
    struct moments none = binary(15, 0), empty = binary(0, 0);
    struct interval range;
    assert_true(exact_mean(&none, 0.05, &range));
    near("nobody converted", range.low, 0, 0, 0);
    near("high", log_m(15, 0, range.high), log(20), 0, 1e-7);
    assert_false(exact_mean(&empty, 0.05, &range));
}

/* NPS by brute force over a grid of the simplex. */
static void test_exact__mean_of_nps_covers_a_grid_of_the_set(void **state)
{
    (void)state;
    const double k[3] = {12, 7, 9};
    const int cells = 400;
    struct moments arm = moments_of_nps(k[0], k[1], k[2]);
    struct interval range;
    double low = 100, high = -100;
    assert_true(exact_mean(&arm, 0.05, &range));
    double base = gsl_sf_lngamma(1.5) - gsl_sf_lngamma(28 + 1.5) - 3 * gsl_sf_lngamma(0.5);
    for (int i = 0; i < 3; i++)
        base += gsl_sf_lngamma(k[i] + 0.5);
    for (int i = 1; i < cells; i++)
        for (int j = 1; i + j < cells; j++) {
            double p = (double)i / cells, d = (double)j / cells, q = 1 - p - d;
            if (base - k[0] * log(p) - k[1] * log(q) - k[2] * log(d) < log(20)) {
                low = fmin(low, 100 * (p - d));
                high = fmax(high, 100 * (p - d));
            }
        }
    assert_true(range.low <= low && range.high >= high);
    near("low", range.low, low, 0, 200.0 / cells);
    near("high", range.high, high, 0, 200.0 / cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact__covers_a_grid_of_the_set_and_no_more),
        cmocka_unit_test(test_exact__interval_inverts_the_test),
        cmocka_unit_test(test_exact__relabelling_and_swapping_mirror),
        cmocka_unit_test(test_exact__corners_are_reached),
        cmocka_unit_test(test_exact__says_which_arm_is_empty),
        cmocka_unit_test(test_exact__is_normal_at_a_billion_units),
        cmocka_unit_test(test_exact__strata_of_one_split_are_no_narrower_than_the_pool),
        cmocka_unit_test(test_exact__mean_of_one_arm_is_where_the_process_meets_the_bound),
        cmocka_unit_test(test_exact__mean_of_nps_covers_a_grid_of_the_set),
        cmocka_unit_test(test_exact__errs_in_at_most_5_percent_from_the_first_unit_on),
    };
    return run_all(tests);
}
