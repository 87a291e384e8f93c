/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Response: who answers, and what is left of an effect once that is taken into account. Bounds are
 * held against sorted lists of scores, tests against tables worked out by hand, and limits and
 * levels against populations whose truth is known. */
#include "tests/stats/near.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/response.h"
#include "stats/srm.h"

/* --- who answered --- */

/* By hand: p = 0.21, X = 2 * 81 / (100 * 0.21 * 0.79), and P(X) = erfc(sqrt(X/2)). */
static void test_response__rates_of_two_arms(void **state)
{
    (void)state;
    const double answered[] = {12, 30}, asked[] = {100, 100};
    struct response_test test = response_rates(answered, asked, 2);
    near("X", test.statistic, 162 / 16.59, 1e-14, 0);
    assert_true(test.df == 1);
    near("p", test.p_value, erfc(sqrt(162 / 16.59 / 2)), 1e-12, 0);
}

/* By hand: p = 60/400 = 0.15; off by -5, 10 and -5 of 100, 200 and 100 asked; X =
 * (25/100 + 100/200 + 25/100) / (0.15 * 0.85) = 400/51, p = exp(-X/2) with 2 degrees. */
static void test_response__rates_of_three_arms(void **state)
{
    (void)state;
    const double answered[] = {10, 40, 10, 0}, asked[] = {100, 200, 100, 0};
    struct response_test test = response_rates(answered, asked, 4);
    near("X", test.statistic, 400.0 / 51, 1e-14, 0);
    assert_true(test.df == 2);
    near("p", test.p_value, exp(-200.0 / 51), 1e-12, 0);
}

static void test_response__nobody_everybody_and_one_group_are_alike(void **state)
{
    (void)state;
    const double none[] = {0, 0}, all[] = {7, 1e9}, asked[] = {7, 1e9};
    struct response_test test = response_rates(none, asked, 2);
    assert_true(test.statistic == 0 && test.df == 1 && test.p_value == 1);
    test = response_rates(all, asked, 2);
    assert_true(test.statistic == 0 && test.df == 1 && test.p_value == 1);
    test = response_rates(none, none, 2);
    assert_true(test.statistic == 0 && test.df == 0 && test.p_value == 1);
    test = response_rates(all, asked, 1);
    assert_true(test.statistic == 0 && test.df == 0 && test.p_value == 1);
    assert_true(response_sequential(none, none, 2) == 1);
    assert_true(response_sequential(none, asked, 2) == 1);
}

/* Rates that differ by a millionth at 1e9 asked: by hand X = 2 (500)^2 / (1e9 p (1 - p)), with
 * p = 0.1000005. */
static void test_response__rates_keep_their_digits(void **state)
{
    (void)state;
    const double answered[] = {100000000, 100001000}, asked[] = {1e9, 1e9};
    struct response_test test = response_rates(answered, asked, 2);
    near("X", test.statistic, 2 * 250000 / (1e9 * 0.1000005 * 0.8999995), 1e-12, 0);
    const double huge[] = {9007199254740992.0, 0},
                 most[] = {9007199254740992.0, 9007199254740992.0};
    test = response_rates(huge, most, 2);
    near("X", test.statistic, 2 * most[0], 1e-12, 0);
    assert_true(test.p_value == 0);
}

/* The test that is valid at every look is that of the split, of answers against who was asked. */
static void test_response__sequential_is_the_split_of_answers(void **state)
{
    (void)state;
    const double answered[] = {1000, 1500}, asked[] = {10000, 10100};
    struct srm srm = srm_test_at(answered, asked, 2, RESPONSE_CONCENTRATION);
    near("p", response_sequential(answered, asked, 2), srm_sequential_p_value(&srm), 0, 0);
    const double few[] = {120, 250}, all[] = {2000, 2000};
    assert_true(response_sequential(few, all, 2) < SRM_ALARM);
}

