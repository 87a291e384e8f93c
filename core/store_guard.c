/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The handlers stay in place for good. They are entered with the signal unblocked (SA_NODEFER), so
 * that leaving by a jump needs no mask to be put back. */
#include "core/store_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "core/error.h"

_Thread_local sigjmp_buf *volatile guard_jump;

static struct sigaction before_segv, before_bus;

static void leave(void)
{
    sigjmp_buf *to = guard_jump;
    guard_jump = NULL;
    siglongjmp(*to, 1);
}

/* Not ours: the instruction is run again under the action from before; a signal that somebody sent
 * is sent again. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (guard_jump)
        leave();
    sigaction(number, number == SIGBUS ? &before_bus : &before_segv, NULL);
    if (info->si_code <= 0)
        raise(number);
}

static void take(int number, struct sigaction *before)
{
    struct sigaction now, ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&ours.sa_mask);
    sigaction(number, NULL, &now);
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
        return;
    *before = now;
    sigaction(number, &ours, NULL);
}

void guard_install(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    take(SIGSEGV, &before_segv);
    take(SIGBUS, &before_bus);
    pthread_mutex_unlock(&lock);
}

void guard_assert(MDB_env *env, const char *message)
{
    (void)env;
    if (guard_jump)
        leave();
    error_fatal("LMDB: %s", message);
}
