/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions: every state, in order of precedence, as cases of tests/data/decision/rules.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "core/decision.h"

/* ["better", estimate, low, high] as a metric of results with one comparison. */
static json_t *metric(json_t *row, const char *name, const char *role, const char *effect,
                      json_t *limit)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:o, s:[{s:s, s:O, s:O, "
                     "s:[O, O]}]}",
                     "key", name, "name", name, "role", role, "goal", "increase", "method",
                     "sequential", "effect", effect, "unit", "share", "alpha", 0.05, "min_effect",
                     0.02, "limit", limit, "comparisons", "variant", "b", "verdict",
                     json_array_get(row, 0), "estimate", json_array_get(row, 1), "interval",
                     json_array_get(row, 2), json_array_get(row, 3));
}

static json_t *decide(json_t *row)
{
    const struct design design = {.min_days = 7, .planned_days = 30};
    json_t *day = json_object_get(row, "day");
    json_t *metrics = json_pack(
        "[o, o]",
        metric(json_object_get(row, "purchase"), "Purchases", "primary", "relative", json_null()),
        metric(json_object_get(row, "csat"), "CSAT", "guardrail", "absolute", json_real(-0.02)));
    const struct decision_input input = {
        .metrics = metrics,
        .split_off = json_is_true(json_object_get(row, "split_off")),
        .crossed_share = json_number_value(json_object_get(row, "crossed")),
        .day = day ? json_integer_value(day) : 20,
        .complete = json_is_true(json_object_get(row, "complete")),
        .design = &design};
    json_t *decision = decision_make(&input);
    json_decref(metrics);
    return decision;
}

static bool says(json_t *decision, const char *words)
{
    size_t i;
    json_t *reason;
    json_array_foreach(json_object_get(decision, "reasons"), i, reason)
    {
        if (strstr(json_string_value(json_object_get(reason, "text")), words))
            return true;
    }
    return false;
}

static void test_decision__follows_its_rules(void **state)
{
    (void)state;
    char path[4096];
    const char *source = getenv("UPLIFT_SRCDIR");
    snprintf(path, sizeof path, "%s/tests/data/decision/rules.json", source ? source : ".");
    json_t *rows = json_load_file(path, 0, NULL), *row;
    size_t i;
    assert_true(json_array_size(rows) > 10);
    json_array_foreach(rows, i, row)
    {
        json_t *decision = decide(row);
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *action = json_string_value(json_object_get(decision, "action"));
        const char *words = json_string_value(json_object_get(row, "says"));
        char *text = json_dumps(decision, 0);
        print_message("# %s: %s\n", name, action);
        assert_string_equal(action, json_string_value(json_object_get(row, "action")));
        if (!says(decision, words))
            print_message("# no '%s' in %s\n", words, text);
        assert_true(says(decision, words));
        free(text);
        json_decref(decision);
    }
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decision__follows_its_rules)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("decision", tests, NULL, NULL);
}
