/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trail is walked once for the definitions of all looks, history once for their tallies; then
 * each look is made and compared. */
#include "core/replay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/audit.h"
#include "core/definitions.h"
#include "core/folded.h"
#include "core/gathered.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/look.h"
#include "core/results.h"
#include "core/tally.h"
#include "core/when.h"

enum { WHY_MAX = 400, POINTER_MAX = 400, SAID_MAX = 4 };

/* One look on its way. */
struct one {
    struct look look;
    json_t *before; /* the look before: {results, counted}, or null */
    int64_t at;     /* ms */
    struct catalog *catalog;
    const struct experiment *experiment; /* as the catalog has it */
    struct tally_set *tallies;
    uint64_t events, sealed;
    char why[WHY_MAX]; /* not empty: it is impossible */
};

struct replaying {
    struct store_txn *txn;
    const struct replay_options *options;
    struct catalog *present; /* the definitions of now */
    struct look_of of;
    struct one *list; /* oldest first */
    size_t count, room;
    json_t *experiments, *metrics; /* while the trail is walked: by key, whole */
    size_t reached;                /* looks whose place in the trail was passed */
    json_t *last;                  /* while looks are collected: the one before, likewise */
    json_t *last_at;
};

static void impossible(struct one *one, const char *why)
{
    if (!one->why[0])
        snprintf(one->why, sizeof one->why, "%s", why);
}

/* --- looks ---------------------------------------------------------------------------------- */

/* What a look's running figures went on from: its own copy, or the look that is still there. */
static json_t *look_before(struct replaying *replaying, struct one *one)
{
    json_t *before = json_object_get(one->look.made_of, "before");
    if (json_is_null(before) || json_is_object(before))
        return json_incref(before);
    if (json_is_string(before) && json_equal(before, replaying->last_at))
        return json_incref(replaying->last);
    impossible(one, "the look before it is not there any more");
    return NULL;
}

static void add_look(struct replaying *replaying, const struct look *look, int64_t at)
{
    if (!replaying->options->all && replaying->count > 0) {
        struct one *old = &replaying->list[--replaying->count];
        look_release(&old->look);
        json_decref(old->before);
    }
    if (replaying->count == replaying->room) {
        replaying->room = replaying->room ? 2 * replaying->room : 16;
        replaying->list = xrealloc(replaying->list, replaying->room * sizeof *replaying->list);
    }
    struct one *one = &replaying->list[replaying->count++];
    *one = (struct one){.at = at};
    one->look = (struct look){json_incref(look->results), json_incref(look->counted),
                              json_incref(look->made_of)};
    if (!look->made_of)
        impossible(one, "it came by import: the store that took it has its history");
    else
        one->before = look_before(replaying, one);
}

static bool collect(void *data, struct look_of of, int64_t day_start, const json_t *summary,
                    const struct look *look)
{
    struct replaying *replaying = data;
    int64_t at = INT64_MAX;
    const char *text = json_string_value(json_object_get(look->results, "as_of"));
    (void)of;
    (void)day_start;
    (void)summary;
    if (!text || !when_parse(slice_of(text), &at) || at > replaying->options->until)
        return true;
    add_look(replaying, look, at);
    json_decref(replaying->last);
    json_decref(replaying->last_at);
    replaying->last = json_pack("{s:O, s:O}", "results", look->results, "counted", look->counted);
    replaying->last_at = json_incref(json_object_get(look->results, "as_of"));
    return true;
}

/* Finds the experiment by the definitions of now; of those of then its key is the same. */
static bool find_phase(struct replaying *replaying, struct error *err)
{
    struct slice key = replaying->options->experiment;
    replaying->present = definitions_catalog(replaying->txn, err);
    if (!replaying->present)
        return false;
    const struct experiment *experiment = catalog_experiment(replaying->present, key);
    int phase = replaying->options->phase;
    bool good = true;
    if (!experiment)
        good = error_set(err, ERROR_NOT_FOUND, NULL, "there is no experiment '%.*s'",
                         (int)(key.len < 64 ? key.len : 64), key.ptr);
    else if (phase > experiment->phase)
        good = error_set(err, ERROR_NOT_FOUND, "phase", "there was no phase %d", phase);
    else
        replaying->of =
            (struct look_of){experiment->number, (uint16_t)(phase ? phase : experiment->phase)};
    return good;
}

