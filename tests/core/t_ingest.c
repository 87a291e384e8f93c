/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ingest: jobs run in the order of arrival and are answered after the commit; what waits together
 * shares one; a full queue says so; stopping runs what waits. And events through it: refusals by
 * index, duplicates of every kind. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/customer.h"
#include "core/definitions.h"
#include "core/ingest.h"
#include "core/ledger.h"
#include "core/recount.h"
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
    now = start + 10 * WHEN_DAY;
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

/* --- the queue ------------------------------------------------------------------------------ */

/* Holds the writer until it is opened, so that what comes meanwhile waits together. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool inside, open;
};

static bool run_gate(void *data, struct ingest_run *run, struct error *err)
{
    struct gate *gate = data;
    (void)run;
    (void)err;
    pthread_mutex_lock(&gate->lock);
    gate->inside = true;
    pthread_cond_broadcast(&gate->change);
    while (!gate->open)
        pthread_cond_wait(&gate->change, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return true;
}

static void ignore_done(void *data, const struct error *err)
{
    (void)data;
    (void)err;
}

static void shut_with(struct ingest *ingest, struct gate *gate, struct ingest_job *job,
                      size_t weight)
{
    struct error err = {0};
    *gate = (struct gate){.open = false};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->change, NULL);
    *job = (struct ingest_job){
        .run = run_gate, .done = ignore_done, .data = gate, .alone = true, .weight = weight};
    assert_true(ingest_submit(ingest, job, &err));
    pthread_mutex_lock(&gate->lock);
    while (!gate->inside)
        pthread_cond_wait(&gate->change, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void shut(struct ingest *ingest, struct gate *gate, struct ingest_job *job)
{
    shut_with(ingest, gate, job, 1);
}

static void release(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->change);
    pthread_mutex_unlock(&gate->lock);
}

enum { JOBS = 30 };

struct item {
    struct ingest_job job;
    struct store *store;
    char key[16];
    int *order; /* next number of a run */
    int ran_as;
    bool fails, was_on_disk, done;
    enum error_code code;
};

static bool run_item(void *data, struct ingest_run *run, struct error *err)
{
    struct item *item = data;
    item->ran_as = (*item->order)++;
    store_put(run->txn, STORE_META, slice_of(item->key), slice_of("1"));
    return !item->fails || error_set(err, ERROR_CONFLICT, NULL, "on purpose");
}

static bool on_disk(struct store *store, const char *key)
{
    struct error err = {0};
    struct store_txn *txn = store_read(store, &err);
    bool is = store_get(txn, STORE_META, slice_of(key), NULL);
    store_abort(&txn);
    return is;
}

static void item_done(void *data, const struct error *err)
{
    struct item *item = data;
    item->code = err->code;
    item->was_on_disk = on_disk(item->store, item->key);
    item->done = true;
}

static void make_items(struct item items[JOBS], struct store *store, int *order)
{
    for (int i = 0; i < JOBS; i++) {
        struct item *item = &items[i];
        *item = (struct item){.store = store, .order = order, .ran_as = -1};
        snprintf(item->key, sizeof item->key, "row-%d", i);
        item->job = (struct ingest_job){
            .run = run_item, .done = item_done, .data = item, .weight = 1, .alone = false};
    }
}

static void test_ingest__shares_commits_and_answers_after_them(void **state)
{
    (void)state;
    struct error err = {0};
    struct gate gate;
    struct ingest_job gate_job;
    struct item items[JOBS];
    int order = 0;
    struct store *store = store_open(folder, 0, &err);
    struct ingest *ingest = ingest_start(store, &fixed_clock, 0, &err);
    make_items(items, store, &order);
    items[10].job.alone = true;
    items[20].job.alone = items[20].fails = true;
    shut(ingest, &gate, &gate_job);
    for (int i = 0; i < JOBS; i++)
        assert_true(ingest_submit(ingest, &items[i].job, &err));
    assert_int_equal(atomic_load(&ingest_figures(ingest)->waiting), JOBS + 1);
    assert_int_equal(histogram_count(&ingest_figures(ingest)->commits), 0);
    release(&gate);
    ingest_stop(&ingest); /* runs what waits */
    assert_null(ingest);
    for (int i = 0; i < JOBS; i++) {
        assert_true(items[i].done);
        assert_int_equal(items[i].ran_as, i);
        assert_int_equal(items[i].code, i == 20 ? ERROR_CONFLICT : ERROR_NONE);
        assert_int_equal(items[i].was_on_disk, i != 20);
    }
    store_close(&store);
}

