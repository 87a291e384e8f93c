/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Effect: identities that hold whatever the formula's form, and where there is no estimate. */
#include "tests/stats/near.h"

#include "stats/effect.h"

#include <gsl/gsl_randist.h>
#include <string.h>

static struct moments mean_arm(gsl_rng *rng, int n, double level, double scale, double shift)
{
    struct moments arm = moments_empty(MOMENTS_MEAN, true);
    for (int i = 0; i < n; i++) {
        double pre = gsl_ran_gaussian(rng, 2) + 5, z = gsl_ran_gaussian(rng, 3);
        moments_add(&arm, scale * (level + 0.8 * pre + z) + shift, pre);
    }
    return arm;
}

static struct effect_pair pair_of(gsl_rng *rng, int a, int b, double scale, double shift)
{
    struct moments control = mean_arm(rng, a, 20, scale, shift);
    struct moments treatment = mean_arm(rng, b, 21, scale, shift);
    return (struct effect_pair){control, treatment};
}

static struct effect absolute(const struct effect_pair *pair, size_t count)
{
    return effect_between(pair, count, EFFECT_ABSOLUTE);
}

/* The textbook formulas of the design, term by term. */
static void test_effect__equals_the_formulas_of_the_design(void **state)
{
    (void)state;
    gsl_rng *rng = chance(1);
    struct effect_pair pair = pair_of(rng, 300, 450, 1, 0);
    struct effect_pair plain = pair;
    plain.control.covariate = plain.treatment.covariate = false;
    struct effect effect = effect_between(&plain, 1, EFFECT_RELATIVE);
    long double va, vb, qa, qb, ca, cb, ma = pair.control.y, mb = pair.treatment.y;
    moments_variance(&pair.control, &va);
    moments_variance(&pair.treatment, &vb);
    moments_covariate(&pair.control, &qa, &ca);
    moments_covariate(&pair.treatment, &qb, &cb);
    near("relative", effect.estimate, (double)((mb - ma) / ma), 1e-14, 0);
    near("its se", effect.se,
         (double)sqrtl(vb / (450 * ma * ma) + va * mb * mb / (300 * ma * ma * ma * ma)), 1e-14, 0);

    effect = effect_between(&pair, 1, EFFECT_RELATIVE);
    struct moments all = moments_merge(&pair.control, &pair.treatment);
    long double t = all.xy / all.xx, vb_adjusted = vb + t * t * qb - 2 * t * cb;
    near("theta", effect.theta, (double)t, 1e-15, 0);
    near("adjusted", effect.estimate,
         (double)((mb - t * pair.treatment.x - ma + t * pair.control.x) / ma), 1e-13, 0);
    near("its se", effect.se,
         (double)sqrtl(vb_adjusted / (450 * ma * ma) +
                       (va * mb * mb / (ma * ma) - 2 * t * ca * mb / ma + t * t * qa) /
                           (300 * ma * ma)),
         1e-13, 0);
    assert_true(effect.variance_reduction > 0.1 && effect.variance_reduction < 0.5);
    gsl_rng_free(rng);
}

static void test_effect__swapped_arms_mirror_the_absolute_effect(void **state)
{
    (void)state;
    gsl_rng *rng = chance(2);
    struct effect_pair pair = pair_of(rng, 80, 120, 1, 0);
    struct effect_pair swapped = {pair.treatment, pair.control};
    struct effect one = absolute(&pair, 1), other = absolute(&swapped, 1);
    near("estimate", one.estimate, -other.estimate, 1e-13, 0);
    near("se", one.se, other.se, 1e-14, 0);
    near("df", one.df, other.df, 1e-13, 0);
    gsl_rng_free(rng);
}

static void test_effect__scaling_scales_and_shifting_leaves_the_absolute_effect(void **state)
{
    (void)state;
    gsl_rng *rng = chance(3), *again = gsl_rng_clone(rng), *third = gsl_rng_clone(rng);
    struct effect_pair pair = pair_of(rng, 80, 120, 1, 0);
    struct effect_pair scaled = pair_of(again, 80, 120, 1000, 0);
    struct effect_pair shifted = pair_of(third, 80, 120, 1, 1e6);
    struct effect one = absolute(&pair, 1), by_thousand = absolute(&scaled, 1);
    struct effect moved = absolute(&shifted, 1);
    near("scaled estimate", by_thousand.estimate, 1000 * one.estimate, 1e-11, 0);
    near("scaled se", by_thousand.se, 1000 * one.se, 1e-11, 0);
    near("shifted estimate", moved.estimate, one.estimate, 1e-8, 0);
    near("shifted se", moved.se, one.se, 1e-8, 0);
    struct effect relative = effect_between(&pair, 1, EFFECT_RELATIVE);
    struct effect scaled_relative = effect_between(&scaled, 1, EFFECT_RELATIVE);
    near("relative estimate", scaled_relative.estimate, relative.estimate, 1e-11, 0);
    near("relative se", scaled_relative.se, relative.se, 1e-11, 0);
    gsl_rng_free(rng);
    gsl_rng_free(again);
    gsl_rng_free(third);
}

