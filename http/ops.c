/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For operators: liveness, readiness, the description of the API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* --- OpenAPI -------------------------------------------------------------------------------- */

/* What a route takes in its query. */
static const struct parameter {
    const char *path, *name, *about;
} parameters[] = {
    {"/v1/experiments/{key}/results", "phase", "A phase, from 1 on; the present one if left out."},
    {"/v1/experiments/{key}/results", "as_of", "A time: the last look at or before it."},
    {"/v1/experiments/{key}/results", "segment", "Only this segment."},
    {"/v1/experiments/{key}/results", "format", "json or csv."},
    {"/v1/experiments/{key}/looks", "phase", "A phase, from 1 on; the present one if left out."},
    {"/v1/experiments/{key}/looks", "as_of", "A time: the looks up to it."},
    {"/v1/experiments/{key}/looks", "format", "json or csv."},
    {"/v1/experiments/{key}/health", "phase", "A phase, from 1 on; the present one if left out."},
    {"/v1/experiments/{key}/health", "as_of", "A time: the last look at or before it."},
    {"/ofrep/v1/evaluate/flags", "flagConfigEtag", "That of a stream's event; not needed here."},
    {"/ofrep/v1/evaluate/flags", "flagConfigLastModified", "The same."},
    {"/v1/experiments", "limit", "At most so many, 1 to 1000."},
    {"/v1/experiments", "cursor", "That of the page before."},
    {"/v1/layers", "limit", "At most so many, 1 to 1000."},
    {"/v1/layers", "cursor", "That of the page before."},
    {"/v1/metrics", "limit", "At most so many, 1 to 1000."},
    {"/v1/metrics", "cursor", "That of the page before."},
    {"/v1/customers/{id}", "limit", "At most so many events, 1 to 1000."},
    {"/v1/customers/{id}", "cursor", "That of the page before."},
    {"/v1/deliveries", "state", "dead: only those that were given up."},
    {"/v1/deliveries", "limit", "At most so many, 1 to 1000."},
    {"/v1/deliveries", "cursor", "That of the page before."},
    {"/v1/audit", "limit", "At most so many, 1 to 1000."},
    {"/v1/audit", "cursor", "That of the page before."},
    {"/track", "client_key", "A client key, where no header can be set."},
    {"/v1/events", "key", "A client key, where no header can be set."},
    {"/v1/stream", "key", "A key, where no header can be set."},
};

/* What may go wrong on a route, beside what may on every one. */
static void put_problem(json_t *responses, const char *status)
{
    json_object_set_new(responses, status,
                        json_pack("{s:s}", "$ref", "#/components/responses/problem"));
}

static void put_problems(json_t *responses, const struct route *route)
{
    static const char *const always[] = {"405", "413", "429", "503"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        put_problem(responses, always[i]);
    if (route->access != ACCESS_ANYONE) {
        put_problem(responses, "401");
        put_problem(responses, "403");
    }
    if (strchr(route->path, '{'))
        put_problem(responses, "404");
    if (route->body_max)
        put_problem(responses, "400");
    if (route->access == ACCESS_EDITOR)
        put_problem(responses, "409");
    if (route->access == ACCESS_EDITOR ||
        (route->access == ACCESS_PERSONAL && strcmp(route->method, "GET") != 0))
        put_problem(responses, "507");
    if (strstr(route->summary, "If-Match")) {
        put_problem(responses, "412");
        put_problem(responses, "428");
    }
}

static json_t *describe_parameters(const struct route *route)
{
    json_t *list = json_array();
    const char *brace = strchr(route->path, '{');
    if (brace)
        json_array_append_new(list, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", brace + 1,
                                              strcspn(brace + 1, "}"), "in", "path", "required", 1,
                                              "schema", "type", "string"));
    if (strstr(route->summary, "If-Match"))
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", "If-Match", "in",
                                              "header", "required", 1, "schema", "type", "string"));
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(route->path, parameters[i].path) == 0 &&
            (strcmp(route->method, "GET") == 0 || strstr(parameters[i].name, "key") ||
             strncmp(route->path, "/ofrep/", 7) == 0))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:{s:s}}", "name",
                                                  parameters[i].name, "in", "query", "description",
                                                  parameters[i].about, "schema", "type", "string"));
    return list;
}

static json_t *describe(const struct route *route)
{
    json_t *responses = json_pack("{s:{s:s}}", "2XX", "description", "The answer.");
    json_t *operation = json_pack("{s:s, s:o, s:o}", "summary", route->summary, "parameters",
                                  describe_parameters(route), "responses", responses);
    put_problems(responses, route);
    if (route->body_max)
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:{s:{s:{}}}}", "content", "application/json", "schema"));
    if (route->access != ACCESS_ANYONE && !strstr(route->path, "{clientKey}"))
        json_object_set_new(operation, "security",
                            json_pack("[{s:[]}, {s:[]}]", "bearer", "header"));
    return operation;
}

void openapi_get(struct request *request)
{
    json_t *paths = json_object();
    for (const struct route *route = router_table(); route->method; route++) {
        char method[8] = "";
        for (size_t i = 0; route->method[i] && i < 7; i++)
            method[i] = (char)(route->method[i] | 0x20);
        json_t *path = json_object_get(paths, route->path);
        if (!path) {
            path = json_object();
            json_object_set_new(paths, route->path, path);
        }
        json_object_set_new(path, method, describe(route));
    }
    respond_json(request, MHD_HTTP_OK,
                 json_pack("{s:s, s:{s:s, s:s}, s:o, s:{s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}, "
                           "s:{s:{s:s, s:{s:{}}}}}}",
                           "openapi", "3.1.0", "info", "title", "Uplift", "version",
                           PACKAGE_VERSION, "paths", paths, "components", "securitySchemes",
                           "bearer", "type", "http", "scheme", "bearer", "header", "type", "apiKey",
                           "in", "header", "name", "X-API-Key", "responses", "problem",
                           "description",
                           "A problem (RFC 9457): title, status, detail, request_id, errors.",
                           "content", "application/problem+json"));
}
