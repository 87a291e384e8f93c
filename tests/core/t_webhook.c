/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of webhooks in the store: their order, a clock that is set back, rows that are damaged,
 * and the bound of what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/uplift.h"
#include "core/webhook.h"
#include "tests/core/folder.h"

static int64_t now = INT64_C(1790000000000);

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

struct place {
    char folder[FOLDER_MAX], webhook[WEBHOOK_ID_MAX];
    struct uplift *uplift;
};

static void open_place(struct place *place)
{
    struct error err = {0};
    place->uplift = uplift_open(place->folder, &(struct clock){.now = fixed_now}, &err);
    assert_string_equal(err.message, "");
}

static void begin(struct place *place)
{
    struct error err = {0};
    assert_true(folder_make(place->folder));
    open_place(place);
    json_t *input = json_pack("{s:s, s:[s, s]}", "url", "http://127.0.0.1:1/", "events",
                              "experiment.state", "feedback.low");
    json_t *made = webhook_create(place->uplift, "test", input, &err);
    assert_string_equal(err.message, "");
    snprintf(place->webhook, sizeof place->webhook, "%s",
             json_string_value(json_object_get(made, "id")));
    json_decref(made);
    json_decref(input);
}

static void end(struct place *place)
{
    uplift_close(&place->uplift);
    assert_true(folder_remove(place->folder));
}

struct emission {
    struct uplift *uplift;
    int64_t at;
    int from, count;
};

static bool run_emission(void *data, struct ingest_run *run, struct error *err)
{
    const struct emission *emission = data;
    for (int i = 0; i < emission->count; i++) {
        const unsigned char customer[16] = {(unsigned char)(emission->from + i)};
        webhook_emit(emission->uplift, run->txn, WEBHOOK_LOW_SCORE, emission->at, customer,
                     json_pack("{s:i}", "n", emission->from + i));
    }
    return store_healthy(run->txn, err);
}

static void emit(struct place *place, int from, int count)
{
    struct error err = {0};
    struct emission emission = {place->uplift, now, from, count};
    assert_true(ingest_call(place->uplift->ingest, run_emission, &emission, &err));
}

static bool nobody_is_busy(void *data, const char *webhook)
{
    (void)data;
    (void)webhook;
    return false;
}

/* The number of the message that is due, -1: none is; it is noted with the status. */
static int take(struct place *place, int status)
{
    struct error err = {0};
    struct webhook_message message;
    bool due = webhook_due(place->uplift, now, nobody_is_busy, NULL, &message, &err);
    assert_string_equal(err.message, "");
    if (!due)
        return -1;
    const struct webhook_outcome outcome = {.status = status};
    json_t *body = json_loads(message.body, 0, NULL);
    int n = (int)json_integer_value(json_object_get(json_object_get(body, "data"), "n"));
    assert_true(webhook_note(place->uplift, &message, &outcome, now, &err));
    webhook_message_release(&message);
    json_decref(body);
    return n;
}

static uint64_t waiting(struct place *place, uint64_t *dead)
{
    struct webhook_figures figures;
    struct error err = {0};
    assert_true(webhook_figures(place->uplift, &figures, &err));
    *dead = figures.dead;
    return figures.waiting;
}

static void test_webhook__sends_in_order_and_what_failed_later(void **state)
{
    struct place place;
    uint64_t dead;
    (void)state;
    begin(&place);
    emit(&place, 0, 3);
    emit(&place, 3, 2);
    assert_int_equal(take(&place, 200), 0);
    assert_int_equal(take(&place, 500), 1);
    for (int n = 2; n < 5; n++)
        assert_int_equal(take(&place, 200), n);
    assert_int_equal(take(&place, 200), -1);
    now += 10000;
    assert_int_equal(take(&place, 200), 1);
    assert_int_equal(waiting(&place, &dead), 0);
    end(&place);
}

static void test_webhook__dies_after_its_last_try(void **state)
{
    struct place place;
    uint64_t dead;
    (void)state;
    begin(&place);
    emit(&place, 7, 1);
    for (int attempts = 1; webhook_wait(attempts) >= 0; attempts++) {
        assert_int_equal(take(&place, 500), 7);
        now += webhook_wait(attempts) / 10 * 11 + 1;
    }
    assert_int_equal(take(&place, 500), 7);
    assert_int_equal(take(&place, 500), -1);
    assert_int_equal(waiting(&place, &dead), 0);
    assert_int_equal(dead, 1);
    end(&place);
}

static void test_webhook__survives_a_clock_that_is_set_back(void **state)
{
    struct place place;
    (void)state;
    begin(&place);
    emit(&place, 0, 1);
    assert_int_equal(take(&place, 500), 0);
    emit(&place, 1, 1); /* stamped with the later time */
    now -= 30 * WHEN_DAY;
    assert_int_equal(take(&place, 200), 1);
    assert_int_equal(take(&place, 200), 0);
    now += 30 * WHEN_DAY;
    end(&place);
}

