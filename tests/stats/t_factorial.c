/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Factorial: figures by hand, least squares in fractions, identities, aliases, and the level of the
 * test of an interaction. */
#include "tests/stats/near.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <stdlib.h>
#include <string.h>

#include "stats/factorial.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The combinations of a fraction. */
struct fraction {
    size_t factors, cells;
    const size_t *levels, *at;
};

static struct factorial weigh(struct fraction fraction)
{
    struct factorial design = {.factors = fraction.factors,
                               .cells = fraction.cells,
                               .levels = fraction.levels,
                               .at = fraction.at};
    size_t rows = factorial_rows(&design);
    design.weights = calloc(rows * design.cells, sizeof *design.weights);
    design.identified = calloc(rows, sizeof *design.identified);
    design.pairs = calloc(design.factors * design.factors, sizeof *design.pairs);
    assert_true(factorial_weigh(&design));
    return design;
}

static void drop(struct factorial *design)
{
    free(design->weights);
    free(design->identified);
    free(design->pairs);
}

static struct effect_mean cell(double mean, double variance, double n)
{
    return (struct effect_mean){.has_mean = true,
                                .mean = mean,
                                .variance = variance,
                                .welch = (long double)variance * variance / (n - 1),
                                .units = n};
}

static const size_t two_levels[] = {2, 2}, two_at[] = {0, 0, 0, 1, 1, 0, 1, 1};
static const struct fraction two = {2, 4, two_levels, two_at};
static const size_t three_levels[] = {3, 2}, three_at[] = {0, 0, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1};
static const struct fraction three = {2, 6, three_levels, three_at};

/* L1 = (11 + 15)/2 = 13, L0 = (10 + 12)/2 = 11, Var L1 = (0.3 + 0.5)/4, Var L0 = (0.1 + 0.5)/4:
 * d = 2, se^2 = 0.35; 2/11 with se^2 = 0.2/121 + 169 * 0.15/14641. Difference of differences
 * 15 - 11 - 12 + 10 = 2 with se^2 = 1.4; df = 0.35^2 / (sum of (V/4)^2/(n - 1)). */
static void test_factorial__two_by_two_by_hand(void **state)
{
    (void)state;
    struct factorial design = weigh(two);
    struct effect_mean cells[] = {cell(10, 0.1, 11), cell(12, 0.5, 21), cell(11, 0.3, 31),
                                  cell(15, 0.5, 41)};
    struct factorial_effect main = factorial_main(&design, cells, 0, 1, EFFECT_ABSOLUTE);
    near("absolute", main.effect.estimate, 2, 1e-15, 0);
    near("se", main.effect.se, sqrt(0.35), 1e-14, 0);
    near("base", main.effect.base, 11, 1e-14, 0);
    near("units", main.effect.units, 104, 0, 0);
    near("df", main.effect.df, 0.35 * 0.35 * 16 / (0.01 / 10 + 0.25 / 20 + 0.09 / 30 + 0.25 / 40),
         1e-13, 0);
    main = factorial_main(&design, cells, 0, 1, EFFECT_RELATIVE);
    near("relative", main.effect.estimate, 2.0 / 11, 1e-14, 0);
    near("its se", main.effect.se, sqrt(0.2 / 121 + 169 * 0.15 / 14641), 1e-14, 0);
    main = factorial_main(&design, cells, 1, 1, EFFECT_ABSOLUTE);
    near("the other factor", main.effect.estimate, 3, 1e-15, 0);
    struct factorial_effect one = factorial_difference(&design, cells, 0, 1, 1, 1);
    near("difference of differences", one.effect.estimate, 2, 1e-15, 0);
    near("its se", one.effect.se, sqrt(1.4), 1e-14, 0);
    struct factorial_test test = factorial_interaction(&design, cells, 0, 1);
    near("wald", test.statistic, 4 / 1.4, 1e-14, 0);
    near("df", test.df, 1, 0, 0);
    near("p", test.p_value, erfc(sqrt(2 / 1.4)), 1e-12, 0);
    drop(&design);
}

