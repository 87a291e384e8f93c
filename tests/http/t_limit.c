/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Token buckets: a burst, then the rate; each id by itself; bounded, and no refusal by crowding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/limit.h"

static int taken(struct limit *limit, const char *id, long long now, int tries)
{
    int count = 0;
    for (int i = 0; i < tries; i++)
        count += limit_take(limit, id, 0, now);
    return count;
}

static void test_limit__burst_then_rate(void **state)
{
    (void)state;
    struct limit *limit = limit_new(10, 5);
    assert_int_equal(taken(limit, "a", 1000, 100), 5);
    assert_int_equal(taken(limit, "a", 1099, 100), 0);
    assert_int_equal(taken(limit, "a", 1100, 100), 1);
    assert_int_equal(taken(limit, "a", 1400, 100), 3);
    assert_int_equal(taken(limit, "a", 60000, 100), 5); /* no more than a burst gathers */
    assert_int_equal(taken(limit, "a", 59000, 100), 0); /* a clock that went back gives nothing */
    assert_int_equal(taken(limit, "b", 60000, 100), 5);
    limit_free(&limit);
    assert_null(limit);
}

static void test_limit__off_and_nobody(void **state)
{
    (void)state;
    struct limit *off = limit_new(0, 0), *on = limit_new(1, 1);
    assert_int_equal(taken(off, "a", 0, 1000), 1000);
    assert_int_equal(taken(on, "", 0, 1000), 1000);
    /* A rate of its own, also where there is no limit. */
    assert_true(limit_take(off, "own", 1, 0));
    assert_false(limit_take(off, "own", 1, 0));
    assert_true(limit_take(off, "own", 1, 1000));
    limit_free(&off);
    limit_free(&on);
}

/* Far more ids than there are places: each first request is granted, and memory does not grow. */
static void test_limit__a_crowd_is_let_in(void **state)
{
    (void)state;
    struct limit *limit = limit_new(1, 2);
    char id[24];
    for (int i = 0; i < 20000; i++) {
        snprintf(id, sizeof id, "key-%d", i);
        assert_true(limit_take(limit, id, 0, 1000));
    }
    limit_free(&limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit__burst_then_rate),
        cmocka_unit_test(test_limit__off_and_nobody),
        cmocka_unit_test(test_limit__a_crowd_is_let_in),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