static bool collect_looks(struct replaying *replaying, struct error *err)
{
    if (!look_each(replaying->txn, &replaying->of, collect, replaying, err))
        return false;
    return replaying->count > 0 ||
           error_set(err, ERROR_NOT_FOUND, NULL, "no look of it was kept by then");
}

/* --- definitions ---------------------------------------------------------------------------- */

/* The experiments of a list of wholes by key; those that cannot be read are left out. */
static struct experiment **read_experiments(json_t *wholes, size_t *count)
{
    struct experiment **list = xcalloc(json_object_size(wholes) + 1, sizeof *list);
    const char *key;
    json_t *whole;
    json_object_foreach(wholes, key, whole)
    {
        struct error unread = {0};
        char *text = json_text(whole);
        struct experiment *experiment = experiment_from_stored(text, strlen(text), &unread);
        if (experiment)
            list[(*count)++] = experiment;
        free(text);
    }
    return list;
}

static struct metric **read_metrics(json_t *wholes, size_t *count)
{
    struct metric **list = xcalloc(json_object_size(wholes) + 1, sizeof *list);
    const char *key;
    json_t *whole;
    json_object_foreach(wholes, key, whole)
    {
        struct error unread = {0};
        char *text = json_text(whole);
        struct metric *metric = metric_from_stored(text, strlen(text), &unread);
        if (metric)
            list[(*count)++] = metric;
        free(text);
    }
    return list;
}

static struct catalog *make_catalog(const struct replaying *replaying)
{
    size_t experiment_count = 0, metric_count = 0;
    struct experiment **experiments = read_experiments(replaying->experiments, &experiment_count);
    struct metric **metrics = read_metrics(replaying->metrics, &metric_count);
    struct catalog *catalog = catalog_new(1, experiments, experiment_count, metrics, metric_count);
    for (size_t i = 0; i < experiment_count; i++)
        experiment_unref(&experiments[i]);
    for (size_t i = 0; i < metric_count; i++)
        metric_unref(&metrics[i]);
    free(experiments);
    free(metrics);
    return catalog;
}

/* The definitions are there as they were when the look was taken. */
static void define(const struct replaying *replaying, struct one *one, const char *digest)
{
    const char *taken = json_string_value(json_object_get(one->look.made_of, "digest"));
    if (!taken || strcmp(taken, digest) != 0) {
        impossible(one, "the trail was another one when it was taken");
        return;
    }
    one->catalog = make_catalog(replaying);
    one->experiment = catalog_experiment_numbered(one->catalog, replaying->of.experiment);
    if (!one->experiment || !experiment_in_phase(one->experiment, replaying->of.phase))
        impossible(one, "the trail does not tell the definition of then");
}

static json_int_t trail_of(const struct one *one)
{
    return json_integer_value(json_object_get(one->look.made_of, "trail"));
}

