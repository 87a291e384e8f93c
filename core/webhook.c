/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Webhooks as rows of their table, read anew for each message: there are few, and the writer then
 * sees them as they are. Memory holds only which types anybody asked for. */
#include "core/webhook.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/audit.h"
#include "core/ledger.h"
#include "core/uplift.h"
#include "core/webhook_parts.h"

enum { SECRET_BYTES = 32, SECRET_DAYS = 1, OLD_FEEDBACK_DAYS = 7 };
static const char secret_prefix[] = "whsec_";

const char *webhook_type_word(enum webhook_type type)
{
    static const char *const words[] = {
#define WEBHOOK(name, word, summary) word,
#include "core/webhook.def"
#undef WEBHOOK
    };
    return words[type];
}

static int type_of(const char *word)
{
    for (int type = 0; type < WEBHOOK_TYPES; type++)
        if (strcmp(webhook_type_word((enum webhook_type)type), word) == 0)
            return type;
    return -1;
}

void webhook_new_id(const char *prefix, char id[WEBHOOK_ID_MAX])
{
    unsigned char bytes[12];
    char hex[2 * sizeof bytes + 1];
    randombytes_buf(bytes, sizeof bytes);
    snprintf(id, WEBHOOK_ID_MAX, "%s%s", prefix, sodium_bin2hex(hex, sizeof hex, bytes, 12));
}

static void new_secret(char secret[WEBHOOK_SECRET_MAX])
{
    unsigned char bytes[SECRET_BYTES];
    char text[WEBHOOK_SECRET_MAX - sizeof secret_prefix];
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2base64(text, sizeof text, bytes, sizeof bytes, sodium_base64_VARIANT_ORIGINAL);
    snprintf(secret, WEBHOOK_SECRET_MAX, "%s%s", secret_prefix, text);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(text, sizeof text);
}

/* --- rows ------------------------------------------------------------------------------------ */

json_t *webhook_parse(struct slice id, struct slice value)
{
    struct error why = {0};
    json_t *row = value.ptr ? json_parse(value.ptr, value.len, &why) : NULL;
    const char *own = json_string_value(json_object_get(row, "id"));
    if (own && slice_is(id, own) && json_is_string(json_object_get(row, "url")) &&
        json_is_string(json_object_get(row, "secret")))
        return row;
    json_decref(row);
    return NULL;
}

json_t *webhook_row(struct store_txn *txn, const char *id, struct error *err)
{
    struct slice value;
    if (!store_get(txn, STORE_WEBHOOK, slice_of(id), &value)) {
        store_healthy(txn, err);
        return NULL;
    }
    json_t *row = webhook_parse(slice_of(id), value);
    if (!row)
        error_set(err, ERROR_CORRUPT, NULL, "a stored webhook is damaged");
    return row;
}

void webhook_put_row(struct store_txn *txn, const json_t *row)
{
    char *text = json_text(row);
    store_put(txn, STORE_WEBHOOK, slice_of(json_string_value(json_object_get(row, "id"))),
              slice_of(text));
    sodium_memzero(text, strlen(text));
    free(text);
}

static json_t *not_found(const char *id, struct error *err)
{
    error_set(err, ERROR_NOT_FOUND, NULL, "there is no webhook '%.40s'", id);
    return NULL;
}

/* The row that is to be there. */
static json_t *wanted_row(struct store_txn *txn, const char *id, struct error *err)
{
    json_t *row = webhook_row(txn, id, err);
    return row || err->code != ERROR_NONE ? row : not_found(id, err);
}

/* Without what signs. */
static json_t *shown(const json_t *row)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)row);
    json_object_del(copy, "secret");
    json_object_del(copy, "old_secret");
    json_object_del(copy, "old_until");
    return copy;
}

static bool asks_for(const json_t *row, enum webhook_type type)
{
    size_t i;
    json_t *word;
    if (!json_is_true(json_object_get(row, "enabled")))
        return false;
    json_array_foreach(json_object_get(row, "events"), i, word)
    {
        if (strcmp(json_string_value(word), webhook_type_word(type)) == 0)
            return true;
    }
    return false;
}

