/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text: bounded builders that grow by doubling, and a strict reader of UTF-8. */
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"

void text_init(struct text *text, size_t max)
{
    *text = (struct text){.max = max};
}

void text_release(struct text *text)
{
    free(text->ptr);
    text_init(text, text->max);
}

void text_clear(struct text *text)
{
    text->len = 0;
    text->failed = false;
    if (text->ptr)
        text->ptr[0] = '\0';
}

static bool reserve(struct text *text, size_t more)
{
    if (text->failed || more > text->max - text->len) {
        text->failed = true;
        return false;
    }
    size_t need = text->len + more + 1;
    if (need > text->capacity) {
        size_t capacity = text->capacity ? text->capacity : 64;
        while (capacity < need)
            capacity *= 2;
        text->ptr = xrealloc(text->ptr, capacity);
        text->capacity = capacity;
    }
    return true;
}

bool text_add(struct text *text, const void *bytes, size_t len)
{
    if (!reserve(text, len))
        return false;
    if (len)
        memcpy(text->ptr + text->len, bytes, len);
    text->len += len;
    text->ptr[text->len] = '\0';
    return true;
}

char *text_room(struct text *text, size_t most)
{
    return reserve(text, most) ? text->ptr + text->len : NULL;
}

bool text_puts(struct text *text, const char *string)
{
    return text_add(text, string, strlen(string));
}

bool text_printf(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0 || !reserve(text, (size_t)need)) {
        text->failed = true;
        return false;
    }
    va_start(args, format);
    vsnprintf(text->ptr + text->len, (size_t)need + 1, format, args);
    va_end(args);
    text->len += (size_t)need;
    return true;
}

char *text_take(struct text *text)
{
    char *taken = text->ptr ? text->ptr : xstrdup("");
    text_init(text, text->max);
    return taken;
}

size_t utf8_next(const char *bytes, size_t len, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (len == 0)
        return 0;
    const unsigned char *b = (const unsigned char *)bytes;
    size_t width = b[0] < 0x80       ? 1
                   : b[0] >> 5 == 6  ? 2
                   : b[0] >> 4 == 14 ? 3
                   : b[0] >> 3 == 30 ? 4
                                     : 0;
    if (width == 0 || width > len)
        return 0;
    uint32_t value = width == 1 ? b[0] : b[0] & (0x7fu >> width);
    for (size_t i = 1; i < width; i++) {
        if (b[i] >> 6 != 2)
            return 0;
        value = value << 6 | (b[i] & 0x3fu);
    }
    if (value < least[width] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *c = value;
    return width;
}

bool utf8_valid(const char *bytes, size_t len)
{
    uint32_t c;
    while (len > 0) {
        size_t step = utf8_next(bytes, len, &c);
        if (step == 0)
            return false;
        bytes += step;
        len -= step;
    }
    return true;
}

bool key_valid(struct slice key)
{
    if (key.len < 1 || key.len > 64)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!word && (i == 0 || (c != '.' && c != '_' && c != '-')))
            return false;
    }
    return true;
}

uint64_t hash64(const void *bytes, size_t len)
{
    const unsigned char *b = bytes;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ b[i]) * 1099511628211u;
    return h;
}
