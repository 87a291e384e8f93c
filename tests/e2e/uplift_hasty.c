/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linked with all of uplift, a program for which time flies: between two rounds of housekeeping
 * there is a tenth of a second, and each SIGUSR1 takes it a day and an hour on. The clocks that
 * uplift tells the time by show so; those by which it measures how long something takes do not. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long ahead, asked; /* seconds */

int clock_gettime(clockid_t which, struct timespec *out)
{
    long failed = syscall(SYS_clock_gettime, which, out);
    if (failed == 0 && (which == CLOCK_REALTIME || which == CLOCK_BOOTTIME))
        out->tv_sec += atomic_load(&ahead);
    return (int)failed;
}

/* In place of libc's, for the thread that keeps house. Days pass here, where it does nothing else:
 * who reads one clock before and the other one behind would see a clock that leaps. */
int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    const struct timespec short_time = {.tv_nsec = 100000000};
    (void)timeout;
    atomic_fetch_add(&ahead, atomic_exchange(&asked, 0));
    return (int)syscall(SYS_rt_sigtimedwait, set, info, &short_time, 8);
}

static void a_day_on(int number)
{
    (void)number;
    atomic_fetch_add(&asked, 25 * 3600);
}

__attribute__((constructor)) static void start(void)
{
    struct sigaction action = {.sa_handler = a_day_on, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
}
