/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Analysis: tallies → study → report → results. Each call reads a consistent snapshot of the
 * tallies, whose size does not grow with the number of events, and goes on from the last look
 * (look.h): figures valid at every look are those of all looks. Any thread but the writer's. */
#ifndef UPLIFT_CORE_ANALYSIS_H
#define UPLIFT_CORE_ANALYSIS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

struct uplift;

struct results_options {
    int phase;     /* 0: the present one */
    int64_t as_of; /* ms: the last look at or before it; -1: now */
    bool without_looks;
    bool without_segments; /* those of now may lack the figures of segments, nine tenths of the cost
                            */
};

/* The results of an experiment (model.md), folded (folded.h). A verdict that is new is kept as a
 * look before it is given. While its tallies are counted anew (rebuild.h) the last look is given,
 * whose `as_of` says when that was, with `rebuilding`: {done: a share, remaining: customers}; else
 * that is null. New reference; ERROR_NOT_FOUND (experiment, phase, or `as_of` before the first
 * look), ERROR_CONFLICT for a draft, which has none, ERROR_BUSY where all is counted anew and there
 * is no look. */
json_t *analysis_results(struct uplift *uplift, struct slice key,
                         const struct results_options *options, struct error *err);
/* The study behind them, as uplift-analyze(1) reads it. New reference; ERROR_BUSY while tallies are
 * counted anew. */
json_t *analysis_study(struct uplift *uplift, struct slice key, int phase, struct error *err);
/* The same for the present phase, and keeps them as the look of the day; without exposures, and
 * while tallies are counted anew, nothing is kept. Fails where the store cannot be written. */
json_t *analysis_look(struct uplift *uplift, struct slice key, struct error *err);
/* Takes the looks that are due: of each started experiment one a day, and one more where events or
 * definitions have changed since the last call. One thread at a time. */
bool analysis_keep_house(struct uplift *uplift, struct error *err);
/* What the list shows of an experiment; null for a draft. New reference. */
json_t *analysis_summary(struct uplift *uplift, struct slice key);

#endif
