/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Most of a report is numbers, and printf takes longer for one than all the rest of the way to it.
 * 17 digits of nearly every double come of one multiplication of a long double: where the error of
 * that could turn the last digit, or a long double is no longer than a double, printf is asked. */
#include "core/json_write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/json.h"

/* --- numbers --- */

enum { DIGITS = 17, POWERS = 28 }; /* 5^27 is the last that 64 bits hold */

static const long double powers[POWERS] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                           1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                           1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
                                           1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

/* value × 10^power, with one rounding. */
static long double scale(long double value, int power)
{
    return power >= 0 ? value * powers[power] : value / powers[-power];
}

/* At most 20 bytes. */
static size_t integer_text(int64_t value, char *out)
{
    char backwards[24];
    size_t count = 0, len = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        backwards[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        out[len++] = '-';
    while (count > 0)
        out[len++] = backwards[--count];
    return len;
}

/* The 17 digits of a number above 0 and the power of ten of the first; false where one rounding is
 * too much to be sure of them. */
static bool digits_of(double value, uint64_t *digits, int *exponent)
{
    int binary;
    frexp(value, &binary);
    int x = (int)floor((binary - 1) * 0.30102999566398120), power = DIGITS - 1 - x;
    if (power <= 1 - POWERS || power >= POWERS) /* it may be one less, below */
        return false;
    long double scaled = scale(value, power);
    if (scaled >= 1e17L) {
        x++;
        scaled = scale(value, power - 1);
    }
    if (!(scaled > 1e16L + 1 && scaled < 1e17L - 1))
        return false;
    *exponent = x;
    *digits = (uint64_t)scaled;
    long double rest = scaled - (long double)*digits;
    if (fabsl(rest - 0.5L) <= scaled * LDBL_EPSILON)
        return false;
    *digits += rest > 0.5L;
    return true;
}

/* The digits without the zeros at the end; how many are left. */
static int spell(uint64_t digits, char out[DIGITS])
{
    int count = DIGITS;
    for (int i = DIGITS - 1; i >= 0; i--) {
        out[i] = (char)('0' + digits % 10);
        digits /= 10;
    }
    while (count > 1 && out[count - 1] == '0')
        count--;
    return count;
}

/* As "%.17g" lays digits out, but for a '.' that is always there. */
static char *lay_out(char *to, const char *digits, int count, int exponent)
{
    if (exponent < -4 || exponent >= DIGITS) {
        *to++ = digits[0];
        if (count > 1)
            *to++ = '.';
        memcpy(to, digits + 1, (size_t)count - 1);
        to += count - 1;
        *to++ = 'e';
        return to + integer_text(exponent, to);
    }
    if (exponent < 0) {
        *to++ = '0';
        *to++ = '.';
        for (int i = -1; i > exponent; i--)
            *to++ = '0';
        memcpy(to, digits, (size_t)count);
        return to + count;
    }
    for (int i = 0; i <= exponent || i < count; i++) {
        *to++ = i < count ? digits[i] : '0';
        if (i == exponent)
            *to++ = '.';
    }
    if (count <= exponent + 1)
        *to++ = '0';
    return to;
}

/* By printf, in jansson's manner: no '+' and no zeros before the exponent. */
static size_t print_real(double value, char out[JSON_REAL_MAX])
{
    size_t len = (size_t)snprintf(out, JSON_REAL_MAX, "%.17g", value);
    char *exponent = strchr(out, 'e');
    if (!exponent && !strchr(out, '.'))
        return (size_t)(stpcpy(out + len, ".0") - out);
    if (!exponent)
        return len;
    char *to = exponent + 1, *digits = exponent + 2; /* there is a sign, and two digits or more */
    to += *to == '-';
    digits += strspn(digits, "0");
    size_t left = len - (size_t)(digits - out);
    memmove(to, digits, left + 1);
    return (size_t)(to - out) + left;
}

size_t json_real_text(double value, char out[JSON_REAL_MAX])
{
    char digits[DIGITS], *to = out;
    uint64_t all;
    int exponent;
    if (value == 0 || !digits_of(fabs(value), &all, &exponent))
        return print_real(value, out);
    if (value < 0)
        *to++ = '-';
    to = lay_out(to, digits, spell(all, digits), exponent);
    *to = '\0';
    return (size_t)(to - out);
}

/* --- text --- */

static void put_char(struct text *text, char c)
{
    char *to = text_room(text, 1);
    if (!to)
        return;
    *to = c;
    text_wrote(text, 1);
}

static const char *escape_of(unsigned char c, char room[8])
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = memchr(plain, c, sizeof plain - 1);
    if (found)
        snprintf(room, 8, "\\%c", letters[found - plain]);
    else
        snprintf(room, 8, "\\u%04X", c);
    return room;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void put_quoted(struct text *text, const char *value, size_t len)
{
    enum { LONGEST = 6 }; /* \u001F */
    char *start = text_room(text, LONGEST * len + 2), *to = start, room[8];
    if (!start)
        return;
    *to++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if (is_plain(c))
            *to++ = value[i];
        else
            to = stpcpy(to, escape_of(c, room));
    }
    *to++ = '"';
    text_wrote(text, (size_t)(to - start));
}