/* C' S^-1 C in fractions (Python): 2142/683 and 83834213/354813. */
static void test_factorial__wald_in_fractions(void **state)
{
    (void)state;
    struct factorial design = weigh(three);
    struct effect_mean cells[] = {cell(10, 1.0 / 4, 9), cell(12, 1.0 / 2, 9), cell(11, 1.0 / 3, 9),
                                  cell(15, 1.0 / 5, 9), cell(9, 1, 9),        cell(12, 1.0 / 6, 9)};
    struct factorial_test test = factorial_interaction(&design, cells, 0, 1);
    near("3x2", test.statistic, 2142.0 / 683, 1e-13, 0);
    near("df", test.df, 2, 0, 0);
    near("p", test.p_value, exp(-2142.0 / 683 / 2), 1e-12, 0);
    drop(&design);
    static const size_t levels[] = {3, 3},
                        at[] = {0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2, 2, 0, 2, 1, 2, 2};
    static const double means[] = {1, 2, 3, 2, 4, 5, 3, 3, 9},
                        over[] = {10, 20, 30, 15, 25, 35, 12, 22, 32};
    struct effect_mean nine[9];
    for (size_t c = 0; c < 9; c++)
        nine[c] = cell(means[c], 1 / over[c], 9);
    design = weigh((struct fraction){2, 9, levels, at});
    test = factorial_interaction(&design, nine, 0, 1);
    near("3x3", test.statistic, 83834213.0 / 354813, 1e-12, 0);
    near("df", test.df, 4, 0, 0);
    drop(&design);
}

/* --- least squares in fractions --------------------------------------------------------------- */

/* Weights of a main effect (level), a first level's mean (level 0) or a difference of differences
 * (level of factor, level of other). */
struct weighed {
    const struct fraction *fraction;
    size_t factor, level, other, other_level;
    double weights[16];
};

static const size_t seven_levels[] = {2, 2, 2};
static const size_t seven_at[] = {0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0};
static const struct fraction seven = {3, 7, seven_levels, seven_at};
static const size_t twelve_levels[] = {2, 2, 2, 2};
static const size_t twelve_at[] = {0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0, 0,
                                   0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0,
                                   1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0};
static const struct fraction twelve = {4, 12, twelve_levels, twelve_at};
static const size_t fifteen_levels[] = {3, 3, 2};
static const size_t fifteen_at[] = {0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 2, 1,
                                    1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 2, 0,
                                    2, 0, 0, 2, 0, 1, 2, 1, 0, 2, 1, 1, 2, 2, 1};