/* A damaged one must not keep a server from its start, nor events out: `uplift check` names it. */
bool webhook_each(struct store_txn *txn, void (*visit)(void *data, json_t *row), void *data,
                  struct error *err)
{
    struct store_cursor *cursor = store_walk(txn, STORE_WEBHOOK, NO_SLICE, NO_SLICE);
    struct slice id, value;
    store_walk_damaged(cursor);
    while (store_next(cursor, &id, &value)) {
        json_t *row = webhook_parse(id, value);
        if (row)
            visit(data, row);
        json_decref(row);
    }
    store_walk_end(&cursor);
    return store_healthy(txn, err);
}

static void add_types(void *data, json_t *row)
{
    unsigned *types = data;
    for (unsigned type = 0; type < WEBHOOK_TYPES; type++)
        if (asks_for(row, (enum webhook_type)type))
            *types |= 1u << type;
}

bool webhooks_load(struct uplift *uplift, struct error *err)
{
    unsigned types = 0;
    struct store_txn *txn = store_read(uplift->store, err);
    bool ok = txn && webhook_each(txn, add_types, &types, err);
    store_abort(&txn);
    if (ok)
        atomic_store(&uplift->webhook_types, types);
    return ok;
}

bool webhook_wanted(const struct uplift *uplift, enum webhook_type type)
{
    return atomic_load(&uplift->webhook_types) >> type & 1;
}

/* --- reading definitions --------------------------------------------------------------------- */

static bool read_events(json_t *input, json_t **events, struct error *err)
{
    struct json_place place = json_member(JSON_TOP, "events");
    size_t i;
    json_t *word;
    if (!json_read_array(input, JSON_TOP, "events", JSON_REQUIRED, 1, WEBHOOK_TYPES, events, err))
        return false;
    json_array_foreach(*events, i, word)
    {
        struct json_place item = json_item(&place, i);
        const char *text = json_string_value(word);
        if (!text || type_of(text) < 0)
            return json_fail(&item, err, "is no type of event: see the list in the manual");
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(*events, k), word))
                return json_fail(&item, err, "is there twice");
    }
    return true;
}

/* The members that people set, into the row. */
static bool read_input(json_t *input, json_t *row, struct error *err)
{
    static const char *const fields[] = {"url", "events", "name", "enabled", NULL};
    const char *url = NULL, *name = "";
    json_t *events = NULL;
    bool enabled = true;
    if (!json_check_fields(input, JSON_TOP, fields, err) ||
        !json_read_string(input, JSON_TOP, "url", JSON_REQUIRED, 8, WEBHOOK_URL_MAX, &url, err) ||
        !json_read_string(input, JSON_TOP, "name", JSON_OPTIONAL, 0, 128, &name, err) ||
        !json_read_bool(input, JSON_TOP, "enabled", JSON_OPTIONAL, &enabled, err) ||
        !read_events(input, &events, err))
        return false;
    json_object_set_new(row, "url", json_string(url));
    json_object_set_new(row, "name", json_string(name));
    json_object_set_new(row, "enabled", json_boolean(enabled));
    json_object_set_new(row, "disabled_why", json_null());
    json_object_set(row, "events", events);
    return true;
}

/* --- changes --------------------------------------------------------------------------------- */

struct change {
    struct uplift *uplift;
    const char *who, *action, *id;
    json_t *input; /* or NULL */
    json_t *made;  /* the answer */
    void (*run)(struct change *change, struct store_txn *txn, json_t *row, struct error *err);
};

/* Finds the row, changes it, writes the trail. */
static bool run_change(void *data, struct ingest_run *run, struct error *err)
{
    struct change *change = data;
    json_t *before = change->id ? wanted_row(run->txn, change->id, err) : NULL;
    if (change->id && !before)
        return false;
    json_t *row = before ? json_deep_copy(before) : json_object();
    change->run(change, run->txn, row, err);
    bool ok = err->code == ERROR_NONE;
    if (ok && change->action) {
        json_t *was = before ? shown(before) : NULL;
        json_t *is = change->made ? shown(row) : NULL;
        const char *id = json_string_value(json_object_get(row, "id"));
        audit_append(run->txn, uplift_now(change->uplift), change->who, change->action, id, was,
                     is);
        json_decref(was);
        json_decref(is);
    }
    json_decref(before);
    json_decref(row);
    return ok;
}

