/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Histogram: how long something took, counted in fixed buckets, for operators. Any thread; a
 * reader may see a count that its sum does not hold yet. */
#ifndef UPLIFT_CORE_HISTOGRAM_H
#define UPLIFT_CORE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Upper ends of the buckets in seconds; what is above the last one is in a bucket of its own. */
enum { HISTOGRAM_BOUNDS = 15 };
extern const double histogram_bounds[HISTOGRAM_BOUNDS];

/* All zero is an empty one. */
struct histogram {
    atomic_uint_fast64_t counts[HISTOGRAM_BOUNDS + 1];
    atomic_uint_fast64_t nanoseconds; /* the sum */
};

void histogram_add(struct histogram *histogram, int64_t nanoseconds);
/* How many were added. */
uint64_t histogram_count(const struct histogram *histogram);

/* Nanoseconds of the clock that does not jump: the difference of two is how long it took. */
int64_t histogram_now(void);

#endif
