/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Consent: what is refused and what is not, by every combination; a refusal holds for events that
 * are under way, over restarts, and erases what was kept; whoever refuses gets the control. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/assign.h"
#include "core/audit.h"
#include "core/consent.h"
#include "core/customer.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static int64_t now = INT64_C(1790000000000);

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

struct place {
    char folder[FOLDER_MAX];
    struct uplift *uplift;
};

static void open_place(struct place *place, bool required)
{
    struct error err = {0};
    const struct uplift_options options = {.clock = {.now = fixed_now},
                                           .require_consent = required};
    place->uplift = uplift_open_with(place->folder, &options, &err);
    assert_string_equal(err.message, "");
}

static void reopen(struct place *place, bool required)
{
    uplift_close(&place->uplift);
    open_place(place, required);
}

static const struct definition_change by_test = {.who = "test", .at = -1};

static void define(struct uplift *uplift)
{
    struct error err = {0};
    json_t *metric =
        json_loads("{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\"}", 0, NULL);
    json_t *experiment = json_loads(
        "{\"key\": \"exp\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"overrides\":"
        " {\"qa\": \"b\"}, \"metrics\": {\"primary\": [\"spend\"]}}",
        0, NULL);
    json_decref(uplift_metric_create(uplift, &by_test, metric, &err));
    json_decref(uplift_experiment_create(uplift, &by_test, experiment, &err));
    json_decref(
        uplift_experiment_transition(uplift, &by_test, slice_of("exp"), STEP_START, NULL, &err));
    assert_string_equal(err.message, "");
    json_decref(metric);
    json_decref(experiment);
}

static void begin(struct place *place)
{
    assert_true(folder_make(place->folder));
    open_place(place, false);
    define(place->uplift);
}

static void end(struct place *place)
{
    uplift_close(&place->uplift);
    assert_true(folder_remove(place->folder));
}

static json_t *record(struct uplift *uplift, const char *id, bool analytics, bool personalization)
{
    struct error err = {0};
    json_t *input = json_pack("{s:b, s:b}", "analytics", (int)analytics, "personalization",
                              (int)personalization);
    json_t *answer = uplift_consent_set(uplift, "test", slice_of(id), input, &err);
    assert_string_equal(err.message, "");
    json_decref(input);
    return answer;
}

/* One of each type; which of them were refused, as bits: exposure 1, outcome 2, feedback 4. */
static unsigned send_one_of_each(struct uplift *uplift, const char *id)
{
    struct error err = {0};
    unsigned refused = 0;
    json_t *events = json_pack("[{s:s, s:s, s:s, s:s}, {s:s, s:s, s:s}, {s:s, s:s, s:s, s:i}]",
                               "type", "exposure", "customer", id, "experiment", "exp", "variant",
                               "a", "type", "outcome", "customer", id, "name", "order", "type",
                               "feedback", "customer", id, "survey", "nps", "score", 5);
    json_t *answer = uplift_events(uplift, events, &err), *row;
    assert_string_equal(err.message, "");
    json_decref(events);
    size_t i;
    json_array_foreach(json_object_get(answer, "rejected"), i, row)
    {
        refused |= 1u << json_integer_value(json_object_get(row, "index"));
        assert_non_null(
            strstr(json_string_value(json_object_get(row, "error")), "customer: has not"));
    }
    json_decref(answer);
    return refused;
}

static size_t kept(struct uplift *uplift, const char *id)
{
    struct error err = {0};
    json_t *page = uplift_customer_get(uplift, slice_of(id), slice_of(""), 1000, &err);
    size_t events = json_array_size(json_object_get(page, "events"));
    json_decref(page);
    return events;
}

static void test_consent__refuses_by_type(void **state)
{
    (void)state;
    static const struct {
        bool recorded, analytics, personalization;
        unsigned refused, refused_where_required;
    } cases[] = {{false, false, false, 0, 7},
                 {true, true, true, 0, 0},
                 {true, true, false, 1, 1},
                 {true, false, true, 7, 7},
                 {true, false, false, 7, 7}};
    for (size_t required = 0; required < 2; required++) {
        struct place place;
        begin(&place);
        reopen(&place, required);
        /* First who says nothing, while nobody refused; last the same again. */
        for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
            size_t c = i % (sizeof cases / sizeof *cases);
            char id[16];
            snprintf(id, sizeof id, "c-%zu", i);
            if (cases[c].recorded)
                json_decref(record(place.uplift, id, cases[c].analytics, cases[c].personalization));
            assert_int_equal(send_one_of_each(place.uplift, id),
                             required ? cases[c].refused_where_required : cases[c].refused);
        }
        end(&place);
    }
}