/* 2,000 pairs of arms that answer alike, 12 in 100, looked at after every 50 customers of 4,000: at
 * most 5 in 100 ever see a p of 0.05, but for four standard deviations. */
static void test_response__sequential_keeps_its_level_under_peeking(void **state)
{
    (void)state;
    enum { RUNS = 2000, LOOKS = 80, EACH = 25 };
    gsl_rng *rng = chance(99);
    int rejected = 0;
    for (int run = 0; run < RUNS; run++) {
        double answered[2] = {0}, asked[2] = {0}, least = 1;
        for (int look = 0; look < LOOKS; look++) {
            for (int arm = 0; arm < 2; arm++) {
                answered[arm] += gsl_ran_binomial(rng, 0.12, EACH);
                asked[arm] += EACH;
            }
            least = fmin(least, response_sequential(answered, asked, 2));
        }
        rejected += least <= 0.05;
    }
    gsl_rng_free(rng);
    print_message("# %d of %d rejected at 0.05\n", rejected, RUNS);
    assert_true(rejected <= RUNS * (0.05 + 4 * sqrt(0.05 * 0.95 / RUNS)));
}

/* By hand, two strata: Q = (d_1 - d_2)^2 / (s_1^2 + s_2^2). */
static void test_response__composition_by_hand(void **state)
{
    (void)state;
    const struct response_stratum strata[] = {
        {1000, 200, 1000, 50}, {0, 0, 10, 3}, {1000, 50, 1000, 200}};
    struct segment_effect work[3];
    struct response_test test = response_composition(strata, 3, work);
    double d = log(50.5 / 200.5), s = 1 / 200.5 + 1 / 50.5 - 2 / 1000.5;
    near("Q", test.statistic, 4 * d * d / (2 * s), 1e-12, 0);
    assert_true(test.df == 1);
    near("p", test.p_value, erfc(sqrt(test.statistic / 2)), 1e-9, 0);
}

/* Strata that answer unlike, but alike in both arms, and arms that answer unlike, but alike in all
 * strata, leave the composition of respondents as it is. */
static void test_response__composition_is_that_of_strata_within_arms(void **state)
{
    (void)state;
    const struct response_stratum strata[] = {{1e6, 2e5, 5e5, 5e4}, {1e6, 4e4, 5e5, 1e4}};
    struct segment_effect work[2];
    struct response_test test = response_composition(strata, 2, work);
    near("Q", test.statistic, 0, 0, 1e-5);
    test = response_composition(strata, 1, work);
    assert_true(test.df == 0 && test.statistic == 0 && test.p_value == 1);
    const struct response_stratum full[] = {{5, 5, 9, 9}, {100, 100, 1e9, 1e9}};
    test = response_composition(full, 2, work);
    assert_true(isfinite(test.statistic) && test.p_value > 0.9);
}

/* 4,000 pairs of arms whose respondents are alike: rates differ between strata by up to 9 times,
 * and between the arms by 1.5. The level is at most 0.05 but for four standard deviations. */
static void test_response__composition_keeps_its_level(void **state)
{
    (void)state;
    enum { RUNS = 4000, STRATA = 6 };
    static const double rates[STRATA] = {0.05, 0.45, 0.2, 0.1, 0.3, 0.02};
    static const unsigned exposed[STRATA] = {2000, 500, 800, 300, 100, 60};
    gsl_rng *rng = chance(20261125);
    int rejected = 0;
    for (int run = 0; run < RUNS; run++) {
        struct response_stratum strata[STRATA];
        struct segment_effect work[STRATA];
        for (int k = 0; k < STRATA; k++)
            strata[k] = (struct response_stratum){
                exposed[k], gsl_ran_binomial(rng, rates[k], exposed[k]), exposed[k],
                gsl_ran_binomial(rng, 1.5 * rates[k], exposed[k])};
        rejected += response_composition(strata, STRATA, work).p_value <= 0.05;
    }
    gsl_rng_free(rng);
    print_message("# %d of %d rejected at 0.05\n", rejected, RUNS);
    assert_true(rejected < RUNS * (0.05 + 4 * sqrt(0.05 * 0.95 / RUNS)));
    assert_true(rejected > RUNS * 0.02);
}

