/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arenas: zeroed, aligned, apart from each other, freed whole (a leak is the sanitizer's find). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdalign.h>

#include "core/arena.h"

static void test_alloc__is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct arena arena = {0};
    unsigned char *pieces[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 97;
        pieces[i] = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t byte = 0; byte < size; byte++)
            assert_int_equal(pieces[i][byte], 0);
        memset(pieces[i], (int)(i % 251) + 1, size);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t byte = 0; byte < i % 97; byte++)
            assert_int_equal(pieces[i][byte], i % 251 + 1);
    arena_release(&arena);
}

static void test_alloc__takes_more_than_a_block(void **state)
{
    (void)state;
    struct arena arena = {0};
    char *small = arena_strdup(&arena, "before");
    size_t size = (size_t)3 << 20;
    unsigned char *large = arena_alloc(&arena, size);
    large[0] = 1;
    large[size - 1] = 1;
    char *after = arena_strdup(&arena, "after");
    assert_string_equal(small, "before");
    assert_string_equal(after, "after");
    arena_release(&arena);
    assert_string_equal(arena_strdup(&arena, "usable again"), "usable again");
    arena_release(&arena);
    arena_release(&arena);
}

static void test_copies__end_in_zero_and_keep_zeros_inside(void **state)
{
    (void)state;
    struct arena arena = {0};
    char *copy = arena_strndup(&arena, "a\0bc", 3);
    assert_memory_equal(copy, "a\0b\0", 4);
    struct slice slice = arena_slice(&arena, (struct slice){"xyz", 2});
    assert_int_equal(slice.len, 2);
    assert_string_equal(slice.ptr, "xy");
    struct slice nothing = arena_slice(&arena, (struct slice){NULL, 0});
    assert_string_equal(nothing.ptr, "");
    arena_release(&arena);
}

static void test_reset__gives_the_same_memory_again_zeroed(void **state)
{
    (void)state;
    struct arena arena = {0};
    arena_reset(&arena);
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&arena, 100), 'x', 100);
    arena_reset(&arena);
    char *first = arena_alloc(&arena, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(first[i], 0);
    memset(first, 'x', 100);
    arena_reset(&arena);
    char *again = arena_alloc(&arena, 100);
    assert_ptr_equal(again, first);
    assert_int_equal(again[99], 0);
    arena_release(&arena);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc__is_zeroed_aligned_and_apart),
        cmocka_unit_test(test_alloc__takes_more_than_a_block),
        cmocka_unit_test(test_copies__end_in_zero_and_keep_zeros_inside),
        cmocka_unit_test(test_reset__gives_the_same_memory_again_zeroed),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
