/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Overlap: reading what is kept, making it anew in a thread of its own, and telling of it. */
#include "core/overlap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/json.h"
#include "core/overlap_parts.h"
#include "core/uplift.h"
#include "core/webhook.h"

/* A small store is counted within a moment, for which an answer waits; and one that fails is not
 * tried again at once. */
enum { WAIT_MS = 150, AGAIN_MS = 10000 };

/* --- rows on disk --------------------------------------------------------------------------- */

static struct store_key key_of(uint8_t kind)
{
    struct store_key key = {0};
    key_u8(&key, kind);
    return key;
}

static struct store_key note_key(uint32_t experiment, uint16_t phase)
{
    struct store_key key = key_of(OVERLAP_NOTE);
    key_u32(&key, experiment);
    key_u16(&key, phase);
    return key;
}

static json_t *read_json(struct store_txn *txn, const struct store_key *key)
{
    struct slice value;
    return store_get(txn, STORE_OVERLAP, key_slice(key), &value)
               ? json_loadb(value.ptr, value.len, 0, NULL)
               : NULL;
}

static void put_json(struct store_txn *txn, const struct store_key *key, const json_t *json)
{
    char *text = json_text(json);
    store_put(txn, STORE_OVERLAP, key_slice(key), slice_of(text));
    free(text);
}

json_t *overlap_note(struct store_txn *txn, uint32_t experiment, uint16_t phase)
{
    struct store_key key = note_key(experiment, phase);
    return read_json(txn, &key);
}

static bool read_rows(struct store_txn *txn, struct overlap_rows *rows, struct error *err)
{
    struct store_key prefix = key_of(OVERLAP_PAIR);
    struct store_cursor *cursor = store_walk(txn, STORE_OVERLAP, key_slice(&prefix), NO_SLICE);
    struct slice key, value;
    *rows = (struct overlap_rows){0};
    while (store_next(cursor, &key, &value)) {
        uint32_t numbers[2];
        uint16_t phases[2];
        struct slice rest = {key.ptr + prefix.len, key.len - prefix.len};
        json_t *json = json_loadb(value.ptr, value.len, 0, NULL);
        if (json && unkey_u32(&rest, &numbers[0]) && unkey_u16(&rest, &phases[0]) &&
            unkey_u32(&rest, &numbers[1]) && unkey_u16(&rest, &phases[1]))
            overlap_rows_add(rows, numbers, phases, json);
        else
            json_decref(json);
    }
    store_walk_end(&cursor);
    return store_healthy(txn, err);
}

/* --- making it anew ------------------------------------------------------------------------- */

struct refresh {
    struct uplift *uplift;
    struct overlap_count count;
    struct overlap_rows before, after;
};

static bool count_all(struct refresh *refresh, struct error *err)
{
    struct uplift *uplift = refresh->uplift;
    uint64_t from = 1;
    bool ok = true;
    while (ok && from && !atomic_load(&uplift->overlap.stop)) {
        /* Definitions first: of a change in between that counts anew, the transaction has the note,
         * which ends this. */
        struct catalog *catalog = catalog_acquire(&uplift->catalog);
        struct store_txn *txn = store_read(uplift->store, err);
        ok = txn && overlap_count_slice(&refresh->count, txn, catalog, &from, err);
        store_abort(&txn);
        catalog_release(&uplift->catalog, catalog);
    }
    return ok && (from == 0 || error_set(err, ERROR_BUSY, NULL, "the server is ending"));
}

static bool read_before(struct refresh *refresh, struct error *err)
{
    struct store_txn *txn = store_read(refresh->uplift->store, err);
    bool ok = txn && read_rows(txn, &refresh->before, err);
    store_abort(&txn);
    return ok;
}

