/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ledger on disk. In the table of customers every key begins with the customer's number, so
 * that all of one customer lies together:
 *   number u64 · 0                         → the id
 *   number u64 · 1 · experiment u32 · phase u16  → the unit, as it was counted
 *   number u64 · 2 · at u64 · digest u64   → an event */
#include "core/ledger.h"

#include <endian.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/when.h"
#include "stats/sketch.h"

/* In a unit's metric: bit 0 answered, 1 to 15 the score, 16 binned. */
enum { BINNED_BIT = 16, SCORE_MASK = 0x7fff };
enum { PROFILE = 0, UNIT = 1, EVENT = 2, UNIT_VERSION = 1 };

/* --- customers ------------------------------------------------------------------------------ */

static struct store_key customer_key(uint64_t customer, uint8_t kind)
{
    struct store_key key = {0};
    key_u64(&key, customer);
    key_u8(&key, kind);
    return key;
}

uint64_t ledger_last_customer(struct store_txn *txn)
{
    struct slice key, value;
    uint64_t number = 0;
    if (store_last(txn, STORE_CUSTOMER, NO_SLICE, &key, &value))
        unkey_u64(&key, &number);
    return number;
}

uint64_t ledger_next_customer(struct store_txn *txn, uint64_t from)
{
    struct store_key start = customer_key(from, 0);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, NO_SLICE, key_slice(&start));
    struct slice key, value;
    uint64_t number = 0;
    if (store_next(cursor, &key, &value))
        unkey_u64(&key, &number);
    store_walk_end(&cursor);
    return number;
}

uint64_t ledger_customer_number(struct store_txn *txn, const unsigned char secret[32],
                                struct slice id, bool create)
{
    unsigned char digest[16];
    crypto_generichash(digest, sizeof digest, (const unsigned char *)id.ptr, id.len, secret, 32);
    struct slice key = {(const char *)digest, sizeof digest}, found;
    uint64_t number = 0;
    if (store_get(txn, STORE_CUSTOMER_ID, key, &found)) {
        unkey_u64(&found, &number);
        return number;
    }
    if (!create)
        return 0;
    number = ledger_last_customer(txn) + 1;
    struct store_key value = {0}, profile = customer_key(number, PROFILE);
    key_u64(&value, number);
    store_put(txn, STORE_CUSTOMER_ID, key, key_slice(&value));
    store_put(txn, STORE_CUSTOMER, key_slice(&profile), id);
    return number;
}

struct slice ledger_customer_id(struct store_txn *txn, uint64_t customer)
{
    struct store_key key = customer_key(customer, PROFILE);
    struct slice id = NO_SLICE;
    store_get(txn, STORE_CUSTOMER, key_slice(&key), &id);
    return id;
}

/* --- events --------------------------------------------------------------------------------- */

/* What tells one event from another: its id, or all that it says. */
static void identify(const struct event *event, struct text *text)
{
    text_clear(text);
    if (event->id.len) {
        text_add(text, event->id.ptr, event->id.len);
        return;
    }
    struct event bare = *event;
    if (!bare.timed)
        bare.at = 0;
    bare.received = bare.at;
    event_encode(&bare, text);
}

/* An event without a time has no key of its own to meet: what was seen is kept for some days. */
static bool seen_before(struct store_txn *txn, const unsigned char secret[32], uint64_t customer,
                        const struct event *event, const struct text *identity)
{
    unsigned char digest[16];
    uint64_t number = htobe64(customer);
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, 32, sizeof digest);
    crypto_generichash_update(&state, (const unsigned char *)&number, sizeof number);
    crypto_generichash_update(&state, (const unsigned char *)identity->ptr, identity->len);
    crypto_generichash_final(&state, digest, sizeof digest);
    struct slice key = {(const char *)digest, sizeof digest}, found;
    uint64_t when = 0;
    if (store_get(txn, STORE_SEEN, key, &found) && unkey_u64(&found, &when) &&
        (int64_t)when > event->received - LEDGER_SEEN_DAYS * WHEN_DAY)
        return true;
    struct store_key value = {0};
    key_u64(&value, (uint64_t)event->received);
    store_put(txn, STORE_SEEN, key, key_slice(&value));
    return false;
}

