/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Consent: what a customer agreed to, as recorded by their keyed digest, and what follows of it.
 *
 *   analytics        without it nothing is kept: events are refused, and what was kept is erased
 *                    when it is withdrawn; and, since nothing could be counted, the control is
 * shown personalization  without it the control is shown and exposures are refused; outcomes and
 *                    answers are kept
 *
 * Of whom nothing is recorded both are taken as given, unless the application was opened with
 * require_consent: then neither is. A store without any refusal pays nothing for all this: the
 * number of refusals is held in memory.
 *
 * `id` is the customer's as events carry it. */
#ifndef UPLIFT_CORE_CONSENT_H
#define UPLIFT_CORE_CONSENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/event.h"
#include "core/store.h"
#include "core/text.h"

struct uplift;

struct consent {
    bool analytics, personalization;
    bool recorded; /* the customer's own word; else what holds for those who said nothing */
    int64_t at;    /* ms: since when; -1 where none is recorded */
};

/* Reads how many refusals there are; called once, when the application opens. */
bool consent_load(struct uplift *uplift, struct error *err);

/* Whether consent can decide anything: whether any refusal is recorded, or consent is required. */
bool consent_matters(const struct uplift *uplift);
/* That of the customer with this digest (ledger_customer_digest), as the transaction has it. */
struct consent consent_read(const struct uplift *uplift, struct store_txn *txn,
                            const unsigned char digest[16]);
/* The same in a transaction of its own. False with *err where the store cannot be read. */
bool consent_find(struct uplift *uplift, struct slice id, struct consent *consent,
                  struct error *err);

/* Whether the customer may be in experiments. */
static inline bool consent_to_experiments(const struct consent *consent)
{
    return consent->analytics && consent->personalization;
}
/* Why an event of this type is not kept, or NULL where it may be. Static. */
const char *consent_refuses(const struct consent *consent, enum event_type type);

/* {"analytics", "personalization", "recorded", "at"}. New reference. */
json_t *consent_json(const struct consent *consent);

/* What holds for a customer, as JSON. New reference, or NULL with *err (ERROR_INVALID: no id). */
json_t *uplift_consent_get(struct uplift *uplift, struct slice id, struct error *err);
/* Records it, on disk when it returns, with a row in the audit trail under the digest. What is
 * recorded already keeps its time. Where analytics is withdrawn, what was kept is erased in the
 * same transaction. Any thread but the writer. Answers as uplift_consent_get, with "erased": what
 * uplift_customer_erase tells, or null. `input`: {"analytics": bool, "personalization": bool}. */
json_t *uplift_consent_set(struct uplift *uplift, const char *who, struct slice id, json_t *input,
                           struct error *err);

/* Forgets what is recorded unless it is a refusal, which must hold on; whether anything was
 * forgotten. For the writer. */
bool consent_forget(struct store_txn *txn, const unsigned char digest[16]);

/* How many records cannot be read, and one more where the number of refusals is not theirs: then
 * one may be lost. `report` gets one line each. In a write transaction `repair` makes refusals of
 * those that cannot be read and counts anew. */
uint64_t consent_damaged(struct store_txn *txn, bool repair,
                         void (*report)(void *data, const char *line), void *data);

#endif