/* One message a pair, with all that is new of it. */
static void tell_pair(const struct refresh *refresh, struct ingest_run *run, const json_t *row)
{
    json_t *experiments = json_array(), *findings = json_array(), *metric, *contrast, *side;
    size_t i, k;
    json_array_foreach(json_object_get(row, "experiments"), i, side) json_array_append_new(
        experiments, json_pack("{s:O, s:O}", "key", json_object_get(side, "key"), "name",
                               json_object_get(side, "name")));
    json_array_foreach(json_object_get(row, "metrics"), i, metric) json_array_foreach(
        json_object_get(metric, "contrasts"), k,
        contrast) if (overlap_is_news(contrast, refresh->count.at))
        json_array_append_new(findings, json_pack("{s:O, s:O, s:O, s:O, s:O}", "metric",
                                                  json_object_get(metric, "key"), "variants",
                                                  json_object_get(contrast, "variants"), "effects",
                                                  json_object_get(contrast, "effects"), "estimate",
                                                  json_object_get(contrast, "estimate"), "interval",
                                                  json_object_get(contrast, "interval")));
    if (json_array_size(findings))
        webhook_emit(refresh->uplift, run->txn, WEBHOOK_INTERACTION, refresh->count.at, NULL,
                     json_pack("{s:O, s:O, s:O}", "experiments", experiments, "findings", findings,
                               "text", json_object_get(row, "text")));
    json_decref(experiments);
    json_decref(findings);
}

static void put_notes(const struct refresh *refresh, struct store_txn *txn)
{
    for (size_t i = 0; i < refresh->count.side_count; i++) {
        const struct experiment *experiment = refresh->count.sides[i].experiment;
        struct store_key key = note_key(experiment->number, experiment->phase);
        json_t *note = overlap_words_note(&refresh->after, experiment->number, experiment->phase);
        if (note)
            put_json(txn, &key, note);
        else
            store_delete(txn, STORE_OVERLAP, key_slice(&key));
        json_decref(note);
    }
}

static json_t *head_json(const struct overlap_count *count)
{
    return json_pack("{s:o, s:{s:I, s:I, s:I}}", "as_of", json_when(count->at), "left_out",
                     "experiments", (json_int_t)count->experiments_left_out, "pairs",
                     (json_int_t)count->pairs_left_out, "untested", (json_int_t)count->untested);
}

static bool write_rows(void *data, struct ingest_run *run, struct error *err)
{
    const struct refresh *refresh = data;
    struct store_key head = key_of(OVERLAP_HEAD);
    json_t *json = head_json(&refresh->count);
    for (size_t i = 0; i < refresh->before.count; i++)
        store_delete(run->txn, STORE_OVERLAP, key_slice(&refresh->before.list[i].key));
    for (size_t i = 0; i < refresh->after.count; i++) {
        const struct overlap_row *row = &refresh->after.list[i];
        put_json(run->txn, &row->key, row->json);
        if (row->fresh && webhook_wanted(refresh->uplift, WEBHOOK_INTERACTION))
            tell_pair(refresh, run, row->json);
    }
    put_notes(refresh, run->txn);
    put_json(run->txn, &head, json);
    json_decref(json);
    return store_healthy(run->txn, err);
}

static bool refresh_now(struct uplift *uplift, struct error *err)
{
    struct refresh refresh = {.uplift = uplift};
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    overlap_count_begin(&refresh.count, catalog, uplift_now(uplift));
    bool ok = count_all(&refresh, err) && read_before(&refresh, err);
    if (ok) {
        overlap_judge(&refresh.count, &refresh.before, &refresh.after);
        ok = ingest_call(uplift->ingest, write_rows, &refresh, err);
    }
    overlap_rows_free(&refresh.before);
    overlap_rows_free(&refresh.after);
    overlap_count_end(&refresh.count);
    catalog_release(&uplift->catalog, catalog);
    return ok;
}

/* --- the thread ----------------------------------------------------------------------------- */

