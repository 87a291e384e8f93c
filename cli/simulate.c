/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift simulate: what a plan does when it is run many times. */
#include <stdint.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/planned.h"
#include "core/error.h"

static const char help[] =
    "Usage: uplift simulate [FILE] [--runs N] [--looks N] [--seed N]\n"
    "Reads a plan (JSON) from FILE or standard input, runs it many times without an effect and\n"
    "with the smallest one of interest, and writes the plan and what happened to standard output:\n"
    "how often an effect was claimed, after how many customers, on which side, and how much the\n"
    "estimate then flattered. Bad input: exit status 2 and one line that names the place.\n"
    "\n"
    "Options:\n"
    "  --runs N   how many experiments, 1 to 1000000 (2000)\n"
    "  --looks N  how often each is looked at, 1 to 10000 (30)\n"
    "  --seed N   the same seed gives the same report; drawn and told where there is none\n"
    "  --help     print this help\n"
    "\n"
    "'man uplift-simulate' tells more.\n";

/* What an option says stands above what the file says. */
static void override(json_t *input, const char *name, int64_t value)
{
    json_t *simulate = json_object_get(input, "simulate");
    if (value == 0 || !json_is_object(input))
        return;
    if (!simulate || json_is_null(simulate)) {
        simulate = json_object();
        json_object_set_new(input, "simulate", simulate);
    }
    json_object_set_new(simulate, name, json_integer(value)); /* refused later if it is no object */
}

int simulate_command(int argc, char **argv)
{
    int64_t runs = 0, looks = 0, seed = 0;
    const struct option_row rows[] = {
        {.name = "runs", .kind = OPTION_INTEGER, .out = &runs, .least = 1, .most = 1000000},
        {.name = "looks", .kind = OPTION_INTEGER, .out = &looks, .least = 1, .most = 10000},
        {.name = "seed", .kind = OPTION_INTEGER, .out = &seed, .least = 1, .most = UINT32_MAX},
        {.name = NULL},
    };
    struct options options = {.command = "simulate", .help = help, .list = rows, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    json_t *input = input_json(&options, &err);
    override(input, "runs", runs);
    override(input, "looks", looks);
    override(input, "seed", seed);
    return planned_report(&options, input, true, &err);
}
