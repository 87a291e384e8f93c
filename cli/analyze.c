/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift analyze: one study in, one report out, or one a line. A study is read whole before
 * anything is written, so bad input leaves standard output empty; with --lines each line by itself.
 */
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "core/error.h"
#include "core/json.h"
#include "core/study.h"
#include "core/text.h"

/* What is read at most. */
#define STUDY_BYTES_MAX ((size_t)64 << 20)
#define LINE_BYTES_MAX  ((size_t)8 << 20)

static const char help[] =
    "Usage: uplift analyze [FILE] [--lines]\n"
    "Statistics: reads a study (sufficient statistics of each arm, JSON) from FILE or standard\n"
    "input and writes a report (effects, intervals, p-values, the sample ratio) to standard\n"
    "output. Bad input: exit status 2 and one line on standard error that names the place.\n"
    "\n"
    "Options:\n"
    "  --lines  one study a line in, one report a line out; a bad line ends it\n"
    "  --help   print this help\n"
    "\n"
    "A study is at most 64 MiB, a line 8 MiB. 'man uplift-analyze' shows an example.\n";

/* Says what is wrong with the input, at a line of --lines where that is not 0. What jansson calls
 * line 1 of a study of one line says nothing beside the line's own number. */
static int complain(const struct error *err, size_t line)
{
    static const char first_line[] = "line 1, ";
    char words[ERROR_LINE_MAX], number[32] = "";
    const char *from = error_line(err, words);
    if (line > 0) {
        bool inner =
            err->code == ERROR_SYNTAX && strncmp(from, first_line, sizeof first_line - 1) == 0;
        from += inner ? sizeof first_line - 1 : 0;
        snprintf(number, sizeof number, "line %zu%s", line, inner ? ", " : ": ");
    }
    fprintf(stderr, "uplift analyze: %s%s\n", number, from);
    return COMMAND_BAD_USAGE;
}

/* One study from its text to the text of its report, which the caller frees; NULL with *err. */
static char *analyze(struct slice text, size_t flags, struct error *err)
{
    json_t *study = json_parse(text.ptr, text.len, err);
    json_t *report = study ? study_analyze(study, err) : NULL;
    char *written = report ? json_dumps(report, flags | JSON_REAL_PRECISION(17)) : NULL;
    if (report && !written)
        error_fatal("out of memory while writing a report");
    json_decref(study);
    json_decref(report);
    return written;
}

/* --- one study --- */

static bool read_all(FILE *in, struct text *out, struct error *err)
{
    char buffer[1 << 16];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, in)) > 0)
        if (!text_add(out, buffer, got))
            return error_set(err, ERROR_TOO_LARGE, NULL, "the study is larger than 64 MiB");
    if (ferror(in))
        return error_set_errno(err, ERROR_IO, NULL, "cannot read");
    return true;
}

static int analyze_whole(FILE *in)
{
    struct error err = {0};
    struct text text;
    text_init(&text, STUDY_BYTES_MAX);
    char *report = NULL;
    if (read_all(in, &text, &err))
        report = analyze((struct slice){text.ptr, text.len}, JSON_INDENT(2), &err);
    text_release(&text);
    if (!report)
        return complain(&err, 0);
    puts(report);
    free(report);
    return COMMAND_OK;
}

/* --- one study a line --- */

/* Reads up to the next newline, which it drops. False at the end of the input and with *err. */
static bool read_line(FILE *in, struct text *line, struct error *err)
{
    int c;
    text_clear(line);
    while ((c = getc_unlocked(in)) != EOF && c != '\n') {
        char byte = (char)c;
        if (!text_add(line, &byte, 1))
            return error_set(err, ERROR_TOO_LARGE, NULL, "is longer than 8 MiB");
    }
    if (ferror(in))
        return error_set_errno(err, ERROR_IO, NULL, "cannot read");
    return c == '\n' || line->len > 0;
}

static int analyze_lines(FILE *in)
{
    struct error err = {0};
    struct text line;
    size_t number = 0;
    text_init(&line, LINE_BYTES_MAX);
    while (err.code == ERROR_NONE) {
        number++;
        if (!read_line(in, &line, &err))
            break;
        struct slice text = {line.ptr, line.len};
        char *report = analyze(text, JSON_COMPACT, &err);
        if (report)
            puts(report);
        free(report);
        /* Nobody reads on: main says why. */
        if (ferror(stdout))
            break;
    }
    text_release(&line);
    return err.code == ERROR_NONE ? COMMAND_OK : complain(&err, number);
}

int analyze_command(int argc, char **argv)
{
    bool lines = false;
    const struct option_row list[] = {
        {.name = "lines", .kind = OPTION_FLAG, .out = &lines},
        {.name = NULL},
    };
    struct options options = {.command = "analyze", .help = help, .list = list, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    const char *path = options.words_count > 0 ? options.words[0] : "-";
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "rb");
    if (!in) {
        struct error err = {0};
        error_set_errno(&err, ERROR_IO, NULL, "cannot open %.200s", path);
        return complain(&err, 0);
    }
    int status = lines ? analyze_lines(in) : analyze_whole(in);
    if (!standard)
        fclose(in);
    return status;
}
