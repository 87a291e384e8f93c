/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A customer's data: all that is kept of one, and its erasure, for an open application.
 *
 * `id` is the customer's as events carry it: 1 to EVENT_CUSTOMER_MAX bytes of UTF-8, else
 * ERROR_INVALID; in a store with pseudonyms it may be either (pseudonym.h). Errors besides:
 * ERROR_NOT_FOUND where nothing is kept; those of the store and of ingest. Any thread but the
 * writer. */
#ifndef UPLIFT_CORE_CUSTOMER_H
#define UPLIFT_CORE_CUSTOMER_H

#include <jansson.h>
#include <stdbool.h>

#include "core/error.h"
#include "core/text.h"

struct uplift;
struct ingest_run;

/* {"customer": the id as stored, "consent": consent_json or null where none is recorded, "units":
 * [{experiment, phase, variant (null: exposed to two), epoch, exposed_at, segments, metrics:
 * [{metric, value, pre, den}]}], "events": [as they may be sent again, and when they were
 * received], "next"}. Events come in the order of their own times, at most `limit` of them (1 to
 * 1000) behind `after` ("" for the first; else a "next"); units with every page. New reference. */
json_t *uplift_customer_get(struct uplift *uplift, struct slice id, struct slice after,
                            size_t limit, struct error *err);

/* Erases all that is kept, on disk when it returns, but for a refusal of consent, which holds on
 * (it is under a digest of the id, not the id). `who` and the numbers of events and units stay in
 * the audit trail, with a keyed digest in place of the id. The answer says how figures moved:
 * {"events", "units", "moved": [{experiment, phase, variant, customers: {before, after}, metrics:
 * [{metric, customers: {before, after}, sum: {before, after}}]}], "compaction": "due"}, or "off"
 * where nothing will compact the store by itself; of each unit the figures of its variant (null:
 * those exposed to two). New reference. */
json_t *uplift_customer_erase(struct uplift *uplift, const char *who, struct slice id,
                              struct error *err);

/* Whether it is an id. */
bool customer_check_id(struct slice id, struct error *err);
/* The digest under which number, consent and rows of the trail are found. */
void customer_digest(const struct uplift *uplift, struct slice id, unsigned char digest[16]);
/* The same erasure as part of a transaction of the writer, but for consent; of whom nothing is kept
 * it tells that nothing moved. Not with other jobs in the transaction. */
json_t *customer_erase(struct uplift *uplift, struct ingest_run *run, const char *who,
                       struct slice id, struct error *err);

#endif
