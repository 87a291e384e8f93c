/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of webhooks on their way, as rows of JSON: those that wait under their webhook and when
 * they are due, then the dead under when they died. So what the writer and the sender ask costs the
 * same however many there are; people's questions are walks. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/uplift.h"
#include "core/webhook_parts.h"

/* Of a number are what tells apart those of one millisecond. */
enum { NUMBER_BITS = 20 };
/* Longer than any wait (ms). */
static const int64_t WAIT_MOST = 2 * WHEN_DAY;

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

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

/* --- rows ------------------------------------------------------------------------------------ */

enum { WAITS, DEAD };

static struct store_key key_of(const struct webhook_place *place)
{
    struct store_key key = {0};
    key_u8(&key, place->dead ? DEAD : WAITS);
    if (!place->dead)
        key_text(&key, slice_of(place->webhook));
    key_u64(&key, (uint64_t)place->at);
    key_u64(&key, place->number);
    return key;
}

static bool read_place(struct slice key, struct webhook_place *out)
{
    uint8_t kind = 0;
    uint64_t at = 0;
    struct slice webhook = NO_SLICE;
    *out = (struct webhook_place){0};
    bool ok = unkey_u8(&key, &kind) && kind <= DEAD &&
              (kind == DEAD || unkey_text(&key, &webhook)) && unkey_u64(&key, &at) &&
              unkey_u64(&key, &out->number) && key.len == 0 && webhook.len < WEBHOOK_ID_MAX;
    if (ok && webhook.len)
        memcpy(out->webhook, webhook.ptr, webhook.len);
    out->dead = kind == DEAD;
    out->at = (int64_t)at;
    return ok;
}

/* The keys of all that are dead, or that wait for a webhook, begin with it. */
static struct store_key prefix_of(const char *webhook)
{
    struct store_key key = {0};
    key_u8(&key, webhook ? WAITS : DEAD);
    if (webhook)
        key_text(&key, slice_of(webhook));
    return key;
}

/* In a place of its own: of those at one moment, behind the last. */
static void add_row(struct store_txn *txn, struct webhook_place *place, const json_t *row)
{
    struct error err;
    char *text = json_text(row);
    struct store_key key = key_of(place);
    while (!store_put_new(txn, STORE_DELIVERY, key_slice(&key), slice_of(text)) &&
           store_healthy(txn, &err)) {
        place->number++;
        key = key_of(place);
    }
    free(text);
}

static void delete_row(struct store_txn *txn, const struct webhook_place *place)
{
    struct store_key key = key_of(place);
    store_delete(txn, STORE_DELIVERY, key_slice(&key));
}

/* NULL: damaged. */
static json_t *parse_row(struct slice key, struct slice value, struct webhook_place *place)
{
    struct error unread = {0};
    json_t *row =
        value.ptr && read_place(key, place) ? json_parse(value.ptr, value.len, &unread) : NULL;
    if (*text_of(row, "id") && *text_of(row, "webhook") && *text_of(row, "body"))
        return row;
    json_decref(row);
    return NULL;
}

/* Calls visit with each message, from a key on where that is not empty, whose text has `holding`
 * (NULL: all); stops where it returns false. `row` is the visitor's to change, not to keep. One
 * that is damaged keeps nobody from the others: `uplift check` names it. */
static bool each_message(struct store_txn *txn, struct slice from, const char *holding,
                         bool (*visit)(void *data, const struct webhook_place *place, json_t *row),
                         void *data, struct error *err)
{
    struct store_cursor *cursor = store_walk(txn, STORE_DELIVERY, NO_SLICE, from);
    struct slice key, value;
    bool more = true;
    store_walk_damaged(cursor);
    while (more && store_next(cursor, &key, &value)) {
        struct webhook_place place;
        if (holding && (!value.ptr || !memmem(value.ptr, value.len, holding, strlen(holding))))
            continue;
        json_t *row = parse_row(key, value, &place);
        more = !row || visit(data, &place, row);
        json_decref(row);
    }
    store_walk_end(&cursor);
    return store_healthy(txn, err);
}

bool webhook_each_message(struct store_txn *txn,
                          bool (*visit)(void *data, const struct webhook_place *place, json_t *row),
                          void *data, struct error *err)
{
    return each_message(txn, NO_SLICE, NULL, visit, data, err);
}

/* --- adding ---------------------------------------------------------------------------------- */

/* How many are dead, and the first of them. */
static uint64_t count_dead(struct store_txn *txn, uint64_t most, struct store_key *first)
{
    struct store_key prefix = prefix_of(NULL);
    struct store_cursor *cursor =
        store_walk(txn, STORE_DELIVERY, key_slice(&prefix), key_slice(&prefix));
    struct slice key, value;
    uint64_t count = 0;
    store_walk_damaged(cursor);
    for (; count < most && store_next(cursor, &key, &value); count++)
        if (count == 0) {
            *first = (struct store_key){0};
            key_bytes(first, key);
        }
    store_walk_end(&cursor);
    return count;
}

