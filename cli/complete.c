/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift complete: which words may come next on a command line, for completion in shells. What a
 * command takes comes from its own table of options, and what it says of each from its help. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"

static const char help[] =
    "Usage: uplift complete -- [WORD]...\n"
    "Tells which words may come next on a command line of uplift, for completion in shells.\n"
    "The WORDs are those behind 'uplift', the last one as far as it is typed, '' where it is not\n"
    "yet. Each line is a word, a tab and what it is for; ':file' or ':folder' alone stands for\n"
    "the name of one.\n"
    "\n"
    "  --help   print this help\n"
    "\n"
    "'make install' puts completion for bash, zsh and fish where they look for it.\n";

struct line {
    char **words; /* behind the command */
    int count;    /* with the last one, which is completed */
};

static void offer(const char *typed, const char *prefix, const char *word, const char *about,
                  size_t about_len)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", prefix, word);
    if (strncmp(whole, typed, strlen(typed)) == 0)
        printf("%s\t%.*s\n", whole, (int)about_len, about);
}

static void offer_all(const char *typed, const char *prefix, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        offer(typed, prefix, words[i], "", 0);
}

static void offer_commands(const char *typed, bool with_options)
{
    for (const struct command *command = commands; command->name; command++)
        offer(typed, "", command->name, command->summary, strlen(command->summary));
    if (with_options) {
        offer(typed, "", "--help", "print help", 10);
        offer(typed, "", "--version", "print the version", 17);
    }
}

/* --- what help says ------------------------------------------------------------------------- */

/* Behind "  --name" at the beginning of a line, or NULL. */
static const char *find_option(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = text; (at = strstr(at, "\n  --")); at += 5)
        if (strncmp(at + 5, name, len) == 0 && (at[5 + len] == ' ' || at[5 + len] == '\n'))
            return at + 5 + len;
    return NULL;
}

/* The rest of the line behind two blanks; only that: a further line says more than is needed. */
static const char *about_option(const char *text, const char *name, size_t *len)
{
    const char *at = find_option(text, name), *end = at ? strchr(at, '\n') : NULL;
    const char *about = end ? strstr(at, "  ") : NULL;
    if (!about || about > end)
        about = end ? end : "";
    about += strspn(about, " ");
    *len = strcspn(about, "\n");
    return about;
}

static bool names(const char *text, const char *end, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) && at < end; at += len)
        if (strchr(" [", at[-1]) && strchr(" ]\n", at[len]))
            return true;
    return false;
}

/* A file or a folder, by the word that help has for it. */
static void offer_place(const char *from, const char *end)
{
    if (names(from, end, "FILE"))
        puts(":file");
    else if (names(from, end, "DIR"))
        puts(":folder");
}

/* --- one command ---------------------------------------------------------------------------- */

static const struct option_row *row_of(const struct options *options, const char *name, size_t len)
{
    for (const struct option_row *row = options->list; row->name; row++)
        if (strncmp(row->name, name, len) == 0 && !row->name[len])
            return row;
    return NULL;
}

static void offer_value(const struct options *options, const struct option_row *row,
                        const char *typed, const char *prefix)
{
    const char *at = find_option(options->help, row->name);
    if (row->choices)
        offer_all(typed, prefix, row->choices);
    else if (at && row->kind != OPTION_INTEGER && strncmp(at, "  ", 2) != 0)
        offer_place(at, at + 1 + strcspn(at + 1, " \n"));
}

/* Whether an option that may be given once is there. */
static bool is_given(const struct line *line, const struct option_row *row)
{
    size_t len = strlen(row->name);
    for (int i = 0; i + 1 < line->count && row->kind != OPTION_LIST; i++)
        if (strncmp(line->words[i], "--", 2) == 0 &&
            strncmp(line->words[i] + 2, row->name, len) == 0 &&
            (!line->words[i][2 + len] || line->words[i][2 + len] == '='))
            return true;
    return false;
}

static void offer_options(const struct options *options, const struct line *line, const char *typed)
{
    size_t len = 0;
    for (const struct option_row *row = options->list; row->name; row++) {
        const char *about = about_option(options->help, row->name, &len);
        if (!is_given(line, row))
            offer(typed, "--", row->name, about, len);
    }
    offer(typed, "", "--help", "print this help", 15);
}

/* The first line of help shows the words of a command, FILE, TO or FROM, among its options. */
static void offer_word(const struct options *options, int place, const char *typed)
{
    const char *usage = options->help, *end = usage + strcspn(usage, "\n");
    if (options->verbs && place == 0)
        offer_all(typed, "", options->verbs);
    else if (options->verbs || place >= options->words_most)
        return;
    else if (names(usage, end, "TO") || names(usage, end, "FROM"))
        puts(":folder");
    else if (names(usage, end, "FILE"))
        puts(":file");
}

/* Follows the line as options_read would, up to the word that is completed. */
static void complete_line(void *data, const struct options *options)
{
    const struct line *line = data;
    const struct option_row *open = NULL; /* its value comes next */
    const char *typed = line->words[line->count - 1], *equal = strchr(typed, '=');
    bool only_words = false;
    int place = 0;
    for (int i = 0; i + 1 < line->count; i++) {
        const char *word = line->words[i];
        bool option = !only_words && !open && strncmp(word, "--", 2) == 0;
        const struct option_row *row =
            option && word[2] ? row_of(options, word + 2, strlen(word + 2)) : NULL;
        place += !option && !open;
        only_words = only_words || (option && !word[2]);
        open = row && row->kind != OPTION_FLAG ? row : NULL;
    }
    const struct option_row *with_equal =
        equal && strncmp(typed, "--", 2) == 0
            ? row_of(options, typed + 2, (size_t)(equal - typed - 2))
            : NULL;
    char prefix[128];
    snprintf(prefix, sizeof prefix, "%.*s", equal ? (int)(equal - typed + 1) : 0, typed);
    if (open)
        offer_value(options, open, typed, "");
    else if (with_equal && !only_words)
        offer_value(options, with_equal, typed, prefix);
    else if (typed[0] == '-' && !only_words)
        offer_options(options, line, typed);
    else
        offer_word(options, place, typed);
}

static void complete(struct line *line)
{
    const char *first = line->words[0];
    if (line->count == 1) {
        offer_commands(first, true);
        return;
    }
    const struct command *command = command_find(first);
    if (strcmp(first, "help") == 0 && line->count == 2)
        offer_commands(line->words[1], false);
    if (!command)
        return;
    struct line rest = {line->words + 1, line->count - 1};
    char *arguments[] = {line->words[0], NULL};
    options_tell(complete_line, &rest);
    command->run(1, arguments);
    options_tell(NULL, NULL);
}

int complete_command(int argc, char **argv)
{
    int own = 1;
    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    const struct option_row rows[] = {{0}};
    struct options options = {.command = "complete", .help = help, .list = rows};
    enum options_result result = options_read(&options, own, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct line line = {argv + own + 1, argc - own - 1};
    if (line.count > 0)
        complete(&line);
    return COMMAND_OK;
}
