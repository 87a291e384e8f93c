/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The opened application: opening in order, closing in the opposite one; events on their way from
 * JSON through the writer to an answer. */
#include "core/uplift.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/consent.h"
#include "core/customer.h"
#include "core/definitions.h"
#include "core/event.h"
#include "core/event_alias.h"
#include "core/holdout.h"
#include "core/json.h"
#include "core/keys.h"
#include "core/keys_private.h"
#include "core/ledger.h"
#include "core/pseudonym.h"
#include "core/retention.h"
#include "core/webhook.h"

/* --- opening -------------------------------------------------------------------------------- */

static bool load_secret(struct uplift *uplift, struct error *err)
{
    struct slice name = slice_of("secret"), found;
    struct store_txn *txn = store_write(uplift->store, err);
    if (!txn)
        return false;
    if (store_get(txn, STORE_META, name, &found)) {
        bool whole = found.len == sizeof uplift->secret;
        if (whole)
            memcpy(uplift->secret, found.ptr, sizeof uplift->secret);
        store_abort(&txn);
        return whole || error_set(err, ERROR_CORRUPT, NULL, "the store's secret is damaged");
    }
    randombytes_buf(uplift->secret, sizeof uplift->secret);
    store_put(txn, STORE_META, name,
              (struct slice){(const char *)uplift->secret, sizeof uplift->secret});
    return store_commit(&txn, err);
}

static bool load_marks(struct uplift *uplift, struct error *err)
{
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    atomic_store(&uplift->accept_from, retention_accept_from(txn));
    bool ok = store_healthy(txn, err);
    store_abort(&txn);
    return ok;
}

/* Who gets a copy of the folder must not get the key with it. */
static bool check_key_place(const char *folder, const char *pseudonyms, struct error *err)
{
    return !pseudonyms || !store_holds(folder, pseudonyms) ||
           error_set(err, ERROR_INVALID, "--pseudonymise",
                     "%s lies within the data folder: a copy of the folder would carry the key",
                     pseudonyms);
}

static bool load(struct uplift *uplift, const struct uplift_options *options, struct error *err)
{
    if (!load_secret(uplift, err) || !keys_load(uplift, err) || !consent_load(uplift, err) ||
        !webhooks_load(uplift, err) ||
        !pseudonym_open(uplift->store, options->pseudonyms, !options->no_customers,
                        &uplift->pseudonym, err))
        return false;
    uplift->ingest = ingest_start(uplift->store, &uplift->clock, 0, err);
    if (!uplift->ingest)
        return false;
    ingest_tell(uplift->ingest, options->refusing);
    return definitions_load(uplift, err) && load_marks(uplift, err);
}

struct uplift *uplift_open_with(const char *folder, const struct uplift_options *options,
                                struct error *err)
{
    struct uplift *uplift = xcalloc(1, sizeof *uplift);
    uplift->clock = options->clock.now ? options->clock : clock_system;
    uplift->require_consent = options->require_consent;
    uplift->looked = (struct uplift_looked){UINT64_MAX, UINT64_MAX};
    uplift->retain_days = options->retain_days;
    uplift->compacts = !options->no_compaction;
    catalog_root_init(&uplift->catalog);
    pthread_mutex_init(&uplift->looking, NULL);
    fresh_init(&uplift->fresh);
    overlap_init(&uplift->overlap);
    if (sodium_init() < 0)
        error_fatal("libsodium does not start");
    uplift->store = store_open(folder, options->store_max, err);
    if (uplift->store && check_key_place(folder, options->pseudonyms, err) &&
        load(uplift, options, err)) {
        rebuild_start(uplift);
        return uplift;
    }
    if (uplift->store)
        store_tell_place(uplift->store, err);
    uplift_close(&uplift);
    return NULL;
}

struct uplift *uplift_open(const char *folder, const struct clock *clock, struct error *err)
{
    return uplift_open_with(folder, &(struct uplift_options){.clock = *clock}, err);
}

void uplift_close(struct uplift **uplift)
{
    if (!*uplift)
        return;
    overlap_release(&(*uplift)->overlap);
    struct error unsaved = {0}; /* when a key was last used is not worth refusing to close */
    if ((*uplift)->ingest)
        keys_save(*uplift, &unsaved);
    ingest_stop(&(*uplift)->ingest);
    keys_unload(*uplift);
    catalog_root_release(&(*uplift)->catalog);
    pthread_mutex_destroy(&(*uplift)->looking);
    fresh_release(&(*uplift)->fresh);
    store_close(&(*uplift)->store);
    pseudonym_close(&(*uplift)->pseudonym);
    sodium_memzero((*uplift)->secret, sizeof(*uplift)->secret);
    free(*uplift);
    *uplift = NULL;
}

