/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions by a payload, against the SDKs' own cases (read where they lie) and cases of our own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/feature.h"
#include "core/json.h"

static struct ruleset *compile(json_t *json)
{
    struct error err = {0};
    char *text = json_text(json), line[ERROR_LINE_MAX];
    struct ruleset *ruleset = ruleset_parse(text, strlen(text), &err);
    if (!ruleset)
        print_message("# %s\n", error_line(&err, line));
    free(text);
    return ruleset;
}

/* --- the SDKs' cases --- */

/* What a payload cannot say, or only a browser knows: such cases are counted and left out. */
static bool beyond_payloads(json_t *context, json_t *experiment)
{
    static const char *const contexts[] = {"enabled", "url", "qaMode", "forcedVariations",
                                           "contextualBandits"};
    static const char *const members[] = {"force", "active", "status", "urlPatterns"};
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++)
        if (json_object_get(context, contexts[i]))
            return true;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(experiment, members[i]))
            return true;
    return false;
}

static const json_t *attributes_of(json_t *context)
{
    return json_object_get(context, "attributes");
}

/* An experiment as a rule of a feature whose default is what those outside get. */
static json_t *with_experiment(json_t *context, json_t *experiment)
{
    json_t *features = json_copy(json_object_get(context, "features"));
    json_t *values = json_object_get(experiment, "variations");
    json_t *payload = json_pack("{s:o}", "features", features ? features : json_object());
    json_object_set_new(
        json_object_get(payload, "features"), json_string_value(json_object_get(experiment, "key")),
        json_pack("{s:O, s:[O]}", "defaultValue", json_array_get(values, 0), "rules", experiment));
    if (json_object_get(context, "savedGroups"))
        json_object_set(payload, "savedGroups", json_object_get(context, "savedGroups"));
    return payload;
}

enum outcome { HOLDS, FAILS, LEFT_OUT };

static enum outcome run_holds(json_t *row)
{
    json_t *context = json_array_get(row, 1), *experiment = json_array_get(row, 2);
    if (beyond_payloads(context, experiment))
        return LEFT_OUT;
    json_t *payload = with_experiment(context, experiment);
    struct ruleset *ruleset = compile(payload);
    json_decref(payload);
    if (!ruleset)
        return FAILS;
    const char *key = json_string_value(json_object_get(experiment, "key"));
    struct feature_result result = feature_decide(ruleset, key, attributes_of(context));
    bool in = json_is_true(json_array_get(row, 4));
    bool holds = json_equal(result.value->json, json_array_get(row, 3)) &&
                 result.in_experiment == in && result.exposure_count == (in ? 1 : 0);
    ruleset_unref(&ruleset);
    return holds ? HOLDS : FAILS;
}

static const char *source_word(enum feature_source source)
{
    static const char *const words[] = {"unknownFeature", "defaultValue", "force",
                                        "experiment",     "prerequisite", "cyclicPrerequisite"};
    return words[source];
}

static bool result_holds(const struct feature_result *result, json_t *expected)
{
    json_t *details = json_object_get(expected, "experimentResult");
    json_t *value = json_object_get(expected, "value");
    if (strcmp(source_word(result->source),
               json_string_value(json_object_get(expected, "source"))) != 0 ||
        !(result->value->json ? json_equal(result->value->json, value) : json_is_null(value)))
        return false;
    if (result->source != FEATURE_EXPERIMENT)
        return true;
    return result->in_experiment &&
           strcmp(result->variant, json_string_value(json_object_get(details, "key"))) == 0 &&
           result->index == (int)json_integer_value(json_object_get(details, "variationId")) &&
           result->bucket == json_number_value(json_object_get(details, "bucket"));
}

static enum outcome feature_holds(json_t *row)
{
    json_t *context = json_array_get(row, 1);
    if (beyond_payloads(context, NULL))
        return LEFT_OUT;
    json_t *payload = json_copy(context);
    if (!json_object_get(payload, "features"))
        json_object_set_new(payload, "features", json_object());
    struct ruleset *ruleset = compile(payload);
    json_decref(payload);
    if (!ruleset)
        return FAILS;
    struct feature_result result =
        feature_decide(ruleset, json_string_value(json_array_get(row, 2)), attributes_of(context));
    bool holds = result_holds(&result, json_array_get(row, 3));
    ruleset_unref(&ruleset);
    return holds ? HOLDS : FAILS;
}