bool ledger_append(struct store_txn *txn, const unsigned char secret[32], uint64_t customer,
                   const struct event *event)
{
    struct text text;
    text_init(&text, 64 << 10);
    identify(event, &text);
    unsigned char digest[crypto_shorthash_BYTES];
    crypto_shorthash(digest, (const unsigned char *)text.ptr, text.len, secret);
    bool fresh = event->timed || !seen_before(txn, secret, customer, event, &text);
    if (fresh) {
        struct store_key key = customer_key(customer, EVENT);
        key_u64(&key, (uint64_t)event->at);
        key_bytes(&key, (struct slice){(const char *)digest, sizeof digest});
        text_clear(&text);
        must(event_encode(event, &text));
        fresh =
            store_put_new(txn, STORE_CUSTOMER, key_slice(&key), (struct slice){text.ptr, text.len});
    }
    text_release(&text);
    return fresh;
}

static int compare_slices(struct slice a, struct slice b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Ties are broken by what the events say, which is the same in every store; keys hold digests under
 * the store's own secret. */
static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    int64_t tx = event_time(x), ty = event_time(y);
    if (tx != ty)
        return tx < ty ? -1 : 1;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    int order = compare_slices(x->id, y->id);
    if (order == 0)
        order = compare_slices(x->name, y->name);
    if (order == 0)
        order = compare_slices(x->variant, y->variant);
    if (order == 0)
        order = (x->value > y->value) - (x->value < y->value);
    return order ? order : compare_slices(x->attributes, y->attributes);
}

bool ledger_history(struct store_txn *txn, uint64_t customer, struct arena *arena,
                    struct event **events, size_t *count, struct error *err)
{
    struct store_key prefix = customer_key(customer, EVENT);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, key_slice(&prefix), NO_SLICE);
    struct slice key, record;
    struct event *list = NULL;
    size_t used = 0, room = 0;
    bool ok = true;
    while (ok && store_next(cursor, &key, &record)) {
        if (used == room) {
            struct event *more = arena_alloc(arena, (room = room ? room * 2 : 16) * sizeof *more);
            if (used)
                memcpy(more, list, used * sizeof *more);
            list = more;
        }
        if (!event_decode(arena_slice(arena, record), &list[used]))
            ok = error_set(err, ERROR_CORRUPT, NULL, "an event of customer number %llu is damaged",
                           (unsigned long long)customer);
        used += ok;
    }
    store_walk_end(&cursor);
    if (!ok || !store_healthy(txn, err))
        return false;
    if (used > 1)
        qsort(list, used, sizeof *list, by_time);
    *events = list;
    *count = used;
    return true;
}

/* --- units ---------------------------------------------------------------------------------- */

static void put_u32(struct text *out, uint32_t value)
{
    struct store_key bytes = {0};
    key_u32(&bytes, value);
    text_add(out, bytes.bytes, bytes.len);
}

static void put_double(struct text *out, double value)
{
    struct store_key bytes = {0};
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    key_u64(&bytes, bits);
    text_add(out, bytes.bytes, bytes.len);
}

static bool get_double(struct slice *rest, double *value)
{
    uint64_t bits;
    bool ok = unkey_u64(rest, &bits);
    memcpy(value, &bits, sizeof bits);
    return ok;
}

