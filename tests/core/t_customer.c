/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A customer's data: what is shown is all that is kept; a store from which some were erased is one
 * that never had them, whatever they did; numbers are not given twice; nothing of the erased is
 * left but a digest in the trail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/audit.h"
#include "core/customer.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/recount.h"
#include "core/retention.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { EVENTS = 1200, CUSTOMERS = 40, ROUNDS = 6 };
static const int64_t start = INT64_C(1790000000000);
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

struct place {
    char folder[FOLDER_MAX];
    struct uplift *uplift;
};

static void open_place(struct place *place)
{
    struct error err = {0};
    place->uplift = uplift_open(place->folder, &(struct clock){.now = fixed_now}, &err);
    assert_string_equal(err.message, "");
}

static void make(struct uplift *uplift, bool metric, const char *text)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    json_t *input = json_loads(text, 0, NULL);
    assert_non_null(input);
    json_decref(metric ? uplift_metric_create(uplift, &change, input, &err)
                       : uplift_experiment_create(uplift, &change, input, &err));
    assert_string_equal(err.message, "");
    json_decref(input);
}

static void step(struct uplift *uplift, const char *key, enum experiment_step which,
                 const char *options)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    json_t *given = options ? json_loads(options, 0, NULL) : NULL;
    json_decref(uplift_experiment_transition(uplift, &change, slice_of(key), which, given, &err));
    assert_string_equal(err.message, "");
    json_decref(given);
}

/* Two experiments; the first has bins, surveys, a ratio, segments. */
static void begin(struct place *place)
{
    static const char *const metrics[] = {
        "{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\", \"covariate_days\": 7}",
        "{\"key\": \"capped\", \"kind\": \"mean\", \"event\": \"order\", \"cap_percentile\": 90}",
        "{\"key\": \"p75\", \"kind\": \"quantile\", \"event\": \"order\", \"quantile\": 0.75}",
        ("{\"key\": \"ratio\", \"kind\": \"ratio\", \"event\": \"order\","
         " \"denominator\": \"visit\"}"),
        "{\"key\": \"nps\", \"kind\": \"nps\"}"};
    now = start;
    assert_true(folder_make(place->folder));
    open_place(place);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        make(place->uplift, true, metrics[i]);
    make(place->uplift, false,
         "{\"key\": \"exp\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"segments\":"
         " [\"device\"], \"metrics\": {\"primary\": [\"spend\", \"ratio\"], \"guardrail\":"
         " [\"nps\"], \"secondary\": [\"capped\", \"p75\"]}}");
    make(place->uplift, false,
         "{\"key\": \"other\", \"variants\": [{\"key\": \"x\"}, {\"key\": \"y\"}], \"metrics\":"
         " {\"primary\": [\"spend\"]}}");
    step(place->uplift, "exp", STEP_START, NULL);
    step(place->uplift, "other", STEP_START, NULL);
}

static void end(struct place *place)
{
    uplift_close(&place->uplift);
    assert_true(folder_remove(place->folder));
}

static json_t *random_event(int i)
{
    char customer[24], id[16];
    snprintf(customer, sizeof customer, "person-%u", draw(CUSTOMERS));
    snprintf(id, sizeof id, "e-%d", i);
    json_t *event = json_pack("{s:s, s:s}", "customer", customer, "id", id);
    if (draw(3))
        json_object_set_new(event, "at", json_integer((json_int_t)(now - draw(3 * 86400) * 1000)));
    switch (draw(4)) {
    case 0:
        /* Some see a second variant and so leave the analysis. */
        json_object_update_new(event,
                               json_pack("{s:s, s:s, s:s, s:{s:s}}", "type", "exposure",
                                         "experiment", "exp", "variant", draw(6) ? "a" : "b",
                                         "attributes", "device", draw(2) ? "phone" : "desktop"));
        break;
    case 1:
        json_object_update_new(event, json_pack("{s:s, s:s, s:s}", "type", "exposure", "experiment",
                                                "other", "variant", draw(9) ? "x" : "y"));
        break;
    case 2:
        json_object_update_new(event, json_pack("{s:s, s:s, s:i, s:s}", "type", "feedback",
                                                "survey", "nps", "score", (int)draw(11), "comment",
                                                "what was said"));
        break;
    default:
        json_object_update_new(event, json_pack("{s:s, s:s, s:f}", "type", "outcome", "name",
                                                draw(2) ? "order" : "visit", "value",
                                                (double)draw(10000) / 7));
    }
    return event;
}

