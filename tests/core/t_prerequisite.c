/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prerequisites: which definitions are refused and where, and that of random changes none leaves a
 * circle, a name of nothing, or more decisions than are allowed. What is decided by them is held
 * against another evaluator in tests/e2e/definitions.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/definitions.h"
#include "core/json.h"
#include "core/prerequisite.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static const struct definition_change anyhow = {.who = "test", .at = -1};
static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void assert_said(struct error *err, json_t *answer, const char *expected)
{
    char line[ERROR_LINE_MAX];
    assert_string_equal(err->code == ERROR_NONE ? "" : error_line(err, line), expected);
    assert_int_equal(!answer, expected[0] != 0);
    json_decref(answer);
}

/* With variants a, b, c of the given values. */
static void create(struct uplift *uplift, const char *key, const char *values,
                   const char *prerequisites, const char *expected)
{
    struct error err = {0};
    json_t *input = json_pack("{s:s, s:[{s:s}, {s:s}, {s:s}]}", "key", key, "variants", "key", "a",
                              "key", "b", "key", "c");
    json_t *list = json_loads(values, 0, NULL), *value;
    size_t i;
    json_array_foreach(list, i, value)
        json_object_set(json_array_get(json_object_get(input, "variants"), i), "value", value);
    json_object_set_new(input, "prerequisites", json_loads(prerequisites, 0, NULL));
    assert_said(&err, uplift_experiment_create(uplift, &anyhow, input, &err), expected);
    json_decref(list);
    json_decref(input);
}

static void patch(struct uplift *uplift, const char *key, const char *changes, const char *expected)
{
    struct error err = {0};
    json_t *input = json_loads(changes, 0, NULL);
    assert_non_null(input);
    assert_said(&err, uplift_experiment_patch(uplift, &anyhow, slice_of(key), input, &err),
                expected);
    json_decref(input);
}

static void step(struct uplift *uplift, const char *key, enum experiment_step which,
                 const char *options, const char *expected)
{
    struct error err = {0};
    json_t *input = options ? json_loads(options, 0, NULL) : NULL;
    assert_said(&err,
                uplift_experiment_transition(uplift, &anyhow, slice_of(key), which, input, &err),
                expected);
    json_decref(input);
}

#define NEEDS(key, variants) "[{\"experiment\": \"" key "\", \"variants\": [" variants "]}]"

static void test_prerequisite__must_be_there_and_clear(void **state)
{
    struct uplift *uplift = ((struct opened *)*state)->uplift;
    create(uplift, "p", "[true, true, false]", "[]", "");
    create(uplift, "o", "[{\"x\": 1}, {\"x\": 1.0}, {\"$x\": 1}]", "[]", "");
    create(uplift, "x", "[]", NEEDS("none", "\"a\""),
           "prerequisites[0].experiment: there is no experiment \"none\"");
    create(uplift, "x", "[]", NEEDS("x", "\"a\""),
           "prerequisites[0].experiment: is this experiment itself");
    create(uplift, "x", "[]", NEEDS("p", "\"z\""),
           "prerequisites[0].variants: \"p\" has no variant \"z\"");
    create(uplift, "x", "[]", NEEDS("p", ""), "prerequisites[0].variants: must have 1 to 64 items");
    create(uplift, "x", "[]", NEEDS("p", "\"a\""),
           "prerequisites[0].variants: SDKs cannot tell \"a\" from \"b\", as both have the same "
           "value");
    create(uplift, "x", "[]", NEEDS("o", "\"a\""),
           "prerequisites[0].variants: SDKs cannot tell \"a\" from \"b\", as both have the same "
           "value");
    create(uplift, "x", "[]", NEEDS("o", "\"c\""),
           "prerequisites[0].variants: the value of \"c\" would be read as a condition by SDKs");
    create(uplift, "x", "[]", "[{\"experiment\": \"p\", \"variants\": [\"c\"], \"gate\": true}]",
           "prerequisites[0].gate: unknown field");
    create(uplift, "x", "[]", NEEDS("p", "\"a\", \"b\""), "");
    create(uplift, "y", "[]", NEEDS("p", "\"c\""), "");
}

static void test_prerequisite__is_not_taken_away(void **state)
{
    struct uplift *uplift = ((struct opened *)*state)->uplift;
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    create(uplift, "p", "[]", "[]", "");
    create(uplift, "x", "[]", NEEDS("p", "\"b\""), "");
    patch(uplift, "p", "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"c\"}]}",
          "\"x\" needs it as it was: prerequisites[0].variants: \"p\" has no variant \"b\"");
    patch(uplift, "p",
          "{\"variants\": [{\"key\": \"a\", \"value\": 1}, {\"key\": \"b\", \"value\": 1}]}",
          "\"x\" needs it as it was: prerequisites[0].variants: SDKs cannot tell \"b\" from \"a\", "
          "as both have the same value");
    assert_false(uplift_experiment_remove(uplift, &anyhow, slice_of("p"), &err));
    assert_string_equal(error_line(&err, line),
                        "the experiment \"x\" needs this one as a prerequisite");
    step(uplift, "x", STEP_START, NULL, "");
    patch(uplift, "x", "{\"prerequisites\": null}",
          "prerequisites: changing it in a started experiment asks for a new phase");
    step(uplift, "p", STEP_START, NULL, "");
    step(uplift, "p", STEP_NEW_PHASE, "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"c\"}]}",
         "\"x\" needs it as it was: prerequisites[0].variants: \"p\" has no variant \"b\"");
    step(uplift, "p", STEP_STOP, NULL, "");
    step(uplift, "p", STEP_ARCHIVE, NULL, "the experiment \"x\" needs this one as a prerequisite");
    step(uplift, "x", STEP_NEW_PHASE, "{\"prerequisites\": null}", "");
    step(uplift, "p", STEP_ARCHIVE, NULL, "");
    create(uplift, "y", "[]", NEEDS("p", "\"b\""),
           "prerequisites[0].experiment: \"p\" is archived");
}

