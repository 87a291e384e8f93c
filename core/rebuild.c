/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rebuild: each slice is a job of the writer that submits the next one. */
#include "core/rebuild.h"

#include <stdlib.h>
#include <time.h>

#include "core/ledger.h"
#include "core/recount.h"
#include "core/uplift.h"

/* Customers, or rows of tallies, in one transaction; fewer where they take long, as histories of
 * many events do: others wait meanwhile. */
enum { SLICE = 2000, TALLIES_SLICE = 10000, SLICE_MS = 100 };

struct work {
    struct uplift *uplift;
    struct ingest_job job;
    bool over;
};

/* Moves the note on by one customer; false at the end of them, or with *err. */
static bool count_next(struct uplift *uplift, struct ingest_run *run, const struct catalog *catalog,
                       struct recount *note, struct error *err)
{
    uint64_t customer = ledger_next_customer(run->txn, note->next);
    if (!customer)
        return false;
    bool ok = note->afresh
                  ? ledger_customer_afresh(run->txn, run->tallies, customer, catalog,
                                           uplift->rebuild.report, uplift->rebuild.data, err)
                  : ledger_customer(run->txn, run->tallies, customer, catalog, err);
    note->next = customer + 1;
    return ok;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void count_slice(struct uplift *uplift, struct ingest_run *run, struct recount *note,
                        bool *over, struct error *err)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    int64_t until = monotonic_ms() + SLICE_MS;
    bool more = true;
    for (int i = 0; more && i < SLICE && (i == 0 || monotonic_ms() < until); i++)
        more = count_next(uplift, run, catalog, note, err);
    *over = !more;
    catalog_release(&uplift->catalog, catalog);
}

static bool run_slice(void *data, struct ingest_run *run, struct error *err)
{
    struct work *work = data;
    struct uplift *uplift = work->uplift;
    struct recount note;
    bool over = false;
    work->over = !recount_read(run->txn, &note);
    if (work->over)
        return store_healthy(run->txn, err);
    if (note.next == 0)
        note.next = ledger_drop_tallies(run->txn, TALLIES_SLICE) ? 0 : 1;
    else
        count_slice(uplift, run, &note, &over, err);
    atomic_store(&uplift->rebuild.done, note.next);
    if (over)
        recount_over(run->txn);
    else
        recount_write(run->txn, &note);
    work->over = over && !recount_read(run->txn, &note);
    return err->code == ERROR_NONE && store_healthy(run->txn, err);
}

static void go_on(void *data, const struct error *err)
{
    struct work *work = data;
    struct rebuild *rebuild = &work->uplift->rebuild;
    struct error refused = {0};
    if (err->code == ERROR_NONE && !work->over &&
        ingest_submit(work->uplift->ingest, &work->job, &refused))
        return;
    rebuild->failed = *err;
    atomic_store(&rebuild->of, 0);
    atomic_store(&rebuild->done, 0);
    atomic_store(&rebuild->running, 0);
    free(work);
}

static bool is_due(struct uplift *uplift)
{
    struct error err = {0};
    struct recount note;
    struct store_txn *txn = store_read(uplift->store, &err);
    bool due = txn && recount_read(txn, &note);
    if (due)
        atomic_store(&uplift->rebuild.of, ledger_last_customer(txn));
    store_abort(&txn);
    return due;
}

void rebuild_start(struct uplift *uplift)
{
    if (!is_due(uplift) || atomic_exchange(&uplift->rebuild.running, 1))
        return;
    /* Without weight, so that a full queue does not refuse it. */
    struct work *work = xcalloc(1, sizeof *work);
    struct error refused = {0};
    *work = (struct work){.uplift = uplift};
    work->job = (struct ingest_job){
        .run = run_slice, .done = go_on, .data = work, .alone = true, .weight = 0};
    if (ingest_submit(uplift->ingest, &work->job, &refused))
        return;
    atomic_store(&uplift->rebuild.running, 0);
    free(work);
}
