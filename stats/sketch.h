/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sketch: the values of an arm by bins, whatever their number: quantiles to within a bin, and the
 * moments of values capped at a bin's edge, exactly.
 *
 * A value's bin is its sign, its binary exponent and the top 7 bits of its mantissa: 128 bins an
 * octave, none wider than 0.8% of its value, and zero has one of its own. The bounds of bins are
 * doubles and found without a logarithm, so a value has the same bin on every machine. A bin keeps
 * the sums of its units, so sketches of parts add up to that of the whole in any order, and what
 * was added can be taken away.
 *
 * The pooled quantile of level p is the value of rank p n, n units in all. Capping there
 * (winsorizing) replaces each larger value by the cap: with the cap at the upper edge of the bin
 * that holds that rank, all bins are wholly below or wholly above, and
 *
 *     n  = sum of n_i
 *     y' = y below, cap above: sum y' = sum_below y + cap n_above, likewise y'^2 and y' x
 *
 * are those of the values themselves [Tukey1962]. The covariate x is not capped. The cap comes of
 * the data of all arms together, which leaves a comparison of the arms as honest as one with a cap
 * that was fixed: under the null they have the same distribution, and it settles as units come.
 *
 * Plain values; all functions are pure and thread-safe. Tags: stats/REFERENCES.md. */
#ifndef UPLIFT_STATS_SKETCH_H
#define UPLIFT_STATS_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/moments.h"

/* The bin of a finite value. Larger values have the same bin or a larger one; never 0, which is
 * free to say "no bin"; that of -v is 1 minus that of v, but for zero's, 1. */
int32_t sketch_bin_of(double value);
/* The bounds of a bin that sketch_bin_of gives: low <= value <= high. Neighbours share an edge, and
 * a value on it lies in the bin away from zero. Zero's bin has both bounds 0. */
double sketch_bin_low(int32_t bin);
double sketch_bin_high(int32_t bin);

/* The units of one bin; low = high where all have one value. Quantiles read only sums.n. */
struct sketch_bin {
    double low, high;
    struct moments_sums sums;
};

/* Bins in increasing order, which do not overlap (edges may be shared). Borrows its bins. */
struct sketch {
    struct sketch_bin *bins;
    size_t count;
};

/* Units of all bins. */
double sketch_n(const struct sketch *sketch);
/* Puts the bins of all parts into out->bins, which has room for as many, equal ones added up, in
 * order. False, and *out is of no use, where two bins overlap without being the same. */
bool sketch_pool(const struct sketch *parts, size_t count, struct sketch *out);
/* The quantile of level 0 < p <= 1, with ranks spread evenly within a bin. False at n = 0. */
bool sketch_quantile(const struct sketch *sketch, double level, double *out);
/* The upper edge of the bin of the value of rank p n. False at n = 0. */
bool sketch_cap(const struct sketch *sketch, double level, double *out);
/* The first bin with `cap` inside (low < cap < high), or count: of such a sketch capped moments are
 * not known. */
size_t sketch_split_at(const struct sketch *sketch, double cap);
/* The moments (MOMENTS_MEAN) of the values capped at `cap`, which splits no bin. */
struct moments sketch_capped(const struct sketch *sketch, double cap, bool covariate);

#endif
