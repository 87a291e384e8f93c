/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting anew: figures that are half counted are never shown, a crash goes on where it was, and
 * counting afresh ends in the same tallies whatever was damaged, wherever it is cut off, and
 * whatever comes meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/ledger_parts.h"
#include "core/recount.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { CUSTOMERS = 40 };
static const int64_t start = INT64_C(1790000000000);
static const struct definition_change anyhow = {.who = "test", .at = -1};
static char folder[FOLDER_MAX];
static int64_t now;
static uint32_t seed;

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static struct uplift *open_store(void)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &(struct clock){.now = fixed_now}, &err);
    assert_string_equal(err.message, "");
    return uplift;
}

static void made(json_t *json, const struct error *err)
{
    assert_string_equal(err->message, "");
    assert_non_null(json);
    json_decref(json);
}

static void amend(struct uplift *uplift, const char *event)
{
    struct error err = {0};
    json_t *input = json_pack("{s:s, s:s, s:s}", "key", "m", "kind", "binary", "event", event);
    made(uplift_metric_amend(uplift, &anyhow, slice_of("m"), input, &err), &err);
    json_decref(input);
}

static void define(struct uplift *uplift)
{
    struct error err = {0};
    json_t *input =
        json_loads("{\"key\": \"m\", \"kind\": \"binary\", \"event\": \"order\"}", 0, NULL);
    made(uplift_metric_create(uplift, &anyhow, input, &err), &err);
    json_decref(input);
    for (int i = 0; i < 2; i++) {
        const char *key = i ? "other" : "exp";
        input = json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:[s]}}", "key", key, "variants", "key", "a",
                          "key", "b", "metrics", "primary", "m");
        if (i)
            json_object_del(input, "metrics");
        made(uplift_experiment_create(uplift, &anyhow, input, &err), &err);
        json_decref(input);
        made(uplift_experiment_transition(uplift, &anyhow, slice_of(key), STEP_START, NULL, &err),
             &err);
    }
}

static void send(struct uplift *uplift, int count)
{
    struct error err = {0};
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        char customer[16];
        snprintf(customer, sizeof customer, "c-%u", draw(CUSTOMERS));
        if (draw(2))
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:s}", "type", "exposure", "customer",
                                            customer, "experiment", draw(2) ? "exp" : "other",
                                            "variant", customer[2] % 2 ? "a" : "b"));
        else
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "type", "outcome", "customer",
                                                  customer, "name", draw(2) ? "order" : "visit"));
    }
    now += 60000;
    made(uplift_events(uplift, list, &err), &err);
    json_decref(list);
}

static void wait_for_end(struct uplift *uplift)
{
    for (int i = 0; i < 2000 && atomic_load(&uplift->rebuild.running) > 0; i++)
        usleep(5000);
    assert_int_equal(atomic_load(&uplift->rebuild.running), 0);
}