/* Dead letters make room; a message for which there is none is lost, which operators see. */
static bool make_room(struct uplift *uplift, struct store_txn *txn)
{
    struct store_key first;
    if (store_count(txn, STORE_DELIVERY) < WEBHOOK_WAITING_MAX)
        return true;
    if (count_dead(txn, 1, &first)) {
        store_delete(txn, STORE_DELIVERY, key_slice(&first));
        return true;
    }
    atomic_fetch_add(&uplift->webhook_lost, 1);
    return false;
}

/* Due at once, whatever the clock says then, in the order of what they tell. */
static struct webhook_place new_place(struct store_txn *txn, const char *webhook, int64_t at)
{
    struct webhook_place place = {.number = (uint64_t)at << NUMBER_BITS}, last;
    struct store_key prefix;
    struct slice key, value;
    snprintf(place.webhook, sizeof place.webhook, "%s", webhook);
    prefix = prefix_of(place.webhook);
    key_u64(&prefix, 0);
    if (store_last(txn, STORE_DELIVERY, key_slice(&prefix), &key, &value) &&
        read_place(key, &last) && last.number >= place.number)
        place.number = last.number + 1;
    return place;
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
    struct webhook_place place = new_place(txn, webhook, at);
    add_row(txn, &place, row);
    json_decref(row);
    free(body);
}

/* --- taking out ------------------------------------------------------------------------------ */

enum { AT_ONCE = 256 };

struct doomed {
    const char *member, *word; /* those whose member is that word */
    struct webhook_place places[AT_ONCE];
    size_t count;
};

static bool doom(void *data, const struct webhook_place *place, json_t *row)
{
    struct doomed *doomed = data;
    if (strcmp(text_of(row, doomed->member), doomed->word) == 0)
        doomed->places[doomed->count++] = *place;
    return doomed->count < AT_ONCE;
}

static void delete_those(struct store_txn *txn, const char *member, const char *word)
{
    struct error failed; /* sticks to the transaction */
    struct doomed doomed = {.member = member, .word = word};
    do {
        doomed.count = 0;
        each_message(txn, NO_SLICE, word, doom, &doomed, &failed);
        for (size_t i = 0; i < doomed.count; i++)
            delete_row(txn, &doomed.places[i]);
    } while (doomed.count == AT_ONCE);
}

void webhook_delete_messages(struct store_txn *txn, const char *webhook)
{
    delete_those(txn, "webhook", webhook);
}

void webhook_forget(struct store_txn *txn, const unsigned char customer[16])
{
    char hex[2 * 16 + 1];
    delete_those(txn, "customer", sodium_bin2hex(hex, sizeof hex, customer, 16));
}

/* --- damage ---------------------------------------------------------------------------------- */

/* The keys of a table's damaged rows. */
static size_t find_damaged(struct store_txn *txn, enum store_table table, struct arena *arena,
                           struct slice **keys)
{
    struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
    struct slice key, value;
    struct webhook_place place;
    size_t count = 0, room = 0;
    store_walk_damaged(cursor);
    while (store_next(cursor, &key, &value)) {
        json_t *row =
            table == STORE_DELIVERY ? parse_row(key, value, &place) : webhook_parse(key, value);
        json_decref(row);
        if (row)
            continue;
        if (count == room)
            *keys = xrealloc(*keys, (room = room ? 2 * room : 16) * sizeof **keys);
        (*keys)[count++] = arena_slice(arena, key);
    }
    store_walk_end(&cursor);
    return count;
}

static void name_damaged(enum store_table table, struct slice key, char line[128])
{
    struct webhook_place place;
    bool known = table == STORE_DELIVERY && read_place(key, &place) && !place.dead;
    if (table == STORE_WEBHOOK)
        snprintf(line, 128, "the webhook %.*s is damaged", (int)(key.len < 40 ? key.len : 40),
                 key.ptr);
    else
        snprintf(line, 128, "a message of %s is damaged", known ? place.webhook : "a webhook");
}

/* What waits for a webhook that is no more would wait for ever. */
static void remove_damaged(struct store_txn *txn, enum store_table table, struct slice key)
{
    char webhook[WEBHOOK_ID_MAX];
    store_delete(txn, table, key);
    snprintf(webhook, sizeof webhook, "%.*s", (int)(key.len < 31 ? key.len : 31), key.ptr);
    if (table == STORE_WEBHOOK && *webhook)
        webhook_delete_messages(txn, webhook);
}

