/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers: one table from codes to status, one place that makes problems and headers. */
#include "http/response.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "http/cors.h"
#include "http/ofrep.h"
#include "http/server.h"

int status_of(enum error_code code)
{
    switch (code) {
    case ERROR_INVALID:
    case ERROR_SYNTAX:
        return MHD_HTTP_BAD_REQUEST;
    case ERROR_UNSUPPORTED:
        return 422;
    case ERROR_NOT_FOUND:
        return MHD_HTTP_NOT_FOUND;
    case ERROR_CONFLICT:
        return MHD_HTTP_CONFLICT;
    case ERROR_STALE:
        return MHD_HTTP_PRECONDITION_FAILED;
    case ERROR_DENIED:
        return MHD_HTTP_FORBIDDEN;
    case ERROR_UNAUTHORIZED:
        return MHD_HTTP_UNAUTHORIZED;
    case ERROR_TOO_LARGE:
        return 413;
    case ERROR_BUSY:
    case ERROR_IO: /* a disk that fails or is read-only: it may pass */
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    case ERROR_FULL:
        return MHD_HTTP_INSUFFICIENT_STORAGE;
    case ERROR_NONE:
    case ERROR_CORRUPT:
        break;
    }
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

static void add_header(struct request *request, const char *name, const char *value)
{
    if (request->ready)
        MHD_add_response_header(request->ready, name, value);
}

/* Takes over the response. */
static void set(struct request *request, int status, const char *type,
                struct MHD_Response *response)
{
    if (!response)
        error_fatal("out of memory for an answer");
    if (request->ready)
        MHD_destroy_response(request->ready);
    request->status = status;
    request->ready = response;
    add_header(request, "Content-Type", type);
    add_header(request, "X-Request-Id", request->id);
    add_header(request, "X-Content-Type-Options", "nosniff");
}

static void make(struct request *request, int status, const char *type, const char *bytes,
                 size_t len)
{
    set(request, status, type,
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY));
}

void respond_reader(struct request *request, const char *type, MHD_ContentReaderCallback read,
                    MHD_ContentReaderFreeCallback release, void *data)
{
    set(request, MHD_HTTP_OK, type,
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read, data, release));
    add_header(request, "Cache-Control", "no-store");
}

void respond_text(struct request *request, int status, const char *type, const char *bytes,
                  size_t len, const char *name, const char *value)
{
    make(request, status, type, bytes, len);
    if (name)
        add_header(request, name, value);
}

void respond_borrowed(struct request *request, const char *type, struct slice bytes,
                      void (*release)(void *data), void *data)
{
    set(request, MHD_HTTP_OK, type,
        MHD_create_response_from_buffer_with_free_callback_cls(
            bytes.len, (void *)(uintptr_t)bytes.ptr, release, data));
}

/* Takes over the text. */
static void send_text(struct request *request, int status, const char *type, char *text, size_t len)
{
    set(request, status, type, MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE));
    add_header(request, "Cache-Control", "no-store");
}

static void send_json(struct request *request, int status, const char *type, json_t *json)
{
    char *text = json_text(json);
    send_text(request, status, type, text, strlen(text));
    json_decref(json);
}

void respond_written(struct request *request, int status, struct text *json)
{
    size_t len = json->len;
    send_text(request, status, "application/json", text_take(json), len);
}

void respond_written_tagged(struct request *request, int status, struct text *json,
                            const char *etag)
{
    respond_written(request, status, json);
    add_header(request, "ETag", etag);
}

void respond_json(struct request *request, int status, json_t *json)
{
    send_json(request, status, "application/json", json);
}

/* As GrowthBook's SDKs know it. */
static json_t *say_growthbook(const struct request *request, int status, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    (void)request;
    return json_pack("{s:i, s:s}", "status", status, "error", error_line(err, line));
}

