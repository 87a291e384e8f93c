/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift import: a table of a finished experiment becomes metrics, an experiment and events, sent
 * through the same ingest as any other. The file is read twice: the first time to see which columns
 * hold yes and no, the second time to send the rows.
 *
 * The experiment is dated one day back: covariates before its start, exposures at it, outcomes
 * behind it. It is stopped at the end, so its data is complete and no decision is too early. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "core/analysis.h"
#include "core/csv.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/uplift.h"

static const char help[] =
    "Usage: uplift import FILE --data DIR --experiment KEY --variant COLUMN\n"
    "                     --outcome COLUMN[:KIND[:decrease]]... [OPTION]...\n"
    "Reads a finished experiment from a CSV file (plain or gz) and reports on it.\n"
    "\n"
    "  --data DIR                  the data folder; no server may run on it\n"
    "  --experiment KEY            the experiment to create\n"
    "  --variant COLUMN            the column that tells the variant\n"
    "  --control VALUE             the variant that is the control [the first one seen]\n"
    "  --customer COLUMN           the column of ids [each row is a customer]\n"
    "  --outcome COLUMN[:KIND[:decrease]]\n"
    "                              what to measure; binary or mean; the first is the primary\n"
    "  --covariate COLUMN:OUTCOME  known from before, explains an outcome (CUPED)\n"
    "  --segment COLUMN            report the groups of this column apart\n"
    "  --method M                  sequential, fixed or exact [sequential]\n"
    "  --effect E                  relative or absolute [relative]\n"
    "  --report FORMAT             text or json [text]\n"
    "  --help                      print this help\n";

enum { OUTCOMES_MAX = 32, VARIANTS_MAX = 64, BATCH = 2000, SHOWN_MAX = 20 };

struct outcome {
    char column[256], key[128];
    const char *kind; /* "binary", "mean", or NULL: to be found */
    bool decrease;
    int at, covariate; /* columns; covariate -1: none */
    bool words_only;   /* so far every value was yes or no */
};

struct import {
    const char *path, *data, *experiment, *variant, *control, *customer, *method, *effect, *report;
    struct option_values outcome_words, covariate_words, segment_words;
    struct outcome outcomes[OUTCOMES_MAX];
    size_t outcome_count;
    int variant_at, customer_at, segments_at[OPTION_VALUES_MAX];
    char *variants[VARIANTS_MAX]; /* values as in the file; owned */
    size_t variant_count;
    uint64_t rows, refused;
    int64_t started_at;
    struct uplift *uplift;
};

/* --- values --------------------------------------------------------------------------------- */

/* 1 and 0 for yes and no, -1 for anything else. */
static int yes_or_no(const char *text)
{
    static const char *const yes[] = {"true", "yes", "1", "t", "y"};
    static const char *const no[] = {"false", "no", "0", "f", "n"};
    for (size_t i = 0; i < 5; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return 1;
        if (strcasecmp(text, no[i]) == 0)
            return 0;
    }
    return -1;
}

static bool read_value(const char *text, bool binary, double *value)
{
    int word = yes_or_no(text);
    char *end = NULL;
    if (binary || word >= 0) {
        *value = word;
        return word >= 0;
    }
    *value = strtod(text, &end);
    return end != text && !*end && fabs(*value) <= 1e15;
}

