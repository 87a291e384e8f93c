/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/core/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/error.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool recording; /* lock, with all below */
static struct disk_step *steps;
static size_t step_count, step_room;
static struct disk_failure failing;
static unsigned calls, failures;

static bool ends(const char *path, const char *end)
{
    size_t len = strlen(path), most = strlen(end);
    return len >= most && strcmp(path + len - most, end) == 0;
}

/* The data file, under its name or not yet. */
static bool is_data(int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return ends(path, "/data.mdb") || ends(path, "/data.mdb.new");
}

/* The same file without O_DSYNC: nobody cuts the power here, so no sync is waited for. */
static int quick(int file)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    return open(link, O_WRONLY | O_CLOEXEC);
}

/* --- recording ------------------------------------------------------------------------------ */

static void add(struct disk_step step)
{
    if (!recording)
        return;
    if (step_count == step_room) {
        step_room = step_room ? 2 * step_room : 1024;
        steps = xrealloc(steps, step_room * sizeof *steps);
    }
    steps[step_count++] = step;
}

static void record(struct disk_step step)
{
    pthread_mutex_lock(&lock);
    add(step);
    pthread_mutex_unlock(&lock);
}

static bool is_recording(void)
{
    pthread_mutex_lock(&lock);
    bool yes = recording;
    pthread_mutex_unlock(&lock);
    return yes;
}

static void record_write(int file, const struct iovec *list, int count, off_t at, size_t len)
{
    if (!is_recording())
        return;
    struct disk_step step = {.kind = DISK_WRITE,
                             .durable = (fcntl(file, F_GETFL) & O_DSYNC) != 0,
                             .at = (uint64_t)at,
                             .bytes = xmalloc(len)};
    for (int i = 0; i < count && step.len < len; i++) {
        size_t left = len - step.len, part = list[i].iov_len < left ? list[i].iov_len : left;
        memcpy(step.bytes + step.len, list[i].iov_base, part);
        step.len += part;
    }
    record(step);
}

void disk_record(void)
{
    pthread_mutex_lock(&lock);
    recording = true;
    pthread_mutex_unlock(&lock);
}

struct disk_step *disk_recorded(size_t *count)
{
    pthread_mutex_lock(&lock);
    struct disk_step *all = steps;
    *count = step_count;
    recording = false;
    steps = NULL;
    step_count = step_room = 0;
    pthread_mutex_unlock(&lock);
    return all;
}

void disk_note(uint64_t number)
{
    record((struct disk_step){.kind = DISK_NOTE, .at = number});
}

/* --- failing -------------------------------------------------------------------------------- */

void disk_fail(struct disk_failure failure)
{
    pthread_mutex_lock(&lock);
    failing = failure;
    calls = failures = 0;
    pthread_mutex_unlock(&lock);
}

void disk_counted(unsigned *all, unsigned *failed)
{
    pthread_mutex_lock(&lock);
    *all = calls;
    *failed = failures;
    pthread_mutex_unlock(&lock);
}

/* Whether the present call is to fail, and how. */
static bool fails(struct disk_failure *how)
{
    pthread_mutex_lock(&lock);
    unsigned call = calls++;
    bool yes = call >= failing.after && call - failing.after < failing.times;
    failures += yes;
    *how = failing;
    pthread_mutex_unlock(&lock);
    return yes;
}

/* --- in place of libc's --------------------------------------------------------------------- */

static ssize_t put(int file, const struct iovec *list, int count, off_t at)
{
    int to = quick(file);
    if (to < 0)
        return -1;
    ssize_t done = syscall(SYS_pwritev, to, list, count, at, 0);
    int code = errno;
    close(to);
    errno = code;
    return done;
}

static ssize_t put_data(int file, const struct iovec *list, int count, off_t at)
{
    struct disk_failure how;
    ssize_t done;
    if (fails(&how)) {
        struct iovec half = {list[0].iov_base, list[0].iov_len / 2};
        errno = how.code;
        if (!how.half && !how.behind)
            return -1;
        done = how.behind ? put(file, list, count, at) : put(file, &half, 1, at);
        if (done > 0)
            record_write(file, list, count, at, (size_t)done);
        errno = how.code;
        return how.behind ? -1 : done;
    }
    done = put(file, list, count, at);
    if (done > 0)
        record_write(file, list, count, at, (size_t)done);
    return done;
}

ssize_t pwrite(int file, const void *bytes, size_t len, off_t at)
{
    struct iovec one = {(void *)(uintptr_t)bytes, len};
    return is_data(file) ? put_data(file, &one, 1, at)
                         : syscall(SYS_pwrite64, file, bytes, len, at);
}

ssize_t writev(int file, const struct iovec *list, int count)
{
    if (!is_data(file))
        return syscall(SYS_writev, file, list, count);
    off_t at = lseek(file, 0, SEEK_CUR);
    ssize_t done = put_data(file, list, count, at);
    if (done > 0)
        lseek(file, at + done, SEEK_SET);
    return done;
}

int fdatasync(int file)
{
    struct disk_failure how;
    if (!is_data(file))
        return (int)syscall(SYS_fdatasync, file);
    if (fails(&how)) {
        errno = how.code;
        return -1;
    }
    record((struct disk_step){.kind = DISK_SYNC});
    return 0;
}

int fsync(int file)
{
    struct stat info = {0};
    if (fstat(file, &info) == 0 && S_ISDIR(info.st_mode))
        record((struct disk_step){.kind = DISK_FOLDER});
    return 0;
}

int rename(const char *from, const char *to)
{
    int code = (int)syscall(SYS_rename, from, to);
    if (code == 0 && ends(to, "/data.mdb"))
        record((struct disk_step){.kind = DISK_RENAME});
    return code;
}
