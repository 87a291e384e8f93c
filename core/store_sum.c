/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checksums of rows, and sums of groups of rows.
 *
 * A stored value ends in the CRC-32C of its table's number, its key and itself, so a row is known
 * to be what was written where it was written. What no row can tell is that another one is missing:
 * a flipped key hides a row, a flipped pointer leads to an older page. So META keeps for each group
 * of rows their number and the exclusive or of their checksums ("sum", zero byte, id), its head row
 * ("head") the same of META's other rows and the number of the transaction that wrote it. LMDB's
 * meta page, the head, the sums and the rows are thereby one chain.
 *
 * CRC-32C finds every change of up to 32 bits in a row, and the processor computes it. */
#include <stdlib.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#include "core/store_parts.h"

/* --- CRC-32C -------------------------------------------------------------------------------- */

static uint32_t crc_table[8][256];

/* Eight bytes at a time by tables (Kounavis and Berry 2005): where the processor cannot. */
static uint32_t crc_by_table(uint32_t crc, const unsigned char *bytes, size_t size)
{
    for (; size >= 8; bytes += 8, size -= 8) {
        crc ^= (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
               (uint32_t)bytes[3] << 24;
        crc = crc_table[7][crc & 0xff] ^ crc_table[6][crc >> 8 & 0xff] ^
              crc_table[5][crc >> 16 & 0xff] ^ crc_table[4][crc >> 24] ^ crc_table[3][bytes[4]] ^
              crc_table[2][bytes[5]] ^ crc_table[1][bytes[6]] ^ crc_table[0][bytes[7]];
    }
    for (; size; bytes++, size--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *bytes) & 0xff];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_by_processor(uint32_t crc,
                                                                   const unsigned char *bytes,
                                                                   size_t size)
{
    uint64_t wide = crc, word;
    for (; size >= 8; bytes += 8, size -= 8) {
        memcpy(&word, bytes, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size; bytes++, size--)
        crc = _mm_crc32_u8(crc, *bytes);
    return crc;
}
#endif

static uint32_t (*crc_of)(uint32_t crc, const unsigned char *bytes, size_t size) = crc_by_table;

static void crc_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
        crc_table[0][i] = crc;
    }
    for (int i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xff];
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        crc_of = crc_by_processor;
#endif
}

void sums_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, crc_make);
}

uint32_t store_crc(uint32_t crc, struct slice bytes, bool by_table)
{
    sums_init();
    return ~(by_table ? crc_by_table : crc_of)(~crc, (const unsigned char *)bytes.ptr, bytes.len);
}

/* --- rows ----------------------------------------------------------------------------------- */

uint32_t row_sum(enum store_table table, MDB_val key, const void *value, size_t size)
{
    unsigned char number = (unsigned char)table;
    uint32_t crc = crc_of(UINT32_MAX, &number, 1);
    crc = crc_of(crc, key.mv_data, key.mv_size);
    return ~crc_of(crc, value, size);
}

uint32_t row_stored_sum(MDB_val value)
{
    struct slice end = {(const char *)value.mv_data + value.mv_size - ROW_SUM, ROW_SUM};
    uint32_t sum = 0;
    unkey_u32(&end, &sum);
    return sum;
}

int key_verify(struct store_txn *txn, MDB_val key)
{
    return txn_holds(txn, key.mv_data, key.mv_size) && key.mv_size <= STORE_KEY_MAX
               ? 0
               : txn_damaged(txn, "a key lies outside of the file");
}

int row_verify(struct store_txn *txn, enum store_table table, MDB_val key, MDB_val *value)
{
    if (!txn_holds(txn, value->mv_data, value->mv_size))
        return txn_damaged(txn, "a value lies outside of the file");
    if (value->mv_size < ROW_SUM)
        return txn_damaged(txn, "a value is too short");
    value->mv_size -= ROW_SUM;
    MDB_val end = {value->mv_size + ROW_SUM, value->mv_data};
    if (row_stored_sum(end) != row_sum(table, key, value->mv_data, value->mv_size))
        return txn_damaged(txn, "a checksum does not match");
    return 0;
}

/* --- sums ----------------------------------------------------------------------------------- */

enum { ID_GROUP_BITS = 48, SUM_VALUE = 12 };
static const char sum_name[4] = "sum";
const char sum_head_name[] = "head";

size_t sum_group(enum store_table table)
{
    static const size_t groups[STORE_TABLES] = {
#define TABLE(name, disk, group) group,
#include "core/store.def"
#undef TABLE
    };
    return groups[table];
}

