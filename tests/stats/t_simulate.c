/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Simulate: bookkeeping with judges whose answers are known, then what it is for: false positives
 * of every method under peeking, and whether plans keep their power (stats/power.h). */
#include "tests/stats/near.h"

#include "stats/group.h"
#include "stats/judge.h"
#include "stats/power.h"
#include "stats/simulate.h"

#include <string.h>

enum { LOOKS_MAX = 100 };

/* One treatment, looks evenly spaced, with room for its tally. */
struct bench {
    struct population arms[2];
    double customers[2], times[LOOKS_MAX], ends[LOOKS_MAX], any;
    struct simulate_design design;
    struct simulate_tally tally;
};

static void set_bench(struct bench *bench, struct population control, struct population treatment,
                      double each, size_t looks, simulate_judge *judge, const void *method)
{
    *bench = (struct bench){.arms = {control, treatment}, .customers = {each, each}};
    for (size_t i = 0; i < looks; i++)
        bench->times[i] = (double)(i + 1) / (double)looks;
    bench->design = (struct simulate_design){.arms = bench->arms,
                                             .customers = bench->customers,
                                             .count = 2,
                                             .times = bench->times,
                                             .looks = looks,
                                             .judge = judge,
                                             .method = method};
    bench->tally.ends = bench->ends;
}

static double claims_of(struct bench *bench, gsl_rng *rng, size_t runs)
{
    assert_true(simulate_runs(&bench->design, rng, runs, &bench->tally, &bench->any));
    return bench->tally.claims / bench->tally.runs;
}

/* --- bookkeeping --- */

/* Claims at its third look, on the side that `method` says; counts looks in its memory. */
static struct simulate_claim third_look(const void *method, void *memory,
                                        const struct simulate_look *look)
{
    int seen = ++*(int *)memory;
    assert_int_equal(seen, look->number);
    assert_true(look->pair.control.n == floor(look->share * 1000 + 0.5));
    int side = look->number == 3 ? *(const int *)method : 0;
    return (struct simulate_claim){side, true, (double)look->number};
}

static void test_simulate__counts_runs_looks_and_sides(void **state)
{
    (void)state;
    struct population rate = population_of_rate(MOMENTS_BINARY, 0.3);
    gsl_rng *rng = chance(1);
    for (int side = -1; side <= 1; side++) {
        struct bench bench;
        set_bench(&bench, rate, rate, 1000, 7, third_look, &side);
        bench.design.memory = sizeof(int);
        near("claims", claims_of(&bench, rng, 50), side != 0, 0, 0);
        near("up", bench.tally.up, side > 0 ? 50 : 0, 0, 0);
        near("down", bench.tally.down, side < 0 ? 50 : 0, 0, 0);
        near("any", bench.any, side ? 50 : 0, 0, 0);
        near("ends", bench.ends[side ? 2 : 6], 50, 0, 0);
        /* 3/7 of 1,000 is 429 an arm. */
        near("mean", simulate_mean_customers(&bench.design, &bench.tally), side ? 858 : 2000, 0, 0);
        near("median", simulate_median_customers(&bench.design, &bench.tally), side ? 858 : 2000, 0,
             0);
        near("at the claim", bench.tally.at_claim, side ? 150 : 0, 0, 0);
        near("at the end", bench.tally.at_end, side ? 150 : 350, 0, 0);
    }
    gsl_rng_free(rng);
}

/* Runs that ended at looks of 20, 40, 60 and 80 customers; of ten, the fifth is the lower middle.
 */
static void test_simulate__mean_and_median_of_ends(void **state)
{
    (void)state;
    static const double customers[] = {40, 40}, times[] = {0.25, 0.5, 0.75, 1};
    static const struct {
        double ends[4], median;
    } cases[] = {
        {{1, 3, 2, 4}, 60},
        {{1, 4, 1, 4}, 40},
        {{5, 0, 0, 5}, 20},
        {{0, 0, 0, 3}, 80},
    };
    const struct simulate_design design = {
        .customers = customers, .count = 2, .times = times, .looks = 4};
    for (size_t i = 0; i < 4; i++) {
        double ends[4], runs = 0, sum = 0;
        for (int k = 0; k < 4; k++) {
            ends[k] = cases[i].ends[k];
            runs += ends[k];
            sum += ends[k] * 20 * (k + 1);
        }
        const struct simulate_tally tally = {.runs = runs, .ends = ends};
        near("mean", simulate_mean_customers(&design, &tally), sum / runs, 1e-14, 0);
        near("median", simulate_median_customers(&design, &tally), cases[i].median, 0, 0);
    }
}