static void encode_unit(const struct unit *unit, struct text *out)
{
    text_clear(out);
    put_u32(out, UNIT_VERSION);
    put_u32(out, unit->epoch);
    put_u32(out, (uint32_t)(unit->variant + 1));
    put_double(out, (double)unit->exposed_at);
    put_u32(out, (uint32_t)unit->segment_count);
    for (size_t i = 0; i < unit->segment_count; i++) {
        text_add(out, unit->segments[i].name.ptr, unit->segments[i].name.len);
        text_add(out, "", 1);
        text_add(out, unit->segments[i].value.ptr, unit->segments[i].value.len);
        text_add(out, "", 1);
    }
    put_u32(out, (uint32_t)unit->metric_count);
    for (size_t i = 0; i < unit->metric_count; i++) {
        const struct unit_metric *metric = &unit->metrics[i];
        put_u32(out, metric->metric);
        put_u32(out, (uint32_t)metric->binned << BINNED_BIT |
                         (uint32_t)(metric->adds.score + 1) << 1 | metric->answered);
        put_double(out, metric->adds.value);
        put_double(out, metric->adds.pre);
        put_double(out, metric->adds.den);
    }
}

static bool decode_metric(struct slice *rest, struct unit_metric *metric)
{
    uint32_t packed;
    if (!unkey_u32(rest, &metric->metric) || !unkey_u32(rest, &packed) ||
        !get_double(rest, &metric->adds.value) || !get_double(rest, &metric->adds.pre) ||
        !get_double(rest, &metric->adds.den))
        return false;
    metric->answered = packed & 1;
    metric->binned = packed >> BINNED_BIT & 1;
    metric->adds.score = (int)(packed >> 1 & SCORE_MASK) - 1;
    return true;
}

static bool decode_unit(struct slice rest, struct arena *arena, struct unit *unit)
{
    uint32_t version, epoch, variant, segments, metrics;
    double exposed_at;
    *unit = (struct unit){0};
    if (!unkey_u32(&rest, &version) || version != UNIT_VERSION || !unkey_u32(&rest, &epoch) ||
        !unkey_u32(&rest, &variant) || !get_double(&rest, &exposed_at) ||
        !unkey_u32(&rest, &segments) || segments > EXPERIMENT_SEGMENTS_MAX || epoch > UINT16_MAX ||
        variant > EXPERIMENT_VARIANTS_MAX)
        return false;
    unit->epoch = (uint16_t)epoch;
    unit->variant = (int)variant - 1;
    unit->exposed_at = (int64_t)exposed_at;
    unit->segment_count = segments;
    for (uint32_t i = 0; i < segments; i++)
        if (!unkey_text(&rest, &unit->segments[i].name) ||
            !unkey_text(&rest, &unit->segments[i].value))
            return false;
    if (!unkey_u32(&rest, &metrics) || metrics > EXPERIMENT_METRICS_MAX)
        return false;
    unit->metric_count = metrics;
    unit->metrics = arena_alloc(arena, metrics * sizeof *unit->metrics);
    for (uint32_t i = 0; i < metrics; i++)
        if (!decode_metric(&rest, &unit->metrics[i]))
            return false;
    return rest.len == 0;
}

/* Adds a unit to one segment's tallies, or (empty segment) to those of all. */
static void count_cell(struct tally_set *tallies, struct tally_name name, const struct unit *unit,
                       int sign)
{
    static const struct contribution nothing = {.score = -1};
    name.metric = 0;
    tally_count(tally_set_at(tallies, &name), &nothing, sign);
    for (size_t i = 0; i < unit->metric_count; i++) {
        if (!unit->metrics[i].answered)
            continue;
        const struct unit_metric *metric = &unit->metrics[i];
        name.metric = metric->metric;
        name.bin = 0;
        tally_count(tally_set_at(tallies, &name), &metric->adds, sign);
        if (!metric->binned)
            continue;
        name.bin = sketch_bin_of(metric->adds.value);
        tally_count(tally_set_at(tallies, &name), &metric->adds, sign);
    }
}

static void count_unit(struct tally_set *tallies, uint32_t experiment, uint16_t phase,
                       const struct unit *unit, int sign)
{
    struct tally_name name = {.experiment = experiment,
                              .phase = phase,
                              .epoch = unit->epoch,
                              .variant =
                                  unit->variant < 0 ? TALLY_CROSSED : (uint8_t)unit->variant};
    count_cell(tallies, name, unit, sign);
    for (size_t i = 0; i < unit->segment_count; i++) {
        name.segment = unit->segments[i].name;
        name.value = unit->segments[i].value;
        count_cell(tallies, name, unit, sign);
    }
}

