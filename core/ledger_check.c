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

bool ledger_customer_afresh(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                            const struct catalog *catalog,
                            void (*report)(void *data, const char *line), void *data,
                            struct error *err)
{
    struct store_key units = ledger_key(customer, LEDGER_UNIT),
                     events = ledger_key(customer, LEDGER_EVENT);
    char line[128];
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
