/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ledger: history → unit → tally.
 *
 * The history of a customer is all their events. One pure function, ledger_unit, turns it into
 * the customer's unit of one phase of one experiment: variant, epoch, segments, and what it adds
 * to each metric. It finds the exposure, and adds one event after the other by ledger_unit_add,
 * whose order does not matter. So a fresh event is added to the stored unit by the same function,
 * however long the history is; where an exposure changes what counts, ledger_customer counts the
 * customer anew. Either way the tallies lose what the stored unit had added and get what the new
 * one adds.
 *
 * Rules (model.md): the first exposure of a phase counts; a customer exposed to two variants in
 * one phase is crossed and leaves the analysis; an outcome counts from the exposure until before
 * exposure + window; earlier ones within covariate_days before it are the covariate; the first
 * answer of a survey after exposure counts. The time of an event is event_time(); ties are broken
 * by key, never by arrival. Exposures before the start or from the end of a phase do not count. */
#ifndef UPLIFT_CORE_LEDGER_H
#define UPLIFT_CORE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/catalog.h"
#include "core/event.h"
#include "core/exact.h"
#include "core/store.h"
#include "core/tally.h"

enum { LEDGER_SEEN_DAYS = 7, LEDGER_SEGMENT_VALUE_MAX = 64 };

struct unit_metric {
    uint32_t metric;
    bool answered; /* a survey metric without an answer adds nothing */
    bool binned;   /* it adds to the bin of its value too */
    struct contribution adds;
    /* What `adds` is made of, so that one event more can be added: events or their worth within the
     * window, before the exposure, and of the denominator. */
    exact_sum sum, pre, den;
    int64_t answered_at; /* ms: the first answer of a survey, countable or not; -1: none */
};

struct unit_segment {
    struct slice name, value;
};

struct unit {
    uint16_t epoch;
    int variant; /* index, or -1: crossed */
    bool sealed; /* final: its events may be gone (retention.h) */
    int64_t exposed_at;
    struct unit_segment segments[EXPERIMENT_SEGMENTS_MAX];
    size_t segment_count;
    struct unit_metric *metrics; /* in the arena */
    size_t metric_count;
};

/* The unit of a customer in one phase, by the metrics and segments that the phase has or ended
 * with. `events` in order of time. False where the customer is no unit of it. Pure: no clock, no
 * store. */
bool ledger_unit(const struct event *events, size_t count, const struct experiment *experiment,
                 int phase, const struct catalog *catalog, struct arena *arena, struct unit *unit);

/* The same where `old` (NULL: none) is stored: a sealed one stays as it is, whatever history is
 * left, but for an exposure to another variant. */
bool ledger_unit_beside(const struct unit *old, const struct event *events, size_t count,
                        const struct experiment *experiment, int phase,
                        const struct catalog *catalog, struct arena *arena, struct unit *unit);

/* Adds one event, which may be of any time, to a unit: what ledger_unit would give for the history
 * with it. False, and the unit is not to be used, where only the history can tell: an exposure that
 * is not later than the one that counts, two answers at the same time, a unit that was counted of
 * other metrics. To a sealed unit nothing is added but an exposure to another variant. Pure too. */
bool ledger_unit_add(struct unit *unit, const struct event *event,
                     const struct experiment *experiment, int phase, const struct catalog *catalog);

/* All events of a customer in order of time, copied into the arena. ERROR_CORRUPT where a record
 * is damaged. */
bool ledger_history(struct store_txn *txn, uint64_t customer, struct arena *arena,
                    struct event **events, size_t *count, struct error *err);

/* The keyed digest of an id: under it the customer's number is found. */
void ledger_customer_digest(const unsigned char secret[32], struct slice id,
                            unsigned char digest[16]);
/* The number of a customer: 0 where unknown. With `create` a new one is given. */
uint64_t ledger_customer_number(struct store_txn *txn, const unsigned char secret[32],
                                struct slice id, bool create);
/* The id of a customer's number; empty where unknown. Borrows from the transaction. */
struct slice ledger_customer_id(struct store_txn *txn, uint64_t customer);

/* Counts a customer anew in every experiment (see above). */
bool ledger_customer(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                     const struct catalog *catalog, struct error *err);

/* One batch: the events of all who write in one transaction, in any order, of any customers. They
 * are appended and counted in the order of keys, each customer once. */
struct ledger_batch;
struct ledger_batch *ledger_batch_new(void);
void ledger_batch_free(struct ledger_batch **batch);
/* The events, and duplicates[count], must live until the batch is written. */
void ledger_batch_add(struct ledger_batch *batch, const struct event *events, size_t count,
                      bool *duplicates);
/* Sets the duplicates of those that were there already, or earlier in the batch. */
bool ledger_batch_write(struct ledger_batch *batch, struct store_txn *txn,
                        struct tally_set *tallies, const unsigned char secret[32],
                        const struct catalog *catalog, struct error *err);
/* Calls visit with every event of a batch that was written and no duplicate. */
void ledger_batch_each_fresh(const struct ledger_batch *batch,
                             void (*visit)(void *data, const struct event *event), void *data);

/* One phase of an experiment as it was at a moment. */
struct ledger_then {
    const struct catalog *catalog; /* the definitions of then */
    const struct experiment *experiment;
    int phase;
    int64_t cut;               /* ms: the events that were received until then */
    struct tally_set *tallies; /* to which is added */
    uint64_t events;           /* out: of all customers, those until then */
    uint64_t sealed;           /* out: units that were taken as they stand, as they are final */
};
/* Counts several moments of the same phase from history in one walk over all customers. `present`
 * has the definitions of now, by which sealed units are stored. */
