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

/* The prefix of all keys of one kind of a customer. */
struct store_key ledger_key(uint64_t customer, uint8_t kind);
struct store_key ledger_unit_key(uint64_t customer, uint32_t experiment, uint16_t phase);

/* Replaces `out` by the unit's record. */
void ledger_unit_encode(const struct unit *unit, struct text *out);
/* False where the record is damaged. Texts borrow from it, metrics lie in the arena. */
bool ledger_unit_decode(struct slice record, struct arena *arena, struct unit *unit);
/* Adds (sign 1) a unit to the tallies, or takes it away (sign -1). */
void ledger_unit_count(struct tally_set *tallies, uint32_t experiment, uint16_t phase,
                       const struct unit *unit, int sign);

/* Every phase that a customer met, or has a unit in, once. The caller frees the list. */
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