/* --- events --------------------------------------------------------------------------------- */

struct uplift_events {
    struct uplift *uplift;
    struct ingest_job job;
    bool exported;      /* its events come out of an export */
    bool corrected;     /* their times are corrected by the sender's clock */
    struct arena arena; /* of the events */
    struct event *events;
    size_t *places; /* of each event in what was sent */
    bool *duplicates;
    size_t count, room;
    json_t *answer, *rejected;
    void (*done)(void *data, json_t *answer, const struct error *err);
    void *data;
};

static void events_free(struct uplift_events *batch)
{
    json_decref(batch->answer);
    arena_release(&batch->arena);
    free(batch->events);
    free(batch->places);
    free(batch->duplicates);
    free(batch);
}

/* An exposure must name what can be exposed, so that a typo is told and not counted nowhere. One
 * that comes again out of an export was judged when it came first. */
static bool check_exposure(const struct event *event, bool again, const struct catalog *catalog,
                           struct error *err)
{
    if (event->type != EVENT_EXPOSURE)
        return true;
    const struct experiment *experiment = catalog_experiment(catalog, event->name);
    if (!experiment)
        return error_set(err, ERROR_INVALID, "experiment", "there is no experiment '%.*s'",
                         (int)event->name.len, event->name.ptr);
    if (experiment->epoch_count == 0)
        return error_set(err, ERROR_INVALID, "experiment", "'%s' has not been started",
                         experiment->key);
    if (again)
        return true;
    int epoch = experiment_epoch_at(experiment, event_time(event));
    const struct experiment *then =
        epoch < 0 ? experiment : experiment_in_phase(experiment, experiment->epochs[epoch].phase);
    if (experiment_variant(then, event->variant) < 0)
        return error_set(err, ERROR_INVALID, "variant", "'%s' has no variant '%.*s'",
                         experiment->key, (int)event->variant.len, event->variant.ptr);
    return true;
}

/* Whether a value among the attributes is the id. Of a short number it cannot be told: it is as
 * often an age. */
enum { TELLING_DIGITS = 5 };

static bool is_id(const json_t *value, struct slice id)
{
    char number[32];
    if (json_is_string(value))
        return slice_is(id, json_string_value(value));
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    return json_is_integer(value) && id.len >= TELLING_DIGITS && slice_is(id, number);
}

static void hide_within(json_t *values, struct slice id, struct slice hidden)
{
    const char *name;
    json_t *value;
    size_t i;
    json_object_foreach(values, name, value)
    {
        if (is_id(value, id))
            json_object_set_new(values, name, json_stringn(hidden.ptr, hidden.len));
        else
            hide_within(value, id, hidden);
    }
    json_array_foreach(values, i, value)
    {
        if (is_id(value, id))
            json_array_set_new(values, i, json_stringn(hidden.ptr, hidden.len));
        else
            hide_within(value, id, hidden);
    }
}

/* SDKs put the id among the attributes. */
static bool hide_attribute(struct uplift_events *batch, struct slice id, struct slice hidden,
                           struct event *event, struct error *err)
{
    json_t *attributes = json_loadb(event->attributes.ptr, event->attributes.len, 0, NULL);
    hide_within(attributes, id, hidden);
    char *text = json_text(attributes);
    size_t len = strlen(text);
    if (len <= EVENT_ATTRIBUTES_MAX)
        event->attributes = arena_slice(&batch->arena, (struct slice){text, len});
    free(text);
    json_decref(attributes);
    return len <= EVENT_ATTRIBUTES_MAX ||
           error_set(err, ERROR_INVALID, "attributes",
                     "are longer than %d bytes with the pseudonym in place of the id",
                     EVENT_ATTRIBUTES_MAX);
}

/* Behind this door nothing knows the id. */
static bool hide_customer(struct uplift_events *batch, struct event *event, struct error *err)
{
    char room[PSEUDONYM_LENGTH + 1];
    struct slice id = event->customer, hidden = pseudonym_of(batch->uplift->pseudonym, id, room);
    if (hidden.ptr == id.ptr)
        return true;
    event->customer = arena_slice(&batch->arena, hidden);
    return !event->attributes.len || hide_attribute(batch, id, event->customer, event, err);
}

