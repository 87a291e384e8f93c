/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For operators: liveness, readiness. */
#include "http/response.h"
#include "http/router.h"
#include "http/server.h"

void healthz_get(struct request *request)
{
    respond_text(request, MHD_HTTP_OK, "text/plain; charset=utf-8", "ok\n", 3, NULL, NULL);
}

/* Ready means that the store can be read, and that the server does not leave. */
void readyz_get(struct request *request)
{
    struct error err = {0};
    struct store_txn *txn = NULL;
    if (server_ending(request->server))
        error_set(&err, ERROR_BUSY, NULL, "the server is ending");
    else
        txn = store_read(request->uplift->store, &err);
    if (!txn) {
        respond_problem(request, MHD_HTTP_SERVICE_UNAVAILABLE, &err);
        return;
    }
    store_abort(&txn);
    respond_text(request, MHD_HTTP_OK, "text/plain; charset=utf-8", "ready\n", 6, NULL, NULL);
}
