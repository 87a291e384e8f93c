/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /v1/customers/{id}: a person's data, shown and erased, and what they consent to. */
#include "core/customer.h"

#include "core/consent.h"
#include "http/listing.h"
#include "http/response.h"
#include "http/router.h"

void customer_get(struct request *request)
{
    struct error err = {0};
    struct listing listing;
    json_t *page = NULL;
    if (listing_read(request, &listing, &err))
        page = uplift_customer_get(request->uplift, slice_of(request->place), listing.after,
                                   listing.limit, &err);
    if (page)
        listing_answer(request, page);
    else
        respond_error(request, &err);
}

void customer_delete(struct request *request)
{
    struct error err = {0};
    json_t *erased =
        uplift_customer_erase(request->uplift, request->key.id, slice_of(request->place), &err);
    respond_result(request, MHD_HTTP_OK, erased, &err);
}

void consent_get(struct request *request)
{
    struct error err = {0};
    json_t *consent = uplift_consent_get(request->uplift, slice_of(request->place), &err);
    respond_result(request, MHD_HTTP_OK, consent, &err);
}

void consent_put(struct request *request)
{
    struct error err = {0};
    json_t *body = request_json(request, false, &err);
    json_t *recorded = body ? uplift_consent_set(request->uplift, request->key.id,
                                                 slice_of(request->place), body, &err)
                            : NULL;
    respond_result(request, MHD_HTTP_OK, recorded, &err);
    json_decref(body);
}
