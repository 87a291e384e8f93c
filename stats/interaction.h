/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interaction: does what one experiment does depend on the variant of another one?
 *
 * Of the customers in both, four cells for each pair of variants (l of the first, k of the second,
 * 0 their controls) [Yates1937]:
 *
 *     d = (m_lk - m_0k) - (m_l0 - m_00),   se^2 = sum of v/n of the four cells,   absolute
 *
 * tested by the asymptotic confidence sequence of stats/sequential.h over the units of all four
 * [WaudbySmith2024]: right at every look, however often it is looked at. It is tightest at
 * INTERACTION_TUNING units: a difference of differences needs four times what a difference does.
 *
 * Strata k (stretches of time in which both experiments kept their weights) have the weights w_k =
 * n_k / sum of n in all cells alike [Miratrix2013]: else, where both change their weights, what
 * changes with time would look like an interaction. One with fewer than 2 units in a cell is put
 * to the one before it.
 *
 * Nothing is said below INTERACTION_UNITS_MIN units in a cell, nor, where units are of categories
 * (binary, nps, csat), below INTERACTION_RARE_MIN units in the four cells together of the rarer
 * one: the sequence is asymptotic, and simulated with these (tests/sim/s_interaction).
 *
 * Pure but for the strata that it merges, thread-safe. Tags: stats/REFERENCES.md. */
#ifndef UPLIFT_STATS_INTERACTION_H
#define UPLIFT_STATS_INTERACTION_H

#include <stddef.h>

#include "stats/moments.h"

enum {
    INTERACTION_UNITS_MIN = 100,
    INTERACTION_RARE_MIN = 50,
    INTERACTION_TUNING = 20000,
    INTERACTION_STRATA_MAX = 64,
};

/* One stratum; all of one kind, without a covariate. cell[2 i + j]: i 0 the control and 1 the
 * variant of the first experiment, j of the second. */
struct interaction_cells {
    struct moments cell[4];
};

enum interaction_problem {
    INTERACTION_FINE,
    INTERACTION_FEW_UNITS, /* in a cell */
    INTERACTION_FEW_EVENTS,
    INTERACTION_NO_ESTIMATE, /* a cell has no variance, or no denominator */
};

struct interaction {
    enum interaction_problem problem; /* all below `fewest` is 0 unless INTERACTION_FINE */
    double fewest;                    /* units in the smallest cell */
    double estimate, se, units;
    double effects[2]; /* of the first's variant: with the second's control, with its variant */
    double low, high;  /* the range at 1 - alpha, two-sided */
    double p_value;
};

/* 1 <= count <= INTERACTION_STRATA_MAX; `strata` is overwritten. 0 < alpha < 1. */
struct interaction interaction_of(struct interaction_cells *strata, size_t count, double alpha);

/* A problem in words, as "a combination of variants has too few customers"; static. */
const char *interaction_problem_words(enum interaction_problem problem);

#endif
