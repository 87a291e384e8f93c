/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of ECMAScript's ToString, ToNumber and ToBoolean, as far as JSON values need them. */
#include "core/condition_values.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wctype.h>

/* Number::toString: the shortest digits that read back, laid out by the size of the exponent. */
static void number_text(double value, struct text *out)
{
    char digits[40];
    if (isnan(value) || isinf(value)) {
        text_puts(out, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    if (value == 0) {
        text_puts(out, "0");
        return;
    }
    for (int precision = 0; precision < 18; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, fabs(value));
        if (strtod(digits, NULL) == fabs(value))
            break;
    }
    int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    char plain[32];
    int count = 0;
    for (const char *d = digits; *d != 'e'; d++)
        if (isdigit((unsigned char)*d))
            plain[count++] = *d;
    if (value < 0)
        text_puts(out, "-");
    if (exponent >= 21 || exponent < -6) {
        text_add(out, plain, 1);
        if (count > 1)
            text_printf(out, ".%.*s", count - 1, plain + 1);
        text_printf(out, "e%c%d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        text_printf(out, "0.%0*d%.*s", -exponent - 1, 0, count, plain);
    } else {
        for (int i = 0; i <= exponent || i < count; i++) {
            if (i == exponent + 1)
                text_puts(out, ".");
            text_add(out, i < count ? &plain[i] : "0", 1);
        }
    }
}

void value_text(const json_t *value, struct text *out)
{
    size_t i;
    json_t *item;
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        text_add(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        number_text(json_number_value(value), out);
        break;
    case JSON_TRUE:
        text_puts(out, "true");
        break;
    case JSON_FALSE:
        text_puts(out, "false");
        break;
    case JSON_NULL:
        text_puts(out, "null");
        break;
    case JSON_OBJECT:
        text_puts(out, "[object Object]");
        break;
    case JSON_ARRAY:
        json_array_foreach(value, i, item)
        {
            if (i)
                text_puts(out, ",");
            if (!json_is_null(item))
                value_text(item, out);
        }
    }
}

static bool js_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0xa0 || c == 0xfeff || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static struct slice trim(struct slice text)
{
    uint32_t c;
    for (size_t step; text.len && (step = utf8_next(text.ptr, text.len, &c)) && js_space(c);) {
        text.ptr += step;
        text.len -= step;
    }
    while (text.len) {
        size_t at = text.len - 1;
        while (at > 0 && ((unsigned char)text.ptr[at] & 0xc0) == 0x80)
            at--;
        if (!utf8_next(text.ptr + at, text.len - at, &c) || !js_space(c))
            break;
        text.len = at;
    }
    return text;
}

static double radix_number(const char *digits, int base)
{
    double value = 0;
    if (!*digits)
        return NAN;
    for (; *digits; digits++) {
        int c = tolower((unsigned char)*digits);
        int digit = isdigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
        if (digit >= base)
            return NAN;
        value = value * base + digit;
    }
    return value;
}

static double string_number(struct slice text)
{
    char copy[512];
    text = trim(text);
    if (text.len == 0)
        return 0;
    if (text.len >= sizeof copy || memchr(text.ptr, 0, text.len))
        return NAN;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (copy[0] == '0' && copy[1] && strchr("xXbBoO", copy[1]))
        return radix_number(copy + 2, tolower((unsigned char)copy[1]) == 'x'   ? 16
                                      : tolower((unsigned char)copy[1]) == 'b' ? 2
                                                                               : 8);
    const char *plain = copy[0] == '+' || copy[0] == '-' ? copy + 1 : copy;
    if (strcmp(plain, "Infinity") == 0)
        return copy[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    /* strtod also takes nan, inf and hexadecimal, which Number() does not. */
    if (strspn(copy, "0123456789.eE+-") != text.len)
        return NAN;
    char *end = NULL;
    double value = strtod(copy, &end);
    return end == copy || *end ? NAN : value;
}

double value_number(const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_INTEGER:
    case JSON_REAL:
        return json_number_value(value);
    case JSON_TRUE:
        return 1;
    case JSON_FALSE:
    case JSON_NULL:
        return 0;
    case JSON_STRING:
        return string_number((struct slice){json_string_value(value), json_string_length(value)});
    case JSON_OBJECT:
        return NAN;
    case JSON_ARRAY:
        break;
    }
    struct text text;
    text_init(&text, VALUE_TEXT_MAX);
    value_text(value, &text);
    double number = text.failed ? NAN : string_number((struct slice){text.ptr, text.len});
    text_release(&text);
    return number;
}

bool value_truthy(const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_INTEGER:
    case JSON_REAL:
        return json_number_value(value) != 0;
    default:
        return true;
    }
}

static bool same_object(const json_t *a, const json_t *b)
{
    if (json_object_size(a) != json_object_size(b))
        return false;
    void *x = json_object_iter((json_t *)(uintptr_t)a),
         *y = json_object_iter((json_t *)(uintptr_t)b);
    for (; x && y; x = json_object_iter_next((json_t *)(uintptr_t)a, x),
                   y = json_object_iter_next((json_t *)(uintptr_t)b, y))
        if (strcmp(json_object_iter_key(x), json_object_iter_key(y)) != 0 ||
            !value_same(json_object_iter_value(x), json_object_iter_value(y)))
            return false;
    return true;
}

bool value_same(const json_t *a, const json_t *b)
{
    if (json_is_array(a) && json_is_array(b)) {
        if (json_array_size(a) != json_array_size(b))
            return false;
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!value_same(json_array_get(a, i), json_array_get(b, i)))
                return false;
        return true;
    }
    if (json_is_object(a) && json_is_object(b))
        return same_object(a, b);
    return value_strict(a, b);
}