static void test_consent__withdrawal_erases(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    assert_int_equal(send_one_of_each(place.uplift, "c"), 0);
    assert_int_equal(kept(place.uplift, "c"), 3);
    json_decref(record(place.uplift, "c", true, false)); /* keeps what there is */
    assert_int_equal(kept(place.uplift, "c"), 3);
    json_t *answer = record(place.uplift, "c", false, false);
    json_t *erased = json_object_get(answer, "erased");
    assert_int_equal(json_integer_value(json_object_get(erased, "events")), 3);
    assert_int_equal(json_integer_value(json_object_get(erased, "units")), 1);
    json_decref(answer);
    assert_int_equal(kept(place.uplift, "c"), 0);
    assert_int_equal(send_one_of_each(place.uplift, "c"), 7);
    struct error err = {0};
    struct store_txn *txn = store_read(place.uplift->store, &err);
    assert_int_equal(store_count(txn, STORE_CUSTOMER), 0);
    assert_int_equal(store_count(txn, STORE_TALLY), 0);
    json_t *trail = audit_list(txn, 0, 3, &err);
    static const char *const actions[] = {"customer.erase", "customer.consent", "customer.consent"};
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(trail, i), "action")),
                            actions[i]);
    json_decref(trail);
    store_abort(&txn);
    end(&place);
}

