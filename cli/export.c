/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift export: definitions, looks and events as lines on standard output. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "core/definitions.h"
#include "core/export.h"
#include "core/retention.h"
#include "core/when.h"

static const char help[] =
    "Usage: uplift export --data DIR [OPTION]... >FILE\n"
    "Writes definitions, looks and events to standard output, one a line, as they are at this\n"
    "moment. 'uplift import FILE' reads them back.\n"
    "\n"
    "  --data DIR         the data folder; a server may run on it\n"
    "  --format FORMAT    ndjson or csv, which has events alone [ndjson]\n"
    "  --from TIME        events of this time or later, as 2026-11-02T10:00:00Z\n"
    "  --to TIME          events before this time\n"
    "  --type TYPE        exposure, outcome or feedback alone\n"
    "  --experiment KEY   exposures of this experiment, and what its metrics count of those\n"
    "                     customers\n"
    "  --events-only      leave out definitions, looks, the first line and the last one\n"
    "  --help             print this help\n"
    "\n"
    "Exits 0 only when all was written.\n";

static const char *const formats[] = {"ndjson", "csv", NULL};
static const char *const types[] = {"exposure", "outcome", "feedback", NULL};

struct words {
    const char *data, *format, *from, *to, *type;
};

static bool write_bytes(void *data, const char *bytes, size_t len)
{
    (void)data;
    return fwrite(bytes, 1, len, stdout) == len;
}

static void progress(void *data, double done)
{
    progress_step(data, done);
}

static bool read_time(const char *option, const char *text, int64_t *out)
{
    if (!text || when_parse(slice_of(text), out))
        return true;
    options_wrong("export", "%s: must be a time as 2026-11-02T10:00:00Z", option);
    return false;
}

static bool read_words(const struct words *words, struct export_options *options)
{
    if (!read_time("--from", words->from, &options->from) ||
        !read_time("--to", words->to, &options->to))
        return false;
    options->type = words->type ? options_word(types, words->type) + 1 : 0;
    options->csv = strcmp(words->format, "csv") == 0;
    return true;
}

/* An import of it counts less than was counted here. */
static void tell_retention(struct store_txn *txn, const struct catalog *catalog)
{
    char from[WHEN_TEXT_MAX];
    int64_t keep_from = retention_read(txn, catalog).keep_from;
    if (keep_from > 0)
        fprintf(stderr, "events from before %s may be missing: they were dropped by retention\n",
                when_format(keep_from, from));
}

static bool export_all(struct store_txn *txn, const struct export_options *options,
                       struct error *err)
{
    struct progress bar;
    const struct export_output output = {write_bytes, progress, &bar};
    uint64_t events = 0;
    struct catalog *catalog = definitions_catalog(txn, err);
    if (!catalog)
        return false;
    progress_start(&bar, "exporting");
    bool ok = export_store(txn, catalog, options, &output, &events, err);
    progress_done(&bar);
    tell_retention(txn, catalog);
    catalog_free(&catalog);
    return ok;
}

static bool run(const char *data, const struct export_options *options, struct error *err)
{
    struct store *store = store_open_reader(data, err);
    struct store_txn *txn = store ? store_read(store, err) : NULL;
    bool ok = txn && export_all(txn, options, err);
    store_abort(&txn);
    if (store && err->code == ERROR_CORRUPT)
        store_tell_place(store, err);
    store_close(&store);
    return ok;
}

int export_command(int argc, char **argv)
{
    struct words words = {.format = "ndjson"};
    struct export_options export = {
        .from = INT64_MIN, .to = INT64_MAX, .now = clock_now(&clock_system)};
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &words.data, .required = true},
        {.name = "format", .kind = OPTION_TEXT, .out = &words.format, .choices = formats},
        {.name = "from", .kind = OPTION_TEXT, .out = &words.from},
        {.name = "to", .kind = OPTION_TEXT, .out = &words.to},
        {.name = "type", .kind = OPTION_TEXT, .out = &words.type, .choices = types},
        {.name = "experiment", .kind = OPTION_TEXT, .out = &export.experiment},
        {.name = "events-only", .kind = OPTION_FLAG, .out = &export.events_only},
        {0}};
    struct options options = {.command = "export", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    if (!read_words(&words, &export))
        return COMMAND_BAD_USAGE;
    struct error err = {0};
    errno = 0;
    if (run(words.data, &export, &err))
        return COMMAND_OK;
    /* Whoever closed the pipe has what was wanted and needs no message; it is not the whole. */
    bool closed = ferror(stdout) && errno == EPIPE;
    clearerr(stdout); /* it is said here, once */
    return closed ? COMMAND_FOUND_WRONG : options_failed("export", &err);
}
