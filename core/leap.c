/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads that meet here may each set what the others set: all saw the same clocks. */
#include "core/leap.h"

void leap_begin(struct leap *leap, const struct clock *clock)
{
    leap->clock = *clock;
    int64_t steady = clock->steady ? clock->steady(clock->data) : 0;
    atomic_store(&leap->apart, clock_now(clock) - steady);
    atomic_store(&leap->since, -1);
}

/* Written only where something changed, as every thread reads it. */
static int64_t believe(struct leap *leap, int64_t now, int64_t steady)
{
    int64_t apart = now - steady, before = atomic_load(&leap->apart);
    if (apart > before + WHEN_SECOND || apart < before - WHEN_SECOND)
        atomic_store(&leap->apart, apart);
    if (atomic_load(&leap->since) >= 0)
        atomic_store(&leap->since, -1);
    return now;
}

int64_t leap_now(struct leap *leap)
{
    int64_t now = clock_now(&leap->clock);
    if (!leap->clock.steady)
        return now;
    int64_t steady = leap->clock.steady(leap->clock.data);
    int64_t expected = atomic_load(&leap->apart) + steady, since = atomic_load(&leap->since);
    if (now <= expected + LEAP_LEAST || (since >= 0 && steady - since >= LEAP_DOUBT))
        return believe(leap, now, steady);
    if (since < 0)
        atomic_store(&leap->since, steady);
    return expected;
}

bool leap_doubts(struct leap *leap)
{
    leap_now(leap);
    return atomic_load(&leap->since) >= 0;
}
