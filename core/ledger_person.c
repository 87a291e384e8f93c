/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All that is kept of one customer: read, or erased. */
#include <stdlib.h>

#include "core/ledger_parts.h"
#include "core/recount.h"

static bool damaged(const char *what, uint64_t customer, struct error *err)
{
    return error_set(err, ERROR_CORRUPT, NULL, "%s of customer number %llu is damaged", what,
                     (unsigned long long)customer);
}

/* `rest` is the key behind the prefix of units. */
static bool read_unit(struct slice rest, struct slice record, const struct catalog *catalog,
                      struct arena *arena, struct ledger_held *held)
{
    uint32_t number;
    if (!unkey_u32(&rest, &number) || !unkey_u16(&rest, &held->phase))
        return false;
    held->experiment = catalog_experiment_numbered(catalog, number);
    return held->experiment &&
           ledger_unit_decode(arena_slice(arena, record), held->experiment, arena, &held->unit);
}

bool ledger_units_stored(struct store_txn *txn, uint64_t customer, const struct catalog *catalog,
                         struct arena *arena, struct ledger_held **held, size_t *count,
                         struct error *err)
{
    struct store_key prefix = ledger_key(customer, LEDGER_UNIT);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, key_slice(&prefix), NO_SLICE);
    struct slice key, record;
    struct ledger_held *list = NULL;
    size_t used = 0, room = 0;
    bool ok = true;
    while (ok && store_next(cursor, &key, &record)) {
        if (used == room) {
            struct ledger_held *more =
                arena_alloc(arena, (room = room ? room * 2 : 8) * sizeof *more);
            if (used)
                memcpy(more, list, used * sizeof *more);
            list = more;
        }
        struct slice rest = {key.ptr + prefix.len, key.len - prefix.len};
        ok = read_unit(rest, record, catalog, arena, &list[used++]) ||
             damaged("a unit", customer, err);
    }
    store_walk_end(&cursor);
    if (!ok || !store_healthy(txn, err))
        return false;
    *held = list;
    *count = used;
    return true;
}

bool ledger_units(struct store_txn *txn, uint64_t customer, const struct catalog *catalog,
                  struct arena *arena, struct ledger_held **held, size_t *count, struct error *err)
{
    *held = NULL;
    *count = 0;
    return customer >= recount_uncounted(txn) ||
           ledger_units_stored(txn, customer, catalog, arena, held, count, err);
}

/* Of a unit that is crossed only the history tells. */
static int first_of_history(struct store_txn *txn, uint64_t customer,
                            const struct experiment *experiment, struct arena *arena,
                            struct error *err)
{
    struct event *events = NULL;
    size_t count = 0;
    int epoch, variant;
    if (!ledger_history(txn, customer, arena, &events, &count, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (ledger_exposure_of(&events[i], experiment, experiment->phase, &epoch, &variant))
            return variant;
    return -1;
}

int ledger_first_variant(struct store_txn *txn, uint64_t customer,
                         const struct experiment *experiment, struct error *err)
{
    struct store_key key = ledger_unit_key(customer, experiment->number, experiment->phase);
    struct slice record;
    struct arena arena = {0};
    struct unit unit;
    int variant = -1;
    if (!store_get(txn, STORE_CUSTOMER, key_slice(&key), &record)) {
        store_healthy(txn, err);
        return -1;
    }
    if (!ledger_unit_decode(record, experiment, &arena, &unit))
        damaged("a unit", customer, err);
    else if (unit.variant >= 0)
        variant = unit.variant;
    else
        variant = first_of_history(txn, customer, experiment, &arena, err);
    arena_release(&arena);
    return variant < (int)experiment->variant_count ? variant : -1;
}

/* --- erasure -------------------------------------------------------------------------------- */

/* What is read is lost with the first row that is deleted, so keys are gathered first. */
struct rows {
    struct arena arena;
    struct slice keys[LEDGER_AT_ONCE], seen[LEDGER_AT_ONCE]; /* of CUSTOMER and of SEEN */
    size_t count;
};

static bool gather_event(struct rows *rows, const unsigned char secret[32], uint64_t customer,
                         struct slice key, struct slice record)
{
    struct event event;
    unsigned char digest[16];
    if (!event_decode(record, &event))
        return false;
    rows->keys[rows->count] = arena_slice(&rows->arena, key);
    /* Of an event with a time too, which may have been a corrected one. */
    ledger_seen_digest(secret, customer, &event, digest);
    rows->seen[rows->count++] =
        arena_slice(&rows->arena, (struct slice){(const char *)digest, sizeof digest});
    return true;
}

static bool gather_events(struct rows *rows, struct store_txn *txn, const unsigned char secret[32],
                          uint64_t customer, struct error *err)
{
    struct store_key prefix = ledger_key(customer, LEDGER_EVENT);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, key_slice(&prefix), NO_SLICE);
    struct slice key, record;
    bool ok = true;
    while (ok && rows->count < LEDGER_AT_ONCE && store_next(cursor, &key, &record))
        ok =
            gather_event(rows, secret, customer, key, record) || damaged("an event", customer, err);
    store_walk_end(&cursor);
    return ok && store_healthy(txn, err);
}

static bool erase_events(struct store_txn *txn, const unsigned char secret[32], uint64_t customer,
                         uint64_t *events, struct error *err)
{
    struct rows *rows = xcalloc(1, sizeof *rows);
    bool ok = true, more = true;
    for (*events = 0; ok && more; *events += rows->count) {
        rows->count = 0;
        ok = gather_events(rows, txn, secret, customer, err);
        for (size_t i = 0; ok && i < rows->count; i++) {
            store_delete(txn, STORE_CUSTOMER, rows->keys[i]);
            store_delete(txn, STORE_SEEN, rows->seen[i]);
        }
        more = rows->count == LEDGER_AT_ONCE;
        arena_release(&rows->arena);
    }
    free(rows);
    return ok;
}

static bool erase_units(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                        const struct catalog *catalog, struct error *err)
{
    struct store_key prefix = ledger_key(customer, LEDGER_UNIT);
    struct arena arena = {0};
    struct ledger_held *held = NULL;
    size_t count = 0;
    bool ok = ledger_units(txn, customer, catalog, &arena, &held, &count, err);
    for (size_t i = 0; i < count; i++)
        ledger_unit_count(tallies, held[i].experiment->number, held[i].phase, &held[i].unit, NULL);
    arena_release(&arena);
    while (ok && ledger_take_out(txn, STORE_CUSTOMER, key_slice(&prefix), NULL) == LEDGER_AT_ONCE) {
    }
    return ok;
}

bool ledger_erase(struct store_txn *txn, struct tally_set *tallies, const unsigned char secret[32],
                  struct slice id, const struct catalog *catalog, uint64_t *events,
                  struct error *err)
{
    uint64_t customer = ledger_customer_number(txn, secret, id, false);
    if (!customer)
        return store_healthy(txn, err) &&
               error_set(err, ERROR_NOT_FOUND, NULL, "nothing is kept of this customer");
    if (!erase_units(txn, tallies, customer, catalog, err) ||
        !erase_events(txn, secret, customer, events, err))
        return false;
    ledger_customer_forget(txn, secret, id, customer);
    return store_healthy(txn, err);
}
