/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift plan: how many customers an experiment needs. */
#include "cli/command.h"
#include "cli/input.h"
#include "cli/planned.h"
#include "core/error.h"

static const char help[] =
    "Usage: uplift plan [FILE]\n"
    "Reads a plan (JSON) from FILE or standard input and writes how many customers it needs to\n"
    "standard output: for each variant, in all, in days, and which effect could be found after\n"
    "how many days. Bad input: exit status 2 and one line that names the place.\n"
    "  {\"kind\": \"binary\", \"baseline\": {\"rate\": 0.1}, \"min_effect\": 0.05}\n"
    "\n"
    "Options:\n"
    "  --help   print this help\n"
    "\n"
    "'man uplift-plan' lists the fields; 'uplift simulate' runs the plan.\n";

int plan_command(int argc, char **argv)
{
    const struct option_row rows[] = {{.name = NULL}};
    struct options options = {.command = "plan", .help = help, .list = rows, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    json_t *input = input_json(&options, &err);
    return planned_report(&options, input, false, &err);
}