static const struct fraction fifteen = {3, 15, fifteen_levels, fifteen_at};
static const size_t five_levels[] = {3, 2};
static const size_t five_at[] = {0, 0, 0, 1, 1, 0, 1, 1, 2, 0};
static const struct fraction five = {2, 5, five_levels, five_at};
static const struct weighed rows[] = {
    {&seven, 0, 1, 0, 0, {0, -1.0 / 2, -1.0 / 2, 0, 0, 1.0 / 2, 1.0 / 2}},
    {&seven, 0, 0, 0, 0, {1.0 / 4, 1.0 / 4, 1.0 / 4, 1.0 / 4, 0, 0, 0}},
    {&seven, 1, 1, 0, 0, {0, -1.0 / 2, 0, 1.0 / 2, -1.0 / 2, 0, 1.0 / 2}},
    {&seven, 1, 0, 0, 0, {1.0 / 4, 1.0 / 4, 0, 0, 1.0 / 4, 1.0 / 4, 0}},
    {&seven, 2, 1, 0, 0, {0, 0, -1.0 / 2, 1.0 / 2, -1.0 / 2, 1.0 / 2, 0}},
    {&seven, 2, 0, 0, 0, {1.0 / 4, 0, 1.0 / 4, 0, 1.0 / 4, 0, 1.0 / 4}},
    {&seven, 0, 1, 1, 1, {1, 0, -1, 0, -1, 0, 1}},
    {&seven, 0, 1, 2, 1, {1, -1, 0, 0, -1, 1, 0}},
    {&seven, 1, 1, 2, 1, {1, -1, -1, 1, 0, 0, 0}},
    {&twelve,
     0,
     1,
     0,
     0,
     {0, 0, -1.0 / 2, -3.0 / 8, -1.0 / 8, -1.0 / 8, 1.0 / 8, -1.0 / 8, 1.0 / 8, 1.0 / 8, 3.0 / 8,
      1.0 / 2}},
    {&twelve,
     0,
     0,
     0,
     0,
     {1.0 / 4, 1.0 / 4, 0, 3.0 / 16, 1.0 / 16, 1.0 / 16, 3.0 / 16, 1.0 / 16, -1.0 / 16, -1.0 / 16,
      1.0 / 16, 0}},
    {&twelve,
     1,
     1,
     0,
     0,
     {0, 0, -1.0 / 2, -1.0 / 8, 1.0 / 8, 1.0 / 8, 3.0 / 8, -3.0 / 8, -1.0 / 8, -1.0 / 8, 1.0 / 8,
      1.0 / 2}},
    {&twelve,
     1,
     0,
     0,
     0,
     {1.0 / 4, 1.0 / 4, 0, 1.0 / 16, -1.0 / 16, -1.0 / 16, 1.0 / 16, 3.0 / 16, 1.0 / 16, 1.0 / 16,
      3.0 / 16, 0}},
    {&twelve,
     2,
     1,
     0,
     0,
     {0, 0, 0, -1.0 / 4, -1.0 / 4, 1.0 / 4, 1.0 / 4, -1.0 / 4, -1.0 / 4, 1.0 / 4, 1.0 / 4, 0}},
    {&twelve,
     2,
     0,
     0,
     0,
     {1.0 / 4, 1.0 / 4, -1.0 / 4, 1.0 / 8, 1.0 / 8, -1.0 / 8, 1.0 / 8, 1.0 / 8, 1.0 / 8, -1.0 / 8,
      1.0 / 8, 1.0 / 4}},
    {&twelve,
     3,
     1,
     0,
     0,
     {0, 0, 0, -1.0 / 4, 1.0 / 4, -1.0 / 4, 1.0 / 4, -1.0 / 4, 1.0 / 4, -1.0 / 4, 1.0 / 4, 0}},
    {&twelve,
     3,
     0,
     0,
     0,
     {1.0 / 4, 1.0 / 4, -1.0 / 4, 1.0 / 8, -1.0 / 8, 1.0 / 8, 1.0 / 8, 1.0 / 8, -1.0 / 8, 1.0 / 8,
      1.0 / 8, 1.0 / 4}},
    {&twelve,
     0,
     1,
     1,
     1,
     {1, 1, -1, -1.0 / 2, -1.0 / 2, -1.0 / 2, 1.0 / 2, -1.0 / 2, -1.0 / 2, -1.0 / 2, 1.0 / 2, 1}},
    {&twelve,
     0,
     1,
     2,
     1,
     {1, 0, -1, 1.0 / 4, -1.0 / 4, -1.0 / 4, 1.0 / 4, -1.0 / 4, -3.0 / 4, 1.0 / 4, 3.0 / 4, 0}},
    {&twelve,
     0,
     1,
     3,
     1,
     {0, 1, -1, 1.0 / 4, -1.0 / 4, -1.0 / 4, 1.0 / 4, -1.0 / 4, 1.0 / 4, -3.0 / 4, 3.0 / 4, 0}},
    {&twelve,
     1,
     1,
     2,
     1,
     {1, 0, -1, -1.0 / 4, -3.0 / 4, 1.0 / 4, 3.0 / 4, 1.0 / 4, -1.0 / 4, -1.0 / 4, 1.0 / 4, 0}},
    {&twelve,
     1,
     1,
     3,
     1,
     {0, 1, -1, -1.0 / 4, 1.0 / 4, -3.0 / 4, 3.0 / 4, 1.0 / 4, -1.0 / 4, -1.0 / 4, 1.0 / 4, 0}},
    {&twelve,
     2,
     1,
     3,
     1,
     {0, 0, 0, 1.0 / 2, -1.0 / 2, -1.0 / 2, 1.0 / 2, 1.0 / 2, -1.0 / 2, -1.0 / 2, 1.0 / 2, 0}},
    {&fifteen,
     0,
     2,
     0,
     0,
     {-1.0 / 4, -1.0 / 6, -1.0 / 4, -1.0 / 6, -1.0 / 6, 0, 0, 0, 0, 0, 1.0 / 4, 1.0 / 6, 1.0 / 4,
      1.0 / 6, 1.0 / 6}},
    {&fifteen,
     0,
     0,
     0,
     0,
     {1.0 / 4, 5.0 / 36, 1.0 / 4, 5.0 / 36, 2.0 / 9, -1.0 / 36, 0, -1.0 / 36, 0, 1.0 / 18, 0,
      -1.0 / 36, 0, -1.0 / 36, 1.0 / 18}},
    {&fifteen,
     1,
     2,
     0,
     0,
     {-1.0 / 12, -1.0 / 4, 1.0 / 12, -1.0 / 12, 1.0 / 3, -1.0 / 4, -1.0 / 12, -1.0 / 12, 1.0 / 12,
      1.0 / 3, -1.0 / 12, -1.0 / 4, 1.0 / 12, -1.0 / 12, 1.0 / 3}},
    {&fifteen,
     1,
     0,
     0,
     0,
     {1.0 / 6, 1.0 / 6, 0, 0, 0, 1.0 / 6, 1.0 / 6, 0, 0, 0, 1.0 / 6, 1.0 / 6, 0, 0, 0}},
    {&fifteen,
     2,
     1,
     0,
     0,
     {-1.0 / 6, 7.0 / 54, -1.0 / 6, 7.0 / 54, 2.0 / 27, -5.0 / 54, 1.0 / 6, -5.0 / 54, 1.0 / 6,
      -4.0 / 27, -1.0 / 6, 7.0 / 54, -1.0 / 6, 7.0 / 54, 2.0 / 27}},
    {&fifteen,
     2,
     0,
     0,
     0,
     {1.0 / 6, -1.0 / 27, 1.0 / 6, -1.0 / 27, 2.0 / 27, 2.0 / 27, 0, 2.0 / 27, 0, 5.0 / 27, 1.0 / 6,
      -1.0 / 27, 1.0 / 6, -1.0 / 27, 2.0 / 27}},
    {&fifteen,
     0,
     2,
     2,
     1,
     {1.0 / 2, -1.0 / 3, 1.0 / 2, -1.0 / 3, -1.0 / 3, 0, 0, 0, 0, 0, -1.0 / 2, 1.0 / 3, -1.0 / 2,
      1.0 / 3, 1.0 / 3}},
    {&five, 0, 2, 0, 0, {-3.0 / 4, -1.0 / 4, -1.0 / 4, 1.0 / 4, 1}},
    {&five, 0, 0, 0, 0, {1.0 / 2, 1.0 / 2, 0, 0, 0}},
    {&five, 1, 1, 0, 0, {-1.0 / 2, 1.0 / 2, -1.0 / 2, 1.0 / 2, 0}},
    {&five, 1, 0, 0, 0, {1.0 / 3, 0, 1.0 / 3, 0, 1.0 / 3}},
};

