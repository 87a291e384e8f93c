/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift restore: a new data folder from a backup. */
#include "cli/command.h"
#include "cli/copy.h"
#include "cli/options.h"
#include "core/store.h"

static const char help[] =
    "Usage: uplift restore FROM --data DIR\n"
    "Makes the data folder DIR, which must be new or empty, from a backup. Every row is verified;\n"
    "DIR is there whole or not at all.\n"
    "\n"
    "  --data DIR    the new data folder\n"
    "  --help        print this help\n";

int restore_command(int argc, char **argv)
{
    const char *data = NULL;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true}, {0}};
    struct options options = {
        .command = "restore", .help = help, .list = rows, .words_least = 1, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    uint64_t bytes = 0;
    double start = copy_clock();
    struct store *store = store_open_reader(options.words[0], &err);
    bool ok = store && store_copy(store, data, &bytes, &err);
    store_close(&store);
    if (!ok)
        return options_failed("restore", &err);
    copy_done("restored", bytes, start);
    return COMMAND_OK;
}
