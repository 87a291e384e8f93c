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

/* The end of the trail: kept elsewhere, it tells later whether rows were cut off. */
struct audit_head {
    uint64_t rows;
    char digest[65]; /* of the last row, in hexadecimal; zeros where there is none */
};

/* Appends {"at", "who", "action", "key", "before", "after"}; before and after may be NULL, and are
 * only read. Of a definition they are all that is stored of it, so that the definitions of any
 * moment can be had from the trail. For the writer thread only. Failures stick to the
 * transaction. */
void audit_append(struct store_txn *txn, int64_t at, const char *who, const char *action,
                  const char *key, const json_t *before, const json_t *after);

/* Up to `limit` rows with numbers below `before` (0: from the newest on), newest first, each with
 * its "number" and "digest" in hexadecimal. New reference; NULL where a row is damaged. */
json_t *audit_list(struct store_txn *txn, uint64_t before, size_t limit, struct error *err);
/* Calls visit with each row from number `from` on, oldest first, as audit_list gives it; stops
 * where it returns false. False then, or with *err where one is damaged. */
bool audit_each(struct store_txn *txn, uint64_t from, bool (*visit)(void *data, json_t *row),
                void *data, struct error *err);

void audit_head(struct store_txn *txn, struct audit_head *head);
/* Whether every digest is right; else ERROR_CORRUPT naming the first row that is not. *head (may be
 * NULL) is where the trail ends. */
bool audit_verify(struct store_txn *txn, struct audit_head *head, struct error *err);
/* The number of the row with this digest (in hexadecimal), or 0. */
uint64_t audit_find(struct store_txn *txn, const char *digest);

#endif
