/* SPDX-License-Identifier: GPL-3.0-or-later */
/* On disk a look is: a version byte; the length of the summary (4 bytes, big-endian) and its JSON;
 * two parts as zlib has them, each behind its plain and its packed length (4 bytes each):
 * {"results", "counted"} with what look_running leaves of results, and {"results", "made_of"} with
 * all of them. Running figures go on from the first, which every answer reads and which is a
 * twentieth of the second. In version 1 (schema 1) there is one part of all, without its packed
 * length. */
#include "core/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/arena.h"
#include "core/json.h"
#include "core/folded.h"
#include "core/when.h"

enum { LOOK_VERSION = 2, LOOK_PLAIN_MAX = 64 << 20 };

/* --- what runs on ------------------------------------------------------------------------------
 */

static const char *const results_members[] = {"as_of", "day",      "experiment", "decision",
                                              "srm",   "schedule", "health",     NULL};
static const char *const metric_members[] = {"key", "effect", "method", NULL};
static const char *const comparison_members[] = {
    "variant",   "p_value", "interval",    "strata", "drift_since",
    "restarted", "verdict", "clear_since", "looks",  NULL};

static json_t *members(const json_t *from, const char *const *names)
{
    json_t *made = json_object();
    for (; *names; names++)
        if (json_object_get(from, *names))
            json_object_set(made, *names, json_object_get(from, *names));
    return made;
}

json_t *look_running(const json_t *results)
{
    json_t *made = members(results, results_members), *metrics = json_array(), *metric, *row;
    size_t i, j;
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
    {
        json_t *kept = members(metric, metric_members), *list = json_array();
        json_array_foreach(json_object_get(metric, "comparisons"), j, row)
            json_array_append_new(list, members(row, comparison_members));
        json_object_set_new(kept, "comparisons", list);
        json_array_append_new(metrics, kept);
    }
    json_object_set_new(made, "metrics", metrics);
    return made;
}

/* --- writing -------------------------------------------------------------------------------- */

static struct store_key prefix_of(struct look_of of)
{
    struct store_key key = {0};
    key_u32(&key, of.experiment);
    key_u16(&key, of.phase);
    return key;
}

static struct store_key key_of(struct look_of of, int64_t day_start)
{
    struct store_key key = prefix_of(of);
    key_u64(&key, (uint64_t)day_start);
    return key;
}

static void put_length(struct text *out, size_t length)
{
    unsigned char bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(length >> (24 - 8 * i));
    text_add(out, bytes, sizeof bytes);
}

static void pack(struct text *out, const char *plain, size_t plain_len)
{
    uLongf packed_len = compressBound(plain_len);
    unsigned char *packed = xmalloc(packed_len);
    if (compress2(packed, &packed_len, (const Bytef *)plain, plain_len, Z_DEFAULT_COMPRESSION) !=
        Z_OK)
        error_fatal("zlib does not compress");
    put_length(out, plain_len);
    put_length(out, packed_len);
    text_add(out, packed, packed_len);
    free(packed);
}

/* {"results", "counted"}: what running figures go on from. */
static void pack_running(struct text *out, const struct look *look)
{
    json_t *running =
        json_pack("{s:o, s:O}", "results", look_running(look->results), "counted", look->counted);
    char *plain = json_text(running);
    pack(out, plain, strlen(plain));
    free(plain);
    json_decref(running);
}

/* {"results", "made_of"}: all of them. */
static void pack_whole(struct text *out, const struct look *look)
{
    struct text plain;
    text_init(&plain, UINT32_MAX);
    struct json_writer w = json_writer_text(&plain);
    json_write_object(&w, NULL);
    folded_write(&w, "results", look->results);
    if (look->made_of)
        json_write_value(&w, "made_of", look->made_of);
    json_write_end(&w);
    must(!plain.failed);
    pack(out, plain.ptr, plain.len);
    text_release(&plain);
}

void look_put(struct store_txn *txn, struct look_of of, int64_t day_start, const json_t *summary,
              const struct look *look)
{
    static const char version = LOOK_VERSION;
    char *head = json_text(summary);
    struct text value;
    text_init(&value, UINT32_MAX);
    text_add(&value, &version, 1);
    put_length(&value, strlen(head));
    text_puts(&value, head);
    pack_running(&value, look);
    pack_whole(&value, look);
    must(!value.failed);
    struct store_key key = key_of(of, day_start);
    store_put(txn, STORE_LOOK, key_slice(&key), (struct slice){value.ptr, value.len});
    text_release(&value);
    free(head);
}