/* In the order of indexes, whoever refuses. */
static void reject(struct uplift_events *batch, size_t index, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    size_t at = json_array_size(batch->rejected);
    while (at > 0 && json_integer_value(json_object_get(json_array_get(batch->rejected, at - 1),
                                                        "index")) > (json_int_t)index)
        at--;
    json_array_insert_new(
        batch->rejected, at,
        json_pack("{s:I, s:s}", "index", (json_int_t)index, "error", error_line(err, line)));
}

static void make_room(struct uplift_events *batch, size_t room)
{
    if (room <= batch->room)
        return;
    size_t before = batch->room;
    batch->room = room > 2 * before ? room : 2 * before;
    batch->events = xrealloc(batch->events, batch->room * sizeof *batch->events);
    batch->places = xrealloc(batch->places, batch->room * sizeof *batch->places);
    batch->duplicates = xrealloc(batch->duplicates, batch->room * sizeof *batch->duplicates);
    memset(batch->duplicates + before, 0, (batch->room - before) * sizeof *batch->duplicates);
}

/* The exposure as one to the holdout. */
static void turn(struct uplift_events *batch, struct event *event, const struct experiment *holdout,
                 int variant)
{
    event->name = arena_slice(&batch->arena, slice_of(holdout->key));
    event->variant = arena_slice(&batch->arena, slice_of(holdout->variants[variant].key));
}

/* Without an id of its own, what it says tells it: a retry says the same. */
static void add_implied(struct uplift_events *batch, struct event event,
                        const struct experiment *holdout, size_t place)
{
    event.id = (struct slice){"", 0};
    event.implied = true;
    turn(batch, &event, holdout, HOLDOUT_OPEN);
    make_room(batch, batch->count + 1);
    batch->places[batch->count] = place;
    batch->events[batch->count++] = event;
}

/* What the last event, if it is an exposure, says of holdouts (holdout.h). `id` is the customer's
 * as it came. */
static void meet_holdouts(struct uplift_events *batch, const struct catalog *catalog,
                          struct slice id)
{
    size_t last = batch->count - 1, at = 0;
    struct event event = batch->events[last];
    const struct experiment *holdout,
        *experiment = event.type == EVENT_EXPOSURE ? catalog_experiment(catalog, event.name) : NULL;
    if (!experiment || !holdout_counts(experiment))
        return;
    while ((holdout = holdout_next_then(catalog, experiment, event_time(&event), &at))) {
        if (holdout_variant(holdout, id) == HOLDOUT_HELD) {
            turn(batch, &batch->events[last], holdout, HOLDOUT_HELD);
            return;
        }
        add_implied(batch, event, holdout, batch->places[last]);
    }
}

/* An exposure that a holdout keeps from happening, and that says nothing of it. */
static bool check_held(const struct event *event, const struct catalog *catalog, struct error *err)
{
    size_t at = 0;
    const struct experiment *holdout, *experiment = event->type == EVENT_EXPOSURE
                                                        ? catalog_experiment(catalog, event->name)
                                                        : NULL;
    if (!experiment || holdout_counts(experiment))
        return true;
    while ((holdout = holdout_next_then(catalog, experiment, event_time(event), &at)))
        if (holdout_variant(holdout, event->customer) == HOLDOUT_HELD)
            return error_set(err, ERROR_INVALID, "customer", "is held out by \"%s\"", holdout->key);
    return true;
}

static void parse_events(struct uplift_events *batch, json_t *list)
{
    struct catalog *catalog = catalog_acquire(&batch->uplift->catalog);
    int64_t now = uplift_now(batch->uplift);
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        struct error err = {0};
        make_room(batch, batch->count + 1);
        struct event *event = &batch->events[batch->count];
        bool again = batch->exported && json_object_get(item, "received");
        bool parsed = again ? event_parse_exported(item, now, &batch->arena, event, &err)
                            : event_parse(item, now, &batch->arena, event, &err);
        struct slice id = parsed ? event->customer : NO_SLICE;
        if (parsed && check_exposure(event, again, catalog, &err) &&
            (again || check_held(event, catalog, &err)) && hide_customer(batch, event, &err)) {
            event->corrected = batch->corrected;
            batch->places[batch->count++] = index;
            if (!again && catalog_holdout_count(catalog) > 0)
                meet_holdouts(batch, catalog, id);
        } else {
            reject(batch, index, &err);
        }
    }
    catalog_release(&batch->uplift->catalog, catalog);
}

