/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift import: a table of a finished experiment becomes metrics, an experiment and events, sent
 * through the same ingest as any other. The file is read twice: the first time to see which columns
 * hold yes and no, the second time to send the rows.
 *
 * The experiment is dated one day back: covariates before its start, exposures at it, outcomes
 * behind it. It is stopped at the end, so its data is complete and no decision is too early. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/import_parts.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "core/analysis.h"
#include "core/csv.h"
#include "core/definitions.h"
#include "core/health.h"
#include "core/folded.h"
#include "core/uplift.h"

static const char help[] =
    "Usage: uplift import FILE --data DIR [--events]\n"
    "       uplift import FILE --data DIR --experiment KEY --variant COLUMN\n"
    "                     --outcome COLUMN[:KIND[:decrease]]... [OPTION]...\n"
    "Reads an export back, or a finished experiment from a CSV file and reports on it. The\n"
    "file may be compressed by gzip.\n"
    "\n"
    "  --data DIR                  the data folder; no server may run on it\n"
    "  --events                    the file has events, one a line as POST /v1/events takes\n"
    "                              them, or in the columns of an export; an export needs no word\n"
    "  --experiment KEY            the experiment to create\n"
    "  --variant COLUMN            the column that tells the variant\n"
    "  --control VALUE             the variant that is the control [the first one seen]\n"
    "  --customer COLUMN           the column of ids [each row is a customer]\n"
    "  --outcome COLUMN[:KIND[:decrease]]\n"
    "                              what to measure; binary or mean; the first is the primary\n"
    "  --covariate COLUMN:OUTCOME  known from before, explains an outcome (CUPED)\n"
    "  --segment COLUMN            report the groups of this column apart\n"
    "  --method M                  sequential, fixed, exact, msprt or bayesian [sequential]\n"
    "  --effect E                  relative or absolute [relative; absolute for exact]\n"
    "  --report FORMAT             text or json [text]\n"
    "  --pseudonymise FILE         the store has, or is to have, pseudonyms for ids; their key\n"
    "  --require-consent           take nothing of customers whose consent is not recorded\n"
    "  --help                      print this help\n";

/* A schedule has nothing to look at between the first row and the last. */
static const char *const methods[] = {"sequential", "fixed", "exact", "msprt", "bayesian", NULL};
static const char *const effects[] = {"relative", "absolute", NULL};
static const char *const reports[] = {"text", "json", NULL};

enum { BATCH = 2000, SHOWN_MAX = 20 };

/* --- what both readers tell ------------------------------------------------------------------ */

void import_tell_refused(uint64_t *refused, const char *path, uint64_t line, const char *why)
{
    if ((*refused)++ >= SHOWN_MAX)
        return;
    if (line)
        fprintf(stderr, "uplift import: %s: line %llu: %s\n", path, (unsigned long long)line, why);
    else
        fprintf(stderr, "uplift import: %s: a row is refused: %s\n", path, why);
}

void import_tell_more(uint64_t refused, const char *path)
{
    if (refused > SHOWN_MAX)
        fprintf(stderr, "uplift import: %s: and %llu more\n", path,
                (unsigned long long)(refused - SHOWN_MAX));
}

/* --- definitions ---------------------------------------------------------------------------- */

static bool is_made(json_t *made)
{
    json_decref(made);
    return made != NULL;
}

static json_t *metric_input(const struct import *import, const struct import_outcome *outcome)
{
    json_t *input =
        json_pack("{s:s, s:s, s:s, s:s+++, s:s}", "key", outcome->key, "name", outcome->column,
                  "kind", outcome->kind, "event", import->experiment, ".", outcome->key, "", "goal",
                  outcome->decrease ? "decrease" : "increase");
    if (outcome->covariate >= 0)
        json_object_set_new(input, "covariate_days", json_integer(1));
    return input;
}

static bool make_metrics(struct import *import, struct definition_change *change, struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < import->outcome_count; i++) {
        json_t *input = metric_input(import, &import->outcomes[i]);
        ok = is_made(uplift_metric_create(import->uplift, change, input, err));
        json_decref(input);
    }
    return ok;
}

