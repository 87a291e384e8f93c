/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes in place of one row of a store, written through it, so that its checksums say that all
 * is well: whoever reads finds damage and says so, or reads on. The first byte chooses the table,
 * the second one the row, the third one what becomes of it (its value, its key, nothing); the rest
 * is that. Nothing is committed, but for keys, which are read by a transaction of their own. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/analysis.h"
#include "core/audit.h"
#include "core/definitions.h"
#include "core/export.h"
#include "core/gathered.h"
#include "core/json.h"
#include "core/keys.h"
#include "core/keys_private.h"
#include "core/ledger.h"
#include "core/look.h"
#include "core/replay.h"
#include "core/results.h"
#include "core/retention.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static const int64_t start = INT64_C(1790000000000);
static int64_t now = INT64_C(1790000000000);
static char folder[FOLDER_MAX];
static struct store *store;

static int64_t told_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock told_clock = {.now = told_now};

/* --- the store that is spoilt --------------------------------------------------------------- */

static void made(json_t *json)
{
    must(json);
    json_decref(json);
}

/* So that rows have the same place in every run. */
static void keep_secret(void)
{
    struct error err = {0};
    static const char secret[32] = "the same in every run of it";
    store = store_open(folder, 0, &err);
    must(store);
    struct store_txn *txn = store_write(store, &err);
    store_put(txn, STORE_META, slice_of("secret"), (struct slice){secret, sizeof secret});
    must(store_commit(&txn, &err));
    store_close(&store);
}

static void define(struct uplift *uplift)
{
    static const char *const metrics[] = {
        "{\"key\": \"m\", \"kind\": \"mean\", \"event\": \"o\", \"covariate_days\": 3}",
        "{\"key\": \"q\", \"kind\": \"quantile\", \"event\": \"o\", \"quantile\": 0.9}",
        "{\"key\": \"s\", \"kind\": \"csat\", \"event\": \"csat\", \"margin\": 3}"};
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        json_t *metric = json_parse(metrics[i], strlen(metrics[i]), &err);
        made(uplift_metric_create(uplift, &change, metric, &err));
        json_decref(metric);
    }
    json_t *experiment = json_pack("{s:s, s:[{s:s}, {s:s}], s:[s], s:{s:[s, s], s:[s]}}", "key",
                                   "exp", "variants", "key", "a", "key", "b", "segments", "device",
                                   "metrics", "primary", "m", "q", "guardrail", "s");
    made(uplift_experiment_create(uplift, &change, experiment, &err));
    made(uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    json_decref(experiment);
}

static void come(struct uplift *uplift, int from)
{
    struct error err = {0};
    json_t *events = json_array();
    for (int i = from; i < from + 8; i++) {
        char id[8];
        snprintf(id, sizeof id, "c%d", i);
        json_array_append_new(
            events, json_pack("{s:s, s:s, s:s, s:s, s:{s:s}, s:I}", "type", "exposure", "customer",
                              id, "experiment", "exp", "variant", i % 2 ? "a" : "b", "attributes",
                              "device", i % 3 ? "ios" : "web", "at", (json_int_t)(now - i)));
        json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:f}", "type", "outcome",
                                                "customer", id, "name", "o", "value", i / 4.0));
        json_array_append_new(events,
                              json_pack("{s:s, s:s, s:s, s:i}", "type", "feedback", "customer", id,
                                        "survey", "csat", "score", 1 + i % 5));
    }
    made(uplift_events(uplift, events, &err));
    json_decref(events);
}

static void leave(void)
{
    store_close(&store);
    folder_remove(folder);
}

static void make_store(void)
{
    struct error err = {0};
    char secret[KEY_SECRET_MAX];
    const struct definition_change change = {.who = "test", .at = -1};
    must(folder_make(folder));
    keep_secret();
    struct uplift *uplift = uplift_open(folder, &told_clock, &err);
    must(uplift);
    define(uplift);
    for (int day = 0; day < 3; day++) {
        come(uplift, 8 * day);
        made(analysis_look(uplift, slice_of("exp"), &err));
        now += WHEN_DAY;
        if (day == 1)
            made(uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_NEW_PHASE,
                                              NULL, &err));
    }
    must(keys_create(uplift, KEY_ADMIN, KEY_ROLE_ADMIN, "k", 0, secret, NULL, &err));
    uplift_close(&uplift);
    store = store_open(folder, 0, &err);
    must(store);
    atexit(leave);
}

/* --- reading all of it ---------------------------------------------------------------------- */

static void ignore_line(void *data, const char *line)
{
    (void)data;
    (void)line;
}

static bool ignore_row(void *data, json_t *row)
{
    (void)data;
    return json_is_object(row);
}

static void ignore_told(void *data, const struct replay_told *told)
{
    (void)data;
    must(told->outcome != REPLAY_SAME || told->made);
}

static bool ignore_bytes(void *data, const char *bytes, size_t len)
{
    (void)data;
    (void)bytes;
    (void)len;
    return true;
}

static void read_results(struct store_txn *txn, const struct catalog *catalog,
                         const struct experiment *experiment, int phase)
{
    struct error err = {0};
    struct gathered g = {.catalog = catalog,
                         .present = experiment,
                         .phase = phase,
                         .experiment = experiment_in_phase(experiment, phase),
                         .now = now};
    if (g.experiment && experiment->epoch_count > 0 && gathered_read(txn, &g, &err) &&
        !g.recounting)
        json_decref(results_make(&g, &err));
    gathered_release(&g);
}