/* A sign change of every value turns the relative effect's sign, not its se. */
static void test_effect__relative_to_a_negative_mean_divides_by_its_size(void **state)
{
    (void)state;
    gsl_rng *rng = chance(4), *again = gsl_rng_clone(rng);
    struct effect_pair pair = pair_of(rng, 80, 120, 1, 0);
    struct effect_pair negated = pair_of(again, 80, 120, -1, 0);
    struct effect one = effect_between(&pair, 1, EFFECT_RELATIVE);
    struct effect other = effect_between(&negated, 1, EFFECT_RELATIVE);
    near("estimate", other.estimate, -one.estimate, 1e-12, 0);
    near("se", other.se, one.se, 1e-12, 0);
    gsl_rng_free(rng);
    gsl_rng_free(again);
}

/* Strata with the same split and the same moments are one sample: nothing to stratify by. */
static void test_effect__equal_strata_equal_their_halves_joined(void **state)
{
    (void)state;
    struct moments_sums control = {100, 30, 0, 0, 0, 0}, treatment = {200, 80, 0, 0, 0, 0};
    struct effect_pair half = {moments_of_sums(MOMENTS_BINARY, false, &control),
                               moments_of_sums(MOMENTS_BINARY, false, &treatment)};
    struct effect_pair strata[2] = {half, half};
    struct effect_pair whole = {moments_merge(&half.control, &half.control),
                                moments_merge(&half.treatment, &half.treatment)};
    struct effect apart = effect_between(strata, 2, EFFECT_RELATIVE);
    struct effect joined = effect_between(&whole, 1, EFFECT_RELATIVE);
    near("estimate", apart.estimate, joined.estimate, 1e-14, 0);
    near("se", apart.se, joined.se, 1e-14, 0);
}

/* Simpson: weights moved while the level rose; each epoch shows +10 points, the pool none. */
static void test_effect__strata_undo_what_a_change_of_weights_does(void **state)
{
    (void)state;
    struct effect_pair strata[2] = {
        {moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){.n = 900, .sum = 90}),
         moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){.n = 100, .sum = 20})},
        {moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){.n = 100, .sum = 50}),
         moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){.n = 900, .sum = 540})},
    };
    struct effect apart = absolute(strata, 2);
    near("estimate", apart.estimate, 0.1, 1e-14, 0);
    struct effect_pair pool = {moments_merge(&strata[0].control, &strata[1].control),
                               moments_merge(&strata[0].treatment, &strata[1].treatment)};
    assert_true(absolute(&pool, 1).estimate > 0.4);
}

static struct effect_pair sizes(double control, double treatment)
{
    struct moments_sums a = {control, floor(control / 2), 0, 0, 0, 0};
    struct moments_sums b = {treatment, floor(treatment / 2), 0, 0, 0, 0};
    return (struct effect_pair){moments_of_sums(MOMENTS_BINARY, false, &a),
                                moments_of_sums(MOMENTS_BINARY, false, &b)};
}

static void merged_to(struct effect_pair *strata, size_t count, const double *want, size_t kept)
{
    assert_int_equal(effect_merge_strata(strata, count), kept);
    for (size_t i = 0; i < kept; i++) {
        near("control", (double)strata[i].control.n, want[2 * i], 0, 0);
        near("treatment", (double)strata[i].treatment.n, want[2 * i + 1], 0, 0);
    }
}

static void test_effect__small_strata_join_their_neighbour(void **state)
{
    (void)state;
    struct effect_pair first[] = {sizes(1, 50), sizes(10, 10), sizes(20, 20)};
    merged_to(first, 3, (double[]){11, 60, 20, 20}, 2);
    struct effect_pair middle[] = {sizes(10, 10), sizes(40, 0), sizes(20, 20)};
    merged_to(middle, 3, (double[]){50, 10, 20, 20}, 2);
    struct effect_pair last[] = {sizes(10, 10), sizes(20, 20), sizes(1, 1)};
    merged_to(last, 3, (double[]){10, 10, 21, 21}, 2);
    struct effect_pair all[] = {sizes(1, 0), sizes(0, 1), sizes(0, 0)};
    merged_to(all, 3, (double[]){1, 1}, 1);
    struct effect_pair none[] = {sizes(10, 10), sizes(2, 2)};
    merged_to(none, 2, (double[]){10, 10, 2, 2}, 2);
}

