/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables: delimiters, quotes, line ends, compressed files, and rows that cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "core/csv.h"

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s", "/tmp/uplift-csv-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *bytes, size_t len, bool compressed)
{
    gzFile file = gzopen(path, compressed ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)len), (int)len);
    assert_int_equal(gzclose(file), Z_OK);
}

static struct csv *open_text(const char *text)
{
    struct error err = {0};
    write_file(text, strlen(text), false);
    struct csv *csv = csv_open(path, &err);
    assert_string_equal(err.message, "");
    assert_non_null(csv);
    return csv;
}

static void assert_row(struct csv *csv, uint64_t line, const char *first, const char *second)
{
    struct error err = {0};
    struct csv_row row;
    assert_int_equal(csv_next(csv, &row, &err), CSV_ROW);
    assert_int_equal(row.count, 2);
    assert_int_equal(row.line, line);
    assert_string_equal(row.fields[0].ptr, first);
    assert_string_equal(row.fields[1].ptr, second);
}

static void assert_end(struct csv *csv)
{
    struct error err = {0};
    struct csv_row row;
    assert_int_equal(csv_next(csv, &row, &err), CSV_END);
    csv_free(&csv);
    assert_null(csv);
}

static void test_csv__finds_the_delimiter(void **state)
{
    (void)state;
    static const char delimiters[] = ",;\t|";
    for (const char *d = delimiters; *d; d++) {
        char text[64];
        snprintf(text, sizeof text, "a%cb\n1%c2\n", *d, *d);
        struct csv *csv = open_text(text);
        assert_int_equal(csv_delimiter(csv), *d);
        assert_int_equal(csv_column(csv, "b"), 1);
        assert_int_equal(csv_column(csv, "c"), -1);
        assert_row(csv, 2, "1", "2");
        assert_end(csv);
    }
}

static void test_csv__a_delimiter_in_a_quoted_name_is_not_counted(void **state)
{
    (void)state;
    struct csv *csv = open_text("\"a;;;;b\",c\n1,2\n");
    assert_int_equal(csv_delimiter(csv), ',');
    assert_int_equal(csv_column(csv, "a;;;;b"), 0);
    assert_row(csv, 2, "1", "2");
    assert_end(csv);
}

/* Lines are counted by whatever ends them, so that a bad row is found. */
static void test_csv__counts_lines_of_every_end(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    for (size_t i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "a,b%s1,2%s%s3,4", ends[i], ends[i], ends[i]);
        struct csv *csv = open_text(text);
        assert_row(csv, 2, "1", "2");
        assert_row(csv, 4, "3", "4");
        assert_end(csv);
    }
}

static void test_csv__reads_quotes_line_ends_and_a_byte_order_mark(void **state)
{
    (void)state;
    struct csv *csv = open_text("\xef\xbb\xbf"
                                "a,b\r\n\"x \"\"y\"\"\",\"1\r\n2\"\r\n\r\n,\nlast,row");
    assert_int_equal(csv_column(csv, "a"), 0);
    assert_row(csv, 2, "x \"y\"", "1\r\n2");
    assert_row(csv, 5, "", "");
    assert_row(csv, 6, "last", "row");
    assert_end(csv);
}

static void test_csv__reads_compressed_files(void **state)
{
    (void)state;
    struct error err = {0};
    write_file("a;b\n1;2\n", 8, true);
    struct csv *csv = csv_open(path, &err);
    assert_non_null(csv);
    assert_row(csv, 2, "1", "2");
    assert_end(csv);
}

static void test_csv__goes_on_behind_a_bad_row(void **state)
{
    (void)state;
    struct csv *csv = open_text("a,b\n1\n1,2,3\n\xff,2\n\"x\"y,2\nok,2\n");
    static const char *const reasons[] = {"has 1 fields, and the header has 2",
                                          "has 3 fields, and the header has 2", "not UTF-8",
                                          "a quote stands inside a field"};
    for (size_t i = 0; i < 4; i++) {
        struct error err = {0};
        struct csv_row row;
        assert_int_equal(csv_next(csv, &row, &err), CSV_BAD_ROW);
        assert_int_equal(row.line, i + 2);
        assert_string_equal(err.message, reasons[i]);
    }
    assert_row(csv, 6, "ok", "2");
    assert_end(csv);
}

static void test_csv__refuses_what_is_no_table(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n\n", "a,a\n1,2\n", "\"a,b\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = {0};
        write_file(texts[i], strlen(texts[i]), false);
        assert_null(csv_open(path, &err));
        assert_true(err.code != ERROR_NONE);
    }
    struct error err = {0};
    assert_null(csv_open("/tmp", &err));
    assert_string_equal(err.message, "is a folder");
    error_clear(&err);
    assert_null(csv_open("/nonexistent/file.csv", &err));
    assert_int_equal(err.code, ERROR_IO);
}

static void test_csv__a_truncated_compressed_file_fails(void **state)
{
    (void)state;
    char text[20000] = "a,b\n";
    size_t len = 4;
    uint32_t random = 7; /* enough disorder that gzip cannot shrink it to nothing */
    while (len < sizeof text - 32) {
        random = random * 1664525u + 1013904223u;
        len += (size_t)snprintf(text + len, 32, "%u,%u\n", random >> 3, random % 9973);
    }
    write_file(text, len, true);
    assert_int_equal(truncate(path, 4000), 0);
    struct error err = {0};
    struct csv_row row;
    struct csv *csv = csv_open(path, &err);
    assert_non_null(csv);
    enum csv_result result;
    do {
        error_clear(&err);
        result = csv_next(csv, &row, &err);
    } while (result == CSV_ROW || result == CSV_BAD_ROW);
    assert_int_equal(result, CSV_FAILED);
    csv_free(&csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv__finds_the_delimiter),
        cmocka_unit_test(test_csv__a_delimiter_in_a_quoted_name_is_not_counted),
        cmocka_unit_test(test_csv__counts_lines_of_every_end),
        cmocka_unit_test(test_csv__reads_quotes_line_ends_and_a_byte_order_mark),
        cmocka_unit_test(test_csv__reads_compressed_files),
        cmocka_unit_test(test_csv__goes_on_behind_a_bad_row),
        cmocka_unit_test(test_csv__refuses_what_is_no_table),
        cmocka_unit_test(test_csv__a_truncated_compressed_file_fails),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("csv", tests, make_path, remove_path);
}
