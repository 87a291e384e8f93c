/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift key: create, list and rotate and revoke keys in a data folder that no server has open. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "core/json.h"
#include "core/keys.h"
#include "core/uplift.h"

static const char help[] =
    "Usage: uplift key create --data DIR [--kind KIND] [--role ROLE] [--name NAME]\n"
    "                         [--rate N]\n"
    "       uplift key list --data DIR\n"
    "       uplift key rotate --data DIR [--valid-hours N] ID\n"
    "       uplift key revoke --data DIR ID\n"
    "Creates, lists, rotates and revokes keys. create and rotate print the new key alone; it is "
    "not\n"
    "shown again.\n"
    "\n"
    "  --data DIR     the data folder; no server may run on it (use /v1/keys then)\n"
    "  --kind KIND    client, service or admin [admin]\n"
    "  --role ROLE    of an admin key: viewer, editor or admin [admin]\n"
    "  --name NAME    what the key is for\n"
    "  --rate N       requests a second that it may make [what the server allows any]\n"
    "  --valid-hours N  how long the secret before is good after a rotation, 0 to 720 [24]\n"
    "  --help         print this help\n";

static const char *const verbs[] = {"create", "list", "rotate", "revoke", NULL};
static const char *const kinds[] = {"client", "service", "admin", NULL};
static const char *const roles[] = {"viewer", "editor", "admin", NULL};

struct words {
    const char *kind, *role, *name;
    int64_t rate, valid_hours;
};

static int create(struct uplift *uplift, const struct words *words, struct error *err)
{
    int kind = key_kind_of(words->kind);
    const char *default_role = kind == KEY_ADMIN ? "admin" : "none";
    int role = key_role_of(words->role ? words->role : default_role);
    char secret[KEY_SECRET_MAX];
    if (!keys_create(uplift, (enum key_kind)kind, (enum key_role)role, words->name, words->rate,
                     secret, NULL, err))
        return COMMAND_FOUND_WRONG;
    puts(secret);
    return COMMAND_OK;
}

static int rotate(struct uplift *uplift, const char *id, int64_t hours, struct error *err)
{
    char secret[KEY_SECRET_MAX];
    if (!keys_rotate(uplift, id, hours * WHEN_HOUR, secret, NULL, err))
        return COMMAND_FOUND_WRONG;
    puts(secret);
    return COMMAND_OK;
}

static const char *field(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text && *text ? text : "-";
}

static int list(struct uplift *uplift, struct error *err)
{
    json_t *keys = keys_list(uplift, err), *row;
    size_t i;
    json_array_foreach(json_object_get(keys, "keys"), i, row)
    {
        const json_t *old = json_object_get(row, "previous");
        printf("%s  %-7s  %-6s  %s  %-20s  %s\n", field(row, "id"), field(row, "kind"),
               field(row, "role"), field(row, "created_at"), field(row, "last_used_at"),
               field(row, "name"));
        if (old)
            printf("%8s  its secret before: made %s, good until %s, last used %s\n", "",
                   field(old, "created_at"), field(old, "valid_until"), field(old, "last_used_at"));
    }
    json_decref(keys);
    return COMMAND_OK;
}

static int run(struct uplift *uplift, const struct options *options, const struct words *words,
               struct error *err)
{
    const char *verb = options->words[0];
    bool revoke = strcmp(verb, "revoke") == 0, rotates = strcmp(verb, "rotate") == 0;
    if (options->words_count != (revoke || rotates ? 2 : 1))
        return revoke || rotates ? options_wrong("key", "%s needs the id of a key", verb)
                                 : options_wrong("key", "too many arguments");
    if (rotates)
        return rotate(uplift, options->words[1], words->valid_hours, err);
    if (strcmp(verb, "create") == 0)
        return create(uplift, words, err);
    if (strcmp(verb, "list") == 0)
        return list(uplift, err);
    return keys_revoke(uplift, options->words[1], err) ? COMMAND_OK : COMMAND_FOUND_WRONG;
}

int key_command(int argc, char **argv)
{
    const char *data = NULL;
    struct words words = {.kind = "admin", .name = "", .valid_hours = KEY_VALID_HOURS};
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "kind", .kind = OPTION_TEXT, .out = &words.kind, .choices = kinds},
        {.name = "role", .kind = OPTION_TEXT, .out = &words.role, .choices = roles},
        {.name = "name", .kind = OPTION_TEXT, .out = &words.name},
        {.name = "rate",
         .kind = OPTION_INTEGER,
         .out = &words.rate,
         .least = 1,
         .most = KEY_RATE_MAX},
        {.name = "valid-hours",
         .kind = OPTION_INTEGER,
         .out = &words.valid_hours,
         .least = 0,
         .most = KEY_VALID_MAX / WHEN_HOUR},
        {0}};
    struct options options = {.command = "key",
                              .help = help,
                              .list = rows,
                              .words_least = 1,
                              .words_most = 2,
                              .verbs = verbs};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    const struct uplift_options open = {.no_customers = true};
    bool creates = strcmp(options.words[0], "create") == 0; /* also in a folder that is new */
    struct uplift *uplift =
        creates || store_exists(data, &err) ? uplift_open_with(data, &open, &err) : NULL;
    int status = uplift ? run(uplift, &options, &words, &err) : COMMAND_FOUND_WRONG;
    uplift_close(&uplift);
    return err.code == ERROR_NONE ? status : options_failed("key", &err);
}
