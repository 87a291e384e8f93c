/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/openapi.json: the description of the API, made from the table of routes (routes.def),
 * what they take and give (operations.def) and the shapes of that (schemas.def). */
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "http/auth.h"
#include "http/response.h"
#include "http/router.h"

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
    {"/v1/overlap", "limit", "At most so many, 1 to 1000."},
    {"/v1/overlap", "cursor", "That of the page before."},
    {"/v1/experiments/{key}/overlap", "limit", "At most so many, 1 to 1000."},
    {"/v1/experiments/{key}/overlap", "cursor", "That of the page before."},
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
};

/* What may go wrong on a route, beside what may on every one. */
static void put_problem(json_t *responses, const struct route *route, const char *status)
{
    char place[64];
    snprintf(place, sizeof place, "#/components/responses/%s", respond_error_schema(route->path));
    json_object_set_new(responses, status, json_pack("{s:s}", "$ref", place));
}

static void put_problems(json_t *responses, const struct route *route)
{
    static const char *const always[] = {"405", "413", "429", "503"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        put_problem(responses, route, always[i]);
    if (route->access != ACCESS_ANYONE) {
        put_problem(responses, route, "401");
        put_problem(responses, route, "403");
    }
    if (strchr(route->path, '{'))
        put_problem(responses, route, "404");
    if (route->body_max)
        put_problem(responses, route, "400");
    if (route->access == ACCESS_EDITOR)
        put_problem(responses, route, "409");
    if (route->access == ACCESS_EDITOR ||
        (route->access == ACCESS_PERSONAL && strcmp(route->method, "GET") != 0))
        put_problem(responses, route, "507");
    if (strstr(route->summary, "If-Match")) {
        put_problem(responses, route, "412");
        put_problem(responses, route, "428");
    }
}

static json_t *describe_parameters(const struct route *route)
{
    json_t *list = json_array();
    const char *brace = strchr(route->path, '{');
    if (brace)
        json_array_append_new(
            list, json_pack("{s:s%, s:s, s:b, s:s*, s:{s:s}}", "name", brace + 1,
                            strcspn(brace + 1, "}"), "in", "path", "required", 1, "description",
                            strstr(brace, "clientKey") ? "A client key: it lets in." : NULL,
                            "schema", "type", "string"));
    if (strstr(route->summary, "If-Match"))
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", "If-Match", "in",
                                              "header", "required", 1, "schema", "type", "string"));
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(route->path, parameters[i].path) == 0 &&
            (strcmp(route->method, "GET") == 0 || strncmp(route->path, "/ofrep/", 7) == 0))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:{s:s}}", "name",
                                                  parameters[i].name, "in", "query", "description",
                                                  parameters[i].about, "schema", "type", "string"));
    return list;
}

/* --- bodies --------------------------------------------------------------------------------- */

static const struct schema {
    const char *name, *json;
} schemas[] = {
#define SCHEMA(name, ...) {#name, #__VA_ARGS__},
#include "http/schemas.def"
#undef SCHEMA
};

struct operation {
    const char *method, *path, *request, *status, *answer;
};

static const struct operation operations[] = {
#define OPERATION(method, path, request, status, answer) {method, path, request, status, answer},
#include "http/operations.def"
#undef OPERATION
};

static const struct operation *operation_of(const struct route *route)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(operations[i].method, route->method) == 0 &&
            strcmp(operations[i].path, route->path) == 0)
            return &operations[i];
    return NULL;
}

static json_t *refer(const char *schema)
{
    char place[96];
    snprintf(place, sizeof place, "#/components/schemas/%s", schema);
    return json_pack("{s:s}", "$ref", place);
}