static void test_ingest__one_commit_for_what_waits_together(void **state)
{
    (void)state;
    struct error err = {0};
    struct gate gate;
    struct ingest_job gate_job;
    struct item items[JOBS];
    int order = 0;
    struct store *store = store_open(folder, 0, &err);
    struct ingest *ingest = ingest_start(store, &fixed_clock, 0, &err);
    make_items(items, store, &order);
    shut(ingest, &gate, &gate_job);
    for (int i = 0; i < JOBS; i++)
        assert_true(ingest_submit(ingest, &items[i].job, &err));
    release(&gate);
    while (atomic_load(&ingest_figures(ingest)->waiting) > 0)
        usleep(1000);
    assert_int_equal(histogram_count(&ingest_figures(ingest)->commits),
                     2); /* the gate, and all of them */
    ingest_stop(&ingest);
    store_close(&store);
}

static void test_ingest__a_full_queue_says_so(void **state)
{
    (void)state;
    struct error err = {0};
    struct gate gate;
    struct ingest_job gate_job;
    struct item items[JOBS];
    int order = 0;
    struct store *store = store_open(folder, 0, &err);
    struct ingest *ingest = ingest_start(store, &fixed_clock, 5, &err);
    make_items(items, store, &order);
    shut(ingest, &gate, &gate_job);
    for (int i = 0; i < 4; i++)
        assert_true(ingest_submit(ingest, &items[i].job, &err));
    assert_false(ingest_submit(ingest, &items[4].job, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    release(&gate);
    while (atomic_load(&ingest_figures(ingest)->waiting) > 0)
        usleep(1000);
    error_clear(&err);
    items[5].job.weight = 1000; /* more than the bound: taken where nothing else waits */
    assert_true(ingest_submit(ingest, &items[5].job, &err));
    ingest_stop(&ingest);
    assert_false(items[4].done);
    assert_true(items[3].done && items[5].done);
    store_close(&store);
}

/* A rebuild must not be lost half done. */
static void test_ingest__what_has_no_weight_finds_room(void **state)
{
    (void)state;
    struct error err = {0};
    struct gate gate;
    struct ingest_job gate_job;
    struct item items[JOBS];
    int order = 0;
    struct store *store = store_open(folder, 0, &err);
    struct ingest *ingest = ingest_start(store, &fixed_clock, 5, &err);
    make_items(items, store, &order);
    shut_with(ingest, &gate, &gate_job, 1000);
    assert_false(ingest_submit(ingest, &items[0].job, &err));
    items[1].job.weight = 0;
    error_clear(&err);
    assert_true(ingest_submit(ingest, &items[1].job, &err));
    release(&gate);
    ingest_stop(&ingest);
    assert_true(items[1].done && !items[0].done);
    store_close(&store);
}

static bool refuse(void *data, struct ingest_run *run, struct error *err)
{
    store_put(run->txn, STORE_META, slice_of("refused"), slice_of("1"));
    return error_set(err, ERROR_CONFLICT, "there", "as %s asked", (const char *)data);
}

static void test_ingest__a_refused_call_leaves_no_trace(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *store = store_open(folder, 0, &err);
    struct ingest *ingest = ingest_start(store, &fixed_clock, 0, &err);
    char who[] = "you";
    assert_false(ingest_call(ingest, refuse, who, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_string_equal(err.place, "there");
    assert_string_equal(err.message, "as you asked");
    assert_false(on_disk(store, "refused"));
    ingest_stop(&ingest);
    store_close(&store);
}

/* --- events --------------------------------------------------------------------------------- */

static struct uplift *open_uplift(void)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &fixed_clock, &err);
    assert_string_equal(err.message, "");
    return uplift;
}

static json_t *send(struct uplift *uplift, const char *text)
{
    struct error err = {0};
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    json_t *answer = uplift_events(uplift, body, &err);
    assert_string_equal(err.message, "");
    json_decref(body);
    return answer;
}

static void assert_answer(struct uplift *uplift, const char *text, int accepted, int duplicates,
                          const char *rejected)
{
    json_t *answer = send(uplift, text);
    json_t *list = json_loads(rejected, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(answer, "accepted")), accepted);
    assert_int_equal(json_integer_value(json_object_get(answer, "duplicates")), duplicates);
    if (!json_equal(json_object_get(answer, "rejected"), list)) {
        char *shown = json_dumps(answer, 0);
        print_message("# %s\n", shown);
        free(shown);
    }
    assert_true(json_equal(json_object_get(answer, "rejected"), list));
    json_decref(list);
    json_decref(answer);
}

static void define(struct uplift *uplift)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = start};
    json_t *metric =
        json_loads("{\"key\": \"m\", \"kind\": \"binary\", \"event\": \"o\"}", 0, NULL);
    json_decref(uplift_metric_create(uplift, &change, metric, &err));
    json_decref(metric);
    for (int i = 0; i < 2; i++) {
        json_t *input = json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:[s]}}", "key", i ? "draft" : "exp",
                                  "variants", "key", "a", "key", "b", "metrics", "primary", "m");
        json_decref(uplift_experiment_create(uplift, &change, input, &err));
        json_decref(input);
    }
    json_decref(
        uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    assert_string_equal(err.message, "");
}

