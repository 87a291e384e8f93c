/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Customers and their events on disk: numbers, ids, the history. */
#include <endian.h>
#include <sodium.h>
#include <stdlib.h>

#include "core/ledger_parts.h"
#include "core/when.h"

struct store_key ledger_key(uint64_t customer, uint8_t kind)
{
    struct store_key key = {0};
    key_u64(&key, customer);
    key_u8(&key, kind);
    return key;
}

/* The highest number that an erased customer had. */
static const char erased_name[] = "erased-customer";

static uint64_t last_erased(struct store_txn *txn)
{
    struct slice value;
    uint64_t number = 0;
    if (store_get(txn, STORE_META, slice_of(erased_name), &value))
        unkey_u64(&value, &number);
    return number;
}

uint64_t ledger_last_customer(struct store_txn *txn)
{
    struct slice key, value;
    uint64_t number = 0, erased = last_erased(txn);
    if (store_last(txn, STORE_CUSTOMER, NO_SLICE, &key, &value))
        unkey_u64(&key, &number);
    return number > erased ? number : erased;
}

uint64_t ledger_customer_count(struct store_txn *txn)
{
    return store_count(txn, STORE_CUSTOMER_ID);
}

void ledger_customer_forget(struct store_txn *txn, const unsigned char secret[32], struct slice id,
                            uint64_t customer)
{
    unsigned char digest[16];
    struct store_key profile = ledger_key(customer, LEDGER_PROFILE), value = {0};
    ledger_customer_digest(secret, id, digest);
    store_delete(txn, STORE_CUSTOMER_ID, (struct slice){(const char *)digest, sizeof digest});
    store_delete(txn, STORE_CUSTOMER, key_slice(&profile));
    key_u64(&value, customer);
    if (customer > last_erased(txn))
        store_put(txn, STORE_META, slice_of(erased_name), key_slice(&value));
}

uint64_t ledger_next_customer(struct store_txn *txn, uint64_t from)
{
    struct store_key start = ledger_key(from, 0);
    struct store_cursor *cursor = store_walk(txn, STORE_CUSTOMER, NO_SLICE, key_slice(&start));
    struct slice key, value;
    uint64_t number = 0;
    store_walk_damaged(cursor); /* only the key is wanted */
    if (store_next(cursor, &key, &value))
        unkey_u64(&key, &number);
    store_walk_end(&cursor);
    return number;
}

void ledger_customer_digest(const unsigned char secret[32], struct slice id,
                            unsigned char digest[16])
{
    crypto_generichash(digest, 16, (const unsigned char *)id.ptr, id.len, secret, 32);
}

uint64_t ledger_customer_of_digest(struct store_txn *txn, const unsigned char digest[16])
{
    struct slice found;
    uint64_t number = 0;
    if (store_get(txn, STORE_CUSTOMER_ID, (struct slice){(const char *)digest, 16}, &found))
        unkey_u64(&found, &number);
    return number;
}

void ledger_customer_create(struct store_txn *txn, const unsigned char digest[16], uint64_t number)
{
    struct store_key value = {0};
    key_u64(&value, number);
    store_put(txn, STORE_CUSTOMER_ID, (struct slice){(const char *)digest, 16}, key_slice(&value));
}

void ledger_customer_name(struct store_txn *txn, uint64_t number, struct slice id)
{
    struct store_key profile = ledger_key(number, LEDGER_PROFILE);
    store_put(txn, STORE_CUSTOMER, key_slice(&profile), id);
}

uint64_t ledger_customer_number(struct store_txn *txn, const unsigned char secret[32],
                                struct slice id, bool create)
{
    unsigned char digest[16];
    ledger_customer_digest(secret, id, digest);
    uint64_t number = ledger_customer_of_digest(txn, digest);
    if (number || !create)
        return number;
    number = ledger_last_customer(txn) + 1;
    ledger_customer_create(txn, digest, number);
    ledger_customer_name(txn, number, id);
    return number;
}

struct slice ledger_customer_id(struct store_txn *txn, uint64_t customer)
{
    struct store_key key = ledger_key(customer, LEDGER_PROFILE);
    struct slice id = NO_SLICE;
    store_get(txn, STORE_CUSTOMER, key_slice(&key), &id);
    return id;
}

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

static void seen_digest(const unsigned char secret[32], uint64_t customer,
                        const struct text *identity, unsigned char digest[16])
{
    uint64_t number = htobe64(customer);
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, 32, 16);
    crypto_generichash_update(&state, (const unsigned char *)&number, sizeof number);
    crypto_generichash_update(&state, (const unsigned char *)identity->ptr, identity->len);
    crypto_generichash_final(&state, digest, 16);
}

void ledger_seen_digest(const unsigned char secret[32], uint64_t customer,
                        const struct event *event, unsigned char digest[16])
{
    struct text identity;
    text_init(&identity, 64 << 10);
    identify(event, &identity);
    seen_digest(secret, customer, &identity, digest);
    text_release(&identity);
}

/* An event without a time of its own, or with one that is corrected by the sender's clock, has no
 * key to meet when it comes again: what was seen is kept for some days. */
static bool seen_before(struct store_txn *txn, const unsigned char secret[32], uint64_t customer,
                        const struct event *event, const struct text *identity)
{
    unsigned char digest[16];
    seen_digest(secret, customer, identity, digest);
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

bool ledger_event_key(struct store_txn *txn, const unsigned char secret[32], uint64_t customer,
                      const struct event *event, struct text *scratch, struct store_key *key)
{
    unsigned char digest[crypto_shorthash_BYTES];
    identify(event, scratch);
    crypto_shorthash(digest, (const unsigned char *)scratch->ptr, scratch->len, secret);
    if ((!event->timed || event->corrected) && seen_before(txn, secret, customer, event, scratch))
        return false;
    *key = ledger_key(customer, LEDGER_EVENT);
    key_u64(key, (uint64_t)event->at);
    key_bytes(key, (struct slice){(const char *)digest, sizeof digest});
    return true;
}

int ledger_order(const struct event *x, const struct event *y)
{
    int64_t tx = event_time(x), ty = event_time(y);
    if (tx != ty)
        return tx < ty ? -1 : 1;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    int order = slice_order(x->id, y->id);
    if (order == 0)
        order = slice_order(x->name, y->name);
    if (order == 0)
        order = slice_order(x->variant, y->variant);
    if (order == 0)
        order = (x->value > y->value) - (x->value < y->value);
    return order ? order : slice_order(x->attributes, y->attributes);
}

static int by_time(const void *a, const void *b)
{
    return ledger_order(a, b);
}

bool ledger_history(struct store_txn *txn, uint64_t customer, struct arena *arena,
                    struct event **events, size_t *count, struct error *err)
{
    struct store_key prefix = ledger_key(customer, LEDGER_EVENT);
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
