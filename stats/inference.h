/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inference: what every method answers about one effect, in one shape.
 *
 * A figure that a method does not have is not set, and says so by its flag; no field ever holds NaN
 * or infinity. Plain values, no ownership. */
#ifndef UPLIFT_STATS_INFERENCE_H
#define UPLIFT_STATS_INFERENCE_H

#include <stdbool.h>

/* Which alternative is tested: effect != 0, effect > 0, effect < 0. */
enum sides { SIDES_TWO, SIDES_GREATER, SIDES_LESS };

struct interval {
    double low, high;
    bool low_open, high_open; /* that end is not bounded, its figure is 0 */
};

struct inference {
    struct interval interval;
    double p_value; /* 0 to 1 */
    bool has_p_value;
    /* Evidence against the null: the largest double where it would be more. log_e_value is its
     * logarithm and never cut. */
    double e_value, log_e_value;
    bool has_e_value;
};

/* exp(log_e), at most the largest double. */
double inference_e_value(double log_e);
/* min(1, exp(-log_e)): the p-value of an e-value. */
double inference_p_of_e(double log_e);
/* estimate -+ half (>= 0, may be infinite), ends cut to the range of a double, with the end open
 * that a one-sided test leaves open. */
struct interval inference_interval(double estimate, double half, enum sides sides);

#endif
