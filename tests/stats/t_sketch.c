/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sketch: bins hold their values whatever they are, parts add up, and capped moments are those of
 * the capped values themselves. */
#include "tests/stats/near.h"

#include "stats/sketch.h"

#include <float.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sort.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 20000 };

/* Any double but NaN and infinity: random bits. */
static double any_double(gsl_rng *rng)
{
    for (;;) {
        uint64_t high = gsl_rng_get(rng), low = gsl_rng_get(rng), bits = high << 32 | low;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            return value;
    }
}

static void assert_holds(double value)
{
    int32_t bin = sketch_bin_of(value);
    double low = sketch_bin_low(bin), high = sketch_bin_high(bin);
    if (bin == 0 || !(low <= value && value <= high))
        fail_msg("%.17g is not within bin %d, %.17g to %.17g", value, bin, low, high);
    assert_int_equal(sketch_bin_of(-value), value == 0 ? 1 : 1 - bin);
    if (fabs(value) >= DBL_MIN && !(high - low <= 0.0079 * fabs(value)))
        fail_msg("the bin of %.17g is %.17g wide", value, high - low);
}

static void test_sketch__a_bin_holds_its_values(void **state)
{
    (void)state;
    static const double edges[] = {0,     1,       -1,      0.5,           2,        1024,
                                   1e10,  DBL_MAX, DBL_MIN, 5e-324,        1.5e-323, -0.0,
                                   212.4, 0.01,    255,     255.999999999, 256,      -DBL_MAX};
    gsl_rng *rng = chance(20261201);
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        assert_holds(edges[i]);
    for (int i = 0; i < 200000; i++)
        assert_holds(any_double(rng));
    gsl_rng_free(rng);
}

static void test_sketch__larger_values_have_later_bins(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261202);
    for (int i = 0; i < 100000; i++) {
        double a = any_double(rng),
               b = i % 2 ? any_double(rng) : a * (1 + gsl_rng_uniform(rng) / 99);
        if (!isfinite(b))
            continue;
        int32_t of_a = sketch_bin_of(a), of_b = sketch_bin_of(b);
        assert_true(a <= b ? of_a <= of_b : of_a >= of_b);
    }
    /* Neighbours share an edge, which lies in the bin away from zero. */
    for (int32_t bin = sketch_bin_of(0.003); bin < sketch_bin_of(900); bin++) {
        assert_true(sketch_bin_high(bin) == sketch_bin_low(bin + 1));
        assert_int_equal(sketch_bin_of(sketch_bin_low(bin)), bin);
        assert_int_equal(sketch_bin_of(sketch_bin_high(1 - bin)), 1 - bin);
    }
    gsl_rng_free(rng);
}

/* --- sketches of values --- */

/* A sketch of (y, x) pairs, as the ledger makes it. Bins are the caller's to free. */
static struct sketch sketch_of(const double *y, const double *x, size_t count)
{
    struct sketch_bin *bins = calloc(count, sizeof *bins), *sorted = calloc(count, sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        int32_t bin = sketch_bin_of(y[i]);
        bins[i] = (struct sketch_bin){sketch_bin_low(bin),
                                      sketch_bin_high(bin),
                                      {1, y[i], y[i] * y[i], x[i], x[i] * x[i], x[i] * y[i]}};
    }
    struct sketch all = {bins, count}, out = {sorted, 0};
    assert_true(sketch_pool(&all, 1, &out));
    free(bins);
    return out;
}

struct sample {
    double *y, *x;
};

static struct sample sample_of(gsl_rng *rng, size_t count)
{
    struct sample s = {calloc(count, sizeof(double)), calloc(count, sizeof(double))};
    for (size_t i = 0; i < count; i++) {
        s.x[i] = gsl_ran_lognormal(rng, 2, 1.2);
        s.y[i] = gsl_rng_uniform(rng) < 0.3 ? 0 : s.x[i] * gsl_ran_lognormal(rng, 0, 0.7) - 1;
    }
    return s;
}

static void test_sketch__parts_add_up_to_the_whole(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261203);
    struct sample s = sample_of(rng, VALUES);
    struct sketch whole = sketch_of(s.y, s.x, VALUES), parts[7];
    for (size_t i = 0; i < 7; i++) /* in another order */
        parts[6 - i] = sketch_of(s.y + VALUES / 7 * i, s.x + VALUES / 7 * i,
                                 i < 6 ? VALUES / 7 : VALUES - 6 * (VALUES / 7));
    struct sketch pooled = {calloc(VALUES, sizeof *pooled.bins), 0};
    assert_true(sketch_pool(parts, 7, &pooled));
    assert_int_equal(pooled.count, whole.count);
    for (size_t i = 0; i < whole.count; i++) {
        assert_true(pooled.bins[i].low == whole.bins[i].low);
        assert_true(pooled.bins[i].sums.n == whole.bins[i].sums.n);
        near("sum", pooled.bins[i].sums.sum, whole.bins[i].sums.sum, 1e-12, 0);
        near("product", pooled.bins[i].sums.product, whole.bins[i].sums.product, 1e-12, 0);
    }
    assert_true(sketch_n(&pooled) == VALUES);
    for (size_t i = 0; i < 7; i++)
        free(parts[i].bins);
    free(pooled.bins);
    free(whole.bins);
    free(s.x);
    free(s.y);
    gsl_rng_free(rng);
}

