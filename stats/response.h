/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Response: does it matter for a survey who answered? Not all who are asked answer, and those who
 * do may be others in one arm than in the other; then their scores differ without any effect.
 *
 * Rates: do groups i answer alike? With a_i of n_i answering, p = sum a / sum n,
 *
 *     X = sum (a_i - n_i p)^2 / (n_i p (1 - p)),  df = groups - 1                 [Pearson1900]
 *
 * (over answered and not answered; groups of nobody are left out; p of 0 or 1: X = 0, all are
 * alike). Over arms it tests their rates. Over the strata of one arm it tests whether those who
 * answered are spread as those exposed are: the first are among the second, so this is answered
 * against not answered by stratum.
 *
 * Composition: do respondents of two arms differ in composition, relative to who was exposed? They
 * do not where the ratio of the arms' rates is one for all strata. With halves added
 * [Pettigrew1986], per stratum k with exposed e and answers a in the arms c and t,
 *
 *     d_k = ln((a_t + 1/2)/(e_t + 1/2)) - ln((a_c + 1/2)/(e_c + 1/2))
 *     s_k^2 = the sum over both arms of 1/(min(a, e - 1/2) + 1/2) - 1/(e + 1/2)
 *     X = Q of segment.h, df = strata - 1                                         [Cochran1954]
 *
 * (the minimum keeps s_k above 0 where all answer). Strata that an arm has nobody in are left out.
 * Conservative where strata have few answers.
 *
 * Post-stratified effect [Miratrix2013]: what the effect would be if in each stratum as many had
 * answered as were exposed, W_k the share of the exposed of both arms that is in stratum k:
 *
 *     D = sum W_k (m_tk - m_ck),  Var D = sum W_k^2 (v_tk/n_tk + v_ck/n_ck)  over answers
 *
 * It is right where those who answer are like those who do not within each stratum. Strata in
 * which an arm has fewer than 2 answers are merged as effect.h merges them.
 *
 * Bounds [Lee2009]: the effect on those who would answer in either arm lies between two trimmed
 * effects, if assignment is random and a variant moves all customers' readiness to answer in one
 * direction. With rates r_hi >= r_lo the share (r_hi - r_lo)/r_hi of the scores of the arm that
 * answers more is taken from the top (for one end) and from the bottom (for the other); K = n_hi
 * r_lo/r_hi are left, counted in fractions. Equal rates: both ends are the naive effect. With the
 * edge s (the score at which the cut falls), M the mean of the K that are left, N asked, by the
 * delta method (Lee's proposition 3, for a score of few values):
 *
 *     Var = (sum c_i (s_i - s)^2 - (sum c_i (s_i - s))^2/N_hi)/K^2   over scores inside the edge
 *         + (M - s)^2 (1/n_lo - 1/N_lo) + v_lo/n_lo
 *
 * At equal rates, or with the cut just between two scores, an end has a kink; limits around both
 * ends together then cover too much, not too little. Scores are those of exact.h: 100, 0, -100 for
 * nps, 1 and 0 for csat.
 *
 * All effects are absolute. Counts are integral, >= 0, up to 2^53. Pure and thread-safe. */
#ifndef UPLIFT_STATS_RESPONSE_H
#define UPLIFT_STATS_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/effect.h"
#include "stats/segment.h"

#define RESPONSE_CONCENTRATION 100.0

struct response_test {
    double statistic, df, p_value; /* df 0: one group at most, statistic 0 and p 1 */
};

/* 0 <= answered <= asked in each of `count` groups. */
struct response_test response_rates(const double *answered, const double *asked, size_t count);
/* The same question at every look: the sequential test of srm.h, of the split of answers against
 * that of who was asked, with concentration RESPONSE_CONCENTRATION: a split moves by some
 * hundredths where rates of a tenth differ by a few, and answers are few. 1 where nobody was asked.
 * A p-value below SRM_ALARM is one to act on. */
double response_sequential(const double *answered, const double *asked, size_t count);

/* One stratum of two arms: how many were exposed, how many of them answered. */
struct response_stratum {
    double control_exposed, control_answered, treatment_exposed, treatment_answered;
};

/* `work` has room for `count`. */
struct response_test response_composition(const struct response_stratum *strata, size_t count,
                                          struct segment_effect *work);

/* The difference of the means of those who answered; EFFECT_CONTROL_EMPTY, EFFECT_TREATMENT_EMPTY
 * where an arm has none. *naive is written only where it is fine. */
enum effect_problem response_naive(const struct effect_pair *answers, double *naive);

struct response_corrected {
    struct effect effect; /* absolute; with its problem where there is none */
    size_t strata;        /* that are left */
    size_t merged;        /* that were taken into another; those without anybody are not counted */
};

/* answers[k] and exposed[k] (of both arms together) of stratum k; count >= 1. Both are changed. */
struct response_corrected response_post_stratify(struct effect_pair *answers, double *exposed,
                                                 size_t count);

struct response_lee {
    enum effect_problem problem; /* EFFECT_CONTROL_EMPTY, EFFECT_TREATMENT_EMPTY: all else is 0 */
    double low, high;            /* low <= high, but for rounding */
    bool has_se;                 /* nps needs 2 answers where fewer answer, and both se are > 0 */
    double low_se, high_se;
    bool trims_treatment; /* else the control, also where the rates are equal */
    double trimmed;       /* the share of its answers, 0 to 1 */
};

/* Arms of nps or csat; asked >= n. */
struct response_lee response_lee(const struct effect_pair *answers, double control_asked,
                                 double treatment_asked);

/* Whether a corrected effect has the sign of the naive one; 0 agrees with everything. */
bool response_agrees(double naive, double corrected);

#endif