/* Finds the second treatment at once and the first never. */
static struct simulate_claim only_second(const void *method, void *memory,
                                         const struct simulate_look *look)
{
    (void)method, (void)memory;
    return (struct simulate_claim){look->pair.treatment.n > look->pair.control.n, false, 0};
}

static void test_simulate__each_treatment_has_its_own_end(void **state)
{
    (void)state;
    static const double customers[] = {100, 50, 200}, times[] = {0.25, 0.5, 1};
    struct population mean = population_of_mean(5, 1), arms[] = {mean, mean, mean};
    double ends[2][3] = {{0}}, any = 0;
    struct simulate_tally tallies[] = {{.ends = ends[0]}, {.ends = ends[1]}};
    const struct simulate_design design = {.arms = arms,
                                           .customers = customers,
                                           .count = 3,
                                           .times = times,
                                           .looks = 3,
                                           .judge = only_second};
    gsl_rng *rng = chance(2);
    assert_true(simulate_runs(&design, rng, 10, tallies, &any));
    near("first", tallies[0].claims, 0, 0, 0);
    near("second", tallies[1].claims, 10, 0, 0);
    near("any", any, 10, 0, 0);
    near("first's end", simulate_median_customers(&design, &tallies[0]), 350, 0, 0);
    near("second's end", simulate_median_customers(&design, &tallies[1]), 25 + 13 + 50, 0, 0);
    near("no estimate", tallies[1].estimates, 0, 0, 0);
    gsl_rng_free(rng);
}

static void test_simulate__slices_change_nothing(void **state)
{
    (void)state;
    const struct judge judge = {.alpha = 0.05, .tuning = 5000};
    struct population a = population_of_rate(MOMENTS_BINARY, 0.1), b = a;
    assert_true(population_shift(&a, EFFECT_RELATIVE, 0.2, &b));
    struct bench whole, sliced;
    gsl_rng *rng = chance(3);
    set_bench(&whole, a, b, 5000, 20, judge_sequential, &judge);
    claims_of(&whole, rng, 300);
    set_bench(&sliced, a, b, 5000, 20, judge_sequential, &judge);
    gsl_rng_set(rng, 3);
    for (size_t i = 0; i < 300; i += 25)
        claims_of(&sliced, rng, 25);
    assert_memory_equal(whole.ends, sliced.ends, sizeof whole.ends);
    whole.tally.ends = sliced.tally.ends = NULL;
    assert_memory_equal(&whole.tally, &sliced.tally, sizeof whole.tally);
    assert_true(whole.tally.claims > 20 && whole.tally.claims < 300);
    gsl_rng_free(rng);
}

/* R: binom.test(x, n)$conf.int, and what a range is: the tails beyond it. */
static void test_simulate__share_range(void **state)
{
    (void)state;
    struct simulate_range range = simulate_share_range(0, 10, 0.05);
    near("0 of 10, low", range.low, 0, 0, 0);
    near("0 of 10, high", range.high, 0.3084971, 1e-6, 0);
    range = simulate_share_range(10, 10, 0.05);
    near("10 of 10, low", range.low, 0.6915029, 1e-6, 0);
    near("10 of 10, high", range.high, 1, 0, 0);
    range = simulate_share_range(5, 10, 0.05);
    near("5 of 10, low", range.low, 0.1870860, 1e-6, 0);
    near("5 of 10, high", range.high, 0.8129140, 1e-6, 0);
    for (double n = 1; n <= 1e6; n = 3 * n + 1)
        for (double x = 0; x <= n; x += ceil(n / 300)) {
            range = simulate_share_range(x, n, 0.05);
            assert_true(range.low <= x / n && range.high >= x / n);
            struct simulate_range other = simulate_share_range(n - x, n, 0.05);
            near("mirrored", other.low, 1 - range.high, 1e-9, 1e-9);
        }
}

