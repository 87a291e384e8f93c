/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Services over definitions, in a real store in a folder of its own: what is answered, what is
 * there after opening again, what is refused, and many callers at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/tally.h"
#include "core/recount.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

#define NOW INT64_C(1793613600000)

static int64_t fixed_now(void *data)
{
    (void)data;
    return NOW;
}

static const struct clock fixed_clock = {.now = fixed_now};
static const struct definition_change anyhow = {.who = "test", .version = 0, .at = -1};

struct place {
    char folder[FOLDER_MAX];
    struct uplift *uplift;
};

static struct uplift *opened(const char *folder)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &fixed_clock, &err);
    assert_string_equal(err.message, "");
    return uplift;
}

static int setup(void **state)
{
    struct place *place = xcalloc(1, sizeof *place);
    if (!folder_make(place->folder))
        return -1;
    place->uplift = opened(place->folder);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    uplift_close(&place->uplift);
    bool removed = folder_remove(place->folder);
    free(place);
    return removed ? 0 : -1;
}

static json_t *read_json(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    assert_string_equal(err.message, "");
    return value;
}

static void assert_error(struct error *err, enum error_code code, const char *expected)
{
    char line[ERROR_LINE_MAX];
    assert_string_equal(error_line(err, line), expected);
    assert_int_equal(err->code, code);
    error_clear(err);
}

/* Checks a member of the answer, which it releases, against JSON text. */
static void assert_answer(json_t *answer, const char *member, const char *expected)
{
    assert_non_null(answer);
    char *text = json_text(json_object_get(answer, member));
    assert_string_equal(text, expected);
    free(text);
    json_decref(answer);
}

static json_t *create(struct uplift *uplift, const char *text, struct error *err)
{
    json_t *input = read_json(text);
    json_t *answer = uplift_experiment_create(uplift, &anyhow, input, err);
    json_decref(input);
    return answer;
}

static json_t *create_metric(struct uplift *uplift, const char *text, struct error *err)
{
    json_t *input = read_json(text);
    json_t *answer = uplift_metric_create(uplift, &anyhow, input, err);
    json_decref(input);
    return answer;
}

static json_t *step(struct uplift *uplift, const char *key, enum experiment_step which,
                    struct error *err)
{
    return uplift_experiment_transition(uplift, &anyhow, slice_of(key), which, NULL, err);
}

static json_t *patch(struct uplift *uplift, const char *key, int64_t version, const char *text,
                     struct error *err)
{
    struct definition_change change = {.who = "test", .version = version, .at = -1};
    json_t *input = read_json(text);
    json_t *answer = uplift_experiment_patch(uplift, &change, slice_of(key), input, err);
    json_decref(input);
    return answer;
}

#define TWO "\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}]"

static void test_definitions__are_there_after_opening_again(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    assert_answer(create_metric(place->uplift, "{\"key\": \"m\", \"kind\": \"nps\"}", &err),
                  "created_at", "\"2026-11-02T10:00:00Z\"");
    assert_answer(create(place->uplift,
                         "{\"key\": \"e\", " TWO ", \"metrics\": {\"primary\": [\"m\"]}}", &err),
                  "version", "1");
    assert_answer(create(place->uplift, "{\"key\": \"f\", " TWO "}", &err), "state", "\"draft\"");
    assert_answer(step(place->uplift, "e", STEP_START, &err), "state", "\"running\"");
    json_t *before = uplift_experiment_get(place->uplift, slice_of("e"), &err);
    uplift_close(&place->uplift);
    place->uplift = opened(place->folder);
    json_t *after = uplift_experiment_get(place->uplift, slice_of("e"), &err);
    assert_true(json_equal(before, after));
    json_decref(before);
    json_decref(after);
    assert_answer(uplift_metric_get(place->uplift, slice_of("m"), &err), "kind", "\"nps\"");
    struct catalog *catalog = catalog_acquire(&place->uplift->catalog);
    assert_string_equal(catalog_experiment_numbered(catalog, 2)->key, "f");
    catalog_release(&place->uplift->catalog, catalog);
}