/* --- reading -------------------------------------------------------------------------------- */

static bool damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, NULL, "a stored look is damaged");
}

static bool take_length(struct slice *rest, size_t *length)
{
    uint32_t value;
    if (!unkey_u32(rest, &value))
        return false;
    *length = value;
    return true;
}

/* The summary, and what follows it in *rest with its version; NULL where it is damaged. New
 * reference. */
static json_t *read_summary(struct slice *rest, uint8_t *version, struct error *err)
{
    size_t len;
    struct error wrong = {0};
    json_t *summary = NULL;
    if (unkey_u8(rest, version) && *version >= 1 && *version <= LOOK_VERSION &&
        take_length(rest, &len) && len <= rest->len)
        summary = json_parse(rest->ptr, len, &wrong);
    if (!summary) {
        damaged(err);
        return NULL;
    }
    rest->ptr += len;
    rest->len -= len;
    return summary;
}

static int64_t taken_at(const json_t *summary)
{
    int64_t at = INT64_MAX;
    const char *text = json_string_value(json_object_get(summary, "at"));
    if (text)
        when_parse(slice_of(text), &at);
    return at;
}

/* The next part; NULL where it is damaged. New reference. */
static json_t *unpack(struct slice *rest, uint8_t version)
{
    size_t len, packed = 0;
    struct error wrong = {0};
    if (!take_length(rest, &len) || len > LOOK_PLAIN_MAX ||
        (version > 1 && !take_length(rest, &packed)) || packed > rest->len)
        return NULL;
    if (version == 1)
        packed = rest->len;
    char *plain = xmalloc(len + 1);
    uLongf plain_len = len;
    json_t *json = NULL;
    if (uncompress((Bytef *)plain, &plain_len, (const Bytef *)rest->ptr, packed) == Z_OK &&
        plain_len == len)
        json = json_parse(plain, len, &wrong);
    free(plain);
    rest->ptr += packed;
    rest->len -= packed;
    return json;
}

/* Whether the second part is as long as it says. */
static bool fits_rest(struct slice rest)
{
    size_t len, packed;
    return take_length(&rest, &len) && take_length(&rest, &packed) && rest.len == packed;
}

/* The second part in place of the first's results. False where it is damaged. */
static bool unpack_rest(struct slice *rest, uint8_t version, struct look *out)
{
    json_t *all = unpack(rest, version), *results = json_object_get(all, "results");
    bool good = json_is_object(results) && rest->len == 0;
    if (good) {
        json_decref(out->results);
        out->results = json_incref(results);
    }
    out->made_of = json_incref(json_object_get(all, "made_of"));
    json_decref(all);
    return good;
}

/* `whole`: both parts. */
static bool unpack_look(struct slice rest, uint8_t version, bool whole, struct look *out,
                        struct error *err)
{
    json_t *running = unpack(&rest, version);
    *out = (struct look){.results = json_incref(json_object_get(running, "results")),
                         .counted = json_incref(json_object_get(running, "counted"))};
    json_decref(running);
    if (json_is_object(out->results) && json_is_object(out->counted) &&
        (version == 1 || (whole ? unpack_rest(&rest, version, out) : fits_rest(rest))))
        return true;
    look_release(out);
    return damaged(err);
}

bool look_last(struct store_txn *txn, struct look_of of, int64_t until, bool whole,
               struct look *out, struct error *err)
{
    struct store_key prefix = prefix_of(of);
    struct slice key, value, found = NO_SLICE;
    uint8_t version;
    *out = (struct look){0};
    if (until == INT64_MAX) {
        if (!store_last(txn, STORE_LOOK, key_slice(&prefix), &key, &found)) {
            store_healthy(txn, err);
            return false;
        }
    } else {
        /* To the end, though what is later is not wanted: only then are missing rows noticed. */
        struct store_cursor *cursor = store_walk(txn, STORE_LOOK, key_slice(&prefix), NO_SLICE);
        for (bool later = false; store_next(cursor, &key, &value);) {
            struct slice rest = value;
            struct error wrong = {0};
            json_t *summary = later ? NULL : read_summary(&rest, &version, &wrong);
            later = later || taken_at(summary) > until;
            json_decref(summary);
            if (!later)
                found = value;
        }
        store_walk_end(&cursor);
    }
    if (!store_healthy(txn, err) || !found.ptr)
        return false;
    json_t *summary = read_summary(&found, &version, err);
    bool ok = summary && unpack_look(found, version, whole, out, err);
    json_decref(summary);
    return ok;
}

