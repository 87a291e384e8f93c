/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forecast: how many more units a comparison needs until it is clear, if its effect stays as it is.
 * A help for planning, not inference: it assumes that the standard error falls as 1/sqrt(n) and
 * that units keep coming alike.
 *
 * At n units the interval is estimate -+ w(n), with w the method's half-width at the standard error
 * se sqrt(units/n) (stats/sequential.h, or the normal quantile for a fixed method), scaled by how
 * far the interval's end stands out now: that takes in exact intervals and those that earlier looks
 * have narrowed. The end crosses the boundary at the n where w(n) = |estimate - boundary|. The
 * range given is that n for an estimate one quartile of the normal distribution better and worse.
 *
 * Pure; any thread. */
#ifndef UPLIFT_CORE_FORECAST_H
#define UPLIFT_CORE_FORECAST_H

#include <stdbool.h>

/* How the half-width depends on n. */
struct forecast_rule {
    bool fixed;    /* else sequential */
    double alpha;  /* of the interval, (0, 1) */
    double tuning; /* sequential: as in stats/sequential.h */
};

/* Beyond so many times the present units there is no forecast. */
#define FORECAST_MOST 1000.0

struct forecast {
    bool known;       /* false: no end in sight; the rest is HUGE_VAL */
    double low, high; /* more units; high may be HUGE_VAL */
};

/* When will `end` of the interval, now on one side of `boundary`, be on the other? `units`: those
 * of both arms, above 1; `se`: the standard error now, 0 where there is none. {true, 0, 0} where it
 * has crossed. */
struct forecast forecast_crossing(const struct forecast_rule *rule, double units, double estimate,
                                  double end, double se, double boundary);

/* The standard error at which the half-width at so many units is `half`. */
double forecast_se(const struct forecast_rule *rule, double units, double half);

/* The units (all, not more) at which an effect of `size` > 0 would be seen with a chance of
 * `power` at that one look: size - w(n) >= z_power se(n). HUGE_VAL where that is beyond all
 * bounds, or where 100 units are not there yet to judge by. */
double forecast_needed(const struct forecast_rule *rule, double units, double se, double size,
                       double power);

#endif
