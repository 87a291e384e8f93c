/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk between LMDB and the system's: a test that links this sees every write of a store's
 * data.mdb pass by (the program's pwrite, writev and fdatasync come before those of libc), records
 * them, and lets them fail. No sync is waited for. One store at a time. Any thread. */
#ifndef UPLIFT_TESTS_CORE_DISK_H
#define UPLIFT_TESTS_CORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What happened, in the order in which it was over. */
struct disk_step {
    enum {
        DISK_WRITE,
        DISK_SYNC,
        DISK_RENAME, /* what was written so far got its name */
        DISK_FOLDER, /* a folder was synced */
        DISK_NOTE
    } kind;
    bool durable; /* a write that was on the disk when it returned (O_DSYNC) */
    uint64_t at;  /* of a write, where; of a note, its number */
    size_t len;
    unsigned char *bytes;
};

/* Records from now on, until disk_recorded. */
void disk_record(void);
/* Ends it; the caller frees bytes and list. */
struct disk_step *disk_recorded(size_t *count);
/* Puts something of the test's own among the steps. */
void disk_note(uint64_t number);

/* From the `after`-th call (0: the next one) on, `times` calls fail with `code` (errno).
 * `half`: a write that fails has put half of its bytes on the disk, and says so. `behind`: it has
 * put all of them, and fails all the same. */
struct disk_failure {
    unsigned after, times;
    int code;
    bool half, behind;
};
void disk_fail(struct disk_failure failure);
/* How many calls there were since disk_fail, and how many failed. */
void disk_counted(unsigned *calls, unsigned *failed);

#endif
