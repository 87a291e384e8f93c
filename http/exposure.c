/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exposures, as events say them. */
#include "http/exposure.h"

#include "core/event.h"

json_t *exposure_event(const struct experiment *experiment, const char *customer, int variant,
                       json_t *attributes)
{
    json_t *fitting = event_attributes(attributes, experiment->segments, experiment->segment_count);
    return json_pack("{s:s, s:s, s:s, s:s, s:o*}", "type", "exposure", "customer", customer,
                     "experiment", experiment->key, "variant", experiment->variants[variant].key,
                     "attributes", fitting);
}
