/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /v1/metrics: what is measured. */
#include "core/definitions.h"
#include "http/listing.h"
#include "http/response.h"
#include "http/router.h"

static struct definition_change change_by(const struct request *request)
{
    return (struct definition_change){.who = request->key.id, .version = 0, .at = -1};
}

void metrics_list(struct request *request)
{
    struct error err = {0};
    struct listing listing;
    if (listing_read(request, &listing, &err))
        listing_answer(request, uplift_metric_list(request->uplift, listing.after, listing.limit));
    else
        respond_error(request, &err);
}

void metrics_create(struct request *request)
{
    struct error err = {0};
    struct definition_change change = change_by(request);
    json_t *body = request_json(request, false, &err);
    json_t *made = body ? uplift_metric_create(request->uplift, &change, body, &err) : NULL;
    respond_versioned(request, MHD_HTTP_CREATED, made, &err);
    json_decref(body);
}

void metric_get(struct request *request)
{
    struct error err = {0};
    json_t *found = uplift_metric_get(request->uplift, slice_of(request->place), &err);
    respond_versioned(request, MHD_HTTP_OK, found, &err);
}

void metric_put(struct request *request)
{
    struct error err = {0};
    struct definition_change change = change_by(request);
    json_t *made = NULL, *body = NULL;
    if (request_version(request, &change.version, &err) &&
        (body = request_json(request, false, &err)))
        made = uplift_metric_amend(request->uplift, &change, slice_of(request->place), body, &err);
    respond_versioned(request, MHD_HTTP_OK, made, &err);
    json_decref(body);
}

void metric_delete(struct request *request)
{
    struct error err = {0};
    struct definition_change change = change_by(request);
    if (request_version(request, &change.version, &err) &&
        uplift_metric_remove(request->uplift, &change, slice_of(request->place), &err))
        respond_text(request, MHD_HTTP_NO_CONTENT, "application/json", "", 0, NULL, NULL);
    else
        respond_error(request, &err);
}
