/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bucketing and conditions against the SDKs' own cases (read where they lie, not copied), against
 * vectors of our own, and what a person may not write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "core/bucket.h"
#include "core/condition.h"
#include "core/condition_pattern.h"

static FILE *open_cases(const char *name)
{
    char path[4096];
    const char *folder = getenv("UPLIFT_SHARED_DATA");
    snprintf(path, sizeof path, "%s/growthbook-cases/%s.ndjson", folder ? folder : "../shared/data",
             name);
    FILE *file = fopen(path, "r");
    if (!file)
        print_message("# skipped: %s is absent\n", path);
    return file;
}

/* Runs every line of a case file; each must hold. */
static void run_cases(const char *name, size_t least, bool (*holds)(json_t *row))
{
    FILE *file = open_cases(name);
    if (!file)
        skip();
    char *line = NULL;
    size_t room = 0, count = 0, failed = 0;
    while (getline(&line, &room, file) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        assert_non_null(row);
        count++;
        if (!holds(row)) {
            failed++;
            print_message("# %s", line);
        }
        json_decref(row);
    }
    free(line);
    fclose(file);
    print_message("# %zu cases of %s\n", count, name);
    assert_true(count >= least);
    assert_int_equal(failed, 0);
}

static struct slice text_at(json_t *row, size_t i)
{
    return slice_of(json_string_value(json_array_get(row, i)));
}

static double number_at(json_t *row, size_t i)
{
    return json_number_value(json_array_get(row, i));
}

static bool hash_holds(json_t *row)
{
    struct slice seed = text_at(row, 0), value = text_at(row, 1);
    double version = number_at(row, 2);
    if (version != 1 && version != 2)
        return json_is_null(json_array_get(row, 3));
    return (version == 2 ? bucket_of(seed, value) : bucket_of_version_1(seed, value)) ==
           number_at(row, 3);
}

static size_t read_weights(json_t *list, double out[64])
{
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = number_at(list, i);
    return json_array_size(list);
}

static bool ranges_hold(json_t *row)
{
    json_t *input = json_array_get(row, 1), *expected = json_array_get(row, 2);
    double weights[64];
    struct range ranges[64];
    size_t k = (size_t)number_at(input, 0), given = read_weights(json_array_get(input, 2), weights);
    bucket_ranges(k, number_at(input, 1), given == k ? weights : NULL, ranges);
    for (size_t i = 0; i < k; i++) {
        json_t *range = json_array_get(expected, i);
        if (floor(ranges[i].from * 1e8) != floor(number_at(range, 0) * 1e8) ||
            floor(ranges[i].to * 1e8) != floor(number_at(range, 1) * 1e8))
            return false;
    }
    return json_array_size(expected) == k;
}

/* Without weights every range is as long as the SDK's equal weights are. */
static bool equal_weights_hold(json_t *row)
{
    struct range ranges[64];
    json_t *expected = json_array_get(row, 1);
    double count = number_at(row, 0);
    if (count < 1 || count > 64) /* no experiment has so many variants */
        return count > 64 || json_array_size(expected) == 0;
    bucket_ranges((size_t)count, 1, NULL, ranges);
    for (size_t i = 0; i < (size_t)count; i++)
        if (fabs(ranges[i].to - ranges[i].from - number_at(expected, i)) > 1e-8)
            return false;
    return json_array_size(expected) == (size_t)count;
}

static bool choice_holds(json_t *row)
{
    struct range ranges[64];
    json_t *list = json_array_get(row, 2);
    for (size_t i = 0; i < json_array_size(list); i++)
        ranges[i] = (struct range){number_at(json_array_get(list, i), 0),
                                   number_at(json_array_get(list, i), 1)};
    return bucket_choose(number_at(row, 1), ranges, json_array_size(list)) ==
           (int)number_at(row, 3);
}

