/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ingest: a bounded queue and the one writer thread, through which every write goes.
 *
 * Shared jobs (events) that wait together run in one transaction with one fsync. A job that is
 * `alone` (a definition, a key, a look) has a transaction of its own. `done` is called by the
 * writer thread after the commit is on disk, or after it failed.
 *
 * The writer stamps what it writes (stamp.h), so that the order of stamps is that of commits. */
#ifndef UPLIFT_CORE_INGEST_H
#define UPLIFT_CORE_INGEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/histogram.h"
#include "core/ledger.h"
#include "core/store.h"
#include "core/tally.h"
#include "core/when.h"

/* What a running job may use. */
struct ingest_run {
    struct store_txn *txn;
    struct tally_set *tallies;   /* flushed before the commit */
    struct ledger_batch *events; /* what the jobs of a group gather for `after` */
    /* Set by a job, or NULL: called once with `data` when all jobs have run. */
    bool (*after)(void *data, struct ingest_run *run, struct error *err);
    void *data;
    int64_t stamp;         /* private: see ingest_stamp */
    struct ingest *ingest; /* private */
};

struct ingest_job {
    /* Called by the writer. False with *err fails the whole group; with ERROR_CORRUPT its jobs are
     * then run once more, each by itself, so a job must be fit to be run twice. */
    bool (*run)(void *data, struct ingest_run *run, struct error *err);
    /* Called last; err->code is ERROR_NONE when all is on disk. The job may free itself here. */
    void (*done)(void *data, const struct error *err);
    void *data;
    bool alone;
    bool reads;    /* private: a snapshot, without a transaction of its own */
    size_t weight; /* events in it: bounds queue and group; 0: a full queue takes it too */
    struct ingest_job *next; /* private */
};

struct ingest;

/* Starts the writer. `queue_max` bounds the weight that waits (0: 200,000). NULL with *err where
 * the last stamp cannot be read. */
struct ingest *ingest_start(struct store *store, const struct clock *clock, size_t queue_max,
                            struct error *err);
/* Runs what waits, ends the writer. */
void ingest_stop(struct ingest **ingest);

/* Queues a job, which must live until `done`. False with ERROR_BUSY, and done not called, where
 * the queue is full or ingest is stopping. Any thread. */
bool ingest_submit(struct ingest *ingest, struct ingest_job *job, struct error *err);
/* Runs `run` alone and waits for it. Not from the writer thread. */
bool ingest_call(struct ingest *ingest,
                 bool (*run)(void *data, struct ingest_run *run, struct error *err), void *data,
                 struct error *err);

/* The stamp of what the present transaction writes: one for all of its jobs. */
int64_t ingest_stamp(struct ingest_run *run);
/* stamp_change. */
int64_t ingest_change(struct ingest_run *run);
/* The last stamp, of before the start too; 0: none. Any thread. */
int64_t ingest_last_stamp(const struct ingest *ingest);
/* stamp_now. Any thread. */
int64_t ingest_now(struct ingest *ingest);
/* Whether the clock leapt ahead and is not believed yet (leap.h). Any thread. */
bool ingest_doubts_clock(struct ingest *ingest);

/* Has the writer call `take` between two transactions, with a read transaction and its cut (ms, at
 * or after the clock's time): all that has a stamp at or before the cut is in it, and all that gets
 * a stamp later than the cut is not. What the writer publishes after a commit is there as well.
 * `take` may keep the transaction, which any thread may then use and end; it must not wait. The
 * cut is on disk with the next transaction that is committed. Waits; not from the writer thread.
 * False with *err, and take not called, where it cannot be had. */
bool ingest_snapshot(struct ingest *ingest,
                     void (*take)(void *data, struct store_txn *txn, int64_t cut), void *data,
                     struct error *err);

/* For operators. `refusing` is told, by the writer, when writes begin to fail, with why, and with
 * NULL when for INGEST_WELL no write has failed: a store that is nearly full refuses one in two.
 * Before the first job. */
#define INGEST_WELL (5 * WHEN_SECOND)
void ingest_tell(struct ingest *ingest, void (*refusing)(const struct error *why));

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
