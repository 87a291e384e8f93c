/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed readers over jansson: places are written out only when something is wrong, and jansson's
 * errors are put into the words of Uplift here and nowhere else. */
#include "core/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json_plain.h"
#include "core/when.h"

enum { NAME_MAX_BYTES = 80, LEVELS_MAX = 64 };
#define INTEGRAL_MAX INT64_C(9007199254740992) /* 2^53: the integers that a double keeps */

/* --- places --- */

/* A name is cut at a character, so that one long name leaves room for the rest of the place. */
static void add_name(struct text *out, const char *name)
{
    size_t len = strlen(name), used = 0;
    while (used < len) {
        uint32_t c;
        size_t step = utf8_next(name + used, len - used, &c);
        step = step ? step : 1;
        if (used + step > NAME_MAX_BYTES)
            break;
        used += step;
    }
    if (out->len > 0)
        text_puts(out, ".");
    text_add(out, name, used);
    if (used < len)
        text_puts(out, "...");
}

static char *place_text(const struct json_place *place)
{
    const struct json_place *chain[LEVELS_MAX];
    size_t depth = 0;
    for (; place && depth < LEVELS_MAX; place = place->parent)
        chain[depth++] = place;
    struct text out;
    text_init(&out, LEVELS_MAX * (NAME_MAX_BYTES + 8));
    while (depth-- > 0) {
        if (chain[depth]->name)
            add_name(&out, chain[depth]->name);
        else
            text_printf(&out, "[%zu]", chain[depth]->index);
    }
    return text_take(&out);
}

static bool fail_v(const struct json_place *place, struct error *err, const char *format,
                   va_list args)
{
    if (err->code != ERROR_NONE)
        return false;
    char message[2 * ERROR_MESSAGE_MAX];
    vsnprintf(message, sizeof message, format, args);
    char *where = place_text(place);
    error_set(err, ERROR_INVALID, where, "%s", message);
    free(where);
    return false;
}

bool json_fail(const struct json_place *place, struct error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_v(place, err, format, args);
    va_end(args);
    return false;
}

bool json_fail_at(const struct json_place *place, const char *name, struct error *err,
                  const char *format, ...)
{
    struct json_place at = json_member(place, name);
    va_list args;
    va_start(args, format);
    fail_v(&at, err, format, args);
    va_end(args);
    return false;
}

/* --- parsing --- */

/* What jansson quotes after "near", without the word; empty where it quotes nothing. */
static const char *near_of(const json_error_t *error)
{
    const char *near = strstr(error->text, " near ");
    return near ? near : "";
}

static bool syntax(struct error *err, const json_error_t *error, const char *words,
                   const char *near)
{
    return error_set(err, ERROR_SYNTAX, NULL, "line %d, column %d: %s%s", error->line,
                     error->column, words, near);
}

static bool translate(const json_error_t *error, struct error *err)
{
    const char *near = near_of(error);
    switch (json_error_code(error)) {
    case json_error_out_of_memory:
        error_fatal("out of memory while reading JSON");
    case json_error_stack_overflow:
        return syntax(err, error, "nested more than 2048 levels deep", "");
    case json_error_invalid_utf8:
        return syntax(err, error, "is not valid UTF-8", "");
    case json_error_premature_end_of_input:
        return syntax(err, error, "ends too early", "");
    case json_error_end_of_input_expected:
        return syntax(err, error, "something follows the end of the document", near);
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return syntax(err, error, "U+0000 is not allowed in text", "");
    case json_error_duplicate_key:
        return syntax(err, error, "repeated member", near);
    case json_error_numeric_overflow:
        return syntax(err, error, "number is too large to be read", near);
    default:
        return syntax(err, error, error->text, "");
    }
}

/* The text holds a zero byte, so up to there it is a C string. */
static void refuse_zero_byte(const char *bytes, struct error *err)
{
    size_t line = 1, column = 1;
    for (const char *c = bytes; *c; c++) {
        bool starts = ((unsigned char)*c & 0xc0) != 0x80; /* not inside a character of UTF-8 */
        column = *c == '\n' ? 1 : column + starts;
        line += *c == '\n';
    }
    error_set(err, ERROR_SYNTAX, NULL,
              "line %zu, column %zu: holds a zero byte, which JSON does not allow", line, column);
}

/* Integral reals up to 2^53 as integers again. Takes the value over. */
static json_t *with_integers(json_t *value)
{
    double number = json_real_value(value);
    const char *name;
    json_t *member;
    size_t i;
    void *next;
    if (json_is_real(value) && number == trunc(number) && fabs(number) <= 0x1p53) {
        json_decref(value);
        return json_integer((json_int_t)number);
    }
    json_object_foreach_safe(value, next, name, member)
        json_object_set_new(value, name, with_integers(json_incref(member)));
    json_array_foreach(value, i, member)
        json_array_set_new(value, i, with_integers(json_incref(member)));
    return value;
}

