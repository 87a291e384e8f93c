/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was seen is remembered, as far as the bound reaches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/seen.h"

static uint64_t digest(const struct seen *seen, int number)
{
    char customer[32];
    snprintf(customer, sizeof customer, "customer-%d", number);
    return seen_digest(seen, customer, "exp", "a", "seed");
}

static void test_seen__the_latest_are_remembered(void **state)
{
    (void)state;
    struct seen *seen = seen_new(1000, 7);
    for (int i = 0; i < 100000; i++) {
        assert_false(seen_has(seen, digest(seen, i)));
        seen_add(seen, digest(seen, i));
        seen_add(seen, digest(seen, i));
        assert_true(seen_has(seen, digest(seen, i)));
        assert_true(i < 1000 || seen_has(seen, digest(seen, i - 999)));
        assert_true(i < 2001 || !seen_has(seen, digest(seen, i - 2001)));
    }
    seen_free(&seen);
    assert_null(seen);
}

static void test_seen__each_part_counts(void **state)
{
    (void)state;
    struct seen *seen = seen_new(1, 7), *other = seen_new(1, 8);
    uint64_t one = seen_digest(seen, "ab", "c", "d", "s");
    assert_true(one == seen_digest(seen, "ab", "c", "d", "s"));
    assert_true(one != seen_digest(seen, "a", "bc", "d", "s"));
    assert_true(one != seen_digest(seen, "ab", "cd", "", "s"));
    assert_true(one != seen_digest(other, "ab", "c", "d", "s"));
    /* A new phase has another seed: who has the same variant in it is exposed anew. */
    assert_true(one != seen_digest(seen, "ab", "c", "d", "s:2"));
    seen_free(&seen);
    seen_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen__the_latest_are_remembered),
        cmocka_unit_test(test_seen__each_part_counts),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
