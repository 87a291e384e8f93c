/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/core/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "tests/core/cases.h"

enum { PLACE_MAX = 512 };

static double member_number(const json_t *object, const char *name, double otherwise)
{
    const json_t *value = json_object_get(object, name);
    return value ? json_number_value(value) : otherwise;
}

void differ(const char *place, const json_t *want, const json_t *got)
{
    char *wanted = json_text(want), *found = got ? json_text(got) : NULL;
    print_message("# %s: want %s, got %s\n", place, wanted, found ? found : "nothing");
    free(wanted);
    free(found);
    fail();
}

static bool near_number(const json_t *got, double want, double relative, double absolute)
{
    return json_is_number(got) &&
           fabs(json_number_value(got) - want) <= absolute + relative * fabs(want);
}

static bool is_kind(const json_t *got, const char *kind)
{
    if (strcmp(kind, "absent") == 0)
        return !got;
    return strcmp(kind, "string") == 0 ? json_is_string(got) : json_is_number(got);
}

/* A member that begins with $ says how to compare; true where `want` was such. */
static bool compare_special(const json_t *want, const json_t *got, const char *place)
{
    const json_t *near = json_object_get(want, "$near"), *is = json_object_get(want, "$is");
    bool range = json_object_get(want, "$min") || json_object_get(want, "$max");
    bool fine = true;
    if (near)
        fine = near_number(got, json_number_value(near), member_number(want, "rel", 0),
                           member_number(want, "abs", 0));
    else if (is)
        fine = is_kind(got, json_string_value(is));
    else if (range)
        fine = json_is_number(got) &&
               json_number_value(got) >= member_number(want, "$min", -HUGE_VAL) &&
               json_number_value(got) <= member_number(want, "$max", HUGE_VAL);
    if (!fine)
        differ(place, want, got);
    return near || is || range;
}

void compare(const json_t *want, const json_t *got, const json_t *tol, const char *place)
{
    char inner[PLACE_MAX];
    const char *name;
    json_t *value;
    if (json_is_object(want)) {
        if (compare_special(want, got, place))
            return;
        if (!json_is_object(got))
            differ(place, want, got);
        json_object_foreach((json_t *)want, name, value)
        {
            snprintf(inner, sizeof inner, "%s.%s", place, name);
            compare(value, json_object_get(got, name), tol, inner);
        }
    } else if (json_is_array(want)) {
        if (!json_is_array(got) || json_array_size(got) != json_array_size(want))
            differ(place, want, got);
        for (size_t i = 0; i < json_array_size(want); i++) {
            snprintf(inner, sizeof inner, "%s[%zu]", place, i);
            compare(json_array_get(want, i), json_array_get(got, i), tol, inner);
        }
    } else if (json_is_number(want)) {
        if (!near_number(got, json_number_value(want), member_number(tol, "rel", 0),
                         member_number(tol, "abs", 0)))
            differ(place, want, got);
    } else if (!json_equal(want, got)) {
        differ(place, want, got);
    }
}