static void run_cases(const char *name, size_t least, enum outcome (*holds)(json_t *row))
{
    char path[4096], *line = NULL;
    const char *folder = getenv("UPLIFT_SHARED_DATA");
    snprintf(path, sizeof path, "%s/growthbook-cases/%s.ndjson", folder ? folder : "../shared/data",
             name);
    FILE *file = fopen(path, "r");
    if (!file) {
        print_message("# skipped: %s is absent\n", path);
        skip();
    }
    size_t room = 0, counts[3] = {0};
    while (getline(&line, &room, file) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        assert_non_null(row);
        enum outcome outcome = holds(row);
        counts[outcome]++;
        if (outcome == FAILS)
            print_message("# %s", line);
        json_decref(row);
    }
    free(line);
    fclose(file);
    print_message("# %s: %zu hold, %zu say what no payload does\n", name, counts[HOLDS],
                  counts[LEFT_OUT]);
    assert_int_equal(counts[FAILS], 0);
    assert_true(counts[HOLDS] >= least);
}

static void test_feature__experiments_agree_with_the_sdk_cases(void **state)
{
    (void)state;
    run_cases("run", 31, run_holds);
}

static void test_feature__features_agree_with_the_sdk_cases(void **state)
{
    (void)state;
    run_cases("feature", 25, feature_holds);
}

/* --- our own --- */

/* Decides by the features' JSON (with ' for ") for the attributes. */
static struct feature_result by(struct ruleset **ruleset, const char *features, const char *key,
                                const char *attributes)
{
    char text[4096];
    struct error err = {0};
    snprintf(text, sizeof text, "{'features':%s}", features);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    *ruleset = ruleset_parse(text, strlen(text), &err);
    assert_non_null(*ruleset);
    json_t *read = json_loads(attributes, 0, NULL);
    assert_non_null(read);
    struct feature_result result = feature_decide(*ruleset, key, read);
    json_decref(read);
    return result;
}

static void test_feature__a_forced_variant_is_told_by_the_rules_id(void **state)
{
    (void)state;
    struct ruleset *ruleset;
    struct feature_result result =
        by(&ruleset,
           "{'f':{'defaultValue':1,'rules':[{'id':'f:override:b','force':1,'condition':{'id':"
           "{'$in':['q']}}},{'variations':[1,1],'meta':[{'key':'a'},{'key':'b'}],'hashVersion':2}]"
           "}}",
           "f", "{\"id\":\"q\"}");
    assert_int_equal(result.source, FEATURE_FORCE);
    assert_string_equal(result.variant, "b");
    assert_int_equal(result.index, 1);
    assert_false(result.in_experiment);
    ruleset_unref(&ruleset);
}

static void test_feature__a_value_of_two_variants_names_neither(void **state)
{
    (void)state;
    struct ruleset *ruleset;
    const char *features = "{'f':{'defaultValue':1,'rules':[{'variations':[%s],'coverage':0,"
                           "'meta':[{'key':'a'},{'key':'b'}]}]}}";
    char text[512];
    snprintf(text, sizeof text, features, "1,1");
    struct feature_result result = by(&ruleset, text, "f", "{\"id\":\"q\"}");
    assert_int_equal(result.source, FEATURE_DEFAULT);
    assert_null(result.variant);
    assert_int_equal(result.index, -1);
    ruleset_unref(&ruleset);
    snprintf(text, sizeof text, features, "1,2");
    result = by(&ruleset, text, "f", "{\"id\":\"q\"}");
    assert_string_equal(result.variant, "a");
    ruleset_unref(&ruleset);
}

static void test_feature__a_holdout_is_exposed_to_also_where_it_lets_pass(void **state)
{
    (void)state;
    struct ruleset *ruleset;
    struct feature_result result =
        by(&ruleset,
           "{'f':{'defaultValue':0,'rules':[{'key':'hold','variations':[0,1],'ranges':[[0,0],[0,1]]"
           ",'hashVersion':2,'meta':[{'key':'out'},{'key':'in','passthrough':true}]},{'key':'f',"
           "'variations':[5,6],'ranges':[[0,0],[0,1]],'hashVersion':2}]}}",
           "f", "{\"id\":\"q\"}");
    assert_string_equal(result.value->text, "6");
    assert_int_equal(result.exposure_count, 2);
    assert_string_equal(result.exposures[0].experiment, "hold");
    assert_string_equal(result.exposures[0].variant, "in");
    assert_string_equal(result.exposures[1].variant, "1");
    ruleset_unref(&ruleset);
}

