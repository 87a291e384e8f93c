/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The entry of uplift: finds the subcommand in commands.def, sets what is the same for all of
 * them (command.h), and runs it. It holds no state of its own.
 */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <gsl/gsl_errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
#define COMMAND(name, function, summary) {#name, function, summary},
#include "cli/commands.def"
#undef COMMAND
    {0}};

static void print_help(FILE *out)
{
    fputs("Usage: uplift COMMAND [OPTION]...\n"
          "Experiments and the voice of customers: assignment, events, statistics and a page.\n"
          "\n"
          "Commands:\n",
          out);
    for (size_t i = 0; commands[i].name; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("\n"
          "Options:\n"
          "  --help     print this help\n"
          "  --version  print the version\n"
          "\n"
          "'uplift COMMAND --help' tells about one command, 'man uplift-COMMAND' more.\n"
          "Exit status: 0 all well, 1 something wrong was found, 2 wrong usage or bad input.\n",
          out);
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i].name; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* "uplift help serve" reads as naturally as "uplift serve --help"; both do the same. */
static int run_help(int argc, char **argv)
{
    static char help_option[] = "--help";
    if (argc < 3) {
        print_help(stdout);
        return COMMAND_OK;
    }
    const struct command *command = command_find(argv[2]);
    if (command == NULL) {
        fprintf(stderr, "uplift: unknown command '%s'; see 'uplift --help'\n", argv[2]);
        return COMMAND_BAD_USAGE;
    }
    char *arguments[] = {argv[2], help_option, NULL};
    return command->run(2, arguments);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return COMMAND_BAD_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return run_help(argc, argv);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("uplift " PACKAGE_VERSION);
        return COMMAND_OK;
    }
    const struct command *command = command_find(word);
    if (command == NULL) {
        fprintf(stderr, "uplift: unknown %s '%s'; see 'uplift --help'\n",
                word[0] == '-' ? "option" : "command", word);
        return COMMAND_BAD_USAGE;
    }
    return command->run(argc - 1, argv + 1);
}

/* Where the standard streams are closed, the next files that are opened get their numbers: what is
 * printed, the first key among it, would go into files of the store. Opened so that writing fails,
 * as it does on a stream that is closed. */
static void fill_streams(void)
{
    int file;
    do
        file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (file >= 0 && file <= STDERR_FILENO);
    if (file > STDERR_FILENO)
        close(file);
}

/* An earlier write may have failed, whose errno is gone; the pipe itself tells. */
static bool reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int main(int argc, char **argv)
{
    fill_streams();
    gsl_set_error_handler_off();
    signal(SIGPIPE, SIG_IGN);
    int status = run(argc, argv);

    /* A report cut short by a full disk must not look like a success. Whoever closed the pipe
     * early ("uplift analyze | head") has what was wanted and needs no message. */
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (!reader_left())
            fprintf(stderr, "uplift: standard output: %s\n",
                    errno != 0 ? strerror(errno) : "not all could be written");
        if (status == COMMAND_OK)
            status = COMMAND_FOUND_WRONG;
    }
    return status;
}