/* --- the post-stratified effect --- */

static struct moments csat(double low, double high)
{
    const double scores[5] = {low, 0, 0, 0, high};
    return moments_of_csat(scores);
}

/* Strata of shares 0.75 and 0.25: D = 0.75 (0.4 - 0.5) + 0.25 (0.9 - 0.8), v = m (1 - m). */
static void test_response__post_stratified_by_hand(void **state)
{
    (void)state;
    struct effect_pair answers[] = {{csat(50, 50), csat(30, 20)}, {csat(4, 16), csat(20, 180)}};
    double exposed[] = {3000, 1000}, naive = 0;
    struct effect_pair all = {csat(54, 66), csat(50, 200)};
    assert_int_equal(response_naive(&all, &naive), EFFECT_FINE);
    near("naive", naive, 0.8 - 0.55, 1e-14, 0);
    struct response_corrected corrected = response_post_stratify(answers, exposed, 2);
    assert_int_equal(corrected.effect.problem, EFFECT_FINE);
    assert_true(corrected.strata == 2 && corrected.merged == 0);
    near("effect", corrected.effect.estimate, -0.05, 1e-14, 0);
    near("se^2", corrected.effect.se * corrected.effect.se,
         0.5625 * (0.25 / 100 + 0.24 / 50) + 0.0625 * (0.16 / 20 + 0.09 / 200), 1e-13, 0);
    assert_true(!response_agrees(naive, corrected.effect.estimate));
}

/* Where strata are exposed as they answer, it is the stratified effect. */
static void test_response__post_stratified_is_stratified_where_shares_agree(void **state)
{
    (void)state;
    gsl_rng *rng = chance(7);
    for (int run = 0; run < 200; run++) {
        struct effect_pair answers[5];
        double exposed[5];
        for (int k = 0; k < 5; k++) {
            answers[k].control = moments_of_nps((double)gsl_rng_uniform_int(rng, 50) + 1,
                                                (double)gsl_rng_uniform_int(rng, 50) + 1, 3);
            answers[k].treatment = moments_of_nps((double)gsl_rng_uniform_int(rng, 50) + 1, 2,
                                                  (double)gsl_rng_uniform_int(rng, 50) + 1);
            exposed[k] = 17 * (double)(answers[k].control.n + answers[k].treatment.n);
        }
        struct effect want = effect_between(answers, 5, EFFECT_ABSOLUTE);
        struct effect got = response_post_stratify(answers, exposed, 5).effect;
        near("effect", got.estimate, want.estimate, 1e-12, 1e-12);
        near("se", got.se, want.se, 1e-13, 0);
        near("df", got.df, want.df, 1e-12, 0);
        assert_true(got.units == want.units);
    }
    gsl_rng_free(rng);
}

/* The second stratum has one answer in an arm, the third none in either, the fourth nobody at all:
 * the first three become one of all their exposed. */
static void test_response__strata_without_answers_are_merged(void **state)
{
    (void)state;
    struct effect_pair answers[] = {{csat(5, 5), csat(5, 15)},
                                    {csat(1, 0), csat(2, 2)},
                                    {csat(0, 0), csat(0, 0)},
                                    {csat(0, 0), csat(0, 0)},
                                    {csat(10, 10), csat(10, 10)}};
    double exposed[] = {100, 50, 50, 0, 200};
    struct response_corrected corrected = response_post_stratify(answers, exposed, 5);
    assert_int_equal(corrected.effect.problem, EFFECT_FINE);
    assert_true(corrected.strata == 2 && corrected.merged == 2);
    near("effect", corrected.effect.estimate, 0.5 * (17.0 / 24 - 5.0 / 11), 1e-14, 0);
}

