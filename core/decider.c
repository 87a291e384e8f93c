/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store is opened when the first sticky experiment asks for it. */
#include "core/decider.h"

#include "core/ledger.h"
#include "core/pseudonym.h"
#include "core/uplift.h"

static bool open_store(struct decider *decider)
{
    if (decider->txn || decider->failed.code != ERROR_NONE)
        return decider->txn != NULL;
    struct uplift *uplift = decider->uplift;
    char room[PSEUDONYM_LENGTH + 1];
    decider->txn = store_read(uplift->store, &decider->failed);
    if (decider->txn)
        decider->number = ledger_customer_number(
            decider->txn, uplift->secret,
            pseudonym_of(uplift->pseudonym, decider->customer.id, room), false);
    return decider->txn != NULL;
}

static int held(void *data, const struct experiment *experiment)
{
    struct decider *decider = data;
    if (!open_store(decider) || decider->number == 0)
        return -1;
    return ledger_first_variant(decider->txn, decider->number, experiment, &decider->failed);
}

bool decider_begin(struct decider *decider, struct uplift *uplift, struct slice id,
                   const json_t *attributes, bool explain, struct error *err)
{
    *decider = (struct decider){.uplift = uplift,
                                .catalog = catalog_acquire(&uplift->catalog),
                                .customer = {.id = id, .attributes = attributes, .held = held}};
    decider->customer.catalog = decider->catalog;
    decider->customer.data = decider;
    if (!explain && !consent_matters(uplift))
        return true;
    decider->customer.consent = &decider->consent;
    return consent_find(uplift, id, &decider->consent, err);
}

bool decider_end(struct decider *decider, struct error *err)
{
    if (decider->txn)
        store_healthy(decider->txn, &decider->failed);
    store_abort(&decider->txn);
    catalog_release(&decider->uplift->catalog, decider->catalog);
    decider->catalog = NULL;
    return decider->failed.code == ERROR_NONE ||
           error_set(err, decider->failed.code, decider->failed.place, "%s",
                     decider->failed.message);
}
