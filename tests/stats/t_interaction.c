/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interaction: figures by hand, strata against what changes with time, and when nothing is said. */
#include "tests/stats/near.h"

#include <gsl/gsl_randist.h>

#include "stats/interaction.h"

static struct moments bought(double n, double sum)
{
    const struct moments_sums sums = {.n = n, .sum = sum};
    return moments_of_sums(MOMENTS_BINARY, false, &sums);
}

static struct interaction_cells shares(const double n[4], const double sum[4])
{
    struct interaction_cells out;
    for (int c = 0; c < 4; c++)
        out.cell[c] = bought(n[c], sum[c]);
    return out;
}

/* d = (0.5 - 0.2) - (0.3 - 0.1) = 0.1; variances m (1 - m) / n of the cells. k = n rho^2 with the
 * sequential formula of Waudby-Smith et al. written out. */
static void test_interaction__by_hand(void **state)
{
    (void)state;
    const double n[4] = {1000, 2000, 1000, 4000}, sum[4] = {100, 400, 300, 2000};
    struct interaction_cells cells = shares(n, sum);
    struct interaction got = interaction_of(&cells, 1, 0.05);
    double se = sqrt(0.1 * 0.9 / 1000 + 0.2 * 0.8 / 2000 + 0.3 * 0.7 / 1000 + 0.25 / 4000);
    double rho2 = (-2 * log(0.05) + log(-2 * log(0.05) + 1)) / 20000, k = 8000 * rho2;
    double half = se * sqrt(2 * (k + 1) / k * log(sqrt(k + 1) / 0.05));
    double e = exp(0.01 / (se * se) / 2 * k / (k + 1)) / sqrt(k + 1);
    assert_int_equal(got.problem, INTERACTION_FINE);
    near("estimate", got.estimate, 0.1, 1e-12, 0);
    near("se", got.se, se, 1e-12, 0);
    near("units", got.units, 8000, 0, 0);
    near("fewest", got.fewest, 1000, 0, 0);
    near("with the control", got.effects[0], 0.2, 1e-12, 0);
    near("with the variant", got.effects[1], 0.3, 1e-12, 0);
    near("low", got.low, 0.1 - half, 1e-9, 0);
    near("high", got.high, 0.1 + half, 1e-9, 0);
    near("p", got.p_value, fmin(1, 1 / e), 1e-9, 0);
}

/* Every kind goes through the moments that all figures go through. */
static void test_interaction__means_and_ratios(void **state)
{
    (void)state;
    struct interaction_cells cells, ratios;
    double expected = 0, se2 = 0;
    for (int c = 0; c < 4; c++) {
        cells.cell[c] = moments_empty(MOMENTS_MEAN, false);
        ratios.cell[c] = moments_empty(MOMENTS_RATIO, false);
        for (int i = 0; i < 200; i++) {
            moments_add(&cells.cell[c], c * c + i % 2, 0);
            moments_add(&ratios.cell[c], (c * c + i % 2) * (1 + i % 3), 1 + i % 3);
        }
        expected += (c == 0 || c == 3 ? 1 : -1) * (c * c + 0.5);
        se2 += 0.25 * 200 / 199 / 200;
    }
    struct interaction got = interaction_of(&cells, 1, 0.05);
    near("mean", got.estimate, expected, 1e-12, 0);
    near("se", got.se, sqrt(se2), 1e-12, 0);
    got = interaction_of(&ratios, 1, 0.05);
    assert_int_equal(got.problem, INTERACTION_FINE);
    near("ratio", got.estimate, expected, 0.05, 0);
}

/* Both experiments go from 10% to 50% of their variants, and everybody buys more from then on:
 * pooled that looks like an interaction, by strata it is none. */
