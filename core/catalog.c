/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalog: sorted arrays under a differential reference count.
 *
 * The count of a snapshot begins at BIAS. While it is published its readers are counted in the
 * root's word. Publishing another moves their number here and takes BIAS away in one addition, so
 * that the count reads 0 exactly when the snapshot is retired and every reader has left. A reader
 * that leaves in between (after the swap, before that addition) only lowers a count that still has
 * BIAS in it. The pointer in the word cannot come back as another snapshot under a reader's feet:
 * it is freed only after that reader has left. */
#include "core/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/payload.h"

#define POINTER_BITS 48
#define ONE_READER   (UINT64_C(1) << POINTER_BITS)
#define POINTER_MASK (ONE_READER - 1)
#define READERS_MOST 65535u
#define BIAS         (INT64_C(1) << 32)

struct catalog {
    _Atomic int64_t count;
    uint64_t version, served;
    size_t experiment_count, metric_count, holdout_count;
    struct experiment **holdouts;    /* by key; borrowed from those below */
    struct experiment **experiments; /* by key */
    struct experiment **numbered;    /* by number */
    struct metric **metrics;
    struct metric **metrics_numbered;
    struct payload *payload;
};

/* --- the snapshot --- */

static int by_experiment_key(const void *a, const void *b)
{
    return strcmp((*(struct experiment *const *)a)->key, (*(struct experiment *const *)b)->key);
}

static int by_experiment_number(const void *a, const void *b)
{
    uint32_t x = (*(struct experiment *const *)a)->number;
    uint32_t y = (*(struct experiment *const *)b)->number;
    return (x > y) - (x < y);
}

static int by_metric_key(const void *a, const void *b)
{
    return strcmp((*(struct metric *const *)a)->key, (*(struct metric *const *)b)->key);
}

static int by_metric_number(const void *a, const void *b)
{
    uint32_t x = (*(struct metric *const *)a)->number;
    uint32_t y = (*(struct metric *const *)b)->number;
    return (x > y) - (x < y);
}

/* Numbers and versions of the experiments that decide, in order of their keys. */
static uint64_t digest_served(const struct catalog *catalog)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < catalog->experiment_count; i++) {
        const struct experiment *e = catalog->experiments[i];
        const uint64_t parts[] = {digest, e->number, (uint64_t)e->version};
        if (experiment_decides(e))
            digest = hash64(parts, sizeof parts);
    }
    return digest;
}

static void find_holdouts(struct catalog *catalog)
{
    catalog->holdouts = xcalloc(catalog->experiment_count + 1, sizeof(void *));
    for (size_t i = 0; i < catalog->experiment_count; i++)
        if (catalog->experiments[i]->holdout && catalog->experiments[i]->epoch_count > 0)
            catalog->holdouts[catalog->holdout_count++] = catalog->experiments[i];
    if (catalog->holdout_count > 1)
        qsort(catalog->holdouts, catalog->holdout_count, sizeof(void *), by_experiment_key);
}

struct catalog *catalog_new(uint64_t version, struct experiment *const *experiments,
                            size_t experiment_count, struct metric *const *metrics,
                            size_t metric_count)
{
    struct catalog *catalog = xcalloc(1, sizeof *catalog);
    atomic_init(&catalog->count, BIAS);
    catalog->version = version;
    catalog->experiment_count = experiment_count;
    catalog->metric_count = metric_count;
    catalog->experiments = xcalloc(experiment_count, sizeof(void *));
    catalog->numbered = xcalloc(experiment_count, sizeof(void *));
    catalog->metrics = xcalloc(metric_count, sizeof(void *));
    catalog->metrics_numbered = xcalloc(metric_count, sizeof(void *));
    for (size_t i = 0; i < experiment_count; i++)
        catalog->numbered[i] = catalog->experiments[i] = experiment_ref(experiments[i]);
    find_holdouts(catalog);
    for (size_t i = 0; i < metric_count; i++)
        catalog->metrics_numbered[i] = catalog->metrics[i] = metric_ref(metrics[i]);
    qsort(catalog->experiments, experiment_count, sizeof(void *), by_experiment_key);
    qsort(catalog->numbered, experiment_count, sizeof(void *), by_experiment_number);
    qsort(catalog->metrics, metric_count, sizeof(void *), by_metric_key);
    qsort(catalog->metrics_numbered, metric_count, sizeof(void *), by_metric_number);
    catalog->served = digest_served(catalog);
    return catalog;
}

void catalog_free(struct catalog **catalog)
{
    struct catalog *old = *catalog;
    *catalog = NULL;
    if (!old)
        return;
    for (size_t i = 0; i < old->experiment_count; i++)
        experiment_unref(&old->experiments[i]);
    for (size_t i = 0; i < old->metric_count; i++)
        metric_unref(&old->metrics[i]);
    free(old->experiments);
    free(old->holdouts);
    free(old->numbered);
    free(old->metrics);
    free(old->metrics_numbered);
    payload_unref(&old->payload);
    free(old);
}

struct catalog *catalog_with_experiment(const struct catalog *old, uint32_t number,
                                        struct experiment *with)
{
    struct experiment **list = xcalloc(old->experiment_count + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < old->experiment_count; i++) {
        if (old->experiments[i]->number != number)
            list[count++] = old->experiments[i];
    }
    if (with)
        list[count++] = with;
    struct catalog *next =
        catalog_new(old->version + 1, list, count, old->metrics, old->metric_count);
    free(list);
    return next;
}

