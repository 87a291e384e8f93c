/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The power is cut while events come in: whatever of the writes since the last sync the disk holds,
 * the store opens, has every acknowledged batch, and a recount finds no difference.
 *
 * The writes are recorded. A state of the disk at a cut is all that was synced before, and of the
 * writes since then, the one under way among them, any part: each whole, not at all, or some of its
 * sectors. Of LMDB's meta page only one sector is written, which a disk writes whole.
 *
 * The seed is printed; UPLIFT_POWER_SEED takes another, UPLIFT_POWER_CUTS more cuts (300). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/core/batches.h"
#include "tests/core/disk.h"
#include "tests/core/folder.h"

enum { BATCHES = 400, SECTOR = 512, BEGIN = 20 };
static uint64_t seed;
static struct disk_step *steps;
static size_t step_count;
static unsigned char acknowledged[BATCHES_MAX];

static uint32_t draw(uint32_t below)
{
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) % below);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* --- what was written ----------------------------------------------------------------------- */

static void told(void *data, uint32_t number, const struct error *err)
{
    (void)data;
    if (err->code != ERROR_NONE)
        error_fatal("batch %u: %s", number, err->message);
    disk_note(number);
}

/* From the first byte of the store on, through changes of definitions and a restart. */
static void record(const char *folder)
{
    disk_record();
    uint32_t next = 0;
    for (uint32_t part = 0; part < 4; part++) {
        struct error err = {0};
        struct uplift *uplift = batches_open(folder);
        if (part == 0)
            batches_define(uplift);
        struct batches_sender sender = {
            .uplift = uplift, .next = next, .most = BATCHES / 8, .told = told};
        batches_send(&sender);
        assert_true(batches_change(uplift, part, &err));
        batches_send(&sender);
        next = sender.next;
        uplift_close(&uplift);
    }
    steps = disk_recorded(&step_count);
}

/* --- what the disk holds -------------------------------------------------------------------- */

struct image {
    unsigned char *bytes;
    size_t len, room;
};

static void reach(struct image *image, size_t len)
{
    if (len > image->room) {
        size_t room = 2 * len;
        image->bytes = xrealloc(image->bytes, room);
        memset(image->bytes + image->room, 0, room - image->room);
        image->room = room;
    }
    if (len > image->len)
        image->len = len;
}

static void put(struct image *image, const struct disk_step *step)
{
    reach(image, step->at + step->len);
    memcpy(image->bytes + step->at, step->bytes, step->len);
}

/* Some of its sectors. Its length may have been written without any of them. */
static void put_torn(struct image *image, const struct disk_step *step)
{
    uint32_t share = 1 + draw(9);
    if (draw(2))
        reach(image, step->at + step->len);
    for (size_t from = 0; from < step->len;) {
        size_t to = (step->at + from) / SECTOR * SECTOR + SECTOR - step->at;
        to = to < step->len ? to : step->len;
        struct disk_step sector = {
            .at = step->at + from, .len = to - from, .bytes = step->bytes + from};
        if (draw(10) < share)
            put(image, &sector);
        from = to;
    }
}

static void put_some(struct image *image, const struct disk_step *step, uint32_t share)
{
    uint32_t fate = draw(10);
    if (fate < share)
        put(image, step);
    else if (draw(2))
        put_torn(image, step);
}

/* What the disk has for certain when `count` steps are over, in `synced`; what else it may have
 * begins at *open. Called with ever larger counts. */
static void advance(struct image *synced, size_t *open, size_t from, size_t count)
{
    for (size_t i = from; i < count; i++) {
        if (steps[i].kind == DISK_WRITE && steps[i].durable)
            put(synced, &steps[i]);
        if (steps[i].kind != DISK_SYNC)
            continue;
        for (; *open < i; (*open)++)
            if (steps[*open].kind == DISK_WRITE && !steps[*open].durable)
                put(synced, &steps[*open]);
    }
    for (size_t i = from; i < count; i++)
        if (steps[i].kind == DISK_NOTE)
            acknowledged[steps[i].at] = 1;
}

static struct image disk_at(const struct image *synced, size_t open, size_t count)
{
    struct image image = {0};
    uint32_t share = draw(11);
    reach(&image, synced->len);
    if (synced->len)
        memcpy(image.bytes, synced->bytes, synced->len);
    for (size_t i = open; i < count; i++)
        if (steps[i].kind == DISK_WRITE && !steps[i].durable)
            put_some(&image, &steps[i], share);
    if (count < step_count && steps[count].kind == DISK_WRITE) /* under way */
        put_some(&image, &steps[count], share);
    return image;
}

/* Whether the file has its name after `count` steps: that is certain once the folder was synced. */
static bool has_name(size_t count)
{
    size_t renamed = 0, synced = 0;
    for (size_t i = 0; i < count; i++) {
        renamed += steps[i].kind == DISK_RENAME;
        synced += renamed && steps[i].kind == DISK_FOLDER;
    }
    return synced || (renamed && draw(2));
}

static void write_image(const char *folder, const struct image *image, bool named)
{
    char path[FOLDER_MAX + 16], other[FOLDER_MAX + 16];
    snprintf(path, sizeof path, named ? "%s/data.mdb" : "%s/data.mdb.new", folder);
    snprintf(other, sizeof other, named ? "%s/data.mdb.new" : "%s/data.mdb", folder);
    unlink(other);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, image->bytes, image->len), image->len);
    close(file);
}

static bool opens_whole(const char *folder, bool check)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &batches_clock, &err);
    if (!uplift)
        printf("# %s: %s\n", err.place, err.message);
    bool ok = uplift && batches_hold(uplift, acknowledged, check);
    uplift_close(&uplift);
    return ok;
}

/* At random in stretch `i` of `of`; the last is the end. */
static size_t draw_cut(size_t i, size_t of)
{
    size_t rest = step_count - BEGIN, low = rest * i / of, high = rest * (i + 1) / of;
    return i + 1 == of ? step_count : BEGIN + low + draw((uint32_t)(high > low ? high - low : 1));
}

static void test_power__a_cut_loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    char written[FOLDER_MAX], cut[FOLDER_MAX];
    seed = number_of("UPLIFT_POWER_SEED", (uint64_t)time(NULL));
    size_t cuts = number_of("UPLIFT_POWER_CUTS", 300), open = 0, from = 0;
    printf("# seed %llu\n", (unsigned long long)seed);
    assert_true(folder_make(written) && folder_make(cut));
    record(written);
    struct image synced = {0};
    for (size_t i = 0; i < BEGIN + cuts; i++) {
        /* The first steps one by one, then one of each of as many stretches as there are cuts. */
        size_t count = i < BEGIN ? i : draw_cut(i - BEGIN, cuts);
        advance(&synced, &open, from, count);
        struct image image = disk_at(&synced, open, count);
        write_image(cut, &image, has_name(count));
        free(image.bytes);
        if (!opens_whole(cut, i % 8 == 0))
            fail_msg("cut %zu after %zu of %zu steps", i, count, step_count);
        from = count;
    }
    printf("# %d and %zu cuts in %zu writes, syncs and acknowledgements\n", BEGIN, cuts,
           step_count);
    for (size_t i = 0; i < step_count; i++)
        free(steps[i].bytes);
    free(steps);
    free(synced.bytes);
    assert_true(folder_remove(written) && folder_remove(cut));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power__a_cut_loses_nothing_that_was_acknowledged),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
