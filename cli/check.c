/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift check: recount from history and compare. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "core/consent.h"
#include "core/definitions.h"
#include "core/ledger.h"
#include "core/look.h"
#include "core/recount.h"
#include "core/uplift.h"
#include "core/webhook.h"

static const char help[] =
    "Usage: uplift check --data DIR [--repair]\n"
    "Recomputes every unit and every tally from the history of events and compares, and reads\n"
    "every other row that is stored.\n"
    "It is the store of one moment, whether a server runs on it or not. A recount that a\n"
    "crash cut off is finished first; nothing else is changed.\n"
    "Exits 1 where something differs.\n"
    "\n"
    "  --data DIR    the data folder\n"
    "  --repair      count everything anew from history first, whatever is stored, and\n"
    "                take out events and looks that cannot be read; no server may run then\n"
    "  --help        print this help\n";

enum { SHOWN_MAX = 100 };

struct outcome {
    struct progress progress;
    int shown;
};

static void report(void *data, const char *line)
{
    struct outcome *outcome = data;
    if (outcome->shown++ < SHOWN_MAX)
        puts(line);
}

static void progress(void *data, double done)
{
    progress_step(&((struct outcome *)data)->progress, done);
}

/* Until the recount is over that uplift_open began again after a crash: its tallies are known to
 * differ until then. False where it ended before its end. */
static bool wait_for_rebuild(struct uplift *uplift, struct error *err)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    struct progress bar;
    progress_start(&bar, "recounting");
    while (atomic_load(&uplift->rebuild.running) > 0) {
        double of = (double)atomic_load(&uplift->rebuild.of);
        progress_step(&bar, of > 0 ? (double)atomic_load(&uplift->rebuild.done) / of : 0);
        nanosleep(&pause, NULL);
    }
    progress_done(&bar);
    const struct error *failed = &uplift->rebuild.failed;
    return failed->code == ERROR_NONE ||
           error_set(err, failed->code, failed->place, "the recount could not go on: %.400s",
                     failed->message);
}

/* Of looks, consent and webhooks each row that cannot be read is told. */
static bool verify_rows(struct store_txn *txn, struct error *err)
{
    bool ok = true;
    for (enum store_table table = 0; ok && table < STORE_TABLES; table++)
        if (table != STORE_LOOK && table != STORE_CONSENT && table != STORE_WEBHOOK &&
            table != STORE_DELIVERY)
            ok = store_verify(txn, table, err);
    return ok;
}

static bool check(struct store_txn *txn, const struct catalog *catalog, uint64_t *differences,
                  struct error *err)
{
    struct outcome outcome = {.shown = 0};
    progress_start(&outcome.progress, "checking");
    bool ok = ledger_check(txn, catalog, report, progress, &outcome, differences, err) &&
              verify_rows(txn, err);
    *differences += look_damaged(txn, false, report, &outcome);
    *differences += consent_damaged(txn, false, report, &outcome);
    uint64_t damaged = webhook_damaged(txn, false, report, &outcome);
    ok = ok && (damaged ||
                (store_verify(txn, STORE_WEBHOOK, err) && store_verify(txn, STORE_DELIVERY, err)));
    *differences += damaged;
    progress_done(&outcome.progress);
    if (outcome.shown > SHOWN_MAX)
        printf("… and %d more like these\n", outcome.shown - SHOWN_MAX);
    if (ok) /* or nothing was compared to its end */
        printf("%" PRIu64 " customers, %" PRIu64 " differences\n", ledger_customer_count(txn),
               *differences);
    return ok;
}

/* One moment of the store, whoever has it open. *due: figures are known to differ, as a recount is
 * under way; nothing was checked then. */
static bool check_beside(const char *folder, bool *due, uint64_t *differences, struct error *err)
{
    struct recount recount;
    struct store *store = store_open_reader(folder, err);
    struct store_txn *txn = store ? store_read(store, err) : NULL;
    *due = txn && recount_read(txn, &recount);
    struct catalog *catalog = txn && !*due ? definitions_catalog(txn, err) : NULL;
    bool ok = txn && (*due || (catalog && check(txn, catalog, differences, err)));
    catalog_free(&catalog);
    store_abort(&txn);
    if (store)
        store_tell_place(store, err);
    store_close(&store);
    return ok;
}

static bool begin_repair(void *data, struct ingest_run *run, struct error *err)
{
    (void)err;
    recount_afresh(run->txn);
    look_damaged(run->txn, true, report, data);
    consent_damaged(run->txn, true, report, data);
    webhook_damaged(run->txn, true, report, data);
    return true;
}

/* Of an event that was taken out nobody knows what its checksum should have been. */
static bool sum_anew(void *data, struct ingest_run *run, struct error *err)
{
    (void)data;
    store_sums_anew(run->txn, STORE_CUSTOMER);
    return store_healthy(run->txn, err);
}

/* The note that all is to be counted afresh, and then the work, so that one that is cut off goes on
 * when the store is opened again, by whatever command. */
static bool repair(struct uplift *uplift, struct error *err)
{
    struct outcome outcome = {.shown = 0};
    uplift->rebuild.report = report;
    uplift->rebuild.data = &outcome;
    if (!ingest_call(uplift->ingest, begin_repair, &outcome, err))
        return false;
    rebuild_start(uplift);
    bool ok = wait_for_rebuild(uplift, err);
    uplift->rebuild.report = NULL;
    return ok && ingest_call(uplift->ingest, sum_anew, NULL, err);
}

/* Opens the folder as its owner, which goes on with a recount that was cut off, and counts afresh
 * where that is asked for. */
static bool recount(const char *folder, bool afresh, struct error *err)
{
    const struct uplift_options open = {.no_customers = true};
    struct uplift *uplift = store_exists(folder, err) ? uplift_open_with(folder, &open, err) : NULL;
    if (!uplift)
        return false;
    struct error before = {0}; /* what stops a recount may be what is repaired now */
    bool ok = wait_for_rebuild(uplift, afresh ? &before : err) || afresh;
    ok = ok && (!afresh || repair(uplift, err));
    uplift_close(&uplift);
    return ok;
}

int check_command(int argc, char **argv)
{
    const char *data = NULL;
    bool repairs = false, due = false;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "repair", .kind = OPTION_FLAG, .out = &repairs},
        {0}};
    struct options options = {.command = "check", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    uint64_t differences = 0;
    bool ok =
        (!repairs || recount(data, true, &err)) && check_beside(data, &due, &differences, &err);
    if (ok && due)
        ok = recount(data, false, &err) && check_beside(data, &due, &differences, &err);
    if (!ok && due && err.code == ERROR_BUSY)
        fprintf(stderr, "uplift check: the server is counting anew; check when it has done so\n");
    else if (!ok)
        return options_failed("check", &err);
    return ok && differences == 0 ? COMMAND_OK : COMMAND_FOUND_WRONG;
}
