/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seen: exposures that were recorded, so as not to record them again; a bounded number of the
 * latest, by 64-bit digests that are salted anew in each process. Not for two threads at once. */
#ifndef UPLIFT_CLIENT_SEEN_H
#define UPLIFT_CLIENT_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen;

/* Remembers the latest `most` at least, twice as many at most. */
struct seen *seen_new(size_t most, uint64_t salt);
void seen_free(struct seen **seen);

/* `seed`: the experiment's, so that a new phase, which begins with another one, counts anew. */
uint64_t seen_digest(const struct seen *seen, const char *customer, const char *experiment,
                     const char *variant, const char *seed);
bool seen_has(const struct seen *seen, uint64_t digest);
void seen_add(struct seen *seen, uint64_t digest);

#endif