#define O(customer, rest)                                                                          \
    "{\"type\": \"outcome\", \"name\": \"o\", \"customer\": \"" customer "\"" rest "}"
#define X(experiment, variant)                                                                     \
    "{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"" experiment                  \
    "\", \"variant\": \"" variant "\"}"

static void test_events__refusals_by_index_and_the_others_go_on(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    define(uplift);
    assert_answer(uplift,
                  "[" O("c", "") ", 5, " O("c", ", \"value\": \"x\"") ", " X("none", "a") ", " X(
                      "draft", "a") ", " X("exp", "c") ", " X("exp", "b") "]",
                  2, 0,
                  "[{\"index\": 1, \"error\": \"must be an object\"},"
                  " {\"index\": 2, \"error\": \"value: must be a finite number\"},"
                  " {\"index\": 3, \"error\": \"experiment: there is no experiment 'none'\"},"
                  " {\"index\": 4, \"error\": \"experiment: 'draft' has not been started\"},"
                  " {\"index\": 5, \"error\": \"variant: 'exp' has no variant 'c'\"}]");
    assert_answer(uplift, "[]", 0, 0, "[]");
    assert_answer(uplift, O("one", ""), 1, 0, "[]");
    assert_answer(uplift, "{\"batch\": [" O("two", "") "]}", 1, 0, "[]");
    uplift_close(&uplift);
}

static void test_events__a_body_that_is_none_is_refused_whole(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    static const char *const bodies[] = {"5", "\"x\"", "null", "{\"batch\": 5}"};
    for (size_t i = 0; i < 4; i++) {
        struct error err = {0};
        json_t *body = json_loads(bodies[i], JSON_DECODE_ANY, NULL);
        assert_null(uplift_events(uplift, body, &err));
        assert_int_equal(err.code, ERROR_INVALID);
        json_decref(body);
    }
    struct error err = {0};
    json_t *many = json_array();
    for (int i = 0; i <= UPLIFT_EVENTS_MAX; i++)
        json_array_append_new(many, json_null());
    assert_null(uplift_events(uplift, many, &err));
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    json_decref(many);
    uplift_close(&uplift);
}

