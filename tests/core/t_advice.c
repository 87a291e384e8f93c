/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the trail tells of an experiment's life: all of a definition, each decision that differs
 * from the one before, and who stopped against the advice, with the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/audit.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static const int64_t start = INT64_C(1790000000000);
static const struct definition_change ann = {.who = "ann", .at = -1, .by_person = true};
static int64_t now;
static char folder[FOLDER_MAX];
static int customers;
static struct uplift *uplift;

static int64_t told_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock told_clock = {.now = told_now};

static void made(json_t *json)
{
    assert_non_null(json);
    json_decref(json);
}

static int open_folder(void **state)
{
    (void)state;
    struct error err = {0};
    now = start;
    customers = 0;
    if (!folder_make(folder) || !(uplift = uplift_open(folder, &told_clock, &err)))
        return -1;
    json_t *metric = json_pack("{s:s, s:s, s:s}", "key", "buy", "kind", "binary", "event", "order");
    json_t *experiment =
        json_pack("{s:s, s:[{s:s}, {s:s}, {s:s}], s:{s:[s]}}", "key", "exp", "variants", "key", "a",
                  "key", "b", "key", "c", "metrics", "primary", "buy");
    made(uplift_metric_create(uplift, &ann, metric, &err));
    made(uplift_experiment_create(uplift, &ann, experiment, &err));
    made(uplift_experiment_transition(uplift, &ann, slice_of("exp"), STEP_START, NULL, &err));
    json_decref(metric);
    json_decref(experiment);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    uplift_close(&uplift);
    return folder_remove(folder) ? 0 : -1;
}

/* 900 customers, of whom these shares buy. */
static void come(double a, double b, double c)
{
    const double shares[] = {a, b, c};
    static const char *const variants[] = {"a", "b", "c"};
    struct error err = {0};
    json_t *events = json_array();
    for (int i = 0; i < 900; i++) {
        char id[32];
        snprintf(id, sizeof id, "c-%d", customers++);
        json_array_append_new(events,
                              json_pack("{s:s, s:s, s:s, s:s}", "type", "exposure", "customer", id,
                                        "experiment", "exp", "variant", variants[i % 3]));
        if (i / 3 < (int)(shares[i % 3] * 300))
            json_array_append_new(events, json_pack("{s:s, s:s, s:s}", "type", "outcome",
                                                    "customer", id, "name", "order"));
    }
    json_t *answer = uplift_events(uplift, events, &err);
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
    json_decref(answer);
    json_decref(events);
}

static void look(void)
{
    struct error err = {0};
    made(analysis_look(uplift, slice_of("exp"), &err));
}

/* Rows from the newest on; they verify. */
static json_t *trail(void)
{
    struct error err = {0};
    struct store_txn *txn = store_read(uplift->store, &err);
    assert_true(audit_verify(txn, NULL, &err));
    json_t *rows = audit_list(txn, 0, 100, &err);
    store_abort(&txn);
    assert_non_null(rows);
    return rows;
}

static const char *text_in(json_t *row, const char *part, const char *name)
{
    return json_string_value(json_object_get(json_object_get(row, part), name));
}

static void assert_row(json_t *row, const char *who, const char *action)
{
    assert_string_equal(json_string_value(json_object_get(row, "who")), who);
    assert_string_equal(json_string_value(json_object_get(row, "action")), action);
    assert_string_equal(json_string_value(json_object_get(row, "key")),
                        action[0] == 'm' ? "buy" : "exp");
}

/* Rows so far. */
static size_t count_rows(void)
{
    json_t *rows = trail();
    size_t count = json_array_size(rows);
    json_decref(rows);
    return count;
}

static void test_advice__definitions_are_told_whole(void **state)
{
    (void)state;
    json_t *rows = trail();
    assert_int_equal(json_array_size(rows), 3);
    json_t *after = json_object_get(json_array_get(rows, 0), "after");
    char *text = json_text(after);
    struct error err = {0};
    struct experiment *experiment = experiment_from_stored(text, strlen(text), &err);
    assert_non_null(experiment);
    assert_int_equal(experiment->epoch_count, 1);
    experiment_unref(&experiment);
    free(text);
    text = json_text(json_object_get(json_array_get(rows, 2), "after"));
    struct metric *metric = metric_from_stored(text, strlen(text), &err);
    assert_non_null(metric);
    metric_unref(&metric);
    free(text);
    json_decref(rows);
}

