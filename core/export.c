/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Export, straight from the records into one buffer: a tree of JSON for each event would take ten
 * times as long as all the rest. */
#include "core/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/ledger_parts.h"
#include "core/look.h"
#include "core/when.h"

/* Of each byte a text may become six (\u001f); SPARE is for names, times and figures. */
enum { FLUSH_AT = 256 << 10, WORST = 6, SPARE = 1024, NUMBER_MAX = 32, PROGRESS_EVERY = 4096 };

struct export
{
    struct store_txn *txn;
    const struct catalog *catalog;
    const struct export_options *options;
    const struct export_output *output;
    const struct experiment *experiment; /* NULL: all */
    char *buffer, *at;                   /* at: where the next byte goes */
    size_t room;
    struct slice customer; /* the id; borrowed from the transaction */
    uint64_t number;       /* of the customer whose id that is */
    bool wanted;           /* whether anything of the present customer is */
    uint64_t last;         /* number of the last customer */
    uint64_t events;
    struct error *err;
};

/* --- bytes ---------------------------------------------------------------------------------- */

static bool flush(struct export *x)
{
    size_t len = (size_t)(x->at - x->buffer);
    x->at = x->buffer;
    return len == 0 || x->output->write(x->output->data, x->buffer, len) ||
           error_set_errno(x->err, ERROR_IO, NULL, "the export could not be written");
}

/* Makes room for `len` bytes more. */
static bool reserve(struct export *x, size_t len)
{
    size_t used = (size_t)(x->at - x->buffer);
    if (used >= FLUSH_AT && !flush(x))
        return false;
    used = (size_t)(x->at - x->buffer);
    if (x->room - used < len) {
        x->room = used + len;
        x->buffer = xrealloc(x->buffer, x->room);
        x->at = x->buffer + used;
    }
    return true;
}

static char *put(char *at, struct slice text)
{
    if (text.len)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

#define PUT(at, literal) put(at, (struct slice){literal, sizeof literal - 1})

static const char *escape_of(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* A string of JSON: runs that need no escape are copied whole. */
static char *put_json_text(char *at, struct slice text)
{
    size_t from = 0;
    *at++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        const char *escape = escape_of(c);
        at = put(at, (struct slice){text.ptr + from, i - from});
        at = escape ? put(at, slice_of(escape)) : at + snprintf(at, WORST + 1, "\\u%04x", c);
        from = i + 1;
    }
    at = put(at, (struct slice){text.ptr + from, text.len - from});
    *at++ = '"';
    return at;
}

/* The shortest of 15 and 17 digits that reads back the same; whole numbers as such, but for -0,
 * which a whole number cannot be. */
static char *put_number(char *at, double value)
{
    if (value == 0 && signbit(value))
        return PUT(at, "-0.0");
    if (value == floor(value) && fabs(value) < 1e15)
        return at + snprintf(at, NUMBER_MAX, "%lld", (long long)value);
    int len = snprintf(at, NUMBER_MAX, "%.15g", value);
    if (strtod(at, NULL) != value)
        len = snprintf(at, NUMBER_MAX, "%.17g", value);
    return at + len;
}

static char *put_time(char *at, int64_t when)
{
    char text[WHEN_TEXT_MAX];
    return put(at, slice_of(when_format(when, text)));
}

/* --- events --------------------------------------------------------------------------------- */

static size_t text_bytes(const struct export *x, const struct event *event)
{
    return x->customer.len + event->id.len + event->name.len + event->variant.len +
           event->attributes.len + event->comment.len + event->stage.len + event->channel.len;
}

static char *put_member(char *at, const char *name, struct slice text)
{
    return text.len ? put_json_text(put(at, slice_of(name)), text) : at;
}

static char *put_json_event(char *at, struct slice customer, const struct event *event)
{
    bool outcome = event->type == EVENT_OUTCOME;
    at = put(at, slice_of(event->type == EVENT_EXPOSURE ? "{\"type\":\"exposure\",\"customer\":"
                          : outcome                     ? "{\"type\":\"outcome\",\"customer\":"
                                                        : "{\"type\":\"feedback\",\"customer\":"));
    at = put_json_text(at, customer);
    at = put_member(at, ",\"id\":", event->id);
    if (event->type == EVENT_EXPOSURE) {
        at = put_member(at, ",\"experiment\":", event->name);
        at = put_member(at, ",\"variant\":", event->variant);
        if (event->attributes.len)
            at = put(PUT(at, ",\"attributes\":"), event->attributes);
    } else {
        at = put_member(at, outcome ? ",\"name\":" : ",\"survey\":", event->name);
        if (event->has_value)
            at = put_number(put(at, slice_of(outcome ? ",\"value\":" : ",\"score\":")),
                            event->value);
        at = put_member(at, ",\"comment\":", event->comment);
        at = put_member(at, ",\"stage\":", event->stage);
    }
    at = put_member(at, ",\"channel\":", event->channel);
    if (event->timed)
        at = PUT(put_time(PUT(at, ",\"at\":\""), event->at), "\"");
    return PUT(put_time(PUT(at, ",\"received\":\""), event->received), "\"}\n");
}

/* A field of CSV: quoted where RFC 4180 asks for it, and where it begins like a formula. */
static char *put_csv_text(char *at, struct slice text)
{
    bool quoted = text.len && strchr("=+-@\t\r", text.ptr[0]);
    for (size_t i = 0; !quoted && i < text.len; i++)
        quoted =
            text.ptr[i] == '"' || text.ptr[i] == ',' || text.ptr[i] == '\n' || text.ptr[i] == '\r';
    if (!quoted)
        return put(at, text);
    *at++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            *at++ = '"';
        *at++ = text.ptr[i];
    }
    *at++ = '"';
    return at;
}