static const double *row_of(const struct factorial *design, const struct weighed *want)
{
    size_t row = 0;
    if (want->other_level)
        row = design->pairs[want->factor * design->factors + want->other] +
              (want->level - 1) * (design->levels[want->other] - 1) + want->other_level - 1;
    for (size_t f = 0; !want->other_level && f < want->factor; f++)
        row += design->levels[f];
    row += want->other_level ? 0 : want->level;
    assert_true(design->identified[row]);
    return &design->weights[row * design->cells];
}

/* (X'X) y = lambda solved in fractions (Python) over dummy variables of main effects and of the
 * interactions that are identified, weights X y. */
static void test_factorial__weights_of_fractions(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct factorial design = weigh(*rows[i].fraction);
        const double *weights = row_of(&design, &rows[i]);
        for (size_t c = 0; c < design.cells; c++)
            near("weight", weights[c], rows[i].weights[c], 1e-12, 1e-13);
        drop(&design);
    }
}

/* In fractions L1 and L0 may share cells; then the relative error is not that of two samples. The
 * derivative of D/L0 by each cell's mean, taken numerically, is the delta method itself. */
static void test_factorial__relative_errors_count_shared_cells(void **state)
{
    (void)state;
    struct factorial design = weigh(twelve);
    struct effect_mean cells[12];
    for (size_t c = 0; c < 12; c++)
        cells[c] = cell(5 + 0.3 * (double)(c * c % 7), 0.01 + 0.002 * (double)c, 50);
    for (size_t f = 0; f < 4; f++) {
        struct factorial_effect main = factorial_main(&design, cells, f, 1, EFFECT_RELATIVE);
        double square = 0, h = 1e-4;
        for (size_t c = 0; c < 12; c++) {
            cells[c].mean += h;
            double up = factorial_main(&design, cells, f, 1, EFFECT_RELATIVE).effect.estimate;
            cells[c].mean -= 2 * h;
            double down = factorial_main(&design, cells, f, 1, EFFECT_RELATIVE).effect.estimate;
            cells[c].mean += h;
            square += pow((up - down) / (2 * h), 2) * (double)cells[c].variance;
        }
        near("se", main.effect.se, sqrt(square), 1e-7, 0);
        const struct effect_ratio *ratio = &main.effect.ratio;
        long double r = main.effect.estimate;
        long double at_r = ratio->constant - 2 * ratio->linear * r + ratio->square * r * r;
        near("ratio", (double)(sqrtl(at_r) / ratio->base), main.effect.se, 1e-13, 0);
    }
    drop(&design);
}

/* --- what cannot be told apart ---------------------------------------------------------------- */