static json_t *experiment_input(const struct import *import)
{
    json_t *variants = json_array(), *segments = json_array(), *primary = json_array(),
           *secondary = json_array();
    for (size_t i = 0; i < import->variant_count; i++) {
        char key[128];
        import_key(import->variants[i], key);
        json_array_append_new(variants,
                              json_pack("{s:s, s:s}", "key", key, "name", import->variants[i]));
    }
    for (size_t i = 0; i < import->segment_words.count; i++)
        json_array_append_new(segments, json_string(import->segment_words.values[i]));
    for (size_t i = 0; i < import->outcome_count; i++)
        json_array_append_new(i ? secondary : primary, json_string(import->outcomes[i].key));
    return json_pack("{s:s, s:o, s:o, s:{s:o, s:o}, s:{s:s, s:s*}}", "key", import->experiment,
                     "variants", variants, "segments", segments, "metrics", "primary", primary,
                     "secondary", secondary, "design", "method", import->method, "effect",
                     import->effect);
}

/* Whether a key is free; else says so with the option that gave it. */
static bool is_free(json_t *found, const char *option, const char *what, const char *key,
                    struct error *err)
{
    bool taken = found != NULL;
    json_decref(found);
    return !taken || error_set(err, ERROR_CONFLICT, option, "there is %s '%s' already", what, key);
}

/* Everything that can be wrong with the definitions is found before the first one is written. */
static bool definitions_fit(const struct import *import, struct error *err)
{
    struct error none = {0};
    struct slice key = slice_of(import->experiment);
    if (!is_free(uplift_experiment_get(import->uplift, key, &none), "--experiment", "an experiment",
                 import->experiment, err))
        return false;
    for (size_t i = 0; i < import->outcome_count; i++) {
        const struct import_outcome *outcome = &import->outcomes[i];
        if (!is_free(uplift_metric_get(import->uplift, slice_of(outcome->key), &none), "--outcome",
                     "a metric", outcome->key, err))
            return false;
        json_t *input = metric_input(import, outcome);
        struct metric *metric = metric_create(input, 1, import->started_at, err);
        json_decref(input);
        if (!metric) {
            error_prefix(err, "--outcome");
            return false;
        }
        metric_unref(&metric);
    }
    json_t *input = experiment_input(import);
    struct experiment *experiment = experiment_create(input, 1, import->started_at, err);
    json_decref(input);
    bool fits = experiment != NULL;
    experiment_unref(&experiment);
    return fits;
}

static bool make_experiment(struct import *import, struct definition_change *change,
                            struct error *err)
{
    json_t *input = experiment_input(import);
    bool ok = is_made(uplift_experiment_create(import->uplift, change, input, err)) &&
              is_made(uplift_experiment_transition(
                  import->uplift, change, slice_of(import->experiment), STEP_START, NULL, err));
    json_decref(input);
    return ok;
}

/* --- second reading: rows become events ----------------------------------------------------- */

/* With an id of its own, so that two rows that say the same of a customer are two events. */
static json_t *outcome_event(const struct import *import, const struct import_outcome *outcome,
                             const struct csv_row *row, const char *customer, double value,
                             int64_t at)
{
    char id[200];
    snprintf(id, sizeof id, "%s.%s.%llu", import->experiment, outcome->key,
             (unsigned long long)row->line);
    return json_pack("{s:s, s:s, s:s, s:s+++, s:f, s:I}", "id", id, "type", "outcome", "customer",
                     customer, "name", import->experiment, ".", outcome->key, "", "value", value,
                     "at", (json_int_t)at);
}