/* A refusal outlives an erasure, a consent that was given does not. */
static void test_consent__and_erasure(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    begin(&place);
    json_decref(record(place.uplift, "no", true, false));
    send_one_of_each(place.uplift, "no");
    json_decref(uplift_customer_erase(place.uplift, "test", slice_of("no"), &err));
    assert_string_equal(err.message, "");
    assert_int_equal(send_one_of_each(place.uplift, "no"), 1);
    json_decref(record(place.uplift, "yes", true, true));
    json_decref(uplift_customer_erase(place.uplift, "test", slice_of("yes"), &err));
    assert_string_equal(err.message, "");
    json_t *consent = uplift_consent_get(place.uplift, slice_of("yes"), &err);
    assert_true(json_is_false(json_object_get(consent, "recorded")));
    json_decref(consent);
    assert_null(uplift_customer_erase(place.uplift, "test", slice_of("yes"), &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    end(&place);
}

static void test_consent__holds_over_restarts(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    assert_false(consent_matters(place.uplift));
    for (int i = 0; i < 2; i++) /* the second time is none more */
        json_decref(record(place.uplift, "one", false, true));
    json_decref(record(place.uplift, "two", true, false));
    reopen(&place, false);
    assert_true(consent_matters(place.uplift));
    assert_int_equal(send_one_of_each(place.uplift, "one"), 7);
    json_decref(record(place.uplift, "one", true, true));
    assert_true(consent_matters(place.uplift));
    json_decref(record(place.uplift, "two", true, true));
    assert_false(consent_matters(place.uplift));
    reopen(&place, false);
    assert_false(consent_matters(place.uplift));
    assert_int_equal(send_one_of_each(place.uplift, "one"), 0);
    end(&place);
}

static void test_consent__keeps_its_time(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    int64_t first = now;
    json_decref(record(place.uplift, "c", true, false));
    now += 5000;
    json_t *again = record(place.uplift, "c", true, false);
    int64_t at = -1;
    struct error err = {0};
    assert_true(json_read_time(again, JSON_TOP, "at", JSON_REQUIRED, &at, &err));
    assert_int_equal(at, first);
    json_decref(again);
    struct store_txn *txn = store_read(place.uplift->store, &err);
    json_t *trail = audit_list(txn, 0, 1000, &err), *row;
    size_t i, changes = 0;
    json_array_foreach(trail, i, row) changes +=
        strcmp(json_string_value(json_object_get(row, "action")), "customer.consent") == 0;
    assert_int_equal(changes, 1);
    json_decref(trail);
    store_abort(&txn);
    end(&place);
}

/* --- the race ------------------------------------------------------------------------------- */

/* Holds the writer up. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static bool run_gate(void *data, struct ingest_run *run, struct error *err)
{
    (void)data, (void)run, (void)err;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return true;
}

static void done_gate(void *data, const struct error *err)
{
    (void)data, (void)err;
}

static void *withdraw(void *data)
{
    json_decref(record(data, "c", false, false));
    return NULL;
}

struct said {
    pthread_mutex_t lock;
    json_t *answer;
};

static void hear(void *data, json_t *answer, const struct error *err)
{
    struct said *said = data;
    assert_int_equal(err->code, ERROR_NONE);
    pthread_mutex_lock(&said->lock);
    said->answer = answer;
    pthread_mutex_unlock(&said->lock);
}

/* Events that were read while the refusal was still on its way to the disk. */
static void test_consent__holds_for_events_under_way(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    struct said said = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct ingest_job job = {.run = run_gate, .done = done_gate, .alone = true};
    pthread_t thread;
    begin(&place);
    pthread_mutex_lock(&gate);
    assert_true(ingest_submit(place.uplift->ingest, &job, &err));
    pthread_create(&thread, NULL, withdraw, place.uplift);
    while (atomic_load(&ingest_figures(place.uplift->ingest)->waiting) == 0)
        usleep(1000);
    json_t *event =
        json_pack("[{s:s, s:s, s:s}]", "type", "outcome", "customer", "c", "name", "order");
    assert_true(uplift_events_submit(place.uplift, event, hear, &said, &err));
    pthread_mutex_unlock(&gate);
    pthread_join(thread, NULL);
    assert_int_equal(send_one_of_each(place.uplift, "c"), 7); /* behind the one under way */
    pthread_mutex_lock(&said.lock);
    assert_int_equal(json_integer_value(json_object_get(said.answer, "accepted")), 0);
    assert_int_equal(json_array_size(json_object_get(said.answer, "rejected")), 1);
    pthread_mutex_unlock(&said.lock);
    json_decref(said.answer);
    json_decref(event);
    assert_int_equal(kept(place.uplift, "c"), 0);
    end(&place);
}

/* Those refused come in the order of the batch, whatever refused them. */
static void test_consent__refuses_by_index(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    begin(&place);
    json_decref(record(place.uplift, "no", false, false));
    json_t *events =
        json_loads("[{\"type\": \"outcome\", \"customer\": \"no\", \"name\": \"x\"}, 5,"
                   " {\"type\": \"outcome\", \"customer\": \"yes\", \"name\": \"x\"},"
                   " {\"type\": \"outcome\", \"customer\": \"no\", \"name\": \"y\"}, {}]",
                   0, NULL);
    json_t *answer = uplift_events(place.uplift, events, &err), *rejected;
    rejected = json_object_get(answer, "rejected");
    static const int indexes[] = {0, 1, 3, 4};
    assert_int_equal(json_array_size(rejected), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(rejected, i), "index")),
                         indexes[i]);
    assert_int_equal(json_integer_value(json_object_get(answer, "accepted")), 1);
    json_decref(answer);
    json_decref(events);
    assert_int_equal(kept(place.uplift, "yes"), 1);
    end(&place);
}

/* --- damage ---------------------------------------------------------------------------------- */

static bool break_record(void *data, struct ingest_run *run, struct error *err)
{
    struct uplift *uplift = data;
    unsigned char digest[16];
    (void)err;
    customer_digest(uplift, slice_of("broken"), digest);
    store_put(run->txn, STORE_CONSENT, (struct slice){(const char *)digest, sizeof digest},
              slice_of("x"));
    customer_digest(uplift, slice_of("lost"), digest);
    store_delete(run->txn, STORE_CONSENT, (struct slice){(const char *)digest, sizeof digest});
    return true;
}

static void count_line(void *data, const char *line)
{
    (void)line;
    ++*(int *)data;
}

static bool run_repair(void *data, struct ingest_run *run, struct error *err)
{
    (void)err;
    return consent_damaged(run->txn, true, count_line, data) > 0;
}

static uint64_t count_damaged(struct uplift *uplift)
{
    struct error err = {0};
    int lines = 0;
    struct store_txn *txn = store_read(uplift->store, &err);
    uint64_t found = consent_damaged(txn, false, count_line, &lines);
    assert_int_equal(lines, found);
    store_abort(&txn);
    return found;
}

