/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of webhooks on their way: rows of JSON under a number that grows, until they are taken.
 * There are few at a time, so what is asked of them is a walk. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/uplift.h"
#include "core/webhook_parts.h"

/* Seconds until the next try; about three days in all. */
static const int64_t waits[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};

int64_t webhook_wait(int attempts)
{
    size_t count = sizeof waits / sizeof *waits;
    return attempts >= 1 && (size_t)attempts <= count ? waits[attempts - 1] * WHEN_SECOND : -1;
}

/* A tenth more at most, so that not all come at once. */
static int64_t spread(int64_t wait)
{
    return wait + (int64_t)randombytes_uniform((uint32_t)(wait / 10 + 1));
}

static bool is_dead(const json_t *row)
{
    return json_is_true(json_object_get(row, "dead"));
}

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

/* --- rows ------------------------------------------------------------------------------------ */

static struct store_key key_of(uint64_t number)
{
    struct store_key key = {0};
    key_u64(&key, number);
    return key;
}

void webhook_put_message(struct store_txn *txn, uint64_t number, const json_t *row)
{
    struct store_key key = key_of(number);
    char *text = json_text(row);
    store_put(txn, STORE_DELIVERY, key_slice(&key), slice_of(text));
    free(text);
}

void webhook_delete_message(struct store_txn *txn, uint64_t number)
{
    struct store_key key = key_of(number);
    store_delete(txn, STORE_DELIVERY, key_slice(&key));
}

bool webhook_each_message(struct store_txn *txn, uint64_t from,
                          bool (*visit)(void *data, uint64_t number, json_t *row), void *data,
                          struct error *err)
{
    struct store_key start = key_of(from);
    struct store_cursor *cursor = store_walk(txn, STORE_DELIVERY, NO_SLICE, key_slice(&start));
    struct slice key, value;
    bool ok = true, more = true;
    while (ok && more && store_next(cursor, &key, &value)) {
        struct error why = {0};
        uint64_t number = 0;
        json_t *row = json_parse(value.ptr, value.len, &why);
        ok = unkey_u64(&key, &number) && json_is_object(row);
        if (!ok)
            error_set(err, ERROR_CORRUPT, NULL, "a stored message of a webhook is damaged");
        more = ok && visit(data, number, row);
        json_decref(row);
    }
    store_walk_end(&cursor);
    return ok && store_healthy(txn, err);
}

/* --- adding ---------------------------------------------------------------------------------- */

struct oldest {
    uint64_t number, dead;
};

static bool note_dead(void *data, uint64_t number, json_t *row)
{
    struct oldest *oldest = data;
    if (is_dead(row) && oldest->dead++ == 0)
        oldest->number = number;
    return true;
}

/* Dead letters make room; a message for which there is none is lost, which operators see. */
static bool make_room(struct uplift *uplift, struct store_txn *txn)
{
    struct oldest oldest = {0};
    struct error unread = {0};
    if (store_count(txn, STORE_DELIVERY) < WEBHOOK_WAITING_MAX)
        return true;
    if (webhook_each_message(txn, 0, note_dead, &oldest, &unread) && oldest.dead) {
        webhook_delete_message(txn, oldest.number);
        return true;
    }
    atomic_fetch_add(&uplift->webhook_lost, 1);
    return false;
}

static uint64_t next_number(struct store_txn *txn)
{
    struct slice last, value;
    uint64_t number = 0;
    if (store_last(txn, STORE_DELIVERY, NO_SLICE, &last, &value))
        unkey_u64(&last, &number);
    return number + 1;
}

static char *body_of(enum webhook_type type, int64_t at, const json_t *data)
{
    json_t *body = json_pack("{s:s, s:o, s:O}", "type", webhook_type_word(type), "timestamp",
                             json_when(at), "data", data);
    char *text = json_text(body);
    json_decref(body);
    return text;
}

