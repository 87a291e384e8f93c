/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer: takes what waits, runs it in one transaction, commits, answers.
 *
 * Group commit costs no timer: while one commit waits for the disk, the next group gathers. */
#include "core/ingest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/stamp.h"

/* A group changes about a page of 4 KiB an event, which is kept in memory until the commit. */
enum { QUEUE_MAX = 200000, GROUP_MAX = 10000 };

struct ingest {
    struct store *store; /* set at start */
    size_t queue_max;    /* set at start */
    pthread_t writer;    /* set at start */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct ingest_job *first, **last; /* lock */
    bool stopping;                    /* lock */
    struct stamp stamp;
    struct ingest_figures figures;
    void (*refusing)(const struct error *why); /* set before the first job */
    bool told;                                 /* the writer's: that writes fail */
    int64_t failed_at;                         /* the writer's: histogram_now */
};

int64_t ingest_last_stamp(const struct ingest *ingest)
{
    return atomic_load(&ingest->stamp.stamped);
}

int64_t ingest_now(struct ingest *ingest)
{
    return stamp_now(&ingest->stamp);
}

bool ingest_doubts_clock(struct ingest *ingest)
{
    return leap_doubts(&ingest->stamp.leap);
}

int64_t ingest_stamp(struct ingest_run *run)
{
    if (run->stamp < 0)
        run->stamp = stamp_next(&run->ingest->stamp);
    return run->stamp;
}

int64_t ingest_change(struct ingest_run *run)
{
    return stamp_change(&run->ingest->stamp);
}

/* --- the writer ----------------------------------------------------------------------------- */

/* Takes the next group off the queue: one alone, or shared ones up to GROUP_MAX; one that is larger
 * by itself. NULL: the end. */
static struct ingest_job *take_group(struct ingest *ingest)
{
    pthread_mutex_lock(&ingest->lock);
    while (!ingest->first && !ingest->stopping)
        pthread_cond_wait(&ingest->wake, &ingest->lock);
    struct ingest_job *group = ingest->first, **end = &group;
    size_t weight = 0;
    while (*end && (end == &group || (!(*end)->alone && weight + (*end)->weight <= GROUP_MAX))) {
        bool alone = (*end)->alone;
        weight += (*end)->weight;
        end = &(*end)->next;
        if (alone)
            break;
    }
    if (group) {
        ingest->first = *end;
        if (!ingest->first)
            ingest->last = &ingest->first;
        *end = NULL;
    }
    pthread_mutex_unlock(&ingest->lock);
    return group;
}

/* Runs the jobs in one transaction; false, and nothing of it happened. */
static bool run_together(struct ingest *ingest, struct ingest_job *group, struct error *err)
{
    struct ingest_run run = {.txn = store_write(ingest->store, err), .stamp = -1, .ingest = ingest};
    if (!run.txn)
        return false;
    run.tallies = tally_set_new(run.txn);
    run.events = ledger_batch_new();
    bool ok = true;
    for (struct ingest_job *job = group; ok && job; job = job->next)
        ok = job->run(job->data, &run, err);
    ok = ok && (!run.after || run.after(run.data, &run, err));
    ok = ok && tally_set_flush(run.tallies, run.txn, err);
    if (ok)
        stamp_save(&ingest->stamp, run.txn);
    if (ok)
        ok = store_commit(&run.txn, err);
    else
        store_abort(&run.txn);
    tally_set_free(&run.tallies);
    ledger_batch_free(&run.events);
    if (!ok && err->code == ERROR_NONE)
        error_set(err, ERROR_IO, NULL, "the write failed");
    return ok;
}

static void tell(struct ingest *ingest, bool failed, const struct error *err)
{
    int64_t now = failed || ingest->told ? histogram_now() : 0;
    bool well = ingest->told && now - ingest->failed_at >= INGEST_WELL * 1000000;
    if (failed)
        ingest->failed_at = now;
    if (failed ? ingest->told : !well)
        return;
    ingest->told = failed;
    if (ingest->refusing)
        ingest->refusing(failed ? err : NULL);
}

/* A refusal for what a job asks is not a failure of the store. */
static bool run_counted(struct ingest *ingest, struct ingest_job *group, struct error *err)
{
    struct ingest_figures *figures = &ingest->figures;
    int64_t start = histogram_now();
    bool ok = run_together(ingest, group, err);
    bool failed = !ok && (err->code == ERROR_FULL || err->code == ERROR_IO ||
                          err->code == ERROR_BUSY || err->code == ERROR_CORRUPT);
    if (ok)
        histogram_add(&figures->commits, histogram_now() - start);
    if (failed)
        atomic_fetch_add(&figures->failed, 1);
    if (ok || failed)
        atomic_store(&figures->refusing, failed);
    if (ok || failed)
        tell(ingest, failed, err);
    return ok;
}

static void finish(struct ingest *ingest, struct ingest_job *job, const struct error *err)
{
    atomic_fetch_sub(&ingest->figures.waiting, job->weight);
    job->done(job->data, err);
}

static bool run_reading(struct ingest *ingest, struct ingest_job *job, struct error *err)
{
    struct ingest_run run = {.txn = store_read(ingest->store, err), .ingest = ingest};
    if (!run.txn)
        return false;
    run.stamp = stamp_cut(&ingest->stamp);
    return job->run(job->data, &run, err);
}

