/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pages of lists: the cursor is the last key of the page before. */
#include "http/listing.h"

#include <stdlib.h>

#include "http/response.h"

bool listing_read(const struct request *request, struct listing *listing, struct error *err)
{
    const char *limit = request_query(request, "limit"), *cursor = request_query(request, "cursor");
    char *end = NULL;
    unsigned long number = limit ? strtoul(limit, &end, 10) : 1000;
    if (limit && (*end || end == limit || number < 1 || number > 1000))
        return error_set(err, ERROR_INVALID, "limit", "must be a whole number from 1 to 1000");
    *listing = (struct listing){slice_of(cursor ? cursor : ""), number};
    return true;
}

void listing_answer(struct request *request, json_t *list)
{
    json_t *next = json_incref(json_object_get(list, "next"));
    json_object_del(list, "next");
    json_object_set_new(list, "cursor", next ? next : json_null());
    respond_json(request, MHD_HTTP_OK, list);
}
