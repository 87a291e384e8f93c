/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics: cases of tests/data/definitions/metric.json, amending, the stored form, random ones. */
#include "tests/core/cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/metric.h"

#define NOW INT64_C(1793613600123)

static json_t *read_json(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    assert_non_null(value);
    return value;
}

static struct metric *made(const char *text)
{
    struct error err = {0};
    json_t *input = read_json(text);
    struct metric *metric = metric_create(input, 5, NOW, &err);
    json_decref(input);
    assert_non_null(metric);
    assert_int_equal(err.code, ERROR_NONE);
    return metric;
}

static void assert_amend_fails(const struct metric *metric, const char *text, enum error_code code,
                               const char *line)
{
    struct error err = {0};
    char got[ERROR_LINE_MAX];
    json_t *input = read_json(text);
    assert_null(metric_amend(metric, input, &err));
    json_decref(input);
    assert_string_equal(error_line(&err, got), line);
    assert_int_equal(err.code, code);
}

/* Storing and reading back must give the same text. */
static void assert_round_trip(const struct metric *metric)
{
    struct error err = {0};
    char *text = metric_stored(metric);
    struct metric *back = metric_from_stored(text, strlen(text), &err);
    assert_non_null(back);
    char *again = metric_stored(back);
    assert_string_equal(text, again);
    assert_int_equal(back->number, metric->number);
    assert_int_equal(back->created_at, metric->created_at);
    assert_false(metric_counts_differently(metric, back));
    free(text);
    free(again);
    metric_unref(&back);
}

static void test_metric__case(void **state)
{
    json_t *one = *state, *input = json_object_get(one, "input");
    const char *expected = json_string_value(json_object_get(one, "error"));
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    struct metric *metric = metric_create(input, 5, NOW, &err);
    if (expected) {
        assert_null(metric);
        assert_string_equal(error_line(&err, line), expected);
        assert_int_equal(err.code, ERROR_INVALID);
        return;
    }
    assert_string_equal(error_line(&err, line), "");
    assert_non_null(metric);
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(one, "gives"), name, value)
    {
        json_t *got = json_object_get(metric_json(metric), name);
        assert_true(json_is_null(value) ? got == NULL : json_equal(got, value));
    }
    assert_round_trip(metric);
    metric_unref(&metric);
}

static void test_metric__fields_hold_what_was_given(void **state)
{
    (void)state;
    struct metric *metric = made("{\"key\": \"r\", \"name\": \"R\", \"kind\": \"mean\", \"event\": "
                                 "\"order\", \"goal\": \"decrease\", \"window_days\": 30, "
                                 "\"covariate_days\": 28, \"cap\": 9.5, \"margin\": 0.02, "
                                 "\"min_effect\": 0.01, \"unit_value\": 3}");
    assert_int_equal(metric->number, 5);
    assert_int_equal(metric->version, 1);
    assert_string_equal(metric->key, "r");
    assert_string_equal(metric->name, "R");
    assert_int_equal(metric->kind, METRIC_MEAN);
    assert_int_equal(metric->goal, GOAL_DECREASE);
    assert_int_equal(metric->window_days, 30);
    assert_int_equal(metric->covariate_days, 28);
    assert_true(metric->cap == 9.5 && metric->margin == 0.02 && metric->min_effect == 0.01);
    assert_true(metric->unit_value == 3);
    assert_int_equal(metric->created_at, NOW);
    metric_unref(&metric);
    metric =
        made("{\"key\": \"b\", \"kind\": \"retention\", \"event\": \"visit\", \"from_days\": 1, "
             "\"to_days\": 9}");
    assert_true(isinf(metric->cap) && isnan(metric->unit_value));
    assert_int_equal(metric->window_days, 9);
    assert_null(metric->denominator);
    metric_unref(&metric);
}

static void test_metric__amending_makes_the_next_version(void **state)
{
    (void)state;
    struct error err = {0};
    struct metric *metric = made("{\"key\": \"m\", \"kind\": \"count\", \"event\": \"a\"}");
    json_t *input = json_deep_copy(metric_json(metric));
    json_object_set_new(input, "event", json_string("b"));
    struct metric *next = metric_amend(metric, input, &err);
    assert_non_null(next);
    assert_int_equal(next->version, 2);
    assert_int_equal(next->number, 5);
    assert_int_equal(next->created_at, NOW);
    assert_string_equal(next->event, "b");
    assert_string_equal(metric->event, "a");
    assert_true(metric_counts_differently(metric, next));
    json_decref(input);
    metric_unref(&next);
    input =
        read_json("{\"kind\": \"count\", \"event\": \"a\", \"name\": \"Other\", \"margin\": 1}");
    next = metric_amend(metric, input, &err);
    assert_non_null(next);
    assert_string_equal(next->key, "m");
    assert_false(metric_counts_differently(metric, next));
    json_decref(input);
    metric_unref(&next);
    metric_unref(&metric);
}

