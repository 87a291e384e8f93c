/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intake: two batches, one being filled while the other is written. */
#include "core/intake.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/audit.h"
#include "core/definitions.h"
#include "core/export.h"
#include "core/json.h"
#include "core/look.h"
#include "core/uplift.h"

enum { BATCH = 10000, LOOKS = 100 };

/* A look on its way: all of it belongs to the line. */
struct keeping {
    json_t *line, *summary;
    struct look_of of;
    int64_t day_start;
    struct look look;
};

struct batch {
    struct intake *intake;
    json_t *events;        /* an array; not to be touched while it is away */
    uint64_t lines[BATCH]; /* on which each event stands */
    bool away;             /* lock */
    json_t *answer;        /* lock; NULL: it failed */
    struct error err;      /* lock */
};

struct intake {
    struct uplift *uplift;
    void (*refused)(void *data, uint64_t line, const char *why);
    void *data;
    struct intake_counts counts;
    struct batch batches[2];
    struct batch *filling;
    struct keeping looks[LOOKS];
    size_t look_count;
    bool is_export, over; /* the first line of an export was met; its last one */
    uint64_t told;        /* events by the last line */
    pthread_mutex_t lock;
    pthread_cond_t back;
};

struct intake *intake_new(struct uplift *uplift,
                          void (*refused)(void *data, uint64_t line, const char *why), void *data)
{
    struct intake *intake = xcalloc(1, sizeof *intake);
    intake->uplift = uplift;
    intake->refused = refused;
    intake->data = data;
    for (int i = 0; i < 2; i++)
        intake->batches[i] = (struct batch){.intake = intake, .events = json_array()};
    intake->filling = &intake->batches[0];
    pthread_mutex_init(&intake->lock, NULL);
    pthread_cond_init(&intake->back, NULL);
    return intake;
}

void intake_refuse(struct intake *intake, uint64_t line, const char *why)
{
    intake->counts.refused++;
    intake->refused(intake->data, line, why);
}

/* --- batches -------------------------------------------------------------------------------- */

/* By the writer. */
static void came_back(void *data, json_t *answer, const struct error *err)
{
    struct batch *batch = data;
    pthread_mutex_lock(&batch->intake->lock);
    batch->answer = answer;
    batch->err = *err;
    batch->away = false;
    pthread_cond_signal(&batch->intake->back);
    pthread_mutex_unlock(&batch->intake->lock);
}