static bool condition_holds(json_t *row)
{
    struct error err = {0};
    struct condition *condition = condition_compile_lenient(json_array_get(row, 1), &err);
    bool is =
        condition && condition_matches(condition, json_array_get(row, 2), json_array_get(row, 4));
    condition_free(condition);
    return condition && is == json_is_true(json_array_get(row, 3));
}

static void test_bucket__agrees_with_the_sdk_cases(void **state)
{
    (void)state;
    run_cases("hash", 5, hash_holds);
}

static void test_bucket__ranges_agree_with_the_sdk_cases(void **state)
{
    (void)state;
    run_cases("getBucketRange", 5, ranges_hold);
}

static void test_bucket__equal_weights_agree_with_the_sdk_cases(void **state)
{
    (void)state;
    run_cases("getEqualWeights", 3, equal_weights_hold);
}

static void test_bucket__choices_agree_with_the_sdk_cases(void **state)
{
    (void)state;
    run_cases("chooseVariation", 5, choice_holds);
}

static void test_condition__agrees_with_the_sdk_cases(void **state)
{
    (void)state;
    run_cases("evalCondition", 100, condition_holds);
}

/* Vectors of the published contract. */
static void test_bucket__hashes_utf16_code_units(void **state)
{
    (void)state;
    static const struct {
        const char *seed, *value;
        double n;
    } rows[] = {{"checkout", "customer-1", 0.0164},
                {"checkout", "k\xc3\xbcnde-\xf0\x9f\x92\xb6", 0.9864},
                {"", "", 0.2305},
                {"seed", "12345", 0.137},
                {"seed", "a", 0.0505}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(bucket_of(slice_of(rows[i].seed), slice_of(rows[i].value)) == rows[i].n);
}

static void test_bucket__more_coverage_moves_nobody(void **state)
{
    (void)state;
    const double weights[] = {0.33, 0.33, 0.34};
    struct range before[3], after[3];
    for (int i = 0; i < 1000; i++) {
        double n = i / 1000.0;
        for (int c = 1; c < 20; c++) {
            bucket_ranges(3, c / 20.0, weights, before);
            bucket_ranges(3, (c + 1) / 20.0, weights, after);
            int was = bucket_choose(n, before, 3);
            if (was >= 0)
                assert_int_equal(bucket_choose(n, after, 3), was);
        }
    }
}

static void assert_refused(const char *text, const char *line)
{
    struct error err = {0};
    char said[ERROR_LINE_MAX];
    json_t *json = json_loads(text, 0, NULL);
    struct json_place place = json_member(JSON_TOP, "audience");
    assert_non_null(json);
    assert_null(condition_compile(json, &place, &err));
    assert_string_equal(error_line(&err, said), line);
    json_decref(json);
}

static void test_condition__refuses_what_an_sdk_would_trip_over(void **state)
{
    (void)state;
    assert_refused("{\"a\": {\"$foo\": 1}}", "audience.a.$foo: unknown operator");
    assert_refused("{\"$or\": null}", "audience.$or: must be an array");
    assert_refused("{\"$and\": [1]}", "audience.$and[0]: must be an object");
    assert_refused("{\"a\": {\"$in\": 5}}", "audience.a.$in: must be an array");
    assert_refused("{\"a\": {\"$elemMatch\": null}}", "audience.a.$elemMatch: must be an object");
    assert_refused("{\"a\": {\"$type\": \"date\"}}",
                   "audience.a.$type: must be string, number, boolean, array, object or null");
    assert_refused("{\"__proto__.x\": 1}", "audience.__proto__.x: is not a usable path");
    assert_refused("{\"$groups\": 1}", "audience.$groups: unknown operator");
}

static void assert_regex(const char *pattern, const char *text, bool expected)
{
    struct error err = {0};
    json_t *json = json_pack("{s:{s:s}}", "a", "$regex", pattern);
    json_t *attributes = json_pack("{s:s}", "a", text);
    struct condition *condition = condition_compile(json, JSON_TOP, &err);
    assert_non_null(condition);
    assert_int_equal(condition_matches(condition, attributes, NULL), expected);
    condition_free(condition);
    json_decref(json);
    json_decref(attributes);
}

/* What PCRE2 would take and JavaScript would refuse or read otherwise. */
static void test_condition__refuses_patterns_that_sdks_read_differently(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "(?i)a",   "(?>a)",  "a++",     "\\Aa",     "a\\Z",    "\\pL",    "[[:alpha:]]", "\\a",
        "\\Qa\\E", "(?#x)a", "\\Ka",    "(?P<n>a)", "(*UCP)a", "\\X",     "[]a]",        "(?R)",
        "(a)\\1",  "a{,3}",  "a{2}{3}", "\\x4",     "\\u12",   "(?<n>a)",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct error err = {0};
        json_t *json = json_pack("{s:{s:s}}", "a", "$regex", patterns[i]);
        struct condition *condition = condition_compile(json, JSON_TOP, &err);
        if (condition)
            fail_msg("accepted: %s", patterns[i]);
        json_decref(json);
    }
}

