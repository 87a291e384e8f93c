/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The design of an experiment: how its figures are computed and when it may be decided. Part of the
 * definition (experiment.h), in whose arena it lives; immutable once read.
 *
 * Defaults: method sequential, alpha 0.05, sides two, effect relative (absolute for exact), tuning
 * 5000, mixture_variance 0.0001, a flat prior, correction holm, power 0.8, min_days 7.
 *
 *   sequential, msprt, exact   valid at every look
 *   scheduled   looks on the days of `looks` (each day from min_days on, where not given) until
 *               `horizon` customers are exposed, which it needs; then a confidence sequence
 *               (stats/scheduled.h). Its form over known looks, group-sequential, is for studies
 *               alone: here it is refused, with scheduled named in its place.
 *   fixed       valid at one look that was fixed beforehand
 *   bayesian    a posterior; says nothing of how often it errs under peeking */
#ifndef UPLIFT_CORE_DESIGN_H
#define UPLIFT_CORE_DESIGN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/json.h"

enum { DESIGN_DAYS_MOST = 3650, DESIGN_LOOKS_MOST = 500 };

enum design_method {
    METHOD_SEQUENTIAL,
    METHOD_FIXED,
    METHOD_EXACT,
    METHOD_MSPRT,
    METHOD_BAYESIAN,
    METHOD_SCHEDULED
};
enum design_sides { SIDES_TWO, SIDES_GREATER, SIDES_LESS };
enum design_effect { EFFECT_RELATIVE, EFFECT_ABSOLUTE };
enum design_correction { CORRECTION_NONE, CORRECTION_HOLM, CORRECTION_BH, CORRECTION_EBH };

struct design {
    enum design_method method;
    double alpha; /* (0, 1) */
    enum design_sides sides;
    enum design_effect effect;
    double tuning;           /* customers at which a sequential interval is tightest, at least 1 */
    double mixture_variance; /* msprt: in squared units of the effect, above 0 */
    bool prior_proper;       /* bayesian: on the relative effect; else flat */
    double prior_mean, prior_sd;
    enum design_correction correction;
    double power;     /* (0, 1) */
    int min_days;     /* 0 or more */
    int planned_days; /* 0: not given */
    int *looks;       /* scheduled: days after which a decision may be taken, rising; NULL: daily */
    size_t look_count;
    int64_t horizon; /* scheduled: customers planned, all variants together; else 0 */
    bool best_arm;   /* report the chance of each variant to be the best */
};

/* Reads `object` (NULL: all defaults) at `place`; looks go into the arena. */
bool design_read(json_t *object, const struct json_place *place, struct arena *arena,
                 struct design *out, struct error *err);
/* The design for the API, defaults filled in. New reference. */
json_t *design_json(const struct design *design);

/* Whether what it has shown once stays right at all later looks, so that verdicts are kept. */
bool design_is_anytime(const struct design *design);
/* The last day of the schedule's looks that has passed after `days` whole days, or 0. */
int design_look_day(const struct design *design, int64_t days);
/* The first day of the schedule's looks after `day`, or 0 where there is none. */
int design_next_look_day(const struct design *design, int64_t day);

/* Words as the study and the API write them; static. */
const char *design_method_word(enum design_method method);
const char *design_sides_word(enum design_sides sides);
const char *design_effect_word(enum design_effect effect);
const char *design_correction_word(enum design_correction correction);

#endif
