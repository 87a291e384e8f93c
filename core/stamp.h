/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stamps of arrival (ms), given by the writer: the clock's time, but never before an earlier stamp,
 * also across restarts and where the clock is set back, nor at once where it leaps ahead (leap.h);
 * and strictly after the cut of every snapshot before it. So what has a stamp at or before a cut is
 * exactly what the snapshot held. */
#ifndef UPLIFT_CORE_STAMP_H
#define UPLIFT_CORE_STAMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/leap.h"
#include "core/store.h"
#include "core/when.h"

struct stamp {
    struct leap leap;            /* the clock */
    atomic_int_fast64_t stamped; /* the last stamp; only the writer changes it */
    atomic_int_fast64_t changed; /* when definitions last changed; only the writer changes it */
    int64_t cut;                 /* the writer's: of the last snapshot */
};

/* Reads where stamps were when the store was last written. */
bool stamp_load(struct stamp *stamp, struct store *store, const struct clock *clock,
                struct error *err);
/* Writes that, with every transaction: a cut may have been taken since the last one. The writer. */
void stamp_save(const struct stamp *stamp, struct store_txn *txn);

/* The next stamp, for all of a transaction. The writer. */
int64_t stamp_next(struct stamp *stamp);
/* The time of a change of definitions, which no later stamp is before: stamp_now. The writer. */
int64_t stamp_change(struct stamp *stamp);
/* The cut of a snapshot that is taken now, between two transactions. The writer. */
int64_t stamp_cut(struct stamp *stamp);
/* The clock's time, but never before the last stamp or change. Any thread. */
int64_t stamp_now(struct stamp *stamp);

#endif
