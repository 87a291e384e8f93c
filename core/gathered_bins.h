/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bins of a phase's tallies, for gathered.c: metrics that need the distribution of their values
 * (metric_needs_bins) go into the study by bins. Read in one walk; found by a binary search. */
#ifndef UPLIFT_CORE_GATHERED_BINS_H
#define UPLIFT_CORE_GATHERED_BINS_H

#include <jansson.h>
#include <stdbool.h>

#include "core/arena.h"
#include "core/metric.h"
#include "core/tally.h"
#include "stats/sketch.h"

struct gathered;
struct segment_value;

/* What one tally's bins hold, in their order. */
struct gathered_group {
    struct slice key; /* of the tally of all units; in the arena */
    size_t first, count;
};

struct gathered_bins {
    struct sketch_bin *bins;
    size_t count, room;
    struct gathered_group *groups;
    size_t group_count, group_room;
};

/* Takes the tally of a bin. Bins come in the order of their keys. */
void gathered_bins_take(struct gathered_bins *bins, struct arena *arena,
                        const struct tally_name *name, const struct tally *tally);
void gathered_bins_release(struct gathered_bins *bins);

/* An arm of a study (study.h) of a metric by bins, of one epoch, or (-1) of all together; `in`
 * NULL: all units. New reference. */
json_t *gathered_bins_arm(const struct gathered *g, const struct metric *metric, int epoch,
                          const struct segment_value *in, size_t variant);
/* What the control has of a metric by bins: its quantile, or its mean under the cap. 0 where there
 * is nobody. */
double gathered_bins_level(const struct gathered *g, const struct metric *metric);

#endif
