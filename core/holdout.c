/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whom a holdout covers follows from times that never change once they are set. */
#include "core/holdout.h"

#include <string.h>

static bool listed(const char *const *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

static bool names(const struct holdout *holdout, const struct experiment *experiment)
{
    if (holdout->experiment_count + holdout->tag_count == 0 ||
        listed(holdout->experiments, holdout->experiment_count, experiment->key))
        return true;
    for (size_t i = 0; i < experiment->tag_count; i++)
        if (listed(holdout->tags, holdout->tag_count, experiment->tags[i]))
            return true;
    return false;
}

static bool covers(const struct experiment *holdout, const struct experiment *experiment, int phase)
{
    return !experiment->holdout && experiment->epoch_count > 0 &&
           experiment_phase_start(experiment, phase) >= holdout->started_at &&
           names(holdout->holdout, experiment);
}

const struct experiment *holdout_next(const struct catalog *catalog,
                                      const struct experiment *experiment, size_t *at)
{
    while (*at < catalog_holdout_count(catalog)) {
        const struct experiment *holdout = catalog_holdout_at(catalog, (*at)++);
        if (holdout->state == EXPERIMENT_RUNNING && covers(holdout, experiment, experiment->phase))
            return holdout;
    }
    return NULL;
}

const struct experiment *holdout_next_then(const struct catalog *catalog,
                                           const struct experiment *experiment, int64_t time,
                                           size_t *at)
{
    int epoch = experiment_epoch_at(experiment, time);
    int phase = epoch < 0 ? 0 : experiment->epochs[epoch].phase;
    if (phase == 0 || time >= experiment_phase_end(experiment, phase))
        return NULL;
    while (*at < catalog_holdout_count(catalog)) {
        const struct experiment *holdout = catalog_holdout_at(catalog, (*at)++);
        if (covers(holdout, experiment, phase) && time < experiment_phase_end(holdout, 1))
            return holdout;
    }
    return NULL;
}

int holdout_variant(const struct experiment *holdout, struct slice customer)
{
    int variant = bucket_choose(bucket_of(slice_of(holdout->seed), customer), holdout->ranges, 2);
    return variant == HOLDOUT_HELD ? HOLDOUT_HELD : HOLDOUT_OPEN;
}

bool holdout_counts(const struct experiment *experiment)
{
    return experiment->prerequisite_count == 0;
}

bool holdout_check_kept(const struct catalog *catalog, const struct experiment *before,
                        const struct experiment *after, struct error *err)
{
    for (size_t i = 0; i < catalog_holdout_count(catalog); i++) {
        const struct experiment *holdout = catalog_holdout_at(catalog, i);
        if (holdout->state == EXPERIMENT_RUNNING &&
            covers(holdout, before, before->phase) != covers(holdout, after, before->phase))
            return error_set(err, ERROR_CONFLICT, "tags",
                             "cannot change so while the holdout \"%s\" runs: it would cover the "
                             "experiment %s",
                             holdout->key,
                             covers(holdout, before, before->phase) ? "no more"
                                                                    : "from its midst on");
    }
    return true;
}
