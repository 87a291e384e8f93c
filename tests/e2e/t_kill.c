/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kill -9 under load, a hundred times: a child keeps several batches in flight and tells over a
 * pipe of each that was acknowledged; in some rounds it changes definitions, so that all is counted
 * anew meanwhile. It is killed at a random moment, sometimes while it opens the store. Every
 * acknowledged event is in the history exactly once, no batch in part, and a recount finds no
 * difference.
 *
 * The seed is printed; UPLIFT_KILL_SEED takes another, UPLIFT_KILL_ROUNDS more rounds. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/core/batches.h"
#include "tests/core/folder.h"

enum { ROUNDS = 100, LOOK_EVERY = 10, BEHIND = 16 };
static char folder[FOLDER_MAX];
static uint32_t seed;
static unsigned char acknowledged[BATCHES_MAX];

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static uint32_t number_of(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

/* --- the child ------------------------------------------------------------------------------ */

static void told(void *data, uint32_t number, const struct error *err)
{
    if (err->code != ERROR_NONE || write(*(int *)data, &number, sizeof number) != sizeof number)
        error_fatal("the child's batch %u: %s", number, err->message);
}

static void work_until_killed(uint32_t number, int pipe, bool changes)
{
    struct uplift *uplift = batches_open(folder);
    struct batches_sender sender = {
        .uplift = uplift, .next = number, .most = UINT32_MAX, .told = told, .data = &pipe};
    pthread_t thread;
    if (pthread_create(&thread, NULL, batches_send, &sender) != 0)
        error_fatal("cannot start a thread");
    /* Until it is killed. */
    if (!changes)
        pthread_join(thread, NULL);
    for (uint32_t i = number;; i++) {
        struct error err = {0};
        if (!batches_change(uplift, i, &err))
            error_fatal("the child's change: %s", err.message);
        usleep(draw(20000));
    }
}

/* --- the parent ----------------------------------------------------------------------------- */

static void wait_for_work(int pipe, uint32_t *last)
{
    uint32_t number, few = 1 + draw(5);
    for (uint32_t i = 0; i < few; i++) {
        assert_int_equal(read(pipe, &number, sizeof number), sizeof number);
        acknowledged[number] = 1;
        *last = number;
    }
}

/* The number behind all that the child may have sent. */
static uint32_t kill_while_working(uint32_t first, uint32_t round)
{
    int ends[2];
    uint32_t number, last = first;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work_until_killed(first, ends[1], round % 3 == 0);
    }
    close(ends[1]);
    if (round % 5 != 4) /* else it may still be opening */
        wait_for_work(ends[0], &last);
    usleep(draw(40000));
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(ends[0], &number, sizeof number) == sizeof number) {
        acknowledged[number] = 1;
        last = number;
    }
    close(ends[0]);
    return last + BEHIND;
}

static void test_kill__every_acknowledged_event_is_there_once(void **state)
{
    (void)state;
    uint32_t next = 0, count = 0, rounds = number_of("UPLIFT_KILL_ROUNDS", ROUNDS);
    seed = number_of("UPLIFT_KILL_SEED", (uint32_t)time(NULL));
    printf("# seed %u\n", seed);
    struct uplift *uplift = batches_open(folder);
    batches_define(uplift);
    uplift_close(&uplift);
    for (uint32_t round = 1; round <= rounds; round++) {
        next = kill_while_working(next, round);
        assert_true(next < BATCHES_MAX);
        if (round % LOOK_EVERY && round != rounds)
            continue;
        uplift = batches_open(folder);
        if (!batches_hold(uplift, acknowledged, true))
            fail_msg("in round %u", round);
        uplift_close(&uplift);
    }
    for (uint32_t b = 0; b < next; b++)
        count += acknowledged[b];
    printf("# %u kills, %u batches of %d events were acknowledged\n", rounds, count, BATCH);
    assert_true(count >= rounds / 2);
}

static int make_folder(void **state)
{
    (void)state;
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill__every_acknowledged_event_is_there_once,
                                        make_folder, remove_folder),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
