/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plan: the answers and refusals of tests/data/plan, and what must hold between answers. */
#include "tests/core/cases.h"

#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/plan.h"
#include "tests/core/compare.h"

static const struct plan_options as_server = {.work_most = PLAN_WORK_SERVER, .seed = 5};

static json_t *parse(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    if (!value)
        fail_msg("%s: %s", text, err.message);
    return value;
}

static json_t *answer_of(json_t *plan, const struct plan_options *options)
{
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    json_t *answer = plan_answer(plan, options, &err);
    if (!answer)
        fail_msg("%s", error_line(&err, line));
    return answer;
}

static json_t *answer_text(const char *text, const struct plan_options *options)
{
    json_t *plan = parse(text), *answer = answer_of(plan, options);
    json_decref(plan);
    return answer;
}

static void test_plan__gives_the_expected_answer(void **state)
{
    json_t *one = *state, *plan = json_object_get(one, "plan");
    json_t *before = json_deep_copy(plan), *answer = answer_of(plan, &as_server);
    compare(json_object_get(one, "expect"), answer, json_object_get(one, "tol"), "answer");
    assert_true(json_equal(before, plan));
    json_decref(before);
    json_decref(answer);
}

static void test_plan__is_refused_by_the_expected_words(void **state)
{
    json_t *one = *state;
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    assert_null(plan_answer(json_object_get(one, "plan"), &as_server, &err));
    assert_string_equal(error_line(&err, line), json_string_value(json_object_get(one, "error")));
    assert_int_equal(err.code, ERROR_INVALID);
}

#define RATE "\"kind\": \"binary\", \"baseline\": {\"rate\": 0.1}, \"min_effect\": 0.2"

static void test_plan__tells_how_it_was_computed(void **state)
{
    (void)state;
    static const char *const methods[] = {"sequential", "msprt",    "exact",
                                          "fixed",      "bayesian", "group-sequential"};
    for (size_t i = 0; i < 6; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "{\"method\": \"%s\", \"effect\": \"absolute\", \"weights\": [1, 1, 1],"
                 " \"spending\": {\"function\": \"pocock\", \"times\": [0.5, 1]}, " RATE "}",
                 methods[i]);
        json_t *answer = answer_text(text, &as_server), *part;
        json_t *words = json_object_get(answer, "method_text");
        const char *name;
        assert_int_equal(json_object_size(words), 3);
        json_object_foreach(words, name, part) assert_true(json_string_length(part) > 40);
        json_decref(answer);
    }
}

/* --- simulations --- */

static void test_plan__same_seed_same_answer(void **state)
{
    (void)state;
    const char *const text = "{" RATE ", \"simulate\": {\"runs\": 200, \"seed\": 77}}";
    struct plan_options other = as_server;
    other.seed = 6;
    json_t *first = answer_text(text, &as_server), *second = answer_text(text, &other);
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
}

/* Without a seed it is that of the caller; asked for by the caller, with no word in the plan. */
static void test_plan__takes_the_callers_seed(void **state)
{
    (void)state;
    struct plan_options options = as_server;
    json_t *none = answer_text("{" RATE "}", &options);
    options.simulate = true;
    json_t *answer = answer_text("{" RATE "}", &options);
    assert_null(json_object_get(none, "simulation"));
    json_t *want = parse("{\"seed\": 5, \"runs\": 2000, \"looks\": 30}");
    compare(want, json_object_get(answer, "simulation"), NULL, "simulation");
    json_decref(want);
    json_decref(answer);
    json_decref(none);
    for (int i = 0; i < 100; i++)
        assert_true(plan_seed() > 0);
}

static void note(void *data, double done)
{
    double *seen = data;
    assert_true(done >= seen[0] && done <= 1);
    seen[0] = done;
    seen[1]++;
}

static void test_plan__tells_how_far_it_is(void **state)
{
    (void)state;
    double seen[2] = {0, 0};
    struct plan_options options = as_server;
    options.progress = note;
    options.data = seen;
    json_decref(answer_text("{\"method\": \"fixed\", " RATE ", \"simulate\": {}}", &options));
    assert_true(seen[0] == 1 && seen[1] > 10);
}

/* A truth that is told alone gives what it gave among others. */
static void test_plan__each_truth_begins_at_the_seed(void **state)
{
    (void)state;
    json_t *both = answer_text("{" RATE ", \"simulate\": {\"runs\": 300}}", &as_server);
    json_t *alone =
        answer_text("{" RATE ", \"simulate\": {\"runs\": 300, \"truth\": 0.2}}", &as_server);
    json_t *two = json_object_get(json_object_get(both, "simulation"), "results");
    json_t *one = json_object_get(json_object_get(alone, "simulation"), "results");
    assert_int_equal(json_array_size(two), 2);
    assert_int_equal(json_array_size(one), 1);
    if (!json_equal(json_array_get(two, 1), json_array_get(one, 0)))
        differ("results", json_array_get(two, 1), json_array_get(one, 0));
    json_decref(both);
    json_decref(alone);
}

