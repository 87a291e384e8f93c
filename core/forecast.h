/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forecast: how many customers or answers more, and how many days, until a comparison is settled.
 * A forecast is no statistic: it says when, never whether. Pure; any thread. */
#ifndef UPLIFT_CORE_FORECAST_H
#define UPLIFT_CORE_FORECAST_H

#include <jansson.h>
#include <stdbool.h>

/* How an interval narrows as units come in. */
struct forecast_rule {
    bool fixed;    /* as 1/sqrt(n); else as the sequential interval does */
    double alpha;  /* (0, 1) */
    double tuning; /* as in the design */
};

/* What is expected: the middle half of cases lies between low and high. */
struct forecast {
    bool known;       /* false: there is nothing to go by, or no end within FORECAST_MOST */
    double low, high; /* units more, in both arms together; high may be HUGE_VAL */
};

/* Growth of units beyond which no forecast is given. */
#define FORECAST_MOST 1e4

/* When the end of the interval on the side of `boundary` will have passed it, the estimate staying
 * within its quartiles. `units` is n of both arms together (above 0), `end` the present end of the
 * interval on that side, `se` above 0 or 0 where not known. An end that has passed: 0 to 0. */
struct forecast forecast_crossing(const struct forecast_rule *rule, double units, double estimate,
                                  double end, double se, double boundary);

/* Units in both arms together with which an effect of `size` (above 0) is found with probability
 * `power` [0.5, 1), where the standard error at `units` is `se`; HUGE_VAL beyond FORECAST_MOST
 * times the units (or below 100 of them: too few to go by). */
double forecast_needed(const struct forecast_rule *rule, double units, double se, double size,
                       double power);

#endif
