/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Leap: a clock that is not believed at once where it runs away.
 *
 * Stamps never go back (stamp.h), so one minute of a clock that shows next year would stamp a year
 * of events with that minute. Where the clock is more than LEAP_LEAST further on than the time that
 * passed by the steady clock of the machine, it is doubted, and the time that passed is what
 * counts, until the clock is right again or has been so for LEAP_DOUBT: then it is believed, as
 * after a long sleep of a virtual machine. The time at the start, and a clock that is set back, are
 * believed at once. */
#ifndef UPLIFT_CORE_LEAP_H
#define UPLIFT_CORE_LEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/when.h"

#define LEAP_LEAST WHEN_HOUR
#define LEAP_DOUBT (15 * 60 * WHEN_SECOND)

struct leap {
    struct clock clock;        /* set at begin */
    atomic_int_fast64_t apart; /* ms: the clock's time less the steady one, when last believed */
    atomic_int_fast64_t since; /* steady ms: when doubt began; -1: there is none */
};

/* A clock without a steady one beside it is believed always. */
void leap_begin(struct leap *leap, const struct clock *clock);
/* The clock's time (ms) or, while that is doubted, the one that it should show. Any thread. */
int64_t leap_now(struct leap *leap);
/* Whether the clock is doubted now. Any thread. */
bool leap_doubts(struct leap *leap);

#endif
