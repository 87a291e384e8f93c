/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results, looks and health of an experiment. */
#include <stdlib.h>

#include "core/analysis.h"
#include "core/when.h"
#include "http/response.h"
#include "http/router.h"

static bool read_options(const struct request *request, struct results_options *options,
                         struct error *err)
{
    const char *phase = request_query(request, "phase"), *as_of = request_query(request, "as_of");
    *options = (struct results_options){.phase = 0, .as_of = -1};
    char *end = NULL;
    /* Refused, not ignored: whoever asks for a part must not take the whole for it. */
    static const char *const later[] = {"format", "segment"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (request_query(request, later[i]))
            return error_set(err, ERROR_UNSUPPORTED, later[i], "is not available in this version");
    if (phase) {
        long number = strtol(phase, &end, 10);
        if (*end || end == phase || number < 1 || number > UINT16_MAX)
            return error_set(err, ERROR_INVALID, "phase", "must be a whole number from 1 on");
        options->phase = (int)number;
    }
    if (as_of && !when_parse(slice_of(as_of), &options->as_of))
        return error_set(err, ERROR_INVALID, "as_of", "must be a time as 2026-11-02T10:00:00Z");
    return true;
}

static json_t *results(struct request *request, struct error *err)
{
    struct results_options options;
    if (!read_options(request, &options, err))
        return NULL;
    return analysis_results(request->uplift, slice_of(request->place), &options, err);
}

void results_get(struct request *request)
{
    struct error err = {0};
    json_t *found = results(request, &err);
    respond_result(request, MHD_HTTP_OK, found, &err);
}

/* One part of the results under its name. */
static void respond_part(struct request *request, const char *name)
{
    struct error err = {0};
    json_t *found = results(request, &err);
    json_t *part = found ? json_pack("{s:O}", name, json_object_get(found, name)) : NULL;
    json_decref(found);
    respond_result(request, MHD_HTTP_OK, part, &err);
}

void looks_get(struct request *request)
{
    respond_part(request, "looks");
}

void health_get(struct request *request)
{
    respond_part(request, "health");
}