static struct store_key unit_key(uint64_t customer, uint32_t experiment, uint16_t phase)
{
    struct store_key key = customer_key(customer, UNIT);
    key_u32(&key, experiment);
    key_u16(&key, phase);
    return key;
}

/* One customer in one phase: takes away what was, adds what is. */
static bool recount(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                    const struct event *events, size_t count, const struct experiment *experiment,
                    uint16_t phase, const struct catalog *catalog, struct arena *arena,
                    struct error *err)
{
    struct store_key key = unit_key(customer, experiment->number, phase);
    struct unit unit, old;
    struct slice stored;
    struct text record;
    text_init(&record, 64 << 10);
    bool is = ledger_unit(events, count, experiment, phase, catalog, arena, &unit);
    bool was = store_get(txn, STORE_CUSTOMER, key_slice(&key), &stored);
    if (is)
        encode_unit(&unit, &record);
    bool same = is == was && (!is || slice_equal(stored, (struct slice){record.ptr, record.len}));
    bool ok = true;
    if (!same && was) {
        ok = decode_unit(arena_slice(arena, stored), arena, &old) ||
             error_set(err, ERROR_CORRUPT, NULL, "a unit of customer number %llu is damaged",
                       (unsigned long long)customer);
        if (ok)
            count_unit(tallies, experiment->number, phase, &old, -1);
    }
    if (!same && ok && is) {
        count_unit(tallies, experiment->number, phase, &unit, 1);
        store_put(txn, STORE_CUSTOMER, key_slice(&key), (struct slice){record.ptr, record.len});
    } else if (!same && ok) {
        store_delete(txn, STORE_CUSTOMER, key_slice(&key));
    }
    text_release(&record);
    return ok;
}

/* Every phase that the customer met, or had a unit in, once. */
struct meeting {
    const struct experiment *experiment;
    uint16_t phase;
};

struct meetings {
    struct meeting *list;
    size_t count, room;
};

static void add_meeting(struct meetings *met, const struct experiment *experiment, uint16_t phase)
{
    for (size_t i = 0; i < met->count; i++)
        if (met->list[i].experiment == experiment && met->list[i].phase == phase)
            return;
    if (met->count == met->room) {
        met->room = met->room ? 2 * met->room : 16;
        met->list = xrealloc(met->list, met->room * sizeof *met->list);
    }
    met->list[met->count++] = (struct meeting){experiment, phase};
}

/* The caller frees the list. */
static struct meetings meetings_of(struct store_txn *txn, uint64_t customer,
                                   const struct event *events, size_t count,
                                   const struct catalog *catalog)
{
    struct meetings met = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++) {
        const struct experiment *experiment =
            events[i].type == EVENT_EXPOSURE ? catalog_experiment(catalog, events[i].name) : NULL;
        int epoch = experiment ? experiment_epoch_at(experiment, event_time(&events[i])) : -1;
        if (epoch >= 0)
            add_meeting(&met, experiment, experiment->epochs[epoch].phase);
    }
    struct store_key prefix = customer_key(customer, UNIT);
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
    struct meetings met = meetings_of(txn, customer, events, count, catalog);
    for (size_t i = 0; ok && i < met.count; i++)
        ok = recount(txn, tallies, customer, events, count, met.list[i].experiment,
                     met.list[i].phase, catalog, &arena, err);
    free(met.list);
    arena_release(&arena);
    return ok && store_healthy(txn, err);
}

/* --- batches -------------------------------------------------------------------------------- */

struct ranked {
    const struct event *event;
    size_t index;
};

