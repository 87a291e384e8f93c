/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks, and whether they may. */
#ifndef UPLIFT_HTTP_AUTH_H
#define UPLIFT_HTTP_AUTH_H

#include "http/request.h"
#include "http/router.h"

/* Reads the key of the request into request->key and checks it against the route. The key is the
 * {clientKey} of the route's path, or else in Authorization: Bearer, X-API-Key or the query
 * (auth_parameter). Of the routes that a client key may use, only such a one may be in the address.
 * False with *err: ERROR_UNAUTHORIZED, ERROR_DENIED, or ERROR_NOT_FOUND for a path with a key that
 * is not known. */
bool auth_check(struct request *request, enum access access, struct error *err);

/* The key that the request came with, whether it is one or not; NULL: none. */
const char *auth_secret(const struct request *request);

/* The parameter of the query in which the route takes a key, or NULL. Static. */
const char *auth_parameter(const struct route *route);

#endif