static void show(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

static uint64_t differences(struct uplift *uplift)
{
    struct error err = {0};
    uint64_t found = 1;
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(ledger_check(txn, catalog, show, NULL, NULL, &found, &err));
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
    return found;
}

/* --- the writer's doings -------------------------------------------------------------------- */

static bool note(void *data, struct ingest_run *run, struct error *err)
{
    const struct recount *recount = data;
    (void)err;
    if (recount)
        recount_write(run->txn, recount);
    else
        store_delete(run->txn, STORE_META, slice_of("rebuild-due"));
    return true;
}

static void write_note(struct uplift *uplift, const struct recount *recount)
{
    struct error err = {0};
    assert_true(ingest_call(uplift->ingest, note, (void *)(uintptr_t)recount, &err));
}

static bool spoil_unit(void *data, struct ingest_run *run, struct error *err)
{
    const uint64_t *customer = data;
    struct store_key key = ledger_unit_key(*customer, 1, 1);
    (void)err;
    return store_delete(run->txn, STORE_CUSTOMER, key_slice(&key));
}

/* --- figures shown meanwhile ---------------------------------------------------------------- */

static json_t *results_of(struct uplift *uplift, const char *key, struct error *err)
{
    const struct results_options options = {.as_of = -1};
    return analysis_results(uplift, slice_of(key), &options, err);
}

static json_int_t orders(const json_t *results)
{
    json_t *metric = json_array_get(json_object_get(results, "metrics"), 0);
    double sum = 0;
    for (size_t i = 0; i < 2; i++) {
        json_t *arm = json_array_get(json_object_get(metric, "arms"), i);
        sum += json_number_value(json_object_get(arm, "n")) *
               json_number_value(json_object_get(arm, "mean"));
    }
    return (json_int_t)(sum + 0.5);
}

static void test_rebuild__shows_the_last_look_meanwhile(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_store();
    define(uplift);
    send(uplift, 200);
    /* No look was taken yet, but the one before the change. */
    struct recount due = {.next = 11, .experiments = {1}, .count = 1};
    json_t *before = results_of(uplift, "exp", &err);
    json_int_t counted = orders(before);
    assert_true(counted > 5);
    json_decref(before);
    write_note(uplift, &due);
    assert_null(results_of(uplift, "exp", &err));
    assert_int_equal(err.code, ERROR_BUSY);
    assert_non_null(strstr(err.message, "counted anew, 26% done"));
    error_clear(&err);
    assert_null(analysis_study(uplift, slice_of("exp"), 0, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    error_clear(&err);
    json_t *other = results_of(uplift, "other", &err); /* whose figures are whole */
    assert_true(json_is_null(json_object_get(other, "rebuilding")));
    json_decref(other);
    write_note(uplift, NULL);
    made(analysis_look(uplift, slice_of("exp"), &err), &err);
    int64_t looked = now;
    write_note(uplift, &due);
    send(uplift, 200);
    for (int i = 0; i < 2; i++) {
        json_t *results =
            i ? analysis_look(uplift, slice_of("exp"), &err) : results_of(uplift, "exp", &err);
        char at[WHEN_TEXT_MAX];
        json_t *progress = json_object_get(results, "rebuilding");
        assert_int_equal(orders(results), counted);
        assert_string_equal(json_string_value(json_object_get(results, "as_of")),
                            when_format(looked, at));
        assert_int_equal(json_integer_value(json_object_get(progress, "remaining")),
                         CUSTOMERS - 10);
        assert_int_equal(json_array_size(json_object_get(results, "looks")), 1);
        json_decref(results);
    }
    rebuild_start(uplift);
    wait_for_end(uplift);
    json_t *after = results_of(uplift, "exp", &err);
    assert_true(json_is_null(json_object_get(after, "rebuilding")));
    assert_true(orders(after) > counted);
    json_decref(after);
    uplift_close(&uplift);
}

static void test_rebuild__keeps_a_look_before_it_begins(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_store();
    define(uplift);
    send(uplift, 200);
    amend(uplift, "visit");
    wait_for_end(uplift);
    const struct results_options options = {.as_of = now};
    json_t *results = analysis_results(uplift, slice_of("exp"), &options, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(json_array_size(json_object_get(results, "looks")), 1);
    json_decref(results);
    results = results_of(uplift, "other", &err); /* not concerned: none was kept */
    assert_int_equal(json_array_size(json_object_get(results, "looks")), 1);
    json_decref(results);
    const struct results_options past = {.as_of = now};
    assert_null(analysis_results(uplift, slice_of("other"), &past, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_int_equal(differences(uplift), 0);
    uplift_close(&uplift);
}

/* --- going on ------------------------------------------------------------------------------- */

static void test_rebuild__goes_on_where_it_was(void **state)
{
    (void)state;
    struct error err = {0};
    uint64_t first = 3, last = 30;
    struct uplift *uplift = open_store();
    define(uplift);
    send(uplift, 1000);
    assert_true(ingest_call(uplift->ingest, spoil_unit, &first, &err));
    assert_true(ingest_call(uplift->ingest, spoil_unit, &last, &err));
    write_note(uplift, &(struct recount){.next = 10, .all = true});
    uplift_close(&uplift);
    uplift = open_store();
    wait_for_end(uplift);
    /* The first one was behind it. What is missing of a unit was counted twice for the last. */
    struct store_txn *txn = store_read(uplift->store, &err);
    struct store_key a = ledger_unit_key(first, 1, 1), b = ledger_unit_key(last, 1, 1);
    assert_false(store_get(txn, STORE_CUSTOMER, key_slice(&a), NULL));
    assert_true(store_get(txn, STORE_CUSTOMER, key_slice(&b), NULL));
    store_abort(&txn);
    write_note(uplift, &(struct recount){.next = 20, .all = true});
    amend(uplift, "visit"); /* from the first one on again */
    wait_for_end(uplift);
    txn = store_read(uplift->store, &err);
    assert_true(store_get(txn, STORE_CUSTOMER, key_slice(&a), NULL));
    store_abort(&txn);
    uplift_close(&uplift);
}

/* Its metrics and segments are those that it ended with, also for events that come late and for a
 * recount. */
static void test_rebuild__an_earlier_phase_keeps_its_metrics(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_store();
    define(uplift);
    json_t *patch = json_pack("{s:[s]}", "segments", "plan");
    made(uplift_experiment_patch(uplift, &anyhow, slice_of("exp"), patch, &err), &err);
    json_decref(patch);
    wait_for_end(uplift);
    send(uplift, 200);
    json_t *input =
        json_loads("{\"key\": \"n\", \"kind\": \"count\", \"event\": \"visit\"}", 0, NULL);
    made(uplift_metric_create(uplift, &anyhow, input, &err), &err);
    json_decref(input);
    now += 1000;
    patch = json_pack("{s:{s:[s]}, s:[]}", "metrics", "primary", "n", "segments");
    made(
        uplift_experiment_transition(uplift, &anyhow, slice_of("exp"), STEP_NEW_PHASE, patch, &err),
        &err);
    json_decref(patch);
    assert_int_equal(differences(uplift), 0);
    send(uplift, 200);
    assert_int_equal(differences(uplift), 0);
    write_note(uplift, &(struct recount){.next = 1, .all = true});
    const struct results_options first = {.phase = 1, .as_of = -1};
    rebuild_start(uplift);
    wait_for_end(uplift);
    assert_int_equal(differences(uplift), 0);
    json_t *results = analysis_results(uplift, slice_of("exp"), &first, &err);
    assert_true(orders(results) > 5);
    assert_int_equal(json_array_size(json_object_get(results, "segments")), 1);
    json_decref(results);
    uplift_close(&uplift);
}

/* --- afresh --------------------------------------------------------------------------------- */

struct part {
    struct uplift *uplift;
    uint32_t customers; /* to be counted before the crash */
};

static bool begin(void *data, struct ingest_run *run, struct error *err)
{
    const struct part *part = data;
    struct recount note;
    struct catalog *catalog = catalog_acquire(&part->uplift->catalog);
    bool ok = true;
    recount_afresh(run->txn);
    recount_read(run->txn, &note);
    if (part->customers > 0) {
        while (ledger_drop_tallies(run->txn, 1000)) {
        }
        note.next = 1;
    }
    for (uint32_t i = 1; ok && i < part->customers; i++) {
        note.next = ledger_next_customer(run->txn, note.next);
        ok = ledger_customer_afresh(run->txn, run->tallies, note.next++, catalog, NULL, NULL, err);
    }
    recount_write(run->txn, &note);
    catalog_release(&part->uplift->catalog, catalog);
    return ok;
}

static bool spoil(void *data, struct ingest_run *run, struct error *err)
{
    uint32_t *damaged = data;
    struct slice key, value;
    struct store_key keys[8] = {0};
    uint32_t count = 0;
    (void)err;
    struct store_cursor *cursor = store_walk(run->txn, STORE_CUSTOMER, NO_SLICE, NO_SLICE);
    for (uint32_t i = 0; store_next(cursor, &key, &value) && count < 8; i++)
        if (key.ptr[8] != LEDGER_PROFILE && draw(20) == 0) {
            *damaged += key.ptr[8] == LEDGER_EVENT;
            key_bytes(&keys[count++], key);
        }
    store_walk_end(&cursor);
    for (uint32_t i = 0; i < count; i++)
        store_put(run->txn, STORE_CUSTOMER, key_slice(&keys[i]), slice_of("!"));
    cursor = store_walk(run->txn, STORE_TALLY, NO_SLICE, NO_SLICE);
    assert_true(store_next(cursor, &key, &value));
    key_bytes(&keys[0], key);
    store_walk_end(&cursor);
    store_put(run->txn, STORE_TALLY, key, slice_of("?"));
    return true;
}

static void test_afresh__whatever_is_damaged_and_wherever_it_is_cut_off(void **state)
{
    (void)state;
    seed = 20261125;
    print_message("# seed %u\n", seed);
    for (int round = 0; round < 12; round++) {
        struct error err = {0};
        uint32_t damaged = 0;
        struct uplift *uplift = open_store();
        if (round == 0)
            define(uplift);
        send(uplift, 300);
        assert_true(ingest_call(uplift->ingest, spoil, &damaged, &err));
        struct part part = {uplift, round == 0 ? 0 : draw(CUSTOMERS)};
        assert_true(ingest_call(uplift->ingest, begin, &part, &err));
        assert_string_equal(err.message, "");
        send(uplift, 30); /* of customers on both sides of it, if none of theirs is damaged */
        if (round % 3 == 0)
            amend(uplift, round % 2 ? "visit" : "order");
        else
            uplift_close(&uplift);
        if (!uplift)
            uplift = open_store();
        rebuild_start(uplift);
        wait_for_end(uplift);
        assert_int_equal(uplift->rebuild.failed.code, ERROR_NONE);
        assert_int_equal(differences(uplift), 0);
        struct store_txn *txn = store_read(uplift->store, &err);
        struct recount left;
        assert_false(recount_read(txn, &left));
        store_abort(&txn);
        uplift_close(&uplift);
    }
}

static int make_folder(void **state)
{
    (void)state;
    seed = 5;
    now = start;
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

#define each(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(test_rebuild__shows_the_last_look_meanwhile),
        each(test_rebuild__keeps_a_look_before_it_begins),
        each(test_rebuild__goes_on_where_it_was),
        each(test_rebuild__an_earlier_phase_keeps_its_metrics),
        each(test_afresh__whatever_is_damaged_and_wherever_it_is_cut_off),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("rebuild", tests, NULL, NULL);
}
