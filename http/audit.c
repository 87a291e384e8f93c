/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/audit: the trail, newest first; the cursor is the number of the last row shown. */
#include "core/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/listing.h"
#include "http/response.h"
#include "http/router.h"

static bool read_before(const struct listing *listing, uint64_t *before, struct error *err)
{
    char *end = NULL;
    *before = 0;
    if (listing->after.len == 0)
        return true;
    *before = strtoull(listing->after.ptr, &end, 10);
    return (*end == '\0' && *before > 0) ||
           error_set(err, ERROR_INVALID, "cursor", "must be that of the page before");
}

static json_t *read_rows(struct uplift *uplift, uint64_t before, size_t limit, struct error *err)
{
    struct store_txn *txn = store_read(uplift->store, err);
    json_t *rows = txn && before != 1 ? audit_list(txn, before, limit, err) : NULL;
    store_abort(&txn);
    return before == 1 ? json_array() : rows;
}

void audit_get(struct request *request)
{
    struct error err = {0};
    struct listing listing;
    uint64_t before;
    json_t *rows = NULL;
    if (listing_read(request, &listing, &err) && read_before(&listing, &before, &err))
        rows = read_rows(request->uplift, before, listing.limit, &err);
    if (!rows) {
        respond_error(request, &err);
        return;
    }
    size_t count = json_array_size(rows);
    json_int_t last =
        json_integer_value(json_object_get(json_array_get(rows, count - 1), "number"));
    char cursor[24];
    snprintf(cursor, sizeof cursor, "%lld", (long long)last);
    bool more = count == listing.limit && last > 1;
    listing_answer(request, json_pack("{s:o, s:s?}", "audit", rows, "next", more ? cursor : NULL));
}
