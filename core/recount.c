/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The note on disk: next u64 · flags u8 · experiments u32 each; without experiments it is all of
 * them. A note of schema 1 is a counter of 8 bytes: all, from the beginning. */
#include "core/recount.h"

static const char note_name[] = "rebuild-due";
enum { AFRESH = 1, AGAIN = 2, OLD_NOTE = 8 };

void recount_add(struct recount *recount, uint32_t experiment)
{
    if (recount->all || (experiment && recount_concerns(recount, experiment)))
        return;
    if (experiment == 0 || recount->count == RECOUNT_EXPERIMENTS_MAX)
        recount->all = true;
    else
        recount->experiments[recount->count++] = experiment;
}

bool recount_is_empty(const struct recount *recount)
{
    return !recount->all && recount->count == 0;
}

bool recount_concerns(const struct recount *recount, uint32_t experiment)
{
    bool found = recount->all;
    for (size_t i = 0; !found && i < recount->count; i++)
        found = recount->experiments[i] == experiment;
    return found;
}

bool recount_read(struct store_txn *txn, struct recount *recount)
{
    struct slice rest;
    uint8_t flags = 0;
    uint32_t experiment;
    *recount = (struct recount){.next = 1};
    if (!store_get(txn, STORE_META, slice_of(note_name), &rest))
        return false;
    if (rest.len > OLD_NOTE) {
        unkey_u64(&rest, &recount->next);
        unkey_u8(&rest, &flags);
        while (unkey_u32(&rest, &experiment))
            recount_add(recount, experiment);
    }
    recount->afresh = flags & AFRESH;
    recount->again = flags & AGAIN;
    recount->all = recount->count == 0;
    return true;
}

void recount_write(struct store_txn *txn, const struct recount *recount)
{
    struct store_key value = {0};
    key_u64(&value, recount->next);
    key_u8(&value, (uint8_t)((recount->afresh ? AFRESH : 0) | (recount->again ? AGAIN : 0)));
    for (size_t i = 0; !recount->all && i < recount->count; i++)
        key_u32(&value, recount->experiments[i]);
    store_put(txn, STORE_META, slice_of(note_name), key_slice(&value));
}

void recount_due(struct store_txn *txn, const struct recount *wanted)
{
    struct recount note;
    if (!recount_read(txn, &note))
        note = (struct recount){.next = 1};
    for (size_t i = 0; i < wanted->count; i++)
        recount_add(&note, wanted->experiments[i]);
    if (wanted->all)
        recount_add(&note, 0);
    /* Who was counted afresh already is not to be thrown away once more, but counted again. */
    if (note.afresh)
        note.again = true;
    else
        note.next = 1;
    recount_write(txn, &note);
}

void recount_afresh(struct store_txn *txn)
{
    recount_write(txn, &(struct recount){.next = 0, .afresh = true, .all = true});
}

void recount_over(struct store_txn *txn)
{
    struct recount note;
    if (recount_read(txn, &note) && note.again)
        recount_write(txn, &(struct recount){.next = 1, .all = true});
    else
        store_delete(txn, STORE_META, slice_of(note_name));
}

uint64_t recount_uncounted(struct store_txn *txn)
{
    struct recount note;
    return recount_read(txn, &note) && note.afresh ? note.next : UINT64_MAX;
}
