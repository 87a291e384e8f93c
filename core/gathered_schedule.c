/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gathered, scheduled looks: which is due, and how far the plan is. What was goes by the last look
 * that is on disk, so that it is the same for whoever asks. */
#include <math.h>

#include "core/gathered.h"
#include "core/json.h"
#include "core/when.h"

/* A figure of the schedule as the last look left it; 0 where there was none. */
static double last_figure(const struct gathered *g, const char *name)
{
    const json_t *schedule = json_object_get(g->last.results, "schedule");
    return json_number_value(json_object_get(schedule, name));
}

bool gathered_look_due(const struct gathered *g)
{
    const struct design *design = &g->experiment->design;
    int64_t days = gathered_elapsed(g) / WHEN_DAY, last = (int64_t)last_figure(g, "last_look_day");
    bool present = g->phase == g->present->phase;
    if (design->method != METHOD_SCHEDULED || !present || g->exposed == 0)
        return false;
    return design_look_day(design, days) > last || (g->exposed >= design->horizon && days > last);
}

/* The day after which the next look is due, or null where none is, or nobody knows yet. */
static json_t *next_look(const struct gathered *g, double share, int64_t day)
{
    const struct design *design = &g->experiment->design;
    bool ended = experiment_phase_end(g->present, g->phase) <= g->now;
    if (ended || share >= 1)
        return json_null();
    if (g->exposed >= design->horizon)
        return json_integer(day + 1);
    int next = design_next_look_day(design, day);
    return next ? json_integer(next) : json_null();
}

json_t *gathered_schedule(const struct gathered *g)
{
    const struct design *design = &g->experiment->design;
    if (design->method != METHOD_SCHEDULED)
        return json_null();
    int64_t days = gathered_elapsed(g) / WHEN_DAY;
    double share = last_figure(g, "share");
    int64_t last = g->look ? days : (int64_t)last_figure(g, "last_look_day");
    if (g->look)
        share = fmax(share, fmin(1, (double)g->exposed / (double)design->horizon));
    int64_t over = (int64_t)last_figure(g, "over_day");
    if (share >= 1 && over == 0)
        over = last;
    return json_pack("{s:I, s:I, s:o, s:I, s:o, s:b, s:I}", "horizon", (json_int_t)design->horizon,
                     "customers", (json_int_t)g->exposed, "share", json_figure(share),
                     "last_look_day", (json_int_t)last, "next_look_day",
                     next_look(g, share, last > days ? last : days), "over", share >= 1, "over_day",
                     (json_int_t)over);
}

bool gathered_waits(const struct gathered *g)
{
    return g->experiment->design.method == METHOD_SCHEDULED && !g->look &&
           last_figure(g, "share") < 1;
}
