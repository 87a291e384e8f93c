/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Limit: a token bucket a key. A bucket holds at most `burst` tokens and gains `rate` a second;
 * each request takes one. An id may have a rate of its own. Memory is bounded: where all places are
 * taken, the bucket that is fullest, which is to say unused for longest, makes room. Any thread. */
#ifndef UPLIFT_HTTP_LIMIT_H
#define UPLIFT_HTTP_LIMIT_H

#include <stdbool.h>

struct limit;

/* rate 0 or less: no limit. burst is at least 1. */
struct limit *limit_new(double rate, double burst);
void limit_free(struct limit **limit);
/* `rate`: of this id, which is its burst too; 0: the limit's own. Takes a token of `id` at `now`
 * (ms of a clock that does not jump); false where there is none. */
bool limit_take(struct limit *limit, const char *id, double rate, long long now);

#endif