static void is_problem(struct effect_pair pair, enum effect_scale scale, enum effect_problem want)
{
    struct effect effect = effect_between(&pair, 1, scale);
    assert_string_equal(effect_problem_words(effect.problem), effect_problem_words(want));
    assert_true(effect.problem == want);
    assert_true(effect.estimate == 0 && effect.se == 0 && effect.units == 0);
}

static struct moments value_arm(enum moments_kind kind, struct moments_sums sums)
{
    return moments_of_sums(kind, false, &sums);
}

static void test_effect__says_why_there_is_no_estimate(void **state)
{
    (void)state;
    struct moments good = value_arm(MOMENTS_MEAN, (struct moments_sums){3, 7, 21, 0, 0, 0});
    struct moments empty = moments_empty(MOMENTS_MEAN, false);
    struct moments one = value_arm(MOMENTS_MEAN, (struct moments_sums){1, 3, 9, 0, 0, 0});
    struct moments flat = value_arm(MOMENTS_MEAN, (struct moments_sums){3, 6, 12, 0, 0, 0});
    struct moments wrong = value_arm(MOMENTS_MEAN, (struct moments_sums){3, 6, 1, 0, 0, 0});
    struct moments zero = value_arm(MOMENTS_MEAN, (struct moments_sums){2, 0, 2, 0, 0, 0});
    struct moments ratio = value_arm(MOMENTS_RATIO, (struct moments_sums){3, 9, 41, 8, 26, 31});
    struct moments by_zero = value_arm(MOMENTS_RATIO, (struct moments_sums){3, 9, 41, 0, 2, 1});
    enum effect_scale a = EFFECT_ABSOLUTE;
    is_problem((struct effect_pair){empty, good}, a, EFFECT_CONTROL_EMPTY);
    is_problem((struct effect_pair){good, empty}, a, EFFECT_TREATMENT_EMPTY);
    is_problem((struct effect_pair){one, good}, a, EFFECT_CONTROL_TOO_FEW);
    is_problem((struct effect_pair){good, one}, a, EFFECT_TREATMENT_TOO_FEW);
    is_problem((struct effect_pair){flat, good}, a, EFFECT_CONTROL_NO_VARIANCE);
    is_problem((struct effect_pair){good, flat}, a, EFFECT_TREATMENT_NO_VARIANCE);
    is_problem((struct effect_pair){wrong, good}, a, EFFECT_CONTROL_NEGATIVE_VARIANCE);
    is_problem((struct effect_pair){good, wrong}, a, EFFECT_TREATMENT_NEGATIVE_VARIANCE);
    is_problem((struct effect_pair){by_zero, ratio}, a, EFFECT_CONTROL_NO_DENOMINATOR);
    is_problem((struct effect_pair){ratio, by_zero}, a, EFFECT_TREATMENT_NO_DENOMINATOR);
    is_problem((struct effect_pair){zero, good}, EFFECT_RELATIVE, EFFECT_CONTROL_MEAN_ZERO);
    struct effect_pair fine = {zero, good};
    assert_true(absolute(&fine, 1).problem == EFFECT_FINE);
}

static void test_effect__figures_past_a_double_are_a_problem_not_infinite(void **state)
{
    (void)state;
    struct moments huge =
        value_arm(MOMENTS_MEAN, (struct moments_sums){2, 1.7e308, 1.7e308, 0, 0, 0});
    struct moments other = value_arm(MOMENTS_MEAN, (struct moments_sums){2, 1, 3, 0, 0, 0});
    struct moments tiny = value_arm(MOMENTS_MEAN, (struct moments_sums){2, 5e-324, 1, 0, 0, 0});
    is_problem((struct effect_pair){huge, other}, EFFECT_ABSOLUTE,
               EFFECT_CONTROL_NEGATIVE_VARIANCE);
    is_problem((struct effect_pair){tiny, other}, EFFECT_RELATIVE, EFFECT_OUT_OF_RANGE);
}

