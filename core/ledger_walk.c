/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walking over the units of all customers. */
#include "core/ledger_parts.h"
#include "core/recount.h"

/* Events in a row that are read past before the next customer is looked for, which costs as much
 * as some tens of rows. */
enum { PASSED = 32 };

struct place {
    struct store_txn *txn;
    struct store_cursor *cursor;
    uint64_t customer; /* whose units are held; 0: none yet */
    struct ledger_held held[LEDGER_WALK_UNITS_MAX];
    size_t count;
    unsigned passed;
    struct arena arena;
};

static void tell(struct ledger_walk *walk, struct place *place)
{
    if (place->count)
        walk->visit(walk->data, place->held, place->count);
    place->count = 0;
    arena_reset(&place->arena);
}

/* `rest` is the key behind the kind. */
static bool hold(const struct ledger_walk *walk, struct place *place, struct slice rest,
                 struct slice record, struct error *err)
{
    struct ledger_held *held = &place->held[place->count];
    uint32_t number;
    if (!unkey_u32(&rest, &number) || !unkey_u16(&rest, &held->phase) ||
        !walk->wanted(walk->data, number, held->phase) || place->count == LEDGER_WALK_UNITS_MAX)
        return true;
    held->experiment = catalog_experiment_numbered(walk->catalog, number);
    place->count++;
    return (held->experiment &&
            ledger_unit_decode(record, held->experiment, &place->arena, &held->unit)) ||
           error_set(err, ERROR_CORRUPT, NULL, "a unit of customer number %llu is damaged",
                     (unsigned long long)place->customer);
}

static void go_to(struct place *place, uint64_t customer)
{
    struct store_key from = ledger_key(customer, 0);
    store_walk_end(&place->cursor);
    place->cursor = store_walk(place->txn, STORE_CUSTOMER, NO_SLICE, key_slice(&from));
    place->passed = 0;
}

/* One row; false where the walk is over for now. */
static bool take_row(struct ledger_walk *walk, struct place *place, struct slice key,
                     struct slice record, struct error *err)
{
    uint64_t customer;
    uint8_t kind;
    if (!unkey_u64(&key, &customer) || !unkey_u8(&key, &kind))
        return error_set(err, ERROR_CORRUPT, NULL, "a row of a customer is damaged");
    if (customer != place->customer) {
        tell(walk, place);
        place->customer = customer;
        place->passed = 0;
        walk->from = customer;
        if (walk->rows == 0)
            return false;
    }
    walk->rows -= walk->rows > 0;
    if (kind == LEDGER_UNIT)
        return hold(walk, place, key, record, err);
    if (kind == LEDGER_EVENT && ++place->passed > PASSED)
        go_to(place, customer + 1);
    return true;
}

bool ledger_walk_units(struct store_txn *txn, struct ledger_walk *walk, struct error *err)
{
    struct place *place = xcalloc(1, sizeof *place);
    struct recount note;
    struct slice key, record;
    bool counted = !recount_read(txn, &note) ||
                   error_set(err, ERROR_BUSY, NULL, "figures are being counted anew");
    place->txn = txn;
    if (counted)
        go_to(place, walk->from);
    bool more = counted;
    while (more) {
        if (!store_next(place->cursor, &key, &record)) {
            tell(walk, place);
            walk->from = 0;
            break;
        }
        more = take_row(walk, place, key, record, err);
    }
    store_walk_end(&place->cursor);
    arena_release(&place->arena);
    free(place);
    return err->code == ERROR_NONE && store_healthy(txn, err);
}
