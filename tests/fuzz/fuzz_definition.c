/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as [definition, patch, …]: a metric or an experiment is refused with a reason and its
 * place, or what is stored of it reads back as the same; each patch in turn either leaves it as it
 * is or makes one that is stored and read the same, through all its states. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/experiment.h"
#include "core/experiment_change.h"
#include "core/json.h"
#include "core/metric.h"

static const int64_t now = INT64_C(1790000000000);

static void experiment_round_trip(const struct experiment *experiment)
{
    struct error err = {0};
    char *text = experiment_stored(experiment);
    struct experiment *again = experiment_from_stored(text, strlen(text), &err);
    must(again && json_equal(experiment_json(experiment), experiment_json(again)));
    experiment_unref(&again);
    free(text);
}

/* Takes over what was made; the one before stays where there is none. */
static void become(struct experiment **experiment, struct experiment *next, const struct error *err)
{
    must((next != NULL) == (err->code == ERROR_NONE));
    if (!next)
        return;
    experiment_round_trip(next);
    experiment_unref(experiment);
    *experiment = next;
}

static bool as_experiment(json_t *input)
{
    struct error err = {0};
    struct experiment *experiment = experiment_create(json_array_get(input, 0), 1, now, &err);
    must((experiment != NULL) == (err.code == ERROR_NONE));
    if (!experiment)
        return false;
    experiment_round_trip(experiment);
    for (size_t i = 1; i < json_array_size(input) && i < 20; i++) {
        struct error refused = {0};
        json_t *item = json_array_get(input, i);
        enum experiment_step step;
        const char *word = json_string_value(item);
        int64_t at = now + (int64_t)i;
        become(&experiment,
               word && experiment_step_parse(slice_of(word), &step)
                   ? experiment_step(experiment, step, NULL, at, &refused)
                   : experiment_patch(experiment, item, at, &refused),
               &refused);
    }
    experiment_unref(&experiment);
    return true;
}

static bool as_metric(json_t *input)
{
    struct error err = {0}, again_err = {0};
    struct metric *metric = metric_create(json_array_get(input, 0), 1, now, &err);
    must((metric != NULL) == (err.code == ERROR_NONE));
    if (!metric)
        return false;
    char *text = metric_stored(metric);
    struct metric *again = metric_from_stored(text, strlen(text), &again_err);
    must(again && json_equal(metric_json(metric), metric_json(again)));
    must(!metric_counts_differently(metric, again));
    metric_unref(&again);
    metric_unref(&metric);
    free(text);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    json_t *input = json_parse((const char *)data, size, &err);
    bool metric = json_is_array(input) && as_metric(input);
    bool experiment = json_is_array(input) && as_experiment(input);
    json_decref(input);
    return metric || experiment ? 0 : -1;
}
