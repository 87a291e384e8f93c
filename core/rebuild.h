/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rebuild: counting anew from history what the note says (recount.h), in the background, in slices
 * between other writes. One at a time; a change that comes meanwhile sends it back to the first
 * customer. While it runs, results answer with the last look (analysis.h). */
#ifndef UPLIFT_CORE_REBUILD_H
#define UPLIFT_CORE_REBUILD_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/error.h"

struct uplift;

/* In struct uplift. */
struct rebuild {
    atomic_uint_fast64_t done, of; /* numbers of customers; of 0: none runs */
    atomic_uint_fast32_t running;  /* 1 while one runs */
    struct error failed; /* why the last one ended before its end; to be read while none runs */
    /* Told what is found damaged and taken out while counting afresh, by the writer; set before
     * rebuild_start, or NULL. */
    void (*report)(void *data, const char *line);
    void *data;
};

/* Starts or goes on with what is due; nothing where nothing is, or where it runs. One that ended
 * early (a full disk) is gone on with by the next call. Any thread. */
void rebuild_start(struct uplift *uplift);

#endif