static void test_condition__takes_patterns_that_all_read_alike(void **state)
{
    (void)state;
    assert_regex("^(?:a|b){2,3}?c$", "abc", true);
    assert_regex("[^\\]x-]\\.\\u0061", "b.a", true);
    assert_regex("(?=a)\\w+(?<!b)$", "aab", false);
    assert_regex("a.b", "a\rb", false);
}

static void test_condition__long_texts_match_where_they_should(void **state)
{
    (void)state;
    enum { LEN = PATTERN_TEXT_MAX };
    char text[LEN + 2];
    for (size_t i = 0; i <= LEN; i++)
        text[i] = i % 2 ? 'b' : 'a';
    text[LEN] = '\0';
    assert_regex("^(?:a|b)+$", text, true);
    memcpy(text + LEN, "a", 2);
    assert_regex("^(?:a|b)+$", text, false); /* beyond the limit */
}

static void test_condition__bounds_depth(void **state)
{
    (void)state;
    json_t *json = json_pack("{s:i}", "a", 1);
    for (int i = 0; i < 1000; i++)
        json = json_pack("{s:[o]}", "$and", json);
    struct error err = {0};
    assert_null(condition_compile(json, JSON_TOP, &err));
    assert_string_equal(err.message, "is nested too deeply");
    json_decref(json);
}

static void test_condition__a_pattern_that_explodes_does_not_match(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *json = json_pack("{s:{s:s}}", "a", "$regex", "^(a+)+$");
    json_t *attributes = json_pack("{s:s}", "a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
    struct condition *condition = condition_compile(json, JSON_TOP, &err);
    assert_non_null(condition);
    assert_false(condition_matches(condition, attributes, NULL));
    condition_free(condition);
    json_decref(json);
    json_decref(attributes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket__agrees_with_the_sdk_cases),
        cmocka_unit_test(test_bucket__ranges_agree_with_the_sdk_cases),
        cmocka_unit_test(test_bucket__equal_weights_agree_with_the_sdk_cases),
        cmocka_unit_test(test_bucket__choices_agree_with_the_sdk_cases),
        cmocka_unit_test(test_bucket__hashes_utf16_code_units),
        cmocka_unit_test(test_bucket__more_coverage_moves_nobody),
        cmocka_unit_test(test_condition__agrees_with_the_sdk_cases),
        cmocka_unit_test(test_condition__refuses_what_an_sdk_would_trip_over),
        cmocka_unit_test(test_condition__refuses_patterns_that_sdks_read_differently),
        cmocka_unit_test(test_condition__takes_patterns_that_all_read_alike),
        cmocka_unit_test(test_condition__long_texts_match_where_they_should),
        cmocka_unit_test(test_condition__bounds_depth),
        cmocka_unit_test(test_condition__a_pattern_that_explodes_does_not_match),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("condition", tests, NULL, NULL);
}
