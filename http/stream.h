/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/stream: server-sent events that say what changed, by name and version; the page then asks
 * for it. A stream sleeps between its events and holds no thread. Any thread. */
#ifndef UPLIFT_HTTP_STREAM_H
#define UPLIFT_HTTP_STREAM_H

#include "core/uplift.h"

struct streams;

enum { STREAMS_MAX = 100, STREAM_HEARTBEAT_MS = 15000 };

struct streams *streams_new(struct uplift *uplift);
/* All streams must have ended. */
void streams_free(struct streams **streams);
/* Wakes the streams that have something to say: to be called about once a second, so that none
 * says more. */
void streams_tick(struct streams *streams);
/* Ends all of them, and lets none begin: when it returns none sleeps, nor will. */
void streams_end(struct streams *streams);

#endif