/* How far our clock is ahead of the sender's, by when it says (*told) that it sent the body. */
static bool read_skew(json_t *body, int64_t now, int64_t *skew, bool *told, struct error *err)
{
    int64_t sent = -1;
    if (json_is_object(body) &&
        !json_read_time(body, JSON_TOP, "sentAt", JSON_OPTIONAL, &sent, err))
        return false;
    *told = sent >= 0;
    *skew = *told ? now - sent : 0;
    return true;
}

/* The events of a body, each in our shape. New reference. */
static json_t *event_list(json_t *body, int64_t now, bool *corrected, struct error *err)
{
    json_t *batch = json_is_object(body) ? json_object_get(body, "batch") : NULL, *item;
    int64_t skew = 0;
    size_t i;
    if (batch && !json_is_array(batch)) {
        error_set(err, ERROR_INVALID, "batch", "must be an array");
        return NULL;
    }
    if (batch && !read_skew(body, now, &skew, corrected, err))
        return NULL;
    if (!json_is_array(body) && !json_is_object(body)) {
        error_set(err, ERROR_INVALID, NULL, "must be an array of events or one event");
        return NULL;
    }
    json_t *given = batch ? batch : body;
    if (json_is_array(given) && json_array_size(given) > UPLIFT_EVENTS_MAX) {
        error_set(err, ERROR_TOO_LARGE, NULL, "holds more than %d events", UPLIFT_EVENTS_MAX);
        return NULL;
    }
    json_t *list = json_array();
    if (!json_is_array(given))
        json_array_append_new(list, event_unalias(given, 0));
    json_array_foreach(given, i, item) json_array_append_new(list, event_unalias(item, skew));
    return list;
}

static struct uplift_events *events_new(struct uplift *uplift, json_t *body, bool exported,
                                        struct error *err)
{
    bool corrected = false;
    json_t *list = event_list(body, uplift_now(uplift), &corrected, err);
    if (!list)
        return NULL;
    size_t room = json_array_size(list);
    struct uplift_events *batch = xcalloc(1, sizeof *batch);
    batch->uplift = uplift;
    batch->exported = exported;
    batch->corrected = corrected;
    make_room(batch, room);
    batch->rejected = json_array();
    batch->answer = json_pack("{s:o}", "rejected", batch->rejected);
    parse_events(batch, list);
    json_decref(list);
    return batch;
}

/* Counts the events of all requests of the group together. */
struct fresh_events {
    struct uplift *uplift;
    struct ingest_run *run;
};

static void tell_webhooks(void *data, const struct event *event)
{
    struct fresh_events *fresh = data;
    webhook_emit_feedback(fresh->uplift, fresh->run->txn, event, ingest_stamp(fresh->run));
}

static bool write_events(void *data, struct ingest_run *run, struct error *err)
{
    struct uplift *uplift = data;
    struct fresh_events fresh = {uplift, run};
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    bool ok = ledger_batch_write(run->events, run->txn, run->tallies, uplift->secret, catalog, err);
    catalog_release(&uplift->catalog, catalog);
    if (ok && webhook_wanted(uplift, WEBHOOK_LOW_SCORE))
        ledger_batch_each_fresh(run->events, tell_webhooks, &fresh);
    return ok;
}

static bool is_recent(const struct uplift_events *batch, const struct event *event,
                      struct error *err)
{
    int64_t from = atomic_load(&batch->uplift->accept_from);
    char at[WHEN_TEXT_MAX];
    return event_time(event) >= from ||
           error_set(err, ERROR_INVALID, "at", "is older than the history that is kept, from %s on",
                     when_format(from, at));
}

static bool is_consented(const struct uplift_events *batch, struct store_txn *txn,
                         const struct event *event, struct error *err)
{
    unsigned char digest[16];
    if (!consent_matters(batch->uplift))
        return true;
    ledger_customer_digest(batch->uplift->secret, event->customer, digest);
    struct consent consent = consent_read(batch->uplift, txn, digest);
    const char *why = consent_refuses(&consent, event->type);
    return !why || error_set(err, ERROR_DENIED, "customer", "%s", why);
}

/* Refuses what may not be kept. Here, as the writer moves on what that is: nothing can come between
 * a seal and an event that it should have waited for, or be kept once a refusal was answered. */
static void refuse_some(struct uplift_events *batch, struct store_txn *txn)
{
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct error why = {0};
        if (!is_recent(batch, &batch->events[i], &why) ||
            !is_consented(batch, txn, &batch->events[i], &why)) {
            if (!batch->events[i].implied)
                reject(batch, batch->places[i], &why);
            continue;
        }
        batch->events[kept] = batch->events[i];
        batch->places[kept++] = batch->places[i];
    }
    batch->count = kept;
}

