/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What main promises a subcommand, and what a subcommand promises main.
 *
 * Each subcommand is one function in one file, listed in commands.def. It gets the command
 * line from its own name on (argv[0] is "serve"), and getopt's state is fresh. It writes
 * results to standard output and everything else to standard error, and returns one of the
 * exit codes below. It need not flush or close standard output: main does, and turns an
 * output that could not be written into a failure.
 *
 * Set before any subcommand runs: GSL reports errors by status instead of aborting, and a
 * closed pipe or socket is an error of the write (EPIPE) instead of a signal.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FOUND_WRONG = 1, /* it ran, and what it looked at is wrong; or it could not finish */
    COMMAND_BAD_USAGE = 2,   /* unknown option, missing argument, input that cannot be read */
};

#define COMMAND(name, function, summary) int function(int argc, char **argv);
#include "cli/commands.def"
#undef COMMAND

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

extern const struct command commands[]; /* in the order of commands.def; a NULL name ends it */
const struct command *command_find(const char *name); /* NULL: there is none */

#endif