static void test_definitions__refuse_what_is_not_there_or_taken(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    assert_null(
        create(uplift, "{\"key\": \"e\", " TWO ", \"metrics\": {\"guardrail\": [\"m\"]}}", &err));
    assert_error(&err, ERROR_INVALID, "metrics.guardrail[0]: there is no metric \"m\"");
    assert_answer(create(uplift, "{\"key\": \"e\", " TWO "}", &err), "key", "\"e\"");
    assert_null(create(uplift, "{\"key\": \"e\", " TWO "}", &err));
    assert_error(&err, ERROR_CONFLICT, "key: there is an experiment \"e\" already");
    assert_null(uplift_experiment_get(uplift, slice_of("x"), &err));
    assert_error(&err, ERROR_NOT_FOUND, "there is no experiment \"x\"");
    assert_null(step(uplift, "x", STEP_START, &err));
    assert_error(&err, ERROR_NOT_FOUND, "there is no experiment \"x\"");
    assert_null(uplift_metric_get(uplift, slice_of("x"), &err));
    assert_error(&err, ERROR_NOT_FOUND, "there is no metric \"x\"");
    assert_null(create(uplift, "{\"key\": \"g\"}", &err));
    assert_error(&err, ERROR_INVALID, "variants: is missing");
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_int_equal(catalog_experiment_count(catalog), 1); /* no trace of what was refused */
    catalog_release(&uplift->catalog, catalog);
}

static void test_definitions__exact_takes_counts_only(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    json_decref(
        create_metric(uplift, "{\"key\": \"r\", \"kind\": \"mean\", \"event\": \"o\"}", &err));
    assert_null(create(uplift,
                       "{\"key\": \"e\", " TWO
                       ", \"design\": {\"method\": \"exact\"}, \"metrics\": "
                       "{\"secondary\": [\"r\"]}}",
                       &err));
    assert_error(
        &err, ERROR_INVALID,
        "metrics.secondary[0]: the exact method takes binary, retention, quantile, nps and "
        "csat metrics, and \"r\" is of kind mean");
}

static void test_definitions__a_stale_version_is_refused(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    json_decref(create(uplift, "{\"key\": \"e\", " TWO "}", &err));
    assert_answer(patch(uplift, "e", 1, "{\"name\": \"N\"}", &err), "version", "2");
    assert_null(patch(uplift, "e", 1, "{\"name\": \"M\"}", &err));
    assert_error(&err, ERROR_STALE, "version: is 2 by now, not 1");
    struct definition_change stale = {.who = "test", .version = 7, .at = -1};
    assert_false(uplift_experiment_remove(uplift, &stale, slice_of("e"), &err));
    assert_error(&err, ERROR_STALE, "version: is 2 by now, not 7");
    assert_answer(uplift_experiment_get(uplift, slice_of("e"), &err), "name", "\"N\"");
}

static void test_definitions__drafts_and_unused_metrics_are_removed(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    json_decref(create_metric(uplift, "{\"key\": \"m\", \"kind\": \"nps\"}", &err));
    json_decref(
        create(uplift, "{\"key\": \"e\", " TWO ", \"metrics\": {\"primary\": [\"m\"]}}", &err));
    assert_false(uplift_metric_remove(uplift, &anyhow, slice_of("m"), &err));
    assert_error(&err, ERROR_CONFLICT, "the experiment \"e\" uses the metric \"m\"");
    assert_true(uplift_experiment_remove(uplift, &anyhow, slice_of("e"), &err));
    assert_true(uplift_metric_remove(uplift, &anyhow, slice_of("m"), &err));
    assert_null(uplift_experiment_get(uplift, slice_of("e"), &err));
    error_clear(&err);
    json_decref(create(uplift, "{\"key\": \"e\", " TWO "}", &err));
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_int_equal(catalog_experiment(catalog, slice_of("e"))->number, 2); /* never 1 again */
    catalog_release(&uplift->catalog, catalog);
    json_decref(step(uplift, "e", STEP_START, &err));
    assert_false(uplift_experiment_remove(uplift, &anyhow, slice_of("e"), &err));
    assert_error(&err, ERROR_CONFLICT, "state: is running: only a draft can be deleted");
}

