/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Population: what moves under an effect, how far it can move, and draws that have the moments they
 * are said to have. */
#include "tests/stats/near.h"

#include "stats/population.h"

static void test_population__has_the_variance_of_its_kind(void **state)
{
    (void)state;
    near("rate", population_of_rate(MOMENTS_BINARY, 0.1).variance, 0.09, 1e-15, 0);
    near("mean", population_of_mean(1e6, 3).variance, 9, 0, 0);
    /* 100 (0.5 - 0.2) = 30; 10^4 (0.7 - 0.09) */
    struct population nps = population_of_nps(0.5, 0.2);
    near("nps mean", nps.mean, 30, 1e-14, 0);
    near("nps variance", nps.variance, 6100, 1e-14, 0);
    near("passives", nps.shares[1], 0.3, 1e-14, 0);
}

static void test_population__moves_under_an_effect(void **state)
{
    (void)state;
    struct population to, rate = population_of_rate(MOMENTS_CSAT, 0.2),
                          mean = population_of_mean(-50, 4), nps = population_of_nps(0.5, 0.2);
    assert_true(population_shift(&rate, EFFECT_RELATIVE, 0.1, &to));
    near("rate", to.mean, 0.22, 1e-14, 0);
    near("its variance", to.variance, 0.22 * 0.78, 1e-14, 0);
    /* Relative to |mean|: better is upward, whatever the sign. */
    assert_true(population_shift(&mean, EFFECT_RELATIVE, 0.1, &to));
    near("mean", to.mean, -45, 1e-14, 0);
    near("its variance", to.variance, 16, 0, 0);
    /* 10 points: 5 hundredths of all become promoters, as many stop being detractors. */
    assert_true(population_shift(&nps, EFFECT_ABSOLUTE, 10, &to));
    near("promoters", to.shares[0], 0.55, 1e-14, 0);
    near("passives", to.shares[1], 0.3, 1e-14, 0);
    near("detractors", to.shares[2], 0.15, 1e-14, 0);
    near("score", to.mean, 40, 1e-14, 0);
    assert_true(population_shift(&nps, EFFECT_RELATIVE, 0, &to));
    near("no effect", to.variance, nps.variance, 0, 0);
}

static void test_population__has_no_room_beyond_its_shares(void **state)
{
    (void)state;
    struct population to, rate = population_of_rate(MOMENTS_BINARY, 0.25),
                          nps = population_of_nps(0.5, 0.2), zero = population_of_mean(0, 1),
                          sure = population_of_rate(MOMENTS_BINARY, 1),
                          same = population_of_mean(5, 0);
    double limit = 0;
    assert_true(population_room(&rate, EFFECT_RELATIVE, 1, &limit));
    near("up to a rate of 1", limit, 3, 1e-15, 0);
    assert_true(population_room(&nps, EFFECT_ABSOLUTE, 1, &limit));
    near("until no detractor is left", limit, 40, 1e-13, 0);
    assert_true(population_room(&nps, EFFECT_ABSOLUTE, -1, &limit));
    near("until no promoter is left", limit, 100, 1e-13, 0);
    assert_false(population_shift(&rate, EFFECT_RELATIVE, 3, &to));
    assert_false(population_shift(&rate, EFFECT_ABSOLUTE, -0.25, &to));
    assert_false(population_shift(&nps, EFFECT_ABSOLUTE, 41, &to));
    assert_false(population_shift(&zero, EFFECT_RELATIVE, 0.1, &to));
    assert_false(population_shift(&sure, EFFECT_ABSOLUTE, 0, &to));
    assert_false(population_shift(&same, EFFECT_ABSOLUTE, 1, &to));
    assert_false(population_shift(&zero, EFFECT_ABSOLUTE, HUGE_VAL, &to));
}

/* What is expected of n customers has the population's mean and variance for the analysis too. */
static void test_population__expects_its_own_moments(void **state)
{
    (void)state;
    const struct population all[] = {population_of_rate(MOMENTS_BINARY, 0.3),
                                     population_of_rate(MOMENTS_CSAT, 0.3),
                                     population_of_mean(1e6, 1), population_of_nps(0.4, 0.35)};
    for (size_t i = 0; i < 4; i++)
        for (double n = 2; n < 1e13; n *= 7.3) {
            struct moments arm = population_expected(&all[i], n);
            long double mean = 0, variance = 0;
            assert_true(moments_mean(&arm, &mean) && moments_variance(&arm, &variance));
            near("mean", (double)mean, all[i].mean, 1e-15, 0);
            near("variance", (double)variance, all[i].variance, 1e-12, 0);
        }
}

/* 20,000 draws of n each: their mean and their variance of one customer lie within five standard
 * errors (the variance of a draw's variance taken from the draws). */
static void draws_are_fair(const struct population *from, double n, gsl_rng *rng)
{
    enum { DRAWS = 20000 };
    double sum = 0, variances = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        struct moments arm = population_draw(from, n, rng);
        long double mean = 0, variance = 0;
        assert_true(arm.n == n && moments_mean(&arm, &mean));
        assert_true(moments_variance(&arm, &variance));
        sum += (double)mean;
        variances += (double)variance;
        squares += (double)(variance * variance);
    }
    bool by_n = from->kind == MOMENTS_BINARY || from->kind == MOMENTS_CSAT;
    double want = by_n ? from->variance * (n - 1) / n : from->variance, got = variances / DRAWS;
    near("mean", sum / DRAWS, from->mean, 0, 5 * sqrt(from->variance / n / DRAWS));
    near("variance", got, want, 0, 5 * sqrt((squares / DRAWS - got * got) / DRAWS));
}

static void test_population__draws_have_its_moments(void **state)
{
    (void)state;
    const struct population all[] = {population_of_rate(MOMENTS_BINARY, 0.03),
                                     population_of_rate(MOMENTS_CSAT, 0.7),
                                     population_of_mean(1e6, 1), population_of_nps(0.4, 0.35)};
    gsl_rng *rng = chance(20261130);
    for (size_t i = 0; i < 4; i++) {
        draws_are_fair(&all[i], 2, rng);
        draws_are_fair(&all[i], 50, rng);
        draws_are_fair(&all[i], 100000, rng);
        struct moments none = population_draw(&all[i], 0, rng);
        assert_true(none.n == 0 && none.kind == all[i].kind);
        struct moments one = population_draw(&all[i], 1, rng);
        assert_true(one.n == 1 && one.yy == 0);
        struct moments most = population_draw(&all[i], 4294967295.0, rng);
        near("mean of all", (double)most.y, all[i].mean, 0, 6 * sqrt(all[i].variance / 4.2e9));
    }
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_population__has_the_variance_of_its_kind),
        cmocka_unit_test(test_population__moves_under_an_effect),
        cmocka_unit_test(test_population__has_no_room_beyond_its_shares),
        cmocka_unit_test(test_population__expects_its_own_moments),
        cmocka_unit_test(test_population__draws_have_its_moments),
    };
    return run_all(tests);
}
