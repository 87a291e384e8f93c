/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who answered, from events to the decision: strata of recorded segments sum to all answers,
 * however many values there are; the corrected effect, health and the decision follow. The figures
 * themselves are t_response's and t_study's matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/health.h"
#include "core/json.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { COUNTRIES = 130, CUSTOMERS = 4000 };

static const int64_t start = INT64_C(1790000000000);
static int64_t now;
static char folder[FOLDER_MAX];

static int64_t told_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock told_clock = {.now = told_now};

static int make_folder(void **state)
{
    (void)state;
    now = start;
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

static void made(json_t *json)
{
    assert_non_null(json);
    json_decref(json);
}

/* An experiment on buying, with csat as a guardrail of a wide limit and nps beside. */
static struct uplift *open_with_experiment(void)
{
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &told_clock, &err);
    json_t *buy = json_pack("{s:s, s:s, s:s}", "key", "buy", "kind", "binary", "event", "order");
    json_t *csat = json_pack("{s:s, s:s, s:s, s:f}", "key", "csat", "name", "CSAT", "kind", "csat",
                             "margin", 90.0);
    json_t *nps = json_pack("{s:s, s:s}", "key", "nps", "kind", "nps");
    json_t *experiment =
        json_pack("{s:s, s:f, s:[{s:s}, {s:s}], s:[s, s], s:{s:[s], s:[s], s:[s]}}", "key", "exp",
                  "traffic", 0.5, "variants", "key", "a", "key", "b", "segments", "device",
                  "country", "metrics", "primary", "buy", "guardrail", "csat", "secondary", "nps");
    assert_non_null(uplift);
    made(uplift_metric_create(uplift, &change, buy, &err));
    made(uplift_metric_create(uplift, &change, csat, &err));
    made(uplift_metric_create(uplift, &change, nps, &err));
    made(uplift_experiment_create(uplift, &change, experiment, &err));
    made(uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    json_decref(buy);
    json_decref(csat);
    json_decref(nps);
    json_decref(experiment);
    return uplift;
}

static void answer(json_t *events, const char *id, const char *survey, int score)
{
    json_array_append_new(events,
                          json_pack("{s:s, s:s, s:s, s:i, s:I}", "type", "feedback", "customer", id,
                                    "survey", survey, "score", score, "at", (json_int_t)(now + 2)));
}

/* A quarter of each arm has android. In a one of 8 with ios and one of 64 with android answers, in
 * b the other way round. Who has android is pleased, a little less so in b. */
static void come(struct uplift *uplift, int from, int to)
{
    struct error err = {0};
    json_t *events = json_array();
    for (int i = from; i < to; i++) {
        char id[32], country[16];
        int b = i % 2, turn = i / 2, android = turn % 4 == 0;
        snprintf(id, sizeof id, "c-%d", i);
        snprintf(country, sizeof country, "land-%d", turn % COUNTRIES);
        json_array_append_new(events,
                              json_pack("{s:s, s:s, s:s, s:s, s:I, s:{s:s, s:s}}", "type",
                                        "exposure", "customer", id, "experiment", "exp", "variant",
                                        b ? "b" : "a", "at", (json_int_t)now, "attributes",
                                        "device", android ? "android" : "ios", "country", country));
        if (turn / 4 % (b ? 2 : 4) == 0)
            json_array_append_new(events,
                                  json_pack("{s:s, s:s, s:s, s:I}", "type", "outcome", "customer",
                                            id, "name", "order", "at", (json_int_t)(now + 1)));
        if (turn / 4 % (android == b ? 4 : 32) == 0) {
            int displeased = turn / 128 % (b ? 4 : 8) == 0;
            answer(events, id, "csat", (android ? 5 : 2) - (android && displeased ? 3 : 0));
            answer(events, id, "nps", android && !displeased ? 10 : 3);
        }
    }
    json_t *said = uplift_events(uplift, events, &err);
    assert_int_equal(json_array_size(json_object_get(said, "rejected")), 0);
    json_decref(said);
    json_decref(events);
}

static json_t *results(struct uplift *uplift)
{
    const struct results_options options = {.as_of = -1};
    struct error err = {0};
    json_t *found = analysis_results(uplift, slice_of("exp"), &options, &err);
    if (!found)
        fail_msg("%s: %s", err.place, err.message);
    return found;
}

static double number_of(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

static const json_t *response_of(const json_t *found, size_t metric)
{
    json_t *row = json_array_get(json_object_get(found, "metrics"), metric);
    return json_object_get(json_array_get(json_object_get(row, "comparisons"), 0), "response");
}

static int64_t sum_of(const json_t *list)
{
    int64_t sum = 0;
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value) sum += json_integer_value(value);
    return sum;
}

/* How many strata a segment has, and that they hold everybody. */
static size_t strata_of(const json_t *rows, const char *segment, int64_t everybody)
{
    size_t i, count = 0;
    int64_t exposed = 0;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "segment")), segment) != 0)
            continue;
        exposed += sum_of(json_object_get(row, "exposed"));
        count++;
    }
    assert_int_equal(exposed, everybody);
    return count;
}

