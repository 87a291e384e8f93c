/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift replay: makes kept looks once more from history, and compares. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "core/json.h"
#include "core/replay.h"
#include "core/when.h"

static const char help[] =
    "Usage: uplift replay EXPERIMENT --data DIR [--at TIME | --all] [--phase N]\n"
    "Makes a look that was kept once more, from the definitions in the trail and the events\n"
    "received until then, and compares all of it with what is recorded, byte for byte.\n"
    "Exits 0 where it is the same, 1 where it differs or cannot be made.\n"
    "\n"
    "  --data DIR    the data folder; a server may run on it\n"
    "  --at TIME     the last look at or before it, as 2026-11-02T10:00:00Z; the last of all\n"
    "                if left out\n"
    "  --all         every look that is kept\n"
    "  --phase N     of this phase; the present one if left out\n"
    "  --help        print this help\n";

struct outcome {
    struct progress progress;
    uint64_t looks, same;
};

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* What a pointer of RFC 6901 names; NULL where there is nothing. */
static json_t *pointed(const json_t *json, const char *pointer)
{
    char name[200];
    while (json && *pointer == '/') {
        size_t len = 0;
        for (pointer++; *pointer && *pointer != '/'; pointer++) {
            bool escaped = *pointer == '~' && pointer[1];
            char c = !escaped ? *pointer : *++pointer == '1' ? '/' : '~';
            if (len + 1 < sizeof name)
                name[len++] = c;
        }
        name[len] = '\0';
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10))
                                   : json_object_get(json, name);
    }
    return (json_t *)(uintptr_t)json;
}

static void print_value(const char *what, const json_t *json, const char *pointer)
{
    json_t *value = pointed(json, pointer);
    char *text = value ? json_text(value) : NULL;
    printf("  %s: %.200s\n", what, text ? text : "nothing");
    free(text);
}

static void tell(void *data, const struct replay_told *told)
{
    struct outcome *outcome = data;
    const json_t *decision = json_object_get(told->recorded, "decision");
    if (outcome->looks++ == 0)
        progress_done(&outcome->progress);
    printf("phase %d, day %lld, look of %s: %s\n", told->phase,
           (long long)json_integer_value(json_object_get(told->recorded, "day")),
           text_in(told->recorded, "as_of"), text_in(decision, "action"));
    if (told->outcome == REPLAY_SAME) {
        outcome->same++;
        printf("  the same, byte for byte, from %" PRIu64 " events\n", told->events);
    } else if (told->outcome == REPLAY_IMPOSSIBLE) {
        printf("  cannot be made once more: %s\n", told->why);
    } else {
        printf("  differs, from %" PRIu64 " events, first at %s\n", told->events, told->pointer);
        print_value("recorded", told->recorded, told->pointer);
        print_value("from history", told->made, told->pointer);
        if (*told->why)
            printf("  since the look %s\n", told->why);
    }
}

static void progress(void *data, double done)
{
    progress_step(&((struct outcome *)data)->progress, done);
}

static bool run(const char *data, const struct replay_options *options, struct outcome *outcome,
                struct error *err)
{
    struct store *store = store_open_reader(data, err);
    struct store_txn *txn = store ? store_read(store, err) : NULL;
    progress_start(&outcome->progress, "replaying");
    bool ok = txn && replay(txn, options, tell, progress, outcome, err);
    if (outcome->looks == 0)
        progress_done(&outcome->progress);
    store_abort(&txn);
    store_close(&store);
    return ok;
}

int replay_command(int argc, char **argv)
{
    const char *data = NULL, *at = NULL;
    int64_t phase = 0;
    struct replay_options replay = {.until = INT64_MAX};
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "at", .kind = OPTION_TEXT, .out = &at},
        {.name = "all", .kind = OPTION_FLAG, .out = &replay.all},
        {.name = "phase", .kind = OPTION_INTEGER, .out = &phase, .least = 1, .most = UINT16_MAX},
        {0}};
    struct options options = {
        .command = "replay", .help = help, .list = rows, .words_least = 1, .words_most = 1};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    if (at && !when_parse(slice_of(at), &replay.until))
        return options_wrong("replay", "--at: must be a time as 2026-11-02T10:00:00Z");
    if (at && replay.all)
        return options_wrong("replay", "--at: not together with --all");
    replay.experiment = slice_of(options.words[0]);
    replay.phase = (int)phase;
    struct outcome outcome = {.looks = 0};
    struct error err = {0};
    if (run(data, &replay, &outcome, &err))
        return outcome.same == outcome.looks ? COMMAND_OK : COMMAND_FOUND_WRONG;
    return options_failed("replay", &err);
}
