/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sealing units and dropping events (retention.h), a customer at a time. */
#include "core/ledger_parts.h"
#include "core/retention.h"
#include "core/when.h"

enum { AT_ONCE = 1000 };

static struct store_key since_key(uint32_t experiment, uint16_t phase)
{
    struct store_key key = {0};
    key_text(&key, slice_of("sealed"));
    key_u32(&key, experiment);
    key_u16(&key, phase);
    return key;
}

int64_t ledger_sealed_since(struct store_txn *txn, uint32_t experiment, uint16_t phase)
{
    struct store_key key = since_key(experiment, phase);
    struct slice value;
    uint64_t since = 0;
    if (store_get(txn, STORE_META, key_slice(&key), &value))
        unkey_u64(&value, &since);
    return (int64_t)since;
}

static bool add_sealed(void *data, const struct tally_name *name, const struct tally *tally)
{
    if (name->variant == TALLY_SEALED)
        *(int64_t *)data += tally->n;
    return true;
}

int64_t ledger_sealed_units(struct store_txn *txn, uint32_t experiment, struct error *err)
{
    struct store_key prefix = {0};
    int64_t units = 0;
    key_u32(&prefix, experiment);
    tally_each(txn, key_slice(&prefix), add_sealed, &units, err);
    return units;
}

/* --- units ---------------------------------------------------------------------------------- */

struct retaining {
    struct store_txn *txn;
    struct tally_set *tallies;
    const struct retention *marks;
    const struct catalog *catalog;
    int64_t now;
    uint64_t customer;
    int64_t drop_before; /* what no unit needs any more */
    size_t *rows;
    struct error *err;
};

static void note_since(struct retaining *r, uint32_t experiment, uint16_t phase)
{
    struct store_key key = since_key(experiment, phase), value = {0};
    if (store_get(r->txn, STORE_META, key_slice(&key), NULL))
        return;
    key_u64(&value, (uint64_t)r->now);
    store_put(r->txn, STORE_META, key_slice(&key), key_slice(&value));
}

static void seal(struct retaining *r, const struct ledger_held *held)
{
    struct unit sealed = held->unit;
    struct text record;
    uint32_t experiment = held->experiment->number;
    struct store_key key = ledger_unit_key(r->customer, experiment, held->phase);
    sealed.sealed = true;
    text_init(&record, LEDGER_RECORD_MAX);
    ledger_unit_encode(&sealed, held->experiment, &record);
    ledger_unit_count(r->tallies, experiment, held->phase, &held->unit, &sealed);
    store_put(r->txn, STORE_CUSTOMER, key_slice(&key), (struct slice){record.ptr, record.len});
    note_since(r, experiment, held->phase);
    text_release(&record);
}

/* Seals the unit if its time has come, else keeps what it is counted of. */
static void look_at_unit(struct retaining *r, const struct ledger_held *held)
{
    const struct unit *unit = &held->unit;
    int64_t needed = unit->exposed_at - r->marks->covariate_days * WHEN_DAY;
    if (unit->sealed)
        return;
    if (unit->exposed_at + r->marks->window_days * WHEN_DAY <= r->marks->accept_from)
        seal(r, held);
    else if (needed < r->drop_before)
        r->drop_before = needed;
}

static bool look_at_units(struct retaining *r, size_t *count)
{
    struct arena arena = {0};
    struct ledger_held *held = NULL;
    bool ok = ledger_units(r->txn, r->customer, r->catalog, &arena, &held, count, r->err);
    for (size_t i = 0; ok && i < *count; i++)
        look_at_unit(r, &held[i]);
    *r->rows += *count;
    arena_release(&arena);
    return ok;
}

/* --- events --------------------------------------------------------------------------------- */

/* Finds up to AT_ONCE events that are to go. Their keys are ordered by the time that they came
 * with, which may be ahead of the one that counts by a day. *left: whether others were met. */
static bool find_old(struct retaining *r, struct arena *arena, struct slice keys[AT_ONCE],
                     size_t *count, bool *left)
{
    struct store_key prefix = ledger_key(r->customer, LEDGER_EVENT);
    struct store_cursor *cursor = store_walk(r->txn, STORE_CUSTOMER, key_slice(&prefix), NO_SLICE);
    struct slice key, record;
    struct event event;
    bool ok = true, over = false;
    *count = 0;
    *left = false;
    while (ok && !over && *count < AT_ONCE && store_next(cursor, &key, &record)) {
        ok = event_decode(record, &event) ||
             error_set(r->err, ERROR_CORRUPT, NULL, "an event of customer number %llu is damaged",
                       (unsigned long long)r->customer);
        bool old = ok && event_time(&event) < r->drop_before;
        if (old)
            keys[(*count)++] = arena_slice(arena, key);
        *left = *left || (ok && !old);
        over = ok && event.at >= r->drop_before + EVENT_AHEAD_MAX;
    }
    store_walk_end(&cursor);
    return ok && store_healthy(r->txn, r->err);
}

static bool drop_events(struct retaining *r, bool *left)
{
    size_t count = AT_ONCE;
    bool ok = true;
    while (ok && count == AT_ONCE) {
        struct arena arena = {0};
        struct slice keys[AT_ONCE];
        ok = find_old(r, &arena, keys, &count, left);
        for (size_t i = 0; ok && i < count; i++)
            store_delete(r->txn, STORE_CUSTOMER, keys[i]);
        *r->rows += count;
        arena_release(&arena);
    }
    return ok;
}

bool ledger_retain(struct store_txn *txn, struct tally_set *tallies, const unsigned char secret[32],
                   uint64_t customer, const struct retention *marks, int64_t now,
                   const struct catalog *catalog, size_t *rows, struct error *err)
{
    struct retaining r = {.txn = txn,
                          .tallies = tallies,
                          .marks = marks,
                          .catalog = catalog,
                          .now = now,
                          .customer = customer,
                          .drop_before = marks->keep_from,
                          .rows = rows,
                          .err = err};
    size_t units = 0;
    bool events = false;
    if (!look_at_units(&r, &units) || !drop_events(&r, &events))
        return false;
    struct slice id = ledger_customer_id(txn, customer);
    /* Not one whose id a repair had to replace: the digest of the true one leads here. */
    if (units == 0 && !events && ledger_customer_number(txn, secret, id, false) == customer)
        ledger_customer_forget(txn, secret, id, customer);
    return store_healthy(txn, err);
}
