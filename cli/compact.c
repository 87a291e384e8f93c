/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift compact: rewrites the store without what was deleted, offline. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/copy.h"
#include "cli/options.h"
#include "core/store.h"

static const char help[] =
    "Usage: uplift compact --data DIR\n"
    "Rewrites the store so that nothing of what was deleted is left in its file, and gives its\n"
    "space back. A server does so by itself a day after an erasure.\n"
    "\n"
    "  --data DIR    the data folder; no server may run on it\n"
    "  --help        print this help\n";

int compact_command(int argc, char **argv)
{
    const char *data = NULL;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true}, {0}};
    struct options options = {.command = "compact", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    uint64_t before = 0, after = 0;
    double start = copy_clock();
    struct store *store = store_exists(data, &err) ? store_open(data, 0, &err) : NULL;
    bool ok = store && store_compact(store, &before, &after, &err);
    store_close(&store);
    if (!ok)
        return options_failed("compact", &err);
    printf("compacted: %" PRIu64 " bytes on disk, %" PRIu64 " before, in %.1f s\n", after, before,
           copy_clock() - start);
    return COMMAND_OK;
}