static void test_response__nothing_left_has_a_reason(void **state)
{
    (void)state;
    struct effect_pair answers[] = {{csat(0, 0), csat(3, 3)}, {csat(0, 0), csat(5, 5)}};
    double exposed[] = {10, 20}, naive;
    struct response_corrected corrected = response_post_stratify(answers, exposed, 2);
    assert_int_equal(corrected.effect.problem, EFFECT_CONTROL_EMPTY);
    assert_true(corrected.effect.estimate == 0 && corrected.strata == 1);
    struct effect_pair nobody = {csat(0, 0), csat(0, 0)}, one = {csat(1, 1), csat(0, 0)};
    double none = 0;
    assert_int_equal(response_post_stratify(&nobody, &none, 1).effect.problem,
                     EFFECT_CONTROL_EMPTY);
    assert_int_equal(response_naive(&one, &naive), EFFECT_TREATMENT_EMPTY);
    struct effect_pair same = {csat(0, 5), csat(0, 5)};
    double some = 9;
    assert_int_equal(response_post_stratify(&same, &some, 1).effect.problem,
                     EFFECT_CONTROL_NO_VARIANCE);
}

static void test_response__zero_agrees_with_everything(void **state)
{
    (void)state;
    assert_true(response_agrees(1, 2) && response_agrees(-1, -2) && response_agrees(0, -2));
    assert_true(response_agrees(1, 0) && response_agrees(0, 0));
    assert_true(!response_agrees(1e-300, -1) && !response_agrees(-5, 1e-300));
}

/* --- bounds --- */

/* Control 40 of 100 asked (20, 10, 10), treatment 50 of 100 (30, 10, 10): a fifth of the treatment
 * goes. From the top 20, 10, 10 are left, NPS 25; from the bottom 30, 10, 0, NPS 75. */
static void test_response__bounds_by_hand(void **state)
{
    (void)state;
    struct effect_pair pair = {moments_of_nps(20, 10, 10), moments_of_nps(30, 10, 10)};
    struct response_lee lee = response_lee(&pair, 100, 100);
    assert_int_equal(lee.problem, EFFECT_FINE);
    near("low", lee.low, 0, 0, 1e-12);
    near("high", lee.high, 50, 1e-14, 0);
    near("trimmed", lee.trimmed, 0.2, 1e-14, 0);
    assert_true(lee.trims_treatment);
    struct effect_pair back = {pair.treatment, pair.control};
    lee = response_lee(&back, 100, 100);
    near("low", lee.low, -50, 1e-14, 0);
    near("high", lee.high, 0, 0, 1e-12);
    assert_true(!lee.trims_treatment);
}

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The mean of the `keep` first scores of a list, the last of them in part. */
static double mean_of_first(const double *scores, double keep)
{
    double sum = 0, left = keep;
    for (int i = 0; left > 0; i++) {
        sum += scores[i] * fmin(left, 1);
        left -= 1;
    }
    return sum / keep;
}

/* Both ends from the lists of all scores, sorted. */
static void by_lists(double *more, int n_more, double rate_more, const double *less, int n_less,
                     double rate_less, double *bottom, double *top)
{
    double keep = fmin(n_more * (rate_less / rate_more), n_more), mean = 0;
    for (int i = 0; i < n_less; i++)
        mean += less[i] / n_less;
    qsort(more, (size_t)n_more, sizeof *more, falling);
    *top = mean_of_first(more, keep) - mean;
    for (int i = 0; i < n_more / 2; i++) {
        double swap = more[i];
        more[i] = more[n_more - 1 - i];
        more[n_more - 1 - i] = swap;
    }
    *bottom = mean_of_first(more, keep) - mean;
}

enum { ANSWERS_MOST = 200 };

