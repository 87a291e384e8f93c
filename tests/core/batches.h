/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batches of events that can be told from one another, and what must hold of them after a crash:
 * each that was acknowledged is in the history whole, every event once, no batch in part, and a
 * recount finds no difference. For tests of kill -9, of power cuts and of disks that fail. */
#ifndef UPLIFT_TESTS_CORE_BATCHES_H
#define UPLIFT_TESTS_CORE_BATCHES_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/uplift.h"

enum { BATCH = 20, BATCHES_MAX = 100000, BATCH_CUSTOMERS = 3000 };
#define BATCHES_START INT64_C(1790000000000)

/* Stands still, well after the last event. */
extern const struct clock batches_clock;

/* Ends the test where it cannot be opened. */
struct uplift *batches_open(const char *folder);
/* An experiment of two variants, started, with metrics of several kinds. */
void batches_define(struct uplift *uplift);
/* Changes what a metric counts, so that all is counted anew in the background; or the traffic, so
 * that a new epoch begins. False with *err where it could not be written. */
bool batches_change(struct uplift *uplift, uint32_t number, struct error *err);

/* New reference; events of ten customers. */
json_t *batch_of(uint32_t number);

/* Sends batches of that many numbers from *next on, at most eight of them in flight, until *stop or
 * `most` of them were sent. `told` hears, from the writer thread, of each how it went. */
struct batches_sender {
    struct uplift *uplift;
    uint32_t next, most;
    atomic_bool stop;
    void (*told)(void *data, uint32_t number, const struct error *err);
    void *data;
};
/* For pthread_create, or called. Waits in the end until none is in flight. */
void *batches_send(void *sender);

/* Waits until what a change made due is counted anew. */
void batches_wait(struct uplift *uplift);

/* What is in the store. `acknowledged` has a byte for each batch, not 0 where it must be there.
 * Prints what is wrong and returns false. `check`: recounts everything too. */
bool batches_hold(struct uplift *uplift, const unsigned char *acknowledged, bool check);

#endif
