/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Events as other tools send them, in our shape (model.md), so that a pipeline that exists need not
 * be rewritten:
 *
 *   messageId → id          userId, targetingKey, anonymousId → customer (the first that is there)
 *   timestamp → at, corrected by the sender's clock where the body says when it was sent
 *   {"type": "track", "event": "Experiment Viewed", "properties": {"experiment_id",
 *   "variation_id"}} → exposure; any other track → outcome of that name, whose value is
 *   properties.value, else properties.revenue, else 1
 *
 * What else a track message carries is ignored; on our own shapes an unknown field stays an error.
 */
#ifndef UPLIFT_CORE_EVENT_ALIAS_H
#define UPLIFT_CORE_EVENT_ALIAS_H

#include <jansson.h>
#include <stdint.h>

/* The event in our shape: a new object, or one more reference to `event` where nothing is to be
 * mapped. `skew`: ms to be added to `timestamp` (our clock minus the sender's); 0 where unknown.
 * What is wrong with it is left for event_parse to say. */
json_t *event_unalias(json_t *event, int64_t skew);

#endif
