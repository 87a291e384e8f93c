/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Definitions: the services that list, show and change experiments and metrics of an open
 * application, for the HTTP layer and the commands alike.
 *
 * Every change runs as one transaction of the writer thread, in the order of arrival: it sees the
 * definitions as they then are, writes the new one and a row of the audit trail, and publishes a
 * new catalog once that is on disk. So a caller who has its answer decides by the new definition.
 * The call waits for that (one commit, some milliseconds); call it from any thread but the writer.
 *
 * Errors: ERROR_INVALID with the place; ERROR_NOT_FOUND; ERROR_CONFLICT where the present state
 * does not allow it; ERROR_STALE where `version` is not the present one; those of the store and of
 * ingest (ERROR_BUSY, ERROR_FULL, …). What is returned as json_t * is a new reference. */
#ifndef UPLIFT_CORE_DEFINITIONS_H
#define UPLIFT_CORE_DEFINITIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/catalog.h"
#include "core/error.h"
#include "core/experiment_change.h"
#include "core/store.h"
#include "core/text.h"

struct uplift;

/* Who changes what, when. */
struct definition_change {
    const char *who; /* for the audit trail: a key's name, "demo", "import" */
    int64_t version; /* what the client saw (If-Match); 0: whatever it is */
    int64_t at;      /* ms; -1: now, by the application's clock */
    bool by_person;  /* who, stopping against the advice of the moment, is asked for a reason */
};

/* Reads all definitions from the store and publishes the first catalog. Called once, when the
 * application opens, before any other thread runs. */
bool definitions_load(struct uplift *uplift, struct error *err);

/* All definitions as they are in this transaction: a catalog that the caller owns (catalog_free),
 * or NULL with *err. */
struct catalog *definitions_catalog(struct store_txn *txn, struct error *err);

/* {"experiments": […], "next": KEY or null}: at most `limit` (1 to 1000) of them in order of their
 * keys, behind `after` ("" for the first). */
json_t *uplift_experiment_list(struct uplift *uplift, struct slice after, size_t limit);
/* The definition as the API shows it. */
json_t *uplift_experiment_get(struct uplift *uplift, struct slice key, struct error *err);
/* A draft. ERROR_CONFLICT where the key is taken. */
json_t *uplift_experiment_create(struct uplift *uplift, const struct definition_change *change,
                                 json_t *input, struct error *err);
/* PUT and PATCH (experiment_change.h). */
json_t *uplift_experiment_amend(struct uplift *uplift, const struct definition_change *change,
                                struct slice key, json_t *input, struct error *err);
json_t *uplift_experiment_patch(struct uplift *uplift, const struct definition_change *change,
                                struct slice key, json_t *patch, struct error *err);
/* start, pause, resume, stop, archive, new-phase. */
json_t *uplift_experiment_transition(struct uplift *uplift, const struct definition_change *change,
                                     struct slice key, enum experiment_step step, json_t *options,
                                     struct error *err);
/* Drafts only. */
bool uplift_experiment_remove(struct uplift *uplift, const struct definition_change *change,
                              struct slice key, struct error *err);

/* {"metrics": […], "next": KEY or null}. */
json_t *uplift_metric_list(struct uplift *uplift, struct slice after, size_t limit);
json_t *uplift_metric_get(struct uplift *uplift, struct slice key, struct error *err);
json_t *uplift_metric_create(struct uplift *uplift, const struct definition_change *change,
                             json_t *input, struct error *err);
/* A metric of a started experiment is rebuilt from history where the change counts differently. */
json_t *uplift_metric_amend(struct uplift *uplift, const struct definition_change *change,
                            struct slice key, json_t *input, struct error *err);
/* One that an experiment names is not removed. */
bool uplift_metric_remove(struct uplift *uplift, const struct definition_change *change,
                          struct slice key, struct error *err);

/* Takes a definition over as another store had it stored (experiment_stored, metric_stored), with
 * all that the server set; its number is kept where none so high was given yet, so take them over
 * in the order of their numbers. One that is there already and equal is fine, another one of that
 * key is ERROR_CONFLICT. An experiment's metrics must be there before it. `stored` is only read. */
bool uplift_experiment_restore(struct uplift *uplift, const struct definition_change *change,
                               json_t *stored, struct error *err);
bool uplift_metric_restore(struct uplift *uplift, const struct definition_change *change,
                           json_t *stored, struct error *err);

#endif