/* --- extremes --- */

static void no_figure_is_lost(const json_t *value)
{
    const char *name;
    json_t *inner;
    size_t i;
    if (json_is_real(value))
        assert_true(isfinite(json_real_value(value)));
    json_object_foreach((json_t *)value, name, inner) no_figure_is_lost(inner);
    json_array_foreach(value, i, inner) no_figure_is_lost(inner);
}

static void test_plan__extreme_numbers_give_figures_or_a_reason(void **state)
{
    (void)state;
    static const char *const numbers[] = {"1e-320", "1e-300", "-1e-12", "0.001", "1",
                                          "-3.5",   "1e9",    "1e150",  "-1e300"};
    static const char *const methods[] = {"sequential", "msprt", "fixed", "group-sequential"};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    int planned = 0, reasons = 0, refused = 0;
    for (unsigned int i = 0; i < 3000; i++) {
        unsigned int dice = i * 2654435761u;
        char text[600];
        struct error err = {0};
        snprintf(text, sizeof text,
                 "{\"method\": \"%s\", \"kind\": \"mean\", \"effect\": \"%s\", \"alpha\": %s,"
                 " \"power\": %s, \"baseline\": {\"mean\": %s, \"sd\": %s}, \"min_effect\": %s,"
                 " \"tuning\": %s, \"mixture_variance\": %s, \"weights\": [1, %s],"
                 " \"spending\": {\"function\": \"obrien-fleming\", \"times\": [0.1, 0.5, 1]},"
                 " \"customers_per_day\": 1000}",
                 methods[i % 4], dice >> 31 ? "relative" : "absolute", i % 3 ? "0.05" : "1e-300",
                 i % 5 ? "0.8" : "0.999999999", numbers[(dice >> 4) % NUMBERS],
                 numbers[(dice >> 8) % NUMBERS], numbers[(dice >> 12) % NUMBERS],
                 i % 7 ? "5000" : "1e300", i % 11 ? "0.01" : "1e-300", i % 13 ? "1" : "1e12");
        json_t *plan = parse(text), *answer = plan_answer(plan, &as_server, &err);
        assert_int_equal(answer == NULL, err.code != ERROR_NONE);
        if (answer) {
            bool null = json_is_null(json_object_get(answer, "total"));
            no_figure_is_lost(answer);
            assert_int_equal(null, json_object_get(answer, "error") != NULL);
            planned += !null;
            reasons += null;
        }
        refused += !answer;
        json_decref(answer);
        json_decref(plan);
    }
    print_message("# %d planned, %d with a reason, %d refused\n", planned, reasons, refused);
    assert_true(planned > 300 && reasons > 300 && refused > 300);
}

/* --- the program --- */

static size_t add_cases(struct CMUnitTest *tests, json_t *cases, CMUnitTestFunction test)
{
    json_t *one;
    size_t i;
    json_array_foreach(cases, i, one)
    {
        tests[i] = (struct CMUnitTest){
            .name = json_string_value(json_object_get(one, "name")),
            .test_func = test,
            .initial_state = one,
        };
    }
    return i;
}

int main(void)
{
    const struct CMUnitTest fixed[] = {
        cmocka_unit_test(test_plan__tells_how_it_was_computed),
        cmocka_unit_test(test_plan__same_seed_same_answer),
        cmocka_unit_test(test_plan__takes_the_callers_seed),
        cmocka_unit_test(test_plan__tells_how_far_it_is),
        cmocka_unit_test(test_plan__each_truth_begins_at_the_seed),
        cmocka_unit_test(test_plan__extreme_numbers_give_figures_or_a_reason),
    };
    gsl_set_error_handler_off();
    json_t *plans = cases_load("plan/plans.json"), *refusals = cases_load("plan/refusals.json");
    size_t most = json_array_size(plans) + json_array_size(refusals);
    struct CMUnitTest *tests = xcalloc(most + sizeof fixed / sizeof fixed[0], sizeof *tests);
    size_t count = add_cases(tests, plans, test_plan__gives_the_expected_answer);
    count += add_cases(tests + count, refusals, test_plan__is_refused_by_the_expected_words);
    memcpy(tests + count, fixed, sizeof fixed);
    count += sizeof fixed / sizeof fixed[0];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = _cmocka_run_group_tests("plan", tests, count, NULL, NULL);
    free(tests);
    json_decref(plans);
    json_decref(refusals);
    return failed;
}