struct catalog *catalog_with_metric(const struct catalog *old, uint32_t number, struct metric *with)
{
    struct metric **list = xcalloc(old->metric_count + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < old->metric_count; i++) {
        if (old->metrics[i]->number != number)
            list[count++] = old->metrics[i];
    }
    if (with)
        list[count++] = with;
    struct catalog *next =
        catalog_new(old->version + 1, old->experiments, old->experiment_count, list, count);
    free(list);
    return next;
}

void catalog_set_payload(struct catalog *catalog, struct payload *payload)
{
    must(!catalog->payload);
    catalog->payload = payload;
}

struct payload *catalog_payload(const struct catalog *catalog)
{
    return catalog->payload;
}

uint64_t catalog_version(const struct catalog *catalog)
{
    return catalog->version;
}

uint64_t catalog_served(const struct catalog *catalog)
{
    return catalog->served;
}

/* strcmp of a slice and a text, as the arrays are sorted. */
static int compare_key(struct slice key, const char *text)
{
    size_t len = strlen(text);
    int order = memcmp(key.ptr, text, key.len < len ? key.len : len);
    return order ? order : (key.len > len) - (key.len < len);
}

const struct experiment *catalog_experiment(const struct catalog *catalog, struct slice key)
{
    size_t low = 0, high = catalog->experiment_count;
    while (key.len > 0 && low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(key, catalog->experiments[middle]->key);
        if (order == 0)
            return catalog->experiments[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct metric *catalog_metric(const struct catalog *catalog, struct slice key)
{
    size_t low = 0, high = catalog->metric_count;
    while (key.len > 0 && low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(key, catalog->metrics[middle]->key);
        if (order == 0)
            return catalog->metrics[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct experiment *catalog_experiment_numbered(const struct catalog *catalog, uint32_t number)
{
    struct experiment probe = {.number = number}, *key = &probe;
    struct experiment **found = bsearch(&key, catalog->numbered, catalog->experiment_count,
                                        sizeof(void *), by_experiment_number);
    return found ? *found : NULL;
}

const struct metric *catalog_metric_numbered(const struct catalog *catalog, uint32_t number)
{
    struct metric probe = {.number = number}, *key = &probe;
    struct metric **found = bsearch(&key, catalog->metrics_numbered, catalog->metric_count,
                                    sizeof(void *), by_metric_number);
    return found ? *found : NULL;
}

size_t catalog_experiment_count(const struct catalog *catalog)
{
    return catalog->experiment_count;
}

const struct experiment *catalog_experiment_at(const struct catalog *catalog, size_t i)
{
    must(i < catalog->experiment_count);
    return catalog->experiments[i];
}

size_t catalog_holdout_count(const struct catalog *catalog)
{
    return catalog->holdout_count;
}

const struct experiment *catalog_holdout_at(const struct catalog *catalog, size_t i)
{
    must(i < catalog->holdout_count);
    return catalog->holdouts[i];
}

size_t catalog_metric_count(const struct catalog *catalog)
{
    return catalog->metric_count;
}

const struct metric *catalog_metric_at(const struct catalog *catalog, size_t i)
{
    must(i < catalog->metric_count);
    return catalog->metrics[i];
}

/* --- the root --- */

static struct catalog *snapshot_of(uint64_t word)
{
    return (struct catalog *)(uintptr_t)(word & POINTER_MASK);
}

static uint64_t word_of(struct catalog *catalog)
{
    uint64_t word = (uint64_t)(uintptr_t)catalog;
    must((word & ~POINTER_MASK) == 0);
    return word;
}

/* Adds to a snapshot's own count and frees it where nobody is left. */
static void settle(struct catalog *catalog, int64_t change)
{
    int64_t before = atomic_fetch_add_explicit(&catalog->count, change, memory_order_acq_rel);
    if (before + change == 0)
        catalog_free(&catalog);
}

static void retire(uint64_t word)
{
    settle(snapshot_of(word), (int64_t)(word >> POINTER_BITS) - BIAS);
}

void catalog_root_init(struct catalog_root *root)
{
    atomic_init(&root->word, word_of(catalog_new(0, NULL, 0, NULL, 0)));
}

void catalog_root_release(struct catalog_root *root)
{
    uint64_t word = atomic_exchange_explicit(&root->word, 0, memory_order_acq_rel);
    must(word >> POINTER_BITS == 0);
    retire(word);
}

struct catalog *catalog_acquire(struct catalog_root *root)
{
    uint64_t word = atomic_fetch_add_explicit(&root->word, ONE_READER, memory_order_acquire);
    must(word >> POINTER_BITS < READERS_MOST);
    return snapshot_of(word);
}

void catalog_release(struct catalog_root *root, struct catalog *catalog)
{
    uint64_t word = atomic_load_explicit(&root->word, memory_order_relaxed);
    while (snapshot_of(word) == catalog) {
        if (atomic_compare_exchange_weak_explicit(&root->word, &word, word - ONE_READER,
                                                  memory_order_release, memory_order_relaxed))
            return;
    }
    settle(catalog, -1);
}

void catalog_publish(struct catalog_root *root, struct catalog *next)
{
    retire(atomic_exchange_explicit(&root->word, word_of(next), memory_order_acq_rel));
}