/* Where SDKs of others ask, errors are said as they expect them. */
static const struct dialect {
    const char *prefix; /* of the path */
    json_t *(*say)(const struct request *request, int status, const struct error *err);
    const char *schema; /* of schemas.def */
} dialects[] = {
    {"/api/", say_growthbook, "growthbook_error"},
    {"/sub/", say_growthbook, "growthbook_error"},
    {"/track", say_growthbook, "growthbook_error"},
    {"/ofrep/", ofrep_error, "ofrep_error"},
};

static json_t *say_problem(const struct request *request, int status, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
                                MHD_get_reason_phrase_for((unsigned)status), "status", status,
                                "detail", error_line(err, line), "request_id", request->id);
    if (*err->place)
        json_object_set_new(
            problem, "errors",
            json_pack("[{s:s, s:s}]", "place", err->place, "message", err->message));
    return problem;
}

static const struct dialect *dialect_of(const char *path)
{
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++)
        if (strncmp(path, dialects[i].prefix, strlen(dialects[i].prefix)) == 0)
            return &dialects[i];
    return NULL;
}

const char *respond_error_schema(const char *path)
{
    const struct dialect *dialect = dialect_of(path);
    return dialect ? dialect->schema : "problem";
}

static void send_problem(struct request *request, int status, const struct error *err)
{
    const struct dialect *dialect = dialect_of(request->path);
    if (dialect) {
        respond_json(request, status, dialect->say(request, status, err));
        return;
    }
    send_json(request, status, "application/problem+json", say_problem(request, status, err));
}

void respond_problem(struct request *request, int status, const struct error *err)
{
    send_problem(request, status, err);
    if (status == MHD_HTTP_UNAUTHORIZED)
        add_header(request, "WWW-Authenticate", "Bearer");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS)
        add_header(request, "Retry-After", "1");
}

void respond_error(struct request *request, const struct error *err)
{
    respond_problem(request,
                    request->refused_status ? (int)request->refused_status : status_of(err->code),
                    err);
}

void respond_result(struct request *request, int status, json_t *json, const struct error *err)
{
    if (json)
        respond_json(request, status, json);
    else
        respond_error(request, err);
}

void respond_versioned(struct request *request, int status, json_t *json, const struct error *err)
{
    char etag[32];
    json_int_t version = json_integer_value(json_object_get(json, "version"));
    snprintf(etag, sizeof etag, "\"%lld\"", (long long)version);
    bool there = json != NULL;
    respond_result(request, status, json, err);
    if (there)
        add_header(request, "ETag", etag);
}

bool respond_suspend(struct request *request)
{
    struct error err = {0};
    if (!server_hold(request->server)) {
        error_set(&err, ERROR_BUSY, NULL, "the server is ending; try again");
        respond_error(request, &err);
        return false;
    }
    request->suspended = true;
    MHD_suspend_connection(request->connection);
    return true;
}

void respond_later(struct request *request, int status, json_t *json, const struct error *err)
{
    struct server *server = request->server;
    struct MHD_Connection *connection = request->connection;
    request->status = status;
    request->later = json;
    request->refused = *err;
    /* From here on the request may be gone. */
    MHD_resume_connection(connection);
    server_let_go(server);
}

static void write_later(struct request *request)
{
    json_t *json = request->later;
    request->later = NULL;
    if (request->refused.code != ERROR_NONE)
        respond_error(request, &request->refused);
    else if (json)
        respond_json(request, request->status, json);
    else
        respond_written(request, request->status, &request->written);
}

enum MHD_Result respond_send(struct request *request)
{
    if (!request->ready)
        write_later(request);
    server_count(request->server, request->status);
    if (request->route)
        server_note(request->server, request->route, histogram_now() - request->began);
    cors_add(request);
    if (server_ending(request->server))
        add_header(request, "Connection", "close");
    enum MHD_Result result =
        MHD_queue_response(request->connection, (unsigned)request->status, request->ready);
    MHD_destroy_response(request->ready);
    request->ready = NULL;
    return result;
}
