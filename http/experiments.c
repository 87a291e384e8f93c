/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /v1/experiments: definitions and their states. */
#include <stdlib.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/json.h"
#include "http/listing.h"
#include "http/response.h"
#include "http/router.h"

static struct definition_change change_by(const struct request *request)
{
    return (struct definition_change){
        .who = request->key.id, .version = 0, .at = -1, .by_person = true};
}

void experiments_list(struct request *request)
{
    struct error err = {0};
    struct listing listing;
    if (!listing_read(request, &listing, &err)) {
        respond_error(request, &err);
        return;
    }
    json_t *list = uplift_experiment_list(request->uplift, listing.after, listing.limit), *row;
    size_t i;
    json_array_foreach(json_object_get(list, "experiments"), i, row)
    {
        struct slice key = slice_of(json_string_value(json_object_get(row, "key")));
        json_object_set_new(row, "summary", analysis_summary(request->uplift, key));
    }
    listing_answer(request, list);
}

void experiments_create(struct request *request)
{
    struct error err = {0};
    struct definition_change change = change_by(request);
    json_t *body = request_json(request, false, &err);
    json_t *made = body ? uplift_experiment_create(request->uplift, &change, body, &err) : NULL;
    respond_versioned(request, MHD_HTTP_CREATED, made, &err);
    json_decref(body);
}

void experiment_get(struct request *request)
{
    struct error err = {0};
    json_t *found = uplift_experiment_get(request->uplift, slice_of(request->place), &err);
    respond_versioned(request, MHD_HTTP_OK, found, &err);
}

static void amend(struct request *request,
                  json_t *(*call)(struct uplift *, const struct definition_change *, struct slice,
                                  json_t *, struct error *))
{
    struct error err = {0};
    struct definition_change change = change_by(request);
    json_t *made = NULL, *body = NULL;
    if (request_version(request, &change.version, &err) &&
        (body = request_json(request, false, &err)))
        made = call(request->uplift, &change, slice_of(request->place), body, &err);
    respond_versioned(request, MHD_HTTP_OK, made, &err);
    json_decref(body);
}

void experiment_put(struct request *request)
{
    amend(request, uplift_experiment_amend);
}

void experiment_merge(struct request *request)
{
    amend(request, uplift_experiment_patch);
}

void experiment_delete(struct request *request)
{
    struct error err = {0};
    struct definition_change change = change_by(request);
    if (request_version(request, &change.version, &err) &&
        uplift_experiment_remove(request->uplift, &change, slice_of(request->place), &err))
        respond_text(request, MHD_HTTP_NO_CONTENT, "application/json", "", 0, NULL, NULL);
    else
        respond_error(request, &err);
}

void experiment_change_state(struct request *request)
{
    struct error err = {0};
    struct definition_change change = change_by(request);
    enum experiment_step step = STEP_START;
    must(experiment_step_parse(slice_of(strrchr(request->path, '/') + 1), &step));
    json_t *options = request_json(request, true, &err), *made = NULL;
    if (err.code == ERROR_NONE)
        made = uplift_experiment_transition(request->uplift, &change, slice_of(request->place),
                                            step, options, &err);
    respond_versioned(request, MHD_HTTP_OK, made, &err);
    json_decref(options);
}
