/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replay: every look of a random life is made once more from history, whatever the design, over
 * epochs, phases, changed metrics, restarts and a clock that is set back. A changed event, a
 * changed trail and an erased customer are told. UPLIFT_REPLAY_LIVES: how many lives of each design
 * (1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/customer.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/ledger_parts.h"
#include "core/replay.h"
#include "core/retention.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static const int64_t start = INT64_C(1790000000000);
static const struct definition_change anyhow = {.who = "test", .at = -1};
static int64_t now;
static char folder[FOLDER_MAX];
static struct uplift *uplift;
static unsigned short seed[3];
static int sent;

static int64_t told_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock told_clock = {.now = told_now};

static int below(int most)
{
    return (int)(nrand48(seed) % most);
}

static void open_uplift(void)
{
    struct error err = {0};
    uplift = uplift_open(folder, &told_clock, &err);
    assert_string_equal(err.message, "");
}

static int make_folder(void **state)
{
    (void)state;
    now = start;
    sent = 0;
    if (!folder_make(folder))
        return -1;
    open_uplift();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    uplift_close(&uplift);
    return folder_remove(folder) ? 0 : -1;
}

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void made(json_t *json, const struct error *err)
{
    assert_string_equal(err->message, "");
    assert_non_null(json);
    json_decref(json);
}

/* --- a life --------------------------------------------------------------------------------- */

static const char *const metrics[] = {
    "{\"key\": \"buy\", \"kind\": \"binary\", \"event\": \"order\", \"covariate_days\": 7}",
    ("{\"key\": \"revenue\", \"kind\": \"mean\", \"event\": \"order\", \"window_days\": 5,"
     " \"covariate_days\": 3, \"unit_value\": 1}"),
    "{\"key\": \"capped\", \"kind\": \"mean\", \"event\": \"order\", \"cap_percentile\": 95}",
    "{\"key\": \"median\", \"kind\": \"quantile\", \"event\": \"order\", \"quantile\": 0.5}",
    "{\"key\": \"basket\", \"kind\": \"ratio\", \"event\": \"order\", \"denominator\": \"visit\"}",
    "{\"key\": \"visits\", \"kind\": \"count\", \"event\": \"visit\", \"margin\": 0.1}",
    "{\"key\": \"nps\", \"kind\": \"nps\", \"event\": \"nps\", \"margin\": 5}",
    "{\"key\": \"csat\", \"kind\": \"csat\", \"event\": \"csat\", \"margin\": 3}",
};

static void define(const char *design, bool exact)
{
    static const char *const uses[] = {
        "{\"primary\": [\"buy\", \"revenue\"], \"guardrail\": [\"visits\", \"nps\"],"
        " \"secondary\": [\"capped\", \"median\", \"basket\", \"csat\"]}",
        "{\"primary\": [\"buy\"], \"guardrail\": [\"nps\"], \"secondary\": [\"csat\"]}"};
    struct error err = {0};
    char text[1000];
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        json_t *metric = parse(metrics[i]);
        made(uplift_metric_create(uplift, &anyhow, metric, &err), &err);
        json_decref(metric);
    }
    snprintf(text, sizeof text,
             "{\"key\": \"exp\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}, {\"key\": "
             "\"c\"}], \"traffic\": 0.5, \"segments\": [\"device\", \"age\"], \"metrics\": %s, "
             "\"design\": %s}",
             uses[exact], design);
    json_t *experiment = parse(text);
    made(uplift_experiment_create(uplift, &anyhow, experiment, &err), &err);
    json_decref(experiment);
    made(uplift_experiment_transition(uplift, &anyhow, slice_of("exp"), STEP_START, NULL, &err),
         &err);
}

static json_t *random_exposure(const char *customer, int who)
{
    static const char *const variants[] = {"a", "b", "c"};
    static const char *const devices[] = {"ios", "web", "1"};
    int variant = below(300) ? who % 3 : below(3);
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:i}}", "type", "exposure", "customer", customer,
                     "experiment", "exp", "variant", variants[variant], "attributes", "device",
                     devices[below(3)], "age", below(3));
}

