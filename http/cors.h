/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CORS: pages of other origins may call every route that a client key may (router_shared), and no
 * other. There are no cookies here: what a page may do follows from the key that it sends, which
 * is public, so any origin is as good as another.
 *
 * Where the key may stand in the address (auth_parameter), beacons are sent to, and a beacon comes
 * with credentials whether it wants to or not: there the origin is echoed instead of "*", which a
 * browser refuses then. */
#ifndef UPLIFT_HTTP_CORS_H
#define UPLIFT_HTTP_CORS_H

#include "http/request.h"

/* Finds what the rule says of the request, which has been routed. True where it is a preflight
 * (OPTIONS, which has no key), to be answered by cors_preflight. */
bool cors_begin(struct request *request);
/* Answers what a page of another origin may send. */
void cors_preflight(struct request *request);
/* Adds to an answer what lets such a page read it: to every one, errors too. */
void cors_add(struct request *request);

#endif
