/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /v1/events: the request sleeps until what it brought is on disk. */
#include "core/json.h"
#include "http/response.h"
#include "http/router.h"

static void done(void *data, json_t *answer, const struct error *err)
{
    respond_later(data, MHD_HTTP_OK, answer, err);
}

/* An array, one object or {"batch"} as JSON; or one JSON document a line. */
static json_t *read_body(struct request *request, struct error *err)
{
    json_t *body = request_json(request, false, err);
    if (body || !request->body.len || err->code != ERROR_SYNTAX)
        return body;
    json_t *list = json_array();
    struct error line_err = {0};
    const char *at = request->body.ptr, *end = at + request->body.len;
    for (size_t line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = stop ? (size_t)(stop - at) : (size_t)(end - at);
        json_t *item = len ? json_parse(at, len, &line_err) : NULL;
        if (len && !item) {
            bool first = line == 1;
            if (!first) {
                error_clear(err);
                error_set(err, ERROR_SYNTAX, NULL, "line %zu of the body: %s", line,
                          line_err.message);
            }
            json_decref(list);
            return NULL;
        }
        if (item)
            json_array_append_new(list, item);
        at += len + 1;
    }
    error_clear(err);
    return list;
}

void events_post(struct request *request)
{
    struct error err = {0};
    json_t *body = read_body(request, &err);
    if (!body) {
        respond_error(request, &err);
        return;
    }
    /* Suspended before it is queued: the writer may answer before this function returns. */
    if (!respond_suspend(request)) {
        json_decref(body);
        return;
    }
    text_release(&request->body);
    if (!uplift_events_submit(request->uplift, body, done, request, &err))
        done(request, NULL, &err);
    json_decref(body);
}
