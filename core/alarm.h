/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Alarms: what of a look that is being kept others are to be told (webhook.h). */
#ifndef UPLIFT_CORE_ALARM_H
#define UPLIFT_CORE_ALARM_H

#include <jansson.h>
#include <stdint.h>

#include "core/store.h"

struct uplift;

/* Tells of a decision that differs from `decided` (advice.h; NULL: there was none), and of each
 * guardrail over its limit and each check failing since these results: both are kept with their
 * date, so that later looks do not tell them again. `now`: ms. By the writer, in the transaction
 * that keeps the look. */
void alarm_tell(struct uplift *uplift, struct store_txn *txn, int64_t now, const json_t *results,
                const json_t *decided);

#endif
