/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recounting everything from history: to compare, or afresh. */
#include <stdio.h>

#include "core/ledger_parts.h"

/* --- counting afresh ------------------------------------------------------------------------ */

enum { AT_ONCE = LEDGER_AT_ONCE };

size_t ledger_take_out(struct store_txn *txn, enum store_table table, struct slice prefix,
                       bool (*unwanted)(struct slice value))
{
    struct slice keys[AT_ONCE], key, value;
    size_t count = 0;
    struct arena arena = {0};
    struct store_cursor *cursor = store_walk(txn, table, prefix, NO_SLICE);
    store_walk_damaged(cursor);
    while (count < AT_ONCE && store_next(cursor, &key, &value))
        if (!unwanted || unwanted(value))
            keys[count++] = arena_slice(&arena, key);
    store_walk_end(&cursor);
    for (size_t i = 0; i < count; i++)
        store_delete(txn, table, keys[i]);
    arena_release(&arena);
    return count;
}

static bool is_not_sealed(struct slice record)
{
    return !record.ptr || !ledger_unit_is_sealed(record);
}

static bool is_unreadable(struct slice record)
{
    struct event event;
    return !record.ptr || !event_decode(record, &event);
}

bool ledger_drop_tallies(struct store_txn *txn, size_t most)
{
    size_t count = AT_ONCE;
    for (size_t taken = 0; count == AT_ONCE && taken < most; taken += count)
        count = ledger_take_out(txn, STORE_TALLY, NO_SLICE, NULL);
    if (count < AT_ONCE)
        store_sums_anew(txn, STORE_TALLY);
    return count == AT_ONCE;
}

/* The tallies that they were in are gone. */
static bool count_sealed(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                         const struct catalog *catalog, struct error *err)
{
    struct arena arena = {0};
    struct ledger_held *held = NULL;
    size_t count = 0;
    bool ok = ledger_units_stored(txn, customer, catalog, &arena, &held, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        ledger_unit_count(tallies, held[i].experiment->number, held[i].phase, NULL, &held[i].unit);
    arena_release(&arena);
    return ok;
}

/* Gives the first customer from this number on another id where theirs cannot be read: a walk over
 * the rows before would end there. Its digest leads to the number all the same, so who comes again
 * is the same customer, and every figure stays. */
static void mend_id(struct store_txn *txn, uint64_t from,
                    void (*report)(void *data, const char *line), void *data)
{
    struct store_key start = ledger_key(from, 0), profile = {0};
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, NO_SLICE, key_slice(&start));
    struct slice key, id;
    uint64_t number = 0;
    uint8_t kind = LEDGER_UNIT;
    char name[64], line[160];
    store_walk_damaged(cursor);
    if (store_next(cursor, &key, &id) && !id.ptr && unkey_u64(&key, &number))
        unkey_u8(&key, &kind);
    store_walk_end(&cursor);
    if (kind != LEDGER_PROFILE)
        return;
    profile = ledger_key(number, LEDGER_PROFILE);
    snprintf(name, sizeof name, "(lost id of number %llu)", (unsigned long long)number);
    store_put(txn, STORE_CUSTOMER, key_slice(&profile), slice_of(name));
    snprintf(line, sizeof line, "customer number %llu: the id cannot be read: exports say '%s'",
             (unsigned long long)number, name);
    if (report)
        report(data, line);
}

bool ledger_customer_afresh(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                            const struct catalog *catalog,
                            void (*report)(void *data, const char *line), void *data,
                            struct error *err)
{
    struct store_key units = ledger_key(customer, LEDGER_UNIT),
                     events = ledger_key(customer, LEDGER_EVENT);
    char line[128];
    mend_id(txn, customer, report, data);
    mend_id(txn, customer + 1, report, data);
    for (size_t count = AT_ONCE; count == AT_ONCE;) {
        count = ledger_take_out(txn, STORE_CUSTOMER, key_slice(&events), is_unreadable);
        if (count == 0 || !report)
            continue;
        snprintf(line, sizeof line, "customer number %llu: %zu events cannot be read: taken out",
                 (unsigned long long)customer, count);
        report(data, line);
    }
    while (ledger_take_out(txn, STORE_CUSTOMER, key_slice(&units), is_not_sealed) == AT_ONCE) {
    }
    return count_sealed(txn, tallies, customer, catalog, err) &&
           ledger_customer(txn, tallies, customer, catalog, err);
}

