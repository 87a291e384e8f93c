/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift check: recount from history and compare. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "core/consent.h"
#include "core/ledger.h"
#include "core/look.h"
#include "core/recount.h"
#include "core/uplift.h"

static const char help[] =
    "Usage: uplift check --data DIR [--repair]\n"
    "Recomputes every unit and every tally from the history of events and compares.\n"
    "A recount that a crash cut off is finished first; nothing else is changed.\n"
    "Exits 1 where something differs.\n"
    "\n"
    "  --data DIR    the data folder; no server may run on it\n"
    "  --repair      count everything anew from history first, whatever is stored, and\n"
    "                take out events and looks that cannot be read\n"
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
 * differ until then. */
static void wait_for_rebuild(struct uplift *uplift)
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
}

static bool check(struct uplift *uplift, uint64_t *differences, struct error *err)
{
    struct outcome outcome = {.shown = 0};
    wait_for_rebuild(uplift);
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    progress_start(&outcome.progress, "checking");
    bool ok = ledger_check(txn, catalog, report, progress, &outcome, differences, err);
    *differences += look_damaged(txn, false, report, &outcome);
    *differences += consent_damaged(txn, false, report, &outcome);
    progress_done(&outcome.progress);
    printf("%" PRIu64 " customers, %" PRIu64 " differences\n", ledger_customer_count(txn),
           *differences);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
    return ok;
}

static bool begin_repair(void *data, struct ingest_run *run, struct error *err)
{
    (void)err;
    recount_afresh(run->txn);
    look_damaged(run->txn, true, report, data);
    consent_damaged(run->txn, true, report, data);
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
    wait_for_rebuild(uplift);
    uplift->rebuild.report = report;
    uplift->rebuild.data = &outcome;
    if (!ingest_call(uplift->ingest, begin_repair, &outcome, err))
        return false;
    rebuild_start(uplift);
    wait_for_rebuild(uplift);
    uplift->rebuild.report = NULL;
    enum error_code failed = (enum error_code)atomic_load(&uplift->rebuild.failed);
    if (failed != ERROR_NONE)
        return error_set(err, failed, NULL, "the recount could not go on: %s", error_words(failed));
    return ingest_call(uplift->ingest, sum_anew, NULL, err);
}

int check_command(int argc, char **argv)
{
    const char *data = NULL;
    bool repairs = false;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "repair", .kind = OPTION_FLAG, .out = &repairs},
        {0}};
    struct options options = {.command = "check", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    uint64_t differences = 0;
    const struct uplift_options open = {.no_customers = true};
    struct uplift *uplift = uplift_open_with(data, &open, &err);
    bool ok = uplift && (!repairs || repair(uplift, &err)) && check(uplift, &differences, &err);
    uplift_close(&uplift);
    if (!ok)
        fprintf(stderr, "uplift check: %s\n", error_line(&err, line));
    return ok && differences == 0 ? COMMAND_OK : COMMAND_FOUND_WRONG;
}
