/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/scheduled.h"

#include <stdlib.h>

#include "stats/group.h"
#include "stats/sequential.h"

bool scheduled_critical(const struct scheduled *looks, double alpha, enum sides sides, double *out)
{
    double *critical = malloc(looks->count * sizeof *critical);
    const struct group group = {.function = GROUP_KIM_DEMETS,
                                .gamma = 2,
                                .times = looks->information,
                                .spending = looks->share,
                                .looks = looks->count,
                                .known = looks->critical,
                                .known_count = looks->count - 1};
    bool ok = critical && group_critical(&group, (1 - SCHEDULED_RESERVE) * alpha, sides, critical);
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
