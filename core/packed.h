/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packed: files that may be compressed by gzip and are read as plain either way. */
#ifndef UPLIFT_CORE_PACKED_H
#define UPLIFT_CORE_PACKED_H

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "core/error.h"
#include "core/text.h"

/* Opens a file ("-" is standard input). *size is that on disk, 0 where it is not known. NULL with
 * *err; else gzclose is the caller's. */
gzFile packed_open(const char *path, int64_t *size, struct error *err);
/* The share of the file that was read, 0 to 1; 0 where its size is not known. */
double packed_progress(gzFile file, int64_t size);
/* True with *err where reading ended before the end of the file; `line` is the last that was read.
 */
bool packed_failed(gzFile file, uint64_t line, struct error *err);

/* Lines, each without its end (LF or CRLF). */
struct packed_lines {
    gzFile file;
    int64_t size;
    uint64_t number;  /* of the last line given, from 1 */
    char *buffer;     /* the rest of the struct is private */
    size_t at, until; /* what was read and not yet given */
    size_t room;
};

bool packed_lines_open(struct packed_lines *lines, const char *path, struct error *err);
void packed_lines_close(struct packed_lines *lines);
/* The next line, borrowed until the next call. False at the end, or with *err: a line of more than
 * `most` bytes is ERROR_TOO_LARGE. */
bool packed_lines_next(struct packed_lines *lines, size_t most, struct slice *line,
                       struct error *err);

#endif
