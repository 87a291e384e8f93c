/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study: reference studies with the figures of other people's implementations, refusals by their
 * words, and what must hold between reports. The shared vectors are skipped where they are absent.
 */
#include "tests/core/cases.h"

#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/study.h"
#include "core/text.h"
#include "tests/core/compare.h"

/* --- running studies --- */

static json_t *parse(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    if (!value)
        fail_msg("%s: %s", text, err.message);
    return value;
}

/* The report of a study that must be a good one. */
static json_t *analyze(json_t *study)
{
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    json_t *report = study_analyze(study, &err);
    if (!report)
        fail_msg("%s", error_line(&err, line));
    assert_int_equal(err.code, ERROR_NONE);
    return report;
}

static json_t *analyze_text(const char *text)
{
    json_t *study = parse(text), *report = analyze(study);
    json_decref(study);
    return report;
}

static void test_study__gives_the_expected_report(void **state)
{
    json_t *one = *state;
    json_t *study = json_object_get(one, "study"), *before = json_deep_copy(study);
    json_t *report = analyze(study);
    compare(json_object_get(one, "expect"), report, json_object_get(one, "tol"), "report");
    assert_true(json_equal(study, before)); /* it was only read */
    json_decref(before);
    json_decref(report);
}

static void test_study__is_refused_by_the_expected_words(void **state)
{
    json_t *one = *state;
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    assert_null(study_analyze(json_object_get(one, "study"), &err));
    assert_string_equal(error_line(&err, line), json_string_value(json_object_get(one, "error")));
    assert_int_equal(err.code, ERROR_INVALID);
}

static int vectors_run;

static void test_study__gives_the_report_of_a_shared_vector(void **state)
{
    vectors_run++;
    test_study__gives_the_expected_report(state);
}

static void test_study__shared_vectors_were_there(void **state)
{
    (void)state;
    if (vectors_run == 0) {
        print_message("# UPLIFT_SHARED_DATA has no vectors.json\n");
        skip();
    }
    print_message("# %d shared vectors\n", vectors_run);
    assert_true(vectors_run >= 60);
}

/* --- between reports --- */

/* metrics[0] of a report, which is given back. */
static json_t *first_metric(json_t *report)
{
    json_t *metric = json_array_get(json_object_get(report, "metrics"), 0);
    json_incref(metric);
    json_decref(report);
    return metric;
}

/* Turns `arms` into the one stratum; whether there were any. */
static bool stratify(json_t *object)
{
    json_t *arms = json_object_get(object, "arms");
    if (!arms)
        return false;
    json_object_set_new(object, "strata", json_pack("[{s:s,s:O}]", "key", "epoch-1", "arms", arms));
    return json_object_del(object, "arms") == 0;
}

static void test_study__one_stratum_is_as_good_as_none(void **state)
{
    (void)state;
    json_t *cases = cases_load("stats/studies.json"), *one, *metric, *segment;
    size_t i, j, k, metrics = 0, segments = 0;
    json_array_foreach(cases, i, one)
    {
        json_t *study = json_object_get(one, "study");
        json_t *plain = analyze(study);
        json_array_foreach(json_object_get(study, "metrics"), j, metric)
        {
            metrics += stratify(metric);
            json_array_foreach(json_object_get(metric, "segments"), k, segment)
            {
                segments += stratify(segment);
            }
        }
        json_t *stratified = analyze(study);
        if (!json_equal(plain, stratified))
            differ(json_string_value(json_object_get(one, "name")), plain, stratified);
        json_decref(plain);
        json_decref(stratified);
    }
    assert_true(metrics > 50 && segments > 5);
    json_decref(cases);
}

static void test_study__leaves_out_what_there_is_not(void **state)
{
    (void)state;
    json_t *report = analyze_text("{\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
                                  " \"metrics\": []}");
    assert_null(json_object_get(report, "srm"));
    assert_int_equal(json_array_size(json_object_get(report, "metrics")), 0);
    json_decref(report);
    json_t *metric = first_metric(analyze_text(
        "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"metrics\": [{\"key\": \"m\","
        " \"kind\": \"binary\", \"arms\": [{\"n\": 9, \"sum\": 2}, {\"n\": 9, \"sum\": 5}]}]}"));
    json_t *comparison = json_array_get(json_object_get(metric, "comparisons"), 0);
    assert_null(json_object_get(metric, "segments"));
    assert_null(json_object_get(comparison, "theta"));
    assert_null(json_object_get(comparison, "non_inferior"));
    assert_null(json_object_get(comparison, "error"));
    assert_true(
        json_is_integer(json_object_get(json_array_get(json_object_get(metric, "arms"), 0), "n")));
    json_decref(metric);
}