/* By customer, then in the order of arrival, so that a duplicate is the later one. */
static int by_customer(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    size_t least = x->event->customer.len < y->event->customer.len ? x->event->customer.len
                                                                   : y->event->customer.len;
    int order = memcmp(x->event->customer.ptr, y->event->customer.ptr, least);
    if (order == 0 && x->event->customer.len != y->event->customer.len)
        order = x->event->customer.len < y->event->customer.len ? -1 : 1;
    return order ? order : x->index < y->index ? -1 : 1;
}

bool ledger_batch(struct store_txn *txn, struct tally_set *tallies, const unsigned char secret[32],
                  const struct event *events, size_t count, const struct catalog *catalog,
                  bool *duplicates, struct error *err)
{
    struct ranked *list = xcalloc(count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct ranked){&events[i], i};
    qsort(list, count, sizeof *list, by_customer);
    bool ok = true;
    for (size_t i = 0; ok && i < count;) {
        struct slice id = list[i].event->customer;
        uint64_t customer = ledger_customer_number(txn, secret, id, true);
        bool changed = false;
        for (; i < count && slice_equal(list[i].event->customer, id); i++) {
            bool fresh = ledger_append(txn, secret, customer, list[i].event);
            duplicates[list[i].index] = !fresh;
            changed = changed || fresh;
        }
        ok = store_healthy(txn, err) &&
             (!changed || ledger_customer(txn, tallies, customer, catalog, err));
    }
    free(list);
    return ok;
}

bool ledger_expire_seen(struct store_txn *txn, int64_t now, size_t most, struct store_key *from)
{
    struct store_cursor *cursor = store_walk(txn, STORE_SEEN, NO_SLICE, key_slice(from));
    struct slice key, value;
    struct arena arena = {0};
    struct slice *old = arena_alloc(&arena, most * sizeof *old);
    size_t count = 0, looked_at = 0;
    bool more;
    while ((more = store_next(cursor, &key, &value)) && looked_at++ < most) {
        uint64_t when = 0;
        if (!unkey_u64(&value, &when) || (int64_t)when <= now - LEDGER_SEEN_DAYS * WHEN_DAY)
            old[count++] = arena_slice(&arena, key);
    }
    from->len = 0;
    if (more)
        key_bytes(from, key);
    store_walk_end(&cursor);
    for (size_t i = 0; i < count; i++)
        store_delete(txn, STORE_SEEN, old[i]);
    arena_release(&arena);
    return more;
}

/* --- repair --------------------------------------------------------------------------------- */

/* Takes out all rows with this prefix, whatever is in them. */
static void delete_all(struct store_txn *txn, enum store_table table, struct slice prefix)
{
    enum { AT_ONCE = 1000 };
    struct slice keys[AT_ONCE], value;
    size_t count;
    do {
        struct arena arena = {0};
        struct slice key;
        struct store_cursor *cursor = store_walk(txn, table, prefix, NO_SLICE);
        for (count = 0; count < AT_ONCE && store_next(cursor, &key, &value); count++)
            keys[count] = arena_slice(&arena, key);
        store_walk_end(&cursor);
        for (size_t i = 0; i < count; i++)
            store_delete(txn, table, keys[i]);
        arena_release(&arena);
    } while (count == AT_ONCE);
}

bool ledger_repair(struct store_txn *txn, struct tally_set *tallies, const struct catalog *catalog,
                   void (*progress)(void *data, double done), void *data, struct error *err)
{
    uint64_t last = ledger_last_customer(txn);
    bool ok = true;
    delete_all(txn, STORE_TALLY, NO_SLICE);
    for (uint64_t customer = 0; ok && (customer = ledger_next_customer(txn, customer + 1));) {
        struct store_key units = customer_key(customer, UNIT);
        delete_all(txn, STORE_CUSTOMER, key_slice(&units));
        ok = ledger_customer(txn, tallies, customer, catalog, err);
        if (progress)
            progress(data, (double)customer / (double)last);
    }
    return ok && store_healthy(txn, err);
}

/* --- check ---------------------------------------------------------------------------------- */

