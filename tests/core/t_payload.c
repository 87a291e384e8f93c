/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Experiments as GrowthBook's SDKs read them: what becomes of each state and part, and dates that
 * move with every change, within one millisecond and over restarts. That SDKs then decide as the
 * server does is shown by tests/clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/definitions.h"
#include "core/json.h"
#include "core/payload.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

#define NOW INT64_C(1793613600123)

static int64_t fixed_now(void *data)
{
    (void)data;
    return NOW;
}

static const struct clock fixed_clock = {.now = fixed_now};
static const struct definition_change anyhow = {.who = "test", .version = 0, .at = -1};

static char folder[FOLDER_MAX];
static struct uplift *uplift;

static void open_store(void)
{
    struct error err = {0};
    uplift = uplift_open(folder, &fixed_clock, &err);
    assert_string_equal(err.message, "");
}

static int setup(void **state)
{
    (void)state;
    if (!folder_make(folder))
        return -1;
    open_store();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    uplift_close(&uplift);
    return folder_remove(folder) ? 0 : -1;
}

static json_t *read_json(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    assert_string_equal(err.message, "");
    return value;
}

/* The payload now, one reference. */
static struct payload *payload(void)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    struct payload *found = payload_ref(catalog_payload(catalog));
    catalog_release(&uplift->catalog, catalog);
    return found;
}

static json_t *document(void)
{
    struct payload *now = payload();
    struct error err = {0};
    json_t *json = json_parse(now->body.ptr, now->body.len, &err);
    assert_string_equal(err.message, "");
    payload_unref(&now);
    return json;
}

static void date(char out[PAYLOAD_DATE_MAX])
{
    json_t *json = document();
    snprintf(out, PAYLOAD_DATE_MAX, "%s", json_string_value(json_object_get(json, "dateUpdated")));
    json_decref(json);
}

static void assert_feature(const char *key, const char *expected)
{
    json_t *json = document(), *want = expected ? read_json(expected) : NULL;
    json_t *is = json_object_get(json_object_get(json, "features"), key);
    if (!json_equal(is, want) && (is || want))
        fail_msg("%s is %s", key, is ? json_text(is) : "absent");
    json_decref(want);
    json_decref(json);
}

static void create(const char *definition)
{
    struct error err = {0};
    json_t *input = read_json(definition);
    json_decref(uplift_experiment_create(uplift, &anyhow, input, &err));
    assert_string_equal(err.message, "");
    json_decref(input);
}

static void change(const char *key, enum experiment_step step, const char *options)
{
    struct error err = {0};
    json_t *input = options ? read_json(options) : NULL;
    json_decref(uplift_experiment_transition(uplift, &anyhow, slice_of(key), step, input, &err));
    assert_string_equal(err.message, "");
    json_decref(input);
}

static const char whole[] =
    "{'key': 'e', 'name': 'All of it', 'audience': {'country': {'$in': ['DE']}}, 'traffic': 0.5,"
    " 'layer': {'key': 'l', 'range': [0, 0.25]}, 'seed': 's', 'overrides': {'q': 'b', 'r': 'b'},"
    " 'variants': [{'key': 'a', 'weight': 1, 'value': 0}, "
    "{'key': 'b', 'name': 'B', 'weight': 3, 'value': 2.5}]}";

