/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift check: to be written by its engineer over this file. */
#include "cli/command.h"

int check_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return COMMAND_BAD_USAGE;
}