static uint64_t whole_number(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void read_answer(struct intake *intake, struct batch *batch)
{
    json_t *row;
    size_t i;
    intake->counts.accepted += whole_number(batch->answer, "accepted");
    intake->counts.duplicates += whole_number(batch->answer, "duplicates");
    json_array_foreach(json_object_get(batch->answer, "rejected"), i, row)
    {
        uint64_t index = whole_number(row, "index");
        must(index < BATCH);
        intake_refuse(intake, batch->lines[index],
                      json_string_value(json_object_get(row, "error")));
    }
}

/* Waits until the batch is back, and empties it. */
static bool await(struct intake *intake, struct batch *batch, struct error *err)
{
    pthread_mutex_lock(&intake->lock);
    while (batch->away)
        pthread_cond_wait(&intake->back, &intake->lock);
    pthread_mutex_unlock(&intake->lock);
    bool ok = batch->err.code == ERROR_NONE ||
              error_set(err, batch->err.code, batch->err.place, "%s", batch->err.message);
    if (batch->answer)
        read_answer(intake, batch);
    json_decref(batch->answer);
    batch->answer = NULL;
    batch->err = (struct error){0};
    json_array_clear(batch->events);
    return ok;
}

/* Sends the batch that was filled and goes on with the other one. */
static bool send(struct intake *intake, struct error *err)
{
    struct batch *batch = intake->filling;
    if (json_array_size(batch->events) == 0)
        return true;
    batch->away = true;
    if (!uplift_events_restore(intake->uplift, batch->events, came_back, batch, err)) {
        batch->away = false;
        return false;
    }
    intake->filling = batch == &intake->batches[0] ? &intake->batches[1] : &intake->batches[0];
    return await(intake, intake->filling, err);
}

/* Sends all and waits for all. */
static bool drain(struct intake *intake, struct error *err)
{
    return send(intake, err) && await(intake, &intake->batches[0], err) &&
           await(intake, &intake->batches[1], err);
}

/* Takes over `event`. */
static bool take_event(struct intake *intake, json_t *event, uint64_t line, struct error *err)
{
    struct batch *batch = intake->filling;
    batch->lines[json_array_size(batch->events)] = line;
    json_array_append_new(batch->events, event);
    return json_array_size(batch->events) < BATCH || send(intake, err);
}

/* --- lines of an export --------------------------------------------------------------------- */

static bool take_head(struct intake *intake, json_t *head, struct error *err)
{
    intake->is_export = true;
    return whole_number(head, "version") == EXPORT_VERSION ||
           error_set(err, ERROR_UNSUPPORTED, NULL,
                     "the export was written by another version of uplift");
}

static bool take_metric(struct intake *intake, json_t *stored, struct error *err)
{
    const struct definition_change change = {.who = "import", .at = -1};
    intake->counts.definitions++;
    return uplift_metric_restore(intake->uplift, &change, stored, err);
}

static bool take_experiment(struct intake *intake, json_t *stored, struct error *err)
{
    const struct definition_change change = {.who = "import", .at = -1};
    intake->counts.definitions++;
    return uplift_experiment_restore(intake->uplift, &change, stored, err);
}

static bool read_look(struct intake *intake, json_t *line, struct keeping *keeping,
                      struct error *err)
{
    const char *key = NULL;
    int64_t phase = 0;
    if (!json_read_key(line, JSON_TOP, "experiment", JSON_REQUIRED, &key, err) ||
        !json_read_integer(line, JSON_TOP, "phase", JSON_REQUIRED, 1, UINT16_MAX, &phase, err) ||
        !json_read_integer(line, JSON_TOP, "day_start", JSON_REQUIRED, 0, WHEN_MAX,
                           &keeping->day_start, err) ||
        !json_read_object(line, JSON_TOP, "summary", JSON_REQUIRED, &keeping->summary, err) ||
        !json_read_object(line, JSON_TOP, "results", JSON_REQUIRED, &keeping->look.results, err) ||
        !json_read_object(line, JSON_TOP, "counted", JSON_REQUIRED, &keeping->look.counted, err))
        return false;
    struct catalog *catalog = catalog_acquire(&intake->uplift->catalog);
    const struct experiment *experiment = catalog_experiment(catalog, slice_of(key));
    keeping->of = (struct look_of){experiment ? experiment->number : 0, (uint16_t)phase};
    catalog_release(&intake->uplift->catalog, catalog);
    return experiment ||
           error_set(err, ERROR_INVALID, "experiment", "there is no experiment '%s'", key);
}

static bool keep(void *data, struct ingest_run *run, struct error *err)
{
    const struct intake *intake = data;
    (void)err;
    for (size_t i = 0; i < intake->look_count; i++) {
        const struct keeping *one = &intake->looks[i];
        if (!look_taken(run->txn, one->of, one->day_start))
            look_put(run->txn, one->of, one->day_start, one->summary, &one->look);
    }
    return true;
}

/* Looks are written many at once, as each transaction waits for the disk. */
static bool keep_looks(struct intake *intake, struct error *err)
{
    bool ok = intake->look_count == 0 || ingest_call(intake->uplift->ingest, keep, intake, err);
    for (size_t i = 0; i < intake->look_count; i++)
        json_decref(intake->looks[i].line);
    intake->look_count = 0;
    return ok;
}

static bool take_look(struct intake *intake, json_t *line, struct error *err)
{
    struct keeping *keeping = &intake->looks[intake->look_count];
    if (!read_look(intake, line, keeping, err))
        return false;
    intake->counts.looks++;
    keeping->line = json_incref(line);
    return ++intake->look_count < LOOKS || keep_looks(intake, err);
}

static bool take_end(struct intake *intake, json_t *end, struct error *err)
{
    (void)err;
    intake->over = true;
    intake->told = whole_number(end, "events");
    return true;
}

/* The lines that are no events: each is an object of one member. */
static const struct part {
    const char *name;
    bool (*take)(struct intake *intake, json_t *value, struct error *err);
} parts[] = {{"export", take_head},
             {"metric", take_metric},
             {"experiment", take_experiment},
             {"look", take_look},
             {"end", take_end}};

static const struct part *part_of(const json_t *line, json_t **value)
{
    for (size_t i = 0; json_object_size(line) == 1 && i < sizeof parts / sizeof *parts; i++) {
        *value = json_object_get(line, parts[i].name);
        if (json_is_object(*value))
            return &parts[i];
    }
    return NULL;
}

/* --- taking --------------------------------------------------------------------------------- */

bool intake_knows(struct slice line)
{
    static const char head[] = "{\"export\":";
    return line.len > sizeof head && memcmp(line.ptr, head, sizeof head - 1) == 0;
}

bool intake_line(struct intake *intake, struct slice line, uint64_t number, struct error *err)
{
    struct error wrong = {0};
    json_t *value, *item = line.len ? json_parse(line.ptr, line.len, &wrong) : NULL;
    if (!item) {
        if (line.len)
            intake_refuse(intake, number, wrong.message);
        return true;
    }
    const struct part *part = part_of(item, &value);
    if (!part)
        return take_event(intake, item, number, err);
    bool ok = drain(intake, err) && (part->take == take_look || keep_looks(intake, err)) &&
              part->take(intake, value, err);
    json_decref(item);
    if (!ok) {
        char at[32];
        snprintf(at, sizeof at, "line %llu", (unsigned long long)number);
        error_prefix(err, at);
    }
    return ok;
}

/* A field of CSV as a member of the event; false where it cannot be one. */
static bool set_member(json_t *event, const char *name, struct slice text)
{
    struct error wrong = {0};
    bool parsed =
        strcmp(name, "attributes") == 0 || strcmp(name, "value") == 0 || strcmp(name, "score") == 0;
    json_t *value =
        parsed ? json_parse(text.ptr, text.len, &wrong) : json_stringn(text.ptr, text.len);
    return value && json_object_set_new(event, name, value) == 0;
}

bool intake_row(struct intake *intake, const struct csv_row *header, const struct csv_row *row,
                struct error *err)
{
    json_t *event = json_object();
    for (size_t i = 0; i < row->count; i++) {
        if (!row->fields[i].len || set_member(event, header->fields[i].ptr, row->fields[i]))
            continue;
        char why[300];
        snprintf(why, sizeof why, "%.200s: cannot be read", header->fields[i].ptr);
        intake_refuse(intake, row->line, why);
        json_decref(event);
        return true;
    }
    return take_event(intake, event, row->line, err);
}

/* Events that bring their arrival with them change what was counted up to earlier looks. */
static bool record(void *data, struct ingest_run *run, struct error *err)
{
    const struct intake *intake = data;
    json_t *counts = json_pack("{s:I, s:I, s:I}", "events", (json_int_t)intake->counts.accepted,
                               "definitions", (json_int_t)intake->counts.definitions, "looks",
                               (json_int_t)intake->counts.looks);
    (void)err;
    audit_append(run->txn, uplift_now(intake->uplift), "import", "history.import", "", NULL,
                 counts);
    json_decref(counts);
    return true;
}

bool intake_end(struct intake **intake, bool whole, struct intake_counts *counts, struct error *err)
{
    struct intake *it = *intake;
    bool ok = drain(it, err) && keep_looks(it, err);
    for (size_t i = 0; i < it->look_count; i++)
        json_decref(it->looks[i].line);
    /* What is on its way when something failed comes back all the same. */
    for (int i = 0; i < 2; i++) {
        struct error late = {0};
        await(it, &it->batches[i], &late);
        json_decref(it->batches[i].events);
    }
    struct error unrecorded = {0};
    if (it->counts.accepted > 0 && !ingest_call(it->uplift->ingest, record, it, &unrecorded) && ok)
        ok = error_set(err, unrecorded.code, unrecorded.place, "%s", unrecorded.message);
    uint64_t events = it->counts.accepted + it->counts.duplicates + it->counts.refused;
    if (ok && whole && it->is_export && (!it->over || events != it->told))
        ok = error_set(err, ERROR_INVALID, NULL,
                       it->over ? "the export holds %llu events, and its last line tells of %llu"
                                : "the export was cut: its last line is missing",
                       (unsigned long long)events, (unsigned long long)it->told);
    *counts = it->counts;
    pthread_mutex_destroy(&it->lock);
    pthread_cond_destroy(&it->back);
    free(it);
    *intake = NULL;
    return ok;
}
