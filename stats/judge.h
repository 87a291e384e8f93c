/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Judge: what each method claims at one look of a simulated experiment (stats/simulate.h), by the
 * rules with which a study is analysed:
 *
 *     sequential, msprt, exact, fixed   p-value at most alpha
 *     group-sequential                  the statistic at or past the boundary of that look
 *     bayesian                          the credible interval of a flat prior excludes 0
 *
 * The running smallest p-value of earlier looks is at most alpha just where one of them was, and
 * a simulation ends at the first claim: so one look is enough. fixed and bayesian are judged at
 * each look as if it were the only one, which is what peeking does to them; a design of one look
 * is their proper use. A look without an estimate (stats/effect.h) claims nothing. */
#ifndef UPLIFT_STATS_JUDGE_H
#define UPLIFT_STATS_JUDGE_H

#include "stats/effect.h"
#include "stats/inference.h"
#include "stats/simulate.h"

struct judge {
    enum effect_scale scale; /* absolute for exact */
    bool fieller;            /* a relative effect is tested as the absolute one: stats/fieller.h */
    enum sides sides;        /* two for msprt, exact and bayesian */
    double alpha;
    double tuning;           /* sequential */
    double mixture_variance; /* msprt */
    const double *critical;  /* group-sequential: of each look; borrowed */
};

/* `method` is a struct judge; they keep no memory between looks. Thread-safe. */
simulate_judge judge_sequential, judge_msprt, judge_exact, judge_fixed, judge_group, judge_bayesian;

#endif
