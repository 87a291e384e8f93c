/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sketch: bins from the bits of a double. Capped moments merge bin by bin, so that no raw sum of
 * squares is formed over all of them. */
#include "stats/sketch.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* The smallest double is 0.5 * 2^EXPONENT_LEAST. ZERO and FIRST are the bins of zero and of the
 * smallest positive values. */
enum { PER_OCTAVE = 128, EXPONENT_LEAST = -1073, ZERO = 1, FIRST = 2 };

int32_t sketch_bin_of(double value)
{
    int exponent;
    if (value == 0)
        return ZERO;
    double mantissa = frexp(fabs(value), &exponent);
    int part = (int)((mantissa - 0.5) * 2 * PER_OCTAVE);
    int32_t bin = FIRST + (exponent - EXPONENT_LEAST) * PER_OCTAVE + part;
    return value > 0 ? bin : ZERO - bin;
}

/* Where a bin of positive values begins. */
static double edge(int32_t bin)
{
    int32_t steps = bin - FIRST;
    double mantissa = 0.5 + (double)(steps % PER_OCTAVE) / (2 * PER_OCTAVE);
    return fmin(ldexp(mantissa, steps / PER_OCTAVE + EXPONENT_LEAST), DBL_MAX);
}

double sketch_bin_low(int32_t bin)
{
    if (bin == ZERO)
        return 0;
    return bin > 0 ? edge(bin) : -sketch_bin_high(ZERO - bin);
}

double sketch_bin_high(int32_t bin)
{
    if (bin == ZERO)
        return 0;
    return bin > 0 ? edge(bin + 1) : -sketch_bin_low(ZERO - bin);
}

double sketch_n(const struct sketch *sketch)
{
    double n = 0;
    for (size_t i = 0; i < sketch->count; i++)
        n += sketch->bins[i].sums.n;
    return n;
}

static int by_bounds(const void *a, const void *b)
{
    const struct sketch_bin *x = a, *y = b;
    int low = (x->low > y->low) - (x->low < y->low);
    return low ? low : (x->high > y->high) - (x->high < y->high);
}

static void add(struct moments_sums *into, const struct moments_sums *from)
{
    into->n += from->n;
    into->sum += from->sum;
    into->sum_sq += from->sum_sq;
    into->other += from->other;
    into->other_sq += from->other_sq;
    into->product += from->product;
}

bool sketch_pool(const struct sketch *parts, size_t count, struct sketch *out)
{
    struct sketch_bin *bins = out->bins;
    size_t all = 0, kept = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < parts[i].count; j++)
            bins[all++] = parts[i].bins[j];
    if (all > 1)
        qsort(bins, all, sizeof *bins, by_bounds);
    for (size_t i = 0; i < all; i++) {
        struct sketch_bin *last = kept ? &bins[kept - 1] : NULL;
        if (last && by_bounds(last, &bins[i]) == 0)
            add(&last->sums, &bins[i].sums);
        else if (last && bins[i].low < last->high)
            return false;
        else
            bins[kept++] = bins[i];
    }
    out->count = kept;
    return true;
}

/* The bin of the value of rank p n, and the units below it. The rank is taken a rounding lower, so
 * that 0.55 of 100 is the 55th. */
static bool find_rank(const struct sketch *sketch, double level, size_t *at, double *rank,
                      double *below)
{
    double n = sketch_n(sketch), sum = 0;
    *rank = level * n * (1 - 4 * DBL_EPSILON);
    for (size_t i = 0; i < sketch->count; i++) {
        *at = i;
        *below = sum;
        sum += sketch->bins[i].sums.n;
        if (sum >= *rank && sum > 0)
            return true;
    }
    return false;
}

bool sketch_quantile(const struct sketch *sketch, double level, double *out)
{
    size_t at;
    double rank, below;
    if (!find_rank(sketch, level, &at, &rank, &below))
        return false;
    const struct sketch_bin *bin = &sketch->bins[at];
    double share = (rank - below) / bin->sums.n;
    *out = bin->low == bin->high ? bin->low : bin->low * (1 - share) + bin->high * share;
    return true;
}

bool sketch_cap(const struct sketch *sketch, double level, double *out)
{
    size_t at;
    double rank, below;
    if (!find_rank(sketch, level, &at, &rank, &below))
        return false;
    *out = sketch->bins[at].high;
    return true;
}

size_t sketch_split_at(const struct sketch *sketch, double cap)
{
    size_t at = 0;
    while (at < sketch->count && !(sketch->bins[at].low < cap && cap < sketch->bins[at].high))
        at++;
    return at;
}

struct moments sketch_capped(const struct sketch *sketch, double cap, bool covariate)
{
    struct moments arm = moments_empty(MOMENTS_MEAN, covariate);
    for (size_t i = 0; i < sketch->count; i++) {
        const struct sketch_bin *bin = &sketch->bins[i];
        struct moments part = moments_of_sums(MOMENTS_MEAN, covariate, &bin->sums);
        if (bin->high > cap && part.n > 0) {
            part.y = cap;
            part.yy = part.xy = 0;
        }
        arm = moments_merge(&arm, &part);
    }
    return arm;
}
