/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables of text: CSV with quotes (RFC 4180), plain or compressed by gzip, read as a stream.
 *
 * The delimiter is the one of , ; tab | that stands most often outside quotes in the header line.
 * A byte order mark is skipped, lines may end in LF or CRLF, a quoted field may hold line ends.
 * Empty lines are skipped. Fields borrow from the reader until the next call.
 * A reader belongs to one thread. */
#ifndef UPLIFT_CORE_CSV_H
#define UPLIFT_CORE_CSV_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

struct csv;

/* What stands on one row. */
struct csv_row {
    struct slice *fields; /* each ends in a zero byte; may hold zero bytes inside */
    size_t count;
    uint64_t line; /* the line on which the row begins, from 1 */
};

enum csv_result { CSV_ROW, CSV_BAD_ROW, CSV_END, CSV_FAILED };

#define CSV_FIELDS_MAX    1024
#define CSV_ROW_BYTES_MAX (1 << 20)

/* Opens a file ("-" is standard input) and reads its header. NULL and *err where it cannot be
 * opened, has no header, or a column's name stands twice. */
struct csv *csv_open(const char *path, struct error *err);
void csv_free(struct csv **csv);

/* The header's names, in order; borrowed. */
const struct csv_row *csv_header(const struct csv *csv);
char csv_delimiter(const struct csv *csv);
/* The index of a column, or -1. */
int csv_column(const struct csv *csv, const char *name);

/* Reads the next row. CSV_BAD_ROW: this row cannot be read (*err says why and row->line where),
 * but the next call goes on behind it: another number of fields than the header, bytes that are
 * not UTF-8, a stray quote, or more than CSV_ROW_BYTES_MAX. CSV_FAILED: the file cannot be read
 * any further. */
enum csv_result csv_next(struct csv *csv, struct csv_row *row, struct error *err);

/* The share of the file read so far, 0 to 1; 0 where its size is not known. */
double csv_progress(const struct csv *csv);

#endif
