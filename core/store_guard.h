/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the store: faults of memory while LMDB reads its map become an error.
 *
 * LMDB trusts what is in its file: a flipped bit in a page may make it read beyond the end of the
 * file or of the map. Such a fault (SIGSEGV, SIGBUS), and a failed assertion of LMDB, ends the
 * guarded call with STORE_FAULT. A fault anywhere else goes to whoever had the signal before. */
#ifndef UPLIFT_CORE_STORE_GUARD_H
#define UPLIFT_CORE_STORE_GUARD_H

#include <lmdb.h>
#include <setjmp.h>

/* Codes beside those of LMDB (store.c makes words of them). */
enum {
    STORE_DAMAGED = -31000, /* a row or a sum is not what was written */
    STORE_FAULT = -31001,   /* a guarded call met a fault */
    STORE_BROKEN = -31002,  /* a fault left LMDB's writer in an unknown state */
};

/* Where the guarded call of this thread ends on a fault; NULL outside of one. */
extern _Thread_local sigjmp_buf *volatile guard_jump;

/* Takes the signals, where they are not ours already. Any thread. */
void guard_install(void);
/* For mdb_env_set_assert. */
void guard_assert(MDB_env *env, const char *message);

/* code = expression, or STORE_FAULT. Saves no signal mask, so it costs some nanoseconds. No guard
 * within a guard; what the expression holds (locks, memory) is not given back on a fault. */
#define GUARDED(code, expression)                                                                  \
    do {                                                                                           \
        sigjmp_buf guard_here;                                                                     \
        if (sigsetjmp(guard_here, 0) == 0) {                                                       \
            guard_jump = &guard_here;                                                              \
            (code) = (expression);                                                                 \
        } else {                                                                                   \
            (code) = STORE_FAULT;                                                                  \
        }                                                                                          \
        guard_jump = NULL;                                                                         \
    } while (0)

#endif
