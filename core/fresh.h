/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fresh: when the last event came in that an experiment counts, so that one whose events stopped
 * is noticed. In memory; what outlives a restart is in the evidence of the last look. Any
 * thread. */
#ifndef UPLIFT_CORE_FRESH_H
#define UPLIFT_CORE_FRESH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "core/catalog.h"
#include "core/event.h"

struct fresh {
    pthread_mutex_t lock;
    int64_t *at; /* lock; by number of experiment, ms, 0: none yet */
    size_t room; /* lock */
};

void fresh_init(struct fresh *fresh);
void fresh_release(struct fresh *fresh);

/* Notes a batch that came in at `now` (ms) for every experiment that counts one of its events: an
 * exposure to it, an outcome or an answer that one of its metrics is made of. */
void fresh_note(struct fresh *fresh, const struct catalog *catalog, const struct event *events,
                size_t count, int64_t now);
/* The time for an experiment, or 0. */
int64_t fresh_at(struct fresh *fresh, uint32_t experiment);

#endif
