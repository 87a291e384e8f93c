/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arena: a list of blocks, each twice the one before up to 1 MiB; large requests get their own. */
#include "core/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "core/error.h"

enum { FIRST_BLOCK = 1024, LARGEST_BLOCK = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

static struct arena_block *block_for(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->blocks;
    if (block && block->size - block->used >= size)
        return block;
    size_t next = block ? block->size * 2 : FIRST_BLOCK;
    if (next > LARGEST_BLOCK)
        next = LARGEST_BLOCK;
    if (next < size)
        next = size;
    block = xmalloc(sizeof *block + next);
    *block = (struct arena_block){.next = arena->blocks, .size = next};
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    must(size <= SIZE_MAX / 4);
    size = (size + align - 1) / align * align;
    struct arena_block *block = block_for(arena, size);
    void *p = block->bytes + block->used;
    block->used += size;
    return memset(p, 0, size);
}

char *arena_strndup(struct arena *arena, const char *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

struct slice arena_slice(struct arena *arena, struct slice slice)
{
    return (struct slice){arena_strndup(arena, slice.ptr, slice.len), slice.len};
}

static void free_blocks(struct arena_block *block)
{
    for (struct arena_block *next; block; block = next) {
        next = block->next;
        free(block);
    }
}

void arena_reset(struct arena *arena)
{
    if (!arena->blocks)
        return;
    free_blocks(arena->blocks->next);
    arena->blocks->next = NULL;
    arena->blocks->used = 0;
}

void arena_release(struct arena *arena)
{
    free_blocks(arena->blocks);
    arena->blocks = NULL;
}
