/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linked with all of uplift, a program whose disk fails when it is told: after SIGUSR1 every write
 * of the store fails as on a file system that is read-only, after SIGUSR2 none does. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "core/error.h"
#include "tests/core/disk.h"

static void *listen_for(void *data)
{
    sigset_t *signals = data;
    for (int got; sigwait(signals, &got) == 0;)
        disk_fail(got == SIGUSR1 ? (struct disk_failure){.times = 1u << 30, .code = EROFS}
                                 : (struct disk_failure){0});
    return NULL;
}

/* Before main, so that every thread leaves these signals to this one. */
__attribute__((constructor)) static void start(void)
{
    static sigset_t signals;
    pthread_t thread;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&thread, NULL, listen_for, &signals) != 0)
        error_fatal("cannot start a thread");
    pthread_detach(thread);
}
