/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors: filling, prefixing and printing the one error type; the end of the road for memory. */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

/* Copies text into out[size], one line of printable UTF-8, cut at a character. */
static void copy_clean(char *out, size_t size, const char *text)
{
    size_t used = 0;
    const char *end = text + strlen(text);
    while (text < end) {
        uint32_t c = 0;
        size_t step = utf8_next(text, (size_t)(end - text), &c);
        bool printable = step > 0 && c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) &&
                         c != 0x2028 && c != 0x2029;
        size_t width = printable ? step : 1;
        if (used + width >= size)
            break;
        if (printable)
            memcpy(out + used, text, step);
        else
            out[used] = '?';
        used += width;
        text += step > 0 ? step : 1;
    }
    out[used] = '\0';
}

static void fill(struct error *err, enum error_code code, const char *place, const char *message)
{
    err->code = code;
    copy_clean(err->place, sizeof err->place, place ? place : "");
    copy_clean(err->message, sizeof err->message, message);
}

bool error_set(struct error *err, enum error_code code, const char *place, const char *format, ...)
{
    if (err->code != ERROR_NONE)
        return false;
    char message[2 * ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    fill(err, code, place, message);
    return false;
}

bool error_set_errno(struct error *err, enum error_code code, const char *place, const char *format,
                     ...)
{
    int number = errno;
    if (err->code != ERROR_NONE)
        return false;
    char what[ERROR_MESSAGE_MAX], message[2 * ERROR_MESSAGE_MAX], words[128];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(message, sizeof message, "%s: %s", what, strerror_r(number, words, sizeof words));
    if (number == ENOSPC || number == EDQUOT)
        code = ERROR_FULL;
    fill(err, code, place, message);
    return false;
}

void error_prefix(struct error *err, const char *prefix)
{
    if (err->code == ERROR_NONE || !*prefix)
        return;
    char whole[2 * ERROR_PLACE_MAX];
    const char *joint = *err->place && *err->place != '[' ? "." : "";
    snprintf(whole, sizeof whole, "%s%s%s", prefix, joint, err->place);
    copy_clean(err->place, sizeof err->place, whole);
}

void error_clear(struct error *err)
{
    memset(err, 0, sizeof *err);
}

const char *error_line(const struct error *err, char out[ERROR_LINE_MAX])
{
    snprintf(out, ERROR_LINE_MAX, "%s%s%s", err->place, *err->place ? ": " : "", err->message);
    return out;
}

const char *error_words(enum error_code code)
{
    switch (code) {
    case ERROR_NONE:
        return "no error";
#define ERROR(name, words)                                                                         \
    case ERROR_##name:                                                                             \
        return words;
#include "core/error.def"
#undef ERROR
    }
    return "unknown error";
}

_Noreturn void error_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("uplift: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        error_fatal("out of memory (%zu bytes)", size);
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        error_fatal("out of memory (%zu times %zu bytes)", count, size);
    return p;
}

void *xrealloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p)
        error_fatal("out of memory (%zu bytes)", size);
    return p;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(xmalloc(size), text, size);
}
