/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalog: an immutable snapshot of all definitions, replaced whole when one changes.
 *
 * Readers acquire the present snapshot without a lock and without waiting, use it as long as they
 * like, and release it; what they hold never changes under them. A snapshot is freed when it is no
 * longer published and its last reader has left.
 *
 * How it counts (differential reference counting): the root is one 64-bit word, 48 bits of pointer
 * and 16 bits that count the readers who took the snapshot through this word. Acquiring is one
 * fetch_add, which reads the pointer and counts the reader in the same step. A reader leaves
 * through the word while its snapshot is still there, else through the count of the snapshot
 * itself, to which publishing moves what the word had counted. So at most 65,535 readers may hold
 * one published snapshot at once; more end the process.
 *
 * Thread-safety: acquire and release from any thread; publish from one thread at a time. */
#ifndef UPLIFT_CORE_CATALOG_H
#define UPLIFT_CORE_CATALOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/experiment.h"
#include "core/metric.h"
#include "core/text.h"

struct catalog;
struct payload;

struct catalog_root {
    _Atomic uint64_t word; /* private */
};

/* The root publishes an empty catalog of version 0. */
void catalog_root_init(struct catalog_root *root);
/* No reader may be left. */
void catalog_root_release(struct catalog_root *root);

/* The present snapshot: never NULL. Give it back with catalog_release. */
struct catalog *catalog_acquire(struct catalog_root *root);
void catalog_release(struct catalog_root *root, struct catalog *catalog);
/* Makes `next` the present snapshot and takes it over. */
void catalog_publish(struct catalog_root *root, struct catalog *next);

/* A catalog of these definitions, of which it takes references. Keys and numbers are unique (a
 * promise of the caller). Free what is never published with catalog_free. */
struct catalog *catalog_new(uint64_t version, struct experiment *const *experiments,
                            size_t experiment_count, struct metric *const *metrics,
                            size_t metric_count);
void catalog_free(struct catalog **catalog);

/* A copy of `old`, one version on, in which the experiment (metric) of the number `number` is
 * replaced by `with`, added where it was not there, left out where `with` is NULL. */
struct catalog *catalog_with_experiment(const struct catalog *old, uint32_t number,
                                        struct experiment *with);
struct catalog *catalog_with_metric(const struct catalog *old, uint32_t number,
                                    struct metric *with);

/* What SDKs are given of it (payload.h), which belongs to the catalog once it is set, before the
 * catalog is published; NULL where none is. Take a reference to keep it longer than the catalog. */
void catalog_set_payload(struct catalog *catalog, struct payload *payload);
struct payload *catalog_payload(const struct catalog *catalog);

/* Grows by one with each change of any definition since the process began. */
uint64_t catalog_version(const struct catalog *catalog);
/* Stands for all that customers may get: another number when an experiment of which they get
 * something has changed or came or went, the same one after a restart. Drafts, archived experiments
 * and metrics are not in it. */
uint64_t catalog_served(const struct catalog *catalog);

/* Lookups give NULL for what is not there. What they return lives as long as the snapshot is held;
 * take a reference (experiment_ref) to keep it longer. */
const struct experiment *catalog_experiment(const struct catalog *catalog, struct slice key);
const struct experiment *catalog_experiment_numbered(const struct catalog *catalog,
                                                     uint32_t number);
const struct metric *catalog_metric(const struct catalog *catalog, struct slice key);
const struct metric *catalog_metric_numbered(const struct catalog *catalog, uint32_t number);

/* All of them in order of their keys (bytes): at(i) for i < count. */
size_t catalog_experiment_count(const struct catalog *catalog);
const struct experiment *catalog_experiment_at(const struct catalog *catalog, size_t i);
/* Of these, the holdouts that were started, whatever became of them. */
size_t catalog_holdout_count(const struct catalog *catalog);
const struct experiment *catalog_holdout_at(const struct catalog *catalog, size_t i);
size_t catalog_metric_count(const struct catalog *catalog);
const struct metric *catalog_metric_at(const struct catalog *catalog, size_t i);

#endif