/* Draws an arm as a list of scores, and as moments. */
static struct moments draw(gsl_rng *rng, bool nps, double *list, int *n)
{
    double counts[5] = {0};
    unsigned kinds = nps ? 3 : 5;
    *n = 1 + (int)gsl_rng_uniform_int(rng, ANSWERS_MOST);
    for (int i = 0; i < *n; i++) {
        unsigned at = (unsigned)(gsl_rng_uniform(rng) * gsl_rng_uniform(rng) * kinds);
        counts[at] += 1;
        list[i] = nps ? 100 - 100.0 * at : at >= 3;
    }
    return nps ? moments_of_nps(counts[0], counts[1], counts[2]) : moments_of_csat(counts);
}

static void test_response__bounds_are_those_of_sorted_lists(void **state)
{
    (void)state;
    gsl_rng *rng = chance(2009);
    for (int run = 0; run < 4000; run++) {
        double a[ANSWERS_MOST], b[ANSWERS_MOST], low, high;
        int n_a, n_b;
        bool nps = run % 2;
        struct effect_pair pair;
        pair.control = draw(rng, nps, a, &n_a);
        pair.treatment = draw(rng, nps, b, &n_b);
        double asked_a = n_a + (double)gsl_rng_uniform_int(rng, 300);
        double asked_b = n_b + (double)gsl_rng_uniform_int(rng, 300);
        double rate_a = n_a / asked_a, rate_b = n_b / asked_b;
        if (rate_b > rate_a) {
            by_lists(b, n_b, rate_b, a, n_a, rate_a, &low, &high);
        } else {
            by_lists(a, n_a, rate_a, b, n_b, rate_b, &high, &low);
            low = -low;
            high = -high;
        }
        struct response_lee lee = response_lee(&pair, asked_a, asked_b);
        double naive;
        assert_int_equal(lee.problem, EFFECT_FINE);
        near("low", lee.low, low, 1e-11, 1e-9);
        near("high", lee.high, high, 1e-11, 1e-9);
        assert_int_equal(response_naive(&pair, &naive), EFFECT_FINE);
        assert_true(lee.low <= naive + 1e-9 && naive <= lee.high + 1e-9);
    }
    gsl_rng_free(rng);
}

static void test_response__equal_rates_give_the_naive_effect(void **state)
{
    (void)state;
    struct effect_pair pair = {moments_of_nps(21, 13, 29), moments_of_nps(10, 70, 46)};
    double naive = 0;
    assert_int_equal(response_naive(&pair, &naive), EFFECT_FINE);
    struct response_lee lee = response_lee(&pair, 7 * 63, 7 * 126);
    near("low", lee.low, naive, 1e-15, 0);
    near("high", lee.high, naive, 1e-15, 0);
    assert_true(lee.trimmed == 0 && lee.has_se);
    struct effect_pair big = {moments_of_nps(3e8, 3e8, 4e8), moments_of_nps(4e8, 3e8, 3e8)};
    lee = response_lee(&big, 3e9, 3e9 + 3);
    near("low", lee.low, 20, 0, 1e-6);
    near("high", lee.high, 20, 0, 1e-6);
}

static void test_response__bounds_at_the_edges(void **state)
{
    (void)state;
    struct effect_pair pair = {csat(0, 0), csat(1, 2)};
    assert_int_equal(response_lee(&pair, 10, 10).problem, EFFECT_CONTROL_EMPTY);
    struct effect_pair other = {csat(1, 2), csat(0, 0)};
    assert_int_equal(response_lee(&other, 10, 0).problem, EFFECT_TREATMENT_EMPTY);
    /* One answer of 1,000 against all: half a unit in three is left of the treatment. */
    struct effect_pair one = {csat(0, 1), csat(500, 500)};
    struct response_lee lee = response_lee(&one, 1000, 1000);
    near("low", lee.low, -1, 1e-14, 0);
    near("high", lee.high, 0, 0, 1e-14);
    near("trimmed", lee.trimmed, 0.999, 1e-14, 0);
    struct effect_pair single = {moments_of_nps(1, 0, 0), moments_of_nps(5, 5, 5)};
    lee = response_lee(&single, 100, 100);
    assert_true(!lee.has_se && lee.low_se == 0); /* no variance of one answer */
    struct effect_pair most = {moments_of_nps(9007199254740992.0, 1, 1),
                               moments_of_nps(1, 1, 9007199254740992.0)};
    lee = response_lee(&most, 9007199254740992.0 * 3, 9007199254740992.0 * 2);
    assert_true(isfinite(lee.low_se) && isfinite(lee.high_se) && lee.low <= lee.high);
}

