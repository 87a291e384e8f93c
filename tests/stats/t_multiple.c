/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiple: R's p.adjust on one example, ties, and monotony. */
#include "tests/stats/near.h"

#include "stats/multiple.h"

static const double given[] = {0.01, 0.04, 0.03, 0.005, 0.55, 0.04};
enum { GIVEN = sizeof given / sizeof given[0] };

/* Adjusts `given` and compares by index. */
static void adjusts_to(enum multiple_method method, const double *want)
{
    struct multiple family[GIVEN];
    for (size_t i = 0; i < GIVEN; i++)
        family[i] = (struct multiple){.p = given[i], .index = i};
    multiple_adjust(family, GIVEN, method);
    for (size_t i = 0; i < GIVEN; i++) {
        near("adjusted", family[i].adjusted, want[family[i].index], 1e-14, 0);
        near("p", family[i].p, given[family[i].index], 0, 0);
    }
}

/* R 4.2.2: p.adjust(c(.01, .04, .03, .005, .55, .04), "holm") and "BH" */
static void test_multiple__equals_p_adjust(void **state)
{
    (void)state;
    adjusts_to(MULTIPLE_HOLM, (double[]){0.05, 0.12, 0.12, 0.03, 0.55, 0.12});
    adjusts_to(MULTIPLE_BH, (double[]){0.03, 0.048, 0.048, 0.03, 0.55, 0.048});
    adjusts_to(MULTIPLE_NONE, given);
}

static void test_multiple__one_and_none(void **state)
{
    (void)state;
    struct multiple one = {.p = 0.2};
    multiple_adjust(&one, 1, MULTIPLE_HOLM);
    assert_true(one.adjusted == 0.2);
    multiple_adjust(&one, 1, MULTIPLE_BH);
    assert_true(one.adjusted == 0.2);
    multiple_adjust(NULL, 0, MULTIPLE_HOLM);
}

/* 1/e may be anything up to infinite. */
static void test_multiple__takes_figures_above_1(void **state)
{
    (void)state;
    struct multiple family[] = {
        {.p = HUGE_VAL, .index = 0}, {.p = 3, .index = 1}, {.p = 0.001, .index = 2}};
    multiple_adjust(family, 3, MULTIPLE_BH);
    near("smallest", family[0].adjusted, 0.003, 1e-14, 0);
    assert_true(family[1].adjusted == 1 && family[2].adjusted == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multiple__equals_p_adjust),
        cmocka_unit_test(test_multiple__one_and_none),
        cmocka_unit_test(test_multiple__takes_figures_above_1),
    };
    return run_all(tests);
}