/* --- check ---------------------------------------------------------------------------------- */

struct check {
    struct store_txn *txn;
    const struct catalog *catalog;
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
    text_init(&record, LEDGER_RECORD_MAX);
    bool ok = ledger_history(check->txn, customer, &arena, &events, &count, err);
    struct ledger_meetings met = ledger_meetings_of(check->txn, customer, events, count, catalog);
    const struct ledger_meeting *list = met.list;
    for (size_t i = 0; ok && i < met.count; i++) {
        struct unit unit, old;
        struct slice stored = NO_SLICE;
        struct store_key key = ledger_unit_key(customer, list[i].experiment->number, list[i].phase);
        bool was = store_get(check->txn, STORE_CUSTOMER, key_slice(&key), &stored);
        bool whole = was && ledger_unit_decode(stored, list[i].experiment, &arena, &old);
        bool is = ledger_unit_beside(whole ? &old : NULL, events, count, list[i].experiment,
                                     list[i].phase, catalog, &arena, &unit);
        if (is) {
            ledger_unit_encode(&unit, list[i].experiment, &record);
            ledger_unit_count(check->recounted, list[i].experiment->number, list[i].phase, NULL,
                              &unit);
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

static const char *variant_word(const struct experiment *experiment, uint8_t variant)
{
    if (variant == TALLY_CROSSED)
        return "in two variants";
    if (variant == TALLY_SEALED)
        return "sealed";
    return experiment && variant < experiment->variant_count ? experiment->variants[variant].key
                                                             : "unknown";
}

/* By keys, which an operator knows; "?" where the definition is not there. */
static void describe(struct check *check, const struct tally_name *name, const char *what)
{
    const struct experiment *now = catalog_experiment_numbered(check->catalog, name->experiment);
    const struct metric *metric = catalog_metric_numbered(check->catalog, name->metric);
    char bin[24] = "", line[640];
    if (name->bin)
        snprintf(bin, sizeof bin, ", bin %d", name->bin);
    snprintf(line, sizeof line,
             "experiment %s, phase %u, epoch %u, %s%s, %.*s%s%.*s%svariant %s%s: the tally %s",
             now ? now->key : "?", name->phase, name->epoch, name->metric ? "metric " : "customers",
             !name->metric ? ""
             : metric      ? metric->key
                           : "?",
             (int)name->segment.len, name->segment.ptr, name->segment.len ? " = " : "",
             (int)name->value.len, name->value.ptr, name->segment.len ? ", " : "",
             variant_word(now ? experiment_in_phase(now, name->phase) : NULL, name->variant), bin,
             what);
    differ(check, line);
}

static bool check_stored(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct check *check = data;
    struct tally *counted = tally_set_at(check->recounted, name);
    if (!tally_agrees(counted, tally))
        describe(check, name, "differs from history");
    *counted = (struct tally){0}; /* what is left was not stored */
    return true;
}

static bool check_left(void *data, const struct tally_name *name, const struct tally *tally)
{
    if (!tally_is_zero(tally))
        describe(data, name, "is missing");
    return true;
}

bool ledger_check(struct store_txn *txn, const struct catalog *catalog,
                  void (*report)(void *data, const char *line),
                  void (*progress)(void *data, double done), void *data, uint64_t *differences,
                  struct error *err)
{
    struct check check = {.txn = txn,
                          .catalog = catalog,
                          .recounted = tally_set_new(NULL),
                          .report = report,
                          .data = data};
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
