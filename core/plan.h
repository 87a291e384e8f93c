/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plan: how many customers an experiment needs, and what its design does when it is run; JSON in,
 * JSON out, for `uplift plan`, `uplift simulate` and the server. Formulas: stats/power.h,
 * stats/group.h, stats/simulate.h.
 *
 * Input, all optional but kind, baseline and min_effect:
 *   method, alpha, sides, effect, tuning, mixture_variance, spending: as in a study (core/study.h),
 *                     with its defaults; alpha is below 0.5. group-sequential needs spending, whose
 *                     look is read and not used
 *   relative          delta (scheduled: fieller), as in a study: what experiments run that are
 * watched is fieller, which needs more customers to find a decrease and fewer to find an increase
 *   looks             scheduled: how many there are, evenly spaced (28)
 *   correction        none, or bonferroni: alpha is shared equally among `comparisons`, which are
 *                     the treatments unless told (several metrics make more)
 *   power             0.8; from 0.5 to below 1
 *   kind, baseline    binary, csat {rate}; mean, ratio {mean, sd}; nps {promoters, detractors},
 *                     shares from 0 to 1. sd is that of one customer, a ratio's by the delta method
 *   min_effect        the effect to be found, in the units of `effect`, not 0; its sign is the side
 *                     on which it is, which must be the tested one
 *   weights           [1, 1]; the control's first, 2 to 64, above 0
 *   customers_per_day of all arms together
 *   simulate          {runs (2000), looks (30), customers (the plan's), seed, truth (0 and
 *                     min_effect)}; {} for all of these. Looks of group-sequential are those of its
 *                     spending, of scheduled its own.
 *
 * Answer:
 *   per_arm, total    whole customers; null, with `error`, where nothing can be planned
 *   days              null without customers_per_day
 *   detectable_effect_after_days  [[day, effect], ...]: what the design finds with the power, were
 *                     it planned to end on that day; effect is null where it finds none
 *   expected_total    group-sequential, scheduled: {none, effect}, the mean number of customers at
 * which one comparison ends, without an effect and with min_effect method_text       {computed,
 * assumption, source} simulation        {seed, runs, looks, customers, results}, where asked for; a
 * result for each truth: {truth, judged: every-look | last-look, claimed: {share, range},
 *                     comparisons: [{claimed, wrong_direction, customers: {mean, median},
 *                     estimate: {at_claim, at_end}}]}. `claimed` of the result: in any comparison.
 *                     range: 95 %, Clopper-Pearson. wrong_direction: the share of claims. at_end:
 *                     of all runs, where they ended. fixed and bayesian are judged both ways.
 */
#ifndef UPLIFT_CORE_PLAN_H
#define UPLIFT_CORE_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

/* How much may be simulated: runs x looks x arms, of all results together. A million takes about
 * a second; exact counts for several. */
#define PLAN_WORK_SERVER  1e6
#define PLAN_WORK_COMMAND 1e10

struct plan_options {
    bool simulate;                             /* even where the input does not ask for it */
    double work_most;                          /* more is refused */
    uint32_t seed;                             /* where the input has none; above 0 */
    void (*progress)(void *data, double done); /* told the share now and then; NULL for nobody */
    void *data;
};

/* The answer, a new reference; NULL with *err: ERROR_INVALID and the place. `input` is only read.
 * Thread-safe as long as nobody changes it. */
json_t *plan_answer(json_t *input, const struct plan_options *options, struct error *err);

/* A seed at random, above 0. */
uint32_t plan_seed(void);

#endif
