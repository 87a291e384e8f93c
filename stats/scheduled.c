/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/scheduled.h"

#include <stdlib.h>

#include "stats/sequential.h"

double scheduled_alpha(double alpha)
{
    return (1 - SCHEDULED_RESERVE) * alpha;
}

struct group scheduled_group(const double *times, size_t looks)
{
    return (struct group){.function = GROUP_KIM_DEMETS, .gamma = 2, .times = times, .looks = looks};
}

bool scheduled_critical(const struct scheduled *looks, double alpha, enum sides sides, double *out)
{
    double *critical = malloc(looks->count * sizeof *critical);
    struct group group = scheduled_group(looks->information, looks->count);
    group.spending = looks->share;
    group.known = looks->critical;
    group.known_count = looks->count - 1;
    bool ok = critical && group_critical(&group, scheduled_alpha(alpha), sides, critical);
    if (ok)
        *out = critical[looks->count - 1];
    free(critical);
    return ok;
}

struct inference scheduled_past(double estimate, double se, double units, double horizon,
                                double alpha, enum sides sides)
{
    return sequential_test(estimate, se, units, SCHEDULED_RESERVE * alpha, 2 * horizon, sides);
}