static void test_metric__key_kind_and_version_stay(void **state)
{
    (void)state;
    struct metric *metric = made("{\"key\": \"m\", \"kind\": \"count\", \"event\": \"a\"}");
    assert_amend_fails(metric, "{\"key\": \"n\", \"kind\": \"count\", \"event\": \"a\"}",
                       ERROR_CONFLICT, "key: cannot be changed (it is \"m\")");
    assert_amend_fails(metric, "{\"key\": \"m\", \"kind\": \"mean\", \"event\": \"a\"}",
                       ERROR_CONFLICT, "kind: cannot be changed (it is count)");
    assert_amend_fails(metric,
                       "{\"key\": \"m\", \"kind\": \"count\", \"event\": \"a\", \"version\": 2}",
                       ERROR_INVALID, "version: is set by the server and cannot be changed");
    metric_unref(&metric);
}

static void test_metric__damaged_store_is_corrupt(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "[]", "{\"key\":\"m\"}",
                                        "{\"key\":\"m\",\"kind\":\"nps\",\"number\":0}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = {0};
        assert_null(metric_from_stored(texts[i], strlen(texts[i]), &err));
        assert_int_equal(err.code, ERROR_CORRUPT);
    }
}

static void test_metric__survey_kinds_know_their_scores(void **state)
{
    (void)state;
    int least, most;
    metric_kind_scores(METRIC_NPS, &least, &most);
    assert_true(least == 0 && most == 10);
    metric_kind_scores(METRIC_CSAT, &least, &most);
    assert_true(least == 1 && most == 5);
    metric_kind_scores(METRIC_CES, &least, &most);
    assert_true(least == 1 && most == 7);
    assert_false(metric_kind_is_survey(METRIC_RETENTION));
    assert_string_equal(metric_kind_word(METRIC_RETENTION), "retention");
}

static double random_amount(unsigned short seed[3])
{
    return ldexp(erand48(seed), (int)(nrand48(seed) % 40) - 20);
}

static void test_metric__random_ones_come_back_to_the_last_bit(void **state)
{
    (void)state;
    unsigned short seed[3] = {1, 2, 3};
    print_message("# seed 1 2 3\n");
    for (int round = 0; round < 500; round++) {
        enum metric_kind kind = (enum metric_kind)(nrand48(seed) % (METRIC_CES + 1));
        json_t *input = json_object();
        json_object_set_new(input, "key", json_sprintf("m%ld", nrand48(seed)));
        json_object_set_new(input, "kind", json_string(metric_kind_word(kind)));
        json_object_set_new(input, "event", json_string(round % 2 ? "a\"\\\n" : "künde-💶"));
        if (kind == METRIC_RATIO)
            json_object_set_new(input, "denominator", json_string("visit"));
        if (kind == METRIC_RETENTION) {
            json_object_set_new(input, "from_days", json_integer(nrand48(seed) % 9));
            json_object_set_new(input, "to_days", json_integer(10 + nrand48(seed) % 9));
        }
        if (kind == METRIC_MEAN && round % 3)
            json_object_set_new(input, "cap", json_real(random_amount(seed) + 1e-300));
        else if (kind == METRIC_MEAN)
            json_object_set_new(input, "cap_percentile", json_real(51 + 48 * erand48(seed)));
        if (kind == METRIC_QUANTILE)
            json_object_set_new(input, "quantile", json_real(0.5 + 0.49 * erand48(seed)));
        json_object_set_new(input, "margin", json_real(random_amount(seed)));
        json_object_set_new(input, "unit_value", json_real(-random_amount(seed)));
        struct error err = {0};
        struct metric *metric = metric_create(input, 1 + (uint32_t)round, NOW + round, &err);
        assert_int_equal(err.code, ERROR_NONE);
        assert_true(metric->margin == json_real_value(json_object_get(input, "margin")));
        assert_round_trip(metric);
        metric_unref(&metric);
        json_decref(input);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric__fields_hold_what_was_given),
        cmocka_unit_test(test_metric__amending_makes_the_next_version),
        cmocka_unit_test(test_metric__key_kind_and_version_stay),
        cmocka_unit_test(test_metric__damaged_store_is_corrupt),
        cmocka_unit_test(test_metric__survey_kinds_know_their_scores),
        cmocka_unit_test(test_metric__random_ones_come_back_to_the_last_bit),
    };
    return cases_run("metric", tests, sizeof tests / sizeof *tests, "definitions/metric.json",
                     test_metric__case);
}
