/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Buckets: the public GrowthBook hash, version 2, and the ranges of variants, so that an SDK that
 * decides by itself and this server always agree. Pure functions, any thread.
 *
 * All of it is IEEE double arithmetic in the order written here, compiled with
 * -ffp-contract=off: a fused `cum + coverage * w` moves range ends across bucket values. */
#ifndef UPLIFT_CORE_BUCKET_H
#define UPLIFT_CORE_BUCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text.h"

struct range {
    double from, to; /* from ≤ n < to */
};

/* The bucket of a value under a seed, one of 0, 0.0001, … 0.9999: FNV-1a (32 bits) over the UTF-16
 * code units of seed and value, its decimal digits hashed once more, modulo 10,000. Both are valid
 * UTF-8; a byte that is not is hashed as a unit of its own. */
double bucket_of(struct slice seed, struct slice value);

/* The same by version 1, one of 0, 0.001, … 0.999: value, then seed, hashed once. Only for reading
 * what others wrote: it is not as even, and a seed hardly changes it. */
double bucket_of_version_1(struct slice seed, struct slice value);

static inline bool bucket_in(double n, struct range range)
{
    return n >= range.from && n < range.to;
}

/* The ranges of `count` variants, into out[count]: from the sum of the weights before it, as long
 * as coverage · weight. Coverage is clamped to [0, 1]. Weights that are NULL, or whose sum is not
 * within 0.99…1.01, count as equal. Raising coverage only extends each range at its end. */
void bucket_ranges(size_t count, double coverage, const double *weights, struct range *out);

/* The first range that holds n, or -1. */
int bucket_choose(double n, const struct range *ranges, size_t count);

#endif
