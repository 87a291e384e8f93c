/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scheduled: looks that are not known beforehand spend what they may and no more, past the horizon
 * too, and their ranges cover together. */
#include "tests/stats/near.h"

#include "stats/group.h"
#include "stats/scheduled.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>

enum { LOOKS = 12, PAST = 30, RUNS = 6000, SCHEDULES = 10 };

static double next_critical(const double *information, const double *share, const double *critical,
                            size_t count, double alpha, enum sides sides)
{
    const struct scheduled looks = {information, share, critical, count};
    double c = NAN;
    assert_true(scheduled_critical(&looks, alpha, sides, &c));
    return c;
}

/* Look by look, on one clock: the boundaries that are known when all looks are. */
static void test_scheduled__is_spending_look_by_look(void **state)
{
    (void)state;
    static const double times[] = {0.1, 0.3, 0.35, 0.8, 1};
    const struct group group = {
        .function = GROUP_KIM_DEMETS, .gamma = 2, .times = times, .looks = 5};
    double want[5], information[5], got[5];
    for (int sides = SIDES_TWO; sides <= SIDES_GREATER; sides++) {
        assert_true(
            group_critical(&group, 0.05 * (1 - SCHEDULED_RESERVE), (enum sides)sides, want));
        for (size_t k = 0; k < 5; k++) {
            information[k] = 700 * times[k]; /* only ratios count */
            got[k] = next_critical(information, times, got, k + 1, 0.05, (enum sides)sides);
            near("critical", got[k], want[k], 1e-6, 1e-4);
        }
    }
}

static void test_scheduled__one_look_at_the_end_is_nearly_a_fixed_test(void **state)
{
    (void)state;
    static const double information[] = {123}, share[] = {1};
    double c = next_critical(information, share, NULL, 1, 0.05, SIDES_TWO);
    near("two-sided", c, gsl_cdf_ugaussian_Qinv(0.95 * 0.025), 0, 1e-6);
    c = next_critical(information, share, NULL, 1, 1e-9, SIDES_LESS);
    near("one-sided", c, gsl_cdf_ugaussian_Qinv(0.95e-9), 0, 1e-6);
}

static void test_scheduled__nothing_to_spend_is_no_claim(void **state)
{
    (void)state;
    static const double information[] = {1, 2}, share[] = {0.5, 0.5};
    double c[2] = {0};
    c[0] = next_critical(information, share, c, 1, 0.05, SIDES_TWO);
    c[1] = next_critical(information, share, c, 2, 0.05, SIDES_TWO);
    assert_true(c[0] > 1.9 && c[0] < 4);
    assert_true(c[1] == GROUP_CRITICAL_MAX);
}

/* A schedule as it may come: customers by chance, information on a clock of its own. */
struct schedule {
    double information[LOOKS], share[LOOKS], critical[LOOKS];
};

static struct schedule any_schedule(gsl_rng *rng)
{
    struct schedule s;
    double information = 0, share = 0;
    for (size_t k = 0; k < LOOKS; k++) {
        information += 20 + 400 * gsl_rng_uniform(rng);
        share = k + 1 == LOOKS ? 1 : share + (1 - share) * gsl_rng_uniform(rng) / 3;
        s.information[k] = information;
        s.share[k] = share;
        s.critical[k] = next_critical(s.information, s.share, s.critical, k + 1, 0.05, SIDES_TWO);
    }
    return s;
}

/* Whether some range of a run leaves out its effect: at the looks, then past the horizon, where the
 * information grows to four times as much. Units are such that a unit's variance is 1. */
static bool ever_wrong(const struct schedule *s, double effect, gsl_rng *rng)
{
    double score = 0, before = 0, horizon = 4 * s->information[LOOKS - 1];
    for (size_t k = 0; k < LOOKS + PAST; k++) {
        double last = s->information[LOOKS - 1];
        double now =
            k < LOOKS ? s->information[k] : last * (1 + 3 * (double)(k + 1 - LOOKS) / PAST);
        score += effect * (now - before) + gsl_ran_gaussian(rng, sqrt(now - before));
        before = now;
        double estimate = score / now, se = 1 / sqrt(now);
        struct interval range =
            k < LOOKS ? group_interval(estimate, se, s->critical[k], SIDES_TWO)
                      : scheduled_past(estimate, se, 4 * now, horizon, 0.05, SIDES_TWO).interval;
        if (effect < range.low || effect > range.high)
            return true;
    }
    return false;
}

/* 60,000 runs: three standard errors of a share of 0.05 are 0.0027. */
static void test_scheduled__is_wrong_at_most_as_often_as_it_says(void **state)
{
    (void)state;
    static const double effects[] = {0, 0.05};
    gsl_rng *rng = chance(20261125);
    for (size_t e = 0; e < 2; e++) {
        int wrong = 0;
        for (int i = 0; i < SCHEDULES; i++) {
            struct schedule schedule = any_schedule(rng);
            for (int run = 0; run < RUNS; run++)
                wrong += ever_wrong(&schedule, effects[e], rng);
        }
        double share = (double)wrong / (SCHEDULES * RUNS);
        print_message("# effect %g: %.4f of runs\n", effects[e], share);
        assert_true(share <= 0.05 + 0.0027);
        assert_true(share >= 0.04); /* and it does spend */
    }
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheduled__is_spending_look_by_look),
        cmocka_unit_test(test_scheduled__one_look_at_the_end_is_nearly_a_fixed_test),
        cmocka_unit_test(test_scheduled__nothing_to_spend_is_no_claim),
        cmocka_unit_test(test_scheduled__is_wrong_at_most_as_often_as_it_says),
    };
    return run_all(tests);
}
