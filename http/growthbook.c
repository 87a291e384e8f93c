/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The resources that GrowthBook's SDKs ask for: the payload, its stream, remote evaluation, and the
 * events of their tracking plugin. */
#include "core/growthbook.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/payload.h"
#include "http/response.h"
#include "http/router.h"
#include "http/stream.h"

static struct payload *payload_now(struct uplift *uplift)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    struct payload *payload = payload_ref(catalog_payload(catalog));
    catalog_release(&uplift->catalog, catalog);
    return payload;
}

static void release_payload(void *data)
{
    struct payload *payload = data;
    payload_unref(&payload);
}

/* Nothing is copied: the answer holds the payload until it is sent. */
void features_get(struct request *request)
{
    struct payload *payload = payload_now(request->uplift);
    char tag[PAYLOAD_TAG_MAX + 2];
    snprintf(tag, sizeof tag, "\"%s\"", payload->tag);
    if (request_has(request, tag)) {
        respond_text(request, MHD_HTTP_NOT_MODIFIED, "application/json", "", 0, NULL, NULL);
        payload_unref(&payload);
    } else {
        respond_borrowed(request, "application/json", payload->body, release_payload, payload);
    }
    MHD_add_response_header(request->ready, "ETag", tag);
    /* A browser that kept it for a while would read the old one after it heard of a change. */
    MHD_add_response_header(request->ready, "Cache-Control", "no-cache");
    MHD_add_response_header(request->ready, "x-sse-support", "enabled");
}

static char *say_features(struct uplift *uplift, uint64_t served)
{
    struct payload *payload = payload_now(uplift);
    char *event = xstrdup(payload->event.ptr);
    (void)served;
    payload_unref(&payload);
    return event;
}

void features_stream(struct request *request)
{
    stream_follow(request, say_features);
}

/* Streams are not told of here: they carry the payload, which knows nothing of consent. */
void features_evaluate(struct request *request)
{
    struct error err = {0};
    json_t *body = request_json(request, false, &err);
    json_t *answer = body ? growthbook_evaluate(request->uplift, body, &err) : NULL;
    respond_result(request, MHD_HTTP_OK, answer, &err);
    json_decref(body);
}

/* --- events --------------------------------------------------------------------------------- */

struct tracking {
    struct request *request;
    json_t *places; /* of what was submitted, in what was sent */
};

static void tracked(void *data, json_t *answer, const struct error *err)
{
    struct tracking *tracking = data;
    struct request *request = tracking->request;
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(answer, "rejected"), i, row)
    {
        json_int_t index = json_integer_value(json_object_get(row, "index"));
        json_object_set(row, "index", json_array_get(tracking->places, (size_t)index));
    }
    json_decref(tracking->places);
    free(tracking);
    respond_later(request, MHD_HTTP_ACCEPTED, answer, err);
}

static json_t *read_events(struct request *request, json_t **places, struct error *err)
{
    char prefix[32];
    json_t *body = request_json(request, false, err);
    snprintf(prefix, sizeof prefix, "track:%s", request->unique);
    struct catalog *catalog = catalog_acquire(&request->uplift->catalog);
    json_t *events = body ? growthbook_events(catalog, body, prefix, places, err) : NULL;
    catalog_release(&request->uplift->catalog, catalog);
    json_decref(body);
    return events;
}

void track_post(struct request *request)
{
    struct error err = {0};
    json_t *places = NULL, *events = read_events(request, &places, &err);
    if (!events) {
        respond_error(request, &err);
        return;
    }
    if (!respond_suspend(request)) {
        json_decref(events);
        json_decref(places);
        return;
    }
    struct tracking *tracking = xmalloc(sizeof *tracking);
    *tracking = (struct tracking){request, places};
    if (!uplift_events_submit(request->uplift, events, tracked, tracking, &err))
        tracked(tracking, NULL, &err);
    json_decref(events);
}
