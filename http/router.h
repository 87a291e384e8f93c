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
    ACCESS_CLIENT,   /* every key but a viewer's */
    ACCESS_SERVICE,  /* service keys, and people */
    ACCESS_PERSONAL, /* service keys, and people of role admin: a customer's data */
    ACCESS_VIEWER,   /* people's keys by role, each including those before */
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

/* Room for what may stand in a path's braces: {key} and {clientKey} are less than 80 bytes without
 * a slash; {id} is all up to what the pattern has behind it, at most 256 bytes, slashes and all. */
enum { ROUTER_PLACE_MAX = 257 };
/* What stands in a path for a slash that came as %2F, and so is part of a name: no byte of UTF-8.
 */
#define ROUTER_SLASH '\xff'

/* The route; NULL where there is none. `place` gets the part of the path in braces. *allowed is set
 * to the methods that the path knows ("GET, POST"), empty where it knows none. HEAD is GET. Of two
 * patterns that a path fits the first one in the table has it. */
const struct route *router_find(const char *method, const char *path, char place[ROUTER_PLACE_MAX],
                                char allowed[64]);
/* The first row that the path fits and that a client key may use, whatever its method; NULL where
 * there is none. */
const struct route *router_shared(const char *path);
/* Decodes the path of a request in place; returns its length. A byte that no name may hold (%00)
 * becomes one that is no UTF-8. */
size_t router_decode(char *path);
/* All of them, ending in a row without a method. */
const struct route *router_table(void);

#endif