static const char *text_in(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

static void apply(json_t *wholes, const json_t *row)
{
    json_t *after = json_object_get(row, "after");
    if (json_is_object(after))
        json_object_set(wholes, text_in(row, "key"), after);
    else
        json_object_del(wholes, text_in(row, "key"));
}

static bool walk_row(void *data, json_t *row)
{
    struct replaying *replaying = data;
    const char *action = text_in(row, "action");
    if (strncmp(action, "experiment.", 11) == 0)
        apply(replaying->experiments, row);
    else if (strncmp(action, "metric.", 7) == 0)
        apply(replaying->metrics, row);
    json_int_t number = json_integer_value(json_object_get(row, "number"));
    for (size_t i = replaying->reached;
         i < replaying->count && trail_of(&replaying->list[i]) <= number; i++) {
        struct one *one = &replaying->list[i];
        if (!one->why[0] && trail_of(one) == number)
            define(replaying, one, text_in(row, "digest"));
        replaying->reached = i + 1;
    }
    return true;
}

static bool find_definitions(struct replaying *replaying, struct error *err)
{
    if (!audit_verify(replaying->txn, NULL, err))
        return false;
    replaying->experiments = json_object();
    replaying->metrics = json_object();
    bool ok = audit_each(replaying->txn, 1, walk_row, replaying, err);
    json_decref(replaying->experiments);
    json_decref(replaying->metrics);
    for (size_t i = 0; ok && i < replaying->count; i++)
        if (!replaying->list[i].catalog)
            impossible(&replaying->list[i], "the trail does not reach to it: rows were cut off");
    return ok;
}

/* --- tallies -------------------------------------------------------------------------------- */

static bool count_all(struct replaying *replaying, void (*progress)(void *data, double done),
                      void *data, struct error *err)
{
    struct ledger_then *moments = xcalloc(replaying->count, sizeof *moments);
    struct one **ones = xcalloc(replaying->count, sizeof(struct one *));
    size_t count = 0;
    for (size_t i = 0; i < replaying->count; i++) {
        struct one *one = &replaying->list[i];
        if (one->why[0])
            continue;
        one->tallies = tally_set_new(NULL);
        moments[count] = (struct ledger_then){.catalog = one->catalog,
                                              .experiment = one->experiment,
                                              .phase = replaying->of.phase,
                                              .cut = one->at,
                                              .tallies = one->tallies};
        ones[count++] = one;
    }
    bool ok =
        ledger_count_then(replaying->txn, replaying->present, moments, count, progress, data, err);
    for (size_t i = 0; i < count; i++) {
        ones[i]->events = moments[i].events;
        ones[i]->sealed = moments[i].sealed;
    }
    free(moments);
    free(ones);
    return ok;
}

/* --- making and comparing ------------------------------------------------------------------- */

static json_t *make(const struct replaying *replaying, const struct one *one, struct error *err)
{
    const json_t *made_of = one->look.made_of;
    struct gathered g = {.catalog = one->catalog,
                         .present = one->experiment,
                         .experiment = experiment_in_phase(one->experiment, replaying->of.phase),
                         .phase = replaying->of.phase,
                         .now = one->at,
                         .event_at = json_integer_value(json_object_get(made_of, "event_at")),
                         .rejected = json_integer_value(json_object_get(made_of, "rejected")),
                         .sealed = json_integer_value(json_object_get(made_of, "sealed")),
                         .sealed_since =
                             json_integer_value(json_object_get(made_of, "sealed_since")),
                         .last = {json_incref(json_object_get(one->before, "results")),
                                  json_incref(json_object_get(one->before, "counted")), NULL},
                         .interaction = json_incref(json_object_get(made_of, "interaction"))};
    gathered_take(one->tallies, &g);
    g.look = g.look_due; /* a look that is due is taken by the one that is kept */
    json_t *results = results_make(&g, err);
    gathered_release(&g);
    return results;
}

/* Appends a part of a JSON pointer. */
static void point(char pointer[POINTER_MAX], size_t len, const char *name)
{
    pointer[len++] = '/';
    for (; *name && len + 3 < POINTER_MAX; name++) {
        if (*name == '~' || *name == '/')
            pointer[len++] = '~';
        pointer[len++] = *name == '~' ? '0' : *name == '/' ? '1' : *name;
    }
    pointer[len] = '\0';
}

/* Whether two values are the same as text, their members in order; else where they first differ. */
static bool same(const json_t *a, const json_t *b, char pointer[POINTER_MAX])
{
    size_t len = strlen(pointer);
    const char *name;
    json_t *value;
    bool equal = true;
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach((json_t *)(uintptr_t)a, name, value)
        {
            point(pointer, len, name);
            if (!same(value, json_object_get(b, name), pointer))
                return false;
        }
        json_object_foreach((json_t *)(uintptr_t)b, name, value)
        {
            point(pointer, len, name);
            if (!json_object_get(a, name))
                return false;
        }
    } else if (json_is_array(a) && json_is_array(b)) {
        size_t most =
            json_array_size(a) > json_array_size(b) ? json_array_size(a) : json_array_size(b);
        for (size_t i = 0; i < most; i++) {
            char number[24];
            snprintf(number, sizeof number, "%zu", i);
            point(pointer, len, number);
            if (!same(json_array_get(a, i), json_array_get(b, i), pointer))
                return false;
        }
    } else {
        equal = json_equal(a, b);
    }
    if (equal)
        pointer[len] = '\0';
    return equal;
}

/* What may have happened to history since, in words. */
struct since {
    char why[WHY_MAX];
    size_t count;
};

