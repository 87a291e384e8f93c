/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bare limits: libmicrohttpd with our options and nothing behind it, or with LMDB alone. */
#ifndef UPLIFT_TESTS_BENCH_BARE_H
#define UPLIFT_TESTS_BENCH_BARE_H

#include <stddef.h>

#include "tests/bench/bench.h"

/* A server that takes any POST and answers `len` bytes, head and all. */
struct bench_server bare_answers(size_t len);
/* One that puts the body under a random key, commits groups as they gather, and answers then. A
 * path "/1000" has it put the body as that many records of one length. */
struct bench_server bare_commits(const char *folder, size_t len);

/* Puts of `bytes` under random keys into a store that holds `already`, `each` in a commit with
 * fsync: how many a second, over `count` of them. */
struct bare_store;
struct bare_store *bare_open(const char *folder, size_t already, size_t bytes);
double bare_puts(struct bare_store *store, size_t count, size_t each);
void bare_close(struct bare_store **store);

#endif
