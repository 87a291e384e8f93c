/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words at the end of a copy. */
#include "cli/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

double copy_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void copy_done(const char *what, uint64_t bytes, double start)
{
    double took = copy_clock() - start;
    printf("%s: %" PRIu64 " bytes of rows, verified, in %.1f s (%.0f MB/s)\n", what, bytes, took,
           took > 0 ? (double)bytes / took / 1e6 : 0);
}