static void test_study_response__strata_hold_everybody(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    come(uplift, 0, CUSTOMERS);
    json_t *study = analysis_study(uplift, slice_of("exp"), 0, &err);
    json_t *csat = json_array_get(json_object_get(study, "metrics"), 1);
    json_t *rows = json_object_get(csat, "respondents");
    json_t *arm = json_array_get(json_object_get(csat, "arms"), 0);
    assert_int_equal(json_integer_value(json_object_get(arm, "asked")), CUSTOMERS / 2);
    assert_int_equal(strata_of(rows, "device", CUSTOMERS), 2);
    /* 100 values of both segments are listed; the rest of the countries are one stratum. */
    assert_int_equal(strata_of(rows, "country", CUSTOMERS), 98 + 1);
    assert_null(
        json_object_get(json_array_get(json_object_get(study, "metrics"), 0), "respondents"));
    json_decref(study);
    uplift_close(&uplift);
}

static void test_study_response__is_in_results_and_stops_shipping(void **state)
{
    (void)state;
    struct uplift *uplift = open_with_experiment();
    come(uplift, 0, CUSTOMERS);
    now += 10 * INT64_C(86400000);
    json_t *found = results(uplift);
    assert_null(response_of(found, 0));
    for (size_t metric = 1; metric < 3; metric++) {
        const json_t *response = response_of(found, metric);
        assert_true(number_of(response, "naive") > 0);
        assert_true(number_of(response, "post_stratified") < 0);
        assert_true(json_is_false(json_object_get(response, "sign_agrees")));
        assert_int_equal(json_array_size(json_object_get(response, "balance")), 2);
        assert_int_equal(json_array_size(json_object_get(response, "lee")), 2);
        assert_string_equal(json_string_value(json_object_get(response, "post_stratified_by")),
                            "device");
    }
    const json_t *health = health_check(json_object_get(found, "health"), "answers");
    assert_string_equal(json_string_value(json_object_get(health, "status")), "warn");
    print_message("# %s\n", json_string_value(json_object_get(health, "text")));
    assert_non_null(strstr(json_string_value(json_object_get(health, "text")),
                           "Other customers answer: CSAT of b by device"));
    json_t *decision = json_object_get(found, "decision");
    print_message("# %s\n", json_string_value(json_object_get(decision, "headline")));
    assert_string_equal(json_string_value(json_object_get(decision, "action")), "unpowered");
    json_decref(found);
    uplift_close(&uplift);
}

/* A new epoch and a changed list of segments do not take results away. */
static void test_study_response__outlives_changes(void **state)
{
    (void)state;
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    json_t *patch = json_pack("{s:[s, s], s:f}", "segments", "device", "plan", "traffic", 0.9);
    come(uplift, 0, CUSTOMERS);
    made(uplift_experiment_patch(uplift, &change, slice_of("exp"), patch, &err));
    json_decref(patch);
    assert_true(folder_settled(uplift));
    now += 1000;
    json_t *found = results(uplift);
    assert_true(json_is_false(json_object_get(response_of(found, 1), "sign_agrees")));
    json_decref(found);
    come(uplift, CUSTOMERS, CUSTOMERS + 1000);
    json_t *study = analysis_study(uplift, slice_of("exp"), 0, &err);
    json_t *csat = json_array_get(json_object_get(study, "metrics"), 1);
    assert_int_equal(json_array_size(json_object_get(csat, "strata")), 2);
    assert_int_equal(strata_of(json_object_get(csat, "respondents"), "plan", CUSTOMERS + 1000), 1);
    json_decref(study);
    uplift_close(&uplift);
}

static void test_study_response__nobody_yet(void **state)
{
    (void)state;
    struct uplift *uplift = open_with_experiment();
    json_t *found = results(uplift);
    const json_t *response = response_of(found, 1);
    assert_true(json_is_null(json_object_get(response, "naive")));
    assert_true(json_is_null(json_object_get(response, "sign_agrees")));
    const json_t *health = health_check(json_object_get(found, "health"), "answers");
    assert_string_equal(json_string_value(json_object_get(health, "status")), "ok");
    json_decref(found);
    uplift_close(&uplift);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_study_response__strata_hold_everybody),
        IN_A_FOLDER(test_study_response__is_in_results_and_stops_shipping),
        IN_A_FOLDER(test_study_response__outlives_changes),
        IN_A_FOLDER(test_study_response__nobody_yet),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("study response", tests, NULL, NULL);
}