static void test_interaction__strata_hold_time_apart(void **state)
{
    (void)state;
    const double n[2][4] = {{8100, 900, 900, 100}, {2500, 2500, 2500, 2500}};
    struct interaction_cells strata[2], pooled;
    for (int s = 0; s < 2; s++) {
        double sum[4];
        for (int c = 0; c < 4; c++)
            sum[c] = n[s][c] * (s ? 0.4 : 0.1);
        strata[s] = shares(n[s], sum);
    }
    for (int c = 0; c < 4; c++)
        pooled.cell[c] = moments_merge(&strata[0].cell[c], &strata[1].cell[c]);
    struct interaction one = interaction_of(&pooled, 1, 0.05);
    assert_true(one.p_value < 0.01);
    struct interaction two = interaction_of(strata, 2, 0.05);
    near("stratified", two.estimate, 0, 0, 1e-12);
    assert_true(two.p_value == 1);
}

/* By hand: interactions of 0.1 among 1,000 customers and 0.4 among 4,000 are 0.34 together. */
static void test_interaction__strata_weigh_by_their_customers(void **state)
{
    (void)state;
    const double n[2][4] = {{250, 250, 250, 250}, {1000, 1000, 1000, 1000}},
                 sum[2][4] = {{50, 50, 50, 75}, {200, 200, 200, 600}};
    struct interaction_cells strata[2] = {shares(n[0], sum[0]), shares(n[1], sum[1])};
    struct interaction got = interaction_of(strata, 2, 0.05);
    double small = (3 * 0.16 + 0.21) / 250, large = (3 * 0.16 + 0.24) / 1000;
    near("estimate", got.estimate, 0.34, 1e-12, 0);
    near("se", got.se, sqrt(0.04 * small + 0.64 * large), 1e-12, 0);
}

/* A stratum without units of a cell is put to its neighbour: nothing of it is lost. */
static void test_interaction__merges_thin_strata(void **state)
{
    (void)state;
    const double thin[4] = {10, 0, 10, 10}, few[4] = {5, 0, 5, 5}, n[4] = {500, 500, 500, 500},
                 sum[4] = {100, 100, 100, 150};
    struct interaction_cells strata[3] = {shares(thin, few), shares(n, sum), shares(thin, few)};
    struct interaction got = interaction_of(strata, 3, 0.05);
    near("units", got.units, 2060, 0, 0);
    near("estimate", got.estimate, (160.0 / 520 - 100.0 / 500) - (110.0 / 520 - 110.0 / 520), 1e-12,
         0);
}

static void test_interaction__says_nothing_of_few(void **state)
{
    (void)state;
    const double n[4] = {1000, 99, 1000, 1000}, sum[4] = {500, 50, 500, 500};
    struct interaction_cells cells = shares(n, sum);
    struct interaction got = interaction_of(&cells, 1, 0.05);
    assert_int_equal(got.problem, INTERACTION_FEW_UNITS);
    near("fewest", got.fewest, 99, 0, 0);
    assert_true(got.estimate == 0 && got.se == 0 && got.p_value == 0);
    const double many[4] = {1000, 1000, 1000, 1000}, rare[4] = {12, 12, 12, 13};
    cells = shares(many, rare);
    assert_int_equal(interaction_of(&cells, 1, 0.05).problem, INTERACTION_FEW_EVENTS);
    const double all_but[4] = {990, 990, 985, 986};
    cells = shares(many, all_but);
    assert_int_equal(interaction_of(&cells, 1, 0.05).problem, INTERACTION_FEW_EVENTS);
    const double none[4] = {0, 100, 100, 100};
    cells = shares(many, none);
    assert_int_equal(interaction_of(&cells, 1, 0.05).problem, INTERACTION_NO_ESTIMATE);
    for (int p = 1; p <= INTERACTION_NO_ESTIMATE; p++)
        assert_true(*interaction_problem_words((enum interaction_problem)p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interaction__by_hand),
        cmocka_unit_test(test_interaction__means_and_ratios),
        cmocka_unit_test(test_interaction__strata_hold_time_apart),
        cmocka_unit_test(test_interaction__strata_weigh_by_their_customers),
        cmocka_unit_test(test_interaction__merges_thin_strata),
        cmocka_unit_test(test_interaction__says_nothing_of_few),
    };
    return run_all(tests);
}
