/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder for a store that lives as long as a test, an application opened in one, and waiting
 * until the store is at rest. */
#ifndef UPLIFT_TESTS_CORE_FOLDER_H
#define UPLIFT_TESTS_CORE_FOLDER_H

#include <stdbool.h>

#define FOLDER_MAX 64

/* Makes a fresh one and writes its path; false where it cannot be made. */
bool folder_make(char folder[FOLDER_MAX]);
/* Removes it with all that is in it. */
bool folder_remove(const char *folder);

struct uplift;
/* Waits until nothing is counted anew any more; false where that does not come. */
bool folder_settled(struct uplift *uplift);

/* For tests that want an open application and no time: its clock stands still. Set-up and tear-down
 * of cmocka, with what was opened as state. */
struct opened {
    char folder[FOLDER_MAX];
    struct uplift *uplift;
};
int opened_setup(void **state);
int opened_teardown(void **state);

#endif