/* Until it is known what is asked for, everything may be. */
static bool call_change(struct change *change, struct error *err)
{
    atomic_store(&change->uplift->webhook_types, UINT_MAX);
    bool ok = ingest_call(change->uplift->ingest, run_change, change, err);
    struct error unread = {0}; /* everything then stays asked for */
    webhooks_load(change->uplift, &unread);
    if (!ok) {
        json_decref(change->made);
        change->made = NULL;
    }
    return ok;
}

static void run_create(struct change *change, struct store_txn *txn, json_t *row, struct error *err)
{
    char id[WEBHOOK_ID_MAX], secret[WEBHOOK_SECRET_MAX];
    if (store_count(txn, STORE_WEBHOOK) >= WEBHOOKS_MAX) {
        error_set(err, ERROR_CONFLICT, NULL,
                  "there are %d webhooks, which is the most there may be", WEBHOOKS_MAX);
        return;
    }
    webhook_new_id("wh_", id);
    new_secret(secret);
    json_object_set_new(row, "id", json_string(id));
    if (!read_input(change->input, row, err))
        return;
    json_object_set_new(row, "created_at", json_when(uplift_now(change->uplift)));
    json_object_set_new(row, "secret", json_string(secret));
    webhook_put_row(txn, row);
    change->made = shown(row);
    json_object_set_new(change->made, "secret", json_string(secret));
    sodium_memzero(secret, sizeof secret);
}

json_t *webhook_create(struct uplift *uplift, const char *who, json_t *input, struct error *err)
{
    struct change change = {.uplift = uplift,
                            .who = who,
                            .action = "webhook.create",
                            .input = input,
                            .run = run_create};
    call_change(&change, err);
    return change.made;
}

static void run_replace(struct change *change, struct store_txn *txn, json_t *row,
                        struct error *err)
{
    if (!read_input(change->input, row, err))
        return;
    webhook_put_row(txn, row);
    change->made = shown(row);
}

json_t *webhook_replace(struct uplift *uplift, const char *who, const char *id, json_t *input,
                        struct error *err)
{
    struct change change = {.uplift = uplift,
                            .who = who,
                            .action = "webhook.amend",
                            .id = id,
                            .input = input,
                            .run = run_replace};
    call_change(&change, err);
    return change.made;
}

static void run_remove(struct change *change, struct store_txn *txn, json_t *row, struct error *err)
{
    (void)row;
    (void)err;
    store_delete(txn, STORE_WEBHOOK, slice_of(change->id));
    webhook_delete_messages(txn, change->id);
}

bool webhook_remove(struct uplift *uplift, const char *who, const char *id, struct error *err)
{
    struct change change = {
        .uplift = uplift, .who = who, .action = "webhook.remove", .id = id, .run = run_remove};
    return call_change(&change, err);
}

static void run_rotate(struct change *change, struct store_txn *txn, json_t *row, struct error *err)
{
    char secret[WEBHOOK_SECRET_MAX];
    (void)err;
    new_secret(secret);
    json_object_set(row, "old_secret", json_object_get(row, "secret"));
    json_object_set_new(row, "old_until",
                        json_when(uplift_now(change->uplift) + SECRET_DAYS * WHEN_DAY));
    json_object_set_new(row, "secret", json_string(secret));
    webhook_put_row(txn, row);
    change->made = shown(row);
    json_object_set_new(change->made, "secret", json_string(secret));
    sodium_memzero(secret, sizeof secret);
}

json_t *webhook_rotate(struct uplift *uplift, const char *who, const char *id, struct error *err)
{
    struct change change = {
        .uplift = uplift, .who = who, .action = "webhook.rotate", .id = id, .run = run_rotate};
    call_change(&change, err);
    return change.made;
}

static void run_test(struct change *change, struct store_txn *txn, json_t *row, struct error *err)
{
    json_t *data = json_pack("{s:O}", "webhook", json_object_get(row, "id"));
    (void)err;
    webhook_add_message(change->uplift, txn, change->id, WEBHOOK_TEST, uplift_now(change->uplift),
                        NULL, data);
    json_decref(data);
}