static void test_factorial__half_fractions_hide_interactions(void **state)
{
    (void)state;
    static const size_t levels[] = {2, 2, 2, 2, 2};
    for (size_t factors = 3; factors <= 5; factors++) {
        size_t at[17 * 5], cells = 0; /* room for one that is not taken */
        struct effect_mean means[17];
        for (size_t bits = 0; bits < (size_t)1 << factors; bits++) {
            size_t ones = 0;
            for (size_t f = 0; f < factors; f++)
                ones += at[cells * factors + f] = bits >> f & 1;
            means[cells] = cell((double)(bits & 1), 0.1, 10);
            cells += ones % 2 == 0;
        }
        assert_int_equal(cells, 1 << (factors - 1));
        struct factorial design = weigh((struct fraction){factors, cells, levels, at});
        for (size_t f = 0; f < factors; f++) {
            struct factorial_effect main = factorial_main(&design, means, f, 1, EFFECT_ABSOLUTE);
            assert_int_equal(main.problem, FACTORIAL_FINE);
            near("main effect", main.effect.estimate, f == 0, 1e-14, 1e-14);
            for (size_t g = f + 1; g < factors; g++) {
                struct factorial_test test = factorial_interaction(&design, means, f, g);
                /* Resolution III and IV hide all two-way interactions, V none. */
                assert_int_equal(test.problem,
                                 factors < 5 ? FACTORIAL_NOT_IDENTIFIED : FACTORIAL_FINE);
            }
        }
        drop(&design);
    }
}

/* Two factors that always change together; a factor that never changes. */
static void test_factorial__twins_and_the_constant(void **state)
{
    (void)state;
    static const size_t levels[] = {2, 2, 2, 1},
                        at[] = {0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0};
    struct factorial design = weigh((struct fraction){4, 4, levels, at});
    struct effect_mean cells[] = {cell(1, 1, 9), cell(2, 1, 9), cell(4, 1, 9), cell(5, 1, 9)};
    for (int scale = EFFECT_RELATIVE; scale <= EFFECT_ABSOLUTE; scale++) {
        for (size_t f = 0; f < 2; f++)
            assert_int_equal(factorial_main(&design, cells, f, 1, (enum effect_scale)scale).problem,
                             FACTORIAL_NOT_IDENTIFIED);
        /* The sum of the twins' effects is known, and with it the mean over both. */
        assert_int_equal(factorial_main(&design, cells, 2, 1, (enum effect_scale)scale).problem,
                         FACTORIAL_FINE);
    }
    near("the third", factorial_main(&design, cells, 2, 1, EFFECT_ABSOLUTE).effect.estimate, 1,
         1e-14, 0);
    for (size_t f = 0; f < 4; f++)
        for (size_t g = f + 1; g < 4; g++)
            assert_int_equal(factorial_interaction(&design, cells, f, g).problem,
                             FACTORIAL_NOT_IDENTIFIED);
    drop(&design);
}

static void test_factorial__cells_without_an_estimate(void **state)
{
    (void)state;
    struct factorial design = weigh(three);
    struct effect_mean cells[6];
    for (size_t c = 0; c < 6; c++)
        cells[c] = cell(0, 1, 9);
    assert_int_equal(factorial_main(&design, cells, 1, 1, EFFECT_RELATIVE).problem,
                     FACTORIAL_REFERENCE_ZERO);
    cells[0].mean = 1; /* 1 and -1: their mean is 0 but for the rounding of the weights */
    cells[1].mean = -1;
    assert_int_equal(factorial_main(&design, cells, 0, 1, EFFECT_RELATIVE).problem,
                     FACTORIAL_REFERENCE_ZERO);
    cells[5] = (struct effect_mean){.problem = EFFECT_CONTROL_EMPTY};
    struct factorial_effect main = factorial_main(&design, cells, 0, 2, EFFECT_ABSOLUTE);
    assert_int_equal(main.problem, FACTORIAL_CELL);
    assert_int_equal(main.cell, 5);
    assert_true(main.effect.estimate == 0 && main.effect.se == 0);
    assert_int_equal(factorial_main(&design, cells, 0, 1, EFFECT_ABSOLUTE).problem, FACTORIAL_FINE);
    struct factorial_test test = factorial_interaction(&design, cells, 0, 1);
    assert_int_equal(test.problem, FACTORIAL_CELL);
    assert_int_equal(test.cell, 5);
    drop(&design);
}

/* --- identities ------------------------------------------------------------------------------- */