/* The events of one row, or why there are none. */
static const char *row_events(const struct import *import, const struct csv_row *row,
                              const char *customer, json_t *events)
{
    char key[128];
    const char *variant = row->fields[import->variant_at].ptr;
    if (!*variant)
        return "no variant";
    if (!*customer || strlen(customer) > 256)
        return "the customer must be 1 to 256 bytes";
    import_key(variant, key);
    json_t *attributes = json_object();
    for (size_t i = 0; i < import->segment_words.count; i++)
        json_object_set_new(attributes, import->segment_words.values[i],
                            json_string(row->fields[import->segments_at[i]].ptr));
    json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "type", "exposure",
                                            "customer", customer, "experiment", import->experiment,
                                            "variant", key, "at", (json_int_t)import->started_at,
                                            "attributes", attributes));
    for (size_t i = 0; i < import->outcome_count; i++) {
        const struct import_outcome *outcome = &import->outcomes[i];
        bool binary = strcmp(outcome->kind, "binary") == 0;
        double value, before = 0;
        if (!import_value(row->fields[outcome->at].ptr, binary, &value))
            return "an outcome cannot be read";
        if (outcome->covariate >= 0 &&
            !import_value(row->fields[outcome->covariate].ptr, binary, &before))
            return "a covariate cannot be read";
        if (before != 0)
            json_array_append_new(events, outcome_event(import, outcome, row, customer, before,
                                                        import->started_at - 1000));
        if (value != 0)
            json_array_append_new(events, outcome_event(import, outcome, row, customer, value,
                                                        import->started_at + 1000));
    }
    return NULL;
}

/* Of customers who do not consent. Each row has one exposure. */
static void tell_refused(struct import *import, const json_t *events, const json_t *rejected)
{
    size_t i;
    json_t *row;
    json_array_foreach(rejected, i, row)
    {
        const json_t *event =
            json_array_get(events, (size_t)json_integer_value(json_object_get(row, "index")));
        if (strcmp(json_string_value(json_object_get(event, "type")), "exposure") != 0)
            continue;
        import->rows--;
        import_tell_refused(&import->refused, import->path, 0,
                            json_string_value(json_object_get(row, "error")));
    }
}

static bool send(struct import *import, json_t *events, struct error *err)
{
    if (json_array_size(events) == 0)
        return true;
    json_t *answer = uplift_events(import->uplift, events, err);
    tell_refused(import, events, json_object_get(answer, "rejected"));
    json_decref(answer);
    json_array_clear(events);
    return answer != NULL;
}

static void take_row(struct import *import, const struct csv_row *row, json_t *events)
{
    char number[32];
    snprintf(number, sizeof number, "row-%llu", (unsigned long long)row->line);
    json_t *made = json_array();
    const char *wrong = row_events(
        import, row, import->customer_at < 0 ? number : row->fields[import->customer_at].ptr, made);
    if (wrong) {
        import_tell_refused(&import->refused, import->path, row->line, wrong);
    } else {
        json_array_extend(events, made);
        import->rows++;
    }
    json_decref(made);
}

static bool second_reading(struct import *import, struct error *err)
{
    struct progress progress;
    struct csv *csv = csv_open(import->path, err);
    struct csv_row row;
    json_t *events = json_array();
    bool ok = csv != NULL;
    progress_start(&progress, "importing");
    while (ok) {
        struct error bad = {0};
        enum csv_result result = csv_next(csv, &row, &bad);
        if (result == CSV_END)
            break;
        if (result == CSV_FAILED) {
            *err = bad;
            ok = false;
        } else if (result == CSV_BAD_ROW) {
            import_tell_refused(&import->refused, import->path, row.line, bad.message);
        } else {
            take_row(import, &row, events);
        }
        if (ok && json_array_size(events) >= BATCH) {
            ok = send(import, events, err);
            progress_step(&progress, csv_progress(csv));
        }
    }
    ok = ok && send(import, events, err);
    progress_done(&progress);
    import_tell_more(import->refused, import->path);
    json_decref(events);
    csv_free(&csv);
    return ok;
}

/* --- all of it ------------------------------------------------------------------------------ */

/* Ids that came more than once: what was made of them must be known. */
static void tell_repeats(const struct import *import, const json_t *results)
{
    const json_t *check = health_check(json_object_get(results, "health"), "crossovers");
    const json_t *evidence = json_object_get(check, "evidence");
    long long crossed = json_integer_value(json_object_get(evidence, "customers"));
    long long customers = crossed;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(json_object_get(results, "experiment"), "variants"), i, row)
        customers += json_integer_value(json_object_get(row, "exposed"));
    if ((long long)import->rows > customers)
        fprintf(stderr, "%lld rows repeat a customer: their outcomes are added up\n",
                (long long)import->rows - customers);
    if (crossed > 0)
        fprintf(stderr, "%lld customers are in more than one variant: left out\n", crossed);
}

