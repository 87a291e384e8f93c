/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tallies: pairs of doubles by Knuth's two-sum and fma's two-product (Dekker 1971); the record on
 * disk is version, counts, and each sum as its two doubles, little-endian. */
#include "core/tally.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Flipping the sign makes the order of bytes that of the bins. */
#define BIN_SIGN UINT32_C(0x80000000)
enum { RECORD_VERSION = 1, SUMS = 8, RECORD_SIZE = 1 + 8 * (1 + 2 * SUMS + TALLY_SCORES) };

void sum_add(struct sum *sum, double value)
{
    double s = sum->high + value;
    double part = s - sum->high;
    double low = (sum->high - (s - part)) + (value - part) + sum->low;
    sum->high = s + low;
    sum->low = low - (sum->high - s);
}

void sum_add_product(struct sum *sum, double a, double b)
{
    double product = a * b;
    sum_add(sum, product);
    sum_add(sum, fma(a, b, -product));
}

/* The sums in their order on disk. */
static void list_sums(struct tally *tally, struct sum *out[SUMS])
{
    struct sum *list[SUMS] = {&tally->sum,        &tally->sum_sq,   &tally->pre_sum,
                              &tally->pre_sum_sq, &tally->pre_post, &tally->den_sum,
                              &tally->den_sum_sq, &tally->sum_den};
    memcpy(out, list, sizeof list);
}

void tally_count(struct tally *tally, const struct contribution *unit, int sign)
{
    double y = unit->value, x = unit->pre, d = unit->den;
    tally->n += sign;
    sum_add(&tally->sum, sign * y);
    sum_add_product(&tally->sum_sq, sign * y, y);
    if (x != 0) {
        sum_add(&tally->pre_sum, sign * x);
        sum_add_product(&tally->pre_sum_sq, sign * x, x);
        sum_add_product(&tally->pre_post, sign * x, y);
    }
    if (d != 0) {
        sum_add(&tally->den_sum, sign * d);
        sum_add_product(&tally->den_sum_sq, sign * d, d);
        sum_add_product(&tally->sum_den, sign * y, d);
    }
    if (unit->score >= 0 && unit->score < TALLY_SCORES)
        tally->scores[unit->score] += sign;
}

void tally_merge(struct tally *into, const struct tally *from)
{
    struct tally copy = *from;
    struct sum *a[SUMS], *b[SUMS];
    list_sums(into, a);
    list_sums(&copy, b);
    into->n += from->n;
    for (int i = 0; i < SUMS; i++) {
        sum_add(a[i], b[i]->high);
        sum_add(a[i], b[i]->low);
    }
    for (int i = 0; i < TALLY_SCORES; i++)
        into->scores[i] += from->scores[i];
}

/* Without units nothing is left of sums but what rounding may have left. */
bool tally_is_zero(const struct tally *tally)
{
    return tally->n == 0;
}

bool tally_agrees(const struct tally *a, const struct tally *b)
{
    struct tally ca = *a, cb = *b;
    struct sum *sa[SUMS], *sb[SUMS];
    list_sums(&ca, sa);
    list_sums(&cb, sb);
    if (a->n != b->n || memcmp(a->scores, b->scores, sizeof a->scores) != 0)
        return false;
    for (int i = 0; i < SUMS; i++) {
        double x = sum_value(sa[i]), y = sum_value(sb[i]);
        if (!(fabs(x - y) <= 1e-9 + 1e-12 * fmax(fabs(x), fabs(y))))
            return false;
    }
    return true;
}

void tally_key(const struct tally_name *name, struct store_key *key)
{
    key->len = 0;
    key_u32(key, name->experiment);
    key_u16(key, name->phase);
    key_u16(key, name->epoch);
    key_u32(key, name->metric);
    key_text(key, name->segment);
    key_text(key, name->value);
    key_u8(key, name->variant);
    if (name->bin != 0)
        key_u32(key, (uint32_t)name->bin ^ BIN_SIGN);
}

bool tally_unkey(struct slice key, struct tally_name *name)
{
    uint32_t bin = BIN_SIGN;
    bool ok = unkey_u32(&key, &name->experiment) && unkey_u16(&key, &name->phase) &&
              unkey_u16(&key, &name->epoch) && unkey_u32(&key, &name->metric) &&
              unkey_text(&key, &name->segment) && unkey_text(&key, &name->value) &&
              unkey_u8(&key, &name->variant) && (key.len == 0 || unkey_u32(&key, &bin)) &&
              key.len == 0;
    name->bin = (int32_t)(bin ^ BIN_SIGN);
    return ok;
}

static void put64(unsigned char **at, const void *value)
{
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    bits = htole64(bits);
    memcpy(*at, &bits, sizeof bits);
    *at += sizeof bits;
}

static void get64(const unsigned char **at, void *value)
{
    uint64_t bits;
    memcpy(&bits, *at, sizeof bits);
    bits = le64toh(bits);
    memcpy(value, &bits, sizeof bits);
    *at += sizeof bits;
}

static void encode(const struct tally *tally, unsigned char out[RECORD_SIZE])
{
    struct tally copy = *tally;
    struct sum *sums[SUMS];
    list_sums(&copy, sums);
    *out++ = RECORD_VERSION;
    put64(&out, &copy.n);
    for (int i = 0; i < SUMS; i++) {
        put64(&out, &sums[i]->high);
        put64(&out, &sums[i]->low);
    }
    for (int i = 0; i < TALLY_SCORES; i++)
        put64(&out, &copy.scores[i]);
}

