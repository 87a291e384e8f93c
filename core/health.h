/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Health: can the figures be trusted? One row a check, each with what was found. Pure; any
 * thread. */
#ifndef UPLIFT_CORE_HEALTH_H
#define UPLIFT_CORE_HEALTH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* More crossovers than this share of all exposed: the figures are invalid. */
#define HEALTH_CROSSED_MOST 0.01

struct health_input {
    const json_t *srm;      /* of the report; NULL: nobody exposed */
    const json_t *variants; /* of results: key, weight, exposed */
    const json_t *metrics;  /* of results, verdicts carried */
    const json_t *before;   /* the health of the last look; NULL: none */
    int64_t crossed, exposed;
    int64_t now;           /* ms */
    int64_t last_event_at; /* ms; 0: none known */
    bool running;          /* else no events are waited for */
    uint64_t rejected;     /* events refused since the server started */
};

/* [{id, status, text, since, evidence}] for sample-ratio, crossovers, events, answers (with survey
 * metrics) and drift. New reference. */
json_t *health_report(const struct health_input *input);
/* Whether the figures are invalid: the sample ratio is off, or too many crossovers. */
bool health_invalid(const struct health_input *input);
/* "ok", "warn" or "fail": the worst of a report. */
const char *health_worst(const json_t *report);

#endif
