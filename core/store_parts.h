/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the store: what its files share.
 *
 * store.c        opening, closing, transactions, errors
 * store_row.c    rows: get, put, delete, walks
 * store_sum.c    checksums of rows, sums of groups of rows
 * store_meta.c   a failed write of the root, undone
 * store_page.c   pages before they are changed
 * store_copy.c   copies, compaction
 * store_upgrade.c  from the schema before
 * store_guard.c  faults in the map
 * store_key.c    the codec of keys */
#ifndef UPLIFT_CORE_STORE_PARTS_H
#define UPLIFT_CORE_STORE_PARTS_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/store.h"
#include "core/store_guard.h"

enum {
    ROW_SUM = 4,        /* bytes of checksum at the end of every value */
    PATH_LENGTH = 4096, /* of a file in the folder */
};

/* LMDB's two meta pages and its record of a table, as it writes them on machines of 64 bits. */
struct meta_table {
    uint32_t page_size; /* of the first: the size of a page */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};
struct meta {
    uint64_t page;
    uint16_t pad, flags, lower, upper;
    uint32_t magic, version;
    uint64_t address, map_size;
    struct meta_table tables[2]; /* free pages, tables */
    uint64_t last_page, transaction;
};

#define STORE_FILE "data.mdb"
#define STORE_PART "data.mdb.new" /* a copy that is not whole yet */

#define NO_TABLE ((MDB_dbi)UINT32_MAX)

struct store {
    char folder[PATH_LENGTH - 64]; /* set at open */
    size_t map_bytes;              /* set at open: as asked for */
    bool reader;                   /* set at open: for reading alone */
    int lock_file;                 /* set at open */
    int readers_file;              /* set at open: locked by each process that reads */
    int slots_file;                /* with env: LMDB's list of readers */
    MDB_env *env;                  /* changes while the gate is shut; NULL: could not be reopened */
    MDB_dbi tables[STORE_TABLES];  /* with env */
    const char *map;               /* with env: where LMDB mapped the file */
    size_t map_size, page;         /* with env: bytes of the map and of a page */
    atomic_bool broken;            /* a fault in a write: no more writes */
    struct meta older;             /* lock writing: as the page was that a commit wrote over */
    atomic_bool unsettled;         /* that commit failed, and `older` is not put back yet */
    atomic_int_fast64_t inside;    /* the gate: transactions, or below 0 while it is shut */
    atomic_int closing;            /* the gate: for so many ms who comes waits; 0: it is open */
    pthread_mutex_t gate;          /* for `opened` */
    pthread_cond_t opened;
    pthread_mutex_t writing; /* held by the one who writes */
    char *scratch;           /* lock writing: a value with its checksum */
    size_t scratch_size;     /* lock writing */
    unsigned char *looked;   /* lock writing: a bit for each page that was found whole */
    size_t looked_pages;     /* with env: pages there were when it was opened */
    bool lists_looked;       /* lock writing */
};

/* The rows of one group: how many, and the exclusive or of their checksums. */
struct store_sum {
    uint64_t id; /* sum_id */
    uint64_t rows;
    uint32_t mix;
    bool used, changed;
};

struct store_txn {
    struct store *store;
    MDB_txn *txn;
    bool writes;
    bool inner;                       /* of the store itself while it opens: behind gate and lock */
    volatile bool altering;           /* within a call that changes pages */
    int failed;                       /* the first failure, or 0 */
    enum store_table where;           /* of it */
    const char *why;                  /* of it; NULL: as LMDB says */
    size_t used;                      /* bytes of the map that hold pages */
    uint64_t changes;                 /* rows put and deleted */
    MDB_cursor *tables[STORE_TABLES]; /* for writing, opened when needed */
    struct meta_table roots[STORE_TABLES]; /* of the snapshot, for writing; found when needed */
    struct store_sum *sums;                /* hash table of those touched */
    size_t sum_count, sum_room;
};

/* --- store.c -------------------------------------------------------------------------------- */

/* Keeps the first failure; true where the call went well. */
bool txn_note(struct store_txn *txn, enum store_table table, int code, int harmless);
/* STORE_DAMAGED, with what is wrong. */
int txn_damaged(struct store_txn *txn, const char *why);
/* Whether these bytes may be read: in the used part of the map, or (in a write) in memory of
 * LMDB's own. */
bool txn_holds(const struct store_txn *txn, const void *bytes, size_t size);

const char *store_table_name(enum store_table table);
/* Locks the folder and opens the environment of a store of just this older schema, for reading its
 * rows in the raw. */