static void draw(gsl_rng *rng, struct effect_mean *cells, size_t count)
{
    for (size_t c = 0; c < count; c++)
        cells[c] = cell(gsl_ran_flat(rng, 1, 3), gsl_ran_flat(rng, 0.01, 0.2),
                        floor(gsl_ran_flat(rng, 5, 500)));
}

static void test_factorial__identities(void **state)
{
    (void)state;
    gsl_rng *rng = chance(4711);
    struct factorial design = weigh(two);
    for (int i = 0; i < 500; i++) {
        struct effect_mean m[4], other[4];
        draw(rng, m, 4);
        struct factorial_effect main = factorial_main(&design, m, 0, 1, EFFECT_ABSOLUTE);
        struct factorial_effect relative = factorial_main(&design, m, 0, 1, EFFECT_RELATIVE);
        struct factorial_effect twice = factorial_difference(&design, m, 0, 1, 1, 1);
        struct factorial_test test = factorial_interaction(&design, m, 0, 1);
        double simple = (double)((m[2].mean - m[0].mean) + (m[3].mean - m[1].mean)) / 2;
        near("average of the simple effects", main.effect.estimate, simple, 1e-13, 1e-15);
        near("wald is z^2", test.statistic, pow(twice.effect.estimate / twice.effect.se, 2), 1e-12,
             0);
        /* The first level and the other one exchanged. */
        for (size_t c = 0; c < 4; c++)
            other[c] = m[(c + 2) % 4];
        struct factorial_effect mirror = factorial_main(&design, other, 0, 1, EFFECT_ABSOLUTE);
        near("mirrored", mirror.effect.estimate, -main.effect.estimate, 1e-13, 1e-15);
        near("its se", mirror.effect.se, main.effect.se, 1e-13, 0);
        mirror = factorial_main(&design, other, 0, 1, EFFECT_RELATIVE);
        near("mirrored ratio", (1 + mirror.effect.estimate) * (1 + relative.effect.estimate), 1,
             1e-13, 0);
        /* se of ln(L1/L0) is the same from either side. */
        near("its se", mirror.effect.se / (1 + mirror.effect.estimate),
             relative.effect.se / (1 + relative.effect.estimate), 1e-12, 0);
        near("mirrored test", factorial_interaction(&design, other, 0, 1).statistic, test.statistic,
             1e-11, 0);
        /* Another unit, another origin. */
        for (size_t c = 0; c < 4; c++) {
            other[c] = m[c];
            other[c].mean = 1024 * m[c].mean;
            other[c].variance *= 1048576;
            other[c].welch *= 1048576.0 * 1048576;
        }
        mirror = factorial_main(&design, other, 0, 1, EFFECT_RELATIVE);
        near("unit", mirror.effect.estimate, relative.effect.estimate, 1e-13, 1e-15);
        near("its se", mirror.effect.se, relative.effect.se, 1e-13, 0);
        near("its df", mirror.effect.df, relative.effect.df, 1e-12, 0);
        for (size_t c = 0; c < 4; c++) {
            other[c] = m[c];
            other[c].mean += 0x1p30L;
        }
        mirror = factorial_main(&design, other, 0, 1, EFFECT_ABSOLUTE);
        near("origin", mirror.effect.estimate, main.effect.estimate, 1e-9, 1e-9);
        near("its se", mirror.effect.se, main.effect.se, 0, 0);
        /* A loss that grows is a change to the worse: the direction stays. */
        for (size_t c = 0; c < 4; c++)
            other[c].mean = -m[c].mean;
        mirror = factorial_main(&design, other, 0, 1, EFFECT_RELATIVE);
        near("negative", mirror.effect.estimate, -relative.effect.estimate, 1e-13, 1e-15);
        near("its se", mirror.effect.se, relative.effect.se, 1e-13, 0);
    }
    gsl_rng_free(rng);
    drop(&design);
}

static void same_effect(const struct effect *got, const struct effect *want)
{
    const struct effect_ratio *a = &got->ratio, *b = &want->ratio;
    near("estimate", got->estimate, want->estimate, 1e-13, 0);
    near("se", got->se, want->se, 1e-13, 0);
    near("df", got->df, want->df, 1e-12, 0);
    near("units", got->units, want->units, 0, 0);
    near("base", got->base, want->base, 1e-13, 0);
    near("ratio's difference", (double)a->difference, (double)b->difference, 1e-13, 0);
    near("ratio's base", (double)a->base, (double)b->base, 1e-13, 0);
    near("ratio's constant", (double)a->constant, (double)b->constant, 1e-13, 0);
    near("ratio's linear", (double)a->linear, (double)b->linear, 1e-13, 0);
    near("ratio's square", (double)a->square, (double)b->square, 1e-13, 0);
}

