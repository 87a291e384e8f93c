/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batches: numbers are looked up in the order of digests and customers visited in the order of
 * numbers, as the tables are sorted, so that pages are touched one after the other. Fresh events
 * are added to the units that are stored; of a new customer they are the whole history, and all
 * rows are written in the order of their keys. */
#include <stdlib.h>

#include "core/ledger_parts.h"
#include "core/recount.h"

struct ledger_row {
    const struct event *event;
    bool *duplicate;
    size_t index; /* of arrival, so that a duplicate is the later one */
    uint64_t customer;
    unsigned char digest[16];
};

struct ledger_batch {
    struct ledger_row *rows;
    size_t count, room;
    uint64_t first_new; /* this number and greater ones were given by this batch */
};

struct ledger_batch *ledger_batch_new(void)
{
    return xcalloc(1, sizeof(struct ledger_batch));
}

void ledger_batch_free(struct ledger_batch **batch)
{
    if (*batch)
        free((*batch)->rows);
    free(*batch);
    *batch = NULL;
}

void ledger_batch_add(struct ledger_batch *batch, const struct event *events, size_t count,
                      bool *duplicates)
{
    if (batch->room - batch->count < count) {
        batch->room = 2 * batch->room + count;
        batch->rows = xrealloc(batch->rows, batch->room * sizeof *batch->rows);
    }
    for (size_t i = 0; i < count; i++) {
        batch->rows[batch->count] = (struct ledger_row){
            .event = &events[i], .duplicate = &duplicates[i], .index = batch->count};
        batch->count++;
    }
}

void ledger_batch_each_fresh(const struct ledger_batch *batch,
                             void (*visit)(void *data, const struct event *event), void *data)
{
    for (size_t i = 0; i < batch->count; i++)
        if (!*batch->rows[i].duplicate)
            visit(data, batch->rows[i].event);
}

static int by_index(const struct ledger_row *x, const struct ledger_row *y)
{
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_digest(const void *a, const void *b)
{
    const struct ledger_row *x = a, *y = b;
    int order = memcmp(x->digest, y->digest, sizeof x->digest);
    return order ? order : by_index(x, y);
}

static int by_customer(const void *a, const void *b)
{
    const struct ledger_row *x = a, *y = b;
    return x->customer != y->customer ? (x->customer < y->customer ? -1 : 1) : by_index(x, y);
}

/* Gives every row the number of its customer; new ones are numbered in the order of digests. */
static void find_customers(struct ledger_batch *batch, struct store_txn *txn,
                           const unsigned char secret[32])
{
    uint64_t last = ledger_last_customer(txn);
    batch->first_new = last + 1;
    struct ledger_row *rows = batch->rows;
    for (size_t i = 0; i < batch->count; i++)
        ledger_customer_digest(secret, rows[i].event->customer, rows[i].digest);
    qsort(rows, batch->count, sizeof *rows, by_digest);
    for (size_t i = 0; i < batch->count; i++) {
        bool same = i > 0 && memcmp(rows[i].digest, rows[i - 1].digest, 16) == 0;
        rows[i].customer =
            same ? rows[i - 1].customer : ledger_customer_of_digest(txn, rows[i].digest);
        if (rows[i].customer == 0) {
            rows[i].customer = ++last;
            ledger_customer_create(txn, rows[i].digest, last);
        }
    }
    qsort(rows, batch->count, sizeof *rows, by_customer);
}

/* --- one customer --------------------------------------------------------------------------- */

/* A unit as it is stored, and as it becomes. */
struct held {
    const struct experiment *experiment;
    uint16_t phase;
    struct slice record;
    struct unit old, new;
};

struct holding {
    struct held *list; /* in the arena */
    size_t count, room;
};

static bool hold(struct holding *held, uint64_t customer, const struct experiment *experiment,
                 uint16_t phase, struct slice record, struct arena *arena, struct error *err)
{
    if (held->count == held->room) {
        held->room = held->room ? 2 * held->room : 2;
        struct held *more = arena_alloc(arena, held->room * sizeof *more);
        if (held->count)
            memcpy(more, held->list, held->count * sizeof *more);
        held->list = more;
    }
    struct held *unit = &held->list[held->count++];
    *unit = (struct held){
        .experiment = experiment, .phase = phase, .record = arena_slice(arena, record)};
    if (!ledger_unit_decode(unit->record, experiment, arena, &unit->old))
        return error_set(err, ERROR_CORRUPT, NULL, "a unit of customer number %llu is damaged",
                         (unsigned long long)customer);
    unit->new = unit->old;
    size_t bytes = unit->old.metric_count * sizeof *unit->old.metrics;
    unit->new.metrics = arena_alloc(arena, bytes);
    if (bytes)
        memcpy(unit->new.metrics, unit->old.metrics, bytes);
    return true;
}

/* All units of a customer. */
static bool hold_all(struct holding *held, struct store_txn *txn, uint64_t customer,
                     const struct catalog *catalog, struct arena *arena, struct error *err)
{
    struct store_key prefix = ledger_key(customer, LEDGER_UNIT);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, key_slice(&prefix), NO_SLICE);
    struct slice key, record;
    bool ok = true;
    while (ok && store_next(cursor, &key, &record)) {
        uint32_t number;
        uint16_t phase;
        key.ptr += prefix.len;
        key.len -= prefix.len;
        const struct experiment *experiment = unkey_u32(&key, &number) && unkey_u16(&key, &phase)
                                                  ? catalog_experiment_numbered(catalog, number)
                                                  : NULL;
        if (experiment)
            ok = hold(held, customer, experiment, phase, record, arena, err);
    }
    store_walk_end(&cursor);
    return ok && store_healthy(txn, err);
}

