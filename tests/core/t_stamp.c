/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stamps of arrival: never back, whatever the clock does, and later than the cut of every snapshot
 * before, so that history up to a cut is what the snapshot held. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/leap.h"
#include "core/ledger.h"
#include "core/results.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static const int64_t start = INT64_C(1790000000000);
static int64_t now;
static char folder[FOLDER_MAX];

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock fixed_clock = {.now = fixed_now};

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

static struct uplift *open_uplift(void)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &fixed_clock, &err);
    assert_string_equal(err.message, "");
    return uplift;
}

/* One outcome of customer c; `at` < 0: without a time. Whether it was accepted. */
static bool send(struct uplift *uplift, const char *id, int64_t at)
{
    struct error err = {0};
    json_t *body = json_pack("{s:s, s:s, s:s, s:s}", "type", "outcome", "name", "o", "customer",
                             "c", "id", id);
    if (at >= 0)
        json_object_set_new(body, "at", json_integer(at));
    json_t *answer = uplift_events(uplift, body, &err);
    bool accepted = json_integer_value(json_object_get(answer, "accepted")) == 1;
    json_decref(answer);
    json_decref(body);
    return accepted;
}

/* The events of customer c; those received at or before `cut` alone. */
static size_t count_history(struct uplift *uplift, struct store_txn *txn, int64_t cut,
                            int64_t *latest)
{
    struct error err = {0};
    struct arena arena = {0};
    struct event *events = NULL;
    size_t count = 0, within = 0;
    uint64_t customer = ledger_customer_number(txn, uplift->secret, slice_of("c"), false);
    if (customer)
        assert_true(ledger_history(txn, customer, &arena, &events, &count, &err));
    *latest = 0;
    for (size_t i = 0; i < count; i++) {
        within += events[i].received <= cut;
        if (events[i].received > *latest)
            *latest = events[i].received;
    }
    arena_release(&arena);
    return within;
}

static int64_t latest_arrival(struct uplift *uplift)
{
    struct error err = {0};
    int64_t latest;
    struct store_txn *txn = store_read(uplift->store, &err);
    assert_non_null(txn);
    count_history(uplift, txn, INT64_MAX, &latest);
    store_abort(&txn);
    return latest;
}

static bool nothing(void *data, struct ingest_run *run, struct error *err)
{
    (void)data;
    (void)run;
    (void)err;
    return true;
}

static void test_stamp__never_goes_back(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    assert_true(send(uplift, "a", -1));
    assert_true(latest_arrival(uplift) == start);
    now = start - 30 * WHEN_HOUR;
    assert_true(uplift_now(uplift) == start);
    /* An event of the present, told by others whose clocks are right. */
    assert_true(send(uplift, "b", start + WHEN_SECOND));
    assert_false(send(uplift, "c", start + 25 * WHEN_HOUR));
    uplift_close(&uplift);
    uplift = open_uplift();
    assert_true(uplift_now(uplift) == start);
    assert_true(send(uplift, "d", start + 2 * WHEN_SECOND));
    assert_true(latest_arrival(uplift) == start);
    now = start + WHEN_HOUR;
    assert_true(send(uplift, "e", -1));
    assert_true(latest_arrival(uplift) == start + WHEN_HOUR);
    uplift_close(&uplift);
}

/* A change of a definition has its moment among the arrivals: who comes after a start was exposed
 * after it, with the clock set back too. */
static void test_stamp__what_comes_after_a_start_counts(void **state)
{
    (void)state;
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = open_uplift();
    json_t *input =
        json_pack("{s:s, s:[{s:s}, {s:s}]}", "key", "e", "variants", "key", "a", "key", "b");
    json_decref(uplift_experiment_create(uplift, &change, input, &err));
    json_decref(input);
    json_decref(
        uplift_experiment_transition(uplift, &change, slice_of("e"), STEP_START, NULL, &err));
    assert_string_equal(err.message, "");
    uplift_close(&uplift);
    now = start - WHEN_HOUR;
    uplift = open_uplift();
    input = json_pack("{s:s, s:s, s:s, s:s}", "type", "exposure", "customer", "c", "experiment",
                      "e", "variant", "a");
    json_decref(uplift_events(uplift, input, &err));
    json_decref(input);
    const struct results_options options = {.as_of = -1};
    json_t *results = analysis_results(uplift, slice_of("e"), &options, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(results_exposed(results), 1);
    json_decref(results);
    uplift_close(&uplift);
}

/* --- a clock that leaps ahead --------------------------------------------------------------- */

static int64_t passed;

static int64_t fixed_steady(void *data)
{
    (void)data;
    return passed;
}

/* Whether an event with this id is taken, rather than left with its sender. */
static bool takes(struct uplift *uplift, const char *id)
{
    struct error err = {0};
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:I}", "type", "outcome", "name", "o",
                             "customer", "c", "id", id, "at", (json_int_t)start);
    json_t *answer = uplift_events(uplift, body, &err);
    assert_int_equal(err.code, answer ? ERROR_NONE : ERROR_BUSY);
    bool taken = answer != NULL;
    json_decref(answer);
    json_decref(body);
    return taken;
}

static void pass(int64_t by)
{
    now += by;
    passed += by;
}

