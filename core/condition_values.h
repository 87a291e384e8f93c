/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JavaScript's conversions and comparisons of JSON values, for conditions. NULL is a value that is
 * missing and means the same as null. */
#ifndef UPLIFT_CORE_CONDITION_VALUES_H
#define UPLIFT_CORE_CONDITION_VALUES_H

#include <jansson.h>
#include <stdbool.h>

#include "core/text.h"

/* String(value), appended. */
void value_text(const json_t *value, struct text *out);
/* Number(value); NAN where it is none. */
double value_number(const json_t *value);
/* Boolean(value). */
bool value_truthy(const json_t *value);
/* JSON.stringify(a) === JSON.stringify(b): the order of members matters. */
bool value_same(const json_t *a, const json_t *b);
/* a === b, where arrays and objects equal nothing. */
bool value_strict(const json_t *a, const json_t *b);
/* The same with letters' case ignored in strings. */
bool value_strict_caseless(const json_t *a, const json_t *b);
/* Text by UTF-16 code units: below 0, 0, above 0. */
int text_compare_utf16(struct slice a, struct slice b);
/* What versions are compared by: "v1.2.3-rc.1" → "    1-    2-    3-rc-    1". */
void value_version(const json_t *value, struct text *out);

#define VALUE_TEXT_MAX (1 << 20)

#endif
