/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records: digest of the id → since when u64 · flags u8. How many of them are refusals stands in
 * META, so that opening a store need not read them all. */
#include "core/consent.h"

#include <sodium.h>
#include <stdlib.h>

#include "core/audit.h"
#include "core/customer.h"
#include "core/json.h"
#include "core/ledger_parts.h"
#include "core/uplift.h"

enum { ANALYTICS = 1, PERSONALIZATION = 2, DIGEST = 16 };

static struct slice digest_slice(const unsigned char digest[DIGEST])
{
    return (struct slice){(const char *)digest, DIGEST};
}

/* --- what is recorded ----------------------------------------------------------------------- */

static const char refusals_name[] = "refusals";

static uint64_t read_refusals(struct store_txn *txn)
{
    struct slice value;
    uint64_t count = 0;
    if (store_get(txn, STORE_META, slice_of(refusals_name), &value))
        unkey_u64(&value, &count);
    return count;
}

static void write_refusals(struct store_txn *txn, uint64_t count)
{
    struct store_key value = {0};
    key_u64(&value, count);
    store_put(txn, STORE_META, slice_of(refusals_name), key_slice(&value));
}

bool consent_load(struct uplift *uplift, struct error *err)
{
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    atomic_store(&uplift->refusals, read_refusals(txn));
    bool ok = store_healthy(txn, err);
    store_abort(&txn);
    return ok;
}

bool consent_matters(const struct uplift *uplift)
{
    return uplift->require_consent || atomic_load(&uplift->refusals) > 0;
}

/* One that cannot be read is a refusal: somebody said something. */
static struct consent decode(struct slice value)
{
    uint64_t at = 0;
    uint8_t flags = 0;
    if (!unkey_u64(&value, &at) || !unkey_u8(&value, &flags))
        flags = 0;
    return (struct consent){.analytics = flags & ANALYTICS,
                            .personalization = flags & PERSONALIZATION,
                            .recorded = true,
                            .at = (int64_t)at};
}

static bool read_record(struct store_txn *txn, const unsigned char digest[DIGEST],
                        struct consent *consent)
{
    struct slice value;
    if (!store_get(txn, STORE_CONSENT, digest_slice(digest), &value))
        return false;
    *consent = decode(value);
    return true;
}

struct consent consent_read(const struct uplift *uplift, struct store_txn *txn,
                            const unsigned char digest[DIGEST])
{
    bool given = !uplift->require_consent;
    struct consent consent = {.analytics = given, .personalization = given, .at = -1};
    read_record(txn, digest, &consent);
    return consent;
}

static void write(struct store_txn *txn, const unsigned char digest[DIGEST],
                  const struct consent *consent)
{
    struct store_key value = {0};
    key_u64(&value, (uint64_t)consent->at);
    key_u8(&value, (uint8_t)((consent->analytics ? ANALYTICS : 0) |
                             (consent->personalization ? PERSONALIZATION : 0)));
    store_put(txn, STORE_CONSENT, digest_slice(digest), key_slice(&value));
}

bool consent_forget(struct store_txn *txn, const unsigned char digest[DIGEST])
{
    struct consent consent;
    return read_record(txn, digest, &consent) && consent_to_experiments(&consent) &&
           store_delete(txn, STORE_CONSENT, digest_slice(digest));
}

static bool is_refusal(const struct consent *consent)
{
    return consent->recorded && !consent_to_experiments(consent);
}

/* --- check and repair ------------------------------------------------------------------------ */

enum { RECORD = 9 }; /* bytes */

static size_t find_damaged(struct store_txn *txn, struct arena *arena, struct slice **keys,
                           uint64_t *refusals)
{
    struct store_cursor *cursor = store_walk(txn, STORE_CONSENT, NO_SLICE, NO_SLICE);
    struct slice key, value;
    size_t count = 0, room = 0;
    store_walk_damaged(cursor);
    for (*refusals = 0; store_next(cursor, &key, &value);) {
        bool whole = value.ptr && value.len == RECORD;
        struct consent consent = decode(whole ? value : NO_SLICE);
        *refusals += is_refusal(&consent);
        if (whole)
            continue;
        if (count == room)
            *keys = xrealloc(*keys, (room = room ? 2 * room : 16) * sizeof **keys);
        (*keys)[count++] = arena_slice(arena, key);
    }
    store_walk_end(&cursor);
    return count;
}

uint64_t consent_damaged(struct store_txn *txn, bool repair,
                         void (*report)(void *data, const char *line), void *data)
{
    const struct consent refusal = {.recorded = true, .at = 0};
    struct arena arena = {0};
    struct slice *keys = NULL;
    uint64_t refusals;
    size_t count = find_damaged(txn, &arena, &keys, &refusals);
    bool off = refusals != read_refusals(txn);
    for (size_t i = 0; i < count; i++) {
        report(data, "a record of consent is damaged: it is taken for a refusal");
        if (repair)
            write(txn, (const unsigned char *)keys[i].ptr, &refusal);
    }
    if (off)
        report(data, "the number of those who refuse consent is not that of their records");
    if (off && repair)
        write_refusals(txn, refusals);
    if (repair && (off || count))
        store_sums_anew(txn, STORE_CONSENT);
    free(keys);
    arena_release(&arena);
    return count + off;
}