static uint64_t table_damaged(struct store_txn *txn, enum store_table table, bool remove,
                              void (*report)(void *data, const char *line), void *data)
{
    struct arena arena = {0};
    struct slice *keys = NULL;
    size_t count = find_damaged(txn, table, &arena, &keys);
    for (size_t i = 0; i < count; i++) {
        char line[128];
        name_damaged(table, keys[i], line);
        report(data, line);
        if (remove)
            remove_damaged(txn, table, keys[i]);
    }
    if (remove && count)
        store_sums_anew(txn, table);
    free(keys);
    arena_release(&arena);
    return count;
}

uint64_t webhook_damaged(struct store_txn *txn, bool remove,
                         void (*report)(void *data, const char *line), void *data)
{
    return table_damaged(txn, STORE_WEBHOOK, remove, report, data) +
           table_damaged(txn, STORE_DELIVERY, remove, report, data);
}

/* --- lists ----------------------------------------------------------------------------------- */

struct page {
    json_t *list;
    size_t limit;
    struct webhook_place last;
};

static bool add_delivery(void *data, const struct webhook_place *place, json_t *row)
{
    struct page *page = data;
    json_object_del(row, "customer");
    json_array_append(page->list, row);
    page->last = *place;
    return json_array_size(page->list) < page->limit;
}

/* Behind the place that a cursor names; false where it names none. */
static bool read_cursor(const char *cursor, struct store_key *from)
{
    size_t len = 0;
    struct webhook_place place;
    return sodium_hex2bin((unsigned char *)from->bytes, WEBHOOK_ID_MAX + 17, cursor, strlen(cursor),
                          NULL, &len, NULL) == 0 &&
           (from->len = len) > 0 && read_place(key_slice(from), &place) &&
           (place.number++, *from = key_of(&place), true);
}

json_t *webhook_deliveries(struct uplift *uplift, const char *after, size_t limit, bool dead,
                           struct error *err)
{
    struct page page = {.list = json_array(), .limit = limit};
    struct store_key from = dead ? prefix_of(NULL) : (struct store_key){0};
    char cursor[2 * (WEBHOOK_ID_MAX + 17) + 1];
    if (*after && !read_cursor(after, &from)) {
        json_decref(page.list);
        error_set(err, ERROR_INVALID, "cursor", "must be that of the page before");
        return NULL;
    }
    struct store_txn *txn = store_read(uplift->store, err);
    bool ok = txn && each_message(txn, key_slice(&from), NULL, add_delivery, &page, err);
    store_abort(&txn);
    struct store_key last = key_of(&page.last);
    sodium_bin2hex(cursor, sizeof cursor, (unsigned char *)last.bytes, last.len);
    bool full = json_array_size(page.list) == limit;
    json_t *answer =
        json_pack("{s:o, s:s?}", "deliveries", page.list, "next", full ? cursor : NULL);
    if (!ok)
        json_decref(answer);
    return ok ? answer : NULL;
}

bool webhook_figures(struct uplift *uplift, struct webhook_figures *out, struct error *err)
{
    struct store_key first;
    *out = (struct webhook_figures){0};
    struct store_txn *txn = store_read(uplift->store, err);
    if (txn) {
        out->dead = count_dead(txn, UINT64_MAX, &first);
        out->waiting = store_count(txn, STORE_DELIVERY) - out->dead;
    }
    bool ok = txn && store_healthy(txn, err);
    store_abort(&txn);
    return ok;
}

/* --- one message ----------------------------------------------------------------------------- */

struct finding {
    const char *id;
    struct webhook_place place;
    json_t *row; /* a reference; NULL: not found */
};

static bool find(void *data, const struct webhook_place *place, json_t *row)
{
    struct finding *finding = data;
    if (strcmp(text_of(row, "id"), finding->id) != 0)
        return true;
    finding->place = *place;
    finding->row = json_incref(row);
    return false;
}

struct task {
    struct uplift *uplift;
    const char *id;
    bool drop;
};

static void send_again(struct store_txn *txn, json_t *row, int64_t now)
{
    struct webhook_place place = new_place(txn, text_of(row, "webhook"), now);
    json_object_set_new(row, "dead", json_false());
    json_object_set_new(row, "attempts", json_integer(0));
    json_object_set_new(row, "next_at", json_when(now));
    add_row(txn, &place, row);
}

