/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is kept of a customer as JSON, and its erasure with the figures before and after. */
#include "core/customer.h"

#include <sodium.h>
#include <stdlib.h>

#include "core/audit.h"
#include "core/consent.h"
#include "core/json.h"
#include "core/ledger_parts.h"
#include "core/pseudonym.h"
#include "core/webhook.h"
#include "core/recount.h"
#include "core/uplift.h"

enum { CURSOR = 16 }; /* bytes of an event's key behind its prefix */

bool customer_check_id(struct slice id, struct error *err)
{
    return (id.len > 0 && id.len <= EVENT_CUSTOMER_MAX && utf8_valid(id.ptr, id.len)) ||
           error_set(err, ERROR_INVALID, "id", "must be 1 to %d bytes of UTF-8",
                     EVENT_CUSTOMER_MAX);
}

void customer_digest(const struct uplift *uplift, struct slice id, unsigned char digest[16])
{
    char room[PSEUDONYM_LENGTH + 1];
    ledger_customer_digest(uplift->secret, pseudonym_of(uplift->pseudonym, id, room), digest);
}

static bool nothing_kept(struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, NULL, "nothing is kept of this customer");
}

static json_t *text_json(struct slice text)
{
    return json_stringn(text.ptr, text.len);
}

/* --- what is kept --------------------------------------------------------------------------- */

/* The key of a metric, null where it was removed since. */
static json_t *metric_word(const struct catalog *catalog, uint32_t number)
{
    const struct metric *metric = catalog_metric_numbered(catalog, number);
    return metric ? json_string(metric->key) : json_null();
}

/* Of a metric that was removed since, what is not 0. */
static void put_adds(json_t *row, const char *name, double value, bool has, bool known)
{
    if (known ? has : value != 0)
        json_object_set_new(row, name, json_figure(value));
}

static json_t *adds_json(const struct unit_metric *metric, const struct catalog *catalog)
{
    const struct metric *of = catalog_metric_numbered(catalog, metric->metric);
    json_t *row = json_pack("{s:o}", "metric", metric_word(catalog, metric->metric));
    if (!metric->answered) {
        json_object_set_new(row, "value", json_null());
        return row;
    }
    json_object_set_new(row, "value", json_figure(metric->adds.value));
    put_adds(row, "pre", metric->adds.pre, of && of->covariate_days > 0, of);
    put_adds(row, "den", metric->adds.den, of && of->denominator, of);
    return row;
}

/* Whether figures are being counted anew: what is told of them is not whole. */
static json_t *rebuilding(struct store_txn *txn)
{
    struct recount note;
    return json_boolean(recount_read(txn, &note));
}

static const char *variant_key(const struct ledger_held *held)
{
    const struct experiment *then = experiment_in_phase(held->experiment, held->phase);
    return then && held->unit.variant >= 0 ? then->variants[held->unit.variant].key : NULL;
}

static json_t *unit_json(const struct ledger_held *held, const struct catalog *catalog)
{
    const struct unit *unit = &held->unit;
    json_t *segments = json_object(), *metrics = json_array();
    for (size_t i = 0; i < unit->segment_count; i++)
        json_object_setn_new(segments, unit->segments[i].name.ptr, unit->segments[i].name.len,
                             text_json(unit->segments[i].value));
    for (size_t i = 0; i < unit->metric_count; i++)
        json_array_append_new(metrics, adds_json(&unit->metrics[i], catalog));
    return json_pack("{s:s, s:i, s:s?, s:i, s:o, s:o, s:o, s:b}", "experiment",
                     held->experiment->key, "phase", (int)held->phase, "variant", variant_key(held),
                     "epoch", (int)unit->epoch, "exposed_at", json_when(unit->exposed_at),
                     "segments", segments, "metrics", metrics, "sealed", (int)unit->sealed);
}

static json_t *units_json(struct store_txn *txn, uint64_t customer, const struct catalog *catalog,
                          struct error *err)
{
    struct arena arena = {0};
    struct ledger_held *held = NULL;
    size_t count = 0;
    json_t *list = NULL;
    if (ledger_units(txn, customer, catalog, &arena, &held, &count, err)) {
        list = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, unit_json(&held[i], catalog));
    }
    arena_release(&arena);
    return list;
}

/* As it may be sent again: without `at` where it came without. */
static json_t *kept_event(struct slice id, struct slice record)
{
    struct event event;
    if (!event_decode(record, &event))
        return NULL;
    event.customer = id;
    json_t *row = event_json(&event);
    if (!event.timed)
        json_object_del(row, "at");
    json_object_set_new(row, "received", json_when(event.received));
    return row;
}

