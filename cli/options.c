/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options: getopt_long over a table made from ours, after the variables of the environment. */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/error.h"

enum { ROWS_MAX = 40 };

static options_sink *told;
static void *told_data;

void options_tell(options_sink *sink, void *data)
{
    told = sink;
    told_data = data;
}

int options_word(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

/* What is wrong may quote any argument: one printable line of bounded length comes of it. */
int options_wrong(const char *command, const char *format, ...)
{
    char words[2 * ERROR_MESSAGE_MAX];
    struct error err = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    error_set(&err, ERROR_INVALID, NULL, "%s", words);
    fprintf(stderr, "uplift %s: %s\n", command, err.message);
    return COMMAND_BAD_USAGE;
}

int options_failed(const char *command, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    fprintf(stderr, "uplift %s: %s\n", command, error_line(err, line));
    bool given =
        err->code == ERROR_INVALID || err->code == ERROR_NOT_FOUND || err->code == ERROR_CONFLICT;
    return given ? COMMAND_BAD_USAGE : COMMAND_FOUND_WRONG;
}

int options_exit(enum options_result result)
{
    return result == OPTIONS_WRONG ? COMMAND_BAD_USAGE : COMMAND_OK;
}

/* "client, service or admin" */
static const char *list_words(const char *const *words, char out[256])
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; words[i] && used < 256; i++)
        used += (size_t)snprintf(out + used, 256 - used, "%s%s",
                                 i == 0         ? ""
                                 : words[i + 1] ? ", "
                                                : " or ",
                                 words[i]);
    return out;
}

static bool read_integer(const struct option_row *row, const char *value)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < row->least || number > row->most)
        return false;
    *(int64_t *)row->out = number;
    return true;
}

static bool take(const struct options *options, const struct option_row *row, const char *from,
                 const char *value)
{
    struct option_values *values = row->out;
    char known[256];
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)row->out = true;
        return true;
    case OPTION_TEXT:
        *(const char **)row->out = value;
        return !row->choices || options_word(row->choices, value) >= 0 ||
               options_wrong(options->command, "%s: must be %s", from,
                             list_words(row->choices, known)) == 0;
    case OPTION_LIST:
        if (values->count == OPTION_VALUES_MAX)
            return options_wrong(options->command, "%s: more than %d", from, OPTION_VALUES_MAX) ==
                   0;
        values->values[values->count++] = value;
        return true;
    case OPTION_INTEGER:
        return read_integer(row, value) ||
               options_wrong(options->command, "%s: must be a whole number from %lld to %lld", from,
                             (long long)row->least, (long long)row->most) == 0;
    }
    return false;
}

/* "min-days" → the value of UPLIFT_MIN_DAYS, or NULL where it is empty or blank. */
static const char *variable(const char *name, char shown[64])
{
    size_t used = (size_t)snprintf(shown, 64, "UPLIFT_%s", name);
    for (size_t i = 0; i < used && i < 63; i++)
        shown[i] = shown[i] == '-' ? '_' : (char)toupper((unsigned char)shown[i]);
    const char *value = getenv(shown);
    return value && value[strspn(value, " ")] ? value : NULL;
}

/* Words of the environment that options point at, for as long as the process lives. */
static struct kept_word {
    struct kept_word *next;
    char text[];
} * first_kept;

static char *keep(const char *value)
{
    size_t size = strlen(value) + 1;
    struct kept_word *word = xmalloc(sizeof *word + size);
    memcpy(word->text, value, size);
    word->next = first_kept;
    first_kept = word;
    return word->text;
}

/* A list replaces the default; blanks stand between its values. */
static bool take_list(const struct options *options, const struct option_row *row,
                      const char *shown, const char *value)
{
    char *rest = keep(value), *save = NULL;
    bool ok = true;
    ((struct option_values *)row->out)->count = 0;
    for (char *word = strtok_r(rest, " ", &save); ok && word; word = strtok_r(NULL, " ", &save))
        ok = take(options, row, shown, word);
    return ok;
}

static bool read_environment(const struct options *options)
{
    for (const struct option_row *row = options->list; row->name; row++) {
        char shown[64];
        const char *value = variable(row->name, shown);
        if (!value || (row->kind == OPTION_FLAG && strcmp(value, "0") == 0))
            continue;
        if (row->kind == OPTION_LIST ? !take_list(options, row, shown, value)
                                     : !take(options, row, shown, value))
            return false;
    }
    return true;
}