static bool damage(void *data, struct ingest_run *run, struct error *err)
{
    const char *webhook = data;
    struct slice key, value;
    struct store_cursor *cursor = store_walk(run->txn, STORE_DELIVERY, NO_SLICE, NO_SLICE);
    assert_true(store_next(cursor, &key, &value));
    struct store_key first = {0};
    key_bytes(&first, key);
    store_walk_end(&cursor);
    store_put(run->txn, STORE_DELIVERY, key_slice(&first), slice_of("{no JSON"));
    if (webhook)
        store_put(run->txn, STORE_WEBHOOK, slice_of(webhook), slice_of("{\"events\": 5}"));
    return store_healthy(run->txn, err);
}

static void count_line(void *data, const char *line)
{
    assert_non_null(strstr(line, "is damaged"));
    ++*(int *)data;
}

static bool repair(void *data, struct ingest_run *run, struct error *err)
{
    (void)err;
    return webhook_damaged(run->txn, true, count_line, data) > 0;
}

static bool forget(void *data, struct ingest_run *run, struct error *err)
{
    webhook_forget(run->txn, data);
    return store_healthy(run->txn, err);
}

static uint64_t damaged(struct place *place)
{
    int lines = 0;
    struct error err = {0};
    struct store_txn *txn = store_read(place->uplift->store, &err);
    uint64_t found = webhook_damaged(txn, false, count_line, &lines);
    store_abort(&txn);
    assert_int_equal(found, lines);
    return found;
}

static void test_webhook__damage_keeps_nobody_out(void **state)
{
    struct place place;
    struct error err = {0};
    unsigned char customer[16] = {2};
    uint64_t dead;
    int lines = 0;
    (void)state;
    begin(&place);
    emit(&place, 0, 4);
    assert_true(ingest_call(place.uplift->ingest, damage, NULL, &err));
    assert_int_equal(damaged(&place), 1);
    assert_int_equal(take(&place, 200), 1);
    assert_true(ingest_call(place.uplift->ingest, forget, customer, &err)); /* behind the damage */
    assert_int_equal(take(&place, 200), 3);
    emit(&place, 4, 1);
    assert_true(ingest_call(place.uplift->ingest, damage, place.webhook, &err));
    uplift_close(&place.uplift);
    open_place(&place);
    emit(&place, 5, 1); /* to nobody */
    assert_int_equal(take(&place, 200), -1);
    assert_int_equal(damaged(&place), 2);
    assert_true(ingest_call(place.uplift->ingest, repair, &lines, &err));
    assert_int_equal(lines, 2);
    assert_int_equal(damaged(&place), 0);
    assert_int_equal(waiting(&place, &dead), 0);
    end(&place);
}

static void test_webhook__counts_what_there_is_no_room_for(void **state)
{
    struct place place;
    uint64_t dead;
    (void)state;
    begin(&place);
    emit(&place, 0, 1);
    assert_int_equal(take(&place, 410), 0);
    struct error err = {0};
    json_t *again =
        json_pack("{s:s, s:[s]}", "url", "http://127.0.0.1:1/", "events", "feedback.low");
    json_decref(webhook_replace(place.uplift, "test", place.webhook, again, &err));
    json_decref(again);
    emit(&place, 1, WEBHOOK_WAITING_MAX - 1);
    assert_int_equal(waiting(&place, &dead), WEBHOOK_WAITING_MAX - 1);
    assert_int_equal(dead, 1);
    emit(&place, 0, 6);
    assert_int_equal(waiting(&place, &dead), WEBHOOK_WAITING_MAX);
    assert_int_equal(dead, 0);
    assert_int_equal(atomic_load(&place.uplift->webhook_lost), 5);
    json_t *page = webhook_deliveries(place.uplift, "", 1000, false, &err);
    for (size_t pages = 1; page && json_is_string(json_object_get(page, "next")); pages++) {
        json_t *next = webhook_deliveries(
            place.uplift, json_string_value(json_object_get(page, "next")), 1000, false, &err);
        size_t count = json_array_size(json_object_get(next, "deliveries"));
        assert_int_equal(count, pages < 10 ? 1000 : 0);
        json_decref(page);
        page = next;
    }
    json_decref(page);
    assert_null(webhook_deliveries(place.uplift, "7", 10, false, &err));
    assert_string_equal(err.place, "cursor");
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_webhook__sends_in_order_and_what_failed_later),
        cmocka_unit_test(test_webhook__dies_after_its_last_try),
        cmocka_unit_test(test_webhook__survives_a_clock_that_is_set_back),
        cmocka_unit_test(test_webhook__damage_keeps_nobody_out),
        cmocka_unit_test(test_webhook__counts_what_there_is_no_room_for),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("webhook", tests, NULL, NULL);
}
