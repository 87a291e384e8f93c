/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks, and whether they may. */
#ifndef UPLIFT_HTTP_AUTH_H
#define UPLIFT_HTTP_AUTH_H

#include "http/request.h"
#include "http/router.h"

/* Reads the key of the request (Authorization: Bearer, X-API-Key, or ?key= for events and streams)
 * into request->key and checks it against the route. False with *err: ERROR_UNAUTHORIZED or
 * ERROR_DENIED. */
bool auth_check(struct request *request, enum access access, struct error *err);

#endif
