/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Server-sent events: GET /v1/stream says to people what changed, by name and version, and the page
 * then asks for it; the streams of SDKs say that what customers get has changed. A stream sleeps
 * between its events and holds no thread. It ends when its key is revoked: before it says anything
 * more, a heartbeat later at most. Any thread. */
#ifndef UPLIFT_HTTP_STREAM_H
#define UPLIFT_HTTP_STREAM_H

#include "core/uplift.h"

struct streams;

enum { STREAMS_MAX = 100, STREAM_HEARTBEAT_MS = 15000 };

struct request;

/* `followers_max`: the most streams of SDKs; STREAMS_MAX is that of people's. */
struct streams *streams_new(struct uplift *uplift, size_t followers_max);
/* All streams must have ended. */
void streams_free(struct streams **streams);
/* Wakes the streams that have something to say: those of SDKs, which are about a change of
 * definitions, each time; with `people` those of people too, to be called with about once a second,
 * so that none says more while events come in. */
void streams_tick(struct streams *streams, bool people);
/* Ends all of them, and lets none begin: when it returns none sleeps, nor will. */
void streams_end(struct streams *streams);

/* Answers with a stream for an SDK. Each time that catalog_served has changed it says what `say`
 * gives for it: whole events, without ids, which free() frees. Their id is that number, so a client
 * that comes back (Last-Event-ID) is told at once where it missed one. So is one that comes within
 * STREAM_FRESH_MS of a change, as it may have asked before it. */
enum { STREAM_FRESH_MS = 10000 };
void stream_follow(struct request *request, char *(*say)(struct uplift *uplift, uint64_t served));

#endif
