/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting: a customer anew in every phase that they met, and batches of events. */
#include <stdlib.h>

#include "core/ledger_parts.h"

static bool damaged_unit(uint64_t customer, struct error *err)
{
    return error_set(err, ERROR_CORRUPT, NULL, "a unit of customer number %llu is damaged",
                     (unsigned long long)customer);
}

/* One customer in one phase: takes away what was, adds what is. */
static bool recount(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                    const struct event *events, size_t count, const struct experiment *experiment,
                    uint16_t phase, const struct catalog *catalog, struct arena *arena,
                    struct error *err)
{
    struct store_key key = ledger_unit_key(customer, experiment->number, phase);
    struct unit unit, old;
    struct slice stored;
    struct text record;
    text_init(&record, LEDGER_RECORD_MAX);
    bool was = store_get(txn, STORE_CUSTOMER, key_slice(&key), &stored);
    if (was && !ledger_unit_decode(arena_slice(arena, stored), experiment, arena, &old))
        return damaged_unit(customer, err);
    bool is = ledger_unit_beside(was ? &old : NULL, events, count, experiment, phase, catalog,
                                 arena, &unit);
    if (is)
        ledger_unit_encode(&unit, experiment, &record);
    bool same = is == was && (!is || slice_equal(stored, (struct slice){record.ptr, record.len}));
    if (!same) {
        ledger_unit_count(tallies, experiment->number, phase, was ? &old : NULL, is ? &unit : NULL);
        if (is)
            store_put(txn, STORE_CUSTOMER, key_slice(&key), (struct slice){record.ptr, record.len});
        else
            store_delete(txn, STORE_CUSTOMER, key_slice(&key));
    }
    text_release(&record);
    return true;
}

static void add_meeting(struct ledger_meetings *met, const struct experiment *experiment,
                        uint16_t phase)
{
    for (size_t i = 0; i < met->count; i++)
        if (met->list[i].experiment == experiment && met->list[i].phase == phase)
            return;
    if (met->count == met->room) {
        met->room = met->room ? 2 * met->room : 16;
        met->list = xrealloc(met->list, met->room * sizeof *met->list);
    }
    met->list[met->count++] = (struct ledger_meeting){experiment, phase};
}

/* The caller frees the list. */
struct ledger_meetings ledger_meetings_of(struct store_txn *txn, uint64_t customer,
                                          const struct event *events, size_t count,
                                          const struct catalog *catalog)
{
    struct ledger_meetings met = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++) {
        const struct experiment *experiment =
            events[i].type == EVENT_EXPOSURE ? catalog_experiment(catalog, events[i].name) : NULL;
        int epoch = experiment ? experiment_epoch_at(experiment, event_time(&events[i])) : -1;
        if (epoch >= 0)
            add_meeting(&met, experiment, experiment->epochs[epoch].phase);
    }
    if (!txn)
        return met;
    struct store_key prefix = ledger_key(customer, LEDGER_UNIT);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, key_slice(&prefix), NO_SLICE);
    struct slice key, value;
    while (store_next(cursor, &key, &value)) {
        uint32_t number;
        uint16_t phase;
        key.ptr += prefix.len;
        key.len -= prefix.len;
        const struct experiment *experiment = unkey_u32(&key, &number) && unkey_u16(&key, &phase)
                                                  ? catalog_experiment_numbered(catalog, number)
                                                  : NULL;
        if (experiment)
            add_meeting(&met, experiment, phase);
    }
    store_walk_end(&cursor);
    return met;
}

bool ledger_customer(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                     const struct catalog *catalog, struct error *err)
{
    struct arena arena = {0};
    struct event *events = NULL;
    size_t count = 0;
    bool ok = ledger_history(txn, customer, &arena, &events, &count, err);
    struct ledger_meetings met = ledger_meetings_of(txn, customer, events, count, catalog);
    for (size_t i = 0; ok && i < met.count; i++)
        ok = recount(txn, tallies, customer, events, count, met.list[i].experiment,
                     met.list[i].phase, catalog, &arena, err);
    free(met.list);
    arena_release(&arena);
    return ok && store_healthy(txn, err);
}
