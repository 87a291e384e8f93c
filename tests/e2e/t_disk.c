/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk that fails, at each write and sync of a commit in turn: full, read-only, or with an error;
 * once, several times, or until it is mended; a write that fails having put nothing, half or all of
 * its bytes. What is refused is told rightly, nothing that was acknowledged is lost, reads go on,
 * and when the disk is well again so are writes, without a restart. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/assign.h"
#include "core/definitions.h"
#include "tests/core/batches.h"
#include "tests/core/disk.h"
#include "tests/core/folder.h"

enum { POSITIONS_MAX = 1000, FOR_EVER = 1000000 };
static char folder[FOLDER_MAX];
static struct uplift *uplift;
static unsigned char acknowledged[BATCHES_MAX];
static uint32_t next, kept, refused;

static bool send_next(struct error *err)
{
    uint32_t number = next++;
    json_t *batch = batch_of(number), *answer = uplift_events(uplift, batch, err);
    bool taken = answer != NULL;
    acknowledged[number] = taken;
    json_decref(answer);
    json_decref(batch);
    return taken;
}

static void assert_reads(void)
{
    struct error err = {0};
    const struct results_options options = {.as_of = -1, .without_looks = true};
    struct store_txn *txn = store_read(uplift->store, &err);
    struct slice value;
    if (!txn || !store_get(txn, STORE_META, slice_of("secret"), &value))
        fail_msg("a read fails: %s", err.message);
    store_abort(&txn);
    json_t *results = analysis_results(uplift, slice_of("exp"), &options, &err);
    if (!results && err.code != ERROR_BUSY && err.code != ERROR_FULL)
        fail_msg("results: %s", err.message);
    json_decref(results);
}

static void assert_refusal(const struct error *err, int code)
{
    enum error_code expected = code == ENOSPC ? ERROR_FULL : ERROR_IO;
    if (err->code != expected)
        fail_msg("%s: refused as %d: %s", strerror(code), (int)err->code, err->message);
}

/* One batch, or a change of a definition, while the disk fails. */
static void write_once(bool change, int code)
{
    struct error err = {0};
    bool ok = change ? batches_change(uplift, next, &err) : send_next(&err);
    if (ok)
        kept++;
    else
        refused++;
    if (!ok)
        assert_refusal(&err, code);
    assert_reads();
}

/* False where the commits have no call at this position. */
static bool fail_at(struct disk_failure how, bool change)
{
    struct error err = {0};
    unsigned calls, failed;
    disk_fail(how);
    write_once(change, how.code);
    if (how.times == FOR_EVER)
        for (int i = 0; i < 3; i++)
            write_once(change && i == 1, how.code);
    disk_counted(&calls, &failed);
    disk_fail((struct disk_failure){0});
    if (!send_next(&err))
        fail_msg("position %u, %s%s%s, %u times: does not recover: %s", how.after,
                 strerror(how.code), how.half ? ", half" : "", how.behind ? ", behind" : "",
                 how.times, err.message);
    if (how.after % 4 == 0 && !batches_hold(uplift, acknowledged, how.after % 8 == 0))
        fail_msg("position %u, %s%s%s, %u times", how.after, strerror(how.code),
                 how.half ? ", half" : "", how.behind ? ", behind" : "", how.times);
    return failed > 0;
}

static void reopen(void)
{
    uplift_close(&uplift);
    uplift = batches_open(folder);
    assert_true(batches_hold(uplift, acknowledged, true));
}

static void fail_everywhere(int code, bool half, bool behind, bool change)
{
    static const unsigned times[] = {1, 2, 4, FOR_EVER};
    for (size_t t = 0; t < sizeof times / sizeof *times; t++) {
        bool more = true;
        for (unsigned after = 0; more && after < POSITIONS_MAX; after += 1 + after / 8)
            more = fail_at((struct disk_failure){.after = after,
                                                 .times = times[t],
                                                 .code = code,
                                                 .half = half,
                                                 .behind = behind},
                           change);
        assert_false(more);
    }
    reopen();
}

static void test_disk__events_at_every_position(void **state)
{
    (void)state;
    static const int codes[] = {EIO, ENOSPC, EROFS};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fail_everywhere(codes[i], false, false, false);
    fail_everywhere(EIO, false, true, false);
    fail_everywhere(EIO, true, false, false);
    printf("# %u writes succeeded, %u were refused\n", kept, refused);
    assert_true(refused > 100);
}

static void test_disk__definitions_at_every_position(void **state)
{
    (void)state;
    fail_everywhere(EIO, false, false, true);
    fail_everywhere(ENOSPC, false, true, true);
    fail_everywhere(EIO, false, true, true);
    printf("# %u writes succeeded, %u were refused\n", kept, refused);
}

/* Its pages are written to through a map, which on a full disk would fault. */
static void test_disk__readers_need_no_room(void **state)
{
    (void)state;
    char path[FOLDER_MAX + 16];
    struct stat info = {0};
    snprintf(path, sizeof path, "%s/lock.mdb", folder);
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_blocks * 512 >= info.st_size);
}

static int begin(void **state)
{
    (void)state;
    memset(acknowledged, 0, sizeof acknowledged);
    next = kept = refused = 0;
    if (!folder_make(folder))
        return -1;
    uplift = batches_open(folder);
    batches_define(uplift);
    return 0;
}

static int end(void **state)
{
    (void)state;
    disk_fail((struct disk_failure){0});
    uplift_close(&uplift);
    return folder_remove(folder) ? 0 : -1;
}

#define each(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(test_disk__events_at_every_position),
        each(test_disk__definitions_at_every_position),
        each(test_disk__readers_need_no_room),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
