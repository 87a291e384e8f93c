/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looks: results kept as they were seen, one a day of an experiment's phase. The present day's is
 * replaced as long as the day lasts.
 *
 * A look holds its summary (one item of the `looks` of results, small and stored plain, as all of
 * them are read at once), and compressed the results themselves with a note of what each metric
 * counted. The last look is also where running figures go on from: the smallest p-value and the
 * range that all looks leave, since when a verdict is clear. Any thread, with a transaction of its
 * own. */
#ifndef UPLIFT_CORE_LOOK_H
#define UPLIFT_CORE_LOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/store.h"

/* Whose looks. */
struct look_of {
    uint32_t experiment; /* its number */
    uint16_t phase;
};

/* A look with all that was kept. References belong to the holder: look_release. */
struct look {
    json_t *results; /* without `looks`; folded (folded.h) or not, read from disk: not */
    json_t *counted; /* {metric's key: a text that changes when it counts something else} */
    json_t *made_of; /* what it takes to make it once more (replay.h), or NULL: it came by import */
};

/* Writes the look of the day that began at `day_start` (ms), over the one that is there.
 * `summary.at` says when it was taken. */
void look_put(struct store_txn *txn, struct look_of of, int64_t day_start, const json_t *summary,
              const struct look *look);

/* What of results later ones go on from, a new reference: of each comparison the running figures
 * and since when what holds; health, schedule and decision. */
json_t *look_running(const json_t *results);

/* The last look taken at or before `until` (ms; INT64_MAX: the last of all). Its results are those
 * of look_running, and made_of is NULL, unless `whole`, which costs twenty times as much. False
 * where there is none, or with *err where it is damaged. */
bool look_last(struct store_txn *txn, struct look_of of, int64_t until, bool whole,
               struct look *out, struct error *err);
void look_release(struct look *look);

/* Whether there is a look of that day. */
bool look_taken(struct store_txn *txn, struct look_of of, int64_t day_start);

/* Calls visit with every look of one phase (NULL: of all), in order of experiment, phase and day;
 * stops where it returns false. False then, or with *err where one is damaged. */
bool look_each(struct store_txn *txn, const struct look_of *of,
               bool (*visit)(void *data, struct look_of of, int64_t day_start,
                             const json_t *summary, const struct look *look),
               void *data, struct error *err);

/* How many looks of all experiments cannot be read; `report` gets one line each. In a write
 * transaction `remove` takes them out, so that figures go on from the look before. */
uint64_t look_damaged(struct store_txn *txn, bool remove,
                      void (*report)(void *data, const char *line), void *data);

/* The summaries of all looks taken at or before `until`, oldest first: a new reference, or NULL
 * with *err. */
json_t *look_summaries(struct store_txn *txn, struct look_of of, int64_t until, struct error *err);

#endif