void look_release(struct look *look)
{
    json_decref(look->results);
    json_decref(look->counted);
    json_decref(look->made_of);
    *look = (struct look){0};
}

bool look_taken(struct store_txn *txn, struct look_of of, int64_t day_start)
{
    struct store_key key = key_of(of, day_start);
    return store_get(txn, STORE_LOOK, key_slice(&key), NULL);
}

json_t *look_summaries(struct store_txn *txn, struct look_of of, int64_t until, struct error *err)
{
    struct store_key prefix = prefix_of(of);
    struct slice key, value;
    uint8_t version;
    json_t *list = json_array();
    bool ok = true;
    struct store_cursor *cursor = store_walk(txn, STORE_LOOK, key_slice(&prefix), NO_SLICE);
    while (ok && store_next(cursor, &key, &value)) {
        json_t *summary = read_summary(&value, &version, err);
        ok = summary != NULL;
        if (ok && taken_at(summary) <= until)
            json_array_append(list, summary);
        json_decref(summary);
    }
    store_walk_end(&cursor);
    if (ok && store_healthy(txn, err))
        return list;
    json_decref(list);
    return NULL;
}

static bool visit_row(struct slice key, struct slice value,
                      bool (*visit)(void *data, struct look_of of, int64_t day_start,
                                    const json_t *summary, const struct look *look),
                      void *data, struct error *err)
{
    struct look_of of = {0};
    struct look look;
    uint8_t version;
    uint64_t day_start = 0;
    if (!unkey_u32(&key, &of.experiment) || !unkey_u16(&key, &of.phase) ||
        !unkey_u64(&key, &day_start))
        return damaged(err);
    json_t *summary = read_summary(&value, &version, err);
    bool ok = summary && unpack_look(value, version, true, &look, err);
    if (ok) {
        ok = visit(data, of, (int64_t)day_start, summary, &look);
        look_release(&look);
    }
    json_decref(summary);
    return ok;
}

bool look_each(struct store_txn *txn, const struct look_of *of,
               bool (*visit)(void *data, struct look_of of, int64_t day_start,
                             const json_t *summary, const struct look *look),
               void *data, struct error *err)
{
    struct store_key prefix = of ? prefix_of(*of) : (struct store_key){0};
    struct store_cursor *cursor = store_walk(txn, STORE_LOOK, key_slice(&prefix), NO_SLICE);
    struct slice key, value;
    bool ok = true;
    while (ok && store_next(cursor, &key, &value))
        ok = visit_row(key, value, visit, data, err);
    store_walk_end(&cursor);
    return ok && store_healthy(txn, err);
}

/* --- damage --------------------------------------------------------------------------------- */

static bool is_whole(struct slice value)
{
    struct error err = {0};
    struct look look;
    uint8_t version;
    json_t *summary = read_summary(&value, &version, &err);
    bool whole = summary && unpack_look(value, version, true, &look, &err);
    if (whole)
        look_release(&look);
    json_decref(summary);
    return whole;
}

uint64_t look_damaged(struct store_txn *txn, bool remove,
                      void (*report)(void *data, const char *line), void *data)
{
    struct store_cursor *cursor = store_walk(txn, STORE_LOOK, NO_SLICE, NO_SLICE);
    struct slice key, value, *found = NULL;
    struct arena arena = {0};
    size_t count = 0, room = 0;
    store_walk_damaged(cursor);
    while (store_next(cursor, &key, &value)) {
        if (value.ptr && is_whole(value))
            continue;
        if (count == room) {
            room = room ? 2 * room : 16;
            found = xrealloc(found, room * sizeof *found);
        }
        found[count++] = arena_slice(&arena, key);
    }
    store_walk_end(&cursor);
    for (size_t i = 0; i < count; i++) {
        char line[128], day[WHEN_TEXT_MAX];
        struct slice rest = found[i];
        uint32_t experiment = 0;
        uint16_t phase = 0;
        uint64_t day_start = 0;
        unkey_u32(&rest, &experiment);
        unkey_u16(&rest, &phase);
        unkey_u64(&rest, &day_start);
        snprintf(line, sizeof line, "experiment number %u, phase %u: the look of %.10s is damaged",
                 (unsigned)experiment, (unsigned)phase, when_format((int64_t)day_start, day));
        report(data, line);
        if (remove)
            store_delete(txn, STORE_LOOK, found[i]);
    }
    if (remove && count)
        store_sums_anew(txn, STORE_LOOK);
    free(found);
    arena_release(&arena);
    return count;
}
