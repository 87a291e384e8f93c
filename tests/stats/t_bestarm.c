/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bestarm: closed forms, figures of a plain sum, identities, and a simulation. */
#include "tests/stats/near.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <string.h>

#include "stats/bestarm.h"

static void best(const struct bestarm_arm *arms, size_t count, bool decrease, struct bestarm *out)
{
    double probability = 0, top_two = 0;
    assert_true(bestarm_of(arms, count, decrease, out));
    for (size_t i = 0; i < count; i++) {
        assert_true(out[i].probability >= 0 && out[i].probability <= 1);
        assert_true(out[i].top_two >= 0 && out[i].top_two <= 1);
        probability += out[i].probability;
        top_two += out[i].top_two;
    }
    near("sum of probabilities", probability, 1, 1e-9, 0);
    near("sum of top two", top_two, 1, 1e-9, 0);
}

/* P(X_1 > X_0) = Phi(d / sqrt(s_0^2 + s_1^2)); both tails keep their digits. */
static void test_bestarm__two_arms_are_a_normal_tail(void **state)
{
    (void)state;
    static const double ratios[] = {1, 1e-3, 1e3, 1e-7, 1e7, 1e-14, 1e14, 1e-200};
    static const double zs[] = {0, 0.1, 1, 1.96, 5, 10, 20, 30, 37};
    for (size_t r = 0; r < sizeof ratios / sizeof ratios[0]; r++)
        for (size_t i = 0; i < sizeof zs / sizeof zs[0]; i++) {
            double s = ratios[r], d = zs[i] * sqrt(1 + s * s);
            struct bestarm_arm arms[] = {{0, 1}, {d, s}};
            struct bestarm out[2];
            best(arms, 2, false, out);
            near("the worse arm", out[0].probability, gsl_cdf_ugaussian_Q(zs[i]), 1e-9, 0);
            near("the better arm", out[1].probability, gsl_cdf_ugaussian_P(zs[i]), 1e-9, 0);
            near("top two of two", out[0].top_two, 0.5, 1e-9, 0);
            best(arms, 2, true, out);
            near("mirrored", out[0].probability, gsl_cdf_ugaussian_P(zs[i]), 1e-9, 0);
        }
}

static void test_bestarm__equal_arms_share_equally(void **state)
{
    (void)state;
    struct bestarm_arm arms[BESTARM_ARMS_MAX];
    struct bestarm out[BESTARM_ARMS_MAX];
    for (size_t i = 0; i < BESTARM_ARMS_MAX; i++)
        arms[i] = (struct bestarm_arm){-1e6, 1e-3};
    for (size_t count = 1; count <= BESTARM_ARMS_MAX; count = count < 8 ? count + 1 : 2 * count) {
        best(arms, count, count % 2, out);
        for (size_t i = 0; i < count; i++) {
            near("probability", out[i].probability, 1 / (double)count, 1e-9, 0);
            near("top two", out[i].top_two, 1 / (double)count, 1e-9, 0);
        }
    }
}

/* Trapezoid sums of the definition with step 1e-3 over -40 to 40 and erfc, in Python with
 * math.fsum; for such integrands that is exact to rounding. */
static void test_bestarm__gives_the_figures_of_a_plain_sum(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        struct bestarm_arm arms[4];
        double probability[4], top_two[4];
    } cases[] = {
        {3,
         {{0, 1}, {1, 1}, {2, 1}},
         {0.047150679919088445, 0.22409830478044243, 0.7287510153004692},
         {0.09372312294233665, 0.4186306056089843, 0.48764627144867917}},
        {4,
         {{0.1, 0.02}, {0.12, 0.03}, {0.11, 0.01}, {0.05, 0.02}},
         {0.1618651185865674, 0.5657836709682427, 0.2716618749123101, 0.0006893355328799686},
         {0.21663040222790703, 0.44323602293009856, 0.33914468387059066, 0.00098889097140387}},
        {3,
         {{0, 1}, {10, 2}, {3, 0.5}},
         {7.303228039570149e-07, 0.9996570863476394, 0.0003421833295567651},
         {0.001064878701466354, 0.4999999997500529, 0.4989351215484808}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct bestarm out[4];
        best(cases[c].arms, cases[c].count, false, out);
        for (size_t i = 0; i < cases[c].count; i++) {
            near("probability", out[i].probability, cases[c].probability[i], 1e-10, 0);
            near("top two", out[i].top_two, cases[c].top_two[i], 1e-10, 0);
        }
    }
}

/* Where the leader is sure, rivals share a half by their odds among themselves, which are those of
 * tails that no double holds: two at distances z and z + delta have the ratio exp(z delta). */
