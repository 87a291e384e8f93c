/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How an experiment changes: amending its definition, and its steps through the states.
 *
 * draft → running ⇄ paused → stopped → archived. Each function makes the experiment as it is after
 * the change (one reference, version one on) and leaves the given one alone, or returns NULL with
 * *err: ERROR_INVALID with the place where the input is wrong, ERROR_CONFLICT where the present
 * state does not allow it.
 *
 * What may change: a draft, anything but its key. Running, paused or stopped: name, hypothesis,
 * owner, tags, overrides, segments and secondary metrics; traffic may grow while running or paused,
 * and so may weights change where the experiment is sticky, either of which opens an epoch. It may
 * become sticky, and stays so. Everything else asks for a new phase, evaluation_is_exposure too: it
 * says who counts as exposed, and a phase that counts some when they are evaluated and some when
 * they are shown has two effects in it. Archived: nothing.
 *
 * `now` is the time of the change in ms, and may lie in the past (demo, import), though not before
 * the epoch that it would follow. */
#ifndef UPLIFT_CORE_EXPERIMENT_CHANGE_H
#define UPLIFT_CORE_EXPERIMENT_CHANGE_H

#include <jansson.h>
#include <stdint.h>

#include "core/error.h"
#include "core/experiment.h"

/* PUT: a whole definition. The server's fields are absent or equal the present ones. */
struct experiment *experiment_amend(const struct experiment *experiment, json_t *input, int64_t now,
                                    struct error *err);
/* PATCH: a JSON merge patch (RFC 7396) onto the definition. */
struct experiment *experiment_patch(const struct experiment *experiment, json_t *patch, int64_t now,
                                    struct error *err);

enum experiment_step {
    STEP_START,  /* draft → running; opens the first epoch */
    STEP_PAUSE,  /* running → paused; no holdout */
    STEP_RESUME, /* paused → running */
    STEP_STOP,   /* running or paused → stopped; options {"winner": KEY, "reason": TEXT}: who goes
                  * against the advice says why, and it is kept */
    STEP_ARCHIVE,  /* stopped → archived */
    STEP_NEW_PHASE /* running or paused, stays so; options: a merge patch of the fields that may not
                    * change while running. Fresh seed unless the patch gives one, fresh tallies,
                    * first epoch of the next phase; the old phase stays readable. */
};

/* "start", "pause", "resume", "stop", "archive", "new-phase"; static. */
const char *experiment_step_word(enum experiment_step step);
/* The reverse; false where it is none of them. */
bool experiment_step_parse(struct slice word, enum experiment_step *out);

/* `options` may be NULL or null; unknown fields are refused. */
struct experiment *experiment_step(const struct experiment *experiment, enum experiment_step step,
                                   json_t *options, int64_t now, struct error *err);

/* The same experiment and version with the limits (experiment_limits) that its phase starts with:
 * {metric's key: {"margin", "min_effect"}}. */
struct experiment *experiment_with_limits(const struct experiment *experiment, json_t *limits,
                                          struct error *err);

/* Whether its part of the layer is its own: running or paused. */
bool experiment_holds_layer(const struct experiment *experiment);
/* Whether two running experiments could decide for the same customer against their layers'
 * promise: same layer, ranges that overlap. */
bool experiment_layers_overlap(const struct experiment *a, const struct experiment *b);

/* Whether a change from a to b changes what is counted of the events already there (metrics or
 * segments of a started experiment), so that tallies must be rebuilt. */
bool experiment_counts_differently(const struct experiment *a, const struct experiment *b);

#endif