static void read_definitions(struct store_txn *txn)
{
    struct error err = {0};
    uint64_t count = 0;
    struct catalog *catalog = definitions_catalog(txn, &err);
    const struct export_options options = {.from = INT64_MIN, .to = INT64_MAX, .now = now};
    const struct export_output output = {.write = ignore_bytes};
    if (!catalog)
        return;
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++)
        read_results(txn, catalog, catalog_experiment_at(catalog, i), 1);
    ledger_check(txn, catalog, ignore_line, NULL, NULL, &count, &err);
    err = (struct error){0};
    export_store(txn, catalog, &options, &output, &count, &err);
    retention_read(txn, catalog);
    catalog_free(&catalog);
}

static void read_trail(struct store_txn *txn)
{
    struct error err = {0};
    struct audit_head head;
    audit_head(txn, &head);
    audit_verify(txn, &head, &err);
    audit_find(txn, head.digest);
    err = (struct error){0};
    json_decref(audit_list(txn, 0, 100, &err));
    err = (struct error){0};
    audit_each(txn, 1, ignore_row, NULL, &err);
}

static void read_looks(struct store_txn *txn)
{
    struct error err = {0};
    look_damaged(txn, false, ignore_line, NULL);
    json_decref(look_summaries(txn, (struct look_of){1, 1}, INT64_MAX, &err));
}

static void read_again(struct store_txn *txn)
{
    struct error err = {0};
    const struct replay_options options = {
        .experiment = slice_of("exp"), .until = INT64_MAX, .all = true, .phase = 1};
    replay(txn, &options, ignore_told, NULL, NULL, &err);
}

/* Whoever reads rows of that table. */
static void read_all(struct store_txn *txn, enum store_table table)
{
    if (table != STORE_AUDIT)
        read_definitions(txn);
    if (table == STORE_AUDIT)
        read_trail(txn);
    if (table == STORE_LOOK)
        read_looks(txn);
    if (table == STORE_LOOK || table == STORE_AUDIT)
        read_again(txn);
}

/* --- the input ------------------------------------------------------------------------------ */

static bool find_row(struct store_txn *txn, enum store_table table, unsigned index,
                     struct store_key *key)
{
    uint64_t count = store_count(txn, table);
    struct slice found, value;
    struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
    bool there = false;
    for (uint64_t i = 0; count && i <= index % count; i++)
        there = store_next(cursor, &found, &value);
    if (there)
        key_bytes(key, found);
    store_walk_end(&cursor);
    return there;
}

static void spoil(struct store_txn *txn, enum store_table table, struct slice key, int what,
                  struct slice rest)
{
    struct slice value;
    if (what == 0) {
        store_put(txn, table, key, rest);
        return;
    }
    char *copy = NULL;
    must(store_get(txn, table, key, &value));
    copy = memcpy(xmalloc(value.len + 1), value.ptr, value.len);
    value.ptr = copy;
    store_delete(txn, table, key);
    if (what == 1 && rest.len > 0 && rest.len <= STORE_KEY_MAX)
        store_put(txn, table, rest, value);
    free(copy);
}

/* Keys are read as the server does when it starts. */
static void read_keys(void)
{
    struct error err = {0};
    struct uplift *uplift = xcalloc(1, sizeof *uplift);
    uplift->store = store;
    keys_load(uplift, &err);
    keys_unload(uplift);
    free(uplift);
}

static void put_back(const struct store_key *key, struct slice value, bool added,
                     struct slice other)
{
    struct error err = {0};
    struct store_txn *txn = store_write(store, &err);
    must(txn);
    if (added)
        store_delete(txn, STORE_KEY, other);
    store_put(txn, STORE_KEY, key_slice(key), value);
    must(store_commit(&txn, &err));
}

static void give_key(struct store_txn *txn, const struct store_key *key, int what,
                     struct slice rest)
{
    struct error err = {0};
    struct slice value;
    must(store_get(txn, STORE_KEY, key_slice(key), &value));
    char *kept = memcpy(xmalloc(value.len + 1), value.ptr, value.len);
    value.ptr = kept;
    spoil(txn, STORE_KEY, key_slice(key), what, rest);
    if (store_commit(&txn, &err)) {
        read_keys();
        put_back(key, value, what == 1 && rest.len > 0 && rest.len <= STORE_KEY_MAX, rest);
    }
    free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct store_key key = {0};
    if (!store)
        make_store();
    now = start + 3 * WHEN_DAY;
    if (size < 3 || size > 100000)
        return -1;
    enum store_table table = (enum store_table)(data[0] % STORE_TABLES);
    const struct slice rest = {(const char *)data + 3, size - 3};
    struct store_txn *txn = store_write(store, &err);
    must(txn);
    bool there = find_row(txn, table, data[1], &key);
    if (there && table == STORE_KEY) {
        give_key(txn, &key, data[2] % 3, rest);
        return 0;
    }
    if (there) {
        spoil(txn, table, key_slice(&key), data[2] % 3, rest);
        read_all(txn, table);
    }
    store_abort(&txn);
    return there ? 0 : -1;
}
