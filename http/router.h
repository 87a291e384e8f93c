/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The router: routes.def as a table, looked up by method and path. */
#ifndef UPLIFT_HTTP_ROUTER_H
#define UPLIFT_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

struct request;

/* Who may use a route. */
enum access {
    ACCESS_ANYONE,
    ACCESS_CLIENT,  /* every key but a viewer's */
    ACCESS_SERVICE, /* service keys, and people */
    ACCESS_VIEWER,  /* people's keys by role, each including those before */
    ACCESS_EDITOR,
    ACCESS_ADMIN,
    ACCESS_OPERATOR, /* from this machine, or every key but a client's */
};

struct route {
    const char *method, *path;
    enum access access;
    size_t body_max;
    void (*handle)(struct request *request);
    const char *summary;
};

#define ROUTE(method, path, access, body, handler, summary) void handler(struct request *request);
#include "http/routes.def"
#undef ROUTE

/* The route; NULL where there is none. `place` gets the part of the path in braces. *allowed is set
 * to the methods that the path knows ("GET, POST"), empty where it knows none. HEAD is GET. */
const struct route *router_find(const char *method, const char *path, char place[80],
                                char allowed[64]);
/* All of them, ending in a row without a method. */
const struct route *router_table(void);

#endif