static void test_definitions__a_layer_is_shared_without_overlap(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    json_decref(create(
        uplift, "{\"key\": \"e\", " TWO ", \"layer\": {\"key\": \"l\", \"range\": [0, 0.5]}}",
        &err));
    json_decref(create(
        uplift, "{\"key\": \"f\", " TWO ", \"layer\": {\"key\": \"l\", \"range\": [0.4, 1]}}",
        &err));
    json_decref(step(uplift, "e", STEP_START, &err));
    json_decref(step(uplift, "e", STEP_PAUSE, &err));
    assert_null(step(uplift, "f", STEP_START, &err));
    assert_error(&err, ERROR_CONFLICT,
                 "layer.range: overlaps that of the paused experiment \"e\" in the same layer");
    json_decref(patch(uplift, "f", 0, "{\"layer\": {\"range\": [0.5, 1]}}", &err));
    assert_answer(step(uplift, "f", STEP_START, &err), "state", "\"running\"");
    json_t *wider = read_json("{\"layer\": {\"range\": [0.2, 1]}}");
    assert_null(
        uplift_experiment_transition(uplift, &anyhow, slice_of("f"), STEP_NEW_PHASE, wider, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    error_clear(&err);
    json_decref(step(uplift, "e", STEP_STOP, &err));
    assert_answer(
        uplift_experiment_transition(uplift, &anyhow, slice_of("f"), STEP_NEW_PHASE, wider, &err),
        "phase", "2");
    json_decref(wider);
}

static void test_definitions__lists_come_in_pages(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    static const char *const keys[] = {"c", "a", "b.1", "b"};
    for (int i = 0; i < 4; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"key\": \"%s\", " TWO "}", keys[i]);
        json_decref(create(uplift, text, &err));
    }
    json_t *page = uplift_experiment_list(uplift, slice_of(""), 3);
    json_t *list = json_object_get(page, "experiments");
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(json_string_value(json_object_get(page, "next")), "b.1");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "key")), "a");
    json_decref(page);
    page = uplift_experiment_list(uplift, slice_of("b.1"), 3);
    list = json_object_get(page, "experiments");
    assert_int_equal(json_array_size(list), 1);
    assert_true(json_is_null(json_object_get(page, "next")));
    json_decref(page);
    page = uplift_metric_list(uplift, slice_of(""), 3);
    assert_int_equal(json_array_size(json_object_get(page, "metrics")), 0);
    json_decref(page);
}

static void test_definitions__changes_may_be_dated_back(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    struct definition_change then = {.who = "demo", .version = 0, .at = NOW - 20 * WHEN_DAY};
    json_decref(create(uplift, "{\"key\": \"e\", " TWO "}", &err));
    assert_answer(
        uplift_experiment_transition(uplift, &then, slice_of("e"), STEP_START, NULL, &err),
        "started_at", "\"2026-10-13T10:00:00Z\"");
}

static void test_definitions__every_change_is_in_the_trail(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    struct definition_change ann = {.who = "ann", .version = 0, .at = -1};
    json_decref(create(uplift, "{\"key\": \"e\", " TWO "}", &err));
    json_decref(uplift_experiment_transition(uplift, &ann, slice_of("e"), STEP_START, NULL, &err));
    assert_null(step(uplift, "e", STEP_START, &err)); /* refused: no row */
    error_clear(&err);
    struct store_txn *txn = store_read(uplift->store, &err);
    struct audit_head head;
    assert_true(audit_verify(txn, &head, &err));
    assert_int_equal(head.rows, 2);
    json_t *list = audit_list(txn, 0, 10, &err);
    json_t *last = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(last, "who")), "ann");
    assert_string_equal(json_string_value(json_object_get(last, "action")), "experiment.start");
    json_t *before = json_object_get(last, "before"), *after = json_object_get(last, "after");
    assert_string_equal(json_string_value(json_object_get(before, "state")), "draft");
    assert_string_equal(json_string_value(json_object_get(after, "state")), "running");
    json_decref(list);
    store_abort(&txn);
}

