/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time: milliseconds since 1970-01-01T00:00:00Z as int64_t, RFC 3339 text, and a clock that can be
 * replaced (the demo and tests live in a past of their own). */
#ifndef UPLIFT_CORE_WHEN_H
#define UPLIFT_CORE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"

#define WHEN_SECOND   INT64_C(1000)
#define WHEN_HOUR     (3600 * WHEN_SECOND)
#define WHEN_DAY      (24 * WHEN_HOUR)
#define WHEN_TEXT_MAX 32
/* The years 1970 to 9999: what the model takes as a time. */
#define WHEN_MIN INT64_C(0)
#define WHEN_MAX INT64_C(253402300799999)

/* Reads RFC 3339 ("2026-11-02T10:00:00.25+01:00"; the zone is required, fractions are cut to
 * milliseconds, a leap second becomes the next second). False where it is not one, or outside
 * WHEN_MIN…WHEN_MAX. */
bool when_parse(struct slice text, int64_t *out);
/* Writes "2026-11-02T10:00:00Z", with ".123" where there are milliseconds; returns out. */
const char *when_format(int64_t when, char out[WHEN_TEXT_MAX]);

/* A source of time; its functions are called by any thread. */
struct clock {
    int64_t (*now)(void *data);
    void *data;
    /* How many ms passed since whenever, whatever is done to the clock meanwhile; NULL: unknown. */
    int64_t (*steady)(void *data);
};

/* The machine's clock. */
extern const struct clock clock_system;
static inline int64_t clock_now(const struct clock *clock)
{
    return clock->now(clock->data);
}

#endif