/* A key of the model from a column or a variant: other letters become '-'. */
static void make_key(const char *text, char out[128])
{
    size_t len = 0;
    for (; *text && len < 64; text++) {
        char c = (char)tolower((unsigned char)*text);
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool mark = (c == '.' || c == '_' || c == '-') && len > 0;
        if (word || mark)
            out[len++] = c;
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 1 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    if (!len)
        snprintf(out, 128, "x");
}

/* --- the mapping ---------------------------------------------------------------------------- */

static bool find_column(const struct csv *csv, const char *option, const char *name, int *at,
                        struct error *err)
{
    *at = csv_column(csv, name);
    return *at >= 0 ||
           error_set(err, ERROR_INVALID, option, "the file has no column '%.100s'", name);
}

static bool read_outcome(struct import *import, const struct csv *csv, const char *word,
                         struct error *err)
{
    if (import->outcome_count == OUTCOMES_MAX)
        return error_set(err, ERROR_INVALID, "--outcome", "more than %d", OUTCOMES_MAX);
    struct outcome *outcome = &import->outcomes[import->outcome_count++];
    *outcome = (struct outcome){.covariate = -1, .words_only = true};
    snprintf(outcome->column, sizeof outcome->column, "%s", word);
    char *kind = csv_column(csv, word) < 0 ? strchr(outcome->column, ':') : NULL;
    if (kind) {
        *kind++ = '\0';
        char *goal = strchr(kind, ':');
        if (goal)
            *goal++ = '\0';
        if (goal && strcmp(goal, "decrease") != 0 && strcmp(goal, "increase") != 0)
            return error_set(err, ERROR_INVALID, "--outcome", "'%s': must be decrease", goal);
        outcome->decrease = goal && strcmp(goal, "decrease") == 0;
        if (*kind && strcmp(kind, "binary") != 0 && strcmp(kind, "mean") != 0)
            return error_set(err, ERROR_INVALID, "--outcome", "'%s': must be binary or mean", kind);
        outcome->kind = strcmp(kind, "binary") == 0 ? "binary" : *kind ? "mean" : NULL;
    }
    make_key(outcome->column, outcome->key);
    return find_column(csv, "--outcome", outcome->column, &outcome->at, err);
}

static bool read_covariate(struct import *import, const struct csv *csv, const char *word,
                           struct error *err)
{
    char column[256];
    const char *colon = strrchr(word, ':');
    if (!colon || (size_t)(colon - word) >= sizeof column)
        return error_set(err, ERROR_INVALID, "--covariate", "must be COLUMN:OUTCOME");
    snprintf(column, sizeof column, "%.*s", (int)(colon - word), word);
    for (size_t i = 0; i < import->outcome_count; i++)
        if (strcmp(import->outcomes[i].column, colon + 1) == 0)
            return find_column(csv, "--covariate", column, &import->outcomes[i].covariate, err);
    return error_set(err, ERROR_INVALID, "--covariate", "'%s' is not an outcome", colon + 1);
}

static bool read_mapping(struct import *import, const struct csv *csv, struct error *err)
{
    bool ok = find_column(csv, "--variant", import->variant, &import->variant_at, err);
    import->customer_at = -1;
    if (ok && import->customer)
        ok = find_column(csv, "--customer", import->customer, &import->customer_at, err);
    for (size_t i = 0; ok && i < import->outcome_words.count; i++)
        ok = read_outcome(import, csv, import->outcome_words.values[i], err);
    for (size_t i = 0; ok && i < import->covariate_words.count; i++)
        ok = read_covariate(import, csv, import->covariate_words.values[i], err);
    for (size_t i = 0; ok && i < import->segment_words.count; i++)
        ok = find_column(csv, "--segment", import->segment_words.values[i], &import->segments_at[i],
                         err);
    return ok;
}

/* --- first reading: kinds and variants ------------------------------------------------------ */

static bool note_variant(struct import *import, const char *value, struct error *err)
{
    for (size_t i = 0; i < import->variant_count; i++)
        if (strcmp(import->variants[i], value) == 0)
            return true;
    if (import->variant_count == VARIANTS_MAX)
        return error_set(err, ERROR_INVALID, "--variant", "the column holds more than %d values",
                         VARIANTS_MAX);
    import->variants[import->variant_count++] = xstrdup(value);
    return true;
}

static bool control_first(struct import *import, struct error *err)
{
    size_t i = 0;
    if (import->variant_count < 2)
        return error_set(err, ERROR_INVALID, "--variant", "the column holds fewer than 2 values");
    while (import->control && i < import->variant_count &&
           strcmp(import->variants[i], import->control) != 0)
        i++;
    if (i == import->variant_count)
        return error_set(err, ERROR_INVALID, "--control", "no row has '%.100s'", import->control);
    char *control = import->variants[i];
    memmove(import->variants + 1, import->variants, i * sizeof *import->variants);
    import->variants[0] = control;
    return true;
}

static bool first_reading(struct import *import, struct error *err)
{
    struct csv *csv = csv_open(import->path, err);
    struct csv_row row;
    bool ok = csv && read_mapping(import, csv, err);
    while (ok) {
        struct error bad = {0};
        enum csv_result result = csv_next(csv, &row, &bad);
        if (result == CSV_END)
            break;
        if (result == CSV_FAILED) {
            *err = bad;
            ok = false;
        } else if (result == CSV_ROW) {
            if (row.fields[import->variant_at].len > 0)
                ok = note_variant(import, row.fields[import->variant_at].ptr, err);
            for (size_t i = 0; i < import->outcome_count; i++)
                if (yes_or_no(row.fields[import->outcomes[i].at].ptr) < 0)
                    import->outcomes[i].words_only = false;
        }
    }
    csv_free(&csv);
    for (size_t i = 0; i < import->outcome_count; i++)
        if (!import->outcomes[i].kind)
            import->outcomes[i].kind = import->outcomes[i].words_only ? "binary" : "mean";
    return ok && control_first(import, err);
}

/* --- definitions ---------------------------------------------------------------------------- */

static bool is_made(json_t *made)
{
    json_decref(made);
    return made != NULL;
}

static bool make_metrics(struct import *import, struct definition_change *change, struct error *err)
{
    for (size_t i = 0; i < import->outcome_count; i++) {
        const struct outcome *outcome = &import->outcomes[i];
        json_t *input =
            json_pack("{s:s, s:s, s:s, s:s+++, s:s}", "key", outcome->key, "name", outcome->column,
                      "kind", outcome->kind, "event", import->experiment, ".", outcome->key, "",
                      "goal", outcome->decrease ? "decrease" : "increase");
        if (outcome->covariate >= 0)
            json_object_set_new(input, "covariate_days", json_integer(1));
        bool ok = is_made(uplift_metric_create(import->uplift, change, input, err));
        json_decref(input);
        if (!ok) {
            error_prefix(err, "--outcome");
            return false;
        }
    }
    return true;
}

static json_t *experiment_input(const struct import *import)
{
    json_t *variants = json_array(), *segments = json_array(), *primary = json_array(),
           *secondary = json_array();
    for (size_t i = 0; i < import->variant_count; i++) {
        char key[128];
        make_key(import->variants[i], key);
        json_array_append_new(variants,
                              json_pack("{s:s, s:s}", "key", key, "name", import->variants[i]));
    }
    for (size_t i = 0; i < import->segment_words.count; i++)
        json_array_append_new(segments, json_string(import->segment_words.values[i]));
    for (size_t i = 0; i < import->outcome_count; i++)
        json_array_append_new(i ? secondary : primary, json_string(import->outcomes[i].key));
    return json_pack("{s:s, s:o, s:o, s:{s:o, s:o}, s:{s:s, s:s}}", "key", import->experiment,
                     "variants", variants, "segments", segments, "metrics", "primary", primary,
                     "secondary", secondary, "design", "method", import->method, "effect",
                     import->effect);
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

static void refuse(struct import *import, uint64_t line, const char *why)
{
    if (import->refused++ < SHOWN_MAX)
        fprintf(stderr, "uplift import: %s: line %llu: %s\n", import->path,
                (unsigned long long)line, why);
}

static json_t *outcome_event(const struct import *import, const struct outcome *outcome,
                             const char *customer, double value, int64_t at)
{
    return json_pack("{s:s, s:s, s:s+++, s:f, s:I}", "type", "outcome", "customer", customer,
                     "name", import->experiment, ".", outcome->key, "", "value", value, "at",
                     (json_int_t)at);
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
    make_key(variant, key);
    json_t *attributes = json_object();
    for (size_t i = 0; i < import->segment_words.count; i++)
        json_object_set_new(attributes, import->segment_words.values[i],
                            json_string(row->fields[import->segments_at[i]].ptr));
    json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "type", "exposure",
                                            "customer", customer, "experiment", import->experiment,
                                            "variant", key, "at", (json_int_t)import->started_at,
                                            "attributes", attributes));
    for (size_t i = 0; i < import->outcome_count; i++) {
        const struct outcome *outcome = &import->outcomes[i];
        bool binary = strcmp(outcome->kind, "binary") == 0;
        double value, before = 0;
        if (!read_value(row->fields[outcome->at].ptr, binary, &value))
            return "an outcome cannot be read";
        if (outcome->covariate >= 0 &&
            !read_value(row->fields[outcome->covariate].ptr, binary, &before))
            return "a covariate cannot be read";
        if (before != 0)
            json_array_append_new(events, outcome_event(import, outcome, customer, before,
                                                        import->started_at - 1000));
        if (value != 0)
            json_array_append_new(
                events, outcome_event(import, outcome, customer, value, import->started_at + 1000));
    }
    return NULL;
}