static void test_events__of_other_tools_are_taken(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    define(uplift);
    assert_answer(
        uplift,
        "{\"sentAt\": 1790000000000, \"batch\": [{\"type\": \"track\", \"event\": "
        "\"Experiment Viewed\", \"userId\": \"c\", \"messageId\": \"1\", \"timestamp\": "
        "1790000000000, \"properties\": {\"experiment_id\": \"exp\", \"variation_id\": "
        "\"a\"}}, {\"type\": \"track\", \"event\": \"o\", \"userId\": \"c\", \"messageId\": "
        "\"2\", \"timestamp\": 1790000000500}, {\"type\": \"identify\", \"userId\": \"c\"}]}",
        2, 0, "[{\"index\": 2, \"error\": \"type: must be one of exposure, outcome, feedback\"}]");
    struct error err = {0};
    json_t *body = json_pack("{s:s, s:[]}", "sentAt", "soon", "batch");
    assert_null(uplift_events(uplift, body, &err));
    assert_string_equal(err.place, "sentAt");
    json_decref(body);
    uplift_close(&uplift);
}

/* When it is sent again, its time is corrected by another clock, or by other milliseconds on the
 * way: it is known by its id. */
static void test_events__of_other_tools_are_known_when_sent_again(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    define(uplift);
    static const char *const bodies[] = {
        "{\"sentAt\": 1789999990000, \"batch\": [{\"type\": \"track\", \"event\": \"o\", "
        "\"userId\":"
        " \"c\", \"messageId\": \"1\", \"timestamp\": 1789999980000}]}",
        "{\"sentAt\": 1789999995000, \"batch\": [{\"type\": \"track\", \"event\": \"o\", "
        "\"userId\":"
        " \"c\", \"messageId\": \"1\", \"timestamp\": 1789999980000}]}"};
    assert_answer(uplift, bodies[0], 1, 0, "[]");
    assert_answer(uplift, bodies[1], 0, 1, "[]");
    now += WHEN_HOUR;
    assert_answer(uplift, bodies[0], 0, 1, "[]");
    assert_answer(uplift, bodies[1], 0, 1, "[]");
    /* Once erased, it is as new. */
    struct error err = {0};
    json_decref(uplift_customer_erase(uplift, "test", slice_of("c"), &err));
    struct store_txn *txn = store_read(uplift->store, &err);
    assert_int_equal(store_count(txn, STORE_SEEN), 0);
    store_abort(&txn);
    uplift_close(&uplift);
}

static void test_events__duplicates_of_every_kind(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    const char *timed = O("c", ", \"id\": \"i\", \"at\": 1790000000000");
    const char *content = O("c", ", \"value\": 3, \"at\": 1790000000000");
    const char *untimed = O("c", ", \"id\": \"j\"");
    const char *bare = O("c", ", \"value\": 4");
    const char *all[] = {timed, content, untimed, bare};
    for (size_t i = 0; i < 4; i++)
        assert_answer(uplift, all[i], 1, 0, "[]");
    now += WHEN_HOUR;
    for (size_t i = 0; i < 4; i++)
        assert_answer(uplift, all[i], 0, 1, "[]");
    /* In one batch, over a restart, and another that merely looks alike. */
    assert_answer(uplift, "[" O("d", ", \"id\": \"j\"") ", " O("d", ", \"id\": \"j\"") "]", 1, 1,
                  "[]");
    assert_answer(uplift, O("c", ", \"value\": 3, \"at\": 1790000000001"), 1, 0, "[]");
    uplift_close(&uplift);
    uplift = open_uplift();
    for (size_t i = 0; i < 4; i++)
        assert_answer(uplift, all[i], 0, 1, "[]");
    /* After the seven days only those with a time are known. */
    now += 7 * WHEN_DAY;
    for (size_t i = 0; i < 4; i++)
        assert_answer(uplift, all[i], i >= 2, i < 2, "[]");
    uplift_close(&uplift);
}