static json_t *describe_answer(const char *answer)
{
    json_t *response = json_pack("{s:s}", "description", "The answer.");
    const char *type = strcmp(answer, "text") == 0     ? "text/plain"
                       : strcmp(answer, "stream") == 0 ? "text/event-stream"
                                                       : "application/json";
    bool is_json = strcmp(type, "application/json") == 0;
    if (*answer)
        json_object_set_new(
            response, "content",
            json_pack("{s:{s:o}}", type, "schema",
                      is_json ? refer(answer) : json_pack("{s:s}", "type", "string")));
    return response;
}

static json_t *describe_schemas(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        json_t *schema = json_loads(schemas[i].json, 0, NULL);
        must(schema);
        json_object_set_new(all, schemas[i].name, schema);
    }
    return all;
}

/* "?name": it may be left out. */
static json_t *describe_request(const char *request)
{
    bool optional = *request == '?';
    return json_pack("{s:b, s:{s:{s:o}}}", "required", !optional, "content", "application/json",
                     "schema", refer(request + optional));
}

/* Any of them lets in; an empty one: nothing is needed. A key in the path is no scheme that OpenAPI
 * knows, and a parameter of it. */
static json_t *describe_security(const struct route *route)
{
    const char *parameter = auth_parameter(route);
    json_t *list = json_array();
    if (route->access == ACCESS_ANYONE || strstr(route->path, "{clientKey}"))
        return list;
    if (route->access == ACCESS_OPERATOR)
        json_array_append_new(list, json_object());
    json_array_append_new(list, json_pack("{s:[]}", "bearer"));
    json_array_append_new(list, json_pack("{s:[]}", "header"));
    if (parameter)
        json_array_append_new(list, json_pack("{s:[]}", parameter));
    return list;
}

static json_t *describe(const struct route *route)
{
    const struct operation *bodies = operation_of(route);
    must(bodies); /* a route without a line in operations.def */
    json_t *responses = json_pack("{s:o}", bodies->status, describe_answer(bodies->answer));
    json_t *operation = json_pack("{s:s, s:o, s:o}", "summary", route->summary, "parameters",
                                  describe_parameters(route), "responses", responses);
    put_problems(responses, route);
    if (*bodies->request)
        json_object_set_new(operation, "requestBody", describe_request(bodies->request));
    json_object_set_new(operation, "security", describe_security(route));
    return operation;
}

static json_t *describe_error(const char *about, const char *type, const char *schema)
{
    return json_pack("{s:s, s:{s:{s:o}}}", "description", about, "content", type, "schema",
                     refer(schema));
}

static json_t *scheme(const char *in, const char *name, const char *about)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "type", "apiKey", "in", in, "name", name,
                     "description", about);
}

static json_t *describe_components(void)
{
    static const char where[] = "A key where no header can be set: beacons, streams.";
    json_t *responses = json_object(), *schemes = json_object();
    json_object_set_new(
        responses, "problem",
        describe_error("A problem (RFC 9457).", "application/problem+json", "problem"));
    json_object_set_new(responses, "ofrep_error",
                        describe_error("An error as OpenFeature's providers read it.",
                                       "application/json", "ofrep_error"));
    json_object_set_new(responses, "growthbook_error",
                        describe_error("An error as GrowthBook's SDKs read it.", "application/json",
                                       "growthbook_error"));
    json_object_set_new(schemes, "bearer",
                        json_pack("{s:s, s:s}", "type", "http", "scheme", "bearer"));
    json_object_set_new(schemes, "header", scheme("header", "X-API-Key", "A key."));
    json_object_set_new(schemes, "key", scheme("query", "key", where));
    json_object_set_new(schemes, "client_key", scheme("query", "client_key", where));
    return json_pack("{s:o, s:o, s:o}", "securitySchemes", schemes, "responses", responses,
                     "schemas", describe_schemas());
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
                 json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:[{s:s}], s:o, s:o}", "openapi",
                           "3.1.0", "info", "title", "Uplift", "version", PACKAGE_VERSION,
                           "license", "name", "GPL-3.0-or-later", "identifier", "GPL-3.0-or-later",
                           "servers", "url", "/", "paths", paths, "components",
                           describe_components()));
}
