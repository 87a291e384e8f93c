/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions: results in, an action with its reasons out. A pure function of the JSON of results
 * (metrics with verdicts, health, days), by the rules of model.md in order of precedence; every
 * reason names its figures. Any thread. */
#ifndef UPLIFT_CORE_DECISION_H
#define UPLIFT_CORE_DECISION_H

#include <jansson.h>
#include <stdbool.h>

#include "core/outlook.h"

struct decision_input {
    json_t *metrics;            /* of results */
    bool split_off;             /* the sample ratio is off */
    double crossed_share;       /* of all exposed, 0 to 1 */
    int64_t day;                /* days since the start, from 1 */
    struct outlook_plan plan;   /* design, and days since the start and of a schedule */
    double customers_per_month; /* of the whole audience, as they came so far */
    bool complete;              /* all data is there: never too early */
    bool schedule_over;         /* scheduled: the look at the horizon was taken */
};

/* {action, variant, headline, rule, reasons: [{id, metric, variant, text, values}],
 * expected_days_left: [low, high] or null (outlook.h), value_per_month: money or null}. `values`
 * hold the figures that the text names. New reference.
 *
 * A survey whose effect among those who answered and whose corrected effect differ in sign
 * (`response` of its comparison, study.h) cannot support `ship`, neither as the primary that gains
 * nor as a guardrail within its limit: the next rule that holds decides, with a reason
 * `response-bias`. What it says of harm stands.
 *
 * With several treatments each is judged against the control by itself. A rule holds where it holds
 * for one of them, and the decision names the one with the best first primary metric; what is said
 * of all of them together (stop, your call, keep running) names none. A variant that is to be
 * rolled back goes before one that could be shipped, as model.md has it, and the reasons then name
 * the other one too. */
json_t *decision_make(const struct decision_input *input);

#endif