void webhook_add_message(struct uplift *uplift, struct store_txn *txn, const char *webhook,
                         enum webhook_type type, int64_t at, const unsigned char customer[16],
                         const json_t *data)
{
    char id[WEBHOOK_ID_MAX], hex[2 * 16 + 1];
    if (!make_room(uplift, txn))
        return;
    webhook_new_id("msg_", id);
    char *body = body_of(type, at, data);
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:o, s:i, s:o, s:n, s:n, s:b, s:s?, s:s}", "id", id, "webhook",
                  webhook, "type", webhook_type_word(type), "at", json_when(at), "attempts", 0,
                  "next_at", json_when(at), "status", "error", "dead", 0, "customer",
                  customer ? sodium_bin2hex(hex, sizeof hex, customer, 16) : NULL, "body", body);
    webhook_put_message(txn, next_number(txn), row);
    json_decref(row);
    free(body);
}

/* --- taking out ------------------------------------------------------------------------------ */

enum { AT_ONCE = 256 };

struct doomed {
    const char *webhook, *customer; /* NULL: whatever */
    uint64_t numbers[AT_ONCE];
    size_t count;
};

static bool doom(void *data, uint64_t number, json_t *row)
{
    struct doomed *doomed = data;
    if ((!doomed->webhook || strcmp(text_of(row, "webhook"), doomed->webhook) == 0) &&
        (!doomed->customer || strcmp(text_of(row, "customer"), doomed->customer) == 0))
        doomed->numbers[doomed->count++] = number;
    return doomed->count < AT_ONCE;
}

void webhook_delete_messages(struct store_txn *txn, const char *webhook,
                             const unsigned char customer[16])
{
    char hex[2 * 16 + 1];
    struct error unread = {0}; /* the walk has failed the transaction, or the row says nothing */
    struct doomed doomed = {.webhook = webhook};
    if (customer)
        doomed.customer = sodium_bin2hex(hex, sizeof hex, customer, 16);
    do {
        doomed.count = 0;
        webhook_each_message(txn, 0, doom, &doomed, &unread);
        for (size_t i = 0; i < doomed.count; i++)
            webhook_delete_message(txn, doomed.numbers[i]);
    } while (doomed.count == AT_ONCE);
}

/* --- lists ----------------------------------------------------------------------------------- */

struct page {
    json_t *list;
    size_t limit;
    bool dead;
    uint64_t last; /* the last number on a page that is full; else 0 */
};

static bool add_delivery(void *data, uint64_t number, json_t *row)
{
    struct page *page = data;
    if (page->dead && !is_dead(row))
        return true;
    if (json_array_size(page->list) == page->limit)
        return false;
    json_object_del(row, "customer");
    json_object_set_new(row, "number", json_integer((json_int_t)number));
    json_array_append(page->list, row);
    page->last = number;
    return true;
}

json_t *webhook_deliveries(struct uplift *uplift, uint64_t after, size_t limit, bool dead,
                           struct error *err)
{
    struct page page = {.list = json_array(), .limit = limit, .dead = dead};
    char cursor[24];
    struct store_txn *txn = store_read(uplift->store, err);
    bool ok = txn && webhook_each_message(txn, after + 1, add_delivery, &page, err);
    store_abort(&txn);
    snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)page.last);
    bool full = json_array_size(page.list) == limit;
    json_t *answer =
        json_pack("{s:o, s:s?}", "deliveries", page.list, "next", full ? cursor : NULL);
    if (!ok)
        json_decref(answer);
    return ok ? answer : NULL;
}

static bool count(void *data, uint64_t number, json_t *row)
{
    struct webhook_figures *figures = data;
    (void)number;
    if (is_dead(row))
        figures->dead++;
    else
        figures->waiting++;
    return true;
}

bool webhook_figures(struct uplift *uplift, struct webhook_figures *out, struct error *err)
{
    *out = (struct webhook_figures){0};
    struct store_txn *txn = store_read(uplift->store, err);
    bool ok = txn && webhook_each_message(txn, 0, count, out, err);
    store_abort(&txn);
    return ok;
}

/* --- one message ----------------------------------------------------------------------------- */

struct finding {
    const char *id;
    uint64_t number; /* 0: not found */
    json_t *row;     /* a reference */
};

static bool find(void *data, uint64_t number, json_t *row)
{
    struct finding *finding = data;
    if (strcmp(text_of(row, "id"), finding->id) != 0)
        return true;
    finding->number = number;
    finding->row = json_incref(row);
    return false;
}

