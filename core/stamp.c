/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/stamp.h"

/* In meta, 8 bytes each: the last stamp, the last cut, and (not in the first stores) the last
 * change. */
static const char name[] = "stamps";

bool stamp_load(struct stamp *stamp, struct store *store, const struct clock *clock,
                struct error *err)
{
    uint64_t stamped = 0, cut = 0, changed = 0;
    struct slice value;
    struct store_txn *txn = store_read(store, err);
    if (!txn)
        return false;
    bool ok = !store_get(txn, STORE_META, slice_of(name), &value) ||
              (unkey_u64(&value, &stamped) && unkey_u64(&value, &cut) &&
               (value.len == 0 || unkey_u64(&value, &changed)) && value.len == 0) ||
              error_set(err, ERROR_CORRUPT, NULL, "the stamp of the last arrival is damaged");
    ok = ok && store_healthy(txn, err);
    store_abort(&txn);
    leap_begin(&stamp->leap, clock);
    atomic_store(&stamp->stamped, (int64_t)stamped);
    atomic_store(&stamp->changed, (int64_t)changed);
    stamp->cut = (int64_t)cut;
    return ok;
}

void stamp_save(const struct stamp *stamp, struct store_txn *txn)
{
    struct store_key value = {0};
    key_u64(&value, (uint64_t)atomic_load(&stamp->stamped));
    key_u64(&value, (uint64_t)stamp->cut);
    key_u64(&value, (uint64_t)atomic_load(&stamp->changed));
    store_put(txn, STORE_META, slice_of(name), key_slice(&value));
}

int64_t stamp_now(struct stamp *stamp)
{
    int64_t now = leap_now(&stamp->leap), stamped = atomic_load(&stamp->stamped),
            changed = atomic_load(&stamp->changed);
    if (stamped < changed)
        stamped = changed;
    return now > stamped ? now : stamped;
}

int64_t stamp_next(struct stamp *stamp)
{
    int64_t now = stamp_now(stamp);
    if (now <= stamp->cut)
        now = stamp->cut + 1;
    atomic_store(&stamp->stamped, now);
    return now;
}

int64_t stamp_change(struct stamp *stamp)
{
    int64_t now = stamp_now(stamp);
    atomic_store(&stamp->changed, now);
    return now;
}

int64_t stamp_cut(struct stamp *stamp)
{
    int64_t now = stamp_now(stamp);
    if (now > stamp->cut)
        stamp->cut = now;
    return stamp->cut;
}
