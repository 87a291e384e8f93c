/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intake: an export (export.h), or bare events as POST /v1/events takes them, read back into a
 * store, line by line. Events go through the writer in batches, while the next ones are read.
 * Taking the same file twice leaves what taking it once does. One thread.
 *
 *     struct intake *intake = intake_new(uplift, refused, data);
 *     while (…) ok = intake_line(intake, line, number, &err);
 *     ok = intake_end(&intake, ok, &counts, &err);
 *
 * An event that is refused is told by its line and the others go on. A definition that cannot be
 * taken, or a store that cannot be written, ends the whole. */
#ifndef UPLIFT_CORE_INTAKE_H
#define UPLIFT_CORE_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/csv.h"
#include "core/error.h"
#include "core/text.h"

struct uplift;
struct intake;

/* The longest line that an export may have. */
#define INTAKE_LINE_MAX ((size_t)64 << 20)

struct intake_counts {
    uint64_t accepted, duplicates, refused; /* events */
    uint64_t definitions, looks;
};

/* Whether a file that begins with this line is an export. */
bool intake_knows(struct slice line);

/* `refused` is called, by this thread, with each line that is refused and why. */
struct intake *intake_new(struct uplift *uplift,
                          void (*refused)(void *data, uint64_t line, const char *why), void *data);
/* Takes one line of NDJSON; an empty one is skipped. False with *err where the whole has failed. */
bool intake_line(struct intake *intake, struct slice line, uint64_t number, struct error *err);
/* Takes one row of CSV, under the names of the header (EXPORT_CSV_HEADER, in any order). */
bool intake_row(struct intake *intake, const struct csv_row *header, const struct csv_row *row,
                struct error *err);
/* Tells of a line that could not be read at all. */
void intake_refuse(struct intake *intake, uint64_t line, const char *why);
/* Waits for what is on its way, tells the counts and frees it all. With `whole`, ERROR_INVALID
 * where an export did not come to its last line. False with *err where something failed. */
bool intake_end(struct intake **intake, bool whole, struct intake_counts *counts,
                struct error *err);

#endif