struct task {
    struct uplift *uplift;
    const char *id;
    bool drop;
};

static bool run_task(void *data, struct ingest_run *run, struct error *err)
{
    struct task *task = data;
    struct finding finding = {.id = task->id};
    if (!webhook_each_message(run->txn, 0, find, &finding, err))
        return false;
    if (!finding.row)
        return error_set(err, ERROR_NOT_FOUND, NULL, "there is no message '%.40s' that waits",
                         task->id);
    if (task->drop) {
        webhook_delete_message(run->txn, finding.number);
    } else {
        json_object_set_new(finding.row, "dead", json_false());
        json_object_set_new(finding.row, "attempts", json_integer(0));
        json_object_set_new(finding.row, "next_at", json_when(uplift_now(task->uplift)));
        webhook_put_message(run->txn, finding.number, finding.row);
    }
    json_decref(finding.row);
    return true;
}

bool webhook_retry(struct uplift *uplift, const char *message, struct error *err)
{
    struct task task = {.uplift = uplift, .id = message};
    return ingest_call(uplift->ingest, run_task, &task, err);
}

bool webhook_drop(struct uplift *uplift, const char *message, struct error *err)
{
    struct task task = {.uplift = uplift, .id = message, .drop = true};
    return ingest_call(uplift->ingest, run_task, &task, err);
}

/* --- sending --------------------------------------------------------------------------------- */

struct search {
    struct store_txn *txn;
    int64_t now;
    bool (*busy)(void *data, const char *webhook);
    void *data;
    struct webhook_message *out;
    bool found;
};

static int64_t time_of(const json_t *row, const char *name)
{
    int64_t when = 0;
    return when_parse(slice_of(text_of(row, name)), &when) ? when : 0;
}

/* A webhook that is switched off keeps what waits for it. */
static bool take_due(void *data, uint64_t number, json_t *row)
{
    struct search *search = data;
    struct webhook_message *out = search->out;
    struct error unread = {0};
    const char *webhook = text_of(row, "webhook");
    if (is_dead(row) || time_of(row, "next_at") > search->now ||
        search->busy(search->data, webhook))
        return true;
    json_t *to = webhook_row(search->txn, webhook, &unread);
    search->found = to && json_is_true(json_object_get(to, "enabled"));
    if (search->found) {
        bool both = time_of(to, "old_until") > search->now;
        out->number = number;
        snprintf(out->id, sizeof out->id, "%s", text_of(row, "id"));
        snprintf(out->webhook, sizeof out->webhook, "%s", webhook);
        snprintf(out->url, sizeof out->url, "%s", text_of(to, "url"));
        snprintf(out->secrets[0], WEBHOOK_SECRET_MAX, "%s", text_of(to, "secret"));
        snprintf(out->secrets[1], WEBHOOK_SECRET_MAX, "%s", both ? text_of(to, "old_secret") : "");
        out->body = xstrdup(text_of(row, "body"));
    }
    json_decref(to);
    return !search->found;
}

bool webhook_due(struct uplift *uplift, int64_t now, bool (*busy)(void *data, const char *webhook),
                 void *data, struct webhook_message *out, struct error *err)
{
    struct search search = {.now = now, .busy = busy, .data = data, .out = out};
    search.txn = store_read(uplift->store, err);
    bool ok = search.txn && webhook_each_message(search.txn, 0, take_due, &search, err);
    store_abort(&search.txn);
    return ok && search.found;
}

void webhook_message_release(struct webhook_message *message)
{
    free(message->body);
    sodium_memzero(message, sizeof *message);
}