static bool send(struct import *import, json_t *events, struct error *err)
{
    if (json_array_size(events) == 0)
        return true;
    json_t *answer = uplift_events(import->uplift, events, err);
    json_t *rejected = json_object_get(answer, "rejected");
    bool ok = answer != NULL;
    if (ok && json_array_size(rejected) > 0)
        ok = error_set(err, ERROR_INVALID, NULL, "an event was refused: %s",
                       json_string_value(json_object_get(json_array_get(rejected, 0), "error")));
    json_decref(answer);
    json_array_clear(events);
    return ok;
}

static void take_row(struct import *import, const struct csv_row *row, json_t *events)
{
    char number[32];
    snprintf(number, sizeof number, "row-%llu", (unsigned long long)row->line);
    json_t *made = json_array();
    const char *wrong = row_events(
        import, row, import->customer_at < 0 ? number : row->fields[import->customer_at].ptr, made);
    if (wrong) {
        refuse(import, row->line, wrong);
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
            refuse(import, row.line, bad.message);
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
    json_decref(events);
    csv_free(&csv);
    return ok;
}

/* --- all of it ------------------------------------------------------------------------------ */

static bool print_report(const struct import *import, struct error *err)
{
    const struct results_options options = {.as_of = -1};
    json_t *results = analysis_results(import->uplift, slice_of(import->experiment), &options, err);
    if (!results)
        return false;
    if (strcmp(import->report, "json") == 0) {
        char *text = json_text(results);
        puts(text);
        free(text);
    } else {
        report_print(results, stdout);
    }
    json_decref(results);
    return true;
}

static bool run(struct import *import, struct error *err)
{
    if (!first_reading(import, err))
        return false;
    import->uplift = uplift_open(import->data, &clock_system, err);
    if (!import->uplift)
        return false;
    import->started_at = uplift_now(import->uplift) - WHEN_DAY;
    struct definition_change change = {.who = "import", .at = import->started_at};
    struct definition_change last = {.who = "import", .at = -1};
    bool ok = make_metrics(import, &change, err) && make_experiment(import, &change, err) &&
              second_reading(import, err) &&
              is_made(uplift_experiment_transition(
                  import->uplift, &last, slice_of(import->experiment), STEP_STOP, NULL, err)) &&
              print_report(import, err);
    fprintf(stderr, "%llu rows imported, %llu refused\n", (unsigned long long)import->rows,
            (unsigned long long)import->refused);
    uplift_close(&import->uplift);
    return ok;
}

static int finish(struct import *import, bool ok, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    for (size_t i = 0; i < import->variant_count; i++)
        free(import->variants[i]);
    if (ok)
        return import->refused ? COMMAND_FOUND_WRONG : COMMAND_OK;
    fprintf(stderr, "uplift import: %s\n", error_line(err, line));
    return err->code == ERROR_INVALID || err->code == ERROR_CONFLICT ? COMMAND_BAD_USAGE
                                                                     : COMMAND_FOUND_WRONG;
}

int import_command(int argc, char **argv)
{
    struct import import = {.method = "sequential", .effect = "relative", .report = "text"};
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &import.data, .required = true},
        {.name = "experiment", .kind = OPTION_TEXT, .out = &import.experiment, .required = true},
        {.name = "variant", .kind = OPTION_TEXT, .out = &import.variant, .required = true},
        {.name = "control", .kind = OPTION_TEXT, .out = &import.control},
        {.name = "customer", .kind = OPTION_TEXT, .out = &import.customer},
        {.name = "outcome", .kind = OPTION_LIST, .out = &import.outcome_words, .required = true},
        {.name = "covariate", .kind = OPTION_LIST, .out = &import.covariate_words},
        {.name = "segment", .kind = OPTION_LIST, .out = &import.segment_words},
        {.name = "method", .kind = OPTION_TEXT, .out = &import.method},
        {.name = "effect", .kind = OPTION_TEXT, .out = &import.effect},
        {.name = "report", .kind = OPTION_TEXT, .out = &import.report},
        {0}};
    struct options options = {
        .command = "import", .help = help, .list = rows, .words_least = 1, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    if (strcmp(import.report, "text") != 0 && strcmp(import.report, "json") != 0)
        return options_wrong("import", "--report: must be text or json");
    import.path = options.words[0];
    struct error err = {0};
    bool ok = run(&import, &err);
    return finish(&import, ok, &err);
}
