/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a file that is imported, plain or compressed: as a table each row has the header's
 * fields or is refused with its line; as lines each is within its bound. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/csv.h"
#include "core/packed.h"

enum { LINE_MOST = 5000 };

/* A file in memory with these bytes; its path. */
static int open_file(const uint8_t *data, size_t size, char path[40])
{
    int file = memfd_create("fuzz", 0);
    must(file >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t more = write(file, data + done, size - done);
        must(more > 0);
        done += (size_t)more;
    }
    snprintf(path, 40, "/proc/self/fd/%d", file);
    return file;
}

static bool as_table(const char *path)
{
    struct error err = {0};
    struct csv *csv = csv_open(path, &err);
    must((csv != NULL) == (err.code == ERROR_NONE));
    if (!csv)
        return false;
    struct csv_row row;
    enum csv_result result;
    uint64_t line = 1;
    while ((result = csv_next(csv, &row, &err)) == CSV_ROW || result == CSV_BAD_ROW) {
        must(row.line > line || line == 1);
        must(result == CSV_BAD_ROW || row.count == csv_header(csv)->count);
        must((result == CSV_BAD_ROW) == (err.code != ERROR_NONE));
        for (size_t i = 0; result == CSV_ROW && i < row.count; i++)
            must(row.fields[i].ptr[row.fields[i].len] == '\0');
        line = row.line;
        error_clear(&err);
    }
    csv_free(&csv);
    return true;
}

static void as_lines(const char *path)
{
    struct error err = {0};
    struct packed_lines lines;
    struct slice line;
    uint64_t number = 0;
    if (!packed_lines_open(&lines, path, &err))
        return;
    while (packed_lines_next(&lines, LINE_MOST, &line, &err)) {
        must(line.len <= LINE_MOST && lines.number > number);
        must(!line.len || !memchr(line.ptr, '\n', line.len));
        number = lines.number;
    }
    packed_lines_close(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    int file = open_file(data, size, path);
    bool table = as_table(path);
    as_lines(path);
    close(file);
    return table ? 0 : -1;
}
