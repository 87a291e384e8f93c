/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The opened application: one context that holds everything, passed down; no globals. HTTP and the
 * commands use the same functions over it.
 *
 *     struct uplift *uplift = uplift_open("data", &clock_system, &err);
 *     … uplift_events(uplift, events, &err) …
 *     uplift_close(&uplift);
 *
 * All functions are for any thread unless said otherwise. */
#ifndef UPLIFT_CORE_UPLIFT_H
#define UPLIFT_CORE_UPLIFT_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/catalog.h"
#include "core/error.h"
#include "core/fresh.h"
#include "core/ingest.h"
#include "core/overlap.h"
#include "core/rebuild.h"
#include "core/store.h"
#include "core/when.h"

enum { UPLIFT_EVENTS_MAX = 10000 };

/* What there was when all looks had been taken: private to analysis_keep_house. */
struct uplift_looked {
    uint64_t accepted, catalog;
};

struct uplift {
    struct store *store;         /* set at open */
    struct ingest *ingest;       /* set at open */
    struct clock clock;          /* set at open */
    int64_t retain_days;         /* set at open; 0: keep all */
    unsigned char secret[32];    /* set at open: keys of digests, random, in the store */
    struct pseudonym *pseudonym; /* set at open; NULL: ids are stored as they come */
    struct catalog_root catalog; /* published by the writer thread */
    struct keys *keys;           /* keys.c */
    struct rebuild rebuild;
    struct overlap overlap;
    pthread_mutex_t looking; /* held from reading the last look to keeping the next one */
    struct uplift_looked looked;
    struct fresh fresh;
    bool require_consent;          /* set at open */
    bool compacts;                 /* set at open: somebody does after an erasure */
    atomic_uint_fast64_t refusals; /* consent.c */
    /* Counters for operators, since the start. */
    atomic_uint_fast64_t accepted, duplicates, rejected;
    atomic_uint webhook_types; /* a bit for each type that a webhook asks for (webhook.h) */
    atomic_uint_fast64_t webhook_taken, webhook_failed, webhook_lost; /* messages */
    atomic_int_fast64_t accept_from;   /* ms: events from before it are refused; 0: none */
    atomic_int_fast64_t last_event_at; /* ms: of whatever experiment; 0: none yet */
    atomic_uint_fast64_t house_failed; /* rounds of housekeeping that did not go well */
    atomic_int_fast64_t house_kept_at; /* ms: the last one that did, or the start; 0: none */
};

/* How to open; all zero is the default. */
struct uplift_options {
    struct clock clock;   /* copied; a zero one is the system's */
    int64_t retain_days;  /* drop events older than that (retention.h); 0: keep all */
    size_t store_max;     /* most bytes of the store on disk; 0: as much as the disk holds */
    bool require_consent; /* who said nothing has not consented (consent.h) */
    /* The file with the key of pseudonyms; NULL: ids are stored as they come (pseudonym.h). Not
     * within the folder. */
    const char *pseudonyms;
    /* Told when writes begin to fail and when they are taken again (ingest_tell); or NULL. */
    void (*refusing)(const struct error *why);
    bool no_compaction; /* nobody compacts after an erasure, which then says so */
    bool no_customers;  /* no id goes in or is looked up: a store with pseudonyms needs no key */
};

/* Opens or creates the folder, loads definitions and keys, starts the writer. */
struct uplift *uplift_open_with(const char *folder, const struct uplift_options *options,
                                struct error *err);
/* The same by default but for the clock. */
struct uplift *uplift_open(const char *folder, const struct clock *clock, struct error *err);
/* Drains the writer and closes. No other thread may be inside. */
void uplift_close(struct uplift **uplift);

/* The clock's time (ms), but never before the last event came in: a clock that is set back does not
 * turn what happened since into the future. */
static inline int64_t uplift_now(const struct uplift *uplift)
{
    return ingest_now(uplift->ingest);
}

/* Events (model.md): `body` is an array, one object, or {"batch": [...], "sentAt"}, each event in
 * our shape or in that of event_alias.h. Every event is handled by itself. *answer: {"accepted",
 * "duplicates", "rejected": [{index, error}]}. What is queued holds nothing of `body`. */
struct uplift_events; /* a batch on its way */

/* Parses and queues. `done` is called once, by the writer thread (or at once, by this thread, where
 * nothing is left to write) with the answer (a new reference) when all is on disk, or with NULL and
 * *err. False, and done not called: the body as a whole is wrong, or ERROR_BUSY. */
bool uplift_events_submit(struct uplift *uplift, json_t *body,
                          void (*done)(void *data, json_t *answer, const struct error *err),
                          void *data, struct error *err);
/* The same, waiting. New reference, or NULL. Not from the writer thread. */
json_t *uplift_events(struct uplift *uplift, json_t *body, struct error *err);

/* The same for events of an export (event_parse_exported): `list` is an array of at most
 * UPLIFT_EVENTS_MAX. What was taken once is taken again as it was: of an exposure that tells when
 * it was received, the experiment must be there, but not in its phase the variant, which was judged
 * by the definition of then. */
bool uplift_events_restore(struct uplift *uplift, json_t *list,
                           void (*done)(void *data, json_t *answer, const struct error *err),
                           void *data, struct error *err);

#endif
