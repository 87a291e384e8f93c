/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prerequisites: whether what an experiment needs of others can be had, so that decisions end and
 * an SDK, which knows only values of features, agrees with us. Pure functions, any thread.
 *
 * Met is a prerequisite where the other experiment gives the customer one of the variants named,
 * for whatever reason: by bucket, by override, as the winner, or the control where somebody is not
 * in it. An experiment that is a draft, archived or absent meets none. */
#ifndef UPLIFT_CORE_PREREQUISITE_H
#define UPLIFT_CORE_PREREQUISITE_H

#include "core/catalog.h"
#include "core/error.h"
#include "core/experiment.h"

/* One decision may ask for so many others, those of theirs included, and so deep. */
enum { PREREQUISITE_DECISIONS_MAX = 100, PREREQUISITE_DEPTH_MAX = 10 };

/* Whether the catalog may have `changed` in place of what it has under that key.
 * ERROR_INVALID with the place where its own prerequisites name no experiment, an archived one, a
 * holdout, no variant, or where a variant named has the value of one not named; where they lead
 * back to it, or too far. ERROR_CONFLICT where it would take from another experiment what that one
 * needs of it. */
bool prerequisite_check(const struct catalog *catalog, const struct experiment *changed,
                        struct error *err);
/* The same of cycles and size alone, where those that are named may still be to come. */
bool prerequisite_check_ends(const struct catalog *catalog, const struct experiment *changed,
                             struct error *err);
/* Refuses (ERROR_CONFLICT) to take away an experiment that one that is not archived needs. */
bool prerequisite_check_free(const struct catalog *catalog, const struct experiment *experiment,
                             struct error *err);
/* Whether both values are the same to an SDK. */
bool prerequisite_same_value(const json_t *a, const json_t *b);

#endif
