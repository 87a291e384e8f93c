/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A progress bar on standard error, only where that is a terminal and the work takes longer than
 * half a second. One bar at a time, one thread. */
#ifndef UPLIFT_CLI_PROGRESS_H
#define UPLIFT_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    bool on;
    int64_t started, shown; /* milliseconds of the monotonic clock */
};

/* Begins a bar; `label` is borrowed until progress_done. */
void progress_start(struct progress *progress, const char *label);
/* `done` is a share from 0 to 1. Cheap to call often: draws at most ten times a second. */
void progress_step(struct progress *progress, double done);
/* Wipes the bar. */
void progress_done(struct progress *progress);

#endif
