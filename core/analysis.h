/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Analysis: tallies → study → report → results. Nothing is kept: each call reads a consistent
 * snapshot of the tallies, whose size does not grow with the number of events. Any thread. */
#ifndef UPLIFT_CORE_ANALYSIS_H
#define UPLIFT_CORE_ANALYSIS_H

#include <jansson.h>
#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

struct uplift;

struct results_options {
    int phase;     /* 0: the present one */
    int64_t as_of; /* ms: the last look at or before it; -1: now */
};

/* The results of an experiment (model.md). New reference; ERROR_NOT_FOUND, ERROR_CONFLICT for a
 * draft, which has none. */
json_t *analysis_results(struct uplift *uplift, struct slice key,
                         const struct results_options *options, struct error *err);
/* The study behind them, as uplift-analyze(1) reads it. New reference. */
json_t *analysis_study(struct uplift *uplift, struct slice key, int phase, struct error *err);
/* What the list shows of an experiment; null for a draft. New reference. */
json_t *analysis_summary(struct uplift *uplift, struct slice key);

#endif
