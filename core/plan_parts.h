/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plan, private: what a plan is once it is read, for plan*.c only. plan_read.c makes it from JSON,
 * plan.c computes and writes it, plan_simulate.c runs it. Everything lives in the study's arena. */
#ifndef UPLIFT_CORE_PLAN_PARTS_H
#define UPLIFT_CORE_PLAN_PARTS_H

#include "core/json.h"
#include "core/plan.h"
#include "core/study_parts.h"
#include "stats/power.h"
#include "stats/simulate.h"

/* How a method is planned, judged and told. */
struct plan_method {
    power_needed *needed; /* NULL: it cannot be planned */
    simulate_judge *judge;
    bool one_sided;  /* has one-sided tests */
    bool counts;     /* needs categories and an absolute effect */
    bool boundaries; /* looks at the times of spending, which must be given */
    bool evenly;     /* or at `looks` even ones, with the spending of stats/scheduled.h */
    bool once;       /* valid at one look: judged at every look to show the harm, and at the last */
    double work;     /* of one look, in those of the others */
    const char *computed, *assumption, *source;
};

/* What is asked to be simulated. */
struct plan_simulate {
    bool asked;
    int64_t runs, looks, seed, customers; /* customers 0: the plan's */
    bool has_truth;
    double truth;
};

struct plan {
    struct study study; /* for its arena and its reader of spending */
    const struct plan_method *method;
    int kind;     /* enum moments_kind as given: a ratio is planned as a mean */
    double alpha; /* before it is shared; design.alpha is that of one comparison */
    int64_t comparisons;
    double spent_alpha; /* what the boundaries spend of design.alpha */
    struct power_design design;
    struct population control;
    double min_effect, customers_per_day; /* 0: not given */
    double *critical, *up, *down; /* group-sequential: of each look; crossing under min_effect */
    struct plan_simulate simulate;
    bool planned; /* per_arm and total are set */
    double *per_arm, total;
};

/* Fills a zeroed *plan. False with *err; the caller releases plan->study.arena either way. */
bool plan_read(json_t *input, struct plan *plan, struct error *err);
/* Refuses an effect that `member` of `place` gives and that the baseline leaves no room for. */
bool plan_check_effect(const struct plan *plan, double effect, const struct json_place *place,
                       const char *member, struct error *err);
/* Whether it may be simulated, and then the simulation, a new reference; NULL with *err. */
json_t *plan_simulation(struct plan *plan, const struct plan_options *options, struct error *err);

/* The table of methods (plan.c), by enum study_method. */
const struct plan_method *plan_method_of(int method);

#endif
