/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift retain: what serve --retain-days does once a day, at once, in a folder that no server has
 * open. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/options.h"
#include "core/ledger.h"
#include "core/retention.h"
#include "core/uplift.h"

static const char help[] =
    "Usage: uplift retain --data DIR --days N\n"
    "Drops events that are older than N days, once nothing can change what was counted of them.\n"
    "Figures stay as they are; what was dropped is gone.\n"
    "\n"
    "  --data DIR    the data folder; no server may run on it (use serve --retain-days then)\n"
    "  --days N      how many days to keep; never fewer than the longest window and covariate\n"
    "                of all metrics and a week\n"
    "  --help        print this help\n";

static bool retain_all(struct uplift *uplift, int64_t days, struct error *err)
{
    bool ok = true, more = true;
    while (ok && more)
        ok = retention_keep_at_once(uplift, days, 1, &more, err);
    return ok;
}

static bool tell(struct uplift *uplift, struct error *err)
{
    char keep[WHEN_TEXT_MAX], accept[WHEN_TEXT_MAX];
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct retention kept = retention_read(txn, catalog);
    printf("events from %s on are kept, those that still come from before %s are refused; "
           "%" PRIu64 " customers\n",
           when_format(kept.keep_from, keep), when_format(kept.accept_from, accept),
           ledger_customer_count(txn));
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
    return true;
}

int retain_command(int argc, char **argv)
{
    const char *data = NULL;
    int64_t days = 0;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "days",
         .kind = OPTION_INTEGER,
         .out = &days,
         .required = true,
         .least = 1,
         .most = 36500},
        {0}};
    struct options options = {.command = "retain", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    const struct uplift_options open = {.no_customers = true};
    struct uplift *uplift = store_exists(data, &err) ? uplift_open_with(data, &open, &err) : NULL;
    bool ok = uplift && retain_all(uplift, days, &err) && tell(uplift, &err);
    uplift_close(&uplift);
    return ok ? COMMAND_OK : options_failed("retain", &err);
}