static void send_events(struct uplift *uplift, const char *text)
{
    struct error err = {0};
    json_t *events = read_json(text);
    assert_answer(uplift_events(uplift, events, &err), "rejected", "[]");
    json_decref(events);
}

static bool add_up(void *data, const struct tally_name *name, const struct tally *tally)
{
    if (name->metric == 1 && name->segment.len == 0 && name->bin == 0)
        *(double *)data += sum_value(&tally->sum);
    return true;
}

/* The sum of metric 1 over all variants, once it is `wanted` or five seconds have passed. */
static double sum_becomes(struct uplift *uplift, double wanted)
{
    double sum = -1;
    for (int i = 0; i < 500 && sum != wanted; i++) {
        struct error err = {0};
        struct store_txn *txn = store_read(uplift->store, &err);
        sum = 0;
        assert_true(tally_each(txn, NO_SLICE, add_up, &sum, &err));
        store_abort(&txn);
        if (sum != wanted)
            usleep(10000);
    }
    return sum;
}

static void test_definitions__a_metric_that_counts_differently_is_rebuilt(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    struct definition_change then = {.who = "test", .version = 0, .at = NOW - 20 * WHEN_DAY};
    json_decref(create_metric(uplift,
                              "{\"key\": \"m\", \"kind\": \"mean\", \"event\": \"order\", "
                              "\"window_days\": 1}",
                              &err));
    json_decref(
        create(uplift, "{\"key\": \"e\", " TWO ", \"metrics\": {\"primary\": [\"m\"]}}", &err));
    json_decref(uplift_experiment_transition(uplift, &then, slice_of("e"), STEP_START, NULL, &err));
    send_events(uplift, "[{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"e\", "
                        "\"variant\": \"b\", \"at\": \"2026-10-20T00:00:00Z\"}, "
                        "{\"type\": \"outcome\", \"customer\": \"c\", \"name\": \"order\", "
                        "\"value\": 1, \"at\": \"2026-10-20T12:00:00Z\"}, "
                        "{\"type\": \"outcome\", \"customer\": \"c\", \"name\": \"order\", "
                        "\"value\": 10, \"at\": \"2026-10-24T00:00:00Z\"}]");
    assert_true(sum_becomes(uplift, 1) == 1);
    json_t *wider = read_json("{\"kind\": \"mean\", \"event\": \"order\", \"window_days\": 7}");
    assert_answer(uplift_metric_amend(uplift, &anyhow, slice_of("m"), wider, &err), "version", "2");
    json_decref(wider);
    assert_true(sum_becomes(uplift, 11) == 11);
}

static bool count_bins(void *data, const struct tally_name *name, const struct tally *tally)
{
    *(int64_t *)data += name->bin != 0 ? tally->n : 0;
    return true;
}

/* Units in bins, once they are `wanted` or five seconds have passed. */
static int64_t bins_become(struct uplift *uplift, int64_t wanted)
{
    int64_t units = -1;
    for (int i = 0; i < 500 && units != wanted; i++) {
        struct error err = {0};
        struct store_txn *txn = store_read(uplift->store, &err);
        units = 0;
        assert_true(tally_each(txn, NO_SLICE, count_bins, &units, &err));
        store_abort(&txn);
        if (units != wanted)
            usleep(10000);
    }
    return units;
}