/* v1,BASE64(HMAC-SHA256(secret, id.seconds.body)) */
static void sign_with(const char *secret, const struct webhook_message *message,
                      const char *seconds, struct text *out)
{
    unsigned char key[WEBHOOK_SECRET_MAX], mac[crypto_auth_hmacsha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(sizeof mac, sodium_base64_VARIANT_ORIGINAL)];
    const char *parts[] = {message->id, ".", seconds, ".", message->body};
    size_t len = 0;
    crypto_auth_hmacsha256_state state;
    const char *base64 = strchr(secret, '_') ? strchr(secret, '_') + 1 : secret;
    sodium_base642bin(key, sizeof key, base64, strlen(base64), NULL, &len, NULL,
                      sodium_base64_VARIANT_ORIGINAL);
    crypto_auth_hmacsha256_init(&state, key, len);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        crypto_auth_hmacsha256_update(&state, (const unsigned char *)parts[i], strlen(parts[i]));
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(key, sizeof key);
    sodium_bin2base64(text, sizeof text, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
    text_printf(out, "v1,%s", text);
}

void webhook_sign(const struct webhook_message *message, int64_t seconds, struct text *out)
{
    char time[24];
    snprintf(time, sizeof time, "%lld", (long long)seconds);
    sign_with(message->secrets[0], message, time, out);
    if (!*message->secrets[1])
        return;
    text_puts(out, " ");
    sign_with(message->secrets[1], message, time, out);
}

/* --- what became of it ----------------------------------------------------------------------- */

struct note {
    struct uplift *uplift;
    const struct webhook_message *message;
    const struct webhook_outcome *outcome;
    int64_t now;
};

/* Who says that nobody is there any more is asked no more. */
static void switch_off(struct store_txn *txn, const char *webhook, struct error *err)
{
    json_t *row = webhook_row(txn, webhook, err);
    if (row) {
        json_object_set_new(row, "enabled", json_false());
        json_object_set_new(row, "disabled_why", json_string("the other side answered 410 Gone"));
        webhook_put_row(txn, row);
    }
    json_decref(row);
}

static void bury(struct store_txn *txn, json_t *row)
{
    struct oldest oldest = {0};
    struct error unread = {0};
    webhook_each_message(txn, 0, note_dead, &oldest, &unread);
    if (oldest.dead >= WEBHOOK_DEAD_MAX)
        webhook_delete_message(txn, oldest.number);
    json_object_set_new(row, "dead", json_true());
    json_object_set_new(row, "next_at", json_null());
}

static void postpone(const struct note *note, struct store_txn *txn, json_t *row)
{
    const struct webhook_outcome *outcome = note->outcome;
    int attempts = (int)json_integer_value(json_object_get(row, "attempts")) + 1;
    int64_t wait = outcome->status == 410 ? -1 : webhook_wait(attempts);
    int64_t asked = outcome->retry_after * WHEN_SECOND;
    json_object_set_new(row, "attempts", json_integer(attempts));
    json_object_set_new(row, "status",
                        outcome->status ? json_integer(outcome->status) : json_null());
    json_object_set_new(row, "error", outcome->error ? json_string(outcome->error) : json_null());
    if (wait < 0)
        bury(txn, row);
    else
        json_object_set_new(row, "next_at",
                            json_when(note->now + (asked > wait ? asked : spread(wait))));
}

/* The message may have gone meanwhile, with its webhook or its customer. */
static bool run_note(void *data, struct ingest_run *run, struct error *err)
{
    const struct note *note = data;
    const struct webhook_outcome *outcome = note->outcome;
    struct finding finding = {.id = note->message->id};
    if (!webhook_each_message(run->txn, note->message->number, find, &finding, err))
        return false;
    if (!finding.row)
        return true;
    if (outcome->status / 100 == 2) {
        webhook_delete_message(run->txn, finding.number);
    } else {
        if (outcome->status == 410)
            switch_off(run->txn, note->message->webhook, err);
        postpone(note, run->txn, finding.row);
        webhook_put_message(run->txn, finding.number, finding.row);
    }
    json_decref(finding.row);
    return err->code == ERROR_NONE;
}

bool webhook_note(struct uplift *uplift, const struct webhook_message *message,
                  const struct webhook_outcome *outcome, int64_t now, struct error *err)
{
    struct note note = {uplift, message, outcome, now};
    atomic_fetch_add(outcome->status / 100 == 2 ? &uplift->webhook_taken : &uplift->webhook_failed,
                     1);
    return ingest_call(uplift->ingest, run_note, &note, err);
}
