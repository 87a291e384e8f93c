/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One function a kind of value, each of which begins at its first byte and ends behind its last. */
#include "core/json_plain.h"

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"

enum { LEVELS_MAX = 32, DIGITS_MAX = 15 };
#define TOO_LARGE INT64_C(1000000000000000) /* the first number of more digits */

struct reader {
    const char *at, *end;
    unsigned level;
};

static json_t *read_value(struct reader *r);

/* The next byte that is no space; 0 at the end. */
static char next(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
    return r->at < r->end ? *r->at : '\0';
}

static bool take(struct reader *r, char c)
{
    if (next(r) != c)
        return false;
    r->at++;
    return true;
}

static bool read_text(struct reader *r, struct slice *out)
{
    uint32_t c;
    if (!take(r, '"'))
        return false;
    const char *start = r->at;
    while (r->at < r->end && *r->at != '"') {
        unsigned char byte = (unsigned char)*r->at;
        if (byte < ' ' || byte == '\\')
            return false;
        size_t step = byte < 0x80 ? 1 : utf8_next(r->at, (size_t)(r->end - r->at), &c);
        if (step == 0)
            return false;
        r->at += step;
    }
    *out = (struct slice){start, (size_t)(r->at - start)};
    return take(r, '"');
}

/* The number of digits, read up to one too many. */
static size_t read_digits(struct reader *r, int64_t *number)
{
    const char *start = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && *number < TOO_LARGE; r->at++)
        *number = 10 * *number + (*r->at - '0');
    return (size_t)(r->at - start);
}

/* Digits and the power of ten are both exact as doubles, so that their quotient is the double that
 * is nearest to what is written. */
static json_t *read_number(struct reader *r)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool minus = take(r, '-');
    int64_t number = 0;
    const char *start = r->at;
    size_t whole = read_digits(r, &number), fraction = 0;
    if (whole == 0 || whole > DIGITS_MAX || (whole > 1 && *start == '0'))
        return NULL;
    bool real = r->at < r->end && *r->at == '.';
    if (real) {
        r->at++;
        fraction = read_digits(r, &number);
        if (fraction == 0 || whole + fraction > DIGITS_MAX)
            return NULL;
    }
    if (!real)
        return json_integer(minus ? -number : number);
    double size = (double)number / powers[fraction];
    return json_real(minus ? -size : size);
}

static json_t *read_word(struct reader *r, const char *word, json_t *value)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return NULL;
    r->at += len;
    return value;
}

/* A member that is repeated leaves the object as large as it was. */
static bool read_member(struct reader *r, json_t *object)
{
    struct slice name;
    size_t before = json_object_size(object);
    if (!read_text(r, &name) || !take(r, ':'))
        return false;
    json_t *value = read_value(r);
    return value && json_object_setn_new_nocheck(object, name.ptr, name.len, value) == 0 &&
           json_object_size(object) > before;
}

static bool read_item(struct reader *r, json_t *array)
{
    json_t *value = read_value(r);
    return value && json_array_append_new(array, value) == 0;
}

/* Members or items up to the bracket that closes them. */
static json_t *read_list(struct reader *r, json_t *list, char close,
                         bool (*read)(struct reader *r, json_t *list))
{
    bool ok = list && ++r->level <= LEVELS_MAX;
    r->at++;
    if (ok && next(r) != close)
        do
            ok = read(r, list);
        while (ok && take(r, ','));
    r->level--;
    if (ok && take(r, close))
        return list;
    json_decref(list);
    return NULL;
}

static json_t *read_value(struct reader *r)
{
    struct slice text;
    switch (next(r)) {
    case '{':
        return read_list(r, json_object(), '}', read_member);
    case '[':
        return read_list(r, json_array(), ']', read_item);
    case '"':
        return read_text(r, &text) ? json_stringn_nocheck(text.ptr, text.len) : NULL;
    case 't':
        return read_word(r, "true", json_true());
    case 'f':
        return read_word(r, "false", json_false());
    case 'n':
        return read_word(r, "null", json_null());
    default:
        return read_number(r);
    }
}

json_t *json_plain(const char *bytes, size_t len)
{
    struct reader reader = {.at = bytes, .end = bytes + len};
    json_t *value = read_value(&reader);
    if (value && next(&reader) == '\0' && reader.at == reader.end)
        return value;
    json_decref(value);
    return NULL;
}