static void test_definitions__bins_come_and_go_with_the_percentile_cap(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    struct definition_change then = {.who = "test", .version = 0, .at = NOW - 20 * WHEN_DAY};
    json_decref(
        create_metric(uplift, "{\"key\": \"m\", \"kind\": \"mean\", \"event\": \"order\"}", &err));
    json_decref(
        create(uplift, "{\"key\": \"e\", " TWO ", \"metrics\": {\"primary\": [\"m\"]}}", &err));
    json_decref(uplift_experiment_transition(uplift, &then, slice_of("e"), STEP_START, NULL, &err));
    send_events(uplift, "[{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"e\", "
                        "\"variant\": \"b\", \"at\": \"2026-10-20T00:00:00Z\"}, "
                        "{\"type\": \"exposure\", \"customer\": \"d\", \"experiment\": \"e\", "
                        "\"variant\": \"a\", \"at\": \"2026-10-20T00:00:00Z\"}, "
                        "{\"type\": \"outcome\", \"customer\": \"c\", \"name\": \"order\", "
                        "\"value\": 1, \"at\": \"2026-10-20T12:00:00Z\"}]");
    assert_int_equal(bins_become(uplift, 0), 0);
    static const char *const changes[] = {
        "{\"kind\": \"mean\", \"event\": \"order\", \"cap_percentile\": 99}",
        "{\"kind\": \"mean\", \"event\": \"order\", \"cap\": 9}"};
    for (int i = 0; i < 2; i++) {
        json_t *input = read_json(changes[i]);
        json_decref(uplift_metric_amend(uplift, &anyhow, slice_of("m"), input, &err));
        assert_int_equal(err.code, ERROR_NONE);
        json_decref(input);
        assert_int_equal(bins_become(uplift, i == 0 ? 2 : 0), i == 0 ? 2 : 0);
        assert_true(sum_becomes(uplift, 1) == 1);
    }
}

static bool due(struct uplift *uplift)
{
    struct error err = {0};
    struct store_txn *txn = store_read(uplift->store, &err);
    bool there = store_get(txn, STORE_META, slice_of("rebuild-due"), NULL);
    store_abort(&txn);
    return there;
}

static bool note_due(void *data, struct ingest_run *run, struct error *err)
{
    (void)data;
    recount_due(run->txn, &(struct recount){.all = true});
    return store_healthy(run->txn, err);
}

/* As after a crash between a change and the end of its rebuild. */
static void test_definitions__a_rebuild_cut_off_is_begun_again(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    assert_true(ingest_call(place->uplift->ingest, note_due, NULL, &err));
    assert_true(due(place->uplift));
    uplift_close(&place->uplift);
    place->uplift = opened(place->folder);
    for (int i = 0; i < 500 && due(place->uplift); i++)
        usleep(10000);
    assert_false(due(place->uplift));
}

enum { CALLERS = 4, CALLS = 10 };

/* Patches blindly, as fast as answers come: each success must have made one version. */
static void *caller(void *data)
{
    intptr_t done = 0;
    for (int i = 0; i < CALLS; i++) {
        struct error err = {0};
        json_t *input = json_pack("{s:o}", "name", json_sprintf("n%d", i));
        json_t *answer = uplift_experiment_patch(data, &anyhow, slice_of("e"), input, &err);
        done += answer != NULL;
        json_decref(answer);
        json_decref(input);
    }
    return (void *)done;
}

static void test_definitions__callers_at_once_take_turns(void **state)
{
    struct uplift *uplift = ((struct place *)*state)->uplift;
    struct error err = {0};
    json_decref(create(uplift, "{\"key\": \"e\", " TWO "}", &err));
    pthread_t threads[CALLERS];
    intptr_t done = 0;
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, caller, uplift), 0);
    for (int i = 0; i < CALLERS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        done += (intptr_t)count;
    }
    assert_int_equal(done, CALLERS * CALLS);
    assert_answer(uplift_experiment_get(uplift, slice_of("e"), &err), "version", "41");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_definitions__are_there_after_opening_again),
        TEST(test_definitions__refuse_what_is_not_there_or_taken),
        TEST(test_definitions__exact_takes_counts_only),
        TEST(test_definitions__a_stale_version_is_refused),
        TEST(test_definitions__drafts_and_unused_metrics_are_removed),
        TEST(test_definitions__a_layer_is_shared_without_overlap),
        TEST(test_definitions__lists_come_in_pages),
        TEST(test_definitions__changes_may_be_dated_back),
        TEST(test_definitions__every_change_is_in_the_trail),
        TEST(test_definitions__a_metric_that_counts_differently_is_rebuilt),
        TEST(test_definitions__bins_come_and_go_with_the_percentile_cap),
        TEST(test_definitions__a_rebuild_cut_off_is_begun_again),
        TEST(test_definitions__callers_at_once_take_turns),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("definitions", tests, NULL, NULL);
}
