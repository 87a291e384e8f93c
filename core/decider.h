/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All decisions for one customer of an open application, by the definitions of one moment.
 *
 *     struct decider decider;
 *     bool ok = decider_begin(&decider, uplift, id, attributes, false, err);
 *     … experiment = catalog_experiment(decider.catalog, key) …
 *     … is = assign_decide(&decider.customer, experiment, NULL) …
 *     ok = decider_end(&decider, err) && ok;
 *
 * No disk on the way, but for one row where somebody refused consent, and one for each sticky
 * experiment. Each request has its own; it is not to be moved between begin and end. */
#ifndef UPLIFT_CORE_DECIDER_H
#define UPLIFT_CORE_DECIDER_H

#include "core/assign.h"
#include "core/catalog.h"
#include "core/consent.h"
#include "core/store.h"

struct uplift;

struct decider {
    struct catalog *catalog;         /* held until the end: what is decided by */
    struct assign_customer customer; /* what assign_decide takes */
    /* Private. */
    struct uplift *uplift;
    struct consent consent;
    struct store_txn *txn; /* once something was to be read */
    uint64_t number;       /* of the customer, 0: unknown */
    struct error failed;
};

/* `id` is the customer's as it came, valid UTF-8; `attributes` an object or NULL; both are
 * borrowed. `explain`: consent is found even where it cannot decide, to be shown. Call decider_end
 * whatever it returns. */
bool decider_begin(struct decider *decider, struct uplift *uplift, struct slice id,
                   const json_t *attributes, bool explain, struct error *err);
/* False with *err where the store could not be read: what was decided is not to be used. */
bool decider_end(struct decider *decider, struct error *err);

#endif