bool webhook_test(struct uplift *uplift, const char *id, struct error *err)
{
    struct change change = {.uplift = uplift, .id = id, .run = run_test};
    return call_change(&change, err);
}

/* --- lists ----------------------------------------------------------------------------------- */

static void add_shown(void *data, json_t *row)
{
    json_t *list = data, *copy = shown(row);
    json_object_set_new(copy, "waiting", json_integer(0));
    json_object_set_new(copy, "dead", json_integer(0));
    json_array_append_new(list, copy);
}

static bool count_message(void *data, const struct webhook_place *place, json_t *message)
{
    json_t *list = data, *row;
    size_t i;
    json_array_foreach(list, i, row)
    {
        const char *state = place->dead ? "dead" : "waiting";
        if (json_equal(json_object_get(row, "id"), json_object_get(message, "webhook")))
            json_object_set_new(row, state,
                                json_integer(json_integer_value(json_object_get(row, state)) + 1));
    }
    return true;
}

static json_t *all_shown(struct uplift *uplift, struct error *err)
{
    json_t *list = json_array();
    struct store_txn *txn = store_read(uplift->store, err);
    bool ok = txn && webhook_each(txn, add_shown, list, err) &&
              webhook_each_message(txn, count_message, list, err);
    store_abort(&txn);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

json_t *webhook_list(struct uplift *uplift, struct error *err)
{
    json_t *list = all_shown(uplift, err);
    return list ? json_pack("{s:o}", "webhooks", list) : NULL;
}

json_t *webhook_get(struct uplift *uplift, const char *id, struct error *err)
{
    json_t *list = all_shown(uplift, err), *row, *found = NULL;
    size_t i;
    json_array_foreach(list, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "id")), id) == 0)
            found = json_incref(row);
    }
    json_decref(list);
    return found || !list ? found : not_found(id, err);
}

/* --- what is told ---------------------------------------------------------------------------- */

struct telling {
    struct uplift *uplift;
    struct store_txn *txn;
    enum webhook_type type;
    int64_t at;
    const unsigned char *customer;
    const json_t *data;
};

static void tell(void *data, json_t *row)
{
    const struct telling *t = data;
    if (asks_for(row, t->type))
        webhook_add_message(t->uplift, t->txn, json_string_value(json_object_get(row, "id")),
                            t->type, t->at, t->customer, t->data);
}

void webhook_emit(struct uplift *uplift, struct store_txn *txn, enum webhook_type type, int64_t at,
                  const unsigned char customer[16], json_t *data)
{
    struct telling telling = {uplift, txn, type, at, customer, data};
    struct error failed = {0}; /* sticks to the transaction */
    if (webhook_wanted(uplift, type))
        webhook_each(txn, tell, &telling, &failed);
    json_decref(data);
}

static bool is_low(const struct event *event)
{
    static const struct {
        const char *survey;
        double most;
    } bounds[] = {{"nps", 6}, {"csat", 2}, {"ces", 3}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (slice_is(event->name, bounds[i].survey))
            return event->value <= bounds[i].most;
    return false;
}

static json_t *text_or_null(struct slice text)
{
    return text.len ? json_stringn(text.ptr, text.len) : json_null();
}

void webhook_emit_feedback(struct uplift *uplift, struct store_txn *txn, const struct event *event,
                           int64_t now)
{
    unsigned char digest[16];
    if (event->type != EVENT_FEEDBACK || !webhook_wanted(uplift, WEBHOOK_LOW_SCORE) ||
        !is_low(event) || event->told || now - event->at > OLD_FEEDBACK_DAYS * WHEN_DAY)
        return;
    ledger_customer_digest(uplift->secret, event->customer, digest);
    webhook_emit(uplift, txn, WEBHOOK_LOW_SCORE, now, digest,
                 json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "customer",
                           text_or_null(event->customer), "survey", text_or_null(event->name),
                           "score", json_figure(event->value), "comment",
                           text_or_null(event->comment), "stage", text_or_null(event->stage),
                           "channel", text_or_null(event->channel), "at", json_when(event->at)));
}