static void run_group(struct ingest *ingest, struct ingest_job *group)
{
    struct error err = {0};
    bool ok = group->reads ? run_reading(ingest, group, &err) : run_counted(ingest, group, &err);
    /* Damage that one job meets is no reason to refuse the others. */
    bool apart = !ok && err.code == ERROR_CORRUPT && group->next;
    for (struct ingest_job *job = group, *next; job; job = next) {
        struct error own = {0};
        next = job->next;
        job->next = NULL;
        if (apart)
            run_counted(ingest, job, &own);
        finish(ingest, job, apart ? &own : &err);
    }
}

static void *write_loop(void *data)
{
    struct ingest *ingest = data;
    for (struct ingest_job *group; (group = take_group(ingest));)
        run_group(ingest, group);
    return NULL;
}

struct ingest *ingest_start(struct store *store, const struct clock *clock, size_t queue_max,
                            struct error *err)
{
    struct ingest *ingest = xcalloc(1, sizeof *ingest);
    ingest->store = store;
    if (!stamp_load(&ingest->stamp, store, clock, err)) {
        free(ingest);
        return NULL;
    }
    ingest->queue_max = queue_max ? queue_max : QUEUE_MAX;
    ingest->last = &ingest->first;
    pthread_mutex_init(&ingest->lock, NULL);
    pthread_cond_init(&ingest->wake, NULL);
    if (pthread_create(&ingest->writer, NULL, write_loop, ingest) != 0)
        error_fatal("cannot start the writer thread");
    return ingest;
}

void ingest_stop(struct ingest **ingest)
{
    if (!*ingest)
        return;
    pthread_mutex_lock(&(*ingest)->lock);
    (*ingest)->stopping = true;
    pthread_cond_signal(&(*ingest)->wake);
    pthread_mutex_unlock(&(*ingest)->lock);
    pthread_join((*ingest)->writer, NULL);
    pthread_mutex_destroy(&(*ingest)->lock);
    pthread_cond_destroy(&(*ingest)->wake);
    free(*ingest);
    *ingest = NULL;
}

bool ingest_submit(struct ingest *ingest, struct ingest_job *job, struct error *err)
{
    job->next = NULL;
    pthread_mutex_lock(&ingest->lock);
    size_t waiting = atomic_load(&ingest->figures.waiting);
    bool room = !ingest->stopping &&
                (waiting == 0 || job->weight == 0 || waiting + job->weight <= ingest->queue_max);
    if (room) {
        atomic_fetch_add(&ingest->figures.waiting, job->weight);
        *ingest->last = job;
        ingest->last = &job->next;
        pthread_cond_signal(&ingest->wake);
    }
    pthread_mutex_unlock(&ingest->lock);
    return room || error_set(err, ERROR_BUSY, NULL, "the queue of the writer is full; try again");
}

/* --- calls that wait ------------------------------------------------------------------------ */

struct call {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;
    struct error *err;
    bool (*run)(void *data, struct ingest_run *run, struct error *err);
    void (*take)(void *data, struct store_txn *txn, int64_t cut);
    void *data;
};

static bool call_run(void *data, struct ingest_run *run, struct error *err)
{
    struct call *call = data;
    return call->run(call->data, run, err);
}

static bool call_take(void *data, struct ingest_run *run, struct error *err)
{
    struct call *call = data;
    (void)err;
    call->take(call->data, run->txn, run->stamp);
    return true;
}

static void call_done(void *data, const struct error *err)
{
    struct call *call = data;
    pthread_mutex_lock(&call->lock);
    if (call->err->code == ERROR_NONE)
        *call->err = *err;
    call->over = true;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->lock);
}

static bool wait_for(struct ingest *ingest, struct call *call, struct ingest_job *job)
{
    job->done = call_done;
    job->data = call;
    job->alone = true;
    must(!pthread_equal(pthread_self(), ingest->writer));
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->ended, NULL);
    if (ingest_submit(ingest, job, call->err)) {
        pthread_mutex_lock(&call->lock);
        while (!call->over)
            pthread_cond_wait(&call->ended, &call->lock);
        pthread_mutex_unlock(&call->lock);
    }
    pthread_mutex_destroy(&call->lock);
    pthread_cond_destroy(&call->ended);
    return call->err->code == ERROR_NONE;
}

bool ingest_call(struct ingest *ingest,
                 bool (*run)(void *data, struct ingest_run *run, struct error *err), void *data,
                 struct error *err)
{
    struct call call = {.err = err, .run = run, .data = data};
    struct ingest_job job = {.run = call_run, .weight = 1};
    return wait_for(ingest, &call, &job);
}

bool ingest_snapshot(struct ingest *ingest,
                     void (*take)(void *data, struct store_txn *txn, int64_t cut), void *data,
                     struct error *err)
{
    struct call call = {.err = err, .take = take, .data = data};
    struct ingest_job job = {.run = call_take, .reads = true};
    return wait_for(ingest, &call, &job);
}

void ingest_tell(struct ingest *ingest, void (*refusing)(const struct error *why))
{
    ingest->refusing = refusing;
}

struct ingest_figures *ingest_figures(struct ingest *ingest)
{
    return &ingest->figures;
}
