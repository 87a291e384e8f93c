/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slices, bounded builders, UTF-8, keys and the hash of our own tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/text.h"

static void test_builder__holds_up_to_its_maximum(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 5);
    assert_true(text_puts(&text, "abc"));
    assert_true(text_printf(&text, "%d", 42));
    assert_string_equal(text.ptr, "abc42");
    assert_int_equal(text.len, 5);
    assert_false(text.failed);
    text_release(&text);
    assert_null(text.ptr);
    assert_true(text_puts(&text, "again"));
    text_release(&text);
}

static void test_builder__refuses_what_does_not_fit_and_remembers(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 5);
    assert_true(text_puts(&text, "abcd"));
    assert_false(text_puts(&text, "ef"));
    assert_false(text_puts(&text, "g"));
    assert_true(text.failed);
    assert_string_equal(text.ptr, "abcd");
    text_clear(&text);
    assert_false(text.failed);
    assert_true(text_printf(&text, "%s", "efghi"));
    assert_false(text_printf(&text, "%s", "j"));
    assert_string_equal(text.ptr, "efghi");
    text_release(&text);
}

static void test_builder__keeps_zero_bytes_and_grows(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 100000);
    for (int i = 0; i < 50000; i++)
        assert_true(text_add(&text, "\0x", 2));
    assert_int_equal(text.len, 100000);
    assert_memory_equal(text.ptr + 99998, "\0x", 3);
    text_release(&text);
}

static void test_take__hands_over_and_is_never_null(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 10);
    char *empty = text_take(&text);
    assert_string_equal(empty, "");
    text_puts(&text, "mine");
    char *taken = text_take(&text);
    assert_string_equal(taken, "mine");
    assert_null(text.ptr);
    free(empty);
    free(taken);
}

static void test_utf8__takes_what_the_standard_allows(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t character;
    } cases[] = {
        {"A", 0x41},
        {"\x7f", 0x7f},
        {"\xc2\x80", 0x80},
        {"\xdf\xbf", 0x7ff},
        {"\xe0\xa0\x80", 0x800},
        {"\xed\x9f\xbf", 0xd7ff},
        {"\xee\x80\x80", 0xe000},
        {"\xef\xbf\xbf", 0xffff},
        {"\xf0\x90\x80\x80", 0x10000},
        {"\xf4\x8f\xbf\xbf", 0x10ffff},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t c = 0;
        size_t len = strlen(cases[i].bytes);
        assert_int_equal(utf8_next(cases[i].bytes, len, &c), len);
        assert_int_equal(c, cases[i].character);
        assert_true(utf8_valid(cases[i].bytes, len));
        if (len > 1)
            assert_false(utf8_valid(cases[i].bytes, len - 1));
    }
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("\0", 1));
}

static void test_utf8__refuses_the_rest(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\x80",             /* continues nothing */
        "\xbf",             /* the same */
        "\xc0\x80",         /* U+0000 in two bytes */
        "\xc1\xbf",         /* U+007F in two bytes */
        "\xe0\x9f\xbf",     /* U+07FF in three */
        "\xf0\x8f\xbf\xbf", /* U+FFFF in four */
        "\xed\xa0\x80",     /* first surrogate */
        "\xed\xbf\xbf",     /* last surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf8\x88\x80\x80", /* five-byte form */
        "\xff",             /* never a byte of UTF-8 */
        "\xe2\x28\xa1",     /* broken in the middle */
        "ok\xc3",           /* ends too early */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_false(utf8_valid(cases[i], strlen(cases[i])));
    uint32_t c = 7;
    assert_int_equal(utf8_next("A", 0, &c), 0);
    assert_int_equal(c, 7);
}

static void test_key__is_lower_case_and_at_most_64_bytes(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "checkout-copy", "v1.2_x", "a-", "a."};
    static const char *const bad[] = {"", "-a", ".a", "_a", "A", "a b", "a/b", "\xc3\xa4", "a\n"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(key_valid(slice_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(key_valid(slice_of(bad[i])));
    char longest[65];
    memset(longest, 'k', sizeof longest);
    assert_true(key_valid((struct slice){longest, 64}));
    assert_false(key_valid((struct slice){longest, 65}));
    assert_false(key_valid((struct slice){"a\0b", 3}));
}

static void test_slice__compares_bytes_and_length(void **state)
{
    (void)state;
    assert_true(slice_is((struct slice){"abc", 2}, "ab"));
    assert_false(slice_is((struct slice){"abc", 3}, "ab"));
    assert_true(slice_equal((struct slice){NULL, 0}, slice_of("")));
    assert_false(slice_equal((struct slice){"a\0b", 3}, (struct slice){"a\0c", 3}));
}

/* Vectors of the FNV reference implementation, 64 bits, variant 1a. */
static void test_hash64__is_fnv_1a(void **state)
{
    (void)state;
    assert_true(hash64("", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(hash64("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash64("foobar", 6) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builder__holds_up_to_its_maximum),
        cmocka_unit_test(test_builder__refuses_what_does_not_fit_and_remembers),
        cmocka_unit_test(test_builder__keeps_zero_bytes_and_grows),
        cmocka_unit_test(test_take__hands_over_and_is_never_null),
        cmocka_unit_test(test_utf8__takes_what_the_standard_allows),
        cmocka_unit_test(test_utf8__refuses_the_rest),
        cmocka_unit_test(test_key__is_lower_case_and_at_most_64_bytes),
        cmocka_unit_test(test_slice__compares_bytes_and_length),
        cmocka_unit_test(test_hash64__is_fnv_1a),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
