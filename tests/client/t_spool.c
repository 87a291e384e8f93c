/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The spool holds what it took, in order, within its bound, whatever ended the process before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/spool.h"

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/uplift-spool-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/events", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static struct spool *open_spool(size_t max)
{
    struct error err = {0};
    struct spool *spool = spool_open(path, max, &err);
    if (!spool)
        fail_msg("%s", err.message);
    return spool;
}

/* Events are numbers, padded so that they end at all places of the ring. */
static bool put(struct spool *spool, size_t number, enum error_code *code)
{
    struct error err = {0};
    char event[512];
    int len = snprintf(event, sizeof event, "%zu%*s", number, (int)(number * 37 % 300), "");
    bool ok = spool_append(spool, (struct slice){event, (size_t)len}, &err);
    if (code)
        *code = err.code;
    return ok;
}

/* The numbers of the first events, and that they follow one another from `first` on. */
static size_t look(struct spool *spool, size_t count, size_t bytes, size_t first)
{
    struct error err = {0};
    struct text text;
    text_init(&text, 1 << 24);
    size_t taken = spool_read(spool, count, bytes, &text, &err);
    assert_int_equal(err.code, ERROR_NONE);
    json_t *list = json_loads(text.ptr, 0, NULL);
    assert_non_null(list);
    assert_int_equal(json_array_size(list), taken);
    for (size_t i = 0; i < taken; i++)
        assert_int_equal(json_integer_value(json_array_get(list, i)), first + i);
    json_decref(list);
    text_release(&text);
    return taken;
}

static void drop(struct spool *spool, size_t count)
{
    struct error err = {0};
    assert_true(spool_drop(spool, count, &err));
}

static void turn_round(const char *where)
{
    struct error err = {0};
    struct spool *spool = spool_open(where, SPOOL_LEAST, &err);
    assert_non_null(spool);
    size_t next = 1, first = 1;
    for (int round = 0; round < 40; round++) {
        enum error_code code;
        while (put(spool, next, &code))
            next++;
        assert_int_equal(code, ERROR_FULL);
        assert_int_equal(spool_count(spool), next - first);
        size_t seen = look(spool, 100, 1 << 20, first);
        assert_int_equal(seen, 100);
        drop(spool, seen);
        first += seen;
    }
    assert_true(next > 4000);
    spool_close(&spool);
}

static void test_spool__goes_round_within_its_bound(void **state)
{
    (void)state;
    struct stat about;
    turn_round(NULL);
    turn_round(path);
    assert_int_equal(stat(path, &about), 0);
    assert_true(about.st_size <= SPOOL_LEAST + 64);
    assert_int_equal(about.st_mode & 0777, 0600);
}

static void test_spool__reads_no_more_than_is_asked(void **state)
{
    (void)state;
    struct spool *spool = open_spool(SPOOL_LEAST);
    for (size_t i = 1; i <= 50; i++)
        assert_true(put(spool, i, NULL));
    assert_int_equal(look(spool, 7, 1 << 20, 1), 7);
    assert_true(look(spool, 50, 1000, 1) < 50);
    assert_int_equal(look(spool, 50, 1, 1), 1); /* one at least, or it would never go on */
    spool_close(&spool);
}

static void test_spool__is_there_after_the_end_of_the_process(void **state)
{
    (void)state;
    /* Closing does nothing that a kill would not do. */
    size_t next = 1, first = 1;
    for (int round = 0; round < 200; round++) {
        struct spool *spool = open_spool(SPOOL_LEAST);
        assert_int_equal(spool_count(spool), next - first);
        look(spool, 1000, 1 << 20, first);
        size_t gone = (next - first) * (size_t)(round % 5) / 4;
        drop(spool, gone);
        first += gone;
        for (int i = 0; i < 60 && put(spool, next, NULL); i++)
            next++;
        spool_close(&spool);
    }
}

/* Whatever length the file has after a kill, a beginning of the events is left. */
static void test_spool__what_is_cut_off_is_the_end(void **state)
{
    (void)state;
    struct spool *spool = open_spool(SPOOL_LEAST);
    for (size_t i = 1; i <= 20; i++)
        put(spool, i, NULL);
    spool_close(&spool);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    size_t before = 20;
    for (off_t size = about.st_size - 1; size >= 64; size -= 13) {
        assert_int_equal(truncate(path, size), 0);
        spool = open_spool(SPOOL_LEAST);
        size_t left = spool_count(spool);
        assert_true(left <= before);
        look(spool, 100, 1 << 20, 1);
        before = left;
        spool_close(&spool);
        if (left == 0)
            break;
    }
    assert_int_equal(before, 0);
}

static void test_spool__a_changed_byte_is_not_sent(void **state)
{
    (void)state;
    struct spool *spool = open_spool(SPOOL_LEAST);
    for (size_t i = 1; i <= 3; i++)
        put(spool, i, NULL);
    spool_close(&spool);
    int file = open(path, O_RDWR);
    /* The second event: after the head, a record's head and the first with its 37 blanks. */
    assert_int_equal(pwrite(file, "9", 1, 64 + 16 + 38 + 16), 1);
    close(file);
    spool = open_spool(SPOOL_LEAST);
    assert_int_equal(spool_count(spool), 1);
    assert_int_equal(look(spool, 100, 1 << 20, 1), 1);
    spool_close(&spool);
}

static void test_spool__is_of_one_client_and_no_other_file(void **state)
{
    (void)state;
    struct error err = {0};
    struct spool *spool = open_spool(SPOOL_LEAST);
    assert_null(spool_open(path, SPOOL_LEAST, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    spool_close(&spool);
    FILE *file = fopen(path, "w");
    fputs("What somebody else wrote, and would miss if it were gone. And some more of it, so long.",
          file);
    fclose(file);
    error_clear(&err);
    assert_null(spool_open(path, SPOOL_LEAST, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_true(about.st_size > 64);
}

static void test_spool__a_new_bound_counts_once_it_is_empty(void **state)
{
    (void)state;
    struct spool *spool = open_spool(SPOOL_LEAST);
    for (size_t i = 1; i <= 30; i++)
        put(spool, i, NULL);
    spool_close(&spool);
    spool = open_spool(4 * SPOOL_LEAST);
    assert_false(spool_fits(spool, 2 * SPOOL_LEAST));
    assert_int_equal(look(spool, 100, 1 << 20, 1), 30);
    drop(spool, 30);
    assert_true(spool_fits(spool, 2 * SPOOL_LEAST));
    spool_close(&spool);
}

int main(void)
{
#define SPOOL_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(test_spool__goes_round_within_its_bound),
        SPOOL_TEST(test_spool__reads_no_more_than_is_asked),
        SPOOL_TEST(test_spool__is_there_after_the_end_of_the_process),
        SPOOL_TEST(test_spool__what_is_cut_off_is_the_end),
        SPOOL_TEST(test_spool__a_changed_byte_is_not_sent),
        SPOOL_TEST(test_spool__is_of_one_client_and_no_other_file),
        SPOOL_TEST(test_spool__a_new_bound_counts_once_it_is_empty),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
