/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event that a decision turns into when it counts as an exposure, whoever asked. */
#ifndef UPLIFT_HTTP_EXPOSURE_H
#define UPLIFT_HTTP_EXPOSURE_H

#include <jansson.h>

#include "core/experiment.h"

/* An exposure of the customer to the variant, for uplift_events_submit. `attributes`: an object, or
 * NULL; where they are longer than an event's may be, only the experiment's segments are kept. New
 * reference, which borrows nothing but the attributes. */
json_t *exposure_event(const struct experiment *experiment, const char *customer, int variant,
                       json_t *attributes);

#endif