/* A covariate that explains everything leaves no variance; rounding must not make one up. */
static void test_effect__a_perfect_covariate_leaves_no_estimate(void **state)
{
    (void)state;
    gsl_rng *rng = chance(5);
    struct effect_pair pair = {moments_empty(MOMENTS_MEAN, true),
                               moments_empty(MOMENTS_MEAN, true)};
    for (int i = 0; i < 200; i++) {
        double pre = gsl_ran_gaussian(rng, 7);
        moments_add(i % 2 ? &pair.control : &pair.treatment, 3 * pre, pre);
    }
    is_problem(pair, EFFECT_ABSOLUTE, EFFECT_CONTROL_NO_VARIANCE);
    is_problem(pair, EFFECT_RELATIVE, EFFECT_CONTROL_NO_VARIANCE);
    gsl_rng_free(rng);
}

/* The mean over strata of one arm: difference and error of two such are those of the effect. */
static void test_effect__means_of_arms_make_the_effect(void **state)
{
    (void)state;
    const struct moments control[] = {
        moments_of_sums(MOMENTS_BINARY, true, &(struct moments_sums){100, 30, 0, 20, 0, 9}),
        moments_of_sums(MOMENTS_BINARY, true, &(struct moments_sums){300, 60, 0, 90, 0, 31})};
    const struct moments treatment[] = {
        moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){200, 50, 0, 0, 0, 0}),
        moments_of_sums(MOMENTS_BINARY, false, &(struct moments_sums){50, 9, 0, 0, 0, 0})};
    struct effect_pair pairs[] = {{control[0], treatment[0]}, {control[1], treatment[1]}};
    pairs[0].control.covariate = pairs[1].control.covariate = false;
    double weights[] = {300.0 / 650, 350.0 / 650};
    struct effect want = effect_between(pairs, 2, EFFECT_ABSOLUTE);
    struct effect_mean a = effect_mean_of(control, weights, 2);
    struct effect_mean b = effect_mean_of(treatment, weights, 2);
    assert_true(!a.problem && !b.problem && a.has_mean && b.has_mean);
    near("estimate", (double)(b.mean - a.mean), want.estimate, 1e-13, 0);
    near("se", (double)sqrtl(a.variance + b.variance), want.se, 1e-14, 0);
    near("df", (double)(powl(a.variance + b.variance, 2) / (a.welch + b.welch)), want.df, 1e-13, 0);
    near("units", a.units + b.units, want.units, 0, 0);
}

static void test_effect__says_why_an_arm_has_no_mean(void **state)
{
    (void)state;
    double weight = 1;
    struct moments arm = moments_empty(MOMENTS_MEAN, false);
    assert_int_equal(effect_mean_of(&arm, &weight, 1).problem, EFFECT_CONTROL_EMPTY);
    moments_add(&arm, 5, 0);
    assert_int_equal(effect_mean_of(&arm, &weight, 1).problem, EFFECT_CONTROL_TOO_FEW);
    moments_add(&arm, 5, 0);
    struct effect_mean mean = effect_mean_of(&arm, &weight, 1);
    assert_int_equal(mean.problem, EFFECT_CONTROL_NO_VARIANCE);
    assert_true(mean.has_mean && mean.mean == 5 && mean.variance == 0);
    arm.yy = -1;
    assert_int_equal(effect_mean_of(&arm, &weight, 1).problem, EFFECT_CONTROL_NEGATIVE_VARIANCE);
    arm.yy = 1e-4000L;
    assert_int_equal(effect_mean_of(&arm, &weight, 1).problem, EFFECT_OUT_OF_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_effect__equals_the_formulas_of_the_design),
        cmocka_unit_test(test_effect__swapped_arms_mirror_the_absolute_effect),
        cmocka_unit_test(test_effect__scaling_scales_and_shifting_leaves_the_absolute_effect),
        cmocka_unit_test(test_effect__relative_to_a_negative_mean_divides_by_its_size),
        cmocka_unit_test(test_effect__equal_strata_equal_their_halves_joined),
        cmocka_unit_test(test_effect__strata_undo_what_a_change_of_weights_does),
        cmocka_unit_test(test_effect__small_strata_join_their_neighbour),
        cmocka_unit_test(test_effect__says_why_there_is_no_estimate),
        cmocka_unit_test(test_effect__figures_past_a_double_are_a_problem_not_infinite),
        cmocka_unit_test(test_effect__a_perfect_covariate_leaves_no_estimate),
        cmocka_unit_test(test_effect__means_of_arms_make_the_effect),
        cmocka_unit_test(test_effect__says_why_an_arm_has_no_mean),
    };
    return run_all(tests);
}
