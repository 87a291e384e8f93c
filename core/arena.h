/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arena: memory of one lifetime (a request, a definition, a snapshot), freed whole.
 * Nothing taken from an arena is freed alone. Not for two threads at once. */
#ifndef UPLIFT_CORE_ARENA_H
#define UPLIFT_CORE_ARENA_H

#include <stddef.h>

#include "core/text.h"

struct arena {
    struct arena_block *blocks;
};

/* An empty arena is all zeros: `struct arena arena = {0};`. */

/* Zeroed memory, aligned for any type, owned by the arena. Never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
/* A copy that ends in a zero byte. */
char *arena_strndup(struct arena *arena, const char *bytes, size_t len);
char *arena_strdup(struct arena *arena, const char *text);
struct slice arena_slice(struct arena *arena, struct slice slice);
/* Empties the arena and keeps its last block for what comes next. */
void arena_reset(struct arena *arena);
/* Frees everything; the arena is empty and usable again. */
void arena_release(struct arena *arena);

#endif
