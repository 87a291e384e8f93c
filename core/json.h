/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed readers over jansson that name the place of what is wrong.
 *
 * A place is a chain of names and indexes that lives on the caller's stack and is only written
 * out when something is wrong:
 *
 *     struct json_place arms = json_member(&metric, "arms");
 *     struct json_place arm = json_item(&arms, 1);
 *     json_fail(&arm, err, "must be an object");      → metrics[0].arms[1]: must be an object
 *
 * Readers take the object, its place and a member's name. They return false with *err filled
 * where the member has the wrong type or range, or is absent though required. An absent optional
 * member leaves *out untouched and returns true, so that defaults are set before. JSON null counts
 * as absent for optional members. What is read borrows from the object. */
#ifndef UPLIFT_CORE_JSON_H
#define UPLIFT_CORE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

struct json_place {
    const struct json_place *parent; /* NULL at the top */
    const char *name;                /* a member's name, or NULL for an item */
    size_t index;
};

enum json_need { JSON_REQUIRED, JSON_OPTIONAL };

/* The top of a document. */
#define JSON_TOP ((const struct json_place *)NULL)

static inline struct json_place json_member(const struct json_place *parent, const char *name)
{
    return (struct json_place){parent, name, 0};
}

static inline struct json_place json_item(const struct json_place *parent, size_t index)
{
    return (struct json_place){parent, NULL, index};
}

/* Sets *err to ERROR_INVALID at this place and returns false. */
bool json_fail(const struct json_place *place, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for the member `name` of that place. */
bool json_fail_at(const struct json_place *place, const char *name, struct error *err,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Parses one JSON document. Refuses repeated members, more than 2,048 levels, bytes after the
 * document, U+0000, and text that is not UTF-8; the message names line and column
 * ("line 3, column 9: …"). Integers beyond 64 bits become reals, as everywhere in JavaScript; in a
 * document that holds one, so do those beyond 2^53. Returns a new reference, or NULL with code
 * ERROR_SYNTAX. */
json_t *json_parse(const char *bytes, size_t len, struct error *err);

/* Refuses members that are not in the list (ends in NULL): "colour: unknown field". Also refuses a
 * value that is not an object. */
bool json_check_fields(json_t *object, const struct json_place *place, const char *const *known,
                       struct error *err);

/* Refuses members of `input` that differ from those of `present`, for the names in the list (ends
 * in NULL): "version: is set by the server and cannot be changed". Absent is fine; a number may be
 * written in another way (5 and 5.0). */
bool json_check_same(const json_t *input, const json_t *present, const char *const *names,
                     struct error *err);

/* A string of least…most bytes without U+0000. */
bool json_read_string(json_t *object, const struct json_place *place, const char *name,
                      enum json_need need, size_t least, size_t most, const char **out,
                      struct error *err);
/* A key of the model (text.h). */
bool json_read_key(json_t *object, const struct json_place *place, const char *name,
                   enum json_need need, const char **out, struct error *err);
/* A finite number within least…most (use -HUGE_VAL, HUGE_VAL for open ends). */
bool json_read_number(json_t *object, const struct json_place *place, const char *name,
                      enum json_need need, double least, double most, double *out,
                      struct error *err);
/* An integral number within least…most, |value| ≤ 2^53. Accepts 5 and 5.0. */
bool json_read_integer(json_t *object, const struct json_place *place, const char *name,
                       enum json_need need, int64_t least, int64_t most, int64_t *out,
                       struct error *err);
bool json_read_bool(json_t *object, const struct json_place *place, const char *name,
                    enum json_need need, bool *out, struct error *err);
/* A time: RFC 3339 text or integer milliseconds since 1970 (when.h). */
bool json_read_time(json_t *object, const struct json_place *place, const char *name,
                    enum json_need need, int64_t *out, struct error *err);
/* One of the words (ends in NULL): *out is its index. The message lists them. */
bool json_read_word(json_t *object, const struct json_place *place, const char *name,
                    enum json_need need, const char *const *words, int *out, struct error *err);
/* An array with least…most items; *out borrows it. */
bool json_read_array(json_t *object, const struct json_place *place, const char *name,
                     enum json_need need, size_t least, size_t most, json_t **out,
                     struct error *err);
bool json_read_object(json_t *object, const struct json_place *place, const char *name,
                      enum json_need need, json_t **out, struct error *err);

/* A number that reads back the same: integral values up to 2^53 as integers, else reals; null where
 * the value is not finite. New reference. */
json_t *json_figure(double value);
/* A time as RFC 3339; null where `when` is negative. New reference. */
json_t *json_when(int64_t when);
/* Compact text, doubles with 17 digits (json_write.c). The caller frees it with free(). */
char *json_text(const json_t *value);

#endif