static void say(struct since *since, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct since *since, const char *format, ...)
{
    size_t len = strlen(since->why);
    va_list arguments;
    if (since->count++ >= SAID_MAX)
        return;
    if (len)
        len += (size_t)snprintf(since->why + len, sizeof since->why - len, ", ");
    va_start(arguments, format);
    vsnprintf(since->why + len, sizeof since->why - len, format, arguments);
    va_end(arguments);
}

/* The rows of the trail that tell of a change of history. */
static bool note_since(void *data, json_t *row)
{
    static const struct {
        const char *action, *what;
    } changes[] = {{"customer.erase", "a customer was erased"},
                   {"customer.consent", "a customer's consent was recorded"},
                   {"history.drop", "history was dropped"},
                   {"history.import", "events were imported with earlier arrivals"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if (strcmp(text_in(row, "action"), changes[i].action) == 0)
            say(data, "%s (row %lld)", changes[i].what,
                (long long)json_integer_value(json_object_get(row, "number")));
    return true;
}

static bool find_reasons(const struct replaying *replaying, const struct one *one,
                         struct since *since, struct error *err)
{
    if (one->sealed)
        say(since, "%llu units were sealed", (unsigned long long)one->sealed);
    if (!audit_each(replaying->txn, (uint64_t)trail_of(one) + 1, note_since, since, err))
        return false;
    size_t len = strlen(since->why);
    if (since->count > SAID_MAX)
        snprintf(since->why + len, sizeof since->why - len, " and %zu more",
                 since->count - SAID_MAX);
    return true;
}

static bool tell_made(const struct replaying *replaying, const struct one *one, json_t *made,
                      struct replay_told *told,
                      void (*tell)(void *data, const struct replay_told *told), void *data,
                      struct error *err)
{
    char pointer[POINTER_MAX] = "";
    struct since since = {.count = 0};
    char *a = json_text(one->look.results), *b = folded_text(made);
    bool equal = strcmp(a, b) == 0, ok = true;
    /* As it is read back: a figure is what its text says. */
    json_t *reread = json_parse(b, strlen(b), err);
    told->made = reread;
    if (!equal) {
        told->outcome = REPLAY_DIFFERENT;
        same(one->look.results, reread, pointer);
        ok = find_reasons(replaying, one, &since, err);
    }
    told->pointer = pointer;
    told->why = since.why;
    if (ok && reread)
        tell(data, told);
    free(a);
    free(b);
    json_decref(reread);
    return ok && reread;
}

static bool replay_one(const struct replaying *replaying, struct one *one,
                       void (*tell)(void *data, const struct replay_told *told), void *data,
                       struct error *err)
{
    struct error wrong = {0};
    char line[ERROR_LINE_MAX];
    struct replay_told told = {.outcome = REPLAY_SAME,
                               .phase = replaying->of.phase,
                               .recorded = one->look.results,
                               .events = one->events,
                               .pointer = ""};
    json_t *made = one->why[0] ? NULL : make(replaying, one, &wrong);
    if (!made && !one->why[0])
        impossible(one, error_line(&wrong, line));
    bool ok = true;
    if (made) {
        ok = tell_made(replaying, one, made, &told, tell, data, err);
    } else {
        told.outcome = REPLAY_IMPOSSIBLE;
        told.why = one->why;
        tell(data, &told);
    }
    json_decref(made);
    return ok;
}

static void release(struct replaying *replaying)
{
    for (size_t i = 0; i < replaying->count; i++) {
        struct one *one = &replaying->list[i];
        look_release(&one->look);
        json_decref(one->before);
        catalog_free(&one->catalog);
        tally_set_free(&one->tallies);
    }
    free(replaying->list);
    catalog_free(&replaying->present);
    json_decref(replaying->last);
    json_decref(replaying->last_at);
}

bool replay(struct store_txn *txn, const struct replay_options *options,
            void (*tell)(void *data, const struct replay_told *told),
            void (*progress)(void *data, double done), void *data, struct error *err)
{
    struct replaying replaying = {.txn = txn, .options = options};
    bool ok = find_phase(&replaying, err) && collect_looks(&replaying, err) &&
              find_definitions(&replaying, err) && count_all(&replaying, progress, data, err);
    for (size_t i = 0; ok && i < replaying.count; i++)
        ok = replay_one(&replaying, &replaying.list[i], tell, data, err);
    release(&replaying);
    return ok;
}