static json_t *random_event(void)
{
    char customer[16], id[16];
    int who = below(400), kind = below(10);
    snprintf(customer, sizeof customer, "c-%d", who);
    snprintf(id, sizeof id, "e-%d", below(20) ? sent++ : below(sent + 1));
    json_t *event =
        kind < 4   ? random_exposure(customer, who)
        : kind < 8 ? json_pack("{s:s, s:s, s:s, s:f}", "type", "outcome", "customer", customer,
                               "name", kind < 6 ? "order" : "visit", "value",
                               (double)(below(100000) + who % 3 * 3000) / 700)
                   : json_pack("{s:s, s:s, s:s, s:i}", "type", "feedback", "customer", customer,
                               "survey", kind == 8 ? "nps" : "csat", "score", 1 + below(5));
    json_object_set_new(event, "id", json_string(id));
    if (!below(100)) /* is refused, and health tells how many were */
        json_object_set_new(event, "typo", json_true());
    if (below(3))
        json_object_set_new(event, "at", json_integer(now - below(3) * below(2000) * 1000 + 60000));
    return event;
}

static void send_some(int count)
{
    struct error err = {0};
    json_t *events = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(events, random_event());
    made(uplift_events(uplift, events, &err), &err);
    json_decref(events);
}

static void look(void)
{
    struct error err = {0};
    made(analysis_look(uplift, slice_of("exp"), &err), &err);
}