/* What stands before a value. */
static void begin(struct json_writer *w, const char *name)
{
    if (w->follows)
        put_char(w->text, ',');
    w->follows = true;
    if (!name)
        return;
    put_quoted(w->text, name, strlen(name));
    put_char(w->text, ':');
}

static void put_tree(struct text *text, const json_t *value);

static void put_members(struct text *text, const json_t *object)
{
    const char *name, *comma = "";
    json_t *value;
    put_char(text, '{');
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        text_puts(text, comma);
        put_quoted(text, name, strlen(name));
        put_char(text, ':');
        put_tree(text, value);
        comma = ",";
    }
    put_char(text, '}');
}

static void put_items(struct text *text, const json_t *array)
{
    size_t i;
    json_t *value;
    put_char(text, '[');
    json_array_foreach(array, i, value)
    {
        if (i)
            put_char(text, ',');
        put_tree(text, value);
    }
    put_char(text, ']');
}

static void put_tree(struct text *text, const json_t *value)
{
    char number[JSON_REAL_MAX];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_members(text, value);
        break;
    case JSON_ARRAY:
        put_items(text, value);
        break;
    case JSON_STRING:
        put_quoted(text, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        text_add(text, number, integer_text(json_integer_value(value), number));
        break;
    case JSON_REAL:
        text_add(text, number, json_real_text(json_real_value(value), number));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        text_puts(text, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        text_puts(text, "null");
        break;
    }
}

char *json_text(const json_t *value)
{
    struct text text;
    text_init(&text, SIZE_MAX / 2);
    put_tree(&text, value);
    return text_take(&text);
}

/* --- both --- */

struct json_writer json_writer_text(struct text *text)
{
    return (struct json_writer){.text = text};
}

struct json_writer json_writer_tree(json_t *into)
{
    return (struct json_writer){.open = {into}};
}

/* Takes the value over. */
static void put_node(struct json_writer *w, const char *name, json_t *value)
{
    json_t *into = w->open[w->level];
    if (!value ||
        (name ? json_object_set_new(into, name, value) : json_array_append_new(into, value)) != 0)
        error_fatal("out of memory while writing JSON");
}

static void open(struct json_writer *w, const char *name, const char *brackets)
{
    json_t *made = NULL;
    must(w->level + 1 < JSON_WRITER_LEVELS);
    if (w->text) {
        begin(w, name);
        put_char(w->text, brackets[0]);
        w->follows = false;
    } else {
        made = brackets[0] == '{' ? json_object() : json_array();
        put_node(w, name, made);
    }
    w->level++;
    w->open[w->level] = made;
    w->close[w->level] = brackets[1];
}

void json_write_object(struct json_writer *w, const char *name)
{
    open(w, name, "{}");
}

void json_write_array(struct json_writer *w, const char *name)
{
    open(w, name, "[]");
}

void json_write_end(struct json_writer *w)
{
    must(w->level > 0);
    if (w->text)
        put_char(w->text, w->close[w->level]);
    w->follows = true;
    w->level--;
}

void json_write_raw(struct json_writer *w, const char *name, struct slice json)
{
    must(w->text);
    begin(w, name);
    text_add(w->text, json.ptr, json.len);
}

void json_write_figure(struct json_writer *w, const char *name, double value)
{
    char number[JSON_REAL_MAX];
    if (!w->text) {
        put_node(w, name, json_figure(value));
        return;
    }
    if (!isfinite(value)) {
        json_write_null(w, name);
        return;
    }
    bool whole = value == floor(value) && fabs(value) <= 0x1p53;
    size_t len = whole ? integer_text((int64_t)value, number) : json_real_text(value, number);
    json_write_raw(w, name, (struct slice){number, len});
}

void json_write_string(struct json_writer *w, const char *name, const char *value)
{
    if (!w->text) {
        put_node(w, name, json_string(value));
        return;
    }
    begin(w, name);
    put_quoted(w->text, value, strlen(value));
}

void json_write_bool(struct json_writer *w, const char *name, bool value)
{
    if (w->text)
        json_write_raw(w, name, slice_of(value ? "true" : "false"));
    else
        put_node(w, name, json_boolean(value));
}

void json_write_null(struct json_writer *w, const char *name)
{
    if (w->text)
        json_write_raw(w, name, slice_of("null"));
    else
        put_node(w, name, json_null());
}

void json_write_value(struct json_writer *w, const char *name, const json_t *value)
{
    if (!w->text) {
        put_node(w, name, json_incref((json_t *)(uintptr_t)value));
        return;
    }
    begin(w, name);
    put_tree(w->text, value);
}