/* In the order of EXPORT_CSV_HEADER. */
static char *put_csv_event(char *at, struct slice customer, const struct event *event)
{
    static const struct slice none = {"", 0};
    bool exposure = event->type == EVENT_EXPOSURE, outcome = event->type == EVENT_OUTCOME;
    at = put(at, slice_of(exposure ? "exposure," : outcome ? "outcome," : "feedback,"));
    at = PUT(put_csv_text(at, customer), ",");
    if (event->timed)
        at = put_time(at, event->at);
    at = PUT(put_time(PUT(at, ","), event->received), ",");
    at = PUT(put_csv_text(at, event->id), ",");
    at = PUT(put_csv_text(at, event->channel), ",");
    at = PUT(put_csv_text(at, exposure ? event->name : none), ",");
    at = PUT(put_csv_text(at, event->variant), ",");
    at = PUT(put_csv_text(at, event->attributes), ",");
    at = PUT(put_csv_text(at, outcome ? event->name : none), ",");
    if (outcome && event->has_value)
        at = put_number(at, event->value);
    at = PUT(put_csv_text(PUT(at, ","), !exposure && !outcome ? event->name : none), ",");
    if (!exposure && !outcome)
        at = put_number(at, event->value);
    at = PUT(put_csv_text(PUT(at, ","), event->comment), ",");
    return PUT(put_csv_text(at, event->stage), "\r\n");
}

/* --- what is wanted ------------------------------------------------------------------------- */

static bool counts(const struct metric *metric, const struct event *event)
{
    bool survey = event->type == EVENT_FEEDBACK;
    if (!metric || survey != metric_kind_is_survey(metric->kind))
        return false;
    return slice_is(event->name, metric->event) ||
           (metric->denominator && slice_is(event->name, metric->denominator));
}

/* Whether a metric of any phase is made of it. */
static bool is_counted(const struct export *x, const struct event *event)
{
    for (int phase = 1; phase <= x->experiment->phase; phase++) {
        const struct experiment *then = experiment_in_phase(x->experiment, phase);
        for (size_t i = 0; then && i < then->metric_count; i++)
            if (counts(catalog_metric(x->catalog, slice_of(then->metrics[i].key)), event))
                return true;
    }
    return false;
}