struct store *store_open_old(const char *folder, uint32_t schema, struct error *err);
/* LMDB's codes and the guard's made ours; returns false. */
bool store_fail(int code, const char *what, struct error *err);
/* Addresses for a file that will hold at most so many bytes of pages. */
size_t store_map_for(size_t used);
/* Keeps readers of other processes out for a moment; false while there is one. */
bool store_readers_out(struct store *store);
void store_readers_in(struct store *store);
/* Shuts the gate when no transaction is inside; false where one always was, for four seconds. */
bool store_shut(struct store *store);
void store_unshut(struct store *store);
/* Closes the environment. The gate is shut. */
void store_close_env(struct store *store);
/* Closes it and opens what the folder has now. The gate is shut. */
bool store_reopen(struct store *store, struct error *err);

/* --- store_meta.c --------------------------------------------------------------------------- */

/* Before a commit, in a guarded call: keeps the meta page that it writes over, which is returned.
 */
const struct meta *meta_keep(struct store_txn *txn);
/* The commit failed: notes whether that page was changed all the same. */
void meta_failed(struct store *store, const struct meta *page);
/* Puts the page back where that is due; 0, or errno. The gate is shut. */
int meta_settle(struct store *store);

/* --- store_sum.c ---------------------------------------------------------------------------- */

/* CRC-32C: the checksum so far and more bytes. `by_table` is the slow way, for a test of both. */
uint32_t store_crc(uint32_t crc, struct slice bytes, bool by_table);
uint32_t row_sum(enum store_table table, MDB_val key, const void *value, size_t size);
/* The checksum at the end of a stored value of at least ROW_SUM bytes. */
uint32_t row_stored_sum(MDB_val value);
/* That a key of LMDB's may be read. */
int key_verify(struct store_txn *txn, MDB_val key);
/* Finds the row whole: bounds, then its checksum, which is cut off *value. The key may be read.
 * Guarded calls only. */
int row_verify(struct store_txn *txn, enum store_table table, MDB_val key, MDB_val *value);

/* Makes what checksums are computed with; once in a process. */
void sums_init(void);
/* How many bytes at the start of a key name its group. */
size_t sum_group(enum store_table table);
extern const char sum_head_name[]; /* of the head of META */
uint64_t sum_id(enum store_table table, const void *key, size_t len);
/* Whether this is META's head, the one row that is in no sum. */
bool sum_is_head(enum store_table table, MDB_val key);
/* The sum of a group as it stands in this transaction; NULL where the transaction has failed. */
struct store_sum *sum_at(struct store_txn *txn, uint64_t id);
/* The row of META that keeps a sum. */
void sum_row(const struct store_sum *sum, struct store_key *name, struct store_key *value);
/* A row came (or, with `rows` -1, went); a changed one is both. False where the sum is not to be
 * read, and the transaction has failed. */
bool sum_change(struct store_txn *txn, enum store_table table, MDB_val key, int rows, uint32_t mix);
/* Writes the sums that changed, and the head; before the commit. */
bool sums_write(struct store_txn *txn);
/* Compares META with its head, the head with the number of the snapshot, and the number of rows
 * that LMDB tells of every table with the sums. */
bool sums_verify(struct store_txn *txn);
/* Adds up what META has of the groups whose keys begin with the prefix. */
bool sums_rows(struct store_txn *txn, enum store_table table, struct slice prefix, uint64_t *rows);

/* --- store_page.c: guarded calls, but for pages_forget ---------------------------------------- */

/* Begins anew for an environment that was opened with so many pages. */
void pages_forget(struct store *store, size_t pages);
/* In the first write: the list of tables and of free pages. */
int pages_begin(struct store_txn *txn);
/* The pages on the way to a key, and those beside it; before its leaf is changed. */
int pages_look(struct store_txn *txn, enum store_table table, MDB_val key, bool neighbours);
/* Whether that is not needed: the address is in a leaf that was looked at, or that LMDB has in its
 * own memory since. */
bool pages_looked_at(const struct store_txn *txn, const void *inside);
/* In a read, with the meta page that LMDB did not choose: that it is the older one. A changed
 * number may hide the last transaction, but what that one wrote says when it did. */
int pages_older(struct store_txn *txn);

/* --- store_copy.c --------------------------------------------------------------------------- */

/* A fresh file that rows are put into. */
struct copier {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi tables[STORE_TABLES];
    MDB_cursor *cursors[STORE_TABLES];
    const char *path; /* borrowed */
    size_t pending;   /* bytes in the transaction */
    uint64_t bytes;
};

/* All of these give LMDB's code. */
int copier_open(struct copier *copier, const char *path, size_t map);
/* The value has its checksum. Only META may have its rows in another order than that of keys. */
int copier_put(struct copier *copier, enum store_table table, MDB_val key, MDB_val value);
/* Writes the head over the other rows of META, whose sum this is, and syncs. */
int copier_finish(struct copier *copier, const struct store_sum *meta);
void copier_close(struct copier *copier);

/* Puts a store without rows in the folder, whole or not at all. */
bool store_make(struct store *store, struct error *err);
/* Renames and syncs the folder. */
bool store_publish(const char *from, const char *to, const char *folder, struct error *err);

#endif