json_t *json_parse(const char *bytes, size_t len, struct error *err)
{
    json_t *plain = json_plain(bytes, len);
    if (plain)
        return plain;
    /* jansson skips what follows a NUL byte at the end of a document. */
    if (len > 0 && memchr(bytes, '\0', len)) {
        refuse_zero_byte(bytes, err);
        return NULL;
    }
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    json_error_t error = {0};
    json_t *value = json_loadb(len ? bytes : "", len, flags, &error);
    if (!value && json_error_code(&error) == json_error_numeric_overflow) {
        value = json_loadb(bytes, len, flags | JSON_DECODE_INT_AS_REAL, &error);
        value = value ? with_integers(value) : NULL;
    }
    if (!value)
        translate(&error, err);
    return value;
}

/* --- members --- */

bool json_check_fields(json_t *object, const struct json_place *place, const char *const *known,
                       struct error *err)
{
    if (!json_is_object(object))
        return json_fail(place, err, "must be an object");
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const char *const *word = known;
        while (*word && strcmp(*word, name) != 0)
            word++;
        if (!*word)
            return json_fail_at(place, name, err, "unknown field");
    }
    return true;
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

bool json_check_same(const json_t *input, const json_t *present, const char *const *names,
                     struct error *err)
{
    for (; *names; names++) {
        const json_t *value = json_object_get(input, *names);
        if (value && !same(value, json_object_get(present, *names)))
            return json_fail_at(JSON_TOP, *names, err,
                                "is set by the server and cannot be changed");
    }
    return true;
}

/* The member, or NULL with *ok telling whether that is fine. */
static json_t *member(json_t *object, const struct json_place *place, const char *name,
                      enum json_need need, bool *ok, struct error *err)
{
    json_t *value = json_object_get(object, name);
    *ok = true;
    if (!value && need == JSON_REQUIRED)
        *ok = json_fail_at(place, name, err, "is missing");
    if (json_is_null(value) && need == JSON_OPTIONAL)
        return NULL;
    return value;
}

bool json_read_string(json_t *object, const struct json_place *place, const char *name,
                      enum json_need need, size_t least, size_t most, const char **out,
                      struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    if (!json_is_string(value))
        return json_fail_at(place, name, err, "must be a string");
    size_t len = json_string_length(value);
    if (len == 0 && least > 0)
        return json_fail_at(place, name, err, "must not be empty");
    if (len < least)
        return json_fail_at(place, name, err, "must have at least %zu bytes", least);
    if (len > most)
        return json_fail_at(place, name, err, "must have at most %zu bytes", most);
    if (memchr(json_string_value(value), '\0', len))
        return json_fail_at(place, name, err, "must not hold U+0000");
    *out = json_string_value(value);
    return true;
}

bool json_read_key(json_t *object, const struct json_place *place, const char *name,
                   enum json_need need, const char **out, struct error *err)
{
    const char *key = NULL;
    if (!json_read_string(object, place, name, need, 1, 64, &key, err))
        return false;
    if (!key)
        return true;
    if (!key_valid(slice_of(key)))
        return json_fail_at(place, name, err,
                            "must be a key: 1 to 64 of a-z, 0-9, '.', '_' and '-', "
                            "beginning with a letter or digit");
    *out = key;
    return true;
}

/* A bound as people write it: 5, not 5.000000; 0.25, not 0.250000. */
static const char *bound(double value, char out[32])
{
    snprintf(out, 32, value == floor(value) && fabs(value) < 1e16 ? "%.0f" : "%.15g", value);
    return out;
}

static bool out_of_range(const struct json_place *place, const char *name, double least,
                         double most, struct error *err)
{
    char low[32], high[32];
    if (isinf(most))
        return json_fail_at(place, name, err, "must be at least %s", bound(least, low));
    if (isinf(least))
        return json_fail_at(place, name, err, "must be at most %s", bound(most, high));
    return json_fail_at(place, name, err, "must be from %s to %s", bound(least, low),
                        bound(most, high));
}

bool json_read_number(json_t *object, const struct json_place *place, const char *name,
                      enum json_need need, double least, double most, double *out,
                      struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    if (!json_is_number(value))
        return json_fail_at(place, name, err, "must be a finite number");
    double number = json_number_value(value);
    if (!isfinite(number))
        return json_fail_at(place, name, err, "must be a finite number");
    if (number < least || number > most)
        return out_of_range(place, name, least, most, err);
    *out = number;
    return true;
}