/* Segments come in the order in which they are first named, values as they came. */
static void test_study__groups_the_values_of_segments(void **state)
{
    (void)state;
    json_t *metric = first_metric(analyze_text(
        "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"metrics\": [{\"key\": \"m\","
        " \"kind\": \"binary\", \"arms\": [{\"n\": 9, \"sum\": 2}, {\"n\": 9, \"sum\": 5}],"
        " \"segments\": ["
        "{\"segment\": \"z\", \"value\": \"2\", \"arms\": [{\"n\": 9, \"sum\": 2}, {\"n\": 9, "
        "\"sum\": 5}]},"
        "{\"segment\": \"y\", \"value\": \"\", \"arms\": [{\"n\": 9, \"sum\": 0}, {\"n\": 9, "
        "\"sum\": 5}]},"
        "{\"segment\": \"z\", \"value\": \"1\", \"arms\": [{\"n\": 9, \"sum\": 2}, {\"n\": 9, "
        "\"sum\": 0}]}]}]}"));
    json_t *want = parse(
        "[{\"segment\": \"z\", \"heterogeneity\": [{\"variant\": \"b\", \"df\": 0, \"q\": 0,"
        " \"p_value\": null}], \"values\": [{\"value\": \"2\"}, {\"value\": \"1\", \"shrunk\":"
        " {\"b\": {\"estimate\": null, \"se\": null}}}]},"
        " {\"segment\": \"y\", \"heterogeneity\": [{\"variant\": \"b\", \"q\": null, \"df\": null,"
        " \"p_value\": null}], \"values\": [{\"value\": \"\", \"comparisons\": [{\"estimate\": "
        "null,"
        " \"error\": {\"$is\": \"string\"}}]}]}]");
    compare(want, json_object_get(metric, "segments"), NULL, "segments");
    json_decref(want);
    json_decref(metric);
}

/* Every figure of every report is a number JSON can hold, whatever finite numbers come in. */
static void no_figure_is_lost(const json_t *value)
{
    const char *name;
    json_t *inner;
    size_t i;
    if (json_is_real(value))
        assert_true(isfinite(json_real_value(value)));
    json_object_foreach((json_t *)value, name, inner) no_figure_is_lost(inner);
    json_array_foreach(value, i, inner) no_figure_is_lost(inner);
    json_t *error = json_object_get(value, "error");
    if (json_object_get(value, "estimate") && json_object_get(value, "variant"))
        assert_true(json_is_null(json_object_get(value, "estimate")) == (error != NULL));
}

static void test_study__extreme_numbers_give_figures_or_a_reason(void **state)
{
    (void)state;
    static const char *const numbers[] = {"0",       "1",     "-1",    "1e-320",
                                          "-1e-200", "1e100", "1e308", "-1.7e308",
                                          "1e154",   "3.5",   "1e-160"};
    static const char *const counts[] = {"0", "1", "2", "1000000000", "9007199254740992"};
    static const char *const designs[] = {"{}", "{\"method\": \"fixed\", \"effect\": \"absolute\"}",
                                          "{\"sides\": \"less\", \"alpha\": 1e-300}",
                                          "{\"method\": \"fixed\", \"alpha\": 5e-324}"};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    int computed = 0, estimated = 0;
    for (unsigned int i = 0; i < 20000; i++) {
        unsigned int dice = i * 2654435761u;
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"design\": %s, \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"metrics\":"
                 " [{\"key\": \"m\", \"kind\": \"mean\", \"margin\": 1, \"arms\": [{\"n\": %s, "
                 "\"sum\": %s, \"sum_sq\": %s, \"pre_sum\": 1, \"pre_sum_sq\": %s,"
                 " \"pre_sum_post\": %s}, {\"n\": 3, \"sum\": %s, \"sum_sq\": %s, \"pre_sum\": %s,"
                 " \"pre_sum_sq\": 9, \"pre_sum_post\": 2}]}]}",
                 designs[i % 4], counts[dice >> 3 & 3], numbers[(dice >> 4) % NUMBERS],
                 numbers[(dice >> 7) % NUMBERS], numbers[(dice >> 10) % NUMBERS],
                 numbers[(dice >> 13) % NUMBERS], numbers[(dice >> 16) % NUMBERS],
                 numbers[(dice >> 19) % NUMBERS], numbers[(dice >> 22) % NUMBERS]);
        struct error err = {0};
        json_t *study = parse(text), *report = study_analyze(study, &err);
        if (report) {
            no_figure_is_lost(report);
            json_t *metric = json_array_get(json_object_get(report, "metrics"), 0);
            json_t *comparison = json_array_get(json_object_get(metric, "comparisons"), 0);
            computed++;
            estimated += !json_object_get(comparison, "error");
        }
        assert_int_equal(report == NULL, err.code != ERROR_NONE);
        json_decref(report);
        json_decref(study);
    }
    print_message("# %d of 20000 studies computed, %d with an estimate\n", computed, estimated);
    assert_true(computed > 1000 && estimated > 100);
}

