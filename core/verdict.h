/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verdicts: what each comparison says, and what stays true from look to look.
 *
 * The running state of a phase is JSON: per metric a mark of how it is counted and tested, per
 * comparison the smallest p-value, the intersection of all intervals and since when the verdict
 * holds. Where the mark differs from the present one the state is not carried on. The p-values and
 * intervals of the methods sequential and exact stay valid under minimum and intersection; of the
 * method fixed only the date of the verdict is kept.
 *
 * An intersection that becomes empty means that the effect changed over time: the interval of this
 * look is shown, `drift` says since when, and the intersection begins anew with it.
 *
 * Pure functions over the JSON of results; any thread. */
#ifndef UPLIFT_CORE_VERDICT_H
#define UPLIFT_CORE_VERDICT_H

#include <jansson.h>
#include <stdint.h>

#include "core/experiment.h"

/* Carries the state (may be NULL: the first look) into the metrics of results, whose comparisons
 * get p_value, p_adjusted, significant, interval and non_inferior of all looks together, `verdict`,
 * `clear_since` and, after an empty intersection, `drift`. Each metric has key, role, goal, alpha,
 * method, limit and `mark`. `at` (ms) and `day` are those of this look. */
void verdict_carry(json_t *metrics, const json_t *state, enum design_correction correction,
                   int64_t at, int64_t day);

/* The state to be kept with this look: of metrics that verdict_carry has been through. New
 * reference. */
json_t *verdict_state(const json_t *metrics);

/* "better", "worse", "unclear"; for a guardrail "within-limit", "over-limit", "not-yet-known". */
const char *verdict_word(const json_t *metric, const json_t *comparison);

#endif
