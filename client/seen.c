/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two generations of open hash tables: when the young one is full it becomes the old one, and what
 * was in the old one is forgotten. */
#include "client/seen.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/text.h"

struct seen {
    uint64_t salt, *young, *old; /* 0 is an empty slot */
    size_t slots, count, most;   /* a power of two; in the young one */
};

struct seen *seen_new(size_t most, uint64_t salt)
{
    struct seen *seen = xcalloc(1, sizeof *seen);
    seen->salt = salt;
    seen->most = most ? most : 1;
    seen->slots = 16;
    while (seen->slots < 2 * seen->most)
        seen->slots *= 2;
    seen->young = xcalloc(seen->slots, sizeof *seen->young);
    seen->old = xcalloc(seen->slots, sizeof *seen->old);
    return seen;
}

void seen_free(struct seen **seen)
{
    if (!*seen)
        return;
    free((*seen)->young);
    free((*seen)->old);
    free(*seen);
    *seen = NULL;
}

uint64_t seen_digest(const struct seen *seen, const char *customer, const char *experiment,
                     const char *variant, const char *seed)
{
    uint64_t parts[] = {seen->salt, hash64(customer, strlen(customer)),
                        hash64(experiment, strlen(experiment)), hash64(variant, strlen(variant)),
                        hash64(seed, strlen(seed))};
    uint64_t digest = hash64(parts, sizeof parts);
    return digest ? digest : 1;
}

/* Where it is, or where it would be. */
static uint64_t *slot(const struct seen *seen, uint64_t *table, uint64_t digest)
{
    size_t at = (size_t)digest & (seen->slots - 1);
    while (table[at] && table[at] != digest)
        at = (at + 1) & (seen->slots - 1);
    return &table[at];
}

bool seen_has(const struct seen *seen, uint64_t digest)
{
    return *slot(seen, seen->young, digest) || *slot(seen, seen->old, digest);
}

void seen_add(struct seen *seen, uint64_t digest)
{
    uint64_t *at = slot(seen, seen->young, digest);
    if (*at)
        return;
    if (seen->count == seen->most) {
        uint64_t *empty = seen->old;
        memset(empty, 0, seen->slots * sizeof *empty);
        seen->old = seen->young;
        seen->young = empty;
        seen->count = 0;
        at = slot(seen, seen->young, digest);
    }
    *at = digest;
    seen->count++;
}
