/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: one LMDB environment in one folder. Only core/store*.c know LMDB.
 *
 * Reading: any number of transactions from any threads, each a consistent snapshot that neither
 * waits for the writer nor holds it up. Keep them short: a long one keeps old pages from reuse.
 * Writing: one transaction at a time; store_write waits for the one before. store_commit returns
 * after the data is on disk (fsync). A write transaction ends in the thread that began it.
 *
 * A transaction keeps the first error and refuses to go on after it: gets find nothing, walks end,
 * nothing is committed. So a run of puts is checked once, at commit, and a run of gets and walks
 * once, by store_healthy, before anything is said of what was found: a row that cannot be read must
 * not pass for one that is not there. What a read returns lives until the transaction ends or, in a
 * write transaction, until the next put or delete.
 *
 * Nothing damaged is handed out. Every value on disk ends in a checksum over table, key and value;
 * META keeps sums of the rows of each table (of TALLY and LOOK, of each experiment's phase), so
 * that a walk over all of them notices a missing row; what LMDB reads in a damaged page does not
 * end the process. After damage met while pages were changed the store takes no writes until it is
 * opened anew; reads go on. Not found by a get or by a walk over a part: a missing row.
 *
 * Errors: ERROR_FULL where disk or map is full; ERROR_CORRUPT for damage, which names the table,
 * and for another schema; ERROR_BUSY where another process has the folder; ERROR_IO for the rest
 * (a disk that fails or is read-only). The map grows by itself up to its bound. After a failed
 * write of its root LMDB takes no more transactions; the environment is then opened anew by itself
 * when next asked for. */
#ifndef UPLIFT_CORE_STORE_H
#define UPLIFT_CORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

enum store_table {
#define TABLE(name, disk, group) STORE_##name,
#include "core/store.def"
#undef TABLE
    STORE_TABLES
};

#define STORE_SCHEMA  2
#define STORE_KEY_MAX 511

struct store;
struct store_txn;

/* Opens the folder, made with mode 0700 where it is new, and locks it against other processes.
 * `map_bytes` bounds the size on disk (0: 1 TiB of addresses, so the disk is the bound). */
struct store *store_open(const char *folder, size_t map_bytes, struct error *err);
/* Puts the folder into a set error that names no place. */
void store_tell_place(const struct store *store, struct error *err);
/* Whether there is a store in the folder; else ERROR_NOT_FOUND. For commands that make none. */
bool store_exists(const char *folder, struct error *err);
/* Whether a file or folder lies within the folder of a store, or would, as it need not be there. */
bool store_holds(const char *folder, const char *path);
/* For reading alone, beside a server that has the folder open, in another process. Of what that
 * commits later, transactions begun later see it. ERROR_NOT_FOUND where there is no store. While it
 * is open the server does not compact. */
struct store *store_open_reader(const char *folder, struct error *err);
/* All transactions must have ended. */
void store_close(struct store **store);

struct store_txn *store_read(struct store *store, struct error *err);
struct store_txn *store_write(struct store *store, struct error *err);
/* Ends the transaction either way and nulls the pointer. False where it was not committed: then
 * nothing of it happened. */
bool store_commit(struct store_txn **txn, struct error *err);
/* Ends it without a trace; NULL is fine. For read transactions too. */
void store_abort(struct store_txn **txn);
/* Whether no call failed so far; else fills *err. */
bool store_healthy(const struct store_txn *txn, struct error *err);

/* Whether the key is there; *value (may be NULL) borrows. */
bool store_get(struct store_txn *txn, enum store_table table, struct slice key,
               struct slice *value);
void store_put(struct store_txn *txn, enum store_table table, struct slice key, struct slice value);
/* False, and nothing is changed, where the key is there already. */
bool store_put_new(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice value);
/* Whether it was there. */
bool store_delete(struct store_txn *txn, enum store_table table, struct slice key);
uint64_t store_count(struct store_txn *txn, enum store_table table);

/* A walk over the keys that begin with `prefix`, in order.
 *
 *     struct store_cursor *cursor = store_walk(txn, STORE_TALLY, prefix, NULL_SLICE);
 *     while (store_next(cursor, &key, &value)) …
 *     store_walk_end(&cursor);
 *
 * `from`, when not empty, is the whole key to begin at (or the next one behind it).
 * A walk to the end from the start of one sum or more (a whole table; of TALLY and LOOK any prefix
 * up to experiment and phase) also fails where a row is missing, unless rows were changed
 * meanwhile. */
struct store_cursor;
struct store_cursor *store_walk(struct store_txn *txn, enum store_table table, struct slice prefix,
                                struct slice from);
bool store_next(struct store_cursor *cursor, struct slice *key, struct slice *value);
/* For repair, right after store_walk: a row whose checksum is wrong does not fail the transaction
 * but is given with a value of NULL, and missing rows are not noticed. */
void store_walk_damaged(struct store_cursor *cursor);
/* For repair, when the damaged rows of a table were taken out: its sums are those of the rows that
 * are there, though others may have been lost. Fails where a row cannot be read. */
void store_sums_anew(struct store_txn *txn, enum store_table table);
/* Reads every row of a table. False with *err at the first one that is not what was written, or
 * where some are missing. */
bool store_verify(struct store_txn *txn, enum store_table table, struct error *err);
/* The last key with this prefix; false where there is none. */
bool store_last(struct store_txn *txn, enum store_table table, struct slice prefix,
                struct slice *key, struct slice *value);
void store_walk_end(struct store_cursor **cursor);

/* Bytes that are in use, those of the file on disk, and the most that it may grow to. */
void store_size(struct store *store, uint64_t *used, uint64_t *file, uint64_t *bound);

/* Bytes that are free on its disk, for whom the process runs as; 0 where that cannot be told. */
uint64_t store_disk_free(struct store *store);

/* --- copies (store_copy.c) ------------------------------------------------------------------ */

/* Copies a snapshot into a folder that is new or empty, while everything goes on: each row
 * verified, pages full, nothing of what was deleted, in constant memory. It is there whole and on
 * disk, or not at all. *bytes: of keys and values. ERROR_CONFLICT where the folder is not empty. */
bool store_copy(struct store *store, const char *folder, uint64_t *bytes, struct error *err);

/* Puts such a copy in the place of the store, so that bytes of deleted rows are no longer in its
 * file. Reads go on but for the moment of the change, writes wait until it is over; a crash leaves
 * the old file or the new one. Not within a transaction. *before and *after: bytes on disk.
 * ERROR_FULL, and nothing begun, where the disk has less room than the store uses. ERROR_BUSY, to
 * be tried again: another process reads, or reads never paused. Takes the note off.
 */
bool store_compact(struct store *store, uint64_t *before, uint64_t *after, struct error *err);
/* Notes in a transaction that deletes what must not stay in the file that a compaction is due,
 * since `now` (ms) unless one was due already. The server compacts a day later (--compact-hours).
 */
void store_compaction_note(struct store_txn *txn, int64_t now);
/* Since when one is due (ms); 0: none is. */
bool store_compaction_due(struct store *store, int64_t *since, struct error *err);

/* Rewrites a folder of schema 1 as one of this schema, in place, whole or not at all. The old file
 * stays as data.mdb.schema-1. `also` writes what the upgrade asks for beside it (may be NULL);
 * units and tallies of schema 1 are to be counted afresh. *bytes: of keys and values.
 * ERROR_CONFLICT: it has this schema already, or another old file is in the way. */
bool store_upgrade(const char *folder, void (*also)(struct store_txn *txn), uint64_t *bytes,
                   struct error *err);

/* Keys are built left to right: integers big-endian, so that order of bytes is order of numbers;
 * text ends in a zero byte and must not hold one. Too long a key is a broken promise. */
struct store_key {
    size_t len;
    char bytes[STORE_KEY_MAX];
};

void key_u8(struct store_key *key, uint8_t value);
void key_u16(struct store_key *key, uint16_t value);
void key_u32(struct store_key *key, uint32_t value);
void key_u64(struct store_key *key, uint64_t value);
void key_text(struct store_key *key, struct slice text);
void key_bytes(struct store_key *key, struct slice bytes);
static inline struct slice key_slice(const struct store_key *key)
{
    return (struct slice){key->bytes, key->len};
}

/* Reads the same back, moving *rest behind it; false where the bytes do not hold it. */
bool unkey_u8(struct slice *rest, uint8_t *value);
bool unkey_u16(struct slice *rest, uint16_t *value);
bool unkey_u32(struct slice *rest, uint32_t *value);
bool unkey_u64(struct slice *rest, uint64_t *value);
bool unkey_text(struct slice *rest, struct slice *text);

#define NO_SLICE ((struct slice){NULL, 0})

#endif
