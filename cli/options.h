/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Long options of a subcommand, from a table: the command line, or UPLIFT_ variables behind it.
 *
 *     struct options options = {.command = "check", .help = check_help, .list = list};
 *     enum options_result result = options_read(&options, argc, argv);
 *     if (result != OPTIONS_GO) return options_exit(result);
 *
 * The environment is read first, so the command line wins: --data may come from UPLIFT_DATA. */
#ifndef UPLIFT_CLI_OPTIONS_H
#define UPLIFT_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

enum option_kind {
    OPTION_FLAG,    /* no value: *(bool *)out = true */
    OPTION_TEXT,    /* *(const char **)out = value */
    OPTION_INTEGER, /* *(int64_t *)out, within least…most */
    OPTION_LIST,    /* *(struct option_values *)out: may be repeated */
};

enum { OPTION_VALUES_MAX = 64 };

struct option_values {
    const char *values[OPTION_VALUES_MAX];
    size_t count;
};

struct option_row {
    const char *name; /* without the dashes; NULL ends the table */
    enum option_kind kind;
    void *out;
    bool required;
    int64_t least, most;        /* of an integer */
    const char *const *choices; /* of a text: the words it may be, up to NULL; NULL: any text */
};

struct options {
    const char *command;           /* "import", for messages */
    const char *help;              /* the whole text of --help */
    const struct option_row *list; /* --help is always there and not listed */
    int words_least, words_most;   /* how many words that are no options */
    const char *const *verbs;      /* what the first of them may be, up to NULL; NULL: anything */
    const char *words[8];          /* out: those words, borrowed from argv */
    int words_count;               /* out */
};

enum options_result { OPTIONS_GO, OPTIONS_HELPED, OPTIONS_WRONG };

/* Reads them all. OPTIONS_HELPED: --help was printed to standard output. OPTIONS_WRONG: one line
 * on standard error says what is wrong. */
enum options_result options_read(struct options *options, int argc, char **argv);

/* Until it is called with NULL, options_read hands what it is given to the sink, does nothing else
 * and returns OPTIONS_HELPED: how completion learns what a command takes. One thread at a time. */
typedef void options_sink(void *data, const struct options *options);
void options_tell(options_sink *sink, void *data);

/* The place of a word in a list that ends with NULL, or -1. */
int options_word(const char *const *words, const char *word);

/* The exit code of a command that ends here (command.h). */
int options_exit(enum options_result result);

/* Says what is wrong, as "uplift import: …" on standard error, and returns COMMAND_BAD_USAGE. */
int options_wrong(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says why a command could not be done, as "uplift NAME: ..." on standard error, and returns its
 * exit code: COMMAND_BAD_USAGE where what it was given is at fault (ERROR_INVALID; ERROR_NOT_FOUND,
 * as of a store or a key; ERROR_CONFLICT with what is there), else COMMAND_FOUND_WRONG. */
int options_failed(const char *command, const struct error *err);

#endif
