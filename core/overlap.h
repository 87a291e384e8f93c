/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Overlap: which experiments that run share customers, and whether what one does depends on the
 * variant of another (stats/interaction.h).
 *
 * Pairs are those of experiments that are running or paused, in their present phases, and not kept
 * apart by a layer; holdouts, which cover others by their nature, are left out. A customer is in
 * both once exposed to both; crossed in either, they are counted apart. What is counted of a metric
 * is what the units of one of the two hold (ledger.h): of the one where its role is the more
 * important one, else of the one that started later. Tested are metrics that are primary or
 * guardrail of either; a metric by quantiles or with a percentile as its cap is not, nor a pair
 * with more than OVERLAP_CONTRASTS_MAX pairs of variants beside the controls.
 *
 * All pairs of variants, metrics and experiments are one family, corrected by Holm: an alarm is a
 * claim about this pair, made to people who do not watch it, and the figures share customers in all
 * ways. It goes by the smallest p-value so far, which is right as each look is (sequential). What
 * was told stays told, as long as both phases last and the metric counts the same.
 *
 * How: a thread of its own walks over the units in slices, each in its own transaction, and gives
 * what it made to the writer: table OVERLAP, which holds nothing that could not be made anew but
 * the running figures. Customers erased since are in it until the next time. It runs once a day
 * (overlap_keep_house), and when somebody asks and it is OVERLAP_STALE_MS old. Memory is bounded:
 * OVERLAP_SIDES_MAX experiments, the oldest ones; OVERLAP_PAIRS_MAX pairs and OVERLAP_MOMENTS_MAX
 * means, by the customers who came first. What is left out for it is said. Any thread. */
#ifndef UPLIFT_CORE_OVERLAP_H
#define UPLIFT_CORE_OVERLAP_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/store.h"
#include "core/text.h"
#include "core/when.h"

struct uplift;

#define OVERLAP_ALPHA    0.05
#define OVERLAP_STALE_MS WHEN_HOUR
enum {
    OVERLAP_SIDES_MAX = 1000,
    OVERLAP_PAIRS_MAX = 2000,
    OVERLAP_MOMENTS_MAX = 300000, /* of 144 bytes */
    OVERLAP_CONTRASTS_MAX = 100,
};

/* In struct uplift. */
struct overlap {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    pthread_t thread;
    bool started; /* there is a thread to be joined */
    bool running;
    atomic_bool stop;
    int64_t tried_at;    /* ms: when the last one began */
    struct error failed; /* why it did not come to its end */
};
void overlap_init(struct overlap *overlap);
/* Ends a walk that is under way. */
void overlap_release(struct overlap *overlap);

/* {"as_of", "refreshing", "left_out": {"experiments", "pairs", "untested"}, "overlaps": […],
 * "next"}: pairs that share customers, most first, at most `limit` (1 to 1000) behind `after`
 * ("next" of the page before, or ""). `experiment` (NO_SLICE: all): those with it. `as_of` is null
 * where nothing was counted yet. Each is
 *   {"experiments": [{"key", "name", "state", "phase", "exposed"}, the other one], "customers",
 *    "share": of the smaller of the two, "crossed", "cells": [[customers by variant of the second]
 *    by variant of the first], "interaction": "found", "none-seen" or "too-early", "text",
 *    "metrics": [{"key", "name", "unit", "experiment", "error", "contrasts": […]}]}
 * and each contrast
 *   {"variants": [of the first, of the second], "effects": [of the first's variant where the second
 *    gives its control, its variant], "estimate", "interval", "p_value", "p_adjusted",
 *    "significant_since", "changed", "error"}.
 * Starts to count anew where that is due, and waits a moment for it. New reference, or NULL with
 * *err: ERROR_NOT_FOUND (experiment), ERROR_INVALID (`after`). */
json_t *overlap_list(struct uplift *uplift, struct slice experiment, struct slice after,
                     size_t limit, struct error *err);

/* Counts and tests now, and waits for it. ERROR_BUSY while figures are counted anew. */
bool overlap_refresh(struct uplift *uplift, struct error *err);

/* Once a day; does not wait. False with *err where the last one failed. */
bool overlap_keep_house(struct uplift *uplift, struct error *err);

/* What health says of an experiment's phase (health.h): {"status", "text", "evidence"}, a new
 * reference; NULL where nothing was tested. */
json_t *overlap_note(struct store_txn *txn, uint32_t experiment, uint16_t phase);

#endif