static bool is_wanted(const struct export *x, const struct event *event)
{
    int64_t at = event_time(event);
    if (at < x->options->from || at >= x->options->to ||
        (x->options->type && (int)event->type != x->options->type))
        return false;
    if (!x->experiment)
        return true;
    return event->type == EVENT_EXPOSURE ? slice_is(event->name, x->experiment->key)
                                         : is_counted(x, event);
}

static bool damaged(struct export *x, uint64_t customer)
{
    return error_set(x->err, ERROR_CORRUPT, NULL, "an event of customer number %llu is damaged",
                     (unsigned long long)customer);
}

/* Whether the customer has an exposure of the experiment: a walk of its own before theirs, so that
 * nothing has to be kept. */
static bool is_exposed(struct export *x, uint64_t customer)
{
    struct store_key prefix = ledger_key(customer, LEDGER_EVENT);
    struct store_cursor *cursor = store_walk(x->txn, STORE_CUSTOMER, key_slice(&prefix), NO_SLICE);
    struct slice key, record;
    struct event event;
    bool exposed = false;
    while (!exposed && store_next(cursor, &key, &record))
        exposed = event_decode(record, &event) && event.type == EVENT_EXPOSURE &&
                  slice_is(event.name, x->experiment->key);
    store_walk_end(&cursor);
    return exposed;
}

/* --- the walk ------------------------------------------------------------------------------- */

static bool write_event(struct export *x, uint64_t customer, struct slice record)
{
    struct event event;
    if (!event_decode(record, &event))
        return damaged(x, customer);
    if (!is_wanted(x, &event))
        return true;
    if (!reserve(x, WORST * text_bytes(x, &event) + SPARE))
        return false;
    x->at = x->options->csv ? put_csv_event(x->at, x->customer, &event)
                            : put_json_event(x->at, x->customer, &event);
    x->events++;
    return true;
}

static bool write_row(struct export *x, struct slice key, struct slice record)
{
    uint64_t customer;
    uint8_t kind;
    if (!unkey_u64(&key, &customer) || !unkey_u8(&key, &kind))
        return error_set(x->err, ERROR_CORRUPT, NULL, "a key of the table of customers is damaged");
    if (kind == LEDGER_PROFILE) {
        x->customer = record;
        x->number = customer;
        x->wanted = !x->experiment || is_exposed(x, customer);
        if (x->output->progress && customer % PROGRESS_EVERY == 0)
            x->output->progress(x->output->data, (double)customer / (double)x->last);
    }
    if (kind == LEDGER_EVENT && x->number != customer) /* not under the id of another */
        return error_set(x->err, ERROR_CORRUPT, NULL, "customer number %llu has no id",
                         (unsigned long long)customer);
    return kind != LEDGER_EVENT || !x->wanted || write_event(x, customer, record);
}

static bool write_events(struct export *x)
{
    struct store_cursor *cursor = store_walk(x->txn, STORE_CUSTOMER, NO_SLICE, NO_SLICE);
    struct slice key, record;
    bool ok = true;
    x->last = ledger_last_customer(x->txn);
    while (ok && store_next(cursor, &key, &record))
        ok = write_row(x, key, record);
    store_walk_end(&cursor);
    return ok && store_healthy(x->txn, x->err);
}

/* --- definitions and looks ------------------------------------------------------------------ */

static bool write_text(struct export *x, const char *before, struct slice text, const char *after)
{
    if (!reserve(x, strlen(before) + text.len + strlen(after)))
        return false;
    x->at = put(put(put(x->at, slice_of(before)), text), slice_of(after));
    return true;
}

static bool uses(const struct experiment *experiment, const char *metric)
{
    for (int phase = 1; phase <= experiment->phase; phase++) {
        const struct experiment *then = experiment_in_phase(experiment, phase);
        for (size_t i = 0; then && i < then->metric_count; i++)
            if (strcmp(then->metrics[i].key, metric) == 0)
                return true;
    }
    return false;
}