static bool read_cursor(struct slice after, struct store_key *from, struct error *err)
{
    unsigned char bytes[CURSOR];
    size_t len = 0;
    if (sodium_hex2bin(bytes, sizeof bytes, after.ptr, after.len, NULL, &len, NULL) != 0 ||
        len != CURSOR)
        return error_set(err, ERROR_INVALID, "cursor", "must be that of the page before");
    key_bytes(from, (struct slice){(const char *)bytes, CURSOR});
    return true;
}

/* Puts a page of events and where the next one begins. */
static bool put_events(struct store_txn *txn, uint64_t customer, struct slice id,
                       struct slice after, size_t limit, json_t *answer, struct error *err)
{
    struct store_key prefix = ledger_key(customer, LEDGER_EVENT), from = prefix;
    if (after.len && !read_cursor(after, &from, err))
        return false;
    json_t *list = json_array();
    struct store_cursor *cursor =
        store_walk(txn, STORE_CUSTOMER, key_slice(&prefix), key_slice(&from));
    struct slice key, record;
    char next[2 * CURSOR + 1] = "";
    bool ok = true, more = false;
    while (ok && (more = store_next(cursor, &key, &record)) && json_array_size(list) < limit) {
        if (after.len && slice_equal(key, key_slice(&from)))
            continue;
        json_t *row = kept_event(id, record);
        ok = row ? json_array_append_new(list, row) == 0
                 : error_set(err, ERROR_CORRUPT, NULL, "an event of this customer is damaged");
        sodium_bin2hex(next, sizeof next, (const unsigned char *)key.ptr + prefix.len, CURSOR);
    }
    store_walk_end(&cursor);
    json_object_set_new(answer, "events", list);
    json_object_set_new(answer, "next", more ? json_string(next) : json_null());
    return ok && store_healthy(txn, err);
}

static json_t *get(struct uplift *uplift, struct store_txn *txn, const struct catalog *catalog,
                   struct slice id, struct slice after, size_t limit, struct error *err)
{
    unsigned char digest[16];
    ledger_customer_digest(uplift->secret, id, digest);
    uint64_t customer = ledger_customer_of_digest(txn, digest);
    struct consent consent = consent_read(uplift, txn, digest);
    if (!customer && !consent.recorded) {
        if (store_healthy(txn, err))
            nothing_kept(err);
        return NULL;
    }
    json_t *units = units_json(txn, customer, catalog, err);
    if (!units)
        return NULL;
    json_t *answer = json_pack("{s:o, s:o, s:o, s:o}", "customer", text_json(id), "consent",
                               consent.recorded ? consent_json(&consent) : json_null(),
                               "rebuilding", rebuilding(txn), "units", units);
    if (!put_events(txn, customer, id, after, limit, answer, err)) {
        json_decref(answer);
        return NULL;
    }
    return answer;
}

json_t *uplift_customer_get(struct uplift *uplift, struct slice id, struct slice after,
                            size_t limit, struct error *err)
{
    if (!customer_check_id(id, err))
        return NULL;
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return NULL;
    char room[PSEUDONYM_LENGTH + 1];
    struct slice stored = pseudonym_of(uplift->pseudonym, id, room);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    json_t *answer = get(uplift, txn, catalog, stored, after, limit, err);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
    return answer;
}

/* --- erasure -------------------------------------------------------------------------------- */

/* The figures of one variant over all epochs, of all customers: [0] counts them. */
struct figures {
    const struct unit *unit;
    uint8_t variant;
    struct tally *tallies; /* 0: customers; i + 1: the unit's i-th metric */
};

static bool add_figure(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct figures *figures = data;
    if (name->segment.len || name->bin || name->variant != figures->variant)
        return true;
    if (name->metric == 0)
        tally_merge(&figures->tallies[0], tally);
    for (size_t i = 0; i < figures->unit->metric_count; i++)
        if (figures->unit->metrics[i].metric == name->metric)
            tally_merge(&figures->tallies[i + 1], tally);
    return true;
}

static bool read_figures(struct store_txn *txn, const struct ledger_held *held, struct arena *arena,
                         struct tally **tallies, struct error *err)
{
    struct store_key prefix = {0};
    key_u32(&prefix, held->experiment->number);
    key_u16(&prefix, held->phase);
    *tallies = arena_alloc(arena, (held->unit.metric_count + 1) * sizeof **tallies);
    struct figures figures = {&held->unit,
                              held->unit.variant < 0 ? TALLY_CROSSED : (uint8_t)held->unit.variant,
                              *tallies};
    return tally_each(txn, key_slice(&prefix), add_figure, &figures, err);
}

static json_t *customers_moved(const struct tally *before, const struct tally *after)
{
    return json_pack("{s:I, s:I}", "before", (json_int_t)before->n, "after", (json_int_t)after->n);
}

