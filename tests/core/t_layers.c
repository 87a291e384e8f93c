/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers of a real store: who has which range, what is free, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/definitions.h"
#include "core/json.h"
#include "core/layers.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static const struct definition_change anyhow = {.who = "test", .at = -1};

static void create(struct uplift *uplift, const char *key, const char *layer, double from,
                   double to)
{
    struct error err = {0};
    json_t *input = json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:s, s:[f, f]}}", "key", key, "variants",
                              "key", "a", "key", "b", "layer", "key", layer, "range", from, to);
    json_decref(uplift_experiment_create(uplift, &anyhow, input, &err));
    assert_string_equal(err.message, "");
    json_decref(input);
}

static void step(struct uplift *uplift, const char *key, enum experiment_step which)
{
    struct error err = {0};
    json_decref(uplift_experiment_transition(uplift, &anyhow, slice_of(key), which, NULL, &err));
    assert_string_equal(err.message, "");
}

/* "free share key:holds:overlaps,… …" */
static void assert_layer(struct uplift *uplift, const char *key, const char *expected)
{
    struct error err = {0};
    json_t *layer = uplift_layer_get(uplift, slice_of(key), &err), *row, *other;
    struct text said;
    size_t i, k;
    assert_string_equal(err.message, "");
    char *ranges = json_text(json_object_get(layer, "free"));
    text_init(&said, 4000);
    text_printf(&said, "%s %g", ranges, json_number_value(json_object_get(layer, "free_share")));
    json_array_foreach(json_object_get(layer, "experiments"), i, row)
    {
        text_printf(&said, " %s:%s:", json_string_value(json_object_get(row, "key")),
                    json_is_true(json_object_get(row, "holds")) ? "holds" : "not");
        json_array_foreach(json_object_get(row, "overlaps"), k, other)
            text_printf(&said, "%s,", json_string_value(other));
    }
    assert_string_equal(said.ptr, expected);
    text_release(&said);
    free(ranges);
    json_decref(layer);
}

static void test_layers__show_who_holds_what(void **state)
{
    struct uplift *uplift = ((struct opened *)*state)->uplift;
    create(uplift, "late", "l", 0.5, 0.75);
    create(uplift, "early", "l", 0.125, 0.25);
    create(uplift, "wide", "l", 0, 1);
    create(uplift, "elsewhere", "m", 0, 1);
    assert_layer(uplift, "l", "[[0,1]] 1 wide:not: early:not: late:not:");
    step(uplift, "late", STEP_START);
    step(uplift, "early", STEP_START);
    step(uplift, "early", STEP_PAUSE);
    assert_layer(uplift, "l",
                 "[[0,0.125],[0.25,0.5],[0.75,1]] 0.625 wide:not:early,late, early:holds: "
                 "late:holds:");
    step(uplift, "late", STEP_STOP);
    assert_layer(uplift, "l", "[[0,0.125],[0.25,1]] 0.875 wide:not:early, early:holds: late:not:");
    step(uplift, "late", STEP_ARCHIVE);
    assert_layer(uplift, "l", "[[0,0.125],[0.25,1]] 0.875 wide:not:early, early:holds:");
    step(uplift, "elsewhere", STEP_START);
    assert_layer(uplift, "m", "[] 0 elsewhere:holds:");
}

static void test_layers__come_in_pages(void **state)
{
    struct uplift *uplift = ((struct opened *)*state)->uplift;
    struct error err = {0};
    create(uplift, "x", "b", 0, 1);
    create(uplift, "y", "a", 0, 1);
    create(uplift, "z", "c", 0, 1);
    json_t *page = uplift_layer_list(uplift, slice_of(""), 2);
    assert_int_equal(json_array_size(json_object_get(page, "layers")), 2);
    assert_string_equal(json_string_value(json_object_get(page, "next")), "b");
    json_decref(page);
    page = uplift_layer_list(uplift, slice_of("b"), 2);
    assert_int_equal(json_array_size(json_object_get(page, "layers")), 1);
    assert_true(json_is_null(json_object_get(page, "next")));
    json_decref(page);
    assert_null(uplift_layer_get(uplift, slice_of("none"), &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    error_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layers__show_who_holds_what, opened_setup,
                                        opened_teardown),
        cmocka_unit_test_setup_teardown(test_layers__come_in_pages, opened_setup, opened_teardown),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