struct check {
    struct store_txn *txn;
    struct tally_set *recounted;
    void (*report)(void *data, const char *line);
    void *data;
    uint64_t differences;
};

static void differ(struct check *check, const char *line)
{
    check->differences++;
    check->report(check->data, line);
}

static bool check_customer(struct check *check, uint64_t customer, const struct catalog *catalog,
                           struct error *err)
{
    struct arena arena = {0};
    struct event *events = NULL;
    size_t count = 0;
    struct text record;
    char line[256];
    text_init(&record, 64 << 10);
    bool ok = ledger_history(check->txn, customer, &arena, &events, &count, err);
    struct meetings met = meetings_of(check->txn, customer, events, count, catalog);
    const struct meeting *list = met.list;
    for (size_t i = 0; ok && i < met.count; i++) {
        struct unit unit;
        struct slice stored = NO_SLICE;
        struct store_key key = unit_key(customer, list[i].experiment->number, list[i].phase);
        bool is =
            ledger_unit(events, count, list[i].experiment, list[i].phase, catalog, &arena, &unit);
        bool was = store_get(check->txn, STORE_CUSTOMER, key_slice(&key), &stored);
        if (is) {
            encode_unit(&unit, &record);
            count_unit(check->recounted, list[i].experiment->number, list[i].phase, &unit, 1);
        }
        if (is != was || (is && !slice_equal(stored, (struct slice){record.ptr, record.len}))) {
            snprintf(line, sizeof line,
                     "experiment %s, phase %d, customer number %llu: the unit %s",
                     list[i].experiment->key, list[i].phase, (unsigned long long)customer,
                     !was  ? "is missing"
                     : !is ? "should not be there"
                           : "differs from history");
            differ(check, line);
        }
    }
    text_release(&record);
    free(met.list);
    arena_release(&arena);
    return ok;
}

static void describe(const struct tally_name *name, const char *what, char line[512])
{
    char bin[16] = "";
    if (name->bin)
        snprintf(bin, sizeof bin, "%d", name->bin);
    snprintf(line, 512,
             "tally of experiment %u, phase %u, epoch %u, metric %u, %.*s%s%.*s%svariant "
             "%u%s%s: %s",
             name->experiment, name->phase, name->epoch, name->metric, (int)name->segment.len,
             name->segment.ptr, name->segment.len ? " = " : "", (int)name->value.len,
             name->value.ptr, name->segment.len ? ", " : "", name->variant,
             name->bin ? ", bin " : "", bin, what);
}

static bool check_stored(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct check *check = data;
    struct tally *counted = tally_set_at(check->recounted, name);
    char line[512];
    if (!tally_agrees(counted, tally)) {
        describe(name, "differs from history", line);
        differ(check, line);
    }
    *counted = (struct tally){0}; /* what is left was not stored */
    return true;
}

static bool check_left(void *data, const struct tally_name *name, const struct tally *tally)
{
    char line[512];
    if (!tally_is_zero(tally)) {
        describe(name, "is missing", line);
        differ(data, line);
    }
    return true;
}

bool ledger_check(struct store_txn *txn, const struct catalog *catalog,
                  void (*report)(void *data, const char *line),
                  void (*progress)(void *data, double done), void *data, uint64_t *differences,
                  struct error *err)
{
    struct check check = {
        .txn = txn, .recounted = tally_set_new(NULL), .report = report, .data = data};
    uint64_t last = ledger_last_customer(txn);
    bool ok = true;
    for (uint64_t customer = 1; ok && (customer = ledger_next_customer(txn, customer)) != 0;
         customer++) {
        ok = check_customer(&check, customer, catalog, err);
        if (progress)
            progress(data, (double)customer / (double)last);
    }
    ok = ok && tally_each(txn, NO_SLICE, check_stored, &check, err) &&
         tally_set_each(check.recounted, check_left, &check);
    tally_set_free(&check.recounted);
    *differences = check.differences;
    return ok;
}
