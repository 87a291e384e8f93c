/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which customer key: a number given at first sight (one more table, new customers append), or a
 * keyed 128-bit digest of the id (no lookup, new customers land at random).
 *
 *     bench_customer_key FOLDER number|digest CUSTOMERS [SECONDS]
 *
 * Loads that many customers (profile, unit, one event each) in the order of their keys, so that 50
 * million are there in minutes (and pages fuller than random arrival leaves them), then measures
 * with commits as ingest makes them, 10,000 events each, sorted by key: events of known customers
 * drawn at random, and events of new ones. SECONDS bounds each measurement and the load. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/store.h"

enum { GROUP = 10000, LOAD = 500000, GROUPS_MAX = 20, UNIT_BYTES = 110, EVENT_BYTES = 45 };

struct row {
    uint64_t customer; /* ordinal, from 1 */
    unsigned char digest[16];
};

static unsigned char secret[32];
static bool numbered;
static struct store *store;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void digest_row(struct row *row)
{
    char id[40];
    int len = snprintf(id, sizeof id, "customer-%012llu", (unsigned long long)row->customer);
    crypto_generichash(row->digest, sizeof row->digest, (unsigned char *)id,
                       (unsigned long long)len, secret, sizeof secret);
}

static struct store_key key_of(const struct row *row, uint64_t number, uint8_t kind)
{
    struct store_key key = {0};
    if (numbered)
        key_u64(&key, number);
    else
        key_bytes(&key, (struct slice){(const char *)row->digest, sizeof row->digest});
    key_u8(&key, kind);
    return key;
}

static uint64_t number_of(struct store_txn *txn, const struct row *row, uint64_t *next)
{
    struct slice key = {(const char *)row->digest, sizeof row->digest}, found;
    uint64_t number = 0;
    if (!numbered)
        return 0;
    if (store_get(txn, STORE_CUSTOMER_ID, key, &found)) {
        unkey_u64(&found, &number);
        return number;
    }
    struct store_key value = {0};
    number = (*next)++;
    key_u64(&value, number);
    store_put(txn, STORE_CUSTOMER_ID, key, key_slice(&value));
    return number;
}

struct target {
    const struct row *row;
    uint64_t number;
};

