/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What GrowthBook's SDKs send: questions of remote evaluation, and events of their tracking plugin
 * (payload.h has what they read). Any thread. */
#ifndef UPLIFT_CORE_GROWTHBOOK_H
#define UPLIFT_CORE_GROWTHBOOK_H

#include <jansson.h>

#include "core/catalog.h"
#include "core/error.h"

struct uplift;

/* Answers {"attributes", "forcedVariations", "forcedFeatures", "url"}: a payload in which each
 * feature has what this customer gets and nothing of why, and with each variant that counts as
 * exposed the `tracks` by which the SDK tells of it when it shows it. The customer is the attribute
 * "id", text or a number as JavaScript writes it; without one nobody is in an experiment. Members
 * that are not known are left alone, as new SDKs may send more. New reference, or NULL with *err.
 */
json_t *growthbook_evaluate(struct uplift *uplift, json_t *question, struct error *err);

/* Events of POST /track (an array, or one alone) as model.md has them, in their order: "Experiment
 * Viewed" is an exposure of the customer `hashValue`; "Feature Evaluated" is left out; any other
 * name is an outcome with the property `value`, or else `revenue`, where that is a number.
 *
 * They have neither time nor id: they happen when they arrive, an exposure with the outcomes that
 * came with it. An exposure is given an id by which the same customer, experiment, phase and
 * variant is a duplicate for as long as ids without a time are known. An outcome gets one made of
 * `prefix`, which no other body may have, and its place: two equal purchases are two.
 *
 * An outcome's customer is the `hashValue` of an exposure in the same body with the same device_id
 * and user_id, or else device_id, which SDKs set from the attributes device_id, anonymous_id or id,
 * or else user_id. *places gets the place of each in `body`. New references; NULL with *err where
 * the body is neither an array nor an object. */
json_t *growthbook_events(const struct catalog *catalog, json_t *body, const char *prefix,
                          json_t **places, struct error *err);

#endif
