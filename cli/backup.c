/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift backup: a copy of a folder that a server may have open. */
#include "cli/command.h"
#include "cli/copy.h"
#include "cli/options.h"
#include "core/store.h"

static const char help[] =
    "Usage: uplift backup --data DIR TO\n"
    "Copies the store into the folder TO, while a server runs on it or not: one moment of it,\n"
    "every row verified, without what was deleted. TO is there whole or not at all,\n"
    "and not within DIR.\n"
    "\n"
    "  --data DIR    the data folder\n"
    "  --help        print this help\n";

/* A backup within what it saves is lost with it. */
static bool check_place(const char *to, const char *data, struct error *err)
{
    return !store_holds(data, to) ||
           error_set(err, ERROR_INVALID, to, "lies within the data folder");
}

int backup_command(int argc, char **argv)
{
    const char *data = NULL;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true}, {0}};
    struct options options = {
        .command = "backup", .help = help, .list = rows, .words_least = 1, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    uint64_t bytes = 0;
    double start = copy_clock();
    struct store *store = store_open_reader(data, &err);
    bool ok = store && check_place(options.words[0], data, &err) &&
              store_copy(store, options.words[0], &bytes, &err);
    store_close(&store);
    if (!ok)
        return options_failed("backup", &err);
    copy_done("backed up", bytes, start);
    return COMMAND_OK;
}
