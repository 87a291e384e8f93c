/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift upgrade: a folder of the schema before this one. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/copy.h"
#include "cli/options.h"
#include "core/recount.h"
#include "core/store.h"

static const char help[] =
    "Usage: uplift upgrade --data DIR\n"
    "Rewrites a store of schema 1 as one of schema 2, whole or not at all. The old file stays as\n"
    "data.mdb.schema-1 in the folder until you delete it; the disk must hold both. Figures are\n"
    "counted anew from history when the store is next opened.\n"
    "\n"
    "  --data DIR    the data folder; no server may run on it\n"
    "  --help        print this help\n";

int upgrade_command(int argc, char **argv)
{
    const char *data = NULL;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true}, {0}};
    struct options options = {.command = "upgrade", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    uint64_t bytes = 0;
    double start = copy_clock();
    if (!store_upgrade(data, recount_afresh, &bytes, &err))
        return options_failed("upgrade", &err);
    copy_done("upgraded", bytes, start);
    printf("the old file is kept: %s/data.mdb.schema-1\n", data);
    return COMMAND_OK;
}
