/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bayes: identities between chance and losses, the far tail against its series, priors at their
 * limits, mirrors and scales. */
#include "tests/stats/near.h"

#include "stats/bayes.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>

static const struct prior flat = {.proper = false};

static void test_bayes__losses_and_chance_belong_together(void **state)
{
    (void)state;
    for (double z = -30; z <= 30; z += 0.73) {
        struct bayes bayes = bayes_posterior(2 * z, 2, &flat, 0.05, false);
        near("E[max] - E[-min] is the mean", bayes.risk_control - bayes.risk_treatment, 2 * z,
             1e-12, 1e-12);
        near("chance", bayes.chance_to_win, gsl_cdf_ugaussian_P(z), 1e-12, 0);
        near("low", bayes.interval.low, 2 * z - 2 * gsl_cdf_ugaussian_Qinv(0.025), 1e-12, 1e-12);
        assert_true(bayes.risk_control >= 0 && bayes.risk_treatment >= 0);
    }
}

/* phi(x)/x^2 (1 - 3/x^2 + 15/x^4 - 105/x^6 + ...), good to its smallest term. */
static void test_bayes__the_far_tail_keeps_its_digits(void **state)
{
    (void)state;
    for (double x = 12; x <= 37; x += 1) {
        double term = 1, sum = 1;
        for (int i = 1; i < 400; i++) {
            double next = -term * (2 * i + 1) / (x * x);
            if (fabs(next) > fabs(term))
                break;
            sum += term = next;
        }
        struct bayes bayes = bayes_posterior(-x, 1, &flat, 0.05, false);
        near("loss of control", bayes.risk_control, gsl_ran_ugaussian_pdf(x) / (x * x) * sum, 1e-11,
             0);
    }
    struct bayes far = bayes_posterior(-1e4, 1, &flat, 0.05, false);
    assert_true(far.risk_control == 0 && far.risk_treatment == 1e4 && far.chance_to_win == 0);
}

static void test_bayes__priors_at_their_limits(void **state)
{
    (void)state;
    struct bayes none = bayes_posterior(0.3, 0.1, &flat, 0.05, false);
    struct prior wide = {true, 5, 1e9}, narrow = {true, 0.7, 1e-12}, even = {true, 0.1, 0.1};
    struct bayes a = bayes_posterior(0.3, 0.1, &wide, 0.05, false);
    near("wide", a.estimate, none.estimate, 1e-12, 0);
    near("wide", a.se, none.se, 1e-12, 0);
    struct bayes b = bayes_posterior(0.3, 0.1, &narrow, 0.05, false);
    near("narrow", b.estimate, 0.7, 1e-9, 0);
    near("narrow", b.se, 1e-12, 1e-9, 0);
    struct bayes c = bayes_posterior(0.3, 0.1, &even, 0.05, false);
    near("halfway", c.estimate, 0.2, 1e-12, 0);
    near("halfway", c.se, 0.1 / sqrt(2), 1e-12, 0);
    struct bayes huge = bayes_posterior(1, 1e200, &even, 0.05, false);
    near("se that squares to infinity", huge.se, 0.1, 1e-9, 0);
    assert_true(isfinite(huge.estimate) && isfinite(huge.risk_control));
}

static void test_bayes__mirrors_and_scales(void **state)
{
    (void)state;
    struct prior prior = {true, 0.05, 0.3}, mirrored = {true, -0.05, 0.3}, scaled = {true, 5, 30};
    struct bayes a = bayes_posterior(0.2, 0.1, &prior, 0.1, false);
    struct bayes b = bayes_posterior(-0.2, 0.1, &mirrored, 0.1, true);
    struct bayes c = bayes_posterior(20, 10, &scaled, 0.1, false);
    near("estimate", b.estimate, -a.estimate, 1e-15, 0);
    near("chance", b.chance_to_win, a.chance_to_win, 1e-15, 0);
    near("risk", b.risk_control, a.risk_control, 1e-15, 0);
    near("risk", b.risk_treatment, a.risk_treatment, 1e-15, 0);
    near("scaled", c.estimate, 100 * a.estimate, 1e-13, 0);
    near("scaled", c.risk_treatment, 100 * a.risk_treatment, 1e-13, 0);
    near("scaled", c.chance_to_win, a.chance_to_win, 1e-13, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bayes__losses_and_chance_belong_together),
        cmocka_unit_test(test_bayes__the_far_tail_keeps_its_digits),
        cmocka_unit_test(test_bayes__priors_at_their_limits),
        cmocka_unit_test(test_bayes__mirrors_and_scales),
    };
    return run_all(tests);
}
