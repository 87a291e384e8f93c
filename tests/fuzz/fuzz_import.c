/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any lines as an export that is read into a store: each is taken, or refused with its line; at the
 * end the figures of the store are those of its history. The store is kept for many inputs, as it
 * takes them one after the other. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/intake.h"
#include "core/ledger.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { CHECK_EVERY = 500, RENEW_EVERY = 20000 };

static char folder[FOLDER_MAX];
static struct uplift *uplift;
static int given;

static void leave(void)
{
    uplift_close(&uplift);
    folder_remove(folder);
}

static void begin(void)
{
    struct error err = {0};
    must(folder_make(folder));
    uplift = uplift_open(folder, &clock_system, &err);
    must(uplift);
    given = 0;
}

static void say(void *data, const char *line)
{
    (void)data;
    fprintf(stderr, "%s\n", line);
}

static void check(void)
{
    struct error err = {0};
    uint64_t differences = 0;
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    must(txn && ledger_check(txn, catalog, say, NULL, NULL, &differences, &err));
    must(differences == 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
}

static void refused(void *data, uint64_t line, const char *why)
{
    (void)data;
    must(line > 0 && *why);
}

static void give(const char *text, size_t size)
{
    struct error err = {0};
    struct intake_counts counts;
    struct intake *intake = intake_new(uplift, refused, NULL);
    bool ok = true;
    uint64_t number = 0;
    while (ok && size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t len = end ? (size_t)(end - text) : size;
        ok = intake_line(intake, (struct slice){text, len}, ++number, &err);
        size -= end ? len + 1 : len;
        text += end ? len + 1 : len;
    }
    ok = intake_end(&intake, ok, &counts, &err) && ok;
    must(ok || err.code != ERROR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!uplift) {
        begin();
        atexit(leave);
    }
    give((const char *)data, size);
    if (++given % CHECK_EVERY == 0)
        check();
    if (given == RENEW_EVERY) {
        leave();
        begin();
    }
    return 0;
}
