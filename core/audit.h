/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit trail: who changed what, before and after, one row a change, written in the transaction
 * of the change itself.
 *
 * Rows are numbered from 1 without gaps. Each carries the digest (BLAKE2b, 32 bytes) of the row
 * before it and its own text, so that a row cannot be changed or taken out of the middle without
 * breaking every digest behind it. */
#ifndef UPLIFT_CORE_AUDIT_H
#define UPLIFT_CORE_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/store.h"

/* Appends {"at", "who", "action", "key", "before", "after"}; before and after may be NULL. For the
 * writer thread only. Failures stick to the transaction. */
void audit_append(struct store_txn *txn, int64_t at, const char *who, const char *action,
                  const char *key, const json_t *before, const json_t *after);

/* Up to `limit` rows with numbers below `before` (0: from the newest on), newest first, each with
 * its "number" and "digest" in hexadecimal. New reference; NULL where a row is damaged. */
json_t *audit_list(struct store_txn *txn, uint64_t before, size_t limit, struct error *err);

/* Whether every digest is right; else ERROR_CORRUPT naming the first row that is not.
 * *rows (may be NULL) is the number of rows. */
bool audit_verify(struct store_txn *txn, uint64_t *rows, struct error *err);

#endif