bool value_strict(const json_t *a, const json_t *b)
{
    if (!a || json_is_null(a))
        return !b || json_is_null(b);
    if (!b || json_is_array(a) || json_is_object(a))
        return false;
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b) != 0;
}

static locale_t utf8_locale;

static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t lower(uint32_t c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    if (c < 0x80 || !utf8_locale)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return (uint32_t)towlower_l((wint_t)c, utf8_locale);
}

bool value_strict_caseless(const json_t *a, const json_t *b)
{
    if (!json_is_string(a) || !json_is_string(b))
        return value_strict(a, b);
    struct slice x = {json_string_value(a), json_string_length(a)};
    struct slice y = {json_string_value(b), json_string_length(b)};
    while (x.len && y.len) {
        uint32_t c, d;
        size_t step = utf8_next(x.ptr, x.len, &c), stride = utf8_next(y.ptr, y.len, &d);
        if (!step || !stride || lower(c) != lower(d))
            return false;
        x = (struct slice){x.ptr + step, x.len - step};
        y = (struct slice){y.ptr + stride, y.len - stride};
    }
    return x.len == y.len;
}

/* Order of code points, but those above U+FFFF begin with a surrogate, below U+E000. */
static uint32_t unit_rank(uint32_t c)
{
    return c >= 0x10000 ? c - 0x10000 + 0xd800 : c >= 0xe000 ? c + 0x100000 : c;
}

int text_compare_utf16(struct slice a, struct slice b)
{
    while (a.len && b.len) {
        uint32_t c = 0, d = 0;
        size_t step = utf8_next(a.ptr, a.len, &c), stride = utf8_next(b.ptr, b.len, &d);
        if (c != d)
            return unit_rank(c) < unit_rank(d) ? -1 : 1;
        step = step ? step : 1;
        stride = stride ? stride : 1;
        a = (struct slice){a.ptr + step, a.len - step};
        b = (struct slice){b.ptr + stride, b.len - stride};
    }
    return a.len ? 1 : b.len ? -1 : 0;
}

static void pad_part(struct text *out, const char *part, size_t len)
{
    bool digits = len > 0 && strspn(part, "0123456789") >= len;
    text_printf(out, "%*s", digits && len < 5 ? (int)(5 - len) : 0, "");
    text_add(out, part, len);
}

void value_version(const json_t *value, struct text *out)
{
    struct text raw;
    text_init(&raw, VALUE_TEXT_MAX);
    bool string = json_is_string(value) && json_string_length(value) > 0;
    if (string || json_is_number(value))
        value_text(value, &raw);
    else
        text_puts(&raw, "0");
    const char *at = raw.ptr;
    if (*at == 'v')
        at++;
    size_t len = strcspn(at, "+"), parts = 0;
    for (size_t from = 0; from <= len && at[0] != '\0'; parts++) {
        size_t size = strcspn(at + from, ".-");
        if (from + size > len)
            size = len - from;
        if (parts)
            text_puts(out, "-");
        pad_part(out, at + from, size);
        from += size + 1;
    }
    if (parts == 3)
        text_puts(out, "-~");
    if (out->len == 0)
        text_puts(out, "");
    text_release(&raw);
}
