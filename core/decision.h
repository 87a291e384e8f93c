/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions: results in, an action with its reasons out. A pure function of the JSON of results
 * (metrics with verdicts, health, days), by the rules of model.md in order of precedence; every
 * reason names its figures. Any thread. */
#ifndef UPLIFT_CORE_DECISION_H
#define UPLIFT_CORE_DECISION_H

#include <jansson.h>
#include <stdbool.h>

#include "core/experiment.h"

struct decision_input {
    json_t *metrics;      /* of results */
    bool split_off;       /* the sample ratio is off */
    double crossed_share; /* of all exposed, 0 to 1 */
    int64_t day;          /* days since the start, from 1 */
    bool complete;        /* all data is there: never too early */
    const struct design *design;
};

/* {action, variant, headline, rule, reasons: [{id, metric, text, values}], expected_days_left,
 * value_per_month}. New reference. */
json_t *decision_make(const struct decision_input *input);

/* "+6.1%", "-4.0 points": an effect as people read it. `unit` is "share", "number" or "points". */
void decision_effect_words(double value, bool relative, const char *unit, char out[48]);

#endif