static bool print_report(const struct import *import, struct error *err)
{
    json_t *results = analysis_look(import->uplift, slice_of(import->experiment), err);
    if (!results)
        return false;
    if (strcmp(import->report, "json") == 0) {
        char *text = folded_text(results);
        puts(text);
        free(text);
    } else {
        report_print(results, stdout);
    }
    tell_repeats(import, results);
    json_decref(results);
    return true;
}

static bool send_all(struct import *import, struct error *err)
{
    struct definition_change change = {.who = "import", .at = import->started_at};
    struct definition_change last = {.who = "import", .at = -1};
    bool ok = make_metrics(import, &change, err) && make_experiment(import, &change, err) &&
              second_reading(import, err) &&
              is_made(uplift_experiment_transition(
                  import->uplift, &last, slice_of(import->experiment), STEP_STOP, NULL, err)) &&
              print_report(import, err);
    fprintf(stderr, "%llu rows imported, %llu refused\n", (unsigned long long)import->rows,
            (unsigned long long)import->refused);
    return ok;
}

static bool run(struct import *import, struct error *err)
{
    if (!import_read(import, err))
        return false;
    import->uplift = uplift_open_with(import->data, &import->open, err);
    if (!import->uplift)
        return false;
    import->started_at = uplift_now(import->uplift) - WHEN_DAY;
    bool ok = definitions_fit(import, err) && send_all(import, err);
    uplift_close(&import->uplift);
    return ok;
}

static int finish(struct import *import, bool ok, const struct error *err)
{
    for (size_t i = 0; i < import->variant_count; i++)
        free(import->variants[i]);
    if (ok)
        return import->refused ? COMMAND_FOUND_WRONG : COMMAND_OK;
    return options_failed("import", err);
}

int import_command(int argc, char **argv)
{
    bool events = false;
    struct import import = {.method = "sequential", .report = "text"};
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &import.data, .required = true},
        {.name = "events", .kind = OPTION_FLAG, .out = &events},
        {.name = "experiment", .kind = OPTION_TEXT, .out = &import.experiment},
        {.name = "variant", .kind = OPTION_TEXT, .out = &import.variant},
        {.name = "control", .kind = OPTION_TEXT, .out = &import.control},
        {.name = "customer", .kind = OPTION_TEXT, .out = &import.customer},
        {.name = "outcome", .kind = OPTION_LIST, .out = &import.outcome_words},
        {.name = "covariate", .kind = OPTION_LIST, .out = &import.covariate_words},
        {.name = "segment", .kind = OPTION_LIST, .out = &import.segment_words},
        {.name = "method", .kind = OPTION_TEXT, .out = &import.method, .choices = methods},
        {.name = "effect", .kind = OPTION_TEXT, .out = &import.effect, .choices = effects},
        {.name = "report", .kind = OPTION_TEXT, .out = &import.report, .choices = reports},
        {.name = "require-consent", .kind = OPTION_FLAG, .out = &import.open.require_consent},
        {.name = "pseudonymise", .kind = OPTION_TEXT, .out = &import.open.pseudonyms},
        {0}};
    struct options options = {
        .command = "import", .help = help, .list = rows, .words_least = 1, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    bool table = import.experiment || import.variant || import.outcome_words.count;
    if (events && table)
        return options_wrong("import", "--events: is for a file of events, not for a table");
    struct error err = {0};
    if (events ||
        (!table && strcmp(options.words[0], "-") != 0 && import_is_export(options.words[0], &err)))
        return import_events(options.words[0], import.data, &import.open);
    if (err.code != ERROR_NONE)
        return finish(&import, false, &err);
    if (!import.experiment || !import.variant || !import.outcome_words.count)
        return options_wrong("import", "--%s is required for a table, and this is no export",
                             !import.experiment ? "experiment"
                             : !import.variant  ? "variant"
                                                : "outcome");
    import.path = options.words[0];
    bool ok = run(&import, &err);
    return finish(&import, ok, &err);
}