/* The bucket of "customer-1" under the seed "checkout" is 0.035 by version 1. */
static void test_feature__a_rollout_takes_in_whose_bucket_is_its_coverage(void **state)
{
    (void)state;
    static const struct {
        const char *share;
        enum feature_source source;
    } cases[] = {{"'coverage':0.035", FEATURE_FORCE},
                 {"'coverage':0.0349", FEATURE_DEFAULT},
                 {"'range':[0,0.035]", FEATURE_DEFAULT},
                 {"'range':[0.035,1]", FEATURE_FORCE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ruleset *ruleset;
        char text[256];
        snprintf(text, sizeof text, "{'f':{'rules':[{'force':1,'seed':'checkout',%s}]}}",
                 cases[i].share);
        assert_int_equal(by(&ruleset, text, "f", "{\"id\":\"customer-1\"}").source,
                         cases[i].source);
        ruleset_unref(&ruleset);
    }
}

static void test_feature__who_is_held_out_gets_the_control(void **state)
{
    (void)state;
    struct ruleset *ruleset;
    struct feature_result result =
        by(&ruleset,
           "{'f':{'defaultValue':5,'rules':[{'key':'hold','variations':[5,5],'ranges':[[0,1],[1,1]]"
           ",'hashVersion':2,'meta':[{'key':'held'},{'key':'open','passthrough':true}]},{'key':'f',"
           "'variations':[5,6],'meta':[{'key':'a'},{'key':'b'}],'hashVersion':2}]}}",
           "f", "{\"id\":\"q\"}");
    assert_true(result.held_out);
    assert_string_equal(result.variant, "a");
    assert_int_equal(result.index, 0);
    assert_int_equal(result.exposure_count, 1);
    assert_string_equal(result.exposures[0].experiment, "hold");
    assert_string_equal(result.exposures[0].variant, "held");
    ruleset_unref(&ruleset);
    result = by(&ruleset,
                "{'f':{'defaultValue':6,'rules':[{'id':'f:hold:a','force':5},{'variations':[5,5],"
                "'meta':[{'key':'a'},{'key':'b'}]}]}}",
                "f", "{\"id\":\"q\"}");
    assert_true(result.held_out);
    assert_string_equal(result.variant, "a");
    assert_int_equal(result.exposure_count, 0);
    ruleset_unref(&ruleset);
}

/* Each feature asks the next one twice: without a bound 2^40 decisions. */
static void test_feature__no_payload_makes_a_decision_run_away(void **state)
{
    (void)state;
    struct error err = {0};
    struct text text;
    text_init(&text, 1 << 20);
    text_puts(&text, "{\"features\":{\"f40\":{\"defaultValue\":1}");
    for (int i = 0; i < 40; i++)
        text_printf(&text,
                    ",\"f%d\":{\"rules\":[{\"parentConditions\":[{\"id\":\"f%d\",\"condition\":{}},"
                    "{\"id\":\"f%d\",\"condition\":{}}],\"force\":1}]}",
                    i, i + 1, i + 1);
    text_puts(&text, "}}");
    struct ruleset *ruleset = ruleset_parse(text.ptr, text.len, &err);
    assert_non_null(ruleset);
    assert_int_equal(feature_decide(ruleset, "f0", NULL).source, FEATURE_CYCLIC);
    assert_int_equal(feature_decide(ruleset, "f35", NULL).source, FEATURE_FORCE);
    ruleset_unref(&ruleset);
    text_release(&text);
}

static void test_feature__a_wrong_payload_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"", "line 1, column 0"},
        {"[]", "must be an object"},
        {"{}", "features: is missing"},
        {"{\"features\":[]}", "features: must be an object"},
        {"{\"features\":{\"f\":1}}", "features.f: must be an object"},
        {"{\"features\":{\"f\":{\"rules\":[1]}}}", "features.f.rules[0]: must be an object"},
        {"{\"features\":{\"f\":{\"rules\":[{\"variations\":1}]}}}",
         "features.f.rules[0].variations: must be an array"},
        {"{\"features\":{\"f\":{\"rules\":[{\"variations\":[1,2],\"ranges\":[[0,\"1\"]]}]}}}",
         "features.f.rules[0].ranges[0]: must be two numbers"},
        {"{\"features\":{\"f\":{\"rules\":[{\"variations\":[1],\"meta\":[1]}]}}}",
         "features.f.rules[0].meta[0]: must be an object"},
        {"{\"features\":{\"f\":{\"rules\":[{\"parentConditions\":[{\"id\":\"g\"}]}]}}}",
         "features.f.rules[0].parentConditions[0].condition: is missing"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = {0};
        char line[ERROR_LINE_MAX];
        assert_null(ruleset_parse(wrong[i][0], strlen(wrong[i][0]), &err));
        error_line(&err, line);
        if (strncmp(line, wrong[i][1], strlen(wrong[i][1])) != 0)
            fail_msg("%s: %s", wrong[i][0], line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feature__experiments_agree_with_the_sdk_cases),
        cmocka_unit_test(test_feature__features_agree_with_the_sdk_cases),
        cmocka_unit_test(test_feature__a_forced_variant_is_told_by_the_rules_id),
        cmocka_unit_test(test_feature__a_value_of_two_variants_names_neither),
        cmocka_unit_test(test_feature__a_holdout_is_exposed_to_also_where_it_lets_pass),
        cmocka_unit_test(test_feature__a_rollout_takes_in_whose_bucket_is_its_coverage),
        cmocka_unit_test(test_feature__who_is_held_out_gets_the_control),
        cmocka_unit_test(test_feature__no_payload_makes_a_decision_run_away),
        cmocka_unit_test(test_feature__a_wrong_payload_is_refused_with_its_place),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
