/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Assignment: one decision, its reason, and on demand the trace of every step.
 *
 * Pure: the same experiment, customer and attributes give the same answer for ever; no clock, no
 * disk, no allocation unless the audience or a trace needs one. Any thread.
 *
 * Steps, in the order in which an SDK takes them: state · consent · override · layer · audience ·
 * traffic and bucket. Who does not consent to running experiments gets the control. Draft and
 * archived experiments decide nothing. Paused: everyone gets the control, overrides or not.
 * Stopped: everyone in the audience gets the winner's value, else the control's.
 */
#ifndef UPLIFT_CORE_ASSIGN_H
#define UPLIFT_CORE_ASSIGN_H

#include <jansson.h>
#include <stdbool.h>

#include "core/consent.h"
#include "core/experiment.h"

enum assign_reason {
#define REASON(name, word) ASSIGN_##name,
#include "core/assign.def"
#undef REASON
};

struct assignment {
    int variant; /* index; 0 where no variant was chosen; -1 where nothing is decided */
    enum assign_reason reason;
    bool in_experiment; /* counts as exposed when it is shown */
    double bucket;      /* 0 to 0.9999, or -1 where none was computed */
};

/* "assigned", …; static. */
const char *assign_reason_word(enum assign_reason reason);

/* Decides. `customer` is valid UTF-8, `attributes` an object or NULL; the customer is visible to
 * conditions as "id", whatever the attributes say. `consent` NULL: it was not asked for, which
 * consent_matters allows, and is taken as given. `trace`, when not NULL, is an array to which
 * each step taken is appended as {step, passed, …what was compared}. */
struct assignment assign_decide(const struct experiment *experiment, struct slice customer,
                                const json_t *attributes, const struct consent *consent,
                                json_t *trace);

/* Appends {"experiment", "variant", "value", "reason", "bucket", "in_experiment"} as JSON. */
void assign_write(const struct experiment *experiment, struct assignment assignment,
                  struct text *out);
/* The same, read. New reference. */
json_t *assign_json(const struct experiment *experiment, struct assignment assignment);

#endif
