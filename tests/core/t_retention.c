/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Retention: figures are those of a store that keeps everything, whenever history is dropped and
 * whatever becomes of the clock or of N; what is sealed stays through every recount; what would
 * need the events that are gone is refused. UPLIFT_LONG=1 runs many more days. */
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
#include "core/retention.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { WINDOW = 7, COVARIATE = 5, LEAST = WINDOW + COVARIATE + 7 };
static const int64_t start = INT64_C(1790000000000);
static const struct definition_change anyhow = {.who = "test", .at = -1};
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

static struct uplift *open_store(const char *folder)
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

static void make_metric(struct uplift *uplift, const char *text)
{
    struct error err = {0};
    json_t *input = json_loads(text, 0, NULL);
    made(uplift_metric_create(uplift, &anyhow, input, &err), &err);
    json_decref(input);
}

static void define(struct uplift *uplift)
{
    struct error err = {0};
    now = start;
    make_metric(uplift,
                "{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\", \"cap\": 40,"
                " \"window_days\": 7, \"covariate_days\": 5}");
    make_metric(uplift, "{\"key\": \"back\", \"kind\": \"retention\", \"event\": \"visit\","
                        " \"from_days\": 2, \"to_days\": 6}");
    make_metric(uplift, "{\"key\": \"p75\", \"kind\": \"quantile\", \"event\": \"order\","
                        " \"quantile\": 0.75, \"window_days\": 3}");
    make_metric(uplift, "{\"key\": \"nps\", \"kind\": \"nps\", \"window_days\": 7}");
    json_t *input = json_loads(
        "{\"key\": \"exp\", \"traffic\": 0.5, \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
        " \"segments\": [\"device\"], \"metrics\": {\"primary\": [\"spend\"], \"guardrail\":"
        " [\"nps\"], \"secondary\": [\"back\", \"p75\"]}}",
        0, NULL);
    made(uplift_experiment_create(uplift, &anyhow, input, &err), &err);
    json_decref(input);
    made(uplift_experiment_transition(uplift, &anyhow, slice_of("exp"), STEP_START, NULL, &err),
         &err);
}

/* --- pure ----------------------------------------------------------------------------------- */

static void test_retention__marks(void **state)
{
    (void)state;
    struct error err = {0};
    struct catalog *none = catalog_new(1, NULL, 0, NULL, 0);
    struct retention r = retention_of(none, 30, start);
    assert_true(r.keep_from == start - 30 * WHEN_DAY && r.accept_from == r.keep_from);
    catalog_free(&none);
    static const char *const texts[] = {
        "{\"key\": \"a\", \"kind\": \"mean\", \"event\": \"o\", \"window_days\": 10,"
        " \"covariate_days\": 20}",
        "{\"key\": \"b\", \"kind\": \"retention\", \"event\": \"o\", \"from_days\": 3,"
        " \"to_days\": 28}"};
    struct metric *metrics[2];
    for (uint32_t i = 0; i < 2; i++) {
        json_t *input = json_loads(texts[i], 0, NULL);
        metrics[i] = metric_create(input, i + 1, start, &err);
        assert_string_equal(err.message, "");
        json_decref(input);
    }
    struct catalog *two = catalog_new(1, NULL, 0, metrics, 2);
    r = retention_of(two, 1, start);
    assert_int_equal(r.window_days, 28);
    assert_int_equal(r.covariate_days, 20);
    assert_true(r.keep_from == start - 55 * WHEN_DAY);
    assert_true(r.accept_from == start - 7 * WHEN_DAY);
    r = retention_of(two, 100, start);
    assert_true(r.keep_from == start - 100 * WHEN_DAY);
    assert_true(r.accept_from == start - 52 * WHEN_DAY);
    catalog_free(&two);
    metric_unref(&metrics[0]);
    metric_unref(&metrics[1]);
}

/* --- two stores ----------------------------------------------------------------------------- */

