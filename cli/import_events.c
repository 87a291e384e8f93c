/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Import of an export, or of bare events: no table of one experiment, but a history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/import_parts.h"
#include "cli/progress.h"
#include "core/csv.h"
#include "core/export.h"
#include "core/intake.h"
#include "core/packed.h"
#include "core/uplift.h"

enum { PROGRESS_EVERY = 1000 };

struct reading {
    const char *path;
    uint64_t refused;
    struct intake *intake;
    struct progress bar;
};

static void tell_refused(void *data, uint64_t line, const char *why)
{
    struct reading *reading = data;
    import_tell_refused(&reading->refused, reading->path, line, why);
}

static bool read_lines(struct reading *reading, struct packed_lines *lines, struct slice line,
                       struct error *err)
{
    bool ok = true;
    do {
        ok = intake_line(reading->intake, line, lines->number, err);
        if (lines->number % PROGRESS_EVERY == 0)
            progress_step(&reading->bar, packed_progress(lines->file, lines->size));
    } while (ok && packed_lines_next(lines, INTAKE_LINE_MAX, &line, err));
    return ok && err->code == ERROR_NONE;
}

static bool read_rows(struct reading *reading, struct error *err)
{
    struct csv *csv = csv_open(reading->path, err);
    struct csv_row row;
    enum csv_result result = csv ? CSV_ROW : CSV_FAILED;
    for (bool ok = csv != NULL; ok && result != CSV_END && result != CSV_FAILED;) {
        struct error wrong = {0};
        result = csv_next(csv, &row, &wrong);
        if (result == CSV_ROW)
            ok = intake_row(reading->intake, csv_header(csv), &row, err);
        else if (result == CSV_BAD_ROW)
            intake_refuse(reading->intake, row.line, wrong.message);
        else if (result == CSV_FAILED)
            *err = wrong;
        if (row.line % PROGRESS_EVERY == 0)
            progress_step(&reading->bar, csv_progress(csv));
    }
    csv_free(&csv);
    return err->code == ERROR_NONE;
}

static bool is_rows(struct slice first)
{
    static const char name[] = "type,";
    return first.len > sizeof name && memcmp(first.ptr, name, sizeof name - 1) == 0;
}

/* Standard input cannot be opened a second time, as the reader of rows would. */
static bool read_all(struct reading *reading, struct packed_lines *lines, struct slice first,
                     struct error *err)
{
    if (!is_rows(first))
        return read_lines(reading, lines, first, err);
    return strcmp(reading->path, "-") != 0
               ? read_rows(reading, err)
               : error_set(err, ERROR_INVALID, "-", "CSV is read from a file, not from a pipe");
}

static bool import_into(struct uplift *uplift, struct reading *reading, struct packed_lines *lines,
                        struct slice first, uint64_t *refused, struct error *err)
{
    struct intake_counts counts;
    reading->intake = intake_new(uplift, tell_refused, reading);
    progress_start(&reading->bar, "importing");
    bool ok = read_all(reading, lines, first, err);
    ok = intake_end(&reading->intake, ok, &counts, err) && ok;
    progress_done(&reading->bar);
    import_tell_more(reading->refused, reading->path);
    fprintf(stderr,
            "%llu events imported, %llu were there already, %llu refused; %llu definitions, "
            "%llu looks\n",
            (unsigned long long)counts.accepted, (unsigned long long)counts.duplicates,
            (unsigned long long)counts.refused, (unsigned long long)counts.definitions,
            (unsigned long long)counts.looks);
    *refused = counts.refused;
    return ok;
}

bool import_is_export(const char *path, struct error *err)
{
    struct error unread = {0}; /* which a table may be */
    struct packed_lines lines;
    struct slice first;
    bool known = packed_lines_open(&lines, path, err) &&
                 packed_lines_next(&lines, INTAKE_LINE_MAX, &first, &unread) &&
                 (intake_knows(first) || slice_is(first, EXPORT_CSV_HEADER));
    packed_lines_close(&lines);
    return known;
}

int import_events(const char *path, const char *data, const struct uplift_options *open)
{
    struct error err = {0};
    struct reading reading = {.path = path};
    struct packed_lines lines;
    struct slice first = NO_SLICE;
    struct uplift *uplift = NULL;
    uint64_t refused = 0;
    bool ok = packed_lines_open(&lines, path, &err);
    if (ok && !packed_lines_next(&lines, INTAKE_LINE_MAX, &first, &err))
        ok = error_set(&err, ERROR_INVALID, path, "is empty");
    uplift = ok ? uplift_open_with(data, open, &err) : NULL;
    ok = uplift && import_into(uplift, &reading, &lines, first, &refused, &err);
    uplift_close(&uplift);
    packed_lines_close(&lines);
    if (ok)
        return refused ? COMMAND_FOUND_WRONG : COMMAND_OK;
    return options_failed("import", &err);
}