static bool run_task(void *data, struct ingest_run *run, struct error *err)
{
    struct task *task = data;
    struct finding finding = {.id = task->id};
    if (*task->id && !each_message(run->txn, NO_SLICE, task->id, find, &finding, err))
        return false;
    if (!finding.row)
        return error_set(err, ERROR_NOT_FOUND, NULL, "there is no message '%.40s' that waits",
                         task->id);
    delete_row(run->txn, &finding.place);
    if (!task->drop)
        send_again(run->txn, finding.row, uplift_now(task->uplift));
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

static void fill(struct webhook_message *out, const json_t *to, const json_t *row, int64_t now)
{
    bool both = time_of(to, "old_until") > now;
    snprintf(out->id, sizeof out->id, "%s", text_of(row, "id"));
    snprintf(out->url, sizeof out->url, "%s", text_of(to, "url"));
    snprintf(out->secrets[0], WEBHOOK_SECRET_MAX, "%s", text_of(to, "secret"));
    snprintf(out->secrets[1], WEBHOOK_SECRET_MAX, "%s", both ? text_of(to, "old_secret") : "");
    out->body = xstrdup(text_of(row, "body"));
}

/* The first that waits for a webhook is the first that is due. One that is due later than any wait
 * lasts was put off before the clock was set back. */
static void take_due(void *data, json_t *to)
{
    struct search *search = data;
    const char *webhook = text_of(to, "id");
    if (search->found || !json_is_true(json_object_get(to, "enabled")) ||
        search->busy(search->data, webhook))
        return; /* a webhook that is switched off keeps what waits for it */
    struct store_key prefix = prefix_of(webhook);
    struct store_cursor *cursor =
        store_walk(search->txn, STORE_DELIVERY, key_slice(&prefix), NO_SLICE);
    struct slice key, value;
    json_t *row = NULL;
    store_walk_damaged(cursor);
    while (!row && store_next(cursor, &key, &value))
        row = parse_row(key, value, &search->out->place);
    store_walk_end(&cursor);
    int64_t at = search->out->place.at;
    search->found = row && (at <= search->now || at > search->now + WAIT_MOST);
    if (search->found)
        fill(search->out, to, row, search->now);
    json_decref(row);
}

bool webhook_due(struct uplift *uplift, int64_t now, bool (*busy)(void *data, const char *webhook),
                 void *data, struct webhook_message *out, struct error *err)
{
    struct search search = {.now = now, .busy = busy, .data = data, .out = out};
    search.txn = store_read(uplift->store, err);
    bool ok = search.txn && webhook_each(search.txn, take_due, &search, err);
    store_abort(&search.txn);
    if (search.found && !ok)
        webhook_message_release(out);
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

static void bury(struct store_txn *txn, json_t *row, struct webhook_place *place, int64_t now)
{
    struct store_key first;
    if (count_dead(txn, WEBHOOK_DEAD_MAX, &first) >= WEBHOOK_DEAD_MAX)
        store_delete(txn, STORE_DELIVERY, key_slice(&first));
    place->dead = true;
    place->at = now;
    json_object_set_new(row, "dead", json_true());
    json_object_set_new(row, "next_at", json_null());
}

static void postpone(const struct note *note, struct store_txn *txn, json_t *row)
{
    const struct webhook_outcome *outcome = note->outcome;
    struct webhook_place place = note->message->place;
    int attempts = (int)json_integer_value(json_object_get(row, "attempts")) + 1;
    int64_t wait = outcome->status == 410 ? -1 : webhook_wait(attempts);
    int64_t asked = outcome->retry_after * WHEN_SECOND;
    json_object_set_new(row, "attempts", json_integer(attempts));
    json_object_set_new(row, "status",
                        outcome->status ? json_integer(outcome->status) : json_null());
    json_object_set_new(row, "error", outcome->error ? json_string(outcome->error) : json_null());
    if (wait < 0) {
        bury(txn, row, &place, note->now);
    } else {
        place.at = note->now + (asked > wait ? asked : spread(wait));
        json_object_set_new(row, "next_at", json_when(place.at));
    }
    add_row(txn, &place, row);
}

/* The message may have gone meanwhile, with its webhook or its customer, or have been put
 * elsewhere, to be sent again. */
static bool run_note(void *data, struct ingest_run *run, struct error *err)
{
    const struct note *note = data;
    const struct webhook_outcome *outcome = note->outcome;
    struct store_key key = key_of(&note->message->place);
    struct webhook_place place;
    struct slice value;
    if (!store_get(run->txn, STORE_DELIVERY, key_slice(&key), &value))
        return store_healthy(run->txn, err);
    json_t *row = parse_row(key_slice(&key), value, &place);
    if (row && strcmp(text_of(row, "id"), note->message->id) == 0) {
        delete_row(run->txn, &place);
        if (outcome->status == 410)
            switch_off(run->txn, place.webhook, err);
        if (outcome->status / 100 != 2)
            postpone(note, run->txn, row);
    }
    json_decref(row);
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
