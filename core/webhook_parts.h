/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between webhook.c (definitions, what is told) and webhook_queue.c (messages), and for nobody
 * else. */
#ifndef UPLIFT_CORE_WEBHOOK_PARTS_H
#define UPLIFT_CORE_WEBHOOK_PARTS_H

#include "core/json.h"
#include "core/store.h"
#include "core/webhook.h"

/* The row of a webhook, or NULL where it is not there, or with *err where it is damaged. */
json_t *webhook_row(struct store_txn *txn, const char *id, struct error *err);
void webhook_put_row(struct store_txn *txn, const json_t *row);
/* "wh_" or "msg_" and 24 characters at random. */
void webhook_new_id(const char *prefix, char id[WEBHOOK_ID_MAX]);
const char *webhook_type_word(enum webhook_type type);

/* Calls visit with each message from `from` on, oldest first; stops where it returns false. `row`
 * is the visitor's to change, not to keep. False where a row is damaged. */
bool webhook_each_message(struct store_txn *txn, uint64_t from,
                          bool (*visit)(void *data, uint64_t number, json_t *row), void *data,
                          struct error *err);
void webhook_put_message(struct store_txn *txn, uint64_t number, const json_t *row);
void webhook_delete_message(struct store_txn *txn, uint64_t number);
/* A new message to a webhook. */
void webhook_add_message(struct uplift *uplift, struct store_txn *txn, const char *webhook,
                         enum webhook_type type, int64_t at, const unsigned char customer[16],
                         const json_t *data);
/* All messages of a webhook (NULL: of any) that are about a customer (NULL: about whatever). */
void webhook_delete_messages(struct store_txn *txn, const char *webhook,
                             const unsigned char customer[16]);

#endif