/* Counts are exact up to 2^53 and no further; sums of squares may be integers of any size. */
static void test_study__reads_integers_of_any_size(void **state)
{
    (void)state;
    static const char *const counts[] = {"9007199254740992", "9007199254740993",
                                         "9007199254740992.0", "9223372036854775808", "1e300"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char text[512];
        struct error err = {0};
        snprintf(text, sizeof text,
                 "{\"variants\": [{\"key\": \"a\", \"exposed\": %s}, {\"key\": \"b\", "
                 "\"exposed\": 1}], \"metrics\": [{\"key\": \"m\", \"kind\": \"csat\", \"arms\": ["
                 "{\"scores\": [%s, 0, 0, 0, 5]}, {\"scores\": [1, 2, 3, 4, 5]}]}]}",
                 i % 2 ? counts[i] : "7", i % 2 ? "1" : counts[i]);
        json_t *study = parse(text), *report = study_analyze(study, &err);
        assert_int_equal(report != NULL, i == 0 || i == 2);
        if (!report)
            assert_string_equal(err.place,
                                i % 2 ? "variants[0].exposed" : "metrics[0].arms[0].scores[0]");
        json_decref(report);
        json_decref(study);
    }
    json_t *metric = first_metric(analyze_text(
        "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"metrics\": [{\"key\": \"m\","
        " \"kind\": \"mean\", \"arms\": [{\"n\": 100000000, \"sum\": 100000000000000, \"sum_sq\":"
        " 100000000000100000000}, {\"n\": 9, \"sum\": 2, \"sum_sq\": 5}]}]}"));
    json_t *want = parse("[{\"sd\": {\"$near\": 1, \"rel\": 1e-4}}, {}]");
    compare(want, json_object_get(metric, "arms"), NULL, "arms");
    json_decref(want);
    json_decref(metric);
}

static void test_study__words_stay_short_and_printable(void **state)
{
    (void)state;
    struct error err = {0};
    char line[ERROR_LINE_MAX], key[5000];
    memset(key, 'k', sizeof key);
    memcpy(key, "bell \a escape \033[31m ", 20);
    key[sizeof key - 1] = '\0';
    json_t *study = json_pack("{s:[{s:s},{s:s}],s:[],s:i}", "variants", "key", "a", "key", "b",
                              "metrics", key, 1);
    assert_null(study_analyze(study, &err));
    error_line(&err, line);
    assert_true(strlen(line) < 900);
    for (const char *c = line; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
    json_decref(study);
}

/* --- the program --- */

static json_t *shared_vectors(void)
{
    const char *top = getenv("UPLIFT_SHARED_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/vectors.json", top ? top : "../shared/data");
    json_t *vectors = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
    return vectors ? vectors : json_array();
}

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
        cmocka_unit_test(test_study__shared_vectors_were_there),
        cmocka_unit_test(test_study__one_stratum_is_as_good_as_none),
        cmocka_unit_test(test_study__leaves_out_what_there_is_not),
        cmocka_unit_test(test_study__groups_the_values_of_segments),
        cmocka_unit_test(test_study__extreme_numbers_give_figures_or_a_reason),
        cmocka_unit_test(test_study__reads_integers_of_any_size),
        cmocka_unit_test(test_study__words_stay_short_and_printable),
    };
    gsl_set_error_handler_off();
    json_t *vectors = shared_vectors(), *studies = cases_load("stats/studies.json");
    json_t *references = cases_load("stats/references.json");
    json_t *refusals = cases_load("stats/refusals.json");
    size_t most = json_array_size(vectors) + json_array_size(studies) + json_array_size(refusals) +
                  json_array_size(references);
    struct CMUnitTest *tests = xcalloc(most + sizeof fixed / sizeof fixed[0], sizeof *tests);
    size_t count = add_cases(tests, vectors, test_study__gives_the_report_of_a_shared_vector);
    count += add_cases(tests + count, studies, test_study__gives_the_expected_report);
    count += add_cases(tests + count, references, test_study__gives_the_expected_report);
    count += add_cases(tests + count, refusals, test_study__is_refused_by_the_expected_words);
    memcpy(tests + count, fixed, sizeof fixed);
    count += sizeof fixed / sizeof fixed[0];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = _cmocka_run_group_tests("study", tests, count, NULL, NULL);
    free(tests);
    json_decref(vectors);
    json_decref(studies);
    json_decref(references);
    json_decref(refusals);
    return failed;
}