/* One factor: the main effects are the comparisons with the control, one of them negative. */
static void test_factorial__one_factor_is_a_comparison(void **state)
{
    (void)state;
    static const size_t levels[] = {3}, at[] = {0, 1, 2};
    struct factorial design = weigh((struct fraction){1, 3, levels, at});
    struct moments sums[] = {
        moments_of_sums(MOMENTS_MEAN, false, &(struct moments_sums){20, 31, 88, 0, 0, 0}),
        moments_of_sums(MOMENTS_MEAN, false, &(struct moments_sums){30, 60, 200, 0, 0, 0}),
        moments_of_sums(MOMENTS_MEAN, false, &(struct moments_sums){40, -100, 500, 0, 0, 0})};
    double weight = 1;
    for (size_t turn = 0; turn < 3; turn++) {
        struct effect_mean cells[3];
        for (size_t c = 0; c < 3; c++)
            cells[c] = effect_mean_of(&sums[(c + turn) % 3], &weight, 1);
        for (size_t level = 1; level < 3; level++)
            for (int scale = EFFECT_RELATIVE; scale <= EFFECT_ABSOLUTE; scale++) {
                struct effect_pair pair = {sums[turn], sums[(level + turn) % 3]};
                struct effect want = effect_between(&pair, 1, (enum effect_scale)scale);
                struct factorial_effect got =
                    factorial_main(&design, cells, 0, level, (enum effect_scale)scale);
                assert_int_equal(got.problem, FACTORIAL_FINE);
                same_effect(&got.effect, &want);
            }
    }
    drop(&design);
}

/* Full factorials give plain averages, however large. */
static void test_factorial__full_factorials_average(void **state)
{
    (void)state;
    static const size_t shapes[][6] = {{2, 2, 2, 2, 2, 2},
                                       {4, 4, 4, 1, 1, 1},
                                       {8, 8, 1, 1, 1, 1},
                                       {16, 16, 1, 1, 1, 1},
                                       {2, 3, 5, 1, 1, 1}};
    for (size_t s = 0; s < LENGTH(shapes); s++) {
        size_t cells = 1, at[256 * 6];
        for (size_t f = 0; f < 6; f++)
            cells *= shapes[s][f];
        for (size_t c = 0; c < cells; c++)
            for (size_t f = 0, left = c; f < 6; f++, left /= shapes[s][f - 1])
                at[c * 6 + f] = left % shapes[s][f];
        struct factorial design = weigh((struct fraction){6, cells, shapes[s], at});
        for (size_t f = 0, row = 0; f < 6; row += shapes[s][f++])
            for (size_t level = 1; level < shapes[s][f]; level++)
                for (size_t c = 0; c < cells; c++) {
                    size_t here = at[c * 6 + f];
                    double share = (double)shapes[s][f] / (double)cells;
                    near("weight", design.weights[(row + level) * cells + c],
                         here == level ? share
                         : here == 0   ? -share
                                       : 0,
                         1e-11, 0);
                }
        for (size_t f = 0; f < 6; f++)
            for (size_t g = f + 1; g < 6; g++)
                assert_true((design.pairs[f * 6 + g] > 0) ==
                            (shapes[s][f] > 1 && shapes[s][g] > 1));
        drop(&design);
    }
}

/* A level that is known 1e4 or 40 standard errors off, units by the thousand million, and means of
 * 1e6 with a standard deviation of 1. */
static void test_factorial__sizes(void **state)
{
    (void)state;
    struct factorial design = weigh(two);
    static const double zs[] = {0, 1e-9, 40, 1e4, 1e200};
    for (size_t i = 0; i < LENGTH(zs); i++) {
        double n = 1e9, variance = 1 / n, d = zs[i] * sqrt(4 * variance);
        struct effect_mean m[] = {cell(1e6, variance, n), cell(1e6, variance, n),
                                  cell(1e6, variance, n), cell(1e6, variance, n)};
        m[3].mean += (long double)d;
        struct factorial_test test = factorial_interaction(&design, m, 0, 1);
        assert_int_equal(test.problem, FACTORIAL_FINE);
        near("wald", test.statistic, fmin(zs[i] * zs[i], 1.7976931348623157e308), 1e-7, 1e-9);
        near("p", test.p_value, gsl_cdf_chisq_Q(fmin(zs[i] * zs[i], 1e300), 1), 1e-4, 1e-9);
    }
    struct effect_mean wild[] = {cell(1e300, 1e-300, 9), cell(-1e300, 1e300, 9), cell(0, 1e-320, 9),
                                 cell(1, 1, 9)};
    struct factorial_effect main = factorial_main(&design, wild, 0, 1, EFFECT_RELATIVE);
    assert_true(main.problem || (isfinite(main.effect.estimate) && main.effect.se > 0));
    struct factorial_test test = factorial_interaction(&design, wild, 0, 1);
    assert_true(isfinite(test.statistic) && test.p_value >= 0 && test.p_value <= 1);
    drop(&design);
}

