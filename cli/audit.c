/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift audit: shows the trail, and verifies that nobody changed it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "core/audit.h"
#include "core/json.h"

static const char help[] =
    "Usage: uplift audit verify --data DIR [--expect DIGEST]\n"
    "       uplift audit list --data DIR\n"
    "The trail: who changed what, when, before and after, and what was decided.\n"
    "verify recomputes the digest of every row and prints how many rows there are and the\n"
    "digest of the last one. It exits 1, naming the first row, where one was changed, put in\n"
    "or taken out. Keep the digest elsewhere and give it later: rows that were cut off at the\n"
    "end, or a trail that was made anew, show by it alone.\n"
    "list prints all rows, oldest first, one JSON object a line.\n"
    "\n"
    "  --data DIR         the data folder; a server may run on it\n"
    "  --expect DIGEST    exit 1 unless a row has this digest, the last one or one before it\n"
    "  --help             print this help\n";

static const char *const verbs[] = {"verify", "list", NULL};

static bool expected(struct store_txn *txn, const char *digest, struct error *err)
{
    uint64_t number = audit_find(txn, digest);
    if (number == 0)
        return error_set(err, ERROR_CORRUPT, NULL,
                         "no row has the digest expected: rows were cut off, or the trail is "
                         "another one");
    printf("the digest expected is that of row %" PRIu64 "\n", number);
    return true;
}

static bool verify(struct store_txn *txn, const char *digest, struct error *err)
{
    struct audit_head head;
    if (!audit_verify(txn, &head, err))
        return false;
    printf("%" PRIu64 " rows, unbroken; digest %s\n", head.rows, head.digest);
    return !digest || expected(txn, digest, err);
}

static bool print_row(void *data, json_t *row)
{
    char *text = json_text(row);
    bool ok = puts(text) >= 0;
    (void)data;
    free(text);
    return ok;
}

static bool run(const char *verb, const char *data, const char *digest, struct error *err)
{
    struct store *store = store_open_reader(data, err);
    struct store_txn *txn = store ? store_read(store, err) : NULL;
    bool ok = txn != NULL;
    if (ok && strcmp(verb, "verify") == 0)
        ok = verify(txn, digest, err);
    else if (ok)
        ok = audit_each(txn, 1, print_row, NULL, err);
    store_abort(&txn);
    store_close(&store);
    return ok;
}

int audit_command(int argc, char **argv)
{
    const char *data = NULL, *digest = NULL;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "expect", .kind = OPTION_TEXT, .out = &digest},
        {0}};
    struct options options = {.command = "audit",
                              .help = help,
                              .list = rows,
                              .words_least = 1,
                              .words_most = 1,
                              .verbs = verbs};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    const char *verb = options.words[0];
    if (digest && strcmp(verb, "list") == 0)
        return options_wrong("audit", "--expect: only verify takes it");
    struct error err = {0};
    if (run(verb, data, digest, &err))
        return COMMAND_OK;
    return err.code == ERROR_NONE ? COMMAND_FOUND_WRONG : options_failed("audit", &err);
}