static void test_sketch__quantiles_are_within_a_bin_of_the_exact_ones(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261204);
    struct sample s = sample_of(rng, VALUES);
    struct sketch sketch = sketch_of(s.y, s.x, VALUES);
    gsl_sort(s.y, 1, VALUES);
    for (double p = 0.01; p <= 1; p += 0.01) {
        double exact = s.y[(size_t)ceil(p * VALUES - 1e-6) - 1], got, cap;
        assert_true(sketch_quantile(&sketch, p, &got));
        assert_true(sketch_cap(&sketch, p, &cap));
        int32_t bin = sketch_bin_of(exact);
        assert_true(got >= sketch_bin_low(bin) && got <= sketch_bin_high(bin));
        assert_true(cap == sketch_bin_high(bin));
        assert_int_equal(sketch_split_at(&sketch, cap), sketch.count);
    }
    free(sketch.bins);
    free(s.x);
    free(s.y);
    gsl_rng_free(rng);
}

/* Directly over the values, in long double. */
static struct moments directly(const struct sample *s, size_t count, double cap)
{
    struct moments arm = moments_empty(MOMENTS_MEAN, true);
    for (size_t i = 0; i < count; i++)
        moments_add(&arm, fmin(s->y[i], cap), s->x[i]);
    return arm;
}

static void test_sketch__capped_moments_are_those_of_the_capped_values(void **state)
{
    (void)state;
    gsl_rng *rng = chance(20261205);
    struct sample s = sample_of(rng, VALUES);
    struct sketch sketch = sketch_of(s.y, s.x, VALUES);
    static const double levels[] = {0.05, 0.2, 0.5, 0.9, 0.99, 1};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        double cap;
        assert_true(sketch_cap(&sketch, levels[i], &cap));
        struct moments want = directly(&s, VALUES, cap);
        struct moments got = sketch_capped(&sketch, cap, true);
        assert_true(got.n == want.n);
        near("y", (double)got.y, (double)want.y, 1e-13, 1e-13);
        near("yy", (double)got.yy, (double)want.yy, 1e-11, 0);
        near("x", (double)got.x, (double)want.x, 1e-13, 0);
        near("xx", (double)got.xx, (double)want.xx, 1e-11, 0);
        near("xy", (double)got.xy, (double)want.xy, 1e-11, 1e-6);
    }
    free(sketch.bins);
    free(s.x);
    free(s.y);
    gsl_rng_free(rng);
}

/* Values near 1e6 with a standard deviation of 1 lie in one or two bins; a billion of them. */
static void test_sketch__keeps_a_small_variance_far_from_zero(void **state)
{
    (void)state;
    double low = 999999, high = 1000001, n = 5e8;
    struct sketch_bin bins[] = {{low, low, {n, n * low, n * low * low, 0, 0, 0}},
                                {high, high, {n, n * high, n * high * high, 0, 0, 0}}};
    struct sketch sketch = {bins, 2};
    struct moments arm = sketch_capped(&sketch, 2e6, false);
    long double variance;
    assert_true(moments_variance(&arm, &variance));
    near("variance", (double)variance, 1, 1e-6, 0);
    arm = sketch_capped(&sketch, 999999, false);
    assert_true(moments_variance(&arm, &variance) && variance == 0);
    assert_true(arm.y == 999999 && arm.n == 1e9L);
}

static void test_sketch__edges(void **state)
{
    (void)state;
    double got;
    struct sketch_bin room[4];
    struct sketch none = {NULL, 0}, out = {room, 0};
    assert_false(sketch_quantile(&none, 0.9, &got) || sketch_cap(&none, 0.9, &got));
    assert_true(sketch_n(&none) == 0 && sketch_capped(&none, 5, false).n == 0);
    assert_true(sketch_pool(NULL, 0, &out) && out.count == 0);
    struct sketch_bin one[] = {{3, 3, {.n = 1}}};
    assert_true(sketch_quantile(&(struct sketch){one, 1}, 0.5, &got) && got == 3);
    struct sketch_bin zeros[] = {{0, 0, {.n = 100}}};
    assert_true(sketch_cap(&(struct sketch){zeros, 1}, 0.99, &got) && got == 0);
    struct sketch_bin two[] = {{0, 0, {.n = 55}}, {1, 2, {.n = 45}}};
    assert_true(sketch_quantile(&(struct sketch){two, 2}, 0.55, &got) && got == 0);
    assert_true(sketch_quantile(&(struct sketch){two, 2}, 1, &got));
    near("the largest", got, 2, 1e-14, 0);
    assert_int_equal(sketch_split_at(&(struct sketch){two, 2}, 1.5), 1);
    /* Overlapping bins, that are not the same, have no order. */
    struct sketch_bin over[] = {{1.5, 3, {.n = 1}}};
    struct sketch parts[] = {{two, 2}, {over, 1}};
    assert_false(sketch_pool(parts, 2, &out));
    struct sketch_bin touch[] = {{2, 2, {.n = 1}}, {2, 3, {.n = 1}}};
    parts[1] = (struct sketch){touch, 2};
    assert_true(sketch_pool(parts, 2, &out) && out.count == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sketch__a_bin_holds_its_values),
        cmocka_unit_test(test_sketch__larger_values_have_later_bins),
        cmocka_unit_test(test_sketch__parts_add_up_to_the_whole),
        cmocka_unit_test(test_sketch__quantiles_are_within_a_bin_of_the_exact_ones),
        cmocka_unit_test(test_sketch__capped_moments_are_those_of_the_capped_values),
        cmocka_unit_test(test_sketch__keeps_a_small_variance_far_from_zero),
        cmocka_unit_test(test_sketch__edges),
    };
    return run_all(tests);
}