static bool decode(struct slice record, struct tally *tally)
{
    if (record.len != RECORD_SIZE || record.ptr[0] != RECORD_VERSION)
        return false;
    const unsigned char *at = (const unsigned char *)record.ptr + 1;
    struct sum *sums[SUMS];
    list_sums(tally, sums);
    get64(&at, &tally->n);
    for (int i = 0; i < SUMS; i++) {
        get64(&at, &sums[i]->high);
        get64(&at, &sums[i]->low);
        if (!isfinite(sums[i]->high) || !isfinite(sums[i]->low))
            return false;
    }
    for (int i = 0; i < TALLY_SCORES; i++)
        get64(&at, &tally->scores[i]);
    return tally->n >= 0;
}

/* --- sets ----------------------------------------------------------------------------------- */

struct entry {
    struct tally tally;
    struct slice key; /* owned */
    struct entry *next;
};

struct tally_set {
    struct store_txn *txn; /* or NULL */
    struct entry **buckets;
    size_t bucket_count, count;
    bool damaged; /* a record on disk could not be read */
};

struct tally_set *tally_set_new(struct store_txn *txn)
{
    struct tally_set *set = xcalloc(1, sizeof *set);
    *set = (struct tally_set){.txn = txn, .bucket_count = 256};
    set->buckets = xcalloc(set->bucket_count, sizeof(struct entry *));
    return set;
}

void tally_set_free(struct tally_set **set)
{
    if (!*set)
        return;
    for (size_t i = 0; i < (*set)->bucket_count; i++)
        for (struct entry *entry = (*set)->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free((char *)(uintptr_t)entry->key.ptr);
            free(entry);
        }
    free((*set)->buckets);
    free(*set);
    *set = NULL;
}

static void grow(struct tally_set *set)
{
    size_t count = set->bucket_count * 2;
    struct entry **buckets = xcalloc(count, sizeof(struct entry *));
    for (size_t i = 0; i < set->bucket_count; i++)
        for (struct entry *entry = set->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            size_t to = hash64(entry->key.ptr, entry->key.len) % count;
            entry->next = buckets[to];
            buckets[to] = entry;
        }
    free(set->buckets);
    set->buckets = buckets;
    set->bucket_count = count;
}

struct tally *tally_set_at(struct tally_set *set, const struct tally_name *name)
{
    struct store_key key;
    tally_key(name, &key);
    struct entry **bucket = &set->buckets[hash64(key.bytes, key.len) % set->bucket_count];
    for (struct entry *entry = *bucket; entry; entry = entry->next)
        if (slice_equal(entry->key, key_slice(&key)))
            return &entry->tally;
    if (set->count >= set->bucket_count) {
        grow(set);
        bucket = &set->buckets[hash64(key.bytes, key.len) % set->bucket_count];
    }
    struct entry *entry = xcalloc(1, sizeof *entry);
    entry->key = (struct slice){memcpy(xmalloc(key.len), key.bytes, key.len), key.len};
    struct slice record;
    if (set->txn && store_get(set->txn, STORE_TALLY, entry->key, &record) &&
        !decode(record, &entry->tally))
        set->damaged = true;
    entry->next = *bucket;
    *bucket = entry;
    set->count++;
    return &entry->tally;
}

bool tally_set_flush(struct tally_set *set, struct store_txn *txn, struct error *err)
{
    if (set->damaged)
        return error_set(err, ERROR_CORRUPT, NULL,
                         "a tally on disk is damaged: uplift check --repair counts it anew");
    for (size_t i = 0; i < set->bucket_count; i++)
        for (struct entry *entry = set->buckets[i]; entry; entry = entry->next) {
            unsigned char record[RECORD_SIZE];
            encode(&entry->tally, record);
            if (tally_is_zero(&entry->tally))
                store_delete(txn, STORE_TALLY, entry->key);
            else
                store_put(txn, STORE_TALLY, entry->key,
                          (struct slice){(const char *)record, sizeof record});
        }
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return slice_order(x->key, y->key);
}

/* The caller frees the list. */
static struct entry **in_order(const struct tally_set *set)
{
    struct entry **list = xcalloc(set->count + 1, sizeof(struct entry *));
    size_t count = 0;
    for (size_t i = 0; i < set->bucket_count; i++)
        for (struct entry *entry = set->buckets[i]; entry; entry = entry->next)
            list[count++] = entry;
    qsort(list, count, sizeof(struct entry *), by_key);
    return list;
}

bool tally_set_each(const struct tally_set *set,
                    bool (*visit)(void *data, const struct tally_name *name,
                                  const struct tally *tally),
                    void *data)
{
    struct entry **list = in_order(set);
    bool ok = true;
    for (size_t i = 0; ok && i < set->count; i++) {
        struct tally_name name = {0};
        must(tally_unkey(list[i]->key, &name));
        ok = visit(data, &name, &list[i]->tally);
    }
    free(list);
    return ok;
}

bool tally_each(struct store_txn *txn, struct slice prefix,
                bool (*visit)(void *data, const struct tally_name *name, const struct tally *tally),
                void *data, struct error *err)
{
    struct store_cursor *cursor = store_walk(txn, STORE_TALLY, prefix, NO_SLICE);
    struct slice key, record;
    bool ok = true;
    while (ok && store_next(cursor, &key, &record)) {
        struct tally_name name = {0};
        struct tally tally = {0};
        if (!tally_unkey(key, &name) || !decode(record, &tally))
            ok = error_set(err, ERROR_CORRUPT, NULL, "a tally on disk is damaged");
        else
            ok = visit(data, &name, &tally);
    }
    store_walk_end(&cursor);
    return ok && store_healthy(txn, err);
}
