/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Webhooks: other services that are told of what happens, by messages that are signed as Standard
 * Webhooks says (https://www.standardwebhooks.com, version 1).
 *
 * A message is written in the transaction of what it tells of, so that it is there exactly if that
 * happened. It stays until the other side took it, is tried again for three days, and is then a
 * dead letter, which a person may send again. It may arrive twice (its id tells) and out of order.
 *
 * A webhook's secret is needed to sign, so it is stored as it is, and shown once, when it is made.
 *
 * This file knows no HTTP: http/deliver.c sends. All functions are for any thread but the writer's,
 * unless said otherwise. Errors: ERROR_INVALID with the place, ERROR_NOT_FOUND, those of the
 * store and of ingest. What is returned as json_t * is a new reference. */
#ifndef UPLIFT_CORE_WEBHOOK_H
#define UPLIFT_CORE_WEBHOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/event.h"
#include "core/ingest.h"

struct uplift;
struct store_txn;

enum webhook_type {
#define WEBHOOK(name, word, summary) WEBHOOK_##name,
#include "core/webhook.def"
#undef WEBHOOK
    WEBHOOK_TYPES
};

enum {
    WEBHOOKS_MAX = 20,
    WEBHOOK_URL_MAX = 2048,
    WEBHOOK_SECRET_MAX = 64,     /* bytes of a secret as text, with its zero */
    WEBHOOK_ID_MAX = 32,         /* of ids of webhooks and messages */
    WEBHOOK_WAITING_MAX = 10000, /* messages that are kept: more are lost, and counted */
    WEBHOOK_DEAD_MAX = 1000,     /* of them dead letters: the oldest go */
};

/* --- definitions: {url, events, name, enabled} ----------------------------------------------- */

/* {"webhooks": […]}: each with how many messages wait and are dead, without its secret. */
json_t *webhook_list(struct uplift *uplift, struct error *err);
json_t *webhook_get(struct uplift *uplift, const char *id, struct error *err);
/* `who` goes into the trail. The answer has `secret`. */
json_t *webhook_create(struct uplift *uplift, const char *who, json_t *input, struct error *err);
json_t *webhook_replace(struct uplift *uplift, const char *who, const char *id, json_t *input,
                        struct error *err);
/* Its messages go with it. */
bool webhook_remove(struct uplift *uplift, const char *who, const char *id, struct error *err);
/* A new secret, in the answer; for a day messages are signed with the old one as well. */
json_t *webhook_rotate(struct uplift *uplift, const char *who, const char *id, struct error *err);

/* --- messages -------------------------------------------------------------------------------- */

/* Whether anybody is to be told of it: cheap, and true once too often at worst. Any thread. */
bool webhook_wanted(const struct uplift *uplift, enum webhook_type type);
/* Writes a message to each webhook that asked for it. `customer`: whose data it holds, so that it
 * goes when they are erased; or NULL. `data` is taken over. By the writer; failures stick to the
 * transaction. */
void webhook_emit(struct uplift *uplift, struct store_txn *txn, enum webhook_type type, int64_t at,
                  const unsigned char customer[16], json_t *data);
/* The same for this feedback, where its score is low and it is not an old one. By the writer. */
void webhook_emit_feedback(struct uplift *uplift, struct store_txn *txn, const struct event *event,
                           int64_t now);
/* Takes out what waits and is about a customer. By the writer. */
void webhook_forget(struct store_txn *txn, const unsigned char customer[16]);
/* Writes a message of type webhook.test, whatever the webhook asked for. */
bool webhook_test(struct uplift *uplift, const char *id, struct error *err);

/* {"deliveries": […], "next"}: messages that were not taken yet: of each webhook by when they are
 * due, then dead letters, by when they died: {id, webhook, type, at, attempts, next_at, status,
 * error, dead, body}. `after`: the "next" of the page before, or "". Only dead letters where
 * `dead`. */
json_t *webhook_deliveries(struct uplift *uplift, const char *after, size_t limit, bool dead,
                           struct error *err);
/* Has a message sent at once, dead or not, with all its tries before it; or dropped. */
bool webhook_retry(struct uplift *uplift, const char *message, struct error *err);
bool webhook_drop(struct uplift *uplift, const char *message, struct error *err);

/* --- for the sender -------------------------------------------------------------------------- */

/* Where a message lies. */
struct webhook_place {
    bool dead;
    char webhook[WEBHOOK_ID_MAX]; /* "" where it is dead */
    int64_t at;                   /* ms: when it is due, 0 at once; or when it died */
    uint64_t number;              /* of those at one moment, in their order */
};

struct webhook_message {
    struct webhook_place place;
    char id[WEBHOOK_ID_MAX]; /* webhook-id */
    char url[WEBHOOK_URL_MAX + 1];
    char secrets[2][WEBHOOK_SECRET_MAX]; /* the second is "" but for a day after a rotation */
    char *body;                          /* JSON text; webhook_message_release frees it */
};

/* A message that is due at `now` (ms) and whose webhook `busy` does not name: of one webhook the
 * first. False where there is none, or with *err. */
bool webhook_due(struct uplift *uplift, int64_t now, bool (*busy)(void *data, const char *webhook),
                 void *data, struct webhook_message *out, struct error *err);
void webhook_message_release(struct webhook_message *message);

/* Appends the header webhook-signature of a message sent at `seconds` since 1970: one signature for
 * each secret, a space between (Standard Webhooks, "Signature scheme"). Any thread. */
void webhook_sign(const struct webhook_message *message, int64_t seconds, struct text *out);

/* What became of sending it. */
struct webhook_outcome {
    int status;          /* of HTTP; 0: there was no answer */
    const char *error;   /* why there was none, or NULL */
    int64_t retry_after; /* seconds that the other side asked for; 0: it did not */
};

/* Notes it: 2xx: the message is gone; 410: the webhook is switched off and the message dead; else
 * it is due again later, or dead after the last try. `now`: ms. */
bool webhook_note(struct uplift *uplift, const struct webhook_message *message,
                  const struct webhook_outcome *outcome, int64_t now, struct error *err);

/* When a message is tried again after so many tries (1 for the first): ms from now, without the
 * part that is random; -1: never. */
int64_t webhook_wait(int attempts);

/* For operators. */
struct webhook_figures {
    uint64_t waiting, dead;
};
bool webhook_figures(struct uplift *uplift, struct webhook_figures *out, struct error *err);

/* Which types are asked for: before any other thread runs. */
bool webhooks_load(struct uplift *uplift, struct error *err);

/* Webhooks and messages that cannot be read, which keep nobody from the others: calls report with a
 * line for each, and takes them out where `remove` (by the writer). How many there are. */
uint64_t webhook_damaged(struct store_txn *txn, bool remove,
                         void (*report)(void *data, const char *line), void *data);

#endif
