/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replay: a kept look made once more from history alone, to tell whether what was shown and decided
 * is what the events say.
 *
 * The definitions are those of the trail up to the look, the tallies are counted from the events
 * received until then, running figures go on from the look before as it was recorded; results are
 * made by the code that serves them. Equal means the same JSON, byte for byte. Reads beside a
 * server. */
#ifndef UPLIFT_CORE_REPLAY_H
#define UPLIFT_CORE_REPLAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/store.h"
#include "core/text.h"

struct replay_options {
    struct slice experiment;
    int phase;     /* 0: the present one */
    int64_t until; /* ms: the last look at or before it; INT64_MAX: the last of all */
    bool all;      /* all looks at or before it */
};

enum replay_outcome { REPLAY_SAME, REPLAY_DIFFERENT, REPLAY_IMPOSSIBLE };

/* What came of one look; lives during the call. */
struct replay_told {
    enum replay_outcome outcome;
    int phase;
    const json_t *recorded; /* results */
    const json_t *made;     /* the same made once more; NULL where it is impossible */
    uint64_t events;        /* of all customers, received until then */
    const char *pointer;    /* different: to the first difference (RFC 6901) */
    const char *why; /* impossible: why. Different: what in the trail may be the reason, or "" */
};

/* Replays and tells of each look, oldest first. False with *err: ERROR_NOT_FOUND (experiment,
 * phase, no look), ERROR_CORRUPT where the trail or what is read is damaged. */
bool replay(struct store_txn *txn, const struct replay_options *options,
            void (*tell)(void *data, const struct replay_told *told),
            void (*progress)(void *data, double done), void *data, struct error *err);

#endif
