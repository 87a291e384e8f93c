/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift demo: to be written by its engineer over this file. */
#include "cli/command.h"

int demo_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return COMMAND_BAD_USAGE;
}
