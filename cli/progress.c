/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The progress bar: drawn over itself with a carriage return, wiped at the end. */
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 30, FIRST_AFTER_MS = 500, EVERY_MS = 100 };

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_start(struct progress *progress, const char *label)
{
    *progress = (struct progress){
        .label = label, .on = isatty(STDERR_FILENO) == 1, .started = monotonic_ms()};
}

void progress_step(struct progress *progress, double done)
{
    if (!progress->on)
        return;
    int64_t now = monotonic_ms();
    if (now - progress->started < FIRST_AFTER_MS || now - progress->shown < EVERY_MS)
        return;
    progress->shown = now;
    done = fmin(fmax(done, 0), 1);
    int filled = (int)(done * WIDTH);
    fprintf(stderr, "\r%s [%.*s%*s] %3d%%", progress->label, filled,
            "##############################", WIDTH - filled, "", (int)(done * 100));
    fflush(stderr);
}

void progress_done(struct progress *progress)
{
    if (progress->on && progress->shown)
        fputs("\r\033[K", stderr);
    progress->on = false;
}
