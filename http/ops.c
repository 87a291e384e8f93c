/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For operators: liveness, readiness, figures for Prometheus, the description of the API. */
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

/* Ready means that the store can be read. */
void readyz_get(struct request *request)
{
    struct error err = {0};
    struct store_txn *txn = store_read(request->uplift->store, &err);
    if (!txn) {
        respond_problem(request, MHD_HTTP_SERVICE_UNAVAILABLE, &err);
        return;
    }
    store_abort(&txn);
    respond_text(request, MHD_HTTP_OK, "text/plain; charset=utf-8", "ready\n", 6, NULL, NULL);
}

static void add_series(struct text *out, const char *name, const char *kind, const char *help,
                       double value)
{
    text_printf(out, "# HELP uplift_%s %s\n# TYPE uplift_%s %s\nuplift_%s %.17g\n", name, help,
                name, kind, name, value);
}

void prometheus_get(struct request *request)
{
    struct uplift *uplift = request->uplift;
    uint64_t used = 0, file = 0;
    struct text out;
    text_init(&out, 1 << 16);
    store_size(uplift->store, &used, &file);
    add_series(&out, "events_accepted_total", "counter", "Events taken since the start.",
               (double)atomic_load(&uplift->accepted));
    add_series(&out, "events_duplicate_total", "counter", "Events that were there already.",
               (double)atomic_load(&uplift->duplicates));
    add_series(&out, "events_rejected_total", "counter", "Events refused.",
               (double)atomic_load(&uplift->rejected));
    add_series(&out, "commits_total", "counter", "Commits to disk.",
               (double)ingest_commits(uplift->ingest));
    add_series(&out, "queue_events", "gauge", "Events that wait for the writer.",
               (double)ingest_waiting(uplift->ingest));
    add_series(&out, "store_used_bytes", "gauge", "Bytes in use in the store.", (double)used);
    add_series(&out, "store_file_bytes", "gauge", "Bytes of the store on disk.", (double)file);
    text_puts(&out, "# HELP uplift_http_answers_total Answers by class of status.\n"
                    "# TYPE uplift_http_answers_total counter\n");
    for (int class = 2; class <= 5; class ++)
        text_printf(&out, "uplift_http_answers_total{class=\"%dxx\"} %llu\n", class,
                    (unsigned long long)server_answers(request->server, class));
    respond_text(request, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", out.ptr, out.len,
                 NULL, NULL);
    text_release(&out);
}

/* --- OpenAPI -------------------------------------------------------------------------------- */

static json_t *describe(const struct route *route)
{
    json_t *operation = json_pack("{s:s, s:{s:{s:s}, s:{s:s}}}", "summary", route->summary,
                                  "responses", "2XX", "description", "The answer, as JSON.",
                                  "default", "description", "A problem (RFC 9457).");
    if (strchr(route->path, '{'))
        json_object_set_new(operation, "parameters",
                            json_pack("[{s:s, s:s, s:b, s:{s:s}}]", "name", "key", "in", "path",
                                      "required", 1, "schema", "type", "string"));
    if (route->body_max)
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:{s:{s:{}}}}", "content", "application/json", "schema"));
    if (route->access != ACCESS_ANYONE)
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
                 json_pack("{s:s, s:{s:s, s:s}, s:o, s:{s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}}}",
                           "openapi", "3.1.0", "info", "title", "Uplift", "version",
                           PACKAGE_VERSION, "paths", paths, "components", "securitySchemes",
                           "bearer", "type", "http", "scheme", "bearer", "header", "type", "apiKey",
                           "in", "header", "name", "X-API-Key"));
}