/* Of a key shorter than the group the missing bytes are 0, as in a prefix. */
uint64_t sum_id(enum store_table table, const void *key, size_t len)
{
    const unsigned char *bytes = key;
    size_t group = sum_group(table);
    uint64_t id = (uint64_t)table << ID_GROUP_BITS;
    for (size_t i = 0; i < group && i < len; i++)
        id |= (uint64_t)bytes[i] << (ID_GROUP_BITS - 8 * (i + 1));
    return id;
}

static struct store_key sum_key(uint64_t id)
{
    struct store_key key = {0};
    key_bytes(&key, (struct slice){sum_name, sizeof sum_name});
    key_u64(&key, id);
    return key;
}

bool sum_is_head(enum store_table table, MDB_val key)
{
    return table == STORE_META && slice_is((struct slice){key.mv_data, key.mv_size}, sum_head_name);
}

static struct store_sum *sum_slot(struct store_sum *sums, size_t room, uint64_t id)
{
    size_t at = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (room - 1);
    while (sums[at].used && sums[at].id != id)
        at = (at + 1) & (room - 1);
    return &sums[at];
}

static void sums_grow(struct store_txn *txn)
{
    size_t room = txn->sum_room ? 2 * txn->sum_room : 32;
    struct store_sum *sums = xcalloc(room, sizeof *sums);
    for (size_t i = 0; i < txn->sum_room; i++)
        if (txn->sums[i].used)
            *sum_slot(sums, room, txn->sums[i].id) = txn->sums[i];
    free(txn->sums);
    txn->sums = sums;
    txn->sum_room = room;
}

static bool sum_read(struct slice value, struct store_sum *sum)
{
    return unkey_u64(&value, &sum->rows) && unkey_u32(&value, &sum->mix) && value.len == 0;
}

/* The head's first number is left out: it belongs to the transaction that wrote it. */
static bool sum_load(struct store_txn *txn, struct store_sum *sum)
{
    struct store_key name = sum_key(sum->id);
    bool head = sum->id >> ID_GROUP_BITS == STORE_META;
    struct slice value;
    uint64_t number;
    if (!store_get(txn, STORE_META, head ? slice_of(sum_head_name) : key_slice(&name), &value))
        return !txn->failed;
    if ((!head || unkey_u64(&value, &number)) && sum_read(value, sum))
        return true;
    return txn_note(txn, STORE_META, txn_damaged(txn, "a sum is damaged"), 0);
}

struct store_sum *sum_at(struct store_txn *txn, uint64_t id)
{
    if (2 * txn->sum_count >= txn->sum_room)
        sums_grow(txn);
    struct store_sum *sum = sum_slot(txn->sums, txn->sum_room, id);
    if (sum->used)
        return sum;
    *sum = (struct store_sum){.id = id};
    if (!sum_load(txn, sum))
        return NULL;
    sum->used = true;
    txn->sum_count++;
    return sum;
}

bool sum_change(struct store_txn *txn, enum store_table table, MDB_val key, int rows, uint32_t mix)
{
    if (sum_is_head(table, key))
        return true;
    struct store_sum *sum = sum_at(txn, sum_id(table, key.mv_data, key.mv_size));
    if (!sum)
        return false;
    sum->rows += (uint64_t)(int64_t)rows;
    sum->mix ^= mix;
    sum->changed = true;
    txn->changes++;
    return true;
}

void sum_row(const struct store_sum *sum, struct store_key *name, struct store_key *value)
{
    *name = sum_key(sum->id);
    value->len = 0;
    key_u64(value, sum->rows);
    key_u32(value, sum->mix);
}

static void put_sum(struct store_txn *txn, const struct store_sum *sum)
{
    struct store_key name, value;
    sum_row(sum, &name, &value);
    if (sum->rows)
        store_put(txn, STORE_META, key_slice(&name), key_slice(&value));
    else
        store_delete(txn, STORE_META, key_slice(&name));
}

/* META's own sum is there before the others are written, which changes it and nothing else. */
bool sums_write(struct store_txn *txn)
{
    if (txn->changes == 0)
        return !txn->failed;
    const uint64_t own = sum_id(STORE_META, NULL, 0);
    if (!sum_at(txn, own))
        return false;
    for (size_t i = 0; i < txn->sum_room && !txn->failed; i++)
        if (txn->sums[i].used && txn->sums[i].changed && txn->sums[i].id != own)
            put_sum(txn, &txn->sums[i]);
    struct store_sum *sum = sum_at(txn, own);
    struct store_key value = {0};
    key_u64(&value, mdb_txn_id(txn->txn));
    key_u64(&value, sum->rows);
    key_u32(&value, sum->mix);
    store_put(txn, STORE_META, slice_of(sum_head_name), key_slice(&value));
    return !txn->failed;
}

