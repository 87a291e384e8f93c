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
#include "core/prerequisite.h"
#include "core/when.h"

static const char help[] =
    "Usage: uplift explain [FILE] [--lines]\n"
    "Decides for one customer and shows every step, offline. Reads FILE or standard input:\n"
    "  {\"experiment\": {...}, \"customer\": \"c-42\", \"attributes\": {\"country\": \"DE\"}}\n"
    "The experiment is a definition; its state is running unless it says paused or stopped\n"
    "(then with \"winner\"). \"others\" may list more of them, which its prerequisites name or "
    "which\n"
    "hold customers out of it; \"held\" the variants that the customer holds in sticky ones:\n"
    "  {..., \"others\": [{...}], \"held\": {\"checkout\": \"list\"}}\n"
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
static struct experiment *read_experiment(json_t *input, const struct json_place *place,
                                          uint32_t number, struct error *err)
{
    static const char *const states[] = {"draft", "running", "paused", "stopped", NULL};
    static const char *const server_fields[] = {"version",    "phase",  "created_at", "started_at",
                                                "stopped_at", "epochs", "number",     "past"};
    int state = 1;
    if (!json_read_word(input, place, "state", JSON_OPTIONAL, states, &state, err))
        return NULL;
    json_t *draft = json_copy(input), *winner = json_incref(json_object_get(input, "winner"));
    json_object_del(draft, "state");
    json_object_del(draft, "winner");
    for (size_t i = 0; i < sizeof server_fields / sizeof *server_fields; i++)
        json_object_del(draft, server_fields[i]);
    struct experiment *made = experiment_create(draft, number, 0, err);
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

/* What is asked: the definitions, the experiment itself first, and what the customer holds. */
enum { OTHERS_MAX = 1000 };
struct question {
    struct experiment *list[OTHERS_MAX + 1];
    size_t count;
    struct catalog *catalog;
    json_t *held;
};

/* An error of the definition is one of this place. */
static bool add_experiment(struct question *q, json_t *input, const struct json_place *place,
                           const char *prefix, struct error *err)
{
    if (!json_is_object(input))
        return json_fail(place, err, "must be an object");
    struct experiment *made = read_experiment(input, place, (uint32_t)q->count + 1, err);
    if (!made) {
        error_prefix(err, prefix);
        return false;
    }
    for (size_t i = 0; i < q->count; i++)
        if (strcmp(q->list[i]->key, made->key) == 0) {
            experiment_unref(&made);
            return json_fail_at(place, "key", err, "there are two of that key");
        }
    q->list[q->count++] = made;
    return true;
}

static bool read_others(struct question *q, json_t *others, struct error *err)
{
    struct json_place place = json_member(JSON_TOP, "others");
    json_t *input;
    size_t i;
    json_array_foreach(others, i, input)
    {
        struct json_place at = json_item(&place, i);
        char prefix[32];
        snprintf(prefix, sizeof prefix, "others[%zu]", i);
        if (!add_experiment(q, input, &at, prefix, err))
            return false;
    }
    q->catalog = catalog_new(1, q->list, q->count, NULL, 0);
    for (i = 0; i < q->count; i++)
        if (!prerequisite_check(q->catalog, q->list[i], err))
            return false;
    return true;
}

static int held(void *data, const struct experiment *experiment)
{
    const struct question *q = data;
    const char *key = json_string_value(json_object_get(q->held, experiment->key));
    return key ? experiment_variant(experiment, slice_of(key)) : -1;
}

static json_t *explained(struct question *q, const char *customer, json_t *attributes)
{
    const struct assign_customer who = {.id = slice_of(customer),
                                        .attributes = attributes,
                                        .catalog = q->catalog,
                                        .held = held,
                                        .data = q};
    json_t *trace = json_array();
    struct assignment decision = assign_decide(&who, q->list[0], trace);
    json_t *result = assign_json(q->list[0], decision);
    json_object_set_new(result, "trace", trace);
    return result;
}

static json_t *answer(json_t *asked, struct error *err)
{
    static const char *const fields[] = {"experiment", "customer", "attributes",
                                         "others",     "held",     NULL};
    const char *customer = NULL;
    json_t *definition = NULL, *attributes = NULL, *others = NULL, *result = NULL;
    struct question q = {.count = 0};
    struct json_place place = json_member(JSON_TOP, "experiment");
    if (json_check_fields(asked, JSON_TOP, fields, err) &&
        json_read_object(asked, JSON_TOP, "experiment", JSON_REQUIRED, &definition, err) &&
        json_read_string(asked, JSON_TOP, "customer", JSON_REQUIRED, 1, 256, &customer, err) &&
        json_read_object(asked, JSON_TOP, "attributes", JSON_OPTIONAL, &attributes, err) &&
        json_read_array(asked, JSON_TOP, "others", JSON_OPTIONAL, 0, OTHERS_MAX, &others, err) &&
        json_read_object(asked, JSON_TOP, "held", JSON_OPTIONAL, &q.held, err) &&
        add_experiment(&q, definition, &place, "experiment", err) && read_others(&q, others, err))
        result = explained(&q, customer, attributes);
    for (size_t i = 0; i < q.count; i++)
        experiment_unref(&q.list[i]);
    catalog_free(&q.catalog);
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