static void test_bestarm__has_the_limit_of_a_sure_leader(void **state)
{
    (void)state;
    struct bestarm out[3];
    for (double far = 10; far < 1e5; far *= 10) {
        struct bestarm_arm arms[] = {{0, 1e-9}, {-far, 1}, {-far - 1 / far, 1}};
        best(arms, 3, false, out);
        near("leader", out[0].top_two, 0.5, 1e-12, 0);
        double tail = far, odds;
        /* Mills: Q(z) = phi(z)/z (1 - 1/z^2 + ...); 1% for z = 10. */
        odds = exp(-(tail * (1 / far) + 0.5 / far / far));
        near("odds", out[2].top_two / out[1].top_two, odds, far < 50 ? 0.02 : 1e-3, 0);
    }
    struct bestarm_arm sure[] = {{1e300, 1e-300}, {0, 1}, {-1e300, 1e-300}};
    best(sure, 3, false, out);
    assert_true(out[1].probability == 0 && out[2].probability == 0);
    near("one half", out[0].top_two, 0.5, 1e-15, 0);
    near("the rest evenly", out[1].top_two, 0.25, 1e-15, 0);
}

static void test_bestarm__units_and_place_do_not_matter(void **state)
{
    (void)state;
    static const struct bestarm_arm arms[] = {{1, 0.5}, {2, 0.25}, {1.5, 2}, {1.75, 0.125}};
    static const double scales[] = {0x1p-900, 0x1p-20, 0x1p20, 0x1p900};
    struct bestarm want[4], got[4];
    best(arms, 4, false, want);
    for (size_t s = 0; s < 4; s++) {
        struct bestarm_arm other[4];
        for (size_t i = 0; i < 4; i++)
            other[3 - i] =
                (struct bestarm_arm){(arms[i].mean + 1024) * scales[s], arms[i].se * scales[s]};
        best(other, 4, false, got);
        for (size_t i = 0; i < 4; i++) {
            near("probability", got[3 - i].probability, want[i].probability, 1e-10, 0);
            near("top two", got[3 - i].top_two, want[i].top_two, 1e-10, 0);
            other[i].mean = -other[i].mean;
        }
        best(other, 4, true, got);
        for (size_t i = 0; i < 4; i++)
            near("mirrored", got[3 - i].probability, want[i].probability, 1e-10, 0);
    }
}

/* Arms known ten thousand million times better than others: to the others they are points. */
static void test_bestarm__very_different_errors(void **state)
{
    (void)state;
    struct bestarm_arm arms[] = {{0, 1}, {0.5, 1e-10}, {0.25, 1e-200}, {0.5, 1e-10}};
    struct bestarm out[4];
    best(arms, 4, false, out);
    near("the wide one", out[0].probability, gsl_cdf_ugaussian_Q(0.5), 1e-9, 0);
    near("a sharp one", out[1].probability, gsl_cdf_ugaussian_P(0.5) / 2, 1e-9, 0);
    near("the other", out[3].probability, gsl_cdf_ugaussian_P(0.5) / 2, 1e-9, 0);
    assert_true(out[2].probability == 0);
    for (unsigned int i = 0; i < 3000; i++) {
        unsigned int dice = i * 2654435761u;
        for (unsigned int j = 0; j < 4; j++) {
            double mean = (double)(int)(dice >> (4 * j) & 15) - 8;
            arms[j] = (struct bestarm_arm){mean, pow(10, -(double)(dice >> (5 * j + 7) & 15))};
        }
        best(arms, 4, i % 2, out);
    }
}

static void test_bestarm__agrees_with_draws(void **state)
{
    (void)state;
    enum { ARMS = 5, DRAWS = 400000 };
    static const struct bestarm_arm arms[ARMS] = {
        {0.1, 0.01}, {0.12, 0.02}, {0.09, 0.03}, {0.11, 0.005}, {0.13, 0.04}};
    struct bestarm out[ARMS];
    int wins[ARMS] = {0};
    gsl_rng *rng = chance(20260728);
    best(arms, ARMS, false, out);
    for (int d = 0; d < DRAWS; d++) {
        int winner = 0;
        double most = -HUGE_VAL;
        for (int i = 0; i < ARMS; i++) {
            double x = arms[i].mean + gsl_ran_gaussian(rng, arms[i].se);
            if (x > most) {
                most = x;
                winner = i;
            }
        }
        wins[winner]++;
    }
    gsl_rng_free(rng);
    for (int i = 0; i < ARMS; i++) {
        double p = out[i].probability, bound = 4.5 * sqrt(p * (1 - p) / DRAWS);
        print_message("# arm %d: %.5f, drawn %.5f, bound %.5f\n", i, p, (double)wins[i] / DRAWS,
                      bound);
        near("drawn", (double)wins[i] / DRAWS, p, 0, bound);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bestarm__two_arms_are_a_normal_tail),
        cmocka_unit_test(test_bestarm__equal_arms_share_equally),
        cmocka_unit_test(test_bestarm__gives_the_figures_of_a_plain_sum),
        cmocka_unit_test(test_bestarm__has_the_limit_of_a_sure_leader),
        cmocka_unit_test(test_bestarm__units_and_place_do_not_matter),
        cmocka_unit_test(test_bestarm__very_different_errors),
        cmocka_unit_test(test_bestarm__agrees_with_draws),
    };
    return run_all(tests);
}
