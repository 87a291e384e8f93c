/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spool: events that wait to be sent, in order, in a file of bounded size that survives the end of
 * the process; without a path in a file of memory, with the same code.
 *
 * The file is a ring of records behind a head that names the first one. A record carries the number
 * that it is the how-manieth and a digest, so that after a kill whatever was not written whole, or
 * is of an earlier round, is the end. What was dropped may come back when the process is killed
 * before the head is written: events have ids, the server counts them once. For one thread. */
#ifndef UPLIFT_CLIENT_SPOOL_H
#define UPLIFT_CLIENT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/text.h"

#define SPOOL_LEAST 65536 /* bytes, the smallest maximum */

struct spool;

/* Opens or makes the file and locks it; `max` bounds the records' bytes. A file that holds more
 * keeps the bound that it was made with until it is empty. NULL: ERROR_BUSY where another client
 * has it, ERROR_CORRUPT where it is no spool, ERROR_IO. */
struct spool *spool_open(const char *path, size_t max, struct error *err);
/* NULL is fine; nulls the pointer. */
void spool_close(struct spool **spool);

size_t spool_count(const struct spool *spool);

/* Whether an event of that length could ever be taken. */
bool spool_fits(const struct spool *spool, size_t len);
/* ERROR_FULL where there is no room now, ERROR_IO or ERROR_FULL where the disk fails: the event was
 * then not taken. */
bool spool_append(struct spool *spool, struct slice event, struct error *err);

/* Appends the first events to `out` as a JSON array, up to `count` of them or so many bytes, and
 * tells how many; 0 where there are none or the file cannot be read. They stay until dropped. */
size_t spool_read(const struct spool *spool, size_t count, size_t bytes, struct text *out,
                  struct error *err);
/* Drops that many, which are there. Where the file fails all of them stay. */
bool spool_drop(struct spool *spool, size_t count, struct error *err);

#endif
