/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forecasts against the tests they forecast: at the units named the end has crossed, a little
 * earlier it has not; what can never cross has no end in sight. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/forecast.h"
#include "stats/sequential.h"

static const struct forecast_rule rule = {.alpha = 0.05, .tuning = 5000};
static const double quartile = 0.6744897501960817;

static struct interval at(double units, double now, double estimate, double se)
{
    return sequential_test(estimate, se * sqrt(now / units), units, 0.05, 5000, SIDES_TWO).interval;
}

static void test_forecast__the_end_crosses_where_it_says(void **state)
{
    (void)state;
    const double now = 4000, estimate = 0.05, se = 0.03, boundaries[] = {0, -0.02, 0.01};
    for (size_t i = 0; i < sizeof boundaries / sizeof *boundaries; i++) {
        double boundary = boundaries[i], end = at(now, now, estimate, se).low;
        assert_true(end < boundary);
        struct forecast forecast = forecast_crossing(&rule, now, estimate, end, se, boundary);
        assert_true(forecast.known && forecast.low > 0);
        double lucky = estimate + quartile * se, from = now + forecast.low;
        assert_true(at(from * 1.000001, now, lucky, se).low >= boundary);
        assert_true(at(from * 0.999, now, lucky, se).low < boundary);
        if (isfinite(forecast.high)) {
            double unlucky = estimate - quartile * se, to = now + forecast.high;
            assert_true(forecast.high >= forecast.low);
            assert_true(at(to * 1.000001, now, unlucky, se).low >= boundary);
            assert_true(at(to * 0.999, now, unlucky, se).low < boundary);
        }
    }
}

static void test_forecast__upper_ends_mirror_lower_ones(void **state)
{
    (void)state;
    struct interval up = at(4000, 4000, 0.05, 0.03), down = at(4000, 4000, -0.05, 0.03);
    struct forecast a = forecast_crossing(&rule, 4000, 0.05, up.low, 0.03, 0);
    struct forecast b = forecast_crossing(&rule, 4000, -0.05, down.high, 0.03, 0);
    assert_true(a.known && b.known && fabs(a.low - b.low) < 1e-6 * a.low);
}

static void test_forecast__limits(void **state)
{
    (void)state;
    struct forecast crossed = forecast_crossing(&rule, 4000, 0.5, 0.4, 0.03, 0);
    assert_true(crossed.known && crossed.low == 0 && crossed.high == 0);
    /* The estimate lies far beyond the boundary: the interval closes in on the wrong side. */
    assert_false(forecast_crossing(&rule, 4000, -0.2, -0.3, 0.03, 0).known);
    assert_false(forecast_crossing(&rule, 0, 0.05, -0.1, 0.03, 0).known);
    assert_false(forecast_crossing(&rule, 4000, NAN, -0.1, 0.03, 0).known);
    struct forecast far = forecast_crossing(&rule, 4000, 0.05, -0.1, 0.03, 0.049);
    assert_true(far.known && isinf(far.high));
    /* Without a standard error that of an interval as wide is taken. */
    double end = at(4000, 4000, 0.05, 0.03).low;
    struct forecast with = forecast_crossing(&rule, 4000, 0.05, end, 0.03, 0);
    struct forecast without = forecast_crossing(&rule, 4000, 0.05, end, 0, 0);
    assert_true(fabs(with.low - without.low) < 1e-6 * with.low);
}

static void test_forecast__needed_has_the_power_and_no_more(void **state)
{
    (void)state;
    const double z[] = {0, 0.8416212335729143}, power[] = {0.5, 0.8};
    for (size_t i = 0; i < 2; i++) {
        double n = forecast_needed(&rule, 1000, 0.05, 0.04, power[i]);
        struct interval interval = at(n * 1.000001, 1000, 0.04, 0.05);
        assert_true(interval.low >= z[i] * 0.05 * sqrt(1000 / n) - 1e-9);
        interval = at(n * 0.999, 1000, 0.04, 0.05);
        assert_true(interval.low < z[i] * 0.05 * sqrt(1000 / n));
    }
    assert_true(isinf(forecast_needed(&rule, 50, 0.05, 0.04, 0.8)));
    assert_true(isinf(forecast_needed(&rule, 1000, 0.05, 0, 0.8)));
    assert_true(isinf(forecast_needed(&rule, 1000, 0.05, 1e-9, 0.8)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forecast__the_end_crosses_where_it_says),
        cmocka_unit_test(test_forecast__upper_ends_mirror_lower_ones),
        cmocka_unit_test(test_forecast__limits),
        cmocka_unit_test(test_forecast__needed_has_the_power_and_no_more),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("forecast", tests, NULL, NULL);
}