/* NULL where it is not wanted. */
static char *metric_text(const struct export *x, uint32_t number)
{
    const struct metric *metric = catalog_metric_numbered(x->catalog, number);
    bool wanted = metric && (!x->experiment || uses(x->experiment, metric->key));
    return wanted ? metric_stored(metric) : NULL;
}

static char *experiment_text(const struct export *x, uint32_t number)
{
    const struct experiment *experiment = catalog_experiment_numbered(x->catalog, number);
    bool wanted = experiment && (!x->experiment || x->experiment == experiment);
    return wanted ? experiment_stored(experiment) : NULL;
}

/* In the order of their numbers, so that they keep them where they are read back. */
static bool write_definitions(struct export *x, enum store_table table, const char *before,
                              char *(*text_of)(const struct export *x, uint32_t number))
{
    struct store_cursor *cursor = store_walk(x->txn, table, NO_SLICE, NO_SLICE);
    struct slice key, value;
    uint32_t number;
    bool ok = true;
    while (ok && store_next(cursor, &key, &value)) {
        char *text = unkey_u32(&key, &number) ? text_of(x, number) : NULL;
        ok = !text || write_text(x, before, slice_of(text), "}\n");
        free(text);
    }
    store_walk_end(&cursor);
    return ok;
}

static bool write_look(void *data, struct look_of of, int64_t day_start, const json_t *summary,
                       const struct look *look)
{
    struct export *x = data;
    const struct experiment *experiment = catalog_experiment_numbered(x->catalog, of.experiment);
    if (!experiment || (x->experiment && experiment != x->experiment))
        return true;
    json_t *line = json_pack("{s:s, s:i, s:I, s:O, s:O, s:O}", "experiment", experiment->key,
                             "phase", of.phase, "day_start", (json_int_t)day_start, "summary",
                             summary, "results", look->results, "counted", look->counted);
    char *text = json_text(line);
    bool ok = write_text(x, "{\"look\":", slice_of(text), "}\n");
    free(text);
    json_decref(line);
    return ok;
}

static bool write_head(struct export *x)
{
    char head[64 + WHEN_TEXT_MAX], at[WHEN_TEXT_MAX];
    if (x->options->csv)
        return write_text(x, EXPORT_CSV_HEADER, NO_SLICE, "\r\n");
    if (x->options->events_only)
        return true;
    snprintf(head, sizeof head, "{\"export\":{\"version\":%d,\"at\":\"%s\"}}\n", EXPORT_VERSION,
             when_format(x->options->now, at));
    return write_text(x, head, NO_SLICE, "") &&
           write_definitions(x, STORE_METRIC, "{\"metric\":", metric_text) &&
           write_definitions(x, STORE_EXPERIMENT, "{\"experiment\":", experiment_text) &&
           look_each(x->txn, NULL, write_look, x, x->err);
}

static bool write_end(struct export *x)
{
    char end[64];
    if (x->options->csv || x->options->events_only)
        return true;
    snprintf(end, sizeof end, "{\"end\":{\"events\":%llu}}\n", (unsigned long long)x->events);
    return write_text(x, end, NO_SLICE, "");
}

bool export_store(struct store_txn *txn, const struct catalog *catalog,
                  const struct export_options *options, const struct export_output *output,
                  uint64_t *events, struct error *err)
{
    struct export x = {.txn = txn,
                       .catalog = catalog,
                       .options = options,
                       .output = output,
                       .wanted = true,
                       .err = err};
    if (options->experiment) {
        x.experiment = catalog_experiment(catalog, slice_of(options->experiment));
        if (!x.experiment)
            return error_set(err, ERROR_NOT_FOUND, NULL, "there is no experiment '%s'",
                             options->experiment);
    }
    x.room = 2 * FLUSH_AT;
    x.at = x.buffer = xmalloc(x.room);
    bool ok = write_head(&x) && write_events(&x) && write_end(&x) && flush(&x);
    free(x.buffer);
    *events = x.events;
    return ok;
}
