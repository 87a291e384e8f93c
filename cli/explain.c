/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift explain: one decision with its trace, offline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "core/assign.h"
#include "core/experiment_change.h"
#include "core/json.h"
#include "core/when.h"

static const char help[] =
    "Usage: uplift explain [FILE] [--lines]\n"
    "Decides for one customer and shows every step, offline. Reads FILE or standard input:\n"
    "  {\"experiment\": {...}, \"customer\": \"c-42\", \"attributes\": {\"country\": \"DE\"}}\n"
    "The experiment is a definition; its state is running unless it says paused or stopped\n"
    "(then with \"winner\").\n"
    "\n"
    "  --lines    one question a line in, one decision a line out\n"
    "  --help     print this help\n";

enum { INPUT_MAX = 16 << 20 };

static struct experiment *step(struct experiment *from, enum experiment_step which, json_t *options,
                               struct error *err)
{
    struct experiment *to = from ? experiment_step(from, which, options, 0, err) : NULL;
    experiment_unref(&from);
    return to;
}

/* Brings a definition into the state that it names, by the steps that lead there. */
static struct experiment *read_experiment(json_t *input, struct error *err)
{
    static const char *const states[] = {"draft", "running", "paused", "stopped", NULL};
    static const char *const server_fields[] = {"version",    "phase",  "created_at", "started_at",
                                                "stopped_at", "epochs", "number",     "past"};
    struct json_place place = json_member(JSON_TOP, "experiment");
    int state = 1;
    if (!json_read_word(input, &place, "state", JSON_OPTIONAL, states, &state, err))
        return NULL;
    json_t *draft = json_copy(input), *winner = json_incref(json_object_get(input, "winner"));
    json_object_del(draft, "state");
    json_object_del(draft, "winner");
    for (size_t i = 0; i < sizeof server_fields / sizeof *server_fields; i++)
        json_object_del(draft, server_fields[i]);
    struct experiment *made = experiment_create(draft, 1, 0, err);
    if (!made)
        error_prefix(err, "experiment");
    if (state > 0)
        made = step(made, STEP_START, NULL, err);
    json_t *options = winner && !json_is_null(winner) ? json_pack("{s:O}", "winner", winner) : NULL;
    if (state > 1)
        made = step(made, state == 2 ? STEP_PAUSE : STEP_STOP, state == 2 ? NULL : options, err);
    json_decref(options);
    json_decref(winner);
    json_decref(draft);
    return made;
}

static json_t *answer(json_t *question, struct error *err)
{
    static const char *const fields[] = {"experiment", "customer", "attributes", NULL};
    const char *customer = NULL;
    json_t *definition = NULL, *attributes = NULL;
    if (!json_check_fields(question, JSON_TOP, fields, err) ||
        !json_read_object(question, JSON_TOP, "experiment", JSON_REQUIRED, &definition, err) ||
        !json_read_string(question, JSON_TOP, "customer", JSON_REQUIRED, 1, 256, &customer, err) ||
        !json_read_object(question, JSON_TOP, "attributes", JSON_OPTIONAL, &attributes, err))
        return NULL;
    struct experiment *experiment = read_experiment(definition, err);
    if (!experiment)
        return NULL;
    json_t *trace = json_array();
    const struct assign_customer who = {.id = slice_of(customer), .attributes = attributes};
    struct assignment decision = assign_decide(&who, experiment, trace);
    json_t *result = assign_json(experiment, decision);
    json_object_set_new(result, "trace", trace);
    experiment_unref(&experiment);
    return result;
}

static bool answer_text(const char *bytes, size_t len, struct error *err)
{
    json_t *question = json_parse(bytes, len, err);
    json_t *result = question ? answer(question, err) : NULL;
    json_decref(question);
    if (!result)
        return false;
    char *text = json_text(result);
    puts(text);
    free(text);
    json_decref(result);
    return true;
}

static bool answer_whole(FILE *file, struct error *err)
{
    struct text input;
    char block[65536];
    size_t len;
    text_init(&input, INPUT_MAX);
    while ((len = fread(block, 1, sizeof block, file)) > 0)
        text_add(&input, block, len);
    bool ok = !input.failed || error_set(err, ERROR_TOO_LARGE, NULL, "the input is too large");
    ok = ok && answer_text(input.ptr ? input.ptr : "", input.len, err);
    text_release(&input);
    return ok;
}

static bool answer_lines(FILE *file, size_t *number, struct error *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    bool ok = true;
    for (*number = 1; ok && (len = getline(&line, &room, file)) > 0; *number += ok) {
        size_t size = (size_t)len - (line[len - 1] == '\n');
        ok = answer_text(line, size, err);
    }
    free(line);
    return ok;
}

int explain_command(int argc, char **argv)
{
    bool lines = false;
    const struct option_row rows[] = {{.name = "lines", .kind = OPTION_FLAG, .out = &lines}, {0}};
    struct options options = {.command = "explain", .help = help, .list = rows, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    char text[ERROR_LINE_MAX];
    size_t number = 0;
    bool named = options.words_count && strcmp(options.words[0], "-") != 0;
    FILE *file = named ? fopen(options.words[0], "r") : stdin;
    if (!file) {
        error_set_errno(&err, ERROR_IO, options.words[0], "cannot be read");
        return options_wrong("explain", "%s", error_line(&err, text));
    }
    bool ok = lines ? answer_lines(file, &number, &err) : answer_whole(file, &err);
    if (named)
        fclose(file);
    if (ok)
        return COMMAND_OK;
    if (lines)
        return options_wrong("explain", "line %zu: %s", number, error_line(&err, text));
    return options_wrong("explain", "%s", error_line(&err, text));
}
