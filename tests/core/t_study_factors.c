/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, factors: one factor is a comparison by every method, and no figure is lost whatever comes
 * in. Reference figures are studies of tests/data/stats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/study.h"

static json_t *analyze(const char *text)
{
    struct error err = {0};
    json_t *study = json_parse(text, strlen(text), &err);
    json_t *report = study ? study_analyze(study, &err) : NULL;
    if (!report)
        fail_msg("%s: %s: %s", text, err.place, err.message);
    json_decref(study);
    return report;
}

static json_t *metric_of(json_t *report)
{
    return json_array_get(json_object_get(report, "metrics"), 0);
}

/* Numbers within 1e-12, all else equal. */
static void same(const char *name, const json_t *got, const json_t *want)
{
    if (json_is_array(want)) {
        for (size_t i = 0; i < 2; i++)
            same(name, json_array_get(got, i), json_array_get(want, i));
    } else if (json_is_number(want)) {
        double a = json_number_value(got), b = json_number_value(want);
        if (!json_is_number(got) || !(fabs(a - b) <= 1e-12 * fabs(b) + 1e-15))
            fail_msg("%s: %.17g is not %.17g", name, a, b);
    } else if (!json_equal(got, want)) {
        fail_msg("%s: null on one side only", name);
    }
}

#define STRATA                                                                                     \
    "\"strata\": [{\"key\": \"1\", \"arms\": [{\"n\": 900, \"sum\": 90}, {\"n\": 100, \"sum\": "   \
    "12}]}, {\"key\": \"2\", \"arms\": [{\"n\": 500, \"sum\": 20}, {\"n\": 510, \"sum\": "         \
    "31}]}, {\"key\": \"3\", \"arms\": [{\"n\": 1, \"sum\": 0}, {\"n\": 5, \"sum\": 1}]}]"
#define GROUP_DESIGN                                                                               \
    "{\"method\": \"group-sequential\", \"spending\": {\"function\": \"pocock\", \"times\": "      \
    "[0.5, 1], \"look\": 1}}"

static void test_study_factors__one_factor_is_a_comparison(void **state)
{
    (void)state;
    static const char *const designs[] = {
        "{}",
        "{\"effect\": \"absolute\", \"sides\": \"less\"}",
        "{\"method\": \"fixed\", \"sides\": \"greater\"}",
        "{\"method\": \"fixed\", \"effect\": \"absolute\"}",
        "{\"method\": \"msprt\"}",
        "{\"relative\": \"fieller\"}",
        "{\"method\": \"msprt\", \"relative\": \"fieller\"}",
        "{\"method\": \"bayesian\", \"prior\": {\"proper\": true}}",
        "{\"method\": \"bayesian\", \"prior\": {\"proper\": true}, \"effect\": \"absolute\"}",
        GROUP_DESIGN};
    static const char *const figures[] = {"estimate", "se", "interval", "p_value"};
    static const char *const arms[] = {
        "\"arms\": [{\"n\": 900, \"sum\": 90}, {\"n\": 910, \"sum\": 133}]", STRATA};
    for (size_t d = 0; d < sizeof designs / sizeof designs[0]; d++)
        for (size_t a = 0; a < 2; a++) {
            char text[1200];
            snprintf(text, sizeof text,
                     "{\"design\": %s, \"variants\": [{\"key\": \"a\", \"levels\": {\"f\": "
                     "\"old\"}}, {\"key\": \"b\", \"levels\": {\"f\": \"new\"}}], \"metrics\": "
                     "[{\"key\": \"m\", \"kind\": \"binary\", %s}]}",
                     designs[d], arms[a]);
            json_t *report = analyze(text), *metric = metric_of(report);
            json_t *factors = json_object_get(metric, "factors");
            json_t *main = json_array_get(json_object_get(factors, "main"), 0);
            json_t *comparison = json_array_get(json_object_get(metric, "comparisons"), 0);
            for (size_t i = 0; i < 4; i++)
                same(figures[i], json_object_get(main, figures[i]),
                     json_object_get(comparison, figures[i]));
            assert_int_equal(json_array_size(json_object_get(factors, "interactions")), 0);
            json_decref(report);
        }
}

