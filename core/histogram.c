/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/histogram.h"

#include <time.h>

const double histogram_bounds[HISTOGRAM_BOUNDS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};

void histogram_add(struct histogram *histogram, int64_t nanoseconds)
{
    size_t i = 0;
    if (nanoseconds < 0)
        nanoseconds = 0;
    while (i < HISTOGRAM_BOUNDS && (double)nanoseconds > histogram_bounds[i] * 1e9)
        i++;
    atomic_fetch_add_explicit(&histogram->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->nanoseconds, (uint64_t)nanoseconds, memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    return count;
}

int64_t histogram_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}
