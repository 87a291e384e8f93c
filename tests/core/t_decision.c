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

/* ["better", estimate, low, high] as a comparison of one treatment, which has 10,000 units. */
static json_t *comparison(json_t *row, const char *variant)
{
    double low = json_number_value(json_array_get(row, 2));
    double high = json_number_value(json_array_get(row, 3));
    json_t *more = json_array_get(row, 4);
    json_t *made = json_pack("{s:s, s:O, s:O, s:[O, O], s:f, s:f}", "variant", variant, "verdict",
                             json_array_get(row, 0), "estimate", json_array_get(row, 1), "interval",
                             json_array_get(row, 2), json_array_get(row, 3), "se", (high - low) / 6,
                             "base", 0.5);
    if (more)
        json_object_update(made, more);
    return made;
}

/* As a metric of results. The second treatment, where the case has one, is "c". */
static json_t *metric(json_t *row, json_t *second, const char *name, const char *role,
                      const char *effect, json_t *limit)
{
    json_t *made = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:o, s:[{s:s, s:i}, {s:s, s:i}, {s:s, "
        "s:i}], s:[o]}",
        "key", name, "name", name, "role", role, "goal", "increase", "method", "sequential",
        "effect", effect, "unit", "share", "alpha", 0.05, "min_effect", 0.02, "unit_value", 30.0,
        "limit", limit, "arms", "key", "a", "n", 10000, "key", "b", "n", 10000, "key", "c", "n",
        10000, "comparisons", comparison(row, "b"));
    if (second)
        json_array_append_new(json_object_get(made, "comparisons"), comparison(second, "c"));
    if (strcmp(role, "guardrail") == 0)
        json_object_set_new(made, "answers", json_array());
    return made;
}

static json_t *decide(json_t *row)
{
    const struct design design = {
        .min_days = 7, .planned_days = 30, .alpha = 0.05, .tuning = 5000, .power = 0.8};
    json_t *day = json_object_get(row, "day");
    json_t *metrics =
        json_pack("[o, o]",
                  metric(json_object_get(row, "purchase"), json_object_get(row, "purchase_c"),
                         "Purchases", "primary", "relative", json_null()),
                  metric(json_object_get(row, "csat"), json_object_get(row, "csat_c"), "CSAT",
                         "guardrail", "absolute", json_real(-0.02)));
    const struct decision_input input = {
        .metrics = metrics,
        .split_off = json_is_true(json_object_get(row, "split_off")),
        .crossed_share = json_number_value(json_object_get(row, "crossed")),
        .day = day ? json_integer_value(day) : 20,
        .plan = {.design = &design, .elapsed_days = 20},
        .customers_per_month = 30000,
        .complete = json_is_true(json_object_get(row, "complete"))};
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

static bool has_reason(json_t *decision, const char *id)
{
    size_t i;
    json_t *reason;
    json_array_foreach(json_object_get(decision, "reasons"), i, reason)
    {
        json_t *values = json_object_get(reason, "values");
        if (strcmp(json_string_value(json_object_get(reason, "id")), id) == 0)
            return json_is_number(json_object_get(values, "naive")) &&
                   json_is_number(json_object_get(values, "post_stratified"));
    }
    return false;
}

/* What a case says beyond its action and one of its texts. */
static void check_more(json_t *row, json_t *decision)
{
    json_t *variant = json_object_get(row, "variant"), *value = json_object_get(row, "value");
    json_t *headline = json_object_get(row, "headline"), *reason = json_object_get(row, "reason");
    json_t *silent = json_object_get(row, "silent");
    if (variant)
        assert_true(json_equal(variant, json_object_get(decision, "variant")));
    if (value)
        assert_true(json_equal(value, json_object_get(decision, "value_per_month")));
    if (headline)
        assert_string_equal(json_string_value(json_object_get(decision, "headline")),
                            json_string_value(headline));
    if (reason)
        assert_true(has_reason(decision, json_string_value(reason)));
    if (silent)
        assert_false(says(decision, json_string_value(silent)));
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
        check_more(row, decision);
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
