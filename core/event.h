/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Events: what customers saw, did and said (model.md), from JSON to the record on disk.
 *
 * An event's text lies in an arena, or in the record that it was read from. */
#ifndef UPLIFT_CORE_EVENT_H
#define UPLIFT_CORE_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/json.h"
#include "core/text.h"

#define EVENT_CUSTOMER_MAX   256
#define EVENT_ID_MAX         256
#define EVENT_NAME_MAX       128
#define EVENT_COMMENT_MAX    4096
#define EVENT_ATTRIBUTES_MAX 8192
/* The most that one outcome may count for, either way. Its square is then below 1e20, so that a
 * tally from which it is taken away again (two doubles a sum) is what it was to within 1e-9. */
#define EVENT_VALUE_MAX 1e10
/* How far ahead of the server's clock an event may be, in milliseconds. */
#define EVENT_AHEAD_MAX INT64_C(86400000)

enum event_type { EVENT_EXPOSURE = 1, EVENT_OUTCOME = 2, EVENT_FEEDBACK = 3 };

struct event {
    enum event_type type;
    bool timed;       /* the event came with a time of its own */
    bool told;        /* it came with its arrival, which is then kept; not part of the record */
    bool corrected;   /* its time is another one when it is sent again; not part of the record */
    bool implied;     /* it follows of another one that came; not part of the record */
    bool has_value;   /* outcome: came with a value; else it counts as 1 */
    int64_t at;       /* ms; the arrival where the event came without */
    int64_t received; /* ms: the arrival */
    struct slice id;  /* empty where it came without */
    struct slice customer; /* 1 to EVENT_CUSTOMER_MAX bytes; not part of the record */
    struct slice name;     /* experiment of an exposure, name of an outcome, survey of a feedback */
    struct slice variant;  /* exposure */
    struct slice attributes;     /* exposure: JSON text of an object, or empty */
    double value;                /* outcome; score of a feedback */
    struct slice comment;        /* feedback, or empty */
    struct slice stage, channel; /* or empty */
};

/* Attributes (an object, or NULL) as an exposure may have them: all of them, or those named where
 * all are longer than EVENT_ATTRIBUTES_MAX. New reference; NULL where they are no object. */
json_t *event_attributes(json_t *all, const char *const *named, size_t count);

/* The time that counts: a clock that runs ahead must not reach into an epoch that opens later. */
static inline int64_t event_time(const struct event *event)
{
    return event->at < event->received ? event->at : event->received;
}

/* Sets the arrival, which is the time of an event without one of its own. One that came with its
 * arrival keeps it, unless that is still to come: it would be of an epoch that opens until then. */
static inline void event_arrive(struct event *event, int64_t when)
{
    if (event->told && event->received <= when)
        return;
    event->received = when;
    if (!event->timed)
        event->at = when;
}

/* Reads one event. `now` is the arrival, until the writer sets it. The arena holds its text and
 * must live as long as the event; nothing borrows from `json`. On failure *err tells the place
 * within the event: "value: must be a finite number". */
bool event_parse(json_t *json, int64_t now, struct arena *arena, struct event *event,
                 struct error *err);

/* The same for an event of an export, which tells when it was `received`; without it, `now` is. */
bool event_parse_exported(json_t *json, int64_t now, struct arena *arena, struct event *event,
                          struct error *err);

/* Appends the record (version 1) without the customer. */
bool event_encode(const struct event *event, struct text *out);
/* Reads a record; false where it is damaged. The customer stays empty. */
bool event_decode(struct slice record, struct event *event);

/* The event as JSON, as it may be sent again. New reference. */
json_t *event_json(const struct event *event);

#endif