/* --- false positives ---
 * 3,000 A/A runs. A true rate of 0.05 has more than 200 claims (4.2 standard deviations above 150)
 * once in 50,000 such tests. */

enum { RUNS = 3000, CLAIMS_MOST = 200 };

static double false_positives(const char *name, struct population arm, double each, size_t looks,
                              simulate_judge *judge, const struct judge *method)
{
    struct bench bench;
    gsl_rng *rng = chance(20261201);
    set_bench(&bench, arm, arm, each, looks, judge, method);
    claims_of(&bench, rng, RUNS);
    print_message("# %s: %g of %d A/A runs claimed an effect\n", name, bench.tally.claims, RUNS);
    gsl_rng_free(rng);
    return bench.tally.claims;
}

static void test_simulate__always_valid_methods_keep_alpha(void **state)
{
    (void)state;
    const struct judge two = {.scale = EFFECT_RELATIVE,
                              .alpha = 0.05,
                              .tuning = 5000,
                              .mixture_variance = 0.01},
                       counts = {.scale = EFFECT_ABSOLUTE, .alpha = 0.05};
    struct judge one = two;
    one.sides = SIDES_GREATER;
    struct population rate = population_of_rate(MOMENTS_BINARY, 0.1),
                      mean = population_of_mean(30, 20), nps = population_of_nps(0.5, 0.2);
    assert_true(false_positives("sequential, binary", rate, 20000, 100, judge_sequential, &two) <=
                CLAIMS_MOST);
    assert_true(false_positives("sequential, one-sided", mean, 10000, 100, judge_sequential,
                                &one) <= CLAIMS_MOST);
    assert_true(false_positives("msprt, mean", mean, 10000, 100, judge_msprt, &two) <= CLAIMS_MOST);
    assert_true(false_positives("exact, binary", rate, 2000, 50, judge_exact, &counts) <=
                CLAIMS_MOST);
    assert_true(false_positives("exact, nps", nps, 1000, 50, judge_exact, &counts) <= CLAIMS_MOST);
}

/* One look keeps alpha, a hundred do not: from theory about 0.37 (Armitage, McPherson and Rowe give
 * 0.32 at 50 equal looks and 0.37 at 100). */
static void test_simulate__naive_peeking_does_not(void **state)
{
    (void)state;
    const struct judge judge = {.scale = EFFECT_ABSOLUTE, .alpha = 0.05};
    struct population mean = population_of_mean(30, 20);
    double peeking = false_positives("fixed, 100 looks", mean, 10000, 100, judge_fixed, &judge);
    near("peeking", peeking / RUNS, 0.37, 0, 0.05);
    peeking = false_positives("bayesian, 100 looks", mean, 10000, 100, judge_bayesian, &judge);
    assert_true(peeking / RUNS > 0.3);
    double once = false_positives("fixed, at the end", mean, 10000, 1, judge_fixed, &judge);
    assert_true(once <= CLAIMS_MOST && once >= 100);
}

static void test_simulate__boundaries_keep_alpha(void **state)
{
    (void)state;
    static const double times[] = {0.2, 0.4, 0.6, 0.8, 1};
    struct population mean = population_of_mean(30, 20);
    for (int function = GROUP_OBRIEN_FLEMING; function <= GROUP_HWANG; function++) {
        const struct group group = {
            .function = (enum group_spending)function, .gamma = 1, .times = times, .looks = 5};
        double critical[5];
        assert_true(group_critical(&group, 0.05, SIDES_TWO, critical));
        const struct judge judge = {.scale = EFFECT_ABSOLUTE, .critical = critical};
        double claims = false_positives("group-sequential", mean, 5000, 5, judge_group, &judge);
        assert_true(claims <= CLAIMS_MOST && claims >= 100);
    }
}

/* --- power --- */

/* The power of a plan at its own size. */
static double power_of(const char *name, const struct power_design *design,
                       struct population control, double effect, size_t looks,
                       simulate_judge *judge, const struct judge *method, double *mean)
{
    struct bench bench;
    struct population treatment;
    assert_true(population_shift(&control, design->scale, effect, &treatment));
    double total = power_customers(design, &control, effect);
    set_bench(&bench, control, treatment, 0, looks, judge, method);
    for (size_t i = 0; i < 2; i++)
        bench.customers[i] = power_arm(design, total, i);
    gsl_rng *rng = chance(20261202);
    double power = claims_of(&bench, rng, RUNS);
    gsl_rng_free(rng);
    *mean = simulate_mean_customers(&bench.design, &bench.tally) / total;
    print_message("# %s: %.0f customers, power %.4f, %.3f of the customers on average\n", name,
                  total, power, *mean);
    assert_true((effect > 0 ? bench.tally.down : bench.tally.up) <= RUNS / 100);
    return power;
}

