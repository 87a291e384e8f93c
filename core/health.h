/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Health: whether the data of an experiment can be trusted, one check each for the split, crossed
 * customers, arriving events, answers to surveys, and effects that change over time, and other
 * experiments. A pure function; any thread. */
#ifndef UPLIFT_CORE_HEALTH_H
#define UPLIFT_CORE_HEALTH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A larger share of crossed customers makes an experiment invalid. */
#define HEALTH_CROSSED_MAX 0.01

struct health_input {
    json_t *metrics;           /* of results, with answers and drift_since */
    json_t *variants;          /* of results: name, weight, exposed */
    json_t *srm;               /* of the report; NULL: none */
    int64_t exposed, crossed;  /* customers */
    bool running;              /* events are expected */
    int64_t last_event_at;     /* ms; 0: none yet */
    int64_t rejected;          /* events refused since the server started, of whatever experiment */
    const json_t *interaction; /* {status, text, evidence} (overlap.h); NULL: nothing was tested */
    int64_t now;               /* ms */
    const json_t *before;      /* this report of the last look, or NULL: dates what stays wrong */
};

/* Answers warn where variants answer a survey unlike (sequential, stats/response.h), or where other
 * customers answer it in one variant than in the control: composition by the segments, corrected
 * for how many were looked at, p below SRM_ALARM. The latter test is one of a single look, so that
 * it warns falsely more often than one time in a thousand over many looks.
 *
 * [{id, status, text, since, evidence}]: ids sample-ratio, crossovers, events, answers (where a
 * survey is asked), drift, interaction (where other experiments share enough customers); status ok,
 * warn or fail; since when it is not ok, else null. New reference. */
json_t *health_report(const struct health_input *input);
/* "fail" where a check fails, else "warn" where one warns, else "ok". */
const char *health_worst(const json_t *report);
/* The check of this id, or NULL; borrowed. */
const json_t *health_check(const json_t *report, const char *id);
/* Crossed customers as a share of all that were exposed. */
double health_crossed_share(const struct health_input *input);

#endif