static int by_number(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int by_digest(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return memcmp(x->digest, y->digest, sizeof x->digest);
}

static struct store_txn *begin(void)
{
    struct error err = {0};
    struct store_txn *txn = store_write(store, &err);
    if (!txn)
        error_fatal("%s", err.message);
    return txn;
}

static void commit(struct store_txn **txn)
{
    struct error err = {0};
    if (!store_commit(txn, &err))
        error_fatal("%s", err.message);
}

/* What is written of one customer. */
struct rows {
    char unit[UNIT_BYTES], event[EVENT_BYTES], profile[22];
};

static void put_rows(struct store_txn *txn, const struct rows *rows, const struct row *row,
                     uint64_t number, uint64_t at, uint64_t id, bool new)
{
    struct store_key key = key_of(row, number, 0);
    if (new)
        store_put(txn, STORE_CUSTOMER, key_slice(&key),
                  (struct slice){rows->profile, sizeof rows->profile});
    key = key_of(row, number, 1);
    key_u32(&key, 1);
    key_u16(&key, 1);
    store_put(txn, STORE_CUSTOMER, key_slice(&key), (struct slice){rows->unit, sizeof rows->unit});
    key = key_of(row, number, 2);
    key_u64(&key, at);
    key_u64(&key, id);
    store_put(txn, STORE_CUSTOMER, key_slice(&key),
              (struct slice){rows->event, sizeof rows->event});
}

/* One transaction: an event and a rewritten unit for each row; a profile for new ones. */
static void write_group(struct row *rows, size_t count, uint64_t *next, uint64_t at, bool new)
{
    struct rows bytes = {0};
    struct store_txn *txn = begin();
    struct target *list = xcalloc(count, sizeof *list);
    randombytes_buf(bytes.unit, sizeof bytes.unit);
    randombytes_buf(bytes.event, sizeof bytes.event);
    qsort(rows, count, sizeof *rows, by_digest); /* the ids are looked up in order too */
    for (size_t i = 0; i < count; i++)
        list[i] = (struct target){&rows[i], number_of(txn, &rows[i], next)};
    if (numbered)
        qsort(list, count, sizeof *list, by_number);
    for (size_t i = 0; i < count; i++)
        put_rows(txn, &bytes, list[i].row, list[i].number, at, at * 0x9e3779b97f4a7c15u + i, new);
    free(list);
    commit(&txn);
}

/* --- loading -------------------------------------------------------------------------------- */

/* The table of ids, in the order of digests; a customer's number is its place of arrival. */
static void load_ids(const struct row *rows, size_t count)
{
    for (size_t from = 0; from < count; from += LOAD) {
        struct store_txn *txn = begin();
        for (size_t i = from; i < count && i < from + LOAD; i++) {
            struct store_key value = {0};
            key_u64(&value, rows[i].customer);
            store_put(txn, STORE_CUSTOMER_ID, (struct slice){(const char *)rows[i].digest, 16},
                      key_slice(&value));
        }
        commit(&txn);
    }
}

static int by_arrival(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return (x->customer > y->customer) - (x->customer < y->customer);
}

/* As many as the time allows; returns how many there are. */
static uint64_t load(uint64_t customers, double most)
{
    double began = seconds();
    struct rows bytes = {0};
    struct row *rows = xcalloc(customers, sizeof *rows);
    uint64_t loaded = 0;
    for (uint64_t i = 0; i < customers; i++) {
        rows[i].customer = i + 1;
        digest_row(&rows[i]);
    }
    qsort(rows, customers, sizeof *rows, by_digest);
    if (numbered) {
        load_ids(rows, customers);
        qsort(rows, customers, sizeof *rows, by_arrival);
    }
    while (loaded < customers && seconds() - began < most) {
        struct store_txn *txn = begin();
        for (uint64_t end = loaded + LOAD; loaded < customers && loaded < end; loaded++)
            put_rows(txn, &bytes, &rows[loaded], rows[loaded].customer, 1, loaded, true);
        commit(&txn);
    }
    free(rows);
    return loaded;
}

static void show(const char *what, uint64_t customers, size_t events, double took)
{
    uint64_t used, file, bound;
    store_size(store, &used, &file, &bound);
    printf("%s %-14s %10llu customers: %9zu rows in %6.1f s = %8.0f a second, %6.0f MB\n",
           numbered ? "number" : "digest", what, (unsigned long long)customers, events, took,
           (double)events / took, (double)used / 1e6);
    fflush(stdout);
}

static void measure(bool new, uint64_t customers, uint64_t *next, double most)
{
    struct row *rows = xcalloc(GROUP, sizeof *rows);
    double began = seconds();
    size_t groups = 0;
    while (groups < GROUPS_MAX && seconds() - began < most) {
        for (size_t i = 0; i < GROUP; i++) {
            uint64_t random;
            randombytes_buf(&random, sizeof random);
            rows[i].customer = new ? customers + 1 + groups *GROUP + i : 1 + random % customers;
            digest_row(&rows[i]);
        }
        write_group(rows, GROUP, next, 1000 + groups + (new ? GROUPS_MAX : 0), new);
        groups++;
    }
    show(new ? "new" : "known", customers, groups * GROUP, seconds() - began);
    free(rows);
}

int main(int argc, char **argv)
{
    if (argc < 4 || sodium_init() < 0)
        return 2;
    struct error err = {0};
    numbered = strcmp(argv[2], "number") == 0;
    uint64_t customers = strtoull(argv[3], NULL, 10);
    double most = argc > 4 ? strtod(argv[4], NULL) : 120, began = seconds();
    store = store_open(argv[1], 0, &err);
    if (!store)
        error_fatal("%s", err.message);
    uint64_t loaded = load(customers, most), next = customers + 1;
    show("load", loaded, loaded, seconds() - began);
    measure(false, loaded, &next, most);
    measure(true, loaded, &next, most);
    store_close(&store);
    return 0;
}
