/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A batch holds few different names, so these are found first and looked up once each. */
#include "core/fresh.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* Names of one batch that are looked at; a batch of more is odd, and its first ones will do. */
enum { NAMES_MAX = 64 };

struct names {
    const struct event *events[NAMES_MAX]; /* one of each type and name */
    size_t count;
};

void fresh_init(struct fresh *fresh)
{
    *fresh = (struct fresh){.room = 0};
    pthread_mutex_init(&fresh->lock, NULL);
}

void fresh_release(struct fresh *fresh)
{
    pthread_mutex_destroy(&fresh->lock);
    free(fresh->at);
}

static void find_names(const struct event *events, size_t count, struct names *names)
{
    for (size_t i = 0; i < count && names->count < NAMES_MAX; i++) {
        size_t j = 0;
        while (j < names->count && !(names->events[j]->type == events[i].type &&
                                     slice_equal(names->events[j]->name, events[i].name)))
            j++;
        if (j == names->count)
            names->events[names->count++] = &events[i];
    }
}

static bool metric_takes(const struct metric *metric, const struct event *event)
{
    if (metric_kind_is_survey(metric->kind) != (event->type == EVENT_FEEDBACK))
        return false;
    return slice_is(event->name, metric->event) ||
           (metric->denominator && slice_is(event->name, metric->denominator));
}

static bool experiment_takes(const struct experiment *experiment, const struct catalog *catalog,
                             const struct event *event)
{
    if (event->type == EVENT_EXPOSURE)
        return slice_is(event->name, experiment->key);
    for (size_t i = 0; i < experiment->metric_count; i++) {
        const struct metric *metric = catalog_metric(catalog, slice_of(experiment->metrics[i].key));
        if (metric && metric_takes(metric, event))
            return true;
    }
    return false;
}

static void note(struct fresh *fresh, uint32_t experiment, int64_t now)
{
    pthread_mutex_lock(&fresh->lock);
    if (experiment >= fresh->room) {
        size_t room = experiment + 64;
        fresh->at = xrealloc(fresh->at, room * sizeof *fresh->at);
        memset(fresh->at + fresh->room, 0, (room - fresh->room) * sizeof *fresh->at);
        fresh->room = room;
    }
    fresh->at[experiment] = now;
    pthread_mutex_unlock(&fresh->lock);
}

void fresh_note(struct fresh *fresh, const struct catalog *catalog, const struct event *events,
                size_t count, int64_t now)
{
    struct names names = {.count = 0};
    find_names(events, count, &names);
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        for (size_t j = 0; experiment->epoch_count && j < names.count; j++)
            if (experiment_takes(experiment, catalog, names.events[j])) {
                note(fresh, experiment->number, now);
                break;
            }
    }
}

int64_t fresh_at(struct fresh *fresh, uint32_t experiment)
{
    pthread_mutex_lock(&fresh->lock);
    int64_t at = experiment < fresh->room ? fresh->at[experiment] : 0;
    pthread_mutex_unlock(&fresh->lock);
    return at;
}
