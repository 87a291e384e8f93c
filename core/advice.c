/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/advice.h"

#include <stddef.h>
#include <string.h>

static bool is(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

/* Which stops an action leaves room for; those that are not here, such as keep-running, for none.
 */
static const struct suits {
    const char *action;
    bool control, named, other; /* the winner */
} suits[] = {
    {"invalid", true, false, false}, {"roll-back", true, false, false},
    {"stop", true, false, false},    {"ship", false, true, false},
    {"diverging", true, true, true}, {"your-call", true, true, true},
};

bool advice_suits_stop(const json_t *results, const char *winner)
{
    const json_t *decision = json_object_get(results, "decision");
    const json_t *variants = json_object_get(json_object_get(results, "experiment"), "variants");
    bool control = !winner || is(json_array_get(variants, 0), "key", winner);
    bool named = !control && is(decision, "variant", winner);
    for (size_t i = 0; i < sizeof suits / sizeof *suits; i++)
        if (is(decision, "action", suits[i].action))
            return control ? suits[i].control : named ? suits[i].named : suits[i].other;
    return false;
}

json_t *advice_of(const json_t *results)
{
    const json_t *decision = json_object_get(results, "decision");
    if (!decision)
        return NULL;
    return json_pack("{s:O, s:O, s:O, s:O, s:O, s:O}", "look", json_object_get(results, "as_of"),
                     "day", json_object_get(results, "day"), "phase",
                     json_object_get(json_object_get(results, "experiment"), "phase"), "action",
                     json_object_get(decision, "action"), "variant",
                     json_object_get(decision, "variant"), "headline",
                     json_object_get(decision, "headline"));
}

bool advice_same(const json_t *advice, const json_t *other)
{
    return advice && other &&
           json_equal(json_object_get(advice, "action"), json_object_get(other, "action")) &&
           json_equal(json_object_get(advice, "variant"), json_object_get(other, "variant"));
}