static void amend_metric(const char *key, const char *text)
{
    struct error err = {0};
    json_t *metric = parse(text);
    made(uplift_metric_amend(uplift, &anyhow, slice_of(key), metric, &err), &err);
    json_decref(metric);
    while (atomic_load(&uplift->rebuild.running)) {
        const struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
}

static void patch(const char *text)
{
    struct error err = {0};
    json_t *json = parse(text);
    made(uplift_experiment_patch(uplift, &anyhow, slice_of("exp"), json, &err), &err);
    json_decref(json);
}

static void happen(int day, bool exact)
{
    struct error err = {0};
    switch (day) {
    case 2:
        patch("{\"traffic\": 1, \"name\": \"ramped\"}");
        break;
    case 4:
        amend_metric("buy", "{\"key\": \"buy\", \"kind\": \"binary\", \"event\": \"visit\"}");
        break;
    case 5:
        now -= 7 * WHEN_HOUR; /* and a restart */
        uplift_close(&uplift);
        open_uplift();
        break;
    case 6:
        if (!exact)
            patch("{\"metrics\": {\"secondary\": [\"capped\", \"basket\"]}, \"segments\": "
                  "[\"device\"]}");
        break;
    case 9:
        made(uplift_experiment_transition(uplift, &anyhow, slice_of("exp"), STEP_NEW_PHASE, NULL,
                                          &err),
             &err);
        break;
    case 12:
        made(uplift_experiment_transition(uplift, &anyhow, slice_of("exp"), STEP_STOP, NULL, &err),
             &err);
        break;
    default:
        break;
    }
}

static void live(const char *design, bool exact)
{
    define(design, exact);
    for (int day = 0; day < 14; day++) {
        happen(day, exact);
        for (int round = 0; round < 1 + below(2); round++) {
            send_some(1 + below(250));
            look(); /* of the moment, so in the middle of a millisecond */
            send_some(1 + below(50));
            now += below(4 * (int)WHEN_HOUR);
            look();
        }
        now += WHEN_DAY - 8 * WHEN_HOUR;
    }
}

/* --- replaying ------------------------------------------------------------------------------ */

struct tally_of_looks {
    int same, different, impossible;
    char pointer[200], why[200]; /* of the last one that was not the same */
};

static void tell(void *data, const struct replay_told *told)
{
    struct tally_of_looks *looks = data;
    looks->same += told->outcome == REPLAY_SAME;
    looks->different += told->outcome == REPLAY_DIFFERENT;
    looks->impossible += told->outcome == REPLAY_IMPOSSIBLE;
    if (told->outcome == REPLAY_SAME)
        return;
    snprintf(looks->pointer, sizeof looks->pointer, "%s", told->pointer);
    snprintf(looks->why, sizeof looks->why, "%s", told->why);
}

static struct tally_of_looks replay_all(int phase, int64_t until, bool all)
{
    struct error err = {0};
    struct tally_of_looks looks = {.same = 0};
    const struct replay_options options = {
        .experiment = slice_of("exp"), .phase = phase, .until = until, .all = all};
    struct store_txn *txn = store_read(uplift->store, &err);
    assert_true(replay(txn, &options, tell, NULL, &looks, &err));
    store_abort(&txn);
    if (looks.different + looks.impossible)
        print_message("# %s %s\n", looks.pointer, looks.why);
    return looks;
}

static void assert_same(const char *design, bool exact)
{
    const char *wanted = getenv("UPLIFT_REPLAY_LIVES");
    int lives = wanted ? (int)strtol(wanted, NULL, 10) : 1;
    for (int life = 0; life < lives; life++) {
        print_message("# seed %hu %hu %hu, %s\n", seed[0], seed[1], seed[2], design);
        if (life > 0) {
            remove_folder(NULL);
            make_folder(NULL);
        }
        live(design, exact);
        for (int phase = 1; phase <= 2; phase++) {
            struct tally_of_looks looks = replay_all(phase, INT64_MAX, true);
            assert_int_equal(looks.different + looks.impossible, 0);
            assert_true(looks.same >= 3);
        }
    }
}

#define LIFE(name, exact, design)                                                                  \
    static void test_replay__is_the_same_##name(void **state)                                      \
    {                                                                                              \
        (void)state;                                                                               \
        assert_same(design, exact);                                                                \
    }
LIFE(sequential, false, "{}")
LIFE(scheduled, false,
     "{\"method\": \"scheduled\", \"looks\": [2, 4, 7], \"horizon\": 300, \"min_days\": 1}")
LIFE(msprt, false, "{\"method\": \"msprt\"}")
LIFE(bayesian, false, "{\"method\": \"bayesian\"}")
LIFE(
    fixed, false,
    "{\"method\": \"fixed\", \"best_arm\": true, \"effect\": \"absolute\", \"correction\": \"bh\"}")
LIFE(exact, true, "{\"method\": \"exact\", \"effect\": \"absolute\"}")

static void test_replay__of_one_moment(void **state)
{
    (void)state;
    struct error err = {0};
    live("{}", false);
    struct tally_of_looks looks = replay_all(1, start + 3 * WHEN_DAY, false);
    assert_int_equal(looks.same, 1);
    looks = replay_all(0, INT64_MAX, false);
    assert_int_equal(looks.same, 1);
    struct store_txn *txn = store_read(uplift->store, &err);
    struct replay_options options = {.experiment = slice_of("exp"), .until = start};
    assert_false(replay(txn, &options, tell, NULL, &looks, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    err = (struct error){0};
    options = (struct replay_options){slice_of("exp"), 3, INT64_MAX, false};
    assert_false(replay(txn, &options, tell, NULL, &looks, &err));
    assert_string_equal(err.message, "there was no phase 3");
    err = (struct error){0};
    options = (struct replay_options){slice_of("none"), 0, INT64_MAX, false};
    assert_false(replay(txn, &options, tell, NULL, &looks, &err));
    assert_string_equal(err.message, "there is no experiment 'none'");
    store_abort(&txn);
}

/* --- what was done to it -------------------------------------------------------------------- */

/* Adds a little to the value of one order of an exposed customer. */
static bool change_value(void *data, struct ingest_run *run, struct error *err)
{
    struct store_key key = ledger_key(
        ledger_customer_number(run->txn, uplift->secret, slice_of("rich"), false), LEDGER_EVENT);
    struct store_cursor *cursor = store_walk(run->txn, STORE_CUSTOMER, key_slice(&key), NO_SLICE);
    struct slice found, record;
    struct event event = {.type = EVENT_EXPOSURE};
    struct arena arena = {0};
    struct text text;
    (void)data;
    (void)err;
    while (event.type != EVENT_OUTCOME && store_next(cursor, &found, &record))
        assert_true(event_decode(arena_slice(&arena, record), &event));
    assert_int_equal(event.type, EVENT_OUTCOME);
    key.len = 0;
    key_bytes(&key, found);
    store_walk_end(&cursor);
    text_init(&text, LEDGER_RECORD_MAX);
    event.value += 1e-6;
    assert_true(event_encode(&event, &text));
    store_put(run->txn, STORE_CUSTOMER, key_slice(&key), (struct slice){text.ptr, text.len});
    text_release(&text);
    arena_release(&arena);
    return true;
}

static void come_rich(void)
{
    struct error err = {0};
    json_t *events = parse("[{\"type\": \"exposure\", \"customer\": \"rich\", \"experiment\": "
                           "\"exp\", \"variant\": \"a\"},"
                           "{\"type\": \"outcome\", \"customer\": \"rich\", \"name\": \"order\", "
                           "\"value\": 100}]");
    made(uplift_events(uplift, events, &err), &err);
    json_decref(events);
}

static void test_replay__tells_of_one_changed_value(void **state)
{
    (void)state;
    struct error err = {0};
    define("{}", false);
    send_some(500);
    look();
    now += WHEN_DAY;
    come_rich();
    look();
    assert_int_equal(replay_all(0, INT64_MAX, true).same, 2);
    assert_true(ingest_call(uplift->ingest, change_value, NULL, &err));
    struct tally_of_looks looks = replay_all(0, INT64_MAX, true);
    assert_int_equal(looks.same, 1); /* what came later does not matter to it */
    assert_int_equal(looks.different, 1);
    assert_string_equal(looks.pointer, "/metrics/1/arms/0/mean");
    assert_string_equal(looks.why, "");
}

static void test_replay__tells_of_an_erasure_since(void **state)
{
    (void)state;
    struct error err = {0};
    define("{}", false);
    come_rich();
    send_some(500);
    look();
    now += WHEN_DAY;
    made(uplift_customer_erase(uplift, "test", slice_of("rich"), &err), &err);
    look();
    struct tally_of_looks looks = replay_all(0, INT64_MAX, true);
    assert_int_equal(looks.same, 1);
    assert_int_equal(looks.different, 1);
    assert_non_null(strstr(looks.why, "a customer was erased (row "));
}

/* What is sealed is taken as it stands, which is what later looks saw; earlier ones saw less of it.
 */
static void test_replay__over_dropped_history(void **state)
{
    (void)state;
    struct error err = {0};
    bool more = true;
    define("{}", false);
    for (int day = 0; day < 4; day++) {
        send_some(200);
        look();
        now += WHEN_DAY;
    }
    now = start + 80 * WHEN_DAY;
    look();
    assert_true(retention_keep_at_once(uplift, 1, 100, &more, &err));
    assert_false(more);
    now += WHEN_DAY;
    send_some(100);
    look();
    now += WHEN_DAY;
    look();
    struct tally_of_looks looks = replay_all(0, INT64_MAX, true);
    assert_true(looks.same >= 2 && looks.different >= 3);
    assert_non_null(strstr(looks.why, " units were sealed, history was dropped (row "));
    assert_int_equal(replay_all(0, INT64_MAX, false).same, 1);
}

static bool cut_trail(void *data, struct ingest_run *run, struct error *err)
{
    struct slice last, value;
    struct store_key key = {0};
    (void)data;
    (void)err;
    for (int i = 0; i < 3; i++) {
        assert_true(store_last(run->txn, STORE_AUDIT, NO_SLICE, &last, &value));
        key.len = 0;
        key_bytes(&key, last);
        store_delete(run->txn, STORE_AUDIT, key_slice(&key));
    }
    return true;
}

static bool change_trail(void *data, struct ingest_run *run, struct error *err)
{
    struct slice last, value;
    struct store_key key = {0};
    char bytes[4096];
    (void)data;
    (void)err;
    assert_true(store_last(run->txn, STORE_AUDIT, NO_SLICE, &last, &value) && value.len < 4096);
    key_bytes(&key, last);
    memcpy(bytes, value.ptr, value.len);
    bytes[value.len - 3] ^= 1;
    store_put(run->txn, STORE_AUDIT, key_slice(&key), (struct slice){bytes, value.len});
    return true;
}

static void test_replay__needs_a_whole_trail(void **state)
{
    (void)state;
    struct error err = {0};
    struct tally_of_looks looks;
    define("{}", false);
    send_some(300);
    look();
    assert_true(ingest_call(uplift->ingest, cut_trail, NULL, &err));
    looks = replay_all(0, INT64_MAX, true);
    assert_int_equal(looks.impossible, 1);
    assert_string_equal(looks.why, "the trail does not reach to it: rows were cut off");
    patch("{\"name\": \"x\"}");
    patch("{\"name\": \"y\"}");
    looks = replay_all(0, INT64_MAX, true);
    assert_int_equal(looks.impossible, 1);
    assert_string_equal(looks.why, "the trail was another one when it was taken");
    assert_true(ingest_call(uplift->ingest, change_trail, NULL, &err));
    struct store_txn *txn = store_read(uplift->store, &err);
    const struct replay_options options = {.experiment = slice_of("exp"), .until = INT64_MAX};
    assert_false(replay(txn, &options, tell, NULL, &looks, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    store_abort(&txn);
}

#define each(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const char *wanted = getenv("UPLIFT_SEED");
    seed[0] = (unsigned short)(wanted ? strtol(wanted, NULL, 10) : (long)time(NULL));
    const struct CMUnitTest tests[] = {
        each(test_replay__is_the_same_sequential),
        each(test_replay__is_the_same_scheduled),
        each(test_replay__is_the_same_msprt),
        each(test_replay__is_the_same_bayesian),
        each(test_replay__is_the_same_fixed),
        each(test_replay__is_the_same_exact),
        each(test_replay__of_one_moment),
        each(test_replay__over_dropped_history),
        each(test_replay__tells_of_one_changed_value),
        each(test_replay__tells_of_an_erasure_since),
        each(test_replay__needs_a_whole_trail),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