static void test_prerequisite__leads_in_no_circle_and_not_far(void **state)
{
    struct uplift *uplift = ((struct opened *)*state)->uplift;
    char key[16], needs[64];
    create(uplift, "e0", "[]", "[]", "");
    create(uplift, "e1", "[]", NEEDS("e0", "\"a\""), "");
    create(uplift, "e2", "[]", NEEDS("e1", "\"a\""), "");
    patch(uplift, "e0", "{\"prerequisites\": " NEEDS("e2", "\"a\"") "}",
          "prerequisites[0].experiment: \"e2\" needs \"e0\" by prerequisites of its own");
    for (int i = 3; i <= 10; i++) {
        snprintf(key, sizeof key, "e%d", i);
        snprintf(needs, sizeof needs, "[{\"experiment\": \"e%d\", \"variants\": [\"a\"]}]", i - 1);
        create(uplift, key, "[]", needs, "");
    }
    create(uplift, "e11", "[]", NEEDS("e10", "\"a\""),
           "prerequisites: lead to more than 100 decisions, or 10 in a row");
    create(uplift, "below", "[]", "[]", "");
    patch(
        uplift, "e0", "{\"prerequisites\": " NEEDS("below", "\"a\"") "}",
        "prerequisites: lead to more than 100 decisions, or 10 in a row, for \"e10\", which needs "
        "this one");
}

/* --- random changes --------------------------------------------------------------------------- */

enum { EXPERIMENTS = 8 };

/* How many decisions one asks for, or more than are allowed. */
static size_t decisions(const struct catalog *catalog, const struct experiment *e, int depth)
{
    size_t sum = 1;
    assert_true(depth <= PREREQUISITE_DEPTH_MAX);
    for (size_t i = 0; i < e->prerequisite_count; i++) {
        const struct experiment *parent =
            catalog_experiment(catalog, slice_of(e->prerequisites[i].experiment));
        assert_non_null(parent);
        for (size_t v = 0; v < e->prerequisites[i].variant_count; v++)
            assert_true(experiment_variant(parent, slice_of(e->prerequisites[i].variants[v])) >= 0);
        sum += decisions(catalog, parent, depth + 1);
    }
    return sum;
}

static json_t *random_needs(void)
{
    json_t *list = json_array();
    for (uint32_t count = draw(4); count > 0; count--) {
        char key[8], variant[2] = {(char)('a' + draw(3)), 0};
        snprintf(key, sizeof key, "e%u", draw(EXPERIMENTS));
        json_array_append_new(list,
                              json_pack("{s:s, s:[s]}", "experiment", key, "variants", variant));
    }
    return list;
}

static bool change_at_random(struct uplift *uplift)
{
    struct error err = {0};
    char key[8];
    snprintf(key, sizeof key, "e%u", draw(EXPERIMENTS));
    json_t *changes = json_pack("{s:o}", "prerequisites", random_needs());
    json_t *answer = draw(9) == 0
                         ? NULL
                         : uplift_experiment_patch(uplift, &anyhow, slice_of(key), changes, &err);
    if (!answer && err.code == ERROR_NONE)
        uplift_experiment_remove(uplift, &anyhow, slice_of(key), &err);
    if (err.code == ERROR_NOT_FOUND)
        create(uplift, key, "[]", "[]", "");
    bool taken = answer != NULL;
    json_decref(answer);
    json_decref(changes);
    return taken;
}

static void test_prerequisite__random_changes_leave_it_whole(void **state)
{
    struct uplift *uplift = ((struct opened *)*state)->uplift;
    int taken = 0, steps = 600;
    size_t most = 0;
    seed = 3;
    print_message("# seed %u\n", seed);
    for (int i = 0; i < steps; i++) {
        taken += change_at_random(uplift);
        struct catalog *catalog = catalog_acquire(&uplift->catalog);
        for (size_t k = 0; k < catalog_experiment_count(catalog); k++) {
            size_t asks = decisions(catalog, catalog_experiment_at(catalog, k), 0);
            most = asks > most ? asks : most;
        }
        catalog_release(&uplift->catalog, catalog);
    }
    print_message("# %d of %d changes taken, at most %zu decisions\n", taken, steps, most);
    assert_true(most > 4 && most <= PREREQUISITE_DECISIONS_MAX);
    assert_true(taken > steps / 20 && taken < steps);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, opened_setup, opened_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_prerequisite__must_be_there_and_clear),
        TEST(test_prerequisite__is_not_taken_away),
        TEST(test_prerequisite__leads_in_no_circle_and_not_far),
        TEST(test_prerequisite__random_changes_leave_it_whole),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("prerequisite", tests, NULL, NULL);
}