/* Whether `value` is an integer of at most 2^53 in size, written as 5 or as 5.0. */
static bool integral(const json_t *value, int64_t *out)
{
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return *out >= -INTEGRAL_MAX && *out <= INTEGRAL_MAX;
    }
    double number = json_real_value(value);
    if (!json_is_real(value) || number != floor(number) || fabs(number) > (double)INTEGRAL_MAX)
        return false;
    *out = (int64_t)number;
    return true;
}

bool json_read_integer(json_t *object, const struct json_place *place, const char *name,
                       enum json_need need, int64_t least, int64_t most, int64_t *out,
                       struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    int64_t number;
    if (!json_is_number(value))
        return json_fail_at(place, name, err, "must be an integer");
    if (!integral(value, &number)) {
        double size = json_number_value(value);
        if (size == floor(size)) /* beyond 2^53, so beyond any range that is asked for */
            return out_of_range(place, name, (double)least, (double)most, err);
        return json_fail_at(place, name, err, "must be an integer");
    }
    if (number < least || number > most)
        return out_of_range(place, name, (double)least, (double)most, err);
    *out = number;
    return true;
}

bool json_read_bool(json_t *object, const struct json_place *place, const char *name,
                    enum json_need need, bool *out, struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    if (!json_is_boolean(value))
        return json_fail_at(place, name, err, "must be true or false");
    *out = json_is_true(value);
    return true;
}

bool json_read_time(json_t *object, const struct json_place *place, const char *name,
                    enum json_need need, int64_t *out, struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    int64_t when;
    bool good = false;
    if (json_is_string(value)) {
        struct slice text = {json_string_value(value), json_string_length(value)};
        good = when_parse(text, &when);
    } else if (json_is_number(value)) {
        good = integral(value, &when) && when >= WHEN_MIN && when <= WHEN_MAX;
    }
    if (!good)
        return json_fail_at(place, name, err,
                            "must be a time from 1970 to 9999: RFC 3339 with its zone, as "
                            "2026-11-02T10:00:00Z, or integer milliseconds since 1970");
    *out = when;
    return true;
}

bool json_read_word(json_t *object, const struct json_place *place, const char *name,
                    enum json_need need, const char *const *words, int *out, struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    struct slice given = {json_string_value(value), json_string_length(value)};
    for (int i = 0; given.ptr && words[i]; i++) {
        if (slice_is(given, words[i])) {
            *out = i;
            return true;
        }
    }
    struct text list;
    text_init(&list, ERROR_MESSAGE_MAX - 32);
    for (int i = 0; words[i]; i++)
        text_printf(&list, "%s%s", i ? ", " : "", words[i]);
    char *all = text_take(&list);
    json_fail_at(place, name, err, "must be one of %s", all);
    free(all);
    return false;
}

/* "must have 2 to 64 items", with the bound that matters. */
static bool wrong_count(const struct json_place *place, const char *name, size_t least, size_t most,
                        struct error *err)
{
    if (least == most)
        return json_fail_at(place, name, err, "must have %zu items", least);
    if (most == SIZE_MAX)
        return json_fail_at(place, name, err, "must have at least %zu items", least);
    if (least == 0)
        return json_fail_at(place, name, err, "must have at most %zu items", most);
    return json_fail_at(place, name, err, "must have %zu to %zu items", least, most);
}

bool json_read_array(json_t *object, const struct json_place *place, const char *name,
                     enum json_need need, size_t least, size_t most, json_t **out,
                     struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    if (!json_is_array(value))
        return json_fail_at(place, name, err, "must be an array");
    size_t count = json_array_size(value);
    if (count < least || count > most)
        return wrong_count(place, name, least, most, err);
    *out = value;
    return true;
}

bool json_read_object(json_t *object, const struct json_place *place, const char *name,
                      enum json_need need, json_t **out, struct error *err)
{
    bool ok;
    json_t *value = member(object, place, name, need, &ok, err);
    if (!value)
        return ok;
    if (!json_is_object(value))
        return json_fail_at(place, name, err, "must be an object");
    *out = value;
    return true;
}

/* --- writing --- */

static json_t *made(json_t *value)
{
    if (!value)
        error_fatal("out of memory while writing JSON");
    return value;
}

json_t *json_figure(double value)
{
    if (!isfinite(value))
        return json_null();
    if (value == floor(value) && fabs(value) <= (double)INTEGRAL_MAX)
        return made(json_integer((json_int_t)value));
    return made(json_real(value));
}

json_t *json_when(int64_t when)
{
    char text[WHEN_TEXT_MAX];
    return when < 0 ? json_null() : made(json_string(when_format(when, text)));
}
