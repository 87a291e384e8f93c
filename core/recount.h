/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recount: the note, in META, of what is to be counted anew from history and how far that is. It
 * is written in the transaction of the change that asks for it, moved on in the transaction of each
 * slice of the work (rebuild.h), and gone with the last one; so a reader knows from its own
 * transaction whether the figures there are whole, and a crash loses nothing.
 *
 * For the writer where it writes; reading with any transaction. */
#ifndef UPLIFT_CORE_RECOUNT_H
#define UPLIFT_CORE_RECOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/store.h"

/* Of more experiments than these the note says "all". */
enum { RECOUNT_EXPERIMENTS_MAX = 64 };

struct recount {
    uint64_t next; /* the first customer not yet counted anew; 0: afresh, and tallies are still
                    * there to be taken out */
    bool afresh;   /* whatever units and tallies there are is not believed: they are thrown away */
    bool again;    /* afresh, and definitions changed meanwhile: all is counted once more */
    bool all;
    uint32_t experiments[RECOUNT_EXPERIMENTS_MAX]; /* numbers, where not all */
    size_t count;
};

/* Adds an experiment (0: all) to those that are to be counted anew. */
void recount_add(struct recount *recount, uint32_t experiment);
bool recount_is_empty(const struct recount *recount);
/* Whether figures of the experiment are not whole. */
bool recount_concerns(const struct recount *recount, uint32_t experiment);

/* The note; false where there is none. */
bool recount_read(struct store_txn *txn, struct recount *recount);
/* Notes that these experiments are due, beside what is due already, from the first customer on. */
void recount_due(struct store_txn *txn, const struct recount *wanted);
/* Notes that everything is to be counted afresh. */
void recount_afresh(struct store_txn *txn);
/* Writes the note as it is now. */
void recount_write(struct store_txn *txn, const struct recount *recount);
void recount_over(struct store_txn *txn);
/* Customers from this number on are not to be counted when their events come: the work will meet
 * them, and what is stored of them is not to be believed. UINT64_MAX: all are to be counted. */
uint64_t recount_uncounted(struct store_txn *txn);

#endif