static json_t *moved_json(const struct ledger_held *held, const struct tally *before,
                          const struct tally *after, const struct catalog *catalog)
{
    json_t *metrics = json_array();
    for (size_t i = 0; i < held->unit.metric_count; i++) {
        const struct tally *was = &before[i + 1], *is = &after[i + 1];
        json_t *sum = json_pack("{s:o, s:o}", "before", json_figure(sum_value(&was->sum)), "after",
                                json_figure(sum_value(&is->sum)));
        if (held->unit.metrics[i].answered)
            json_array_append_new(metrics,
                                  json_pack("{s:o, s:o, s:O}", "metric",
                                            metric_word(catalog, held->unit.metrics[i].metric),
                                            "customers", customers_moved(was, is), "sum", sum));
        json_decref(sum);
    }
    return json_pack("{s:s, s:i, s:s?, s:o, s:o}", "experiment", held->experiment->key, "phase",
                     (int)held->phase, "variant", variant_key(held), "customers",
                     customers_moved(before, after), "metrics", metrics);
}

/* Erases, and makes the answer from the figures around it. NULL with *err. */
static json_t *erase(struct uplift *uplift, struct ingest_run *run, struct slice id,
                     uint64_t customer, const struct catalog *catalog, struct error *err)
{
    struct arena arena = {0};
    struct ledger_held *held = NULL;
    size_t count = 0;
    uint64_t events = 0;
    bool ok = ledger_units(run->txn, customer, catalog, &arena, &held, &count, err);
    struct tally **before = arena_alloc(&arena, (count + 1) * sizeof *before), *after = NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = read_figures(run->txn, &held[i], &arena, &before[i], err);
    if (ok && customer)
        ok = ledger_erase(run->txn, run->tallies, uplift->secret, id, catalog, &events, err) &&
             tally_set_flush(run->tallies, run->txn, err);
    json_t *moved = json_array();
    for (size_t i = 0; ok && i < count; i++) {
        ok = read_figures(run->txn, &held[i], &arena, &after, err);
        json_array_append_new(moved, moved_json(&held[i], before[i], after, catalog));
    }
    arena_release(&arena);
    json_t *answer = json_pack("{s:I, s:I, s:o, s:o, s:s}", "events", (json_int_t)events, "units",
                               (json_int_t)count, "rebuilding", rebuilding(run->txn), "moved",
                               moved, "compaction", uplift->compacts ? "due" : "off");
    if (!ok)
        json_decref(answer);
    return ok ? answer : NULL;
}

/* Of the figures only how many: sums would tell what the customer did. */
static void note_erasure(struct uplift *uplift, struct ingest_run *run, const char *who,
                         const unsigned char digest[16], const json_t *answer)
{
    char hex[2 * 16 + 1];
    sodium_bin2hex(hex, sizeof hex, digest, 16);
    json_t *before = json_pack("{s:O, s:O}", "events", json_object_get(answer, "events"), "units",
                               json_object_get(answer, "units"));
    audit_append(run->txn, uplift_now(uplift), who, "customer.erase", hex, before, NULL);
    json_decref(before);
}

json_t *customer_erase(struct uplift *uplift, struct ingest_run *run, const char *who,
                       struct slice id, struct error *err)
{
    unsigned char digest[16];
    char room[PSEUDONYM_LENGTH + 1];
    struct slice stored = pseudonym_of(uplift->pseudonym, id, room);
    ledger_customer_digest(uplift->secret, stored, digest);
    uint64_t customer = ledger_customer_of_digest(run->txn, digest);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    json_t *answer = erase(uplift, run, stored, customer, catalog, err);
    catalog_release(&uplift->catalog, catalog);
    if (answer) {
        note_erasure(uplift, run, who, digest, answer);
        webhook_forget(run->txn, digest);
        store_compaction_note(run->txn, uplift_now(uplift));
    }
    return answer;
}

struct erasure {
    struct uplift *uplift;
    const char *who;
    struct slice id;
    json_t *answer;
};

static bool run_erasure(void *data, struct ingest_run *run, struct error *err)
{
    struct erasure *erasure = data;
    unsigned char digest[16];
    customer_digest(erasure->uplift, erasure->id, digest);
    bool kept = ledger_customer_of_digest(run->txn, digest) != 0;
    bool forgot = consent_forget(run->txn, digest);
    if (!kept && !forgot)
        return store_healthy(run->txn, err) && nothing_kept(err);
    erasure->answer = customer_erase(erasure->uplift, run, erasure->who, erasure->id, err);
    return erasure->answer && store_healthy(run->txn, err);
}

json_t *uplift_customer_erase(struct uplift *uplift, const char *who, struct slice id,
                              struct error *err)
{
    struct erasure erasure = {.uplift = uplift, .who = who, .id = id};
    if (!customer_check_id(id, err))
        return NULL;
    if (ingest_call(uplift->ingest, run_erasure, &erasure, err))
        return erasure.answer;
    json_decref(erasure.answer);
    return NULL;
}
