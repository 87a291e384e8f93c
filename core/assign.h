/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Assignment: one decision, its reason, and on demand the trace of every step.
 *
 * Pure but for `held`: the same experiment, customer and attributes give the same answer for ever;
 * no clock, no allocation unless the audience or a trace needs one. Any thread. Who decides for an
 * open application begins with decider.h.
 *
 * Steps, in the order in which an SDK takes them: state · consent · override · prerequisites ·
 * layer · sticky · audience · traffic and bucket. Who does not consent to running experiments gets
 * the control. Draft and archived experiments decide nothing. Paused: everyone gets the control,
 * overrides or not. Stopped: everyone in the audience who has the prerequisites gets the winner's
 * value, else the control's. Who does not have them gets the control (prerequisite.h tells what
 * meets them). Who then is in, or gets a winner, and is held out by a holdout (holdout.h), gets the
 * control. Holdouts decide too, but asking exposes nobody to them: nobody is in them.
 *
 * Sticky experiments: who was exposed already keeps the variant of the first exposure, whatever
 * became of weights, traffic, and whether the audience still has them; a variant that no bucket
 * leads to any more too. */
#ifndef UPLIFT_CORE_ASSIGN_H
#define UPLIFT_CORE_ASSIGN_H

#include <jansson.h>
#include <stdbool.h>

#include "core/catalog.h"
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
    /* An exposure is to be recorded when it is shown: who is in, and who would be but for a
     * holdout, for which it then is. */
    bool exposes;
    double bucket;                    /* 0 to 0.9999, or -1 where none was computed */
    const struct experiment *holdout; /* that holds the customer out; lives as the catalog does */
};

/* Whom to decide for. All of it is borrowed. */
struct assign_customer {
    struct slice id;               /* valid UTF-8; empty: unknown, in no layer and no experiment */
    const json_t *attributes;      /* an object, or NULL */
    const struct consent *consent; /* NULL: not asked for, as consent_matters allows: given */
    const struct catalog *catalog; /* the experiments that others are looked up in; NULL: none */
    /* The index of the variant that the customer holds in a sticky experiment, or -1. Asked of no
     * others. NULL: nobody holds one. */
    int (*held)(void *data, const struct experiment *experiment);
    void *data;
    /* The index of the variant that who asks wants to see without being in the experiment, or -1.
     * Asked where no override, prerequisite, layer or holdout decides. NULL: nobody asks. */
    int (*forced)(const void *asked, const struct experiment *experiment);
    const void *asked;
};

/* "assigned", …; static. */
const char *assign_reason_word(enum assign_reason reason);

/* Decides. The customer is visible to conditions as "id", whatever the attributes say. `trace`,
 * when not NULL, is an array to which each step taken is appended as {step, passed, …what was
 * compared}. */
struct assignment assign_decide(const struct assign_customer *customer,
                                const struct experiment *experiment, json_t *trace);

/* Whether the decision looks at who the customer is: without an id there is none to be had. */
bool assign_needs_customer(const struct experiment *experiment);

/* Appends {"experiment", "variant", "value", "reason", "bucket", "in_experiment"} as JSON, and of
 * who is held out "holdout" (its key) and "exposes". */
void assign_write(const struct experiment *experiment, struct assignment assignment,
                  struct text *out);
/* The same, read. New reference. */
json_t *assign_json(const struct experiment *experiment, struct assignment assignment);

#endif