static json_t *random_event(int day, int i)
{
    char customer[24], id[24];
    /* People come and go; some come back after weeks. */
    uint32_t since = 2 * (uint32_t)(draw(9) ? day : day / 2);
    snprintf(customer, sizeof customer, "c-%u", draw(7) + since);
    snprintf(id, sizeof id, "e-%d-%d", day, i);
    json_t *event = json_pack("{s:s, s:s}", "customer", customer, "id", id);
    if (draw(4))
        json_object_set_new(event, "at",
                            json_integer(now + WHEN_HOUR - draw(draw(2) ? 48 : 300) * WHEN_HOUR));
    switch (draw(9)) {
    case 0:
        json_object_set_new(event, "type", json_string("exposure"));
        json_object_set_new(event, "experiment", json_string("exp"));
        json_object_set_new(event, "variant",
                            json_string(((uint32_t)customer[2] + draw(20) / 19) % 2 ? "a" : "b"));
        json_object_set_new(event, "attributes", json_pack("{s:s}", "device", draw(2) ? "x" : "y"));
        break;
    case 1:
        json_object_set_new(event, "type", json_string("feedback"));
        json_object_set_new(event, "survey", json_string("nps"));
        json_object_set_new(event, "score", json_integer(draw(11)));
        break;
    default:
        json_object_set_new(event, "type", json_string("outcome"));
        json_object_set_new(event, "name", json_string(draw(2) ? "order" : "visit"));
        json_object_set_new(event, "value", json_real(draw(1000) / 7.0));
    }
    return event;
}

