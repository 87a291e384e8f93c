/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was gathered of one phase of an experiment: its tallies, read at one moment, and the study
 * made of them. For analysis.c.
 *
 * The caller sets catalog, present, phase, experiment, now, event_at and rejected, calls
 * gathered_read or gathered_take once, and gathered_release in any case. It borrows the catalog.
 * One thread. */
#ifndef UPLIFT_CORE_GATHERED_H
#define UPLIFT_CORE_GATHERED_H

#include <jansson.h>

#include "core/arena.h"
#include "core/catalog.h"
#include "core/error.h"
#include "core/gathered_bins.h"
#include "core/look.h"
#include "core/store.h"
#include "core/tally.h"

struct segment_value {
    struct slice segment, value;
    int64_t exposed;
};

/* All of one phase of one experiment, read at one moment. */
struct gathered {
    const struct catalog *catalog;
    const struct experiment *experiment; /* as it was in that phase */
    const struct experiment *present;
    int phase;
    int64_t now;         /* ms */
    int64_t event_at;    /* ms: the last event as this process saw it; 0: none yet */
    int64_t rejected;    /* events refused since the server started */
    json_t *interaction; /* what health says of other experiments (overlap_note), or NULL; set by
                          * gathered_read, or by the caller of gathered_take; released with it */
    int64_t day;         /* of the phase, from 1; it stops with the phase */
    struct look last;    /* the look before this one; empty where there is none */
    bool recounting;     /* tallies are being counted anew: there is the last look alone */
    int64_t customers_done, customers_left; /* of the recount */
    int64_t exposed;                        /* customers, all variants */
    int64_t sealed;                         /* units of the phase that are (retention.h) */
    int64_t sealed_since;                   /* ms: when the first one was; 0: none */
    bool look_due;                          /* scheduled: one of its looks is due */
    bool look;                 /* and is taken now: something may be claimed. Set by the caller */
    bool without_segments;     /* nobody will look at them. Set by the caller */
    struct tally_set *tallies; /* all but those of bins */
    struct gathered_bins bins;
    struct segment_value *values;
    size_t value_count, value_room;
    struct arena arena;
};

/* Reads all tallies of the phase, and its last look; the look alone where they are being counted
 * anew (recount.h), as figures that are half the old ones are none. */
bool gathered_read(struct store_txn *txn, struct gathered *g, struct error *err);
/* The same of tallies that were counted into a set; the look before is in `g->last` already. */
void gathered_take(const struct tally_set *tallies, struct gathered *g);
void gathered_release(struct gathered *g);

/* One tally, summed over the epochs of the phase. metric 0: exposed; `in` NULL: all segments. */
struct tally gathered_total(const struct gathered *g, uint32_t metric,
                            const struct segment_value *in, size_t variant);
/* A guardrail's margin in the units of its effect, 0 or more; and the smallest relative effect
 * worth having, 0: none given. Both as they were when the phase started. */
double gathered_margin(const struct gathered *g, const struct metric *metric);
double gathered_min_effect(const struct gathered *g, const struct metric *metric);
/* The level of a metric's ranges, after what its role shares. */
double gathered_alpha(const struct gathered *g, const struct metric *metric, enum metric_role role);
/* Whether a scheduled look is due: on its day, and each day once the horizon is reached, for
 * comparisons that have not had their look there yet, as a survey that waits for answers or a
 * metric that was added since. */
bool gathered_look_due(const struct gathered *g);
/* Whether this is between two looks of a schedule, where the range is that of the last one,
 * whatever it was. */
bool gathered_waits(const struct gathered *g);
/* Scheduled: {horizon, customers, share, last_look_day, next_look_day, over, over_day}; else null.
 * `share` is that of the last look, `over` says that it was 1. New reference. */
json_t *gathered_schedule(const struct gathered *g);
/* The study (study.h). New reference. */
json_t *gathered_study(const struct gathered *g);

/* What the last look showed of a comparison, while the metric still counts the same on the same
 * scale; else NULL. Borrowed from the look. */
const json_t *gathered_before(const struct gathered *g, const struct metric *metric,
                              const char *variant);
/* Whether the last look has the comparison, but of what counted something else. */
bool gathered_recounted(const struct gathered *g, const struct metric *metric, const char *variant);
/* What of the last look figures go on from: all that is read of `last`, as the results and counted
 * of a look; null where there was none. New reference. */
json_t *gathered_running(const struct gathered *g);
/* What each metric counts now, as a look keeps it. New reference. */
json_t *gathered_counted(const struct gathered *g);
/* Milliseconds since the phase began, to its end at most. */
int64_t gathered_elapsed(const struct gathered *g);
/* Days since the phase began, to its end at most; above 0. */
double gathered_elapsed_days(const struct gathered *g);
/* When the present day of the phase began (ms): by present, phase and now alone. */
int64_t gathered_day_start(const struct gathered *g);

#endif