/* --- the best cell ---------------------------------------------------------------------------- */

/* By hand as in t_segment: w = 100 each, tau^2 = 0.07. */
static void test_factorial__best_is_the_best_shrunk_cell(void **state)
{
    (void)state;
    struct effect_mean cells[] = {
        cell(0, 0.01, 9), {.problem = EFFECT_CONTROL_EMPTY}, cell(0.4, 0.01, 9)};
    struct segment_effect room[3], shrunk[3];
    assert_int_equal(factorial_best(cells, 3, false, room, shrunk), 2);
    near("shrunk", shrunk[0].estimate, 0.2 / 0.07 / (100 + 1 / 0.07), 1e-13, 0);
    near("its se", shrunk[0].se, 1 / sqrt(100 + 1 / 0.07), 1e-13, 0);
    assert_true(shrunk[1].estimate == 0 && shrunk[1].se == 0);
    assert_int_equal(factorial_best(cells, 3, true, room, shrunk), 0);
    /* The highest mean, by luck: it is drawn so far that a well-known cell is better. */
    struct effect_mean lucky[] = {cell(1, 0.0001, 9), cell(2, 0.0001, 9), cell(2.5, 9, 9)};
    assert_int_equal(factorial_best(lucky, 3, false, room, shrunk), 1);
    /* No more spread than chance makes. */
    struct effect_mean alike[] = {cell(1, 0.5, 9), cell(1.2, 0.5, 9)};
    assert_int_equal(factorial_best(alike, 2, false, room, shrunk), 2);
    near("one value", shrunk[0].estimate, 1.1, 1e-14, 0);
    assert_int_equal(factorial_best(cells, 1, false, room, shrunk), 1);
    assert_int_equal(factorial_best(&cells[1], 1, false, room, shrunk), 1);
}

/* --- error rates ------------------------------------------------------------------------------ */

/* 3x2 with unequal variances and true main effects, no interaction: the level at 5% of 20000
 * studies lies within 4.5 standard deviations, 0.0069, of 0.05. */
static void test_factorial__level_of_the_interaction_test(void **state)
{
    (void)state;
    enum { STUDIES = 20000 };
    static const double means[] = {1, 1.5, 2, 2.5, 1.2, 1.7},
                        variances[] = {0.1, 0.02, 0.05, 0.3, 0.08, 0.01};
    struct factorial design = weigh(three);
    gsl_rng *rng = chance(99);
    int rejected = 0;
    for (int i = 0; i < STUDIES; i++) {
        struct effect_mean m[6];
        for (size_t c = 0; c < 6; c++)
            m[c] = cell(means[c] + gsl_ran_gaussian(rng, sqrt(variances[c])), variances[c], 1000);
        rejected += factorial_interaction(&design, m, 0, 1).p_value <= 0.05;
    }
    double share = (double)rejected / STUDIES, bound = 4.5 * sqrt(0.05 * 0.95 / STUDIES);
    print_message("# rejected %.4f, bound 0.05 +- %.4f\n", share, bound);
    near("level", share, 0.05, 0, bound);
    gsl_rng_free(rng);
    drop(&design);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_factorial__two_by_two_by_hand),
        cmocka_unit_test(test_factorial__wald_in_fractions),
        cmocka_unit_test(test_factorial__weights_of_fractions),
        cmocka_unit_test(test_factorial__relative_errors_count_shared_cells),
        cmocka_unit_test(test_factorial__half_fractions_hide_interactions),
        cmocka_unit_test(test_factorial__twins_and_the_constant),
        cmocka_unit_test(test_factorial__cells_without_an_estimate),
        cmocka_unit_test(test_factorial__identities),
        cmocka_unit_test(test_factorial__one_factor_is_a_comparison),
        cmocka_unit_test(test_factorial__full_factorials_average),
        cmocka_unit_test(test_factorial__sizes),
        cmocka_unit_test(test_factorial__best_is_the_best_shrunk_cell),
        cmocka_unit_test(test_factorial__level_of_the_interaction_test),
    };
    return run_all(tests);
}
