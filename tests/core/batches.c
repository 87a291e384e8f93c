/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/core/batches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/definitions.h"
#include "core/ledger.h"
#include "core/rebuild.h"
#include "core/recount.h"

enum { FLIGHT = 8 };

static int64_t fixed_now(void *data)
{
    (void)data;
    return BATCHES_START + 10 * WHEN_DAY;
}

const struct clock batches_clock = {.now = fixed_now};

struct uplift *batches_open(const char *folder)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &batches_clock, &err);
    if (!uplift)
        error_fatal("%s", err.message);
    return uplift;
}

static void made(json_t *input, json_t *output, const struct error *err)
{
    if (!output)
        error_fatal("%s", err->message);
    json_decref(output);
    json_decref(input);
}

void batches_define(struct uplift *uplift)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = BATCHES_START};
    json_t *input = json_pack("{s:s, s:s, s:s}", "key", "m", "kind", "mean", "event", "o");
    made(input, uplift_metric_create(uplift, &change, input, &err), &err);
    input = json_pack("{s:s, s:s, s:s}", "key", "b", "kind", "binary", "event", "o");
    made(input, uplift_metric_create(uplift, &change, input, &err), &err);
    input = json_pack("{s:s, s:f, s:[{s:s}, {s:s}], s:{s:[s, s]}}", "key", "exp", "traffic", 0.01,
                      "variants", "key", "a", "key", "b", "metrics", "primary", "m", "b");
    made(input, uplift_experiment_create(uplift, &change, input, &err), &err);
    made(NULL,
         uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err),
         &err);
}

bool batches_change(struct uplift *uplift, uint32_t number, struct error *err)
{
    const struct definition_change change = {.who = "test", .at = -1};
    json_t *input, *output;
    if (number % 2) {
        input = json_pack("{s:s, s:s, s:s, s:i}", "key", "m", "kind", "mean", "event", "o", "cap",
                          1 + (int)(number % 50));
        output = uplift_metric_amend(uplift, &change, slice_of("m"), input, err);
    } else {
        json_t *now = uplift_experiment_get(uplift, slice_of("exp"), err);
        double traffic = json_number_value(json_object_get(now, "traffic"));
        json_decref(now);
        input = json_pack("{s:f}", "traffic", traffic + (1 - traffic) / 8);
        output = uplift_experiment_patch(uplift, &change, slice_of("exp"), input, err);
    }
    json_decref(input);
    json_decref(output);
    return output != NULL;
}