void overlap_init(struct overlap *overlap)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&overlap->lock, NULL);
    pthread_cond_init(&overlap->ended, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void *refresh_thread(void *data)
{
    struct uplift *uplift = data;
    struct overlap *overlap = &uplift->overlap;
    struct error err = {0};
    refresh_now(uplift, &err);
    pthread_mutex_lock(&overlap->lock);
    overlap->failed = err;
    overlap->running = false;
    pthread_cond_broadcast(&overlap->ended);
    pthread_mutex_unlock(&overlap->lock);
    return NULL;
}

/* Under the lock. */
static void start(struct uplift *uplift)
{
    struct overlap *overlap = &uplift->overlap;
    if (overlap->running || atomic_load(&overlap->stop))
        return;
    if (overlap->started)
        pthread_join(overlap->thread, NULL);
    overlap->tried_at = uplift_now(uplift);
    overlap->started = overlap->running =
        pthread_create(&overlap->thread, NULL, refresh_thread, uplift) == 0;
}

/* Under the lock. */
static void wait_for_end(struct overlap *overlap, int64_t ms)
{
    struct timespec until;
    int code = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (overlap->running && code == 0)
        code = ms < 0 ? pthread_cond_wait(&overlap->ended, &overlap->lock)
                      : pthread_cond_timedwait(&overlap->ended, &overlap->lock, &until);
}

void overlap_release(struct overlap *overlap)
{
    atomic_store(&overlap->stop, true);
    pthread_mutex_lock(&overlap->lock);
    wait_for_end(overlap, -1);
    pthread_mutex_unlock(&overlap->lock);
    if (overlap->started)
        pthread_join(overlap->thread, NULL);
    pthread_mutex_destroy(&overlap->lock);
    pthread_cond_destroy(&overlap->ended);
}

bool overlap_refresh(struct uplift *uplift, struct error *err)
{
    struct overlap *overlap = &uplift->overlap;
    pthread_mutex_lock(&overlap->lock);
    wait_for_end(overlap, -1); /* one that is under way began before */
    start(uplift);
    wait_for_end(overlap, -1);
    if (overlap->failed.code != ERROR_NONE)
        *err = overlap->failed;
    pthread_mutex_unlock(&overlap->lock);
    return err->code == ERROR_NONE;
}

/* When it was last made; 0: never. */
static int64_t made_at(struct uplift *uplift, struct error *err)
{
    struct store_key key = key_of(OVERLAP_HEAD);
    struct store_txn *txn = store_read(uplift->store, err);
    int64_t at = 0;
    if (!txn)
        return 0;
    json_t *head = read_json(txn, &key);
    const char *text = json_string_value(json_object_get(head, "as_of"));
    if (text)
        when_parse(slice_of(text), &at);
    json_decref(head);
    store_abort(&txn);
    return at;
}

/* Starts where the last one is older than `age`; waits up to `wait` ms for the end of what runs.
 * Whether it still runs. */
static bool refresh_when_older(struct uplift *uplift, int64_t age, int64_t wait, struct error *err)
{
    struct overlap *overlap = &uplift->overlap;
    int64_t now = uplift_now(uplift), at = made_at(uplift, err);
    pthread_mutex_lock(&overlap->lock);
    if ((at == 0 || now - at >= age) &&
        (overlap->tried_at == 0 || now - overlap->tried_at >= AGAIN_MS)) {
        start(uplift);
        wait_for_end(overlap, wait);
    }
    bool running = overlap->running;
    pthread_mutex_unlock(&overlap->lock);
    return running;
}

bool overlap_keep_house(struct uplift *uplift, struct error *err)
{
    struct overlap *overlap = &uplift->overlap;
    refresh_when_older(uplift, WHEN_DAY, 0, err);
    pthread_mutex_lock(&overlap->lock);
    /* It waits while figures are counted anew, which is no failure. */
    if (!overlap->running && overlap->failed.code != ERROR_NONE &&
        overlap->failed.code != ERROR_BUSY)
        *err = overlap->failed;
    pthread_mutex_unlock(&overlap->lock);
    return err->code == ERROR_NONE;
}

/* --- the list ------------------------------------------------------------------------------- */

static json_int_t customers_of(const struct overlap_row *row)
{
    return json_integer_value(json_object_get(row->json, "customers"));
}

/* Most customers first, then by numbers. */
static int by_size(const void *a, const void *b)
{
    const struct overlap_row *x = a, *y = b;
    json_int_t n = customers_of(x), m = customers_of(y);
    if (n != m)
        return n > m ? -1 : 1;
    for (int i = 0; i < 2; i++)
        if (x->numbers[i] != y->numbers[i])
            return x->numbers[i] > y->numbers[i] ? 1 : -1;
    return 0;
}

/* Whether both are running or paused, in these phases. */
static bool is_present(const struct catalog *catalog, const struct overlap_row *row)
{
    for (int i = 0; i < 2; i++) {
        const struct experiment *experiment = catalog_experiment_numbered(catalog, row->numbers[i]);
        if (!experiment || experiment->phase != row->phases[i] ||
            (experiment->state != EXPERIMENT_RUNNING && experiment->state != EXPERIMENT_PAUSED))
            return false;
    }
    return true;
}

/* "customers-number-number" of the last row of the page before. */
struct cursor {
    long long customers;
    unsigned numbers[2];
};

static bool read_cursor(struct slice after, struct cursor *cursor, struct error *err)
{
    char text[64];
    int end = 0;
    *cursor = (struct cursor){.customers = -1};
    if (after.len == 0)
        return true;
    snprintf(text, sizeof text, "%.*s", (int)(after.len < 63 ? after.len : 63), after.ptr);
    return (sscanf(text, "%18lld-%9u-%9u%n", &cursor->customers, &cursor->numbers[0],
                   &cursor->numbers[1], &end) == 3 &&
            !text[end] && cursor->customers >= 0) ||
           error_set(err, ERROR_INVALID, "cursor", "must be that of the page before");
}

static bool is_behind(const struct overlap_row *row, const struct cursor *cursor)
{
    if (cursor->customers < 0)
        return true;
    if (customers_of(row) != cursor->customers)
        return customers_of(row) < cursor->customers;
    if (row->numbers[0] != cursor->numbers[0])
        return row->numbers[0] > cursor->numbers[0];
    return row->numbers[1] > cursor->numbers[1];
}

/* As it is shown: with the states of now, without what only the next count needs. */
static json_t *shown(const struct overlap_row *row, const struct catalog *catalog)
{
    json_t *json = json_deep_copy(row->json), *side, *metric;
    size_t i;
    json_array_foreach(json_object_get(json, "experiments"), i, side)
    {
        const struct experiment *experiment = catalog_experiment_numbered(catalog, row->numbers[i]);
        json_object_set_new(side, "state", json_string(experiment_state_word(experiment->state)));
    }
    json_array_foreach(json_object_get(json, "metrics"), i, metric)
        json_object_del(metric, "counted");
    return json;
}

/* Puts the page of `limit` rows behind the cursor into `answer`. */
static void put_page(json_t *answer, struct overlap_rows *rows, const struct catalog *catalog,
                     uint32_t number, const struct cursor *cursor, size_t limit)
{
    json_t *list = json_array(), *next = json_null();
    const struct overlap_row *last = NULL;
    if (rows->count > 1)
        qsort(rows->list, rows->count, sizeof *rows->list, by_size);
    for (size_t i = 0; i < rows->count; i++) {
        const struct overlap_row *row = &rows->list[i];
        bool with = !number || row->numbers[0] == number || row->numbers[1] == number;
        if (!with || !is_present(catalog, row) || !is_behind(row, cursor))
            continue;
        if (json_array_size(list) == limit) {
            char text[64];
            snprintf(text, sizeof text, "%lld-%u-%u", (long long)customers_of(last),
                     last->numbers[0], last->numbers[1]);
            next = json_string(text);
            break;
        }
        last = row;
        json_array_append_new(list, shown(row, catalog));
    }
    json_object_set_new(answer, "overlaps", list);
    json_object_set_new(answer, "next", next);
}

static json_t *read_list(struct uplift *uplift, const struct catalog *catalog, uint32_t number,
                         const struct cursor *cursor, size_t limit, bool running, struct error *err)
{
    struct overlap_rows rows = {0};
    struct store_key key = key_of(OVERLAP_HEAD);
    struct store_txn *txn = store_read(uplift->store, err);
    json_t *answer = NULL;
    if (!txn)
        return NULL;
    json_t *head = read_json(txn, &key);
    if (read_rows(txn, &rows, err)) {
        answer =
            json_pack("{s:O?, s:b, s:O?}", "as_of", json_object_get(head, "as_of"), "refreshing",
                      (int)running, "left_out", json_object_get(head, "left_out"));
        put_page(answer, &rows, catalog, number, cursor, limit);
    }
    overlap_rows_free(&rows);
    json_decref(head);
    store_abort(&txn);
    return answer;
}

json_t *overlap_list(struct uplift *uplift, struct slice key, struct slice after, size_t limit,
                     struct error *err)
{
    struct cursor cursor;
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct experiment *experiment = key.len ? catalog_experiment(catalog, key) : NULL;
    json_t *answer = NULL;
    if (key.len && !experiment)
        error_set(err, ERROR_NOT_FOUND, NULL, "there is no experiment '%.*s'",
                  (int)(key.len < 64 ? key.len : 64), key.ptr);
    else if (read_cursor(after, &cursor, err)) {
        bool running = refresh_when_older(uplift, OVERLAP_STALE_MS, WAIT_MS, err);
        answer = read_list(uplift, catalog, experiment ? experiment->number : 0, &cursor, limit,
                           running, err);
    }
    catalog_release(&uplift->catalog, catalog);
    return answer;
}
