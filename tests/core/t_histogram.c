/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Histograms: what falls on a bound belongs to its bucket, and nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/histogram.h"

static uint64_t at(const struct histogram *histogram, size_t i)
{
    return atomic_load(&histogram->counts[i]);
}

static void test_add__each_falls_into_its_bucket(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        int64_t bound = (int64_t)(histogram_bounds[i] * 1e9 + 0.5);
        histogram_add(&histogram, bound);     /* bucket i */
        histogram_add(&histogram, bound + 1); /* the next one */
        if (i > 0)
            assert_true(histogram_bounds[i] > histogram_bounds[i - 1]);
    }
    assert_int_equal(at(&histogram, 0), 1);
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_int_equal(at(&histogram, i), 2);
    assert_int_equal(at(&histogram, HISTOGRAM_BOUNDS), 1);
    assert_int_equal(histogram_count(&histogram), 2 * HISTOGRAM_BOUNDS);
}

static void test_add__the_sum_is_exact_and_never_falls(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, 1);
    histogram_add(&histogram, INT64_C(20000000000));
    histogram_add(&histogram, -5); /* a clock that lies counts as no time */
    assert_int_equal(atomic_load(&histogram.nanoseconds), INT64_C(20000000001));
    assert_int_equal(at(&histogram, 0), 2);
    assert_int_equal(at(&histogram, HISTOGRAM_BOUNDS), 1);
}

static void test_now__goes_on(void **state)
{
    (void)state;
    int64_t before = histogram_now();
    assert_true(before > 0 && histogram_now() >= before);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add__each_falls_into_its_bucket),
        cmocka_unit_test(test_add__the_sum_is_exact_and_never_falls),
        cmocka_unit_test(test_now__goes_on),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