/* --- what was counted before ---------------------------------------------------------------- */

static void show(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

static void assert_checked(struct uplift *uplift)
{
    struct error err = {0};
    uint64_t differences = 1;
    assert_true(folder_settled(uplift));
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(ledger_check(txn, catalog, show, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
}

/* Within one millisecond: an exposure that was counted, then the end of the phase. */
static void test_rebuild__a_stop_that_reaches_back_counts_anew(void **state)
{
    (void)state;
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    struct uplift *uplift = open_uplift();
    define(uplift);
    assert_answer(uplift, X("exp", "a"), 1, 0, "[]");
    json_decref(
        uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_STOP, NULL, &err));
    assert_string_equal(err.message, "");
    assert_checked(uplift);
    uplift_close(&uplift);
}

/* Begun again where closing (as a crash would) cut it off. */
static void test_rebuild__one_cut_off_is_begun_again(void **state)
{
    (void)state;
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    struct uplift *uplift = open_uplift();
    define(uplift);
    json_t *batch = json_array();
    for (int i = 0; i < 9000; i++) {
        char customer[16];
        snprintf(customer, sizeof customer, "c-%d", i);
        json_array_append_new(batch, json_pack("{s:s, s:s, s:s, s:s}", "type", "exposure",
                                               "customer", customer, "experiment", "exp", "variant",
                                               i % 2 ? "a" : "b"));
    }
    json_decref(uplift_events(uplift, batch, &err));
    json_decref(batch);
    json_t *input = json_pack("{s:s, s:s, s:s}", "key", "m", "kind", "binary", "event", "other");
    json_decref(uplift_metric_amend(uplift, &change, slice_of("m"), input, &err));
    json_decref(input);
    assert_string_equal(err.message, "");
    uplift_close(&uplift);
    uplift = open_uplift();
    assert_checked(uplift);
    uplift_close(&uplift);
}

#define each(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

/* --- damage --------------------------------------------------------------------------------- */

/* Overwrites the value of the first row of a table with one byte. */
static void damage(enum store_table table)
{
    struct error err = {0};
    struct store *store = store_open(folder, 0, &err);
    struct store_txn *txn = store_write(store, &err);
    struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
    struct slice key, value;
    assert_true(store_next(cursor, &key, &value));
    struct store_key kept = {0};
    key_bytes(&kept, key);
    store_walk_end(&cursor);
    store_put(txn, table, key_slice(&kept), (struct slice){"!", 1});
    assert_true(store_commit(&txn, &err));
    store_close(&store);
}

static bool run_repair(void *data, struct ingest_run *run, struct error *err)
{
    (void)data;
    (void)err;
    recount_afresh(run->txn);
    return true;
}

static void test_damage__of_a_tally_is_told_and_repaired(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_uplift();
    define(uplift);
    json_decref(send(uplift, "[" X("exp", "a") ", " O("c", "") "]"));
    uplift_close(&uplift);
    damage(STORE_TALLY);
    uplift = open_uplift();
    json_t *body = json_loads("[{\"type\": \"exposure\", \"customer\": \"d\", \"experiment\":"
                              " \"exp\", \"variant\": \"a\"}]",
                              0, NULL);
    assert_null(uplift_events(uplift, body, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    err = (struct error){0};
    assert_true(ingest_call(uplift->ingest, run_repair, NULL, &err));
    rebuild_start(uplift);
    assert_checked(uplift);
    json_t *answer = uplift_events(uplift, body, &err);
    assert_int_equal(json_integer_value(json_object_get(answer, "accepted")), 1);
    json_decref(answer);
    json_decref(body);
    assert_checked(uplift);
    uplift_close(&uplift);
}

struct fussy {
    struct ingest_job job;
    int runs;
    bool damaged;
    enum error_code code;
    atomic_bool done;
};

static bool run_fussy(void *data, struct ingest_run *run, struct error *err)
{
    struct fussy *fussy = data;
    (void)run;
    fussy->runs++;
    return !fussy->damaged || error_set(err, ERROR_CORRUPT, NULL, "found damage");
}

static void fussy_done(void *data, const struct error *err)
{
    struct fussy *fussy = data;
    fussy->code = err->code;
    atomic_store(&fussy->done, true);
}

static void test_damage__fails_only_the_job_that_meets_it(void **state)
{
    (void)state;
    enum { COUNT = 5, BAD = 2 };
    struct error err = {0};
    struct store *store = store_open(folder, 0, &err);
    struct ingest *ingest = ingest_start(store, &fixed_clock, 0, &err);
    struct gate gate;
    struct ingest_job gate_job;
    struct fussy jobs[COUNT] = {0};
    shut(ingest, &gate, &gate_job);
    for (int i = 0; i < COUNT; i++) {
        jobs[i].damaged = i == BAD;
        jobs[i].job = (struct ingest_job){
            .run = run_fussy, .done = fussy_done, .data = &jobs[i], .weight = 1};
        assert_true(ingest_submit(ingest, &jobs[i].job, &err));
    }
    release(&gate);
    ingest_stop(&ingest);
    for (int i = 0; i < COUNT; i++) {
        assert_true(atomic_load(&jobs[i].done));
        assert_int_equal(jobs[i].code, i == BAD ? ERROR_CORRUPT : ERROR_NONE);
    }
    store_close(&store);
}

static bool run_expire(void *data, struct ingest_run *run, struct error *err)
{
    struct store_key *from = data;
    (void)err;
    /* Three at a time, round and round: as many calls as it takes. */
    for (int i = 0; i < 10; i++)
        ledger_expire_seen(run->txn, now, 3, from);
    return true;
}

static uint64_t seen(struct uplift *uplift)
{
    struct error err = {0};
    struct store_txn *txn = store_read(uplift->store, &err);
    uint64_t count = store_count(txn, STORE_SEEN);
    store_abort(&txn);
    return count;
}

static void test_seen__expires_in_slices_however_much_there_is(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_key from = {0};
    struct uplift *uplift = open_uplift();
    define(uplift);
    for (int i = 0; i < 20; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "[{\"type\": \"outcome\", \"name\": \"o\", \"id\": \"i%d\", \"customer\": \"c\"}]",
                 i);
        now = start + (i < 12 ? 0 : 5) * WHEN_DAY;
        json_decref(send(uplift, text));
    }
    assert_int_equal(seen(uplift), 20);
    now = start + 8 * WHEN_DAY;
    assert_true(ingest_call(uplift->ingest, run_expire, &from, &err));
    assert_int_equal(seen(uplift), 8);
    now = start + 20 * WHEN_DAY;
    assert_true(ingest_call(uplift->ingest, run_expire, &from, &err));
    assert_int_equal(seen(uplift), 0);
    uplift_close(&uplift);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(test_damage__of_a_tally_is_told_and_repaired),
        each(test_damage__fails_only_the_job_that_meets_it),
        each(test_seen__expires_in_slices_however_much_there_is),
        each(test_ingest__shares_commits_and_answers_after_them),
        each(test_ingest__one_commit_for_what_waits_together),
        each(test_ingest__a_full_queue_says_so),
        each(test_ingest__what_has_no_weight_finds_room),
        each(test_ingest__a_refused_call_leaves_no_trace),
        each(test_events__refusals_by_index_and_the_others_go_on),
        each(test_events__a_body_that_is_none_is_refused_whole),
        each(test_events__of_other_tools_are_taken),
        each(test_events__of_other_tools_are_known_when_sent_again),
        each(test_events__duplicates_of_every_kind),
        each(test_rebuild__a_stop_that_reaches_back_counts_anew),
        each(test_rebuild__one_cut_off_is_begun_again),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
