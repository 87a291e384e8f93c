/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the commands that copy a store share: the words at their end. */
#ifndef UPLIFT_CLI_COPY_H
#define UPLIFT_CLI_COPY_H

#include <stdint.h>

/* Seconds of a clock that only goes on. */
double copy_clock(void);
/* "what: 12 bytes of rows, in 0.1 s (120 MB/s)", since `start` of copy_clock. */
void copy_done(const char *what, uint64_t bytes, double start);

#endif
