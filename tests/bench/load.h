/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A load generator: one thread, many keep-alive connections, each sending its next request as soon
 * as it has the answer to the last one. */
#ifndef UPLIFT_TESTS_BENCH_LOAD_H
#define UPLIFT_TESTS_BENCH_LOAD_H

#include <stdint.h>

#include "core/text.h"

enum { LOAD_CONNECTIONS_MAX = 1024 };

struct load {
    uint16_t port;
    unsigned connections;
    double warm, seconds;   /* before figures are taken, and while they are */
    uint64_t most;          /* answers, if not 0: then it ends */
    uint64_t least;         /* answers after warming up, however long they take */
    const char *path, *key; /* of a POST */
    /* Writes the next body. */
    void (*next)(void *data, struct text *body);
    void *data;
};

struct load_figures {
    double rate;       /* answers a second */
    double p50, p99;   /* milliseconds */
    uint64_t refused;  /* answers that were not 200 */
    uint64_t answers;  /* all, those of warming up too */
    size_t answer_len; /* bytes of the last answer, its head with it */
};

struct load_figures load_run(const struct load *load);

#endif