/* With double quotes. */
static const char *quoted(const char *text)
{
    static char out[2048];
    snprintf(out, sizeof out, "%s", text);
    for (char *at = out; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    return out;
}

static void test_payload__a_running_experiment_is_a_rule_behind_its_overrides(void **state)
{
    (void)state;
    create(quoted(whole));
    assert_feature("e", NULL); /* a draft */
    change("e", STEP_START, NULL);
    assert_feature(
        "e",
        quoted("{'defaultValue': 0, 'rules': ["
               "{'id': 'e:override:b', 'condition': {'id': {'$in': ['q', 'r']}}, 'force': 2.5},"
               "{'id': 'e:1', 'key': 'e', 'name': 'All of it', 'phase': '1', 'seed': 's',"
               " 'hashAttribute': 'id', 'hashVersion': 2, 'coverage': 0.5,"
               " 'weights': [0.25, 0.75], 'variations': [0, 2.5],"
               " 'meta': [{'key': 'a', 'name': 'a'}, {'key': 'b', 'name': 'B'}],"
               " 'disableStickyBucketing': true,"
               " 'filters': [{'attribute': 'id', 'seed': 'l', 'hashVersion': 2,"
               " 'ranges': [[0.0, 0.25]]}], 'condition': {'country': {'$in': ['DE']}}}]}"));
}

static void test_payload__other_states_have_a_value_and_the_winner_its_audience(void **state)
{
    (void)state;
    create(quoted(whole));
    change("e", STEP_START, NULL);
    change("e", STEP_PAUSE, NULL);
    assert_feature("e", quoted("{'defaultValue': 0}"));
    change("e", STEP_STOP, quoted("{'winner': 'b', 'reason': 'r'}"));
    assert_feature("e", quoted("{'defaultValue': 0, 'rules': [{'id': 'e:winner:b', 'force': 2.5,"
                               " 'condition': {'country': {'$in': ['DE']}}}]}"));
    change("e", STEP_ARCHIVE, NULL);
    assert_feature("e", NULL);
    create(quoted("{'key': 'f', 'sticky': true, 'variants': [{'key': 'a'}, {'key': 'b'}]}"));
    change("f", STEP_START, NULL);
    change("f", STEP_NEW_PHASE, NULL);
    json_t *json = document();
    json_t *features = json_object_get(json, "features"), *feature = json_object_get(features, "f");
    json_t *rule = json_array_get(json_object_get(feature, "rules"), 0);
    assert_string_equal(json_string_value(json_object_get(rule, "seed")), "f.2");
    assert_string_equal(json_string_value(json_object_get(rule, "phase")), "2");
    assert_int_equal(json_integer_value(json_object_get(rule, "bucketVersion")), 2);
    assert_null(json_object_get(rule, "disableStickyBucketing"));
    json_decref(json);
    change("f", STEP_STOP, quoted("{'winner': 'b', 'reason': 'r'}"));
    assert_feature("f", quoted("{'defaultValue': 'b'}"));
}

static void test_payload__every_change_has_a_date_of_its_own(void **state)
{
    (void)state;
    char before[PAYLOAD_DATE_MAX], after[PAYLOAD_DATE_MAX];
    create(quoted(whole));
    date(before);
    for (int i = 0; i < 20; i++) { /* all within one millisecond */
        change("e", i ? i % 2 ? STEP_PAUSE : STEP_RESUME : STEP_START, NULL);
        date(after);
        assert_true(strcmp(before, after) < 0);
        assert_int_equal(strncmp(after, "2026-11-02T10:00:00.123", 23), 0);
        assert_int_equal(strlen(after), strlen("2026-11-02T10:00:00.123000000Z"));
        memcpy(before, after, sizeof after);
        if (i % 5 == 4) {
            uplift_close(&uplift);
            open_store();
            date(after);
            assert_string_equal(before, after); /* nothing has changed */
        }
    }
}

static void test_payload__is_the_same_one_where_no_feature_changed(void **state)
{
    (void)state;
    create(quoted(whole));
    change("e", STEP_START, NULL);
    struct payload *before = payload();
    create(quoted("{'key': 'draft', 'variants': [{'key': 'a'}, {'key': 'b'}]}"));
    struct payload *after = payload();
    assert_ptr_equal(before, after);
    assert_int_equal(strncmp(after->event.ptr, "event: features\ndata: {\"status\":200,", 36), 0);
    assert_string_equal(after->event.ptr + after->event.len - 3, "}\n\n");
    payload_unref(&after);
    change("draft", STEP_START, NULL);
    after = payload();
    assert_ptr_not_equal(before, after);
    assert_string_not_equal(before->tag, after->tag);
    payload_unref(&after);
    payload_unref(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_payload__a_running_experiment_is_a_rule_behind_its_overrides, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_payload__other_states_have_a_value_and_the_winner_its_audience, setup, teardown),
        cmocka_unit_test_setup_teardown(test_payload__every_change_has_a_date_of_its_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_payload__is_the_same_one_where_no_feature_changed,
                                        setup, teardown),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
