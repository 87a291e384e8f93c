/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /v1/overlap: which experiments share customers, and whether they depend on each other. */
#include "core/overlap.h"
#include "http/listing.h"
#include "http/response.h"
#include "http/router.h"

static void respond(struct request *request, struct slice experiment)
{
    struct error err = {0};
    struct listing listing;
    json_t *list = NULL;
    if (listing_read(request, &listing, &err))
        list = overlap_list(request->uplift, experiment, listing.after, listing.limit, &err);
    if (list)
        listing_answer(request, list);
    else
        respond_error(request, &err);
}

void overlap_get(struct request *request)
{
    respond(request, NO_SLICE);
}

void experiment_overlap_get(struct request *request)
{
    respond(request, slice_of(request->place));
}