/* Whether an exposure is one that counts in a phase of which the customer has no unit yet. */
static bool opens_unit(const struct holding *held, const struct event *event,
                       const struct catalog *catalog)
{
    int epoch, variant;
    const struct experiment *experiment =
        event->type == EVENT_EXPOSURE ? catalog_experiment(catalog, event->name) : NULL;
    epoch = experiment ? experiment_epoch_at(experiment, event_time(event)) : -1;
    if (epoch < 0)
        return false;
    uint16_t phase = experiment->epochs[epoch].phase;
    for (size_t i = 0; i < held->count; i++)
        if (held->list[i].experiment == experiment && held->list[i].phase == phase)
            return false;
    return ledger_exposure_of(event, experiment, phase, &epoch, &variant);
}

/* Adds an event to all units. False where only the history can tell. */
static bool add_event(struct holding *held, const struct event *event,
                      const struct catalog *catalog)
{
    if (opens_unit(held, event, catalog))
        return false;
    for (size_t i = 0; i < held->count; i++)
        if (!ledger_unit_add(&held->list[i].new, event, held->list[i].experiment,
                             held->list[i].phase, catalog))
            return false;
    return true;
}

static void store_units(const struct holding *held, struct store_txn *txn,
                        struct tally_set *tallies, uint64_t customer, struct text *scratch)
{
    for (size_t i = 0; i < held->count; i++) {
        const struct held *unit = &held->list[i];
        struct store_key key = ledger_unit_key(customer, unit->experiment->number, unit->phase);
        ledger_unit_encode(&unit->new, unit->experiment, scratch);
        struct slice record = {scratch->ptr, scratch->len};
        if (slice_equal(record, unit->record))
            continue;
        ledger_unit_count(tallies, unit->experiment->number, unit->phase, &unit->old, &unit->new);
        store_put(txn, STORE_CUSTOMER, key_slice(&key), record);
    }
}

struct writing {
    struct store_txn *txn;
    struct tally_set *tallies;
    const unsigned char *secret;
    const struct catalog *catalog;
    uint64_t uncounted; /* recount_uncounted */
    struct text scratch;
    struct arena arena; /* of the customer that is written */
    struct error *err;
};

static bool append(struct writing *w, const struct event *event, uint64_t customer)
{
    struct store_key key;
    if (!ledger_event_key(w->txn, w->secret, customer, event, &w->scratch, &key))
        return false;
    text_clear(&w->scratch);
    must(event_encode(event, &w->scratch));
    return store_put_new(w->txn, STORE_CUSTOMER, key_slice(&key),
                         (struct slice){w->scratch.ptr, w->scratch.len});
}

static bool write_known(struct writing *w, struct ledger_row *rows, size_t count)
{
    struct holding held = {0};
    uint64_t customer = rows->customer;
    bool counted = customer < w->uncounted, fresh = false, told = true;
    bool ok = !counted || hold_all(&held, w->txn, customer, w->catalog, &w->arena, w->err);
    for (size_t i = 0; ok && i < count; i++) {
        bool added = append(w, rows[i].event, customer);
        *rows[i].duplicate = !added;
        fresh = fresh || added;
        told = told && (!added || !counted || add_event(&held, rows[i].event, w->catalog));
    }
    ok = ok && store_healthy(w->txn, w->err);
    fresh = fresh && counted;
    if (ok && fresh && told)
        store_units(&held, w->txn, w->tallies, customer, &w->scratch);
    else if (ok && fresh)
        ok = ledger_customer(w->txn, w->tallies, customer, w->catalog, w->err);
    return ok;
}

