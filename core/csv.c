/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CSV: a small state machine over zlib's gzFile, which reads plain files as they are. */
#include "core/csv.h"

#include <stdlib.h>

#include "core/packed.h"

struct csv {
    gzFile file;
    int64_t size;
    char delimiter;
    uint64_t line;     /* of the byte that is read next */
    int pushed_back;   /* a byte read too far, or -1 */
    bool ended;        /* no byte came any more: the end, or an error of zlib's */
    struct text bytes; /* the fields of the row, each with its zero byte */
    size_t starts[CSV_FIELDS_MAX + 1];
    struct slice fields[CSV_FIELDS_MAX];
    struct csv_row header;
    struct text header_bytes;
    struct slice *header_fields;
};

static int next_byte(struct csv *csv)
{
    int c = csv->pushed_back;
    csv->pushed_back = -1;
    if (c < 0)
        c = gzgetc(csv->file);
    if (c < 0)
        csv->ended = true;
    if (c == '\n')
        csv->line++;
    return c;
}

static void push_back(struct csv *csv, int c)
{
    if (c == '\n')
        csv->line--;
    csv->pushed_back = c;
}

/* Reads a line end after '\r'; a lone one counts as a line end too. */
static int fold_line_end(struct csv *csv, int c)
{
    if (c != '\r')
        return c;
    int next = next_byte(csv);
    if (next == '\n')
        return '\n';
    csv->line++;
    if (next >= 0)
        push_back(csv, next);
    return '\n';
}

struct row_state {
    size_t count; /* fields begun */
    const char *wrong;
};

static void begin_field(struct csv *csv, struct row_state *row)
{
    if (row->count == CSV_FIELDS_MAX)
        row->wrong = "too many fields";
    else
        csv->starts[row->count++] = csv->bytes.len;
}

static void put(struct csv *csv, struct row_state *row, int c)
{
    char byte = (char)c;
    if (!text_add(&csv->bytes, &byte, 1))
        row->wrong = "the row is too long";
}

/* The inside of a quoted field; returns the byte behind its closing quote. */
static int read_quoted(struct csv *csv, struct row_state *row)
{
    for (;;) {
        int c = next_byte(csv);
        if (c < 0) {
            row->wrong = "a quoted field does not end";
            return c;
        }
        if (c == '"') {
            c = next_byte(csv);
            if (c != '"')
                return fold_line_end(csv, c);
        }
        put(csv, row, c);
    }
}

/* One row's bytes into csv->bytes and csv->starts. False at the end of the file. */
static bool read_row(struct csv *csv, struct row_state *row)
{
    int c = fold_line_end(csv, next_byte(csv));
    while (c == '\n')
        c = fold_line_end(csv, next_byte(csv));
    if (c < 0)
        return false;
    text_clear(&csv->bytes);
    begin_field(csv, row);
    for (bool fresh = true; c >= 0 && c != '\n';) {
        if (c == csv->delimiter) {
            put(csv, row, '\0');
            begin_field(csv, row);
            fresh = true;
        } else if (c == '"' && fresh) {
            c = read_quoted(csv, row);
            if (c >= 0 && c != '\n' && c != csv->delimiter)
                row->wrong = "a quote stands inside a field";
            fresh = false;
            continue;
        } else {
            put(csv, row, c);
            fresh = false;
        }
        c = fold_line_end(csv, next_byte(csv));
    }
    put(csv, row, '\0');
    return true;
}

/* Set after the row is whole, as the bytes move while they grow. */
static void set_fields(struct csv *csv, const struct row_state *row)
{
    for (size_t i = 0; i < row->count; i++) {
        size_t end = i + 1 < row->count ? csv->starts[i + 1] : csv->bytes.len;
        csv->fields[i] = (struct slice){csv->bytes.ptr + csv->starts[i], end - csv->starts[i] - 1};
    }
}

/* Whether all is well. zlib tells of a file that was cut while good bytes are still to come, so its
 * word counts only after the last of them. */
static bool read_well(struct csv *csv, struct error *err)
{
    return !csv->ended || !packed_failed(csv->file, (uint64_t)csv->line, err);
}

