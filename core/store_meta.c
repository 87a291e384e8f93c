/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A failed write of LMDB's meta page, undone.
 *
 * The commit of transaction N writes its roots over the meta page of N-2. Where that write fails,
 * LMDB puts the old number back, not the old roots, and only where the disk takes it: the file may
 * then have the transaction that was refused, or an old number over new roots, which is what damage
 * looks like. So the page is kept before the commit and put back whole, while nobody is inside,
 * before anything else is written: what was refused has not happened. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/store_parts.h"

/* The page that the transaction's commit writes over. */
static const struct meta *overwritten(const struct store_txn *txn)
{
    const struct store *store = txn->store;
    return (const void *)(store->map + (mdb_txn_id(txn->txn) & 1) * store->page);
}

const struct meta *meta_keep(struct store_txn *txn)
{
    if (!txn->writes || !txn->store->map)
        return NULL;
    txn->store->older = *overwritten(txn);
    return overwritten(txn);
}

void meta_failed(struct store *store, const struct meta *page)
{
    if (page && memcmp(page, &store->older, sizeof *page) != 0)
        atomic_store(&store->unsettled, true);
}

int meta_settle(struct store *store)
{
    char path[PATH_LENGTH];
    if (!atomic_load(&store->unsettled))
        return 0;
    snprintf(path, sizeof path, "%s/" STORE_FILE, store->folder);
    int file = open(path, O_WRONLY | O_CLOEXEC), code = 0;
    const struct meta older = store->older;
    off_t at = (off_t)(older.page * older.tables[0].page_size);
    ssize_t put = file < 0 ? -1 : pwrite(file, &older, sizeof older, at);
    if (put != (ssize_t)sizeof older || fdatasync(file) != 0)
        code = put >= 0 && put < (ssize_t)sizeof older ? EIO : errno;
    if (file >= 0)
        close(file);
    atomic_store(&store->unsettled, code != 0);
    return code;
}