/* 4.2 standard deviations of a share of 0.8 in 3,000 runs are 0.031; fixed's normal quantile for
 * Student's and the delta method take less than 0.01. */
static void test_simulate__plans_keep_their_power(void **state)
{
    (void)state;
    static const double uneven[] = {3, 1}, times[] = {0.2, 0.4, 0.6, 0.8, 1};
    struct power_design design = {.needed = power_needed_fixed,
                                  .scale = EFFECT_RELATIVE,
                                  .alpha = 0.05,
                                  .power = 0.8,
                                  .tuning = 5000,
                                  .mixture_variance = 0.01,
                                  .weights = uneven,
                                  .arms = 2};
    struct judge judge = {
        .scale = EFFECT_RELATIVE, .alpha = 0.05, .tuning = 5000, .mixture_variance = 0.01};
    struct population rate = population_of_rate(MOMENTS_BINARY, 0.1),
                      mean = population_of_mean(30, 20), nps = population_of_nps(0.5, 0.2);
    double share;
    near("fixed, binary",
         power_of("fixed, binary", &design, rate, 0.2, 1, judge_fixed, &judge, &share), 0.8, 0,
         0.035);
    near("fixed, mean",
         power_of("fixed, mean", &design, mean, -0.1, 1, judge_fixed, &judge, &share), 0.8, 0,
         0.035);
    near("bayesian, nps",
         power_of("bayesian, nps", &design, nps, 0.2, 1, judge_bayesian, &judge, &share), 0.8, 0,
         0.035);
    design.needed = power_needed_sequential;
    near("sequential, one look",
         power_of("sequential, one look", &design, rate, 0.2, 1, judge_sequential, &judge, &share),
         0.8, 0, 0.035);
    assert_true(power_of("sequential, 50 looks", &design, rate, 0.2, 50, judge_sequential, &judge,
                         &share) > 0.8);
    assert_true(share < 0.8);
    design.needed = power_needed_msprt;
    near("msprt, one look",
         power_of("msprt, one look", &design, mean, 0.1, 1, judge_msprt, &judge, &share), 0.8, 0,
         0.035);
    design.scale = judge.scale = EFFECT_ABSOLUTE;
    design.needed = power_needed_exact;
    near("exact, one look",
         power_of("exact, one look", &design, rate, 0.04, 1, judge_exact, &judge, &share), 0.8, 0,
         0.06);
    const struct group group = {.function = GROUP_POCOCK, .times = times, .looks = 5};
    double critical[5], up[5], down[5];
    assert_true(group_critical(&group, 0.05, SIDES_TWO, critical));
    assert_true(group_drift(&group, critical, SIDES_TWO, 0.8, &design.drift, up, down));
    design.needed = power_needed_drift;
    judge.critical = critical;
    near("group-sequential",
         power_of("group-sequential", &design, mean, 2, 5, judge_group, &judge, &share), 0.8, 0,
         0.035);
    double expected = 1;
    for (int k = 0; k < 4; k++)
        expected -= (up[k] + down[k]) * (1 - times[k]);
    near("its mean size", share, expected, 0, 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simulate__counts_runs_looks_and_sides),
        cmocka_unit_test(test_simulate__mean_and_median_of_ends),
        cmocka_unit_test(test_simulate__each_treatment_has_its_own_end),
        cmocka_unit_test(test_simulate__slices_change_nothing),
        cmocka_unit_test(test_simulate__share_range),
        cmocka_unit_test(test_simulate__always_valid_methods_keep_alpha),
        cmocka_unit_test(test_simulate__naive_peeking_does_not),
        cmocka_unit_test(test_simulate__boundaries_keep_alpha),
        cmocka_unit_test(test_simulate__plans_keep_their_power),
    };
    return run_all(tests);
}
