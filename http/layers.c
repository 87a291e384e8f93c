/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /v1/layers: who has which range. */
#include "core/layers.h"
#include "http/listing.h"
#include "http/response.h"
#include "http/router.h"

void layers_list(struct request *request)
{
    struct error err = {0};
    struct listing listing;
    if (listing_read(request, &listing, &err))
        listing_answer(request, uplift_layer_list(request->uplift, listing.after, listing.limit));
    else
        respond_error(request, &err);
}

void layer_get(struct request *request)
{
    struct error err = {0};
    json_t *layer = uplift_layer_get(request->uplift, slice_of(request->place), &err);
    if (layer)
        respond_json(request, MHD_HTTP_OK, layer);
    else
        respond_error(request, &err);
}
