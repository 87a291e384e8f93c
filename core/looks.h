/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looks: stored results, one a day of the experiment and phase (a later look of the same day takes
 * its place, and carries its running state on).
 *
 * A record is a head, which series and running state are read from, and the whole results,
 * compressed by zlib. Damaged records are ERROR_CORRUPT. */
#ifndef UPLIFT_CORE_LOOKS_H
#define UPLIFT_CORE_LOOKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/store.h"
#include "core/text.h"

struct uplift;

/* Computes the results of the present phase as of `at` (ms) and stores them. Not from the writer
 * thread. ERROR_NOT_FOUND; ERROR_CONFLICT for a draft. */
bool looks_take(struct uplift *uplift, struct slice key, int64_t at, struct error *err);

/* Takes the looks that are due: of every running or paused experiment on a new day or an hour after
 * the last one, and the last one of an experiment that was stopped. Call it every minute or so, from
 * one thread, not the writer. False where one could not be taken; the others are. */
bool looks_housekeep(struct uplift *uplift, int64_t now, struct error *err);

/* What is known of a phase up to and with `as_of` (-1: everything), read in one transaction. */
struct looks {
    json_t *series; /* the looks of results, in order of time; never NULL */
    json_t *state;  /* running state (verdict.h) of the last one, or NULL */
    json_t *health; /* of the last one, or NULL */
    int64_t last_at;    /* ms; 0: there is none */
    int64_t active_at;  /* the last look at which there was more than before; 0: none */
    int64_t units;      /* everything counted at the last one */
};

bool looks_read(struct store_txn *txn, uint32_t experiment, int phase, int64_t as_of,
                struct looks *out, struct error *err);
void looks_release(struct looks *looks);

/* The whole results stored by the last look at or before `as_of`, without `looks`. New reference;
 * ERROR_NOT_FOUND where there is none. */
json_t *looks_stored(struct store_txn *txn, uint32_t experiment, int phase, int64_t as_of,
                     struct error *err);

#endif
