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

/* A row of a webhook, or NULL where it is damaged. */
json_t *webhook_parse(struct slice id, struct slice value);
/* Calls visit with each webhook whose row can be read. False where the store cannot. */
bool webhook_each(struct store_txn *txn, void (*visit)(void *data, json_t *row), void *data,
                  struct error *err);

/* Calls visit with each message, those that wait first; stops where it returns false. `row` is the
 * visitor's to change, not to keep. Damaged ones are left out. False where the store cannot be
 * read. */
bool webhook_each_message(struct store_txn *txn,
                          bool (*visit)(void *data, const struct webhook_place *place, json_t *row),
                          void *data, struct error *err);
/* A new message to a webhook. */
void webhook_add_message(struct uplift *uplift, struct store_txn *txn, const char *webhook,
                         enum webhook_type type, int64_t at, const unsigned char customer[16],
                         const json_t *data);
/* All messages of a webhook. */
void webhook_delete_messages(struct store_txn *txn, const char *webhook);

#endif