/* --- what follows of it --------------------------------------------------------------------- */

const char *consent_refuses(const struct consent *consent, enum event_type type)
{
    if (!consent->analytics)
        return "has not consented to analytics";
    if (type == EVENT_EXPOSURE && !consent->personalization)
        return "has not consented to personalization";
    return NULL;
}

bool consent_find(struct uplift *uplift, struct slice id, struct consent *consent,
                  struct error *err)
{
    unsigned char digest[DIGEST];
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    customer_digest(uplift, id, digest);
    *consent = consent_read(uplift, txn, digest);
    bool ok = store_healthy(txn, err);
    store_abort(&txn);
    return ok;
}

/* --- the service ---------------------------------------------------------------------------- */

json_t *consent_json(const struct consent *consent)
{
    return json_pack("{s:b, s:b, s:b, s:o}", "analytics", (int)consent->analytics,
                     "personalization", (int)consent->personalization, "recorded",
                     (int)consent->recorded, "at", json_when(consent->at));
}

json_t *uplift_consent_get(struct uplift *uplift, struct slice id, struct error *err)
{
    struct consent consent;
    return customer_check_id(id, err) && consent_find(uplift, id, &consent, err)
               ? consent_json(&consent)
               : NULL;
}

struct recording {
    struct uplift *uplift;
    const char *who;
    struct slice id;
    struct consent wanted, was;
    bool counted; /* one refusal more is counted in memory */
    json_t *erased;
};

/* A refusal counts in memory before it is on disk, so that the next events are looked at. */
static void count_refusals(struct recording *recording, struct store_txn *txn)
{
    int more = is_refusal(&recording->wanted) - is_refusal(&recording->was);
    if (more == 0)
        return;
    write_refusals(txn, read_refusals(txn) + (uint64_t)more);
    recording->counted = more > 0;
    if (recording->counted)
        atomic_fetch_add(&recording->uplift->refusals, 1);
}

static json_t *trail_json(const struct consent *consent)
{
    return consent->recorded ? json_pack("{s:b, s:b}", "analytics", (int)consent->analytics,
                                         "personalization", (int)consent->personalization)
                             : NULL;
}

static void note(const struct recording *recording, struct store_txn *txn,
                 const unsigned char digest[DIGEST])
{
    char hex[2 * DIGEST + 1];
    json_t *before = trail_json(&recording->was), *after = trail_json(&recording->wanted);
    sodium_bin2hex(hex, sizeof hex, digest, DIGEST);
    audit_append(txn, recording->wanted.at, recording->who, "customer.consent", hex, before, after);
    json_decref(before);
    json_decref(after);
}

static bool run_recording(void *data, struct ingest_run *run, struct error *err)
{
    struct recording *recording = data;
    unsigned char digest[DIGEST];
    customer_digest(recording->uplift, recording->id, digest);
    recording->was = consent_read(recording->uplift, run->txn, digest);
    if (recording->was.recorded && recording->was.analytics == recording->wanted.analytics &&
        recording->was.personalization == recording->wanted.personalization) {
        recording->wanted.at = recording->was.at;
        return store_healthy(run->txn, err);
    }
    write(run->txn, digest, &recording->wanted);
    note(recording, run->txn, digest);
    count_refusals(recording, run->txn);
    if (recording->wanted.analytics || !ledger_customer_of_digest(run->txn, digest))
        return store_healthy(run->txn, err);
    recording->erased = customer_erase(recording->uplift, run, recording->who, recording->id, err);
    return recording->erased && store_healthy(run->txn, err);
}

static bool read_wanted(json_t *input, struct consent *wanted, struct error *err)
{
    static const char *const fields[] = {"analytics", "personalization", NULL};
    return json_check_fields(input, JSON_TOP, fields, err) &&
           json_read_bool(input, JSON_TOP, "analytics", JSON_REQUIRED, &wanted->analytics, err) &&
           json_read_bool(input, JSON_TOP, "personalization", JSON_REQUIRED,
                          &wanted->personalization, err);
}

json_t *uplift_consent_set(struct uplift *uplift, const char *who, struct slice id, json_t *input,
                           struct error *err)
{
    struct recording recording = {.uplift = uplift,
                                  .who = who,
                                  .id = id,
                                  .wanted = {.recorded = true, .at = uplift_now(uplift)}};
    if (!customer_check_id(id, err) || !read_wanted(input, &recording.wanted, err))
        return NULL;
    bool ok = ingest_call(uplift->ingest, run_recording, &recording, err);
    bool fewer = ok && is_refusal(&recording.was) && !is_refusal(&recording.wanted);
    if (fewer || (!ok && recording.counted))
        atomic_fetch_sub(&uplift->refusals, 1);
    if (!ok) {
        json_decref(recording.erased);
        return NULL;
    }
    json_t *answer = consent_json(&recording.wanted);
    json_object_set_new(answer, "erased", recording.erased ? recording.erased : json_null());
    return answer;
}
