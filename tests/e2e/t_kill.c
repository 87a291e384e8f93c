/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kill -9 during ingest: a child keeps several batches in flight and tells over a pipe of each that
 * was acknowledged; it is killed at random moments. After each, every acknowledged event is in the
 * history exactly once, no event twice, no batch in part, and a recount finds no difference. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/definitions.h"
#include "core/ledger.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { ROUNDS = 10, BATCH = 20, FLIGHT = 8, BATCHES_MAX = 100000, CUSTOMERS = 300 };
static const int64_t start = INT64_C(1790000000000);
static char folder[FOLDER_MAX];
static uint32_t seed;
static unsigned char acknowledged[BATCHES_MAX], times_seen[BATCHES_MAX][BATCH];

static int64_t fixed_now(void *data)
{
    (void)data;
    return start + 10 * WHEN_DAY;
}

static const struct clock fixed_clock = {fixed_now, NULL};

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static struct uplift *open_uplift(void)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &fixed_clock, &err);
    if (!uplift)
        error_fatal("%s", err.message);
    return uplift;
}

static void define(void)
{
    struct uplift *uplift = open_uplift();
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = start};
    json_t *metric = json_pack("{s:s, s:s, s:s}", "key", "m", "kind", "mean", "event", "o");
    json_t *input = json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:[s]}}", "key", "exp", "variants", "key",
                              "a", "key", "b", "metrics", "primary", "m");
    json_decref(uplift_metric_create(uplift, &change, metric, &err));
    json_decref(uplift_experiment_create(uplift, &change, input, &err));
    json_decref(
        uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    assert_string_equal(err.message, "");
    json_decref(metric);
    json_decref(input);
    uplift_close(&uplift);
}

/* --- the child ------------------------------------------------------------------------------ */

static json_t *batch_of(uint32_t number)
{
    json_t *batch = json_array();
    for (uint32_t i = 0; i < BATCH; i++) {
        char id[32], customer[16];
        uint32_t c = (number * 7 + i / 2) % CUSTOMERS;
        snprintf(id, sizeof id, "%u-%u", number, i);
        snprintf(customer, sizeof customer, "c-%u", c);
        json_int_t at = start + WHEN_HOUR + (json_int_t)number * 1000 + i;
        json_array_append_new(batch,
                              i % 2 ? json_pack("{s:s, s:s, s:s, s:s, s:f, s:I}", "id", id, "type",
                                                "outcome", "customer", customer, "name", "o",
                                                "value", (double)number / 7, "at", at)
                                    : json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "id", id, "type",
                                                "exposure", "customer", customer, "experiment",
                                                "exp", "variant", c % 2 ? "a" : "b", "at", at));
    }
    return batch;
}

struct flight {
    uint32_t number;
    int pipe;
};

static atomic_int in_flight;

static void landed(void *data, json_t *answer, const struct error *err)
{
    struct flight *flight = data;
    if (err->code != ERROR_NONE ||
        json_integer_value(json_object_get(answer, "accepted")) != BATCH ||
        write(flight->pipe, &flight->number, sizeof flight->number) != sizeof flight->number)
        error_fatal("the child's batch %u: %s", flight->number, err->message);
    json_decref(answer);
    free(flight);
    atomic_fetch_sub(&in_flight, 1);
}

static void send_until_killed(uint32_t number, int pipe)
{
    struct uplift *uplift = open_uplift();
    for (; number < BATCHES_MAX; number++) {
        struct error err = {0};
        struct flight *flight = xmalloc(sizeof *flight);
        *flight = (struct flight){number, pipe};
        json_t *batch = batch_of(number);
        while (atomic_load(&in_flight) >= FLIGHT)
            usleep(50);
        atomic_fetch_add(&in_flight, 1);
        if (!uplift_events_submit(uplift, batch, landed, flight, &err))
            error_fatal("the child: %s", err.message);
        /* Its reference stays: the writer holds the batch, and the process will not end well. */
    }
    for (;;)
        pause();
}

/* --- the parent ----------------------------------------------------------------------------- */

/* The number behind the last acknowledged batch. */
static uint32_t kill_while_sending(uint32_t first)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        send_until_killed(first, ends[1]);
    }
    close(ends[1]);
    uint32_t number, last = first, few = 1 + draw(5);
    for (uint32_t i = 0; i < few; i++) { /* it is at work */
        assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
        acknowledged[number] = 1;
        last = number + 1;
    }
    usleep(draw(150000));
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(ends[0], &number, sizeof number) == sizeof number) {
        acknowledged[number] = 1;
        last = number + 1;
    }
    close(ends[0]);
    return last + 2 * FLIGHT; /* behind all that were in flight */
}

static void read_history(struct store_txn *txn)
{
    memset(times_seen, 0, sizeof times_seen);
    for (uint64_t c = 1; (c = ledger_next_customer(txn, c)) != 0; c++) {
        struct arena arena = {0};
        struct event *events = NULL;
        size_t count = 0;
        struct error err = {0};
        assert_true(ledger_history(txn, c, &arena, &events, &count, &err));
        for (size_t i = 0; i < count; i++) {
            char id[32];
            unsigned batch, place;
            snprintf(id, sizeof id, "%.*s", (int)events[i].id.len, events[i].id.ptr);
            assert_int_equal(sscanf(id, "%u-%u", &batch, &place), 2);
            assert_true(batch < BATCHES_MAX && place < BATCH);
            times_seen[batch][place]++;
        }
        arena_release(&arena);
    }
}

static void show(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

/* How many batches were acknowledged. */
static uint32_t look(struct uplift *uplift)
{
    struct error err = {0};
    uint32_t count = 0;
    uint64_t differences = 1;
    struct store_txn *txn = store_read(uplift->store, &err);
    read_history(txn);
    for (uint32_t b = 0; b < BATCHES_MAX; b++) {
        for (uint32_t i = 0; i < BATCH; i++) {
            assert_true(times_seen[b][i] <= 1);
            assert_int_equal(times_seen[b][i], times_seen[b][0]); /* whole or not at all */
            assert_true(times_seen[b][i] || !acknowledged[b]);
        }
        count += acknowledged[b];
    }
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(ledger_check(txn, catalog, show, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
    return count;
}

static void test_kill__every_acknowledged_event_is_there_once(void **state)
{
    (void)state;
    seed = (uint32_t)time(NULL);
    print_message("# seed %u\n", seed);
    define();
    uint32_t next = 0, count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        next = kill_while_sending(next);
        assert_true(next < BATCHES_MAX);
        struct uplift *uplift = open_uplift();
        count = look(uplift);
        uplift_close(&uplift);
    }
    print_message("# %u batches of %d events were acknowledged\n", count, BATCH);
    assert_true(count >= ROUNDS);
}

static int make_folder(void **state)
{
    (void)state;
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill__every_acknowledged_event_is_there_once,
                                        make_folder, remove_folder),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