/* A list given on the command line replaces the one of the environment. */
static void forget_list(const struct option_row *row, bool seen[], size_t at)
{
    if (row->kind == OPTION_LIST && !seen[at])
        ((struct option_values *)row->out)->count = 0;
    seen[at] = true;
}

static bool read_words(struct options *options, int argc, char **argv)
{
    int count = argc - optind;
    if (count > options->words_most)
        return options_wrong(options->command, "unexpected argument '%s'",
                             argv[optind + options->words_most]) == 0;
    if (count < options->words_least)
        return options_wrong(options->command, "an argument is missing; see --help") == 0;
    options->words_count = count;
    for (int i = 0; i < count; i++)
        options->words[i] = argv[optind + i];
    char known[256];
    return !options->verbs || count == 0 || options_word(options->verbs, options->words[0]) >= 0 ||
           options_wrong(options->command, "unknown word '%s': %s", options->words[0],
                         list_words(options->verbs, known)) == 0;
}

static bool has_value(const struct option_row *row)
{
    switch (row->kind) {
    case OPTION_TEXT:
        return *(const char **)row->out != NULL;
    case OPTION_LIST:
        return ((struct option_values *)row->out)->count > 0;
    case OPTION_FLAG:
    case OPTION_INTEGER:
        return true;
    }
    return true;
}

static enum options_result read_line(struct options *options, int argc, char **argv)
{
    struct option long_options[ROWS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
    bool seen[ROWS_MAX] = {false};
    size_t rows = 0;
    for (; options->list[rows].name; rows++) {
        must(rows < ROWS_MAX);
        int needs = options->list[rows].kind == OPTION_FLAG ? no_argument : required_argument;
        long_options[rows + 1] = (struct option){options->list[rows].name, needs, NULL, 0};
    }
    opterr = 0;
    for (int c, at = 0; (c = getopt_long(argc, argv, "+:h", long_options, &at)) != -1;) {
        if (c == 'h') {
            fputs(options->help, stdout);
            return OPTIONS_HELPED;
        }
        if (c != 0) {
            const char *what = c == ':' ? "needs a value" : "unknown option; see --help";
            options_wrong(options->command, "%s: %s", argv[optind - 1], what);
            return OPTIONS_WRONG;
        }
        const struct option_row *row = &options->list[at - 1];
        char shown[64];
        snprintf(shown, sizeof shown, "--%s", row->name);
        forget_list(row, seen, (size_t)at - 1);
        if (!take(options, row, shown, optarg))
            return OPTIONS_WRONG;
    }
    return read_words(options, argc, argv) ? OPTIONS_GO : OPTIONS_WRONG;
}

/* Words and options may be mixed, so those that are no options are moved behind first. */
static void gather_words(const struct options *options, int argc, char **argv)
{
    char **words = xcalloc((size_t)argc, sizeof *words);
    int kept = 1, moved = 0;
    for (int i = 1; i < argc; i++) {
        bool option = argv[i][0] == '-' && argv[i][1] == '-' && argv[i][2];
        if (strcmp(argv[i], "--") == 0) {
            for (i++; i < argc; i++)
                words[moved++] = argv[i];
            break;
        }
        if (!option && strcmp(argv[i], "-h") != 0) {
            words[moved++] = argv[i];
            continue;
        }
        char *name = argv[i] + 2;
        argv[kept++] = argv[i];
        for (const struct option_row *row = options->list; row->name; row++)
            if (strcmp(row->name, name) == 0 && row->kind != OPTION_FLAG && i + 1 < argc)
                argv[kept++] = argv[++i];
    }
    for (int i = 0; i < moved; i++)
        argv[kept + i] = words[i];
    free(words);
}

enum options_result options_read(struct options *options, int argc, char **argv)
{
    if (told) {
        told(told_data, options);
        return OPTIONS_HELPED;
    }
    bool dashes = false;
    for (int i = 1; i < argc; i++)
        dashes = dashes || strcmp(argv[i], "--") == 0;
    gather_words(options, argc, argv);
    if (dashes)
        argc--; /* "--" itself is gone */
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            fputs(options->help, stdout);
            return OPTIONS_HELPED;
        }
    if (!read_environment(options))
        return OPTIONS_WRONG;
    enum options_result result = read_line(options, argc, argv);
    if (result != OPTIONS_GO)
        return result;
    for (const struct option_row *row = options->list; row->name; row++)
        if (row->required && !has_value(row)) {
            options_wrong(options->command, "--%s is missing", row->name);
            return OPTIONS_WRONG;
        }
    return OPTIONS_GO;
}