static void test_stamp__a_leap_is_doubted_for_a_while(void **state)
{
    (void)state;
    const int64_t year = 365 * WHEN_DAY;
    const struct clock clock = {.now = fixed_now, .steady = fixed_steady};
    struct error err = {0};
    passed = 7000;
    struct uplift *uplift = uplift_open(folder, &clock, &err);
    assert_string_equal(err.message, "");
    pass(50 * WHEN_DAY);
    assert_true(takes(uplift, "a"));
    now += LEAP_LEAST; /* a clock that was late is put right */
    assert_true(takes(uplift, "b"));
    assert_true(latest_arrival(uplift) == now);
    /* One minute of next year leaves nothing behind. */
    int64_t right = now;
    now += year;
    for (int i = 0; i < 60; i++) {
        assert_false(takes(uplift, "c"));
        assert_true(ingest_doubts_clock(uplift->ingest));
        assert_true(uplift_now(uplift) == right + i * WHEN_SECOND);
        pass(WHEN_SECOND);
    }
    assert_true(ingest_call(uplift->ingest, nothing, NULL, &err));
    now -= year;
    assert_true(takes(uplift, "c"));
    assert_false(ingest_doubts_clock(uplift->ingest));
    assert_true(latest_arrival(uplift) == right + 60 * WHEN_SECOND);
    /* After a long sleep the clock is right, and is believed in the end. */
    now += year;
    assert_false(takes(uplift, "d"));
    pass(LEAP_DOUBT - 1);
    assert_false(takes(uplift, "d"));
    pass(1);
    assert_true(takes(uplift, "d"));
    assert_true(latest_arrival(uplift) == now);
    uplift_close(&uplift);
    uplift = uplift_open(folder, &clock, &err);
    assert_true(takes(uplift, "e"));
    uplift_close(&uplift);
}

/* --- snapshots ------------------------------------------------------------------------------ */

enum { SNAPSHOTS = 40 };

struct shot {
    struct store_txn *txn;
    int64_t cut;
};

static void take(void *data, struct store_txn *txn, int64_t cut)
{
    *(struct shot *)data = (struct shot){txn, cut};
}

/* A cut that was kept with what was made of it holds across a restart, with the clock set back. */
static void test_stamp__is_later_than_a_cut_before(void **state)
{
    (void)state;
    struct error err = {0};
    struct shot shot;
    struct uplift *uplift = open_uplift();
    assert_true(send(uplift, "a", -1));
    assert_true(ingest_snapshot(uplift->ingest, take, &shot, &err));
    assert_true(shot.cut == start);
    store_abort(&shot.txn);
    assert_true(ingest_snapshot(uplift->ingest, take, &shot, &err));
    assert_true(shot.cut == start);
    store_abort(&shot.txn);
    assert_true(ingest_call(uplift->ingest, nothing, NULL, &err));
    uplift_close(&uplift);
    now = start - WHEN_DAY;
    uplift = open_uplift();
    assert_true(send(uplift, "b", -1));
    assert_true(latest_arrival(uplift) == start + 1);
    uplift_close(&uplift);
}

struct sender {
    struct uplift *uplift;
    atomic_bool stop;
};

static void *send_all(void *data)
{
    struct sender *sender = data;
    char id[16];
    for (int i = 0; !atomic_load(&sender->stop); i++) {
        snprintf(id, sizeof id, "e-%d", i);
        if (!send(sender->uplift, id, start - i))
            return sender;
    }
    return NULL;
}

/* With a clock that stands still, so that nothing but the cuts tells before from after. */
static void test_stamp__tells_what_a_snapshot_held(void **state)
{
    (void)state;
    struct error err = {0};
    struct sender sender = {.uplift = open_uplift()};
    int64_t cuts[SNAPSHOTS], latest;
    size_t held[SNAPSHOTS], different = 0;
    pthread_t thread;
    void *failed;
    assert_int_equal(pthread_create(&thread, NULL, send_all, &sender), 0);
    for (int i = 0; i < SNAPSHOTS; i++) {
        struct shot shot;
        usleep(1000);
        assert_true(ingest_snapshot(sender.uplift->ingest, take, &shot, &err));
        cuts[i] = shot.cut;
        held[i] = count_history(sender.uplift, shot.txn, INT64_MAX, &latest);
        assert_true(latest <= shot.cut);
        different += i > 0 && held[i] != held[i - 1];
        store_abort(&shot.txn);
    }
    atomic_store(&sender.stop, true);
    pthread_join(thread, &failed);
    assert_null(failed);
    struct store_txn *txn = store_read(sender.uplift->store, &err);
    for (int i = 0; i < SNAPSHOTS; i++)
        assert_int_equal(count_history(sender.uplift, txn, cuts[i], &latest), held[i]);
    store_abort(&txn);
    assert_true(different > 2);
    uplift_close(&sender.uplift);
}

#define each(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(test_stamp__never_goes_back),
        each(test_stamp__what_comes_after_a_start_counts),
        each(test_stamp__a_leap_is_doubted_for_a_while),
        each(test_stamp__is_later_than_a_cut_before),
        each(test_stamp__tells_what_a_snapshot_held),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
