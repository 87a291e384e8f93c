/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders of tests: below TMPDIR, removed with whatever the test left in them. */
#include "tests/core/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/uplift.h"

bool folder_make(char folder[FOLDER_MAX])
{
    const char *base = getenv("TMPDIR");
    int len = snprintf(folder, FOLDER_MAX, "%s/uplift-test-XXXXXX", base && *base ? base : "/tmp");
    return len < FOLDER_MAX && mkdtemp(folder);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

bool folder_remove(const char *folder)
{
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0;
}

bool folder_settled(struct uplift *uplift)
{
    for (int i = 0; i < 6000 && atomic_load(&uplift->rebuild.running) > 0; i++)
        usleep(5000);
    return atomic_load(&uplift->rebuild.running) == 0;
}

static int64_t still_now(void *data)
{
    (void)data;
    return INT64_C(1790000000000);
}

int opened_setup(void **state)
{
    struct error err = {0};
    struct opened *opened = xcalloc(1, sizeof *opened);
    *state = opened;
    if (!folder_make(opened->folder))
        return -1;
    opened->uplift = uplift_open(opened->folder, &(struct clock){.now = still_now}, &err);
    return opened->uplift ? 0 : -1;
}

int opened_teardown(void **state)
{
    struct opened *opened = *state;
    uplift_close(&opened->uplift);
    bool removed = folder_remove(opened->folder);
    free(opened);
    return removed ? 0 : -1;
}
