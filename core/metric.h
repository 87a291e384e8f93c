/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A metric: what is counted of a customer's events after exposure, and which way is good.
 *
 * A metric is immutable from its parsing on and shared by an atomic count of references: read it
 * from any thread while holding one. Changing one makes another (metric_amend) with the same number
 * and the next version. The model's words are those of model.md; beyond them:
 *   name            the key where left out
 *   event           required, except that a survey kind takes its own word (nps, csat, ces): for
 *                   survey kinds it names the survey of the feedback events
 *   denominator     ratio only, and required there: the event that is divided by
 *   from_days, to_days   retention only, and required there: an event at exposure + from_days or
 *                   later and before exposure + to_days; window_days is then to_days and not given
 *   window_days     1 to 730, default 14      covariate_days  0 (none, the default) to 365; binary,
 *                                             mean and count only
 *   cap_percentile  mean only, 50 to 100 (both excluded), not with cap
 *   quantile        quantile only, and required there: 0.5 to 0.99, of the sums that mean takes
 *   cap             mean only, above 0        min_effect, margin   0 or more
 * A field that the kind does not use is refused by name. */
#ifndef UPLIFT_CORE_METRIC_H
#define UPLIFT_CORE_METRIC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

enum metric_kind {
#define METRIC_KIND(name, word, survey) METRIC_##name,
#include "core/metric.def"
#undef METRIC_KIND
};

enum metric_goal { GOAL_INCREASE, GOAL_DECREASE };

/* What a metric is for in an experiment. */
enum metric_role { ROLE_PRIMARY, ROLE_GUARDRAIL, ROLE_SECONDARY, ROLE_COUNT };

struct metric {
    uint32_t number; /* given at creation, from 1 on, never used again: the metric in store keys */
    int64_t version; /* 1 at creation, one more with each change */
    const char *key, *name;
    enum metric_kind kind;
    const char *event;       /* outcome's name, or the survey of a survey kind */
    const char *denominator; /* ratio only, else NULL */
    enum metric_goal goal;
    int window_days;        /* an outcome counts from exposure until before exposure + this */
    int covariate_days;     /* 0: no covariate */
    int from_days, to_days; /* retention only, else 0 */
    double cap;             /* mean: most that one customer counts for; HUGE_VAL: none */
    double cap_percentile;  /* mean: all are capped at this percentile of all; 0: not given */
    double quantile;        /* quantile only, else 0 */
    double min_effect;      /* smallest relative effect worth shipping; 0: not given */
    double margin;          /* harm tolerated by a guardrail (relative; points for nps and csat);
                             * 0: not given */
    double unit_value;      /* money per unit; NAN: not given */
    int64_t created_at;     /* ms */
    /* Private to metric.c. */
    json_t *json;
    struct metric_private *private;
};

/* "binary", "mean", …; static. */
const char *metric_kind_word(enum metric_kind kind);
/* Whether the kind counts feedback instead of outcomes. */
bool metric_kind_is_survey(enum metric_kind kind);
/* The scores of a survey kind: 0 to 10, 1 to 5, 1 to 7. Must be a survey kind. */
void metric_kind_scores(enum metric_kind kind, int *least, int *most);
/* Whether it is counted by bins of its value too (stats/sketch.h). */
bool metric_needs_bins(const struct metric *metric);
/* What its mean is: "share", "points" (of a score) or "number"; static. */
const char *metric_unit_word(enum metric_kind kind);
/* "primary", "guardrail", "secondary"; static. */
const char *metric_role_word(enum metric_role role);

/* A new metric from a client's input. The server's fields (version, created_at) must be absent or
 * null. Returns one reference, or NULL with *err (ERROR_INVALID and its place). `input` is only
 * read and not kept. */
struct metric *metric_create(json_t *input, uint32_t number, int64_t now, struct error *err);

/* The metric as it is to be after a PUT: input is a whole definition, in which the server's fields
 * are absent or equal the present ones. Key and kind never change (ERROR_CONFLICT). */
struct metric *metric_amend(const struct metric *metric, json_t *input, struct error *err);

/* What it counts of a customer's events, as one line that changes exactly when that does. */
enum { METRIC_COUNTED_MAX = 1000 };
void metric_counted(const struct metric *metric, struct text *out);
/* Whether a change from a to b changes what is counted, so that tallies must be rebuilt. */
bool metric_counts_differently(const struct metric *a, const struct metric *b);

/* From the text that metric_stored wrote; ERROR_CORRUPT where it is none. */
struct metric *metric_from_stored(const char *text, size_t len, struct error *err);
/* The stored form; the caller frees it with free(). */
char *metric_stored(const struct metric *metric);
/* The same as JSON: a new reference whose members may be replaced, not changed. */
json_t *metric_whole(const struct metric *metric);

/* The definition for the API, defaults filled in: borrowed, must not be changed. */
const json_t *metric_json(const struct metric *metric);

/* One more reference to a metric; returns it. */
struct metric *metric_ref(const struct metric *metric);
/* Gives one back and nulls the pointer; NULL is fine. */
void metric_unref(struct metric **metric);

#endif