/* The error of an end against its spread over 20,000 draws from one population, to 3%, with the
 * cut within each of the three scores in turn. */
static void test_response__the_error_of_bounds_is_their_spread(void **state)
{
    (void)state;
    enum { RUNS = 20000, ASKED = 4000 };
    static const double less_rate[] = {0.27, 0.21, 0.07};
    gsl_rng *rng = chance(1071);
    for (int cut = 0; cut < 3; cut++) {
        const double more[] = {0.1, 0.08, 0.12, 0.7}; /* promoters, passives, detractors, silent */
        double r = less_rate[cut], less[] = {r / 2, r / 4, r / 4, 1 - r};
        double low = 0, low_sq = 0, high = 0, high_sq = 0, low_var = 0, high_var = 0;
        for (int run = 0; run < RUNS; run++) {
            unsigned a[4], b[4];
            gsl_ran_multinomial(rng, 4, ASKED, less, a);
            gsl_ran_multinomial(rng, 4, ASKED, more, b);
            struct effect_pair pair = {moments_of_nps(a[0], a[1], a[2]),
                                       moments_of_nps(b[0], b[1], b[2])};
            struct response_lee lee = response_lee(&pair, ASKED, ASKED);
            low += lee.low / RUNS;
            low_sq += lee.low * lee.low / RUNS;
            high += lee.high / RUNS;
            high_sq += lee.high * lee.high / RUNS;
            low_var += lee.low_se * lee.low_se / RUNS;
            high_var += lee.high_se * lee.high_se / RUNS;
        }
        print_message("# rate %g: low se %.4f, spread %.4f; high se %.4f, spread %.4f\n", r,
                      sqrt(low_var), sqrt(low_sq - low * low), sqrt(high_var),
                      sqrt(high_sq - high * high));
        near("low", sqrt(low_var), sqrt(low_sq - low * low), 0.03, 0);
        near("high", sqrt(high_var), sqrt(high_sq - high * high), 0.03, 0);
    }
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_response__rates_of_two_arms),
        cmocka_unit_test(test_response__rates_of_three_arms),
        cmocka_unit_test(test_response__nobody_everybody_and_one_group_are_alike),
        cmocka_unit_test(test_response__rates_keep_their_digits),
        cmocka_unit_test(test_response__sequential_is_the_split_of_answers),
        cmocka_unit_test(test_response__sequential_keeps_its_level_under_peeking),
        cmocka_unit_test(test_response__composition_by_hand),
        cmocka_unit_test(test_response__composition_is_that_of_strata_within_arms),
        cmocka_unit_test(test_response__composition_keeps_its_level),
        cmocka_unit_test(test_response__post_stratified_by_hand),
        cmocka_unit_test(test_response__post_stratified_is_stratified_where_shares_agree),
        cmocka_unit_test(test_response__strata_without_answers_are_merged),
        cmocka_unit_test(test_response__nothing_left_has_a_reason),
        cmocka_unit_test(test_response__zero_agrees_with_everything),
        cmocka_unit_test(test_response__bounds_by_hand),
        cmocka_unit_test(test_response__bounds_are_those_of_sorted_lists),
        cmocka_unit_test(test_response__equal_rates_give_the_naive_effect),
        cmocka_unit_test(test_response__bounds_at_the_edges),
        cmocka_unit_test(test_response__the_error_of_bounds_is_their_spread),
    };
    return run_all(tests);
}
