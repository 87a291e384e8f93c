/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text: borrowed slices, bounded builders, UTF-8.
 *
 * A `struct slice` borrows bytes and never owns them; it need not end in a zero byte.
 * A `struct text` grows up to the maximum stated at its creation. What does not fit sets `failed`,
 * which sticks, so that a run of appends is checked once at the end. It always ends in a zero byte.
 * Thread-safety: none needed, values belong to their caller. */
#ifndef UPLIFT_CORE_TEXT_H
#define UPLIFT_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Below 0, 0 or above 0, as memcmp orders bytes; what the other begins with comes first. */
static inline int slice_order(struct slice a, struct slice b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_is(struct slice a, const char *text)
{
    return slice_equal(a, slice_of(text));
}

struct text {
    char *ptr; /* NULL until the first append; else ends in '\0' */
    size_t len, capacity, max;
    bool failed; /* an append did not fit: sticky */
};

/* A builder for at most `max` bytes (without the final zero). No allocation happens here. */
void text_init(struct text *text, size_t max);
/* Frees the bytes; the builder is empty and usable again with the same maximum. */
void text_release(struct text *text);
/* Empties the builder and keeps its memory; clears `failed`. */
void text_clear(struct text *text);
bool text_add(struct text *text, const void *bytes, size_t len);
/* Room for `most` more bytes, behind what is there; NULL where they do not fit. What was written
 * there counts once text_wrote has been told. */
char *text_room(struct text *text, size_t most);
static inline void text_wrote(struct text *text, size_t len)
{
    text->len += len;
    text->ptr[text->len] = '\0';
}
bool text_puts(struct text *text, const char *string);
bool text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the bytes over to the caller (free with free()); the builder is empty. Never NULL. */
char *text_take(struct text *text);

/* Reads one character of UTF-8: the number of bytes read and *c, or 0 where the bytes are not
 * valid UTF-8 (overlong forms, surrogates and values above U+10FFFF are refused) or len is 0. */
size_t utf8_next(const char *bytes, size_t len, uint32_t *c);
bool utf8_valid(const char *bytes, size_t len);

/* Whether `key` is a key of the model: [a-z0-9][a-z0-9._-]{0,63}. */
bool key_valid(struct slice key);

/* FNV-1a, 64 bits: for hash tables of our own, never for bucketing or security. */
uint64_t hash64(const void *bytes, size_t len);

#endif
