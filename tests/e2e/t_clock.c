/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A clock that jumps, hours back and a little ahead, while events come in and between restarts:
 * none is refused, arrivals never go back, definitions can be changed, and a recount finds no
 * difference. The seed is printed; UPLIFT_CLOCK_SEED takes another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/ledger.h"
#include "tests/core/batches.h"
#include "tests/core/folder.h"

enum { ROUNDS = 150 };
static atomic_int_fast64_t now;
static uint32_t seed;

static int64_t jumping_now(void *data)
{
    (void)data;
    return atomic_load(&now);
}

static const struct clock jumping_clock = {.now = jumping_now};

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static struct uplift *open_uplift(const char *folder)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &jumping_clock, &err);
    if (!uplift)
        fail_msg("%s", err.message);
    return uplift;
}

/* An exposure and an outcome, without a time or by a sender's clock that is right. */
static void send(struct uplift *uplift, uint32_t i, int64_t right)
{
    struct error err = {0};
    char customer[16];
    snprintf(customer, sizeof customer, "c-%u", draw(40));
    json_t *batch = json_pack("[{s:s, s:s, s:s, s:s}, {s:s, s:s, s:s, s:i}]", "type", "exposure",
                              "customer", customer, "experiment", "exp", "variant",
                              (unsigned char)customer[2] % 2 ? "a" : "b", "type", "outcome",
                              "customer", customer, "name", "o", "value", (int)draw(50));
    json_t *item;
    size_t place;
    json_array_foreach(batch, place, item)
    {
        char id[32];
        snprintf(id, sizeof id, "%u-%zu", i, place);
        json_object_set_new(item, "id", json_string(id));
        if (draw(2))
            json_object_set_new(item, "at", json_integer(right));
    }
    json_t *answer = uplift_events(uplift, batch, &err);
    if (!answer || json_integer_value(json_object_get(answer, "accepted")) != 2)
        fail_msg("%s, or not accepted", err.message);
    json_decref(answer);
    json_decref(batch);
}

static void show(void *data, const char *line)
{
    (void)data;
    printf("# %s\n", line);
}

static void assert_counted(struct uplift *uplift)
{
    struct error err = {0};
    uint64_t differences = 1;
    batches_wait(uplift);
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(ledger_check(txn, catalog, show, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
}

static void assert_results(struct uplift *uplift)
{
    struct error err = {0};
    const struct results_options options = {.as_of = -1};
    batches_wait(uplift);
    json_t *results = analysis_results(uplift, slice_of("exp"), &options, &err);
    if (!results)
        fail_msg("%s: %s", err.place, err.message);
    json_decref(results);
    assert_true(analysis_keep_house(uplift, &err));
}

static void jump(void)
{
    switch (draw(6)) {
    case 0:
        atomic_fetch_sub(&now, (int64_t)draw(48) * WHEN_HOUR);
        break;
    case 1:
        atomic_fetch_add(&now, (int64_t)draw(3) * WHEN_HOUR);
        break;
    default:
        atomic_fetch_add(&now, draw(3));
    }
}

static void test_clock__jumps_refuse_and_lose_nothing(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    const char *given = getenv("UPLIFT_CLOCK_SEED");
    seed = given ? (uint32_t)strtoul(given, NULL, 10) : (uint32_t)time(NULL);
    printf("# seed %u\n", seed);
    atomic_store(&now, BATCHES_START + WHEN_HOUR);
    struct uplift *uplift = open_uplift(folder);
    batches_define(uplift);
    int64_t last = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct error err = {0};
        if (i) /* the start of the experiment was told, so only an event holds the clock to it */
            jump();
        send(uplift, i, atomic_load(&now));
        int64_t stamp = ingest_last_stamp(uplift->ingest);
        assert_true(stamp >= last && uplift_now(uplift) >= stamp);
        last = stamp;
        if (draw(10) == 0 && !batches_change(uplift, i, &err))
            fail_msg("%s: %s", err.place, err.message);
        if (draw(10) == 0)
            assert_results(uplift);
        if (draw(8) == 0) {
            uplift_close(&uplift);
            jump();
            uplift = open_uplift(folder);
        }
        if (i % 15 == 14)
            assert_counted(uplift);
    }
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clock__jumps_refuse_and_lose_nothing)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
