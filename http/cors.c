/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The headers of CORS, in one place. */
#include "http/cors.h"

#include <string.h>

#include "http/auth.h"
#include "http/response.h"

bool cors_begin(struct request *request)
{
    request->shared = request->route
                          ? (request->route->access == ACCESS_CLIENT ? request->route : NULL)
                          : router_shared(request->path);
    return request->shared && strcmp(request->method, MHD_HTTP_METHOD_OPTIONS) == 0;
}

void cors_preflight(struct request *request)
{
    respond_text(request, MHD_HTTP_NO_CONTENT, "text/plain; charset=utf-8", "", 0,
                 "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    /* Spelled out: "*" would not cover Authorization. */
    MHD_add_response_header(
        request->ready, "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Content-Encoding, If-None-Match, X-API-Key, Idempotency-Key");
    MHD_add_response_header(request->ready, "Access-Control-Max-Age", "86400");
}

void cors_add(struct request *request)
{
    struct MHD_Response *response = request->ready;
    if (!request->shared)
        return;
    const char *origin = request_header(request, "Origin");
    bool beacons = auth_parameter(request->shared) != NULL;
    bool echoes =
        beacons && origin &&
        MHD_add_response_header(response, "Access-Control-Allow-Origin", origin) == MHD_YES;
    if (echoes)
        MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
    else
        MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
    if (beacons)
        MHD_add_response_header(response, "Vary", "Origin");
    MHD_add_response_header(response, "Access-Control-Expose-Headers",
                            "ETag, Retry-After, x-sse-support");
}