/* Swapping which level comes first turns an absolute effect round, and the interval with it. */
static void test_study_factors__the_first_level_is_the_controls(void **state)
{
    (void)state;
    static const char *const orders[] = {"grid", "list"};
    json_t *rows[2], *reports[2];
    for (size_t i = 0; i < 2; i++) {
        char text[1000];
        snprintf(text, sizeof text,
                 "{\"design\": {\"effect\": \"absolute\"}, \"variants\": [{\"key\": \"a\", "
                 "\"levels\": {\"f\": \"%s\"}}, {\"key\": \"b\", \"levels\": {\"f\": \"%s\"}}], "
                 "\"metrics\": [{\"key\": \"m\", \"kind\": \"binary\", \"arms\": [{\"n\": 900, "
                 "\"sum\": %d}, {\"n\": 900, \"sum\": %d}]}]}",
                 orders[i], orders[1 - i], i ? 130 : 90, i ? 90 : 130);
        reports[i] = analyze(text);
        json_t *factors = json_object_get(metric_of(reports[i]), "factors");
        rows[i] = json_array_get(json_object_get(factors, "main"), 0);
        assert_string_equal(json_string_value(json_object_get(rows[i], "reference")), orders[i]);
        assert_string_equal(json_string_value(json_object_get(rows[i], "level")), orders[1 - i]);
        assert_string_equal(json_string_value(json_object_get(factors, "best")), i ? "a" : "b");
    }
    double first = json_number_value(json_object_get(rows[0], "estimate"));
    double second = json_number_value(json_object_get(rows[1], "estimate"));
    assert_true(first > 0 && fabs(first + second) < 1e-15);
    same("p_value", json_object_get(rows[0], "p_value"), json_object_get(rows[1], "p_value"));
    json_decref(reports[0]);
    json_decref(reports[1]);
}

#define SCHEDULED_DESIGN                                                                           \
    "{\"method\": \"scheduled\", \"schedule\": {\"horizon\": 9000, \"customers\": 1810, "          \
    "\"look\": true}}"

/* A schedule has no looks for main effects: they are read by the sequential method, tightest at the
 * planned end. */
static void test_study_factors__scheduled_is_read_sequentially(void **state)
{
    (void)state;
    static const char *const designs[] = {SCHEDULED_DESIGN,
                                          "{\"method\": \"sequential\", \"tuning\": 9000}"};
    json_t *reports[2], *factors[2];
    for (size_t i = 0; i < 2; i++) {
        char text[1000];
        snprintf(text, sizeof text,
                 "{\"design\": %s, \"variants\": [{\"key\": \"a\", \"levels\": {\"f\": \"old\"}}, "
                 "{\"key\": \"b\", \"levels\": {\"f\": \"new\"}}], \"metrics\": [{\"key\": \"m\", "
                 "\"kind\": \"binary\", \"arms\": [{\"n\": 900, \"sum\": 90}, {\"n\": 910, "
                 "\"sum\": 133}]}]}",
                 designs[i]);
        reports[i] = analyze(text);
        factors[i] = json_object_get(metric_of(reports[i]), "factors");
    }
    assert_string_equal(json_string_value(json_object_get(factors[0], "method")), "sequential");
    assert_true(json_equal(factors[0], factors[1]));
    json_decref(reports[0]);
    json_decref(reports[1]);
}

/* A row has all its figures, or none and a reason. */
static void check_row(const json_t *row, const char *figure)
{
    assert_true(json_is_null(json_object_get(row, figure)) ==
                json_is_string(json_object_get(row, "error")));
}

static void check_finite(const json_t *value)
{
    const char *name;
    json_t *inner;
    size_t i;
    assert_true(!json_is_real(value) || isfinite(json_real_value(value)));
    json_object_foreach((json_t *)value, name, inner) check_finite(inner);
    json_array_foreach(value, i, inner) check_finite(inner);
}

