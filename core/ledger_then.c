/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting once more what a look had counted. */
#include <stdlib.h>

#include "core/ledger_parts.h"

/* The events of a history that were there by `cut`, in their order. */
static size_t select_events(const struct event *events, size_t count, int64_t cut,
                            struct event *there)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (events[i].received <= cut)
            there[found++] = events[i];
    return found;
}

/* The unit of the phase that is sealed, in *sealed; NULL where none is. */
static bool find_sealed(struct store_txn *txn, const struct catalog *present, uint64_t customer,
                        const struct ledger_then *then, struct arena *arena,
                        const struct unit **sealed, struct error *err)
{
    struct ledger_held *held = NULL;
    size_t count = 0;
    uint32_t experiment = then->experiment->number;
    *sealed = NULL;
    if (!ledger_sealed_since(txn, experiment, (uint16_t)then->phase))
        return true;
    bool ok = ledger_units(txn, customer, present, arena, &held, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        if (held[i].experiment->number == experiment && held[i].phase == then->phase &&
            held[i].unit.sealed)
            *sealed = &held[i].unit;
    return ok;
}

/* How many units are sealed is no part of it: at that time others were. */
static void count_moment(struct ledger_then *then, const struct unit *sealed,
                         const struct event *events, size_t count, struct arena *arena)
{
    const struct unit *old = sealed && sealed->exposed_at <= then->cut ? sealed : NULL;
    struct unit unit;
    then->events += count;
    then->sealed += old != NULL;
    if (!ledger_unit_beside(old, events, count, then->experiment, then->phase, then->catalog, arena,
                            &unit))
        return;
    unit.sealed = false;
    ledger_unit_count(then->tallies, then->experiment->number, (uint16_t)then->phase, NULL, &unit);
}

static bool count_customer(struct store_txn *txn, const struct catalog *present, uint64_t customer,
                           struct ledger_then *list, size_t moments, struct error *err)
{
    struct arena arena = {0};
    struct event *events = NULL;
    const struct unit *sealed = NULL;
    size_t count = 0;
    bool ok = ledger_history(txn, customer, &arena, &events, &count, err) &&
              find_sealed(txn, present, customer, &list[0], &arena, &sealed, err);
    struct event *there = arena_alloc(&arena, (count + 1) * sizeof *there);
    for (size_t i = 0; ok && i < moments; i++)
        count_moment(&list[i], sealed, there, select_events(events, count, list[i].cut, there),
                     &arena);
    arena_release(&arena);
    return ok;
}

bool ledger_count_then(struct store_txn *txn, const struct catalog *present,
                       struct ledger_then *list, size_t count,
                       void (*progress)(void *data, double done), void *data, struct error *err)
{
    uint64_t last = ledger_last_customer(txn);
    bool ok = true;
    for (uint64_t customer = 0;
         ok && count > 0 && (customer = ledger_next_customer(txn, customer + 1)) != 0;) {
        ok = count_customer(txn, present, customer, list, count, err);
        if (progress)
            progress(data, (double)customer / (double)last);
    }
    return ok && store_healthy(txn, err);
}
