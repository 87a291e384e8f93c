/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions: results in, an action with its reasons out, by the rules of model.md in order of
 * precedence. A pure function of the JSON of results; every reason names its figures and carries
 * them in `values`. Any thread. */
#ifndef UPLIFT_CORE_DECISION_H
#define UPLIFT_CORE_DECISION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct decision_input {
    const json_t *metrics;  /* of results, verdicts carried (verdict.h); min_effect and limit in the
                             * units of the effect, unit_value a number or null */
    const json_t *variants; /* of results: key, name, exposed; the first is the control */
    const json_t *srm;      /* of results; may be NULL */
    bool split_off;         /* the sample ratio is off */
    double crossed_share;   /* customers who saw two variants, of all exposed: 0 to 1 */
    double days;            /* since the start of the phase, 0 or more */
    int min_days;           /* 7 or more: rounded up to whole weeks */
    double planned_end;     /* days; 0: no plan */
    bool complete;          /* no data comes any more: never too early */
    double tuning;          /* of the design */
    double traffic;         /* (0, 1]: share of the audience let in */
};

/* {action, variant, headline, reasons: [{id, metric, text, values}], rule, expected_days_left,
 * value_per_month}. New reference. */
json_t *decision_make(const struct decision_input *input);

#endif