/* --- a new customer ------------------------------------------------------------------------- */

/* More are written as those of a known one: they are compared with each other. */
enum { FIRST_EVENTS_MAX = 32 };

struct first {
    struct store_key key;
    const struct event *event;
};

static int by_key(const void *a, const void *b)
{
    const struct first *x = a, *y = b;
    return memcmp(x->key.bytes, y->key.bytes, x->key.len);
}

static int by_time(const void *a, const void *b)
{
    return ledger_order(a, b);
}

/* The different events, in the order of their keys. */
static size_t find_first(struct writing *w, struct ledger_row *rows, size_t count,
                         struct first *list)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct first *next = &list[used];
        bool fresh = ledger_event_key(w->txn, w->secret, rows->customer, rows[i].event, &w->scratch,
                                      &next->key);
        for (size_t j = 0; fresh && j < used; j++)
            fresh = !slice_equal(key_slice(&list[j].key), key_slice(&next->key));
        next->event = rows[i].event;
        *rows[i].duplicate = !fresh;
        used += fresh;
    }
    qsort(list, used, sizeof *list, by_key);
    return used;
}

static void put_row(struct writing *w, const struct store_key *key)
{
    store_put(w->txn, STORE_CUSTOMER, key_slice(key),
              (struct slice){w->scratch.ptr, w->scratch.len});
}

static void write_units(struct writing *w, uint64_t customer, const struct first *list,
                        size_t count)
{
    struct unit unit;
    struct event history[FIRST_EVENTS_MAX];
    for (size_t i = 0; i < count; i++)
        history[i] = *list[i].event;
    qsort(history, count, sizeof *history, by_time);
    struct ledger_meetings met = ledger_meetings_of(NULL, customer, history, count, w->catalog);
    for (size_t i = 0; i < met.count; i++) {
        const struct experiment *experiment = met.list[i].experiment;
        uint16_t phase = met.list[i].phase;
        if (!ledger_unit(history, count, experiment, phase, w->catalog, &w->arena, &unit))
            continue;
        struct store_key key = ledger_unit_key(customer, experiment->number, phase);
        ledger_unit_encode(&unit, experiment, &w->scratch);
        ledger_unit_count(w->tallies, experiment->number, phase, NULL, &unit);
        put_row(w, &key);
    }
    free(met.list);
}

static void write_new(struct writing *w, struct ledger_row *rows, size_t count)
{
    struct first list[FIRST_EVENTS_MAX];
    size_t used = find_first(w, rows, count, list);
    ledger_customer_name(w->txn, rows->customer, rows->event->customer);
    if (rows->customer < w->uncounted)
        write_units(w, rows->customer, list, used);
    for (size_t i = 0; i < used; i++) {
        text_clear(&w->scratch);
        must(event_encode(list[i].event, &w->scratch));
        put_row(w, &list[i].key);
    }
}

/* The rows of one customer, `count` of them. */
static bool write_customer(struct writing *w, const struct ledger_batch *batch,
                           struct ledger_row *rows, size_t count)
{
    bool new = rows->customer >= batch->first_new, ok = true;
    if (new &&count <= FIRST_EVENTS_MAX) {
        write_new(w, rows, count);
    } else {
        if (new)
            ledger_customer_name(w->txn, rows->customer, rows->event->customer);
        ok = write_known(w, rows, count);
    }
    return ok && store_healthy(w->txn, w->err);
}

bool ledger_batch_write(struct ledger_batch *batch, struct store_txn *txn,
                        struct tally_set *tallies, const unsigned char secret[32],
                        const struct catalog *catalog, struct error *err)
{
    struct writing w = {
        .txn = txn, .tallies = tallies, .secret = secret, .catalog = catalog, .err = err};
    w.uncounted = recount_uncounted(txn);
    bool ok = true;
    text_init(&w.scratch, LEDGER_RECORD_MAX);
    find_customers(batch, txn, secret);
    for (size_t i = 0, end; ok && i < batch->count; i = end) {
        for (end = i; end < batch->count && batch->rows[end].customer == batch->rows[i].customer;)
            end++;
        ok = write_customer(&w, batch, &batch->rows[i], end - i);
        arena_reset(&w.arena);
    }
    arena_release(&w.arena);
    text_release(&w.scratch);
    return ok;
}
