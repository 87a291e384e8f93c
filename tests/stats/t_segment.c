/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segment: limits of shrinking; reference values are studies of tests/data/stats. */
#include "tests/stats/near.h"

#include "stats/segment.h"

static void test_segment__equal_effects_have_no_spread(void **state)
{
    (void)state;
    struct segment_effect effects[] = {{0.1, 0.02}, {0.1, 0.05}, {0.1, 0.01}};
    struct segment_spread spread = segment_spread_of(effects, 3);
    near("q", spread.q, 0, 0, 1e-20);
    assert_true(spread.df == 2 && spread.tau_squared == 0);
    near("p", spread.p_value, 1, 1e-12, 0);
    struct segment_effect shrunk = segment_shrink(effects[1], &spread);
    near("centre", shrunk.estimate, 0.1, 1e-14, 0);
    near("its se", shrunk.se, 1 / sqrt(1 / 4e-4 + 1 / 25e-4 + 1 / 1e-4), 1e-14, 0);
}

/* By hand: w = 100 each, dbar = 0.2, Q = 100 (0.04 + 0.04) = 8, C = 200 - 100 = 100,
 * tau^2 = 7/100, mu = 0.2, shrunk = (d 100 + mu / 0.07) / (100 + 1/0.07). */
static void test_segment__by_hand(void **state)
{
    (void)state;
    struct segment_effect effects[] = {{0, 0.1}, {0.4, 0.1}};
    struct segment_spread spread = segment_spread_of(effects, 2);
    near("q", spread.q, 8, 1e-14, 0);
    near("tau^2", spread.tau_squared, 0.07, 1e-13, 0);
    near("p", spread.p_value, erfc(sqrt(8.0 / 2)), 1e-12, 0);
    struct segment_effect shrunk = segment_shrink(effects[0], &spread);
    near("estimate", shrunk.estimate, 0.2 / 0.07 / (100 + 1 / 0.07), 1e-13, 0);
    near("se", shrunk.se, 1 / sqrt(100 + 1 / 0.07), 1e-13, 0);
}

static void test_segment__one_alone_is_its_own_centre(void **state)
{
    (void)state;
    struct segment_effect effect = {0.3, 0.1};
    struct segment_spread spread = segment_spread_of(&effect, 1);
    assert_true(spread.q == 0 && spread.df == 0 && spread.p_value == 1);
    struct segment_effect shrunk = segment_shrink(effect, &spread);
    near("estimate", shrunk.estimate, 0.3, 1e-15, 0);
    near("se", shrunk.se, 0.1, 1e-14, 0);
}

static void test_segment__extreme_sizes_stay_finite(void **state)
{
    (void)state;
    struct segment_effect effects[] = {{1e300, 1e-300}, {-1e300, 1e-300}, {0, 1e300}};
    struct segment_spread spread = segment_spread_of(effects, 3);
    assert_true(isfinite(spread.q) && isfinite(spread.p_value) && isfinite(spread.centre));
    for (int i = 0; i < 3; i++) {
        struct segment_effect shrunk = segment_shrink(effects[i], &spread);
        assert_true(isfinite(shrunk.estimate) && isfinite(shrunk.se));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment__equal_effects_have_no_spread),
        cmocka_unit_test(test_segment__by_hand),
        cmocka_unit_test(test_segment__one_alone_is_its_own_centre),
        cmocka_unit_test(test_segment__extreme_sizes_stay_finite),
    };
    return run_all(tests);
}
