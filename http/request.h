/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request: from its first header to its answer. It lives as long as libmicrohttpd's connection
 * context and belongs to one thread at a time: to the pool's thread, or, between request_suspend
 * and request_answer_later, to the writer's. */
#ifndef UPLIFT_HTTP_REQUEST_H
#define UPLIFT_HTTP_REQUEST_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "core/error.h"
#include "core/keys.h"
#include "core/text.h"
#include "core/uplift.h"
#include "http/router.h"

struct server;

enum { REQUEST_ID_MAX = 64 };

struct request {
    struct server *server;
    struct uplift *uplift;
    struct MHD_Connection *connection;
    const struct route *route;  /* NULL: none was found, or the page */
    const struct route *shared; /* the row that lets pages of other origins read the answer */
    const char *method;
    /* Decoded; of libmicrohttpd, which keeps it as long as the request. It may hold a key: what is
     * logged is route->path. */
    const char *path;
    char unique[17];              /* of this request alone, whatever a caller says */
    char id[REQUEST_ID_MAX + 1];  /* X-Request-Id: the caller's where it is sane, else made */
    char place[ROUTER_PLACE_MAX]; /* the {key} or {id} of the path */
    struct key_info key;          /* of who asks; id is "" for nobody */
    struct text body;
    int64_t began;              /* of histogram_now: its head was there */
    size_t taken;               /* bytes of the body so far, kept or thrown away */
    struct error refused;       /* set while the body is still read and thrown away */
    unsigned refused_status;    /* where the code of the error does not tell it */
    int status;                 /* the answer: 0 until there is one */
    json_t *later;              /* what respond_later was given */
    struct text written;        /* or the answer, written before the request slept */
    struct MHD_Response *ready; /* or a response made whole */
    bool suspended;
};

/* The body as JSON. NULL and *err: not JSON, or not in UTF-8. An empty body is NULL without an
 * error where `optional`. */
json_t *request_json(struct request *request, bool optional, struct error *err);
/* A header, or NULL; a parameter of the query, or NULL. */
const char *request_header(const struct request *request, const char *name);
const char *request_query(const struct request *request, const char *name);

/* Whether who asks has what this ETag stands for (If-None-Match). */
bool request_has(const struct request *request, const char *etag);
/* If-Match as a version: "3" → 3. False with *err where it is absent (428) or unreadable (400). */
bool request_version(struct request *request, int64_t *version, struct error *err);
/* Inflates a gzip body in place, up to `most` bytes. */
bool request_inflate(struct request *request, size_t most, struct error *err);

#endif
