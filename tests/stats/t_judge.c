/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Judge: what is claimed at a look is what the method's own test says of it; short cuts change
 * nothing. */
#include "tests/stats/near.h"

#include "stats/bayes.h"
#include "stats/exact.h"
#include "stats/fixed.h"
#include "stats/group.h"
#include "stats/judge.h"
#include "stats/msprt.h"
#include "stats/sequential.h"

/* A pair whose effect lies near what is just found. */
static struct simulate_look some_look(const struct population *control, gsl_rng *rng)
{
    double n = floor(exp(3 + 6 * gsl_rng_uniform(rng)));
    double sd = sqrt(2 * control->variance / n), limit = HUGE_VAL;
    double effect = sd * 14 * (gsl_rng_uniform(rng) - 0.5);
    struct population treatment = *control;
    population_room(control, EFFECT_ABSOLUTE, effect, &limit);
    population_shift(control, EFFECT_ABSOLUTE, fabs(effect) < limit ? effect : 0, &treatment);
    return (struct simulate_look){
        .number = 1,
        .looks = 2,
        .share = 0.5,
        .pair = {population_draw(control, n, rng), population_draw(&treatment, n + 7, rng)},
    };
}

static int side_of(double estimate, bool claimed)
{
    return claimed ? (estimate > 0) - (estimate < 0) : 0;
}

static void test_judge__says_what_the_exact_test_says(void **state)
{
    (void)state;
    const struct population all[] = {population_of_rate(MOMENTS_BINARY, 0.1),
                                     population_of_rate(MOMENTS_CSAT, 0.7),
                                     population_of_nps(0.5, 0.2), population_of_nps(0.05, 0.02)};
    const struct judge judge = {.scale = EFFECT_ABSOLUTE, .alpha = 0.2};
    gsl_rng *rng = chance(41);
    int claims = 0;
    for (int i = 0; i < 4000; i++) {
        struct simulate_look look = some_look(&all[i % 4], rng);
        struct exact exact = exact_test(&look.pair, 1, judge.alpha);
        struct simulate_claim claim = judge_exact(&judge, NULL, &look);
        assert_int_equal(claim.side,
                         side_of(exact.estimate, exact.inference.p_value <= judge.alpha));
        near("estimate", claim.estimate, exact.estimate, 1e-12, 1e-12);
        claims += claim.side != 0;
    }
    print_message("# %d claims of 4000\n", claims);
    assert_true(claims > 200 && claims < 3800);
    gsl_rng_free(rng);
}

static void test_judge__says_what_the_tests_say(void **state)
{
    (void)state;
    static const double critical[] = {2.2};
    const struct population all[] = {population_of_rate(MOMENTS_BINARY, 0.1),
                                     population_of_mean(20, 3), population_of_nps(0.5, 0.2)};
    gsl_rng *rng = chance(42);
    int claims = 0, looked = 0;
    for (int i = 0; i < 6000; i++) {
        struct simulate_look look = some_look(&all[i % 3], rng);
        struct effect e = effect_between(&look.pair, 1, EFFECT_RELATIVE);
        if (e.problem)
            continue;
        looked++;
        struct judge judge = {.alpha = 0.05,
                              .tuning = 500,
                              .mixture_variance = 0.01,
                              .critical = critical,
                              .sides = (enum sides)(i / 3 % 3)};
        double p = fixed_test(e.estimate, e.se, e.df, 0.05, judge.sides).p_value;
        int side = judge_fixed(&judge, NULL, &look).side;
        assert_int_equal(side, side_of(e.estimate, p <= 0.05));
        claims += side != 0;
        p = sequential_test(e.estimate, e.se, e.units, 0.05, 500, judge.sides).p_value;
        assert_int_equal(judge_sequential(&judge, NULL, &look).side,
                         side_of(e.estimate, p <= 0.05));
        assert_int_equal(judge_group(&judge, NULL, &look).side,
                         side_of(e.estimate, group_crosses(e.estimate, e.se, 2.2, judge.sides)));
        p = msprt_test(e.estimate, e.se, 0.01, 0.05).p_value;
        assert_int_equal(judge_msprt(&judge, NULL, &look).side, side_of(e.estimate, p <= 0.05));
        struct prior flat = {.proper = false};
        struct interval range = bayes_posterior(e.estimate, e.se, &flat, 0.05, false).interval;
        assert_int_equal(judge_bayesian(&judge, NULL, &look).side,
                         side_of(e.estimate, range.low > 0 || range.high < 0));
    }
    print_message("# fixed claimed %d of %d\n", claims, looked);
    assert_true(claims > 500 && looked - claims > 500);
    gsl_rng_free(rng);
}

static void test_judge__claims_nothing_where_there_is_no_estimate(void **state)
{
    (void)state;
    static const double critical[] = {0};
    simulate_judge *const judges[] = {judge_sequential, judge_msprt, judge_exact,
                                      judge_fixed,      judge_group, judge_bayesian};
    const struct judge judge = {.scale = EFFECT_ABSOLUTE,
                                .alpha = 0.05,
                                .tuning = 500,
                                .mixture_variance = 0.01,
                                .critical = critical};
    const struct simulate_look empty = {
        .number = 1,
        .looks = 1,
        .share = 1,
        .pair = {moments_empty(MOMENTS_BINARY, false), moments_empty(MOMENTS_BINARY, false)}};
    for (size_t i = 0; i < 6; i++) {
        struct simulate_claim claim = judges[i](&judge, NULL, &empty);
        assert_true(claim.side == 0 && !claim.has_estimate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge__says_what_the_exact_test_says),
        cmocka_unit_test(test_judge__says_what_the_tests_say),
        cmocka_unit_test(test_judge__claims_nothing_where_there_is_no_estimate),
    };
    return run_all(tests);
}