static void check_report(json_t *report)
{
    json_t *metric = metric_of(report), *factors = json_object_get(metric, "factors"), *row;
    size_t i;
    check_finite(report);
    json_array_foreach(json_object_get(factors, "main"), i, row) check_row(row, "estimate");
    json_array_foreach(json_object_get(factors, "interactions"), i, row)
        check_row(row, "statistic");
    json_array_foreach(json_object_get(factors, "cells"), i, row)
    {
        assert_true(json_is_null(json_object_get(json_object_get(row, "shrunk"), "estimate")) ==
                    json_is_string(json_object_get(row, "error")));
    }
    json_array_foreach(json_object_get(metric, "best"), i, row) check_row(row, "probability");
    assert_int_equal(i, 4);
}

static void test_study_factors__extreme_numbers_give_figures_or_a_reason(void **state)
{
    (void)state;
    static const char *const numbers[] = {"0",     "1",    "-1",    "1e-320", "-1e-200", "1e100",
                                          "1e308", "-1e9", "1e154", "3.5",    "1e-160",  "7e4"};
    static const char *const counts[] = {"0", "1", "2", "1000000000"};
    static const char *const designs[] = {
        "\"method\": \"sequential\"", "\"method\": \"fixed\", \"effect\": \"absolute\"",
        "\"method\": \"bayesian\", \"prior\": {\"proper\": true}", "\"alpha\": 1e-300"};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    int computed = 0, estimated = 0;
    for (unsigned int i = 0; i < 20000; i++) {
        unsigned int dice = i * 2654435761u, other = (i + 7) * 2246822519u;
        char text[1500];
        struct error err = {0};
        snprintf(text, sizeof text,
                 "{\"design\": {%s, \"best_arm\": true}, \"variants\": ["
                 "{\"key\": \"a\", \"levels\": {\"f\": \"0\", \"g\": \"0\"}},"
                 "{\"key\": \"b\", \"levels\": {\"f\": \"0\", \"g\": \"1\"}},"
                 "{\"key\": \"c\", \"levels\": {\"f\": \"1\", \"g\": \"0\"}},"
                 "{\"key\": \"d\", \"levels\": {\"f\": \"%d\", \"g\": \"%d\"}}],"
                 "\"metrics\": [{\"key\": \"m\", \"kind\": \"mean\", \"arms\": ["
                 "{\"n\": %s, \"sum\": %s, \"sum_sq\": %s}, {\"n\": 3, \"sum\": %s, \"sum_sq\": "
                 "%s}, {\"n\": 5, \"sum\": %s, \"sum_sq\": %s}, {\"n\": 9, \"sum\": 2, \"sum_sq\": "
                 "%s}]}]}",
                 designs[i % 4], i % 3 ? 1 : 2, 1, counts[dice >> 3 & 3],
                 numbers[(dice >> 5) % NUMBERS], numbers[(dice >> 9) % NUMBERS],
                 numbers[(dice >> 13) % NUMBERS], numbers[(other >> 3) % NUMBERS],
                 numbers[(other >> 7) % NUMBERS], numbers[(other >> 11) % NUMBERS],
                 numbers[(other >> 15) % NUMBERS]);
        json_t *study = json_parse(text, strlen(text), &err);
        assert_non_null(study);
        json_t *report = study_analyze(study, &err);
        json_decref(study);
        if (!report)
            continue;
        check_report(report);
        json_t *factors = json_object_get(metric_of(report), "factors");
        json_t *main = json_array_get(json_object_get(factors, "main"), 0);
        computed++;
        estimated += !json_object_get(main, "error");
        json_decref(report);
    }
    print_message("# %d of 20000 studies computed, %d with a main effect\n", computed, estimated);
    assert_true(computed > 1000 && estimated > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_study_factors__one_factor_is_a_comparison),
        cmocka_unit_test(test_study_factors__the_first_level_is_the_controls),
        cmocka_unit_test(test_study_factors__scheduled_is_read_sequentially),
        cmocka_unit_test(test_study_factors__extreme_numbers_give_figures_or_a_reason),
    };
    gsl_set_error_handler_off();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
