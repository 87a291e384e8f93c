/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors: the first wins, the place grows to the left, nothing unprintable gets out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "core/text.h"

static void assert_line(const struct error *err, const char *expected)
{
    char line[ERROR_LINE_MAX];
    assert_string_equal(error_line(err, line), expected);
}

static void test_set__keeps_the_first(void **state)
{
    (void)state;
    struct error err = {0};
    assert_false(error_set(&err, ERROR_INVALID, "sum", "must not exceed %d", 7));
    assert_false(error_set(&err, ERROR_IO, "n", "something else"));
    assert_int_equal(err.code, ERROR_INVALID);
    assert_line(&err, "sum: must not exceed 7");
    error_clear(&err);
    assert_int_equal(err.code, ERROR_NONE);
    assert_false(error_set(&err, ERROR_IO, NULL, "no place"));
    assert_line(&err, "no place");
}

static void test_prefix__joins_names_and_indexes(void **state)
{
    (void)state;
    struct error err = {0};
    error_prefix(&err, "unset");
    assert_int_equal(err.code, ERROR_NONE);
    error_set(&err, ERROR_INVALID, "sum", "wrong");
    error_prefix(&err, "arms[1]");
    error_prefix(&err, "");
    error_prefix(&err, "metrics[0]");
    assert_line(&err, "metrics[0].arms[1].sum: wrong");
    error_clear(&err);
    error_set(&err, ERROR_INVALID, "[3]", "wrong");
    error_prefix(&err, "events");
    assert_line(&err, "events[3]: wrong");
    error_clear(&err);
    error_set(&err, ERROR_INVALID, "", "wrong");
    error_prefix(&err, "weights");
    assert_line(&err, "weights: wrong");
}

static void test_set__lets_nothing_unprintable_out(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, ERROR_INVALID, "a\nb", "%s",
              "tab\there \x1b[31m \xff \xc3\xa4 \xe2\x80\xa8 end");
    assert_line(&err, "a?b: tab?here ?[31m ? \xc3\xa4 ? end");
}

static void test_set__cuts_at_a_character(void **state)
{
    (void)state;
    char many[ERROR_MESSAGE_MAX * 2];
    for (size_t shift = 0; shift < 2; shift++) {
        memset(many, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof many; i += 2)
            memcpy(many + i, "\xc3\xa4\0", 3);
        struct error err = {0};
        error_set(&err, ERROR_INVALID, many, "%s", many);
        assert_true(utf8_valid(err.message, strlen(err.message)));
        assert_true(utf8_valid(err.place, strlen(err.place)));
        assert_in_range(strlen(err.message), ERROR_MESSAGE_MAX - 3, ERROR_MESSAGE_MAX - 1);
        error_prefix(&err, "deeper");
        assert_true(utf8_valid(err.place, strlen(err.place)));
    }
}

static void test_errno__adds_the_words_and_knows_a_full_disk(void **state)
{
    (void)state;
    struct error err = {0};
    errno = ENOENT;
    assert_false(error_set_errno(&err, ERROR_IO, NULL, "cannot open %s", "x"));
    assert_int_equal(err.code, ERROR_IO);
    assert_line(&err, "cannot open x: No such file or directory");
    error_clear(&err);
    errno = ENOSPC;
    error_set_errno(&err, ERROR_IO, NULL, "cannot write");
    assert_int_equal(err.code, ERROR_FULL);
}

static void test_words__exist_for_every_code(void **state)
{
    (void)state;
    static const enum error_code codes[] = {
        ERROR_NONE,
#define ERROR(name, words) ERROR_##name,
#include "core/error.def"
#undef ERROR
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_true(strlen(error_words(codes[i])) > 0);
        assert_string_not_equal(error_words(codes[i]), "unknown error");
    }
    assert_string_equal(error_words((enum error_code)9999), "unknown error");
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set__keeps_the_first),
        cmocka_unit_test(test_prefix__joins_names_and_indexes),
        cmocka_unit_test(test_set__lets_nothing_unprintable_out),
        cmocka_unit_test(test_set__cuts_at_a_character),
        cmocka_unit_test(test_errno__adds_the_words_and_knows_a_full_disk),
        cmocka_unit_test(test_words__exist_for_every_code),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
