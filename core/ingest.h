/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ingest: a bounded queue and the one writer thread, through which every write goes.
 *
 * Shared jobs (events) that wait together run in one transaction with one fsync. A job that is
 * `alone` (a definition, a key, a look) has a transaction of its own. `done` is called by the
 * writer thread after the commit is on disk, or after it failed. */
#ifndef UPLIFT_CORE_INGEST_H
#define UPLIFT_CORE_INGEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/histogram.h"
#include "core/store.h"
#include "core/tally.h"

/* What a running job may use. */
struct ingest_run {
    struct store_txn *txn;
    struct tally_set *tallies; /* flushed before the commit */
};

struct ingest_job {
    /* Called by the writer. False with *err fails the whole group; with ERROR_CORRUPT its jobs are
     * then run once more, each by itself, so a job must be fit to be run twice. */
    bool (*run)(void *data, struct ingest_run *run, struct error *err);
    /* Called last; err->code is ERROR_NONE when all is on disk. The job may free itself here. */
    void (*done)(void *data, const struct error *err);
    void *data;
    bool alone;
    size_t weight;           /* events in it: bounds queue and group */
    struct ingest_job *next; /* private */
};

struct ingest;

/* Starts the writer. `queue_max` bounds the weight that waits (0: 200,000). */
struct ingest *ingest_start(struct store *store, size_t queue_max);
/* Runs what waits, ends the writer. */
void ingest_stop(struct ingest **ingest);

/* Queues a job, which must live until `done`. False with ERROR_BUSY, and done not called, where
 * the queue is full or ingest is stopping. Any thread. */
bool ingest_submit(struct ingest *ingest, struct ingest_job *job, struct error *err);
/* Runs `run` alone and waits for it. Not from the writer thread. */
bool ingest_call(struct ingest *ingest,
                 bool (*run)(void *data, struct ingest_run *run, struct error *err), void *data,
                 struct error *err);

/* For operators. */
struct ingest_figures {
    atomic_size_t waiting;       /* weight that waits now */
    atomic_uint_fast64_t failed; /* groups that were not written, since the start */
    atomic_bool refusing;        /* whether the last group was not written */
    struct histogram commits;    /* how long each group took that was */
};
/* Lives as long as ingest. */
struct ingest_figures *ingest_figures(struct ingest *ingest);

#endif
