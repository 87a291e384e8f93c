/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the ledger's files: its keys, its records, whom to count.
 *
 * In the table of customers every key begins with the customer's number, so that all of one
 * customer lies together:
 *   number u64 · 0                         → the id
 *   number u64 · 1 · experiment u32 · phase u16  → the unit, as it was counted
 *   number u64 · 2 · at u64 · digest u64   → an event */
#ifndef UPLIFT_CORE_LEDGER_PARTS_H
#define UPLIFT_CORE_LEDGER_PARTS_H

#include "core/ledger.h"

enum { LEDGER_PROFILE = 0, LEDGER_UNIT = 1, LEDGER_EVENT = 2 };
/* Bytes of a record, at the most. */
enum { LEDGER_RECORD_MAX = 64 << 10 };

/* The prefix of all keys of one kind of a customer. */
struct store_key ledger_key(uint64_t customer, uint8_t kind);
struct store_key ledger_unit_key(uint64_t customer, uint32_t experiment, uint16_t phase);

/* Takes out up to LEDGER_AT_ONCE rows of those with this prefix that `unwanted` (NULL: every row
 * is) says yes to; an empty value is one that cannot be read. Returns how many. */
enum { LEDGER_AT_ONCE = 1000 };
size_t ledger_take_out(struct store_txn *txn, enum store_table table, struct slice prefix,
                       bool (*unwanted)(struct slice value));

/* Deletes the customer's id, and sees to it that the number is not given again. */
void ledger_customer_forget(struct store_txn *txn, const unsigned char secret[32], struct slice id,
                            uint64_t customer);
/* Under which an event is remembered, for LEDGER_SEEN_DAYS, whose time does not tell it. */
void ledger_seen_digest(const unsigned char secret[32], uint64_t customer,
                        const struct event *event, unsigned char digest[16]);

/* All units of a customer as they are stored, counted or not (ledger_units has those that are). */
bool ledger_units_stored(struct store_txn *txn, uint64_t customer, const struct catalog *catalog,
                         struct arena *arena, struct ledger_held **held, size_t *count,
                         struct error *err);

/* Replaces `out` by the unit's record. */
void ledger_unit_encode(const struct unit *unit, const struct experiment *experiment,
                        struct text *out);
/* False where the record is damaged. Texts borrow from it and from the experiment, metrics lie in
 * the arena. */
bool ledger_unit_decode(struct slice record, const struct experiment *experiment,
                        struct arena *arena, struct unit *unit);
/* Whether a record that can be read is that of a sealed unit. */
bool ledger_unit_is_sealed(struct slice record);
/* Takes `old` away from the tallies and adds `new`; either may be NULL. */
void ledger_unit_count(struct tally_set *tallies, uint32_t experiment, uint16_t phase,
                       const struct unit *old, const struct unit *new);
/* Whether an exposure is one of this phase: its epoch and variant, by index. */
bool ledger_exposure_of(const struct event *event, const struct experiment *experiment, int phase,
                        int *epoch, int *variant);

/* The order of a history, as of memcmp: by time; ties are broken by what the events say, which is
 * the same in every store, while keys hold digests under the store's own secret. */
int ledger_order(const struct event *x, const struct event *y);

/* The number of a customer by the digest of the id: 0 where unknown. */
uint64_t ledger_customer_of_digest(struct store_txn *txn, const unsigned char digest[16]);
/* The number of a new customer, and the id under it. */
void ledger_customer_create(struct store_txn *txn, const unsigned char digest[16], uint64_t number);
void ledger_customer_name(struct store_txn *txn, uint64_t number, struct slice id);

/* The key of an event in the history. False where it was seen before: one without a time of its
 * own, or with a corrected one, has no key to meet. `scratch` is overwritten. */
bool ledger_event_key(struct store_txn *txn, const unsigned char secret[32], uint64_t customer,
                      const struct event *event, struct text *scratch, struct store_key *key);

/* Every phase that a customer met, or has a unit in, once; with `txn` NULL there are no units. The
 * caller frees the list. */
struct ledger_meeting {
    const struct experiment *experiment;
    uint16_t phase;
};
struct ledger_meetings {
    struct ledger_meeting *list;
    size_t count, room;
};
struct ledger_meetings ledger_meetings_of(struct store_txn *txn, uint64_t customer,
                                          const struct event *events, size_t count,
                                          const struct catalog *catalog);

#endif
