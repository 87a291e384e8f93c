/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Retention: old events are dropped once nothing can change what was counted of them.
 *
 * With W days the longest window of all metrics, C days the longest covariate, and N days that the
 * operator wants to keep: history from D on is kept, D = now - max(N, W + C + 7) days. Events from
 * before S = D + W + C are refused, so what was exposed W before S can get no event any more that
 * counts: its unit is *sealed*. A sealed unit is final: it stays, also in tallies, and is not
 * counted anew from what is left of its history; only an exposure to another variant still takes it
 * out of the analysis. What is not sealed was exposed after D + C, so all that it is counted of is
 * kept.
 *
 * The marks S and D are in META and never go back, whatever becomes of N, of metrics or of the
 * clock. A pass over all customers is made when D has moved on by a day, in slices of the writer.
 * What it drops cannot be had back, so `now` is a time that the clock showed a day ago or earlier.
 */
#ifndef UPLIFT_CORE_RETENTION_H
#define UPLIFT_CORE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/catalog.h"
#include "core/error.h"
#include "core/store.h"

struct uplift;

struct retention {
    int64_t accept_from; /* S, ms; 0: everything is accepted */
    int64_t keep_from;   /* D, ms; 0: everything is kept */
    int window_days;     /* W */
    int covariate_days;  /* C */
};

/* What the definitions and the time ask for. Pure. */
struct retention retention_of(const struct catalog *catalog, int64_t days, int64_t now);

/* The marks of the store, with W and C of the catalog. */
struct retention retention_read(struct store_txn *txn, const struct catalog *catalog);
/* The time before which events are refused, or 0. */
int64_t retention_accept_from(struct store_txn *txn);

/* Makes up to `slices` slices of the pass that is under way or due, each a transaction of its own;
 * none while figures are counted anew. *more says whether there is more to do. To be called daily
 * at least: a pass goes by the clock as it was a day before, when this was last called, so it drops
 * nothing for a clock that is ahead for less than a day. Any thread but the writer. */
bool retention_keep(struct uplift *uplift, int64_t days, int slices, bool *more, struct error *err);
/* The same by the clock as it is, for an operator who asks for it. */
bool retention_keep_at_once(struct uplift *uplift, int64_t days, int slices, bool *more,
                            struct error *err);

#endif
