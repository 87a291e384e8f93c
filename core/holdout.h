/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Holdouts: a share of all customers that no experiment reaches, and what all experiments together
 * did to the others.
 *
 * A holdout is an experiment with two variants, who is held out and who is not, decided by its own
 * hash. It covers the phases that begin while it runs (of all experiments, or of those that it
 * names by key or tag), and none that began before it: those have met its customers already. Who is
 * held out gets the control of every experiment covered, of a stopped one too, whatever won.
 *
 * Both its variants are exposed at the same moment: when a customer is, or but for the holdout
 * would be, exposed to an experiment that it covers. So an exposure that comes in for one is kept
 * for the holdout as well; of a customer held out, for the holdout alone. Experiments with
 * prerequisites do not count for that, as those prerequisites may be met by one side only;
 * exposures to them of who is held out are refused. With several holdouts they are asked in order
 * of their keys, until one holds. Pure functions, any thread. */
#ifndef UPLIFT_CORE_HOLDOUT_H
#define UPLIFT_CORE_HOLDOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bucket.h"
#include "core/catalog.h"
#include "core/error.h"
#include "core/experiment.h"
#include "core/text.h"

enum { HOLDOUT_HELD = 0, HOLDOUT_OPEN = 1 }; /* the variants of a holdout */

/* The next holdout, in the list of the catalog from *at on, that runs and covers the present phase
 * of the experiment; NULL where there is none left. Begin with *at 0. */
const struct experiment *holdout_next(const struct catalog *catalog,
                                      const struct experiment *experiment, size_t *at);
/* The same of those in force at a time (ms) in the phase of then, which an exposure of that time
 * counts in. */
const struct experiment *holdout_next_then(const struct catalog *catalog,
                                           const struct experiment *experiment, int64_t time,
                                           size_t *at);
/* HOLDOUT_HELD or HOLDOUT_OPEN; `customer` as it came. */
int holdout_variant(const struct experiment *holdout, struct slice customer);
/* Whether exposures to the experiment are exposures to holdouts. */
bool holdout_counts(const struct experiment *experiment);

/* Refuses (ERROR_CONFLICT) to change the tags of a started experiment so that a running holdout
 * would begin or cease to cover it. */
bool holdout_check_kept(const struct catalog *catalog, const struct experiment *before,
                        const struct experiment *after, struct error *err);

#endif