enum csv_result csv_next(struct csv *csv, struct csv_row *out, struct error *err)
{
    struct row_state row = {0};
    /* Leading line ends are skipped inside, so the line is known only after the first byte. */
    int c = fold_line_end(csv, next_byte(csv));
    while (c == '\n')
        c = fold_line_end(csv, next_byte(csv));
    if (c >= 0)
        push_back(csv, c);
    out->line = csv->line;
    out->count = 0;
    if (c < 0 || !read_row(csv, &row))
        return read_well(csv, err) ? CSV_END : CSV_FAILED;
    if (!read_well(csv, err))
        return CSV_FAILED;
    if (!row.wrong)
        set_fields(csv, &row);
    for (size_t i = 0; i < row.count && !row.wrong; i++)
        if (!utf8_valid(csv->fields[i].ptr, csv->fields[i].len))
            row.wrong = "not UTF-8";
    if (!row.wrong && csv->header.count && row.count != csv->header.count) {
        error_set(err, ERROR_INVALID, NULL, "has %zu fields, and the header has %zu", row.count,
                  csv->header.count);
        return CSV_BAD_ROW;
    }
    if (row.wrong) {
        error_set(err, ERROR_INVALID, NULL, "%s", row.wrong);
        return CSV_BAD_ROW;
    }
    out->fields = csv->fields;
    out->count = row.count;
    return CSV_ROW;
}

/* Looks at the header line without consuming it. */
static char detect_delimiter(gzFile file)
{
    static const char candidates[] = ",;\t|";
    size_t seen[sizeof candidates] = {0};
    bool quoted = false;
    for (int c, n = 0; (c = gzgetc(file)) >= 0 && n < CSV_ROW_BYTES_MAX; n++) {
        if (c == '"')
            quoted = !quoted;
        if (!quoted && (c == '\n' || c == '\r'))
            break;
        const char *at = c && !quoted ? strchr(candidates, c) : NULL;
        if (at)
            seen[at - candidates]++;
    }
    gzrewind(file);
    size_t best = 0;
    for (size_t i = 1; i + 1 < sizeof candidates; i++)
        if (seen[i] > seen[best])
            best = i;
    return candidates[best];
}

static void skip_mark(struct csv *csv)
{
    unsigned char mark[3];
    if (gzread(csv->file, mark, 3) != 3 || memcmp(mark, "\xef\xbb\xbf", 3) != 0)
        gzrewind(csv->file);
}

/* The header outlives the first row: its bytes are moved out of the row's. */
static bool keep_header(struct csv *csv, struct csv_row row, struct error *err)
{
    csv->header_bytes = csv->bytes;
    text_init(&csv->bytes, CSV_ROW_BYTES_MAX);
    csv->header_fields = xcalloc(row.count, sizeof *csv->header_fields);
    memcpy(csv->header_fields, row.fields, row.count * sizeof *row.fields);
    csv->header = (struct csv_row){csv->header_fields, row.count, row.line};
    for (size_t i = 0; i < row.count; i++)
        if (csv_column(csv, row.fields[i].ptr) != (int)i)
            return error_set(err, ERROR_INVALID, NULL, "the column '%s' stands twice in the header",
                             row.fields[i].ptr);
    return true;
}

struct csv *csv_open(const char *path, struct error *err)
{
    struct csv *csv = xcalloc(1, sizeof *csv);
    text_init(&csv->bytes, CSV_ROW_BYTES_MAX);
    text_init(&csv->header_bytes, CSV_ROW_BYTES_MAX);
    csv->pushed_back = -1;
    csv->line = 1;
    csv->file = packed_open(path, &csv->size, err);
    if (!csv->file)
        goto failed;
    csv->delimiter = csv->size || strcmp(path, "-") != 0 ? detect_delimiter(csv->file) : ',';
    if (csv->size || strcmp(path, "-") != 0)
        skip_mark(csv);
    struct csv_row row;
    enum csv_result result = csv_next(csv, &row, err);
    if (result == CSV_END)
        error_set(err, ERROR_INVALID, path, "has no header line");
    if (result != CSV_ROW) {
        if (!*err->place)
            error_prefix(err, path);
        goto failed;
    }
    if (keep_header(csv, row, err))
        return csv;
failed:
    csv_free(&csv);
    return NULL;
}

void csv_free(struct csv **csv)
{
    if (!*csv)
        return;
    if ((*csv)->file)
        gzclose((*csv)->file);
    text_release(&(*csv)->bytes);
    text_release(&(*csv)->header_bytes);
    free((*csv)->header_fields);
    free(*csv);
    *csv = NULL;
}

const struct csv_row *csv_header(const struct csv *csv)
{
    return &csv->header;
}

char csv_delimiter(const struct csv *csv)
{
    return csv->delimiter;
}

int csv_column(const struct csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->header.count; i++)
        if (slice_is(csv->header.fields[i], name))
            return (int)i;
    return -1;
}

double csv_progress(const struct csv *csv)
{
    return packed_progress(csv->file, csv->size);
}