/* --- repair --------------------------------------------------------------------------------- */

/* All sums of the table that META or this transaction has become those of no rows. */
static void sums_empty(struct store_txn *txn, enum store_table table)
{
    struct store_key prefix = {0};
    struct slice key, value;
    key_bytes(&prefix, (struct slice){sum_name, sizeof sum_name});
    key_u16(&prefix, (uint16_t)table);
    struct store_cursor *cursor = store_walk(txn, STORE_META, key_slice(&prefix), NO_SLICE);
    while (store_next(cursor, &key, &value)) {
        struct slice rest = {key.ptr + sizeof sum_name, key.len - sizeof sum_name};
        uint64_t id;
        if (unkey_u64(&rest, &id))
            sum_at(txn, id);
    }
    store_walk_end(&cursor);
    for (size_t i = 0; i < txn->sum_room; i++)
        if (txn->sums[i].used && txn->sums[i].id >> ID_GROUP_BITS == table) {
            txn->sums[i].rows = 0;
            txn->sums[i].mix = 0;
            txn->sums[i].changed = true;
        }
}

void store_sums_anew(struct store_txn *txn, enum store_table table)
{
    struct slice key, value;
    must(txn->writes && table != STORE_META);
    sums_empty(txn, table);
    struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
    store_walk_damaged(cursor);
    while (store_next(cursor, &key, &value)) {
        MDB_val name = {key.len, (void *)(uintptr_t)key.ptr};
        MDB_val stored = {value.len + ROW_SUM, (void *)(uintptr_t)value.ptr};
        if (value.ptr)
            sum_change(txn, table, name, 1, row_stored_sum(stored));
        else
            txn_note(txn, table, txn_damaged(txn, "a row cannot be read"), 0);
    }
    store_walk_end(&cursor);
    txn->changes++;
}

/* --- verifying ------------------------------------------------------------------------------ */

bool sums_rows(struct store_txn *txn, enum store_table table, struct slice prefix, uint64_t *rows)
{
    struct store_key from = {0};
    struct slice key, value;
    bool ok = true;
    key_bytes(&from, (struct slice){sum_name, sizeof sum_name});
    key_u16(&from, (uint16_t)table);
    key_bytes(&from, prefix);
    struct store_cursor *cursor = store_walk(txn, STORE_META, key_slice(&from), NO_SLICE);
    for (*rows = 0; ok && store_next(cursor, &key, &value);) {
        struct store_sum sum = {0};
        ok = sum_read(value, &sum) ||
             txn_note(txn, STORE_META, txn_damaged(txn, "a sum is damaged"), 0);
        *rows += sum.rows;
    }
    store_walk_end(&cursor);
    return ok && !txn->failed;
}

static bool head_verify(struct store_txn *txn)
{
    struct slice head, number;
    uint64_t id = 0;
    if (store_get(txn, STORE_META, slice_of(sum_head_name), &head)) {
        number = head;
        unkey_u64(&number, &id);
    }
    return !txn->failed &&
           (id == mdb_txn_id(txn->txn) ||
            txn_note(txn, STORE_META, txn_damaged(txn, "it is not of the last transaction"), 0));
}

static bool table_verify(struct store_txn *txn, enum store_table table)
{
    struct slice key, value;
    struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
    while (store_next(cursor, &key, &value))
        ;
    store_walk_end(&cursor);
    return !txn->failed;
}

bool store_verify(struct store_txn *txn, enum store_table table, struct error *err)
{
    return table_verify(txn, table) || store_healthy(txn, err);
}

bool sums_verify(struct store_txn *txn)
{
    int code;
    GUARDED(code, txn->store->reader || atomic_load(&txn->store->unsettled) ? 0 : pages_older(txn));
    bool ok = txn_note(txn, STORE_META, code, 0) &&
              table_verify(txn, STORE_META) && /* which compares with the head */
              head_verify(txn);
    for (enum store_table table = STORE_META + 1; ok && table < STORE_TABLES; table++) {
        uint64_t rows;
        ok = sums_rows(txn, table, NO_SLICE, &rows) &&
             (rows == store_count(txn, table) ||
              txn_note(txn, table, txn_damaged(txn, "rows are missing"), 0));
    }
    return ok;
}