static bool is_erased(json_t *event, const bool *erased)
{
    const char *customer = json_string_value(json_object_get(event, "customer"));
    return erased[strtoul(customer + strlen("person-"), NULL, 10)];
}

/* Those of the events that `erased` (NULL: nobody) leaves. */
static void send(struct uplift *uplift, json_t *events, const bool *erased)
{
    struct error err = {0};
    json_t *left = json_array(), *event;
    size_t i;
    json_array_foreach(events, i, event)
    {
        if (!erased || !is_erased(event, erased))
            json_array_append(left, event);
    }
    json_t *answer = uplift_events(uplift, left, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
    json_decref(answer);
    json_decref(left);
}

static json_t *erase(struct uplift *uplift, const char *id)
{
    struct error err = {0};
    json_t *answer = uplift_customer_erase(uplift, "test", slice_of(id), &err);
    assert_string_equal(err.message, "");
    assert_non_null(answer);
    return answer;
}

static bool is_kept(struct uplift *uplift, const char *id)
{
    struct error err = {0};
    json_t *page = uplift_customer_get(uplift, slice_of(id), slice_of(""), 1000, &err);
    assert_int_equal(page ? ERROR_NONE : ERROR_NOT_FOUND, err.code);
    json_decref(page);
    return page != NULL;
}

static void tell(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

static void assert_checked(struct uplift *uplift)
{
    struct error err = {0};
    uint64_t differences = 1;
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(ledger_check(txn, catalog, tell, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
}

/* --- tallies of two stores ------------------------------------------------------------------ */

struct comparison {
    struct tally_set *other;
    size_t count;
};

static bool gather(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct comparison *comparison = data;
    *tally_set_at(comparison->other, name) = *tally;
    comparison->count++;
    return true;
}

static bool compare(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct comparison *comparison = data;
    comparison->count--;
    assert_true(tally_agrees(tally, tally_set_at(comparison->other, name)));
    return true;
}

static void assert_same_tallies(struct uplift *a, struct uplift *b)
{
    struct error err = {0};
    struct comparison comparison = {tally_set_new(NULL), 0};
    struct store_txn *one = store_read(a->store, &err), *two = store_read(b->store, &err);
    assert_true(tally_each(one, NO_SLICE, gather, &comparison, &err));
    assert_true(tally_each(two, NO_SLICE, compare, &comparison, &err));
    assert_int_equal(comparison.count, 0);
    store_abort(&one);
    store_abort(&two);
    tally_set_free(&comparison.other);
}

/* --- rebuilds ------------------------------------------------------------------------------- */

static bool note_rebuild_due(void *data, struct ingest_run *run, struct error *err)
{
    const struct recount all = {.next = 1, .all = true};
    (void)data;
    recount_due(run->txn, &all);
    return store_healthy(run->txn, err);
}

/* As a rebuild afresh is when half of the customers are counted: what is stored of the others is
 * not to be believed. */
static bool leave_half(void *data, struct ingest_run *run, struct error *err)
{
    struct uplift *uplift = data;
    const struct recount half = {
        .next = ledger_last_customer(run->txn) / 2, .afresh = true, .all = true};
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    bool ok = true;
    assert_false(ledger_drop_tallies(run->txn, SIZE_MAX));
    for (uint64_t customer = 0; (customer = ledger_next_customer(run->txn, customer + 1));)
        if (customer < half.next)
            ok = ok &&
                 ledger_customer_afresh(run->txn, run->tallies, customer, catalog, NULL, NULL, err);
    catalog_release(&uplift->catalog, catalog);
    recount_write(run->txn, &half);
    return ok && store_healthy(run->txn, err);
}

static void call(struct uplift *uplift,
                 bool (*run)(void *data, struct ingest_run *run, struct error *err))
{
    struct error err = {0};
    assert_true(ingest_call(uplift->ingest, run, uplift, &err));
}

static void wait_for_rebuild(struct uplift *uplift)
{
    rebuild_start(uplift);
    assert_true(folder_settled(uplift));
}

/* --- tests ---------------------------------------------------------------------------------- */

static json_t *random_events(int round)
{
    json_t *events = json_array();
    for (int i = 0; i < EVENTS / ROUNDS; i++)
        json_array_append_new(events, random_event(round * EVENTS + i));
    return events;
}

/* Both get the same events, the second one without those of whoever is erased from the first: at
 * random moments, more than once, with events that come again afterwards, while tallies are counted
 * anew and while they wait for it. */
static void compare_stores(void)
{
    static const char *const phase =
        "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"seed\": \"again\"}";
    struct place with, without;
    json_t *rounds[ROUNDS];
    bool never[CUSTOMERS] = {false};
    print_message("# seed %u\n", seed);
    begin(&with);
    begin(&without);
    for (int r = 0; r < ROUNDS; r++) {
        now += WHEN_DAY;
        rounds[r] = random_events(r);
        send(with.uplift, rounds[r], NULL);
        if (r == 2) {
            now += 1000;
            step(with.uplift, "exp", STEP_NEW_PHASE, phase);
        }
        if (r == 3) {
            call(with.uplift, note_rebuild_due);
            rebuild_start(with.uplift);
        }
        if (r == 4)
            call(with.uplift, leave_half);
        for (int k = 0; k < 3; k++) {
            char id[24];
            uint32_t who = draw(CUSTOMERS);
            snprintf(id, sizeof id, "person-%u", who);
            if (is_kept(with.uplift, id))
                json_decref(erase(with.uplift, id));
            assert_false(is_kept(with.uplift, id));
            never[who] = true;
        }
        if (r == 4) {
            uplift_close(&with.uplift);
            open_place(&with);
            wait_for_rebuild(with.uplift);
        }
    }
    for (size_t i = 0; i < CUSTOMERS; i++) {
        char id[24];
        snprintf(id, sizeof id, "person-%zu", i);
        if (never[i] && is_kept(with.uplift, id))
            json_decref(erase(with.uplift, id));
    }
    now = start;
    for (int r = 0; r < ROUNDS; r++) {
        now += WHEN_DAY;
        send(without.uplift, rounds[r], never);
        if (r == 2) {
            now += 1000;
            step(without.uplift, "exp", STEP_NEW_PHASE, phase);
        }
    }
    assert_checked(with.uplift);
    assert_checked(without.uplift);
    assert_same_tallies(with.uplift, without.uplift);
    for (int r = 0; r < ROUNDS; r++)
        json_decref(rounds[r]);
    end(&with);
    end(&without);
}

/* UPLIFT_LONG=N: as many seeds. */
static void test_customer__an_erased_one_was_never_there(void **state)
{
    (void)state;
    const char *many = getenv("UPLIFT_LONG");
    for (uint32_t i = 0; i < (many ? (uint32_t)strtoul(many, NULL, 10) : 1); i++) {
        seed = 20261125 + i;
        compare_stores();
    }
}

static void retain(struct uplift *uplift)
{
    struct error err = {0};
    for (bool more = true; more;)
        assert_true(retention_keep_at_once(uplift, 1, 100, &more, &err));
}

/* Their events may be gone; what was counted of them is not. */
static void test_customer__units_that_are_sealed_are_erased_too(void **state)
{
    (void)state;
    struct place with, without;
    bool never[CUSTOMERS] = {false};
    seed = 20261126;
    print_message("# seed %u\n", seed);
    begin(&with);
    begin(&without);
    now += 4 * WHEN_DAY;
    json_t *events = random_events(0);
    for (size_t i = 0; i < CUSTOMERS; i++)
        never[i] = i % 3 == 0;
    send(with.uplift, events, NULL);
    send(without.uplift, events, never);
    json_decref(events);
    now += 90 * WHEN_DAY;
    retain(with.uplift);
    retain(without.uplift);
    size_t sealed = 0;
    for (size_t i = 0; i < CUSTOMERS; i += 3) {
        char id[24];
        struct error err = {0};
        snprintf(id, sizeof id, "person-%zu", i);
        json_t *page = uplift_customer_get(with.uplift, slice_of(id), slice_of(""), 1000, &err);
        assert_int_equal(json_array_size(json_object_get(page, "events")), 0);
        sealed += json_is_true(
            json_object_get(json_array_get(json_object_get(page, "units"), 0), "sealed"));
        if (page)
            json_decref(erase(with.uplift, id));
        json_decref(page);
    }
    assert_true(sealed > 5);
    assert_checked(with.uplift);
    assert_same_tallies(with.uplift, without.uplift);
    end(&with);
    end(&without);
}

static uint64_t number_of(struct uplift *uplift, const char *id)
{
    struct error err = {0};
    struct store_txn *txn = store_read(uplift->store, &err);
    uint64_t number = ledger_customer_number(txn, uplift->secret, slice_of(id), false);
    store_abort(&txn);
    return number;
}

static json_t *one_event(const char *customer, const char *rest)
{
    char text[512];
    snprintf(text, sizeof text, "[{\"customer\": \"%s\", %s}]", customer, rest);
    json_t *events = json_loads(text, 0, NULL);
    assert_non_null(events);
    return events;
}

static void say(struct uplift *uplift, const char *customer, const char *rest)
{
    json_t *events = one_event(customer, rest);
    send(uplift, events, NULL);
    json_decref(events);
}

static const char order[] =
    "\"type\": \"outcome\", \"name\": \"order\", \"value\": 5, \"id\": \"o\"";

static void test_customer__numbers_are_not_given_twice(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    say(place.uplift, "one", order);
    say(place.uplift, "two", order);
    assert_int_equal(number_of(place.uplift, "two"), 2);
    json_decref(erase(place.uplift, "two"));
    uplift_close(&place.uplift);
    open_place(&place);
    say(place.uplift, "three", order);
    assert_int_equal(number_of(place.uplift, "three"), 3);
    json_decref(erase(place.uplift, "one")); /* not the last one: nothing to remember */
    json_decref(erase(place.uplift, "three"));
    say(place.uplift, "four", order);
    assert_int_equal(number_of(place.uplift, "four"), 4);
    struct error err = {0};
    struct store_txn *txn = store_read(place.uplift->store, &err);
    assert_int_equal(ledger_customer_count(txn), 1);
    assert_int_equal(ledger_last_customer(txn), 4);
    store_abort(&txn);
    end(&place);
}

static uint64_t rows_of(struct uplift *uplift, enum store_table table)
{
    struct error err = {0};
    struct store_txn *txn = store_read(uplift->store, &err);
    uint64_t count = store_count(txn, table);
    store_abort(&txn);
    return count;
}

/* An untimed event is remembered for some days; of an erased customer it is not. */
static void test_customer__who_comes_again_is_new(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    begin(&place);
    json_t *events = one_event("again", order);
    for (int i = 0; i < 2; i++) {
        json_t *answer = uplift_events(place.uplift, events, &err);
        assert_int_equal(json_integer_value(json_object_get(answer, "accepted")), 1);
        json_decref(answer);
        answer = uplift_events(place.uplift, events, &err);
        assert_int_equal(json_integer_value(json_object_get(answer, "duplicates")), 1);
        json_decref(answer);
        assert_int_equal(rows_of(place.uplift, STORE_SEEN), 1);
        json_decref(erase(place.uplift, "again"));
        assert_int_equal(rows_of(place.uplift, STORE_SEEN), 0);
        assert_int_equal(rows_of(place.uplift, STORE_CUSTOMER), 0);
        assert_int_equal(rows_of(place.uplift, STORE_CUSTOMER_ID), 0);
        assert_int_equal(rows_of(place.uplift, STORE_TALLY), 0);
    }
    json_decref(events);
    assert_null(uplift_customer_erase(place.uplift, "test", slice_of("again"), &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    end(&place);
}

static json_t *member(json_t *json, const char *path)
{
    char name[32];
    while (json && *path) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)len, path);
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10))
                                   : json_object_get(json, name);
        path += len + (path[len] == '.');
    }
    return json;
}

#define assert_member(json, path, text) assert_same_text(member(json, path), text)
static void assert_same_text(json_t *json, const char *text)
{
    char *is = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("absent");
    assert_string_equal(is, text);
    free(is);
}

static void test_customer__tells_how_figures_moved(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    now += WHEN_DAY;
    static const char *const people[] = {"stays", "goes"};
    for (size_t i = 0; i < 2; i++)
        say(place.uplift, people[i],
            "\"type\": \"exposure\", \"experiment\": \"exp\", \"variant\": \"b\"");
    now += 1000;
    say(place.uplift, "stays", order);
    say(place.uplift, "goes",
        "\"type\": \"outcome\", \"name\": \"order\", \"value\": 7, \"id\": \"p\"");
    say(place.uplift, "goes", "\"type\": \"feedback\", \"survey\": \"nps\", \"score\": 9");
    json_t *answer = erase(place.uplift, "goes");
    assert_member(answer, "events", "3");
    assert_member(answer, "units", "1");
    assert_member(answer, "compaction", "\"due\"");
    assert_member(answer, "moved.0.experiment", "\"exp\"");
    assert_member(answer, "moved.0.phase", "1");
    assert_member(answer, "moved.0.variant", "\"b\"");
    assert_member(answer, "moved.0.customers", "{\"before\":2,\"after\":1}");
    assert_member(answer, "moved.0.metrics.0.metric", "\"spend\"");
    assert_member(answer, "moved.0.metrics.0.sum", "{\"before\":12,\"after\":5}");
    assert_member(answer, "moved.0.metrics.2.metric", "\"nps\"");
    assert_member(answer, "moved.0.metrics.2.customers", "{\"before\":1,\"after\":0}");
    assert_member(answer, "moved.1", "absent");
    json_decref(answer);
    struct error err = {0};
    struct store_txn *txn = store_read(place.uplift->store, &err);
    json_t *trail = audit_list(txn, 0, 1, &err);
    store_abort(&txn);
    assert_member(trail, "0.action", "\"customer.erase\"");
    assert_member(trail, "0.who", "\"test\"");
    assert_int_equal(json_string_length(member(trail, "0.key")), 32);
    assert_member(trail, "0.before", "{\"events\":3,\"units\":1}");
    json_decref(trail);
    end(&place);
}

static void test_customer__shows_all_that_is_kept_in_pages(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    begin(&place);
    now += WHEN_DAY;
    say(place.uplift, "\u00e9 /x",
        "\"type\": \"exposure\", \"experiment\": \"exp\", \"variant\": \"a\","
        " \"attributes\": {\"device\": \"phone\"}");
    for (int i = 0; i < 25; i++) {
        char rest[128];
        snprintf(rest, sizeof rest,
                 "\"type\": \"outcome\", \"name\": \"order\", \"value\": %d, \"at\": %lld", i,
                 (long long)(now + (i + 1) * 1000));
        say(place.uplift, "\u00e9 /x", rest);
    }
    say(place.uplift, "\u00e9 /y", order); /* another one */
    struct slice id = slice_of("\u00e9 /x");
    char next[64] = "";
    size_t events = 0, pages = 0;
    do {
        json_t *page = uplift_customer_get(place.uplift, id, slice_of(next), 10, &err);
        assert_string_equal(err.message, "");
        assert_member(page, "units.0.experiment", "\"exp\"");
        assert_member(page, "units.0.variant", "\"a\"");
        assert_member(page, "units.0.segments", "{\"device\":\"phone\"}");
        assert_member(page, "units.0.metrics.0.metric", "\"spend\"");
        assert_member(page, "units.0.metrics.0.value", "300");
        if (pages == 0) {
            assert_member(page, "events.0.type", "\"exposure\"");
            assert_member(page, "events.0.at", "absent"); /* it came without */
            assert_member(page, "events.1.value", "0");
        }
        events += json_array_size(member(page, "events"));
        json_t *cursor = member(page, "next");
        snprintf(next, sizeof next, "%s", json_is_string(cursor) ? json_string_value(cursor) : "");
        json_decref(page);
        pages++;
    } while (*next);
    assert_int_equal(pages, 3);
    assert_int_equal(events, 26);
    assert_null(uplift_customer_get(place.uplift, id, slice_of("zz"), 10, &err));
    assert_int_equal(err.code, ERROR_INVALID);
    error_clear(&err);
    assert_null(uplift_customer_get(place.uplift, slice_of("\xff"), slice_of(""), 10, &err));
    assert_int_equal(err.code, ERROR_INVALID);
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_customer__an_erased_one_was_never_there),
        cmocka_unit_test(test_customer__units_that_are_sealed_are_erased_too),
        cmocka_unit_test(test_customer__numbers_are_not_given_twice),
        cmocka_unit_test(test_customer__who_comes_again_is_new),
        cmocka_unit_test(test_customer__tells_how_figures_moved),
        cmocka_unit_test(test_customer__shows_all_that_is_kept_in_pages),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("customer", tests, NULL, NULL);
}