static void test_advice__has_each_decision_that_differs(void **state)
{
    (void)state;
    now += 1000;
    come(0.1, 0.1, 0.1);
    look();
    assert_int_equal(count_rows(), 4);
    now += 1000;
    look(); /* the same */
    assert_int_equal(count_rows(), 4);
    json_t *rows = trail(), *row = json_array_get(rows, 0);
    assert_row(row, "uplift", "decision");
    assert_true(json_is_null(json_object_get(row, "before")));
    assert_string_equal(text_in(row, "after", "action"), "too-early");
    assert_string_equal(text_in(row, "after", "look"),
                        json_string_value(json_object_get(row, "at")));
    json_decref(rows);
    now = start + 8 * WHEN_DAY;
    come(0.1, 0.1, 0.6);
    look();
    rows = trail();
    row = json_array_get(rows, 0);
    assert_int_equal(json_array_size(rows), 5);
    assert_string_equal(text_in(row, "before", "action"), "too-early");
    assert_string_equal(text_in(row, "after", "action"), "ship");
    assert_string_equal(text_in(row, "after", "variant"), "c");
    assert_non_null(strstr(text_in(row, "after", "headline"), "c"));
    json_decref(rows);
}

/* Stops with a winner (NULL: none) and a reason (NULL: none); false where it is refused. */
static bool stop(const char *winner, const char *reason)
{
    struct error err = {0};
    json_t *options = json_pack("{s:s*, s:s*}", "winner", winner, "reason", reason);
    json_t *stopped =
        uplift_experiment_transition(uplift, &ann, slice_of("exp"), STEP_STOP, options, &err);
    json_decref(options);
    json_decref(stopped);
    if (!stopped) {
        assert_int_equal(err.code, ERROR_CONFLICT);
        assert_string_equal(err.place, "reason");
    }
    return stopped != NULL;
}

static void test_advice__a_stop_against_the_advice_asks_for_a_reason(void **state)
{
    (void)state;
    now += 1000;
    come(0.1, 0.1, 0.6);
    look();
    size_t before = count_rows();
    assert_false(stop(NULL, NULL)); /* too early for any */
    assert_false(stop("c", NULL));
    assert_int_equal(count_rows(), before);
    assert_true(stop("c", "the season is over"));
    json_t *rows = trail(), *row = json_array_get(rows, 0);
    assert_int_equal(json_array_size(rows), before + 2);
    assert_row(json_array_get(rows, 1), "ann", "experiment.stop");
    assert_row(row, "ann", "override");
    assert_string_equal(text_in(row, "before", "action"), "too-early");
    assert_string_equal(text_in(row, "after", "winner"), "c");
    assert_string_equal(text_in(row, "after", "reason"), "the season is over");
    json_decref(rows);
}

static void test_advice__a_stop_as_advised_is_none(void **state)
{
    (void)state;
    now = start + 8 * WHEN_DAY;
    come(0.1, 0.1, 0.6);
    look();
    size_t before = count_rows();
    assert_false(stop(NULL, NULL));
    assert_false(stop("a", NULL));
    assert_false(stop("b", NULL));
    assert_true(stop("c", NULL));
    assert_int_equal(count_rows(), before + 1);
}

static void test_advice__without_customers_there_is_none(void **state)
{
    (void)state;
    assert_true(stop("b", NULL));
    assert_int_equal(count_rows(), 4);
}

/* Whatever the last round of looks said. */
static void test_advice__is_that_of_the_moment(void **state)
{
    (void)state;
    now = start + 8 * WHEN_DAY;
    come(0.1, 0.1, 0.1);
    look();
    now += 1000;
    come(0.1, 0.1, 0.9);
    assert_true(stop("c", NULL));
}

static void test_advice__is_for_people(void **state)
{
    (void)state;
    struct error err = {0};
    const struct definition_change import = {.who = "import", .at = -1};
    come(0.1, 0.1, 0.1);
    look();
    size_t before = count_rows();
    made(uplift_experiment_transition(uplift, &import, slice_of("exp"), STEP_STOP, NULL, &err));
    json_t *rows = trail();
    assert_row(json_array_get(rows, 0), "import", "experiment.stop");
    json_decref(rows);
    assert_int_equal(count_rows(), before + 1);
}

#define each(f) cmocka_unit_test_setup_teardown(f, open_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(test_advice__definitions_are_told_whole),
        each(test_advice__has_each_decision_that_differs),
        each(test_advice__a_stop_against_the_advice_asks_for_a_reason),
        each(test_advice__a_stop_as_advised_is_none),
        each(test_advice__without_customers_there_is_none),
        each(test_advice__is_that_of_the_moment),
        each(test_advice__is_for_people),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("trail", tests, NULL, NULL);
}