json_t *batch_of(uint32_t number)
{
    json_t *batch = json_array();
    for (uint32_t i = 0; i < BATCH; i++) {
        char id[32], customer[16];
        uint32_t c = (number * 7 + i / 2) % BATCH_CUSTOMERS;
        snprintf(id, sizeof id, "%u-%u", number, i);
        snprintf(customer, sizeof customer, "c-%u", c);
        json_int_t at = BATCHES_START + WHEN_HOUR + (json_int_t)number * 1000 + i;
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

/* --- sending -------------------------------------------------------------------------------- */

struct flight {
    struct batches_sender *sender;
    uint32_t number;
    json_t *batch;
    atomic_int *count;
};

static void landed(void *data, json_t *answer, const struct error *err)
{
    struct flight *flight = data;
    if (answer && json_integer_value(json_object_get(answer, "accepted")) +
                          json_integer_value(json_object_get(answer, "duplicates")) !=
                      BATCH)
        error_fatal("batch %u was not taken whole", flight->number);
    json_decref(answer);
    json_decref(flight->batch);
    flight->sender->told(flight->sender->data, flight->number, err);
    atomic_fetch_sub(flight->count, 1);
    free(flight);
}

void *batches_send(void *data)
{
    struct batches_sender *sender = data;
    atomic_int count = 0;
    for (uint32_t sent = 0; sent < sender->most && !atomic_load(&sender->stop); sent++) {
        struct error err = {0};
        struct flight *flight = xmalloc(sizeof *flight);
        *flight = (struct flight){sender, sender->next, batch_of(sender->next), &count};
        sender->next++;
        while (atomic_load(&count) >= FLIGHT)
            usleep(50);
        atomic_fetch_add(&count, 1);
        if (!uplift_events_submit(sender->uplift, flight->batch, landed, flight, &err))
            landed(flight, NULL, &err);
    }
    while (atomic_load(&count) > 0)
        usleep(50);
    return NULL;
}

/* --- what must hold ------------------------------------------------------------------------- */

static unsigned char times_seen[BATCHES_MAX][BATCH];
static uint32_t behind; /* the last batch that was seen */

static bool see(const struct event *event)
{
    char id[32];
    unsigned batch, place;
    snprintf(id, sizeof id, "%.*s", (int)event->id.len, event->id.ptr);
    if (sscanf(id, "%u-%u", &batch, &place) != 2 || batch >= BATCHES_MAX || place >= BATCH) {
        printf("# an event '%s' that nobody sent\n", id);
        return false;
    }
    for (; behind <= batch; behind++)
        memset(times_seen[behind], 0, BATCH);
    times_seen[batch][place]++;
    return true;
}

static bool read_history(struct store_txn *txn)
{
    bool ok = true;
    behind = 0;
    for (uint64_t c = 1; ok && (c = ledger_next_customer(txn, c)) != 0; c++) {
        struct arena arena = {0};
        struct event *events = NULL;
        size_t count = 0;
        struct error err = {0};
        ok = ledger_history(txn, c, &arena, &events, &count, &err);
        if (!ok)
            printf("# %s\n", err.message);
        for (size_t i = 0; ok && i < count; i++)
            ok = see(&events[i]);
        arena_release(&arena);
    }
    return ok;
}

static bool batches_are_whole(const unsigned char *acknowledged)
{
    const unsigned char *lost = memchr(acknowledged + behind, 1, BATCHES_MAX - behind);
    if (lost) {
        printf("# batch %ld was acknowledged and is lost\n", (long)(lost - acknowledged));
        return false;
    }
    for (uint32_t b = 0; b < behind; b++)
        for (uint32_t i = 0; i < BATCH; i++) {
            unsigned times = times_seen[b][i];
            const char *wrong = times > 1                   ? "is there twice"
                                : times != times_seen[b][0] ? "is there in part"
                                : times == 0 && acknowledged[b] != 0
                                    ? "was acknowledged and is lost"
                                    : NULL;
            if (wrong) {
                printf("# batch %u, event %u: %s\n", b, i, wrong);
                return false;
            }
        }
    return true;
}

static void show(void *data, const char *line)
{
    (void)data;
    printf("# %s\n", line);
}

static bool recount_agrees(struct uplift *uplift, struct store_txn *txn)
{
    struct error err = {0};
    uint64_t differences = 1;
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    bool ok = ledger_check(txn, catalog, show, NULL, NULL, &differences, &err);
    catalog_release(&uplift->catalog, catalog);
    if (!ok || differences)
        printf("# %llu differences; %s\n", (unsigned long long)differences, err.message);
    return ok && differences == 0;
}

void batches_wait(struct uplift *uplift)
{
    struct recount note;
    for (bool due = true; due;) {
        struct error err = {0};
        struct store_txn *txn = store_read(uplift->store, &err);
        due = txn && recount_read(txn, &note);
        store_abort(&txn);
        rebuild_start(uplift);
        usleep(due ? 200 : 0);
    }
}

bool batches_hold(struct uplift *uplift, const unsigned char *acknowledged, bool check)
{
    struct error err = {0};
    if (check)
        batches_wait(uplift);
    struct store_txn *txn = store_read(uplift->store, &err);
    bool ok = txn && read_history(txn) && batches_are_whole(acknowledged) &&
              (!check || recount_agrees(uplift, txn)) && store_healthy(txn, &err);
    if (!ok)
        printf("# %s\n", err.message);
    store_abort(&txn);
    return ok;
}