bool ledger_count_then(struct store_txn *txn, const struct catalog *present,
                       struct ledger_then *list, size_t count,
                       void (*progress)(void *data, double done), void *data, struct error *err);

/* The first customer number from `from` on, or 0: for walks over all customers. */
uint64_t ledger_next_customer(struct store_txn *txn, uint64_t from);
/* The highest number that was ever given, or 0. A number is not given again after its customer was
 * erased, so that nothing left over from one can be taken for another's. */
uint64_t ledger_last_customer(struct store_txn *txn);
/* How many customers there are. */
uint64_t ledger_customer_count(struct store_txn *txn);

/* All units of a customer as they are counted in the tallies, in the arena; none while the customer
 * waits to be counted afresh (recount.h). ERROR_CORRUPT where one is damaged. */
struct ledger_held {
    const struct experiment *experiment; /* lives as long as the catalog */
    uint16_t phase;
    struct unit unit;
};
bool ledger_units(struct store_txn *txn, uint64_t customer, const struct catalog *catalog,
                  struct arena *arena, struct ledger_held **held, size_t *count, struct error *err);

/* A walk over the units of all customers in slices, each with a read transaction of its own. Of a
 * customer with more than LEDGER_WALK_UNITS_MAX units that are wanted the others are passed over.
 */
enum { LEDGER_WALK_UNITS_MAX = 256 };
struct ledger_walk {
    const struct catalog *catalog; /* acquired before the transaction was begun */
    uint64_t from;                 /* the customer to begin at; then where to go on, 0 at the end */
    size_t rows; /* about how many are read; all those of a customer are read in one slice */
    /* Which units are decoded. */
    bool (*wanted)(void *data, uint32_t experiment, uint16_t phase);
    /* Those of one customer, at least one, valid during the call. */
    void (*visit)(void *data, const struct ledger_held *held, size_t count);
    void *data;
};
/* ERROR_BUSY, and nothing visited, while anything is being counted anew (recount.h): units are then
 * not what they will be. ERROR_CORRUPT where one is damaged. */
bool ledger_walk_units(struct store_txn *txn, struct ledger_walk *walk, struct error *err);

/* The variant of the customer's first exposure in the present phase, by index, also where another
 * one followed; -1 where there is none, or where it is not known any more (exposed to two, and the
 * events were dropped). Reads one row, and the history only of who was exposed to two. *err where
 * the store cannot be read. */
int ledger_first_variant(struct store_txn *txn, uint64_t customer,
                         const struct experiment *experiment, struct error *err);

/* Erases a customer: takes their units away from the tallies and deletes all that is stored of
 * them; until the store is compacted it lies in free pages (store_compaction_note). *events counts
 * those deleted. ERROR_NOT_FOUND where nothing is stored. Where it fails the transaction must be
 * given up. */
bool ledger_erase(struct store_txn *txn, struct tally_set *tallies, const unsigned char secret[32],
                  struct slice id, const struct catalog *catalog, uint64_t *events,
                  struct error *err);

/* Seals the customer's units whose time has come and drops events that none of them needs; a
 * customer of whom nothing is left is forgotten. `now` dates the first seal of a phase. *rows grows
 * by the rows that were worked on. For a pass of retention.h. */
struct retention;
bool ledger_retain(struct store_txn *txn, struct tally_set *tallies, const unsigned char secret[32],
                   uint64_t customer, const struct retention *marks, int64_t now,
                   const struct catalog *catalog, size_t *rows, struct error *err);
/* When the first unit of a phase was sealed (ms), or 0. */
int64_t ledger_sealed_since(struct store_txn *txn, uint32_t experiment, uint16_t phase);
/* How many units of all phases are sealed. */
int64_t ledger_sealed_units(struct store_txn *txn, uint32_t experiment, struct error *err);

/* Recounts everything from history and compares with the stored units and tallies. `report` gets
 * one line a difference, `progress` (may be NULL) a share from 0 to 1. *differences counts them. */
bool ledger_check(struct store_txn *txn, const struct catalog *catalog,
                  void (*report)(void *data, const char *line),
                  void (*progress)(void *data, double done), void *data, uint64_t *differences,
                  struct error *err);

/* Counts a customer anew from history, whatever the units are that are stored: they are taken out
 * and not subtracted, but for sealed ones, which are believed. Events that cannot be read are taken
 * out too, and `report` (may be NULL) gets one line each. For a rebuild afresh (recount.h). */
bool ledger_customer_afresh(struct store_txn *txn, struct tally_set *tallies, uint64_t customer,
                            const struct catalog *catalog,
                            void (*report)(void *data, const char *line), void *data,
                            struct error *err);
/* Takes out up to `most` tallies, whatever is in them; whether there are more. */
bool ledger_drop_tallies(struct store_txn *txn, size_t most);

/* Looks at up to `most` rows of `seen` from *from on (empty: the first one) and takes out those
 * from before `now` - LEDGER_SEEN_DAYS. *from is then where to go on, or empty at the end. Returns
 * whether there are more. */
bool ledger_expire_seen(struct store_txn *txn, int64_t now, size_t most, struct store_key *from);

#endif
