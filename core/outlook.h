/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Outlook: forecasts (forecast.h) for the metrics of results, in units and in days. Units are those
 * that the metric counts, in both arms of the comparison: customers, or answers of a survey. They
 * are taken to keep coming as they came so far. Pure; any thread. */
#ifndef UPLIFT_CORE_OUTLOOK_H
#define UPLIFT_CORE_OUTLOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/experiment.h"

struct outlook {
    bool known;                   /* false: no end in sight; the rest is HUGE_VAL */
    double units_low, units_high; /* more of them; high may be HUGE_VAL */
    double days_low, days_high;
};

/* How the experiment goes on. */
struct outlook_plan {
    const struct design *design;
    double elapsed_days; /* since the start, above 0 */
    /* Scheduled: days until the planned customers are there, and until the next look; 0 past the
     * horizon, HUGE_VAL where nobody comes. */
    double horizon_days, next_look_days;
    int over_day; /* scheduled: the day of the look at the horizon; 0 before it */
};

/* How soon the interval's end (0 low, 1 high) of a comparison is past `boundary`, in units of the
 * effect. Of a scheduled design all that is known is that it is at a look, the next or a later one
 * up to the horizon. */
struct outlook outlook_of(const json_t *metric, const json_t *comparison, size_t end,
                          double boundary, const struct outlook_plan *plan);

/* How many days the experiment takes as it was designed: the days after which an effect of
 * min_effect is seen with a chance of one half, and with design.power, in every comparison of a
 * primary metric; design.planned_days twice where that is given; the day of a schedule's horizon
 * twice. [low, high], or null without min_effect or too little data to tell by. New reference. */
json_t *outlook_planned_days(json_t *metrics, const struct outlook_plan *plan);

#endif
