/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Factorial: what each factor of a multivariate experiment does by itself, and whether factors
 * depend on each other [Yates1937; Box1961 for fractions].
 *
 * A cell is a combination of levels, one a factor, with a mean m_c and the variance V_c of that
 * mean. All figures are linear combinations over the cells, with weights that the design alone
 * decides, never the data:
 *
 *     main effect of a level    L1 - L0: L1 and L0 are the means of the level and of the factor's
 *                               first level, each over equally weighted combinations of the levels
 *                               of all other factors
 *         absolute              d = L1 - L0,          se^2 = sum a_c^2 V_c
 *         relative              d = (L1 - L0)/|L0|,   se^2 = sum (a1_c - r a0_c)^2 V_c / L0^2,
 *                               r = L1/L0   (delta method [Oehlert1992])
 *     interaction of f and g    C: all differences of differences (l, k) against the first levels,
 *                               Wald [Wald1943]: C' S^-1 C, S_ij = sum a_ic a_jc V_c, chi-squared
 * with (levels_f - 1)(levels_g - 1) degrees of freedom; absolute
 *
 * L1/L0 - 1 is the relative effect where L0 is positive; a negative L0 keeps its direction, as in
 * stats/effect.h. In a full factorial L1 and L0 share no cell and the relative se^2 is
 * Var L1/L0^2 + L1^2 Var L0/L0^4; where they share cells, in a fraction, the same sum counts their
 * covariance.
 *
 * The weights are those of least squares on the cells' means with each cell counted once, in the
 * model of main effects and two-way interactions. In a full factorial that gives the plain averages
 * above, whatever interactions of more factors there are. In a fraction an interaction belongs to
 * the model where the cells tell it from all main effects and all other two-way interactions; else
 * it is not identified, has no figures, and main effects are read as if there were none of it
 * (resolution III and IV designs; no fraction can do more). Main effects that the cells cannot tell
 * from those of other factors are not identified either.
 *
 * How: levels are coded as e_l - 1/L, so a model is a kernel over cells,
 * K(c, d) = 1 + sum_f s_f + sum_{f<g in the model} s_f s_g, s_f = [same level of f] - 1/L_f. A
 * linear function with values k_c at the cells and squared norm |k|^2 is identified where it lies
 * in the span of the cells, |k|^2 = k' K^+ k, and has the least squares weights K^+ k. Cells and
 * not coefficients bound the size. K^+ by the eigenvalues of K (GSL); those below 1e-10 of the
 * largest count as 0.
 *
 * Cells are drawn to their centre as segments are (stats/segment.h), since the best of several
 * means is flattered by luck.
 *
 * Means and variances are on any scale: only their sizes relative to each other count. Nothing is
 * kept between calls; thread-safe. Tags: stats/REFERENCES.md. */
#ifndef UPLIFT_STATS_FACTORIAL_H
#define UPLIFT_STATS_FACTORIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/effect.h"
#include "stats/segment.h"

enum { FACTORIAL_FACTORS_MAX = 32, FACTORIAL_CELLS_MAX = 256 };

/* A design and its weights. The caller owns all arrays; factorial_weigh fills the last three. */
struct factorial {
    size_t factors, cells; /* 1 to FACTORIAL_FACTORS_MAX, 1 to FACTORIAL_CELLS_MAX */
    const size_t *levels;  /* [factor]: how many there are, at least 1 */
    const size_t *at;      /* [cell * factors + factor]: the cell's level, from 0 */
    double *weights;       /* [row * cells + cell], factorial_rows() rows */
    bool *identified;      /* [row] */
    size_t *pairs;         /* [f * factors + g], f < g: first row of the interaction; 0: none */
};

/* Rows of `weights`: for each factor its first level's mean and the others' main effects, then the
 * differences of differences of all identified interactions. */
size_t factorial_rows(const struct factorial *design);
/* Fills weights, identified and pairs; false where memory is out. Below 1 s for the largest design,
 * some ms for 64 cells. */
bool factorial_weigh(struct factorial *design);

enum factorial_problem {
    FACTORIAL_FINE,
    FACTORIAL_NOT_IDENTIFIED,
    FACTORIAL_CELL,           /* a cell that is needed has no estimate: `cell` */
    FACTORIAL_REFERENCE_ZERO, /* L0 is 0 within 1e-12 of its terms: nothing to be relative to */
    FACTORIAL_OUT_OF_RANGE,   /* a figure too large or too small, or no memory for it */
};

struct factorial_effect {
    enum factorial_problem problem; /* all below is 0 unless FACTORIAL_FINE, but for `cell` */
    size_t cell;                    /* the first at fault where FACTORIAL_CELL */
    struct effect effect; /* estimate, se > 0, df (Welch-Satterthwaite over the cells, unscaled),
                             units of the cells that weigh, base = |L0|, ratio where relative;
                             the rest is 0 */
};

struct factorial_test {
    enum factorial_problem problem;
    size_t cell;
    double statistic, df, p_value; /* a statistic past the largest double is that double */
};

/* Main effect of level 1 <= level < levels[factor]. cells[c]: mean and variance of the mean. */
struct factorial_effect factorial_main(const struct factorial *design,
                                       const struct effect_mean *cells, size_t factor, size_t level,
                                       enum effect_scale scale);
/* One difference of differences, absolute: (m_lk - m_0k) - (m_l0 - m_00) averaged over the other
 * factors; f < g, l and k from 1. base is 0. */
struct factorial_effect factorial_difference(const struct factorial *design,
                                             const struct effect_mean *cells, size_t f, size_t g,
                                             size_t l, size_t k);
/* The Wald test of the interaction of f < g. A factor with one level has none: not identified.
 * Allocates and frees. */
struct factorial_test factorial_interaction(const struct factorial *design,
                                            const struct effect_mean *cells, size_t f, size_t g);

/* The cells that have an estimate, drawn to their centre: shrunk[c], se 0 where a cell has none.
 * Returns the best, by the lowest where `decrease`; `count` where there is none: fewer than two
 * cells with an estimate, or no more spread between them than chance makes (all are then drawn to
 * one value). `room` has `count` items and is overwritten. */
size_t factorial_best(const struct effect_mean *cells, size_t count, bool decrease,
                      struct segment_effect *room, struct segment_effect *shrunk);

#endif