/* One that cannot be read is a refusal; one that is gone is noticed. */
static void test_consent__damage_is_noticed(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    int lines = 0;
    begin(&place);
    json_decref(record(place.uplift, "broken", true, true));
    json_decref(record(place.uplift, "lost", false, true));
    json_decref(record(place.uplift, "third", false, true));
    json_decref(record(place.uplift, "fourth", true, true));
    assert_int_equal(count_damaged(place.uplift), 0);
    assert_true(ingest_call(place.uplift->ingest, break_record, place.uplift, &err));
    assert_int_equal(count_damaged(place.uplift), 1); /* one refusal more, one less */
    json_decref(record(place.uplift, "third", true, true));
    assert_int_equal(send_one_of_each(place.uplift, "broken"), 7);
    assert_true(ingest_call(place.uplift->ingest, run_repair, &lines, &err));
    assert_int_equal(count_damaged(place.uplift), 0);
    reopen(&place, false);
    assert_int_equal(send_one_of_each(place.uplift, "broken"), 7);
    json_decref(record(place.uplift, "broken", true, true));
    assert_false(consent_matters(place.uplift));
    end(&place);
}

/* --- decisions ------------------------------------------------------------------------------ */

static const char *decide(struct uplift *uplift, const char *id, bool analytics,
                          bool personalization, int *variant)
{
    const struct consent consent = {analytics, personalization, true, now};
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct experiment *experiment = catalog_experiment(catalog, slice_of("exp"));
    json_t *trace = json_array();
    const struct assign_customer who = {.id = slice_of(id), .consent = &consent};
    struct assignment is = assign_decide(&who, experiment, trace);
    bool running = experiment->state == EXPERIMENT_RUNNING;
    json_t *step = json_array_get(trace, 1);
    assert_true(running ==
                (step && strcmp(json_string_value(json_object_get(step, "step")), "consent") == 0));
    if (running)
        assert_true(json_is_true(json_object_get(step, "passed")) ==
                    (analytics && personalization));
    assert_true(!is.in_experiment || (analytics && personalization));
    json_decref(trace);
    catalog_release(&uplift->catalog, catalog);
    *variant = is.variant;
    return assign_reason_word(is.reason);
}

static void change_state(struct uplift *uplift, enum experiment_step step, const char *options)
{
    struct error err = {0};
    json_t *given = json_loads(options, 0, NULL);
    json_decref(uplift_experiment_transition(uplift, &by_test, slice_of("exp"), step, given, &err));
    assert_string_equal(err.message, "");
    json_decref(given);
}

static void test_consent__without_it_the_control_is_shown(void **state)
{
    (void)state;
    struct place place;
    int variant;
    begin(&place);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "c-%d", i);
        assert_string_equal(decide(place.uplift, id, true, true, &variant), "assigned");
        assert_string_equal(decide(place.uplift, id, true, false, &variant), "consent");
        assert_int_equal(variant, 0);
        assert_string_equal(decide(place.uplift, id, false, true, &variant), "consent");
        assert_int_equal(variant, 0);
    }
    assert_string_equal(decide(place.uplift, "qa", true, true, &variant), "override");
    assert_string_equal(decide(place.uplift, "qa", true, false, &variant), "consent");
    change_state(place.uplift, STEP_PAUSE, "{}");
    assert_string_equal(decide(place.uplift, "c", false, false, &variant), "paused");
    change_state(place.uplift, STEP_STOP, "{\"winner\": \"b\"}");
    assert_string_equal(decide(place.uplift, "c", false, false, &variant), "winner");
    assert_int_equal(variant, 1); /* no experiment any more */
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_consent__refuses_by_type),
        cmocka_unit_test(test_consent__withdrawal_erases),
        cmocka_unit_test(test_consent__and_erasure),
        cmocka_unit_test(test_consent__holds_over_restarts),
        cmocka_unit_test(test_consent__keeps_its_time),
        cmocka_unit_test(test_consent__holds_for_events_under_way),
        cmocka_unit_test(test_consent__refuses_by_index),
        cmocka_unit_test(test_consent__damage_is_noticed),
        cmocka_unit_test(test_consent__without_it_the_control_is_shown),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("consent", tests, NULL, NULL);
}