static bool run_events(void *data, struct ingest_run *run, struct error *err)
{
    struct uplift_events *batch = data;
    (void)err;
    for (size_t i = 0; i < batch->count; i++)
        event_arrive(&batch->events[i], ingest_stamp(run));
    refuse_some(batch, run->txn);
    if (batch->count == 0)
        return true;
    ledger_batch_add(run->events, batch->events, batch->count, batch->duplicates);
    run->after = write_events;
    run->data = batch->uplift;
    return true;
}

static void count_answer(struct uplift_events *batch)
{
    struct uplift *uplift = batch->uplift;
    size_t duplicates = 0, count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        count += !batch->events[i].implied;
        duplicates += batch->duplicates[i] && !batch->events[i].implied;
    }
    json_object_set_new(batch->answer, "accepted", json_integer((json_int_t)(count - duplicates)));
    json_object_set_new(batch->answer, "duplicates", json_integer((json_int_t)duplicates));
    atomic_fetch_add(&uplift->accepted, count - duplicates);
    atomic_fetch_add(&uplift->duplicates, duplicates);
    atomic_fetch_add(&uplift->rejected, json_array_size(batch->rejected));
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    int64_t now = uplift_now(uplift);
    if (batch->count)
        atomic_store(&uplift->last_event_at, now);
    fresh_note(&uplift->fresh, catalog, batch->events, batch->count, now);
    catalog_release(&uplift->catalog, catalog);
}

/* Everything is let go before the caller hears: counts of references are not to be changed by two
 * threads at once. */
static void finish_events(void *data, const struct error *err)
{
    struct uplift_events *batch = data;
    void (*done)(void *, json_t *, const struct error *) = batch->done;
    void *done_data = batch->data;
    json_t *answer = NULL;
    if (err->code == ERROR_NONE) {
        count_answer(batch);
        answer = json_incref(batch->answer);
    }
    events_free(batch);
    done(done_data, answer, err);
}

static bool submit(struct uplift *uplift, json_t *body, bool exported,
                   void (*done)(void *data, json_t *answer, const struct error *err), void *data,
                   struct error *err)
{
    /* Neither time may be given to what cannot be stamped anew; senders keep it meanwhile. */
    if (ingest_doubts_clock(uplift->ingest))
        return error_set(err, ERROR_BUSY, NULL,
                         "the clock of the server leapt ahead: events are taken again when it is "
                         "right, or after a quarter of an hour");
    struct uplift_events *batch = events_new(uplift, body, exported, err);
    if (!batch)
        return false;
    batch->done = done;
    batch->data = data;
    batch->job = (struct ingest_job){
        .run = run_events, .done = finish_events, .data = batch, .weight = batch->count + 1};
    if (batch->count == 0) {
        finish_events(batch, err);
        return true;
    }
    if (ingest_submit(uplift->ingest, &batch->job, err))
        return true;
    events_free(batch);
    return false;
}

bool uplift_events_submit(struct uplift *uplift, json_t *body,
                          void (*done)(void *data, json_t *answer, const struct error *err),
                          void *data, struct error *err)
{
    return submit(uplift, body, false, done, data, err);
}

bool uplift_events_restore(struct uplift *uplift, json_t *list,
                           void (*done)(void *data, json_t *answer, const struct error *err),
                           void *data, struct error *err)
{
    return submit(uplift, list, true, done, data, err);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;
    json_t *answer;
    struct error *err;
};

static void wake(void *data, json_t *answer, const struct error *err)
{
    struct waiter *waiter = data;
    pthread_mutex_lock(&waiter->lock);
    waiter->answer = answer;
    if (err != waiter->err && waiter->err->code == ERROR_NONE)
        *waiter->err = *err;
    waiter->over = true;
    pthread_cond_signal(&waiter->ended);
    pthread_mutex_unlock(&waiter->lock);
}

json_t *uplift_events(struct uplift *uplift, json_t *body, struct error *err)
{
    struct waiter waiter = {.err = err};
    pthread_mutex_init(&waiter.lock, NULL);
    pthread_cond_init(&waiter.ended, NULL);
    if (uplift_events_submit(uplift, body, wake, &waiter, err)) {
        pthread_mutex_lock(&waiter.lock);
        while (!waiter.over)
            pthread_cond_wait(&waiter.ended, &waiter.lock);
        pthread_mutex_unlock(&waiter.lock);
    }
    pthread_mutex_destroy(&waiter.lock);
    pthread_cond_destroy(&waiter.ended);
    return waiter.answer;
}