/* Sends to the store that drops, and what it takes to the one that keeps. Counts refusals. */
static int send(struct uplift *drops, struct uplift *keeps, json_t *list)
{
    struct error err = {0};
    json_t *answer = uplift_events(drops, list, &err), *row, *taken = json_copy(list);
    assert_string_equal(err.message, "");
    json_t *rejected = json_object_get(answer, "rejected");
    int64_t from = atomic_load(&drops->accept_from);
    for (size_t i = json_array_size(rejected); i-- > 0;) {
        row = json_array_get(rejected, i);
        size_t index = (size_t)json_integer_value(json_object_get(row, "index"));
        json_t *event = json_array_get(list, index);
        assert_true(json_integer_value(json_object_get(event, "at")) < from);
        assert_non_null(strstr(json_string_value(json_object_get(row, "error")),
                               "at: is older than the history that is kept"));
        json_array_remove(taken, index);
    }
    int refused = (int)json_array_size(rejected);
    json_decref(answer);
    answer = uplift_events(keeps, taken, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
    json_decref(answer);
    json_decref(taken);
    return refused;
}

static bool put_into(void *data, const struct tally_name *name, const struct tally *tally)
{
    *tally_set_at(data, name) = *tally;
    return true;
}

static bool find_in(void *data, const struct tally_name *name, const struct tally *tally)
{
    return name->variant == TALLY_SEALED || tally_agrees(tally_set_at(data, name), tally);
}

static void assert_within(struct uplift *a, struct uplift *b)
{
    struct error err = {0};
    struct store_txn *ta = store_read(a->store, &err), *tb = store_read(b->store, &err);
    struct tally_set *set = tally_set_new(NULL);
    assert_true(tally_each(ta, NO_SLICE, put_into, set, &err));
    assert_true(tally_each(tb, NO_SLICE, find_in, set, &err));
    tally_set_free(&set);
    store_abort(&ta);
    store_abort(&tb);
}

static void show(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

static void assert_same(struct uplift *drops, struct uplift *keeps)
{
    struct error err = {0};
    uint64_t differences = 1;
    assert_within(drops, keeps);
    assert_within(keeps, drops);
    struct store_txn *txn = store_read(drops->store, &err);
    struct catalog *catalog = catalog_acquire(&drops->catalog);
    assert_true(ledger_check(txn, catalog, show, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&drops->catalog, catalog);
    store_abort(&txn);
}

static uint64_t events_in(struct uplift *uplift, uint64_t *customers)
{
    struct error err = {0};
    struct store_txn *txn = store_read(uplift->store, &err);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, NO_SLICE, NO_SLICE);
    struct slice key, value;
    uint64_t count = 0;
    while (store_next(cursor, &key, &value))
        count += key.ptr[8] == LEDGER_EVENT;
    store_walk_end(&cursor);
    *customers = store_count(txn, STORE_CUSTOMER_ID);
    store_abort(&txn);
    return count;
}

static bool note(void *data, struct ingest_run *run, struct error *err)
{
    (void)err;
    if (*(bool *)data)
        recount_afresh(run->txn);
    else
        recount_due(run->txn, &(struct recount){.all = true});
    return true;
}

static void recount_all(struct uplift *uplift, bool afresh)
{
    struct error err = {0};
    assert_true(ingest_call(uplift->ingest, note, &afresh, &err));
    rebuild_start(uplift);
    for (int i = 0; i < 2000 && atomic_load(&uplift->rebuild.running) > 0; i++)
        usleep(5000);
    assert_int_equal(uplift->rebuild.failed.code, ERROR_NONE);
}

struct erasing {
    struct uplift *uplift;
    struct slice id;
};

static bool erase(void *data, struct ingest_run *run, struct error *err)
{
    const struct erasing *it = data;
    uint64_t events;
    struct catalog *catalog = catalog_acquire(&it->uplift->catalog);
    bool ok =
        ledger_erase(run->txn, run->tallies, it->uplift->secret, it->id, catalog, &events, err);
    catalog_release(&it->uplift->catalog, catalog);
    return ok;
}

/* Erases the first customers who are in both. */
static void erase_some(struct uplift *drops, struct uplift *keeps, int count)
{
    for (int i = 0; count > 0 && i < 40; i++) {
        char id[24];
        struct error err = {0};
        struct erasing a = {.uplift = drops}, b = {.uplift = keeps};
        snprintf(id, sizeof id, "c-%d", i);
        a.id = b.id = slice_of(id);
        if (!ingest_call(drops->ingest, erase, &a, &err))
            continue; /* forgotten already: then of no unit */
        assert_true(ingest_call(keeps->ingest, erase, &b, &err));
        count--;
    }
    assert_int_equal(count, 0);
}

static void grow_traffic(struct uplift *uplift)
{
    struct error err = {0};
    json_t *patch = json_pack("{s:f}", "traffic", 1.0);
    made(uplift_experiment_patch(uplift, &anyhow, slice_of("exp"), patch, &err), &err);
    json_decref(patch);
}

struct pair {
    char folders[2][FOLDER_MAX];
    struct uplift *drops, *keeps;
    int refused;
};

static void pass_day(struct pair *pair, int day)
{
    for (int batch = 0; batch < 3; batch++) {
        json_t *list = json_array();
        for (int i = 0; i < 12; i++)
            json_array_append_new(list, random_event(day, batch * 100 + i));
        now += 8 * WHEN_HOUR;
        pair->refused += send(pair->drops, pair->keeps, list);
        json_decref(list);
    }
}

static void retain(struct pair *pair)
{
    struct error err = {0};
    bool more;
    int64_t before = atomic_load(&pair->drops->accept_from), set_back = draw(4) ? 0 : 3 * WHEN_DAY;
    now -= set_back;
    assert_true(
        retention_keep_at_once(pair->drops, draw(4) ? 1 : 60, 1 + (int)draw(3), &more, &err));
    now += set_back;
    assert_true(atomic_load(&pair->drops->accept_from) >= before);
    if (draw(6) == 0) {
        before = atomic_load(&pair->drops->accept_from);
        uplift_close(&pair->drops);
        pair->drops = open_store(pair->folders[0]);
        assert_true(atomic_load(&pair->drops->accept_from) == before);
    }
}

static void test_retention__figures_are_those_of_a_store_that_keeps_all(void **state)
{
    (void)state;
    struct pair pair = {.refused = 0};
    int days = getenv("UPLIFT_LONG") ? 400 : 60;
    seed = 1;
    print_message("# seed %u\n", seed);
    assert_true(folder_make(pair.folders[0]) && folder_make(pair.folders[1]));
    pair.drops = open_store(pair.folders[0]);
    pair.keeps = open_store(pair.folders[1]);
    define(pair.drops);
    define(pair.keeps);
    for (int day = 0; day < days; day++) {
        pass_day(&pair, day);
        if (day == 30) {
            grow_traffic(pair.drops);
            grow_traffic(pair.keeps);
        }
        if (draw(2))
            retain(&pair);
        if (day % 10 == 9)
            recount_all(pair.drops, day % 20 == 9);
        if (day % 5 == 4)
            assert_same(pair.drops, pair.keeps);
    }
    erase_some(pair.drops, pair.keeps, 3);
    assert_same(pair.drops, pair.keeps);
    uint64_t few, many;
    assert_true(events_in(pair.drops, &few) * 2 < events_in(pair.keeps, &many));
    assert_true(few < many);
    assert_true(pair.refused > 10);
    uplift_close(&pair.drops);
    uplift_close(&pair.keeps);
    assert_true(folder_remove(pair.folders[0]) && folder_remove(pair.folders[1]));
}

static void test_retention__marks_never_go_back(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    struct error err = {0};
    bool more;
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    define(uplift);
    make_metric(uplift, "{\"key\": \"wide\", \"kind\": \"mean\", \"event\": \"order\","
                        " \"window_days\": 25, \"covariate_days\": 9}");
    now = start + 100 * WHEN_DAY;
    assert_true(retention_keep_at_once(uplift, 60, 10, &more, &err));
    assert_false(more);
    int64_t from = start + 74 * WHEN_DAY;
    assert_true(atomic_load(&uplift->accept_from) == from);
    /* A shorter window, more days, a clock that is set back: each alone would bring it back. */
    assert_true(uplift_metric_remove(uplift, &anyhow, slice_of("wide"), &err));
    for (int i = 0; i < 3; i++) {
        now += (i == 1 ? -30 : 2) * WHEN_DAY;
        assert_true(retention_keep_at_once(uplift, i == 2 ? 300 : 60, 10, &more, &err));
        assert_true(atomic_load(&uplift->accept_from) == from);
    }
    now = start + 110 * WHEN_DAY;
    /* What is not yet counted anew must not be sealed. */
    bool afresh = false;
    assert_true(ingest_call(uplift->ingest, note, &afresh, &err));
    assert_true(retention_keep_at_once(uplift, 1, 10, &more, &err));
    assert_true(atomic_load(&uplift->accept_from) == from);
    recount_all(uplift, afresh);
    assert_true(retention_keep_at_once(uplift, 1, 10, &more, &err));
    assert_true(atomic_load(&uplift->accept_from) == start + 103 * WHEN_DAY);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

/* What the daily pass does at this time of the clock: whether it moves the mark. */
static bool moves(struct uplift *uplift, int64_t at)
{
    struct error err = {0};
    bool more;
    int64_t before = atomic_load(&uplift->accept_from);
    now = at;
    assert_true(retention_keep(uplift, 60, 100, &more, &err));
    assert_false(more);
    return atomic_load(&uplift->accept_from) > before;
}

static void test_retention__a_clock_ahead_for_a_while_drops_nothing(void **state)
{
    (void)state;
    const int64_t today = start + 100 * WHEN_DAY, year = 365 * WHEN_DAY;
    char folder[FOLDER_MAX];
    struct error err = {0};
    uint64_t customers;
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    define(uplift);
    now = today;
    json_t *event =
        json_pack("{s:s, s:s, s:s}", "type", "outcome", "customer", "c", "name", "order");
    json_decref(uplift_events(uplift, event, &err));
    assert_false(moves(uplift, today));
    assert_false(moves(uplift, today + WHEN_DAY - 1));
    /* Also where an event is stamped by that clock, and over a restart. */
    now = today + year;
    json_object_set_new(event, "id", json_string("ahead"));
    json_decref(uplift_events(uplift, event, &err));
    assert_true(moves(uplift, today + year)); /* by the time of yesterday */
    assert_true(atomic_load(&uplift->accept_from) == today - 48 * WHEN_DAY);
    assert_false(moves(uplift, today + year + WHEN_HOUR));
    uplift_close(&uplift);
    uplift = open_store(folder);
    for (int day = 1; day < 4; day++)
        assert_true(moves(uplift, today + day * WHEN_DAY) == (day > 1));
    assert_true(atomic_load(&uplift->accept_from) == today - 46 * WHEN_DAY);
    assert_int_equal(events_in(uplift, &customers), 2);
    /* Ahead for days it is believed. */
    assert_true(moves(uplift, today + year));
    assert_true(moves(uplift, today + year + WHEN_DAY));
    assert_true(atomic_load(&uplift->accept_from) == today + year - 48 * WHEN_DAY);
    json_decref(event);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

static json_t *results_of(struct uplift *uplift)
{
    struct error err = {0};
    const struct results_options options = {.as_of = -1};
    json_t *results = analysis_results(uplift, slice_of("exp"), &options, &err);
    assert_string_equal(err.message, "");
    return results;
}

static void test_retention__refuses_to_count_anew_what_is_sealed(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    struct error err = {0};
    bool more;
    seed = 3;
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    define(uplift);
    json_t *events = json_loads("[{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\":"
                                " \"exp\", \"variant\": \"a\"}, {\"type\": \"outcome\","
                                " \"customer\": \"c\", \"name\": \"order\"}]",
                                0, NULL);
    json_decref(uplift_events(uplift, events, &err));
    json_decref(events);
    json_t *results = results_of(uplift);
    assert_true(json_is_null(json_object_get(results, "sealed")));
    json_decref(results);
    json_t *fewer = json_loads("{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\","
                               " \"window_days\": 5, \"covariate_days\": 5}",
                               0, NULL);
    made(uplift_metric_amend(uplift, &anyhow, slice_of("spend"), fewer, &err), &err);
    for (int i = 0; i < 2000 && atomic_load(&uplift->rebuild.running) > 0; i++)
        usleep(5000);
    now = start + (LEAST + 1) * WHEN_DAY;
    assert_true(retention_keep_at_once(uplift, 1, 10, &more, &err));
    results = results_of(uplift);
    json_t *sealed = json_object_get(results, "sealed");
    char at[WHEN_TEXT_MAX];
    assert_int_equal(json_integer_value(json_object_get(sealed, "units")), 1);
    assert_string_equal(json_string_value(json_object_get(sealed, "since")), when_format(now, at));
    json_decref(results);
    json_object_set_new(fewer, "window_days", json_integer(6));
    assert_null(uplift_metric_amend(uplift, &anyhow, slice_of("spend"), fewer, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "make a new metric"));
    error_clear(&err);
    json_t *patch = json_pack("{s:[s, s]}", "segments", "device", "plan");
    assert_null(uplift_experiment_patch(uplift, &anyhow, slice_of("exp"), patch, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    error_clear(&err);
    json_decref(patch);
    json_object_set_new(fewer, "window_days", json_integer(5));
    json_object_set_new(fewer, "name", json_string("Another name"));
    made(uplift_metric_amend(uplift, &anyhow, slice_of("spend"), fewer, &err), &err);
    made(uplift_experiment_transition(uplift, &anyhow, slice_of("exp"), STEP_STOP, NULL, &err),
         &err);
    json_decref(fewer);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retention__marks),
        cmocka_unit_test(test_retention__figures_are_those_of_a_store_that_keeps_all),
        cmocka_unit_test(test_retention__marks_never_go_back),
        cmocka_unit_test(test_retention__a_clock_ahead_for_a_while_drops_nothing),
        cmocka_unit_test(test_retention__refuses_to_count_anew_what_is_sealed),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
