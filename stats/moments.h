/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moments: the sufficient statistics of one arm, for every kind of metric.
 *
 * One arm is a count and the centred first and second moments of a pair (y, x) of each unit:
 *
 *     kind     y                          x                    variances divide by
 *     binary   1 converted, 0 not         covariate 1 or 0     n
 *     mean     the value                  covariate            n - 1
 *     ratio    numerator                  denominator          n - 1
 *     nps      100, 0 or -100             unused               n - 1
 *     csat     1 for a score of 4 or 5    the score, 1 to 5    n
 *
 * Centred sums (yy = sum of (y - mean)^2) are taken from raw sums once, with a product difference
 * that does not cancel; from then on arms are added and merged without ever forming a raw sum of
 * squares again. So a variance is that of the sums as given to 1e-6 even where values lie near
 * 1e6 with a standard deviation of 1, up to 1e9 units.
 *
 * A value struct: copied freely, owns nothing, all functions are pure and thread-safe.
 * Sources: [Chan1983] for merging, [Jeannerod2013] for the product difference, [Oehlert1992] and
 * [Deng2018] for the variance of a ratio. Tags are resolved in stats/REFERENCES.md. */
#ifndef UPLIFT_STATS_MOMENTS_H
#define UPLIFT_STATS_MOMENTS_H

#include <stdbool.h>

enum moments_kind { MOMENTS_BINARY, MOMENTS_MEAN, MOMENTS_RATIO, MOMENTS_NPS, MOMENTS_CSAT };

enum { MOMENTS_CATEGORIES_MAX = 3 };

struct moments {
    enum moments_kind kind;
    bool covariate;     /* x is a pre-experiment covariate: binary and mean only */
    long double n;      /* units, integral, >= 0 */
    long double y, x;   /* means; 0 where n is 0 */
    long double yy, xx; /* centred sums of squares; negative where the given sums contradict */
    long double xy;     /* centred sum of products */
    /* Units by category, best first: converted, rest | promoters, passives, detractors | top two,
     * rest. All 0 for mean and ratio. */
    double counts[MOMENTS_CATEGORIES_MAX];
};

/* Raw sums over the units of an arm, as doubles. `other` is the covariate of a binary or mean
 * metric, the denominator of a ratio; `product` is the sum of y times other. A binary arm needs
 * no squares. */
struct moments_sums {
    double n, sum, sum_sq, other, other_sq, product;
};

/* An arm without a unit. */
struct moments moments_empty(enum moments_kind kind, bool covariate);
/* Binary, mean or ratio from raw sums. Sums of an arm with n = 0 are taken as 0. A centred sum of
 * squares within the rounding of its raw sums to doubles (2^-51 of the raw sum) becomes 0, so that
 * equal values show no variance. Complexity and domain: any finite sums; the result is finite. */
struct moments moments_of_sums(enum moments_kind kind, bool covariate,
                               const struct moments_sums *sums);
/* Net promoter score from its counts, each >= 0. */
struct moments moments_of_nps(double promoters, double passives, double detractors);
/* Customer satisfaction from the counts of the scores 1 to 5. */
struct moments moments_of_csat(const double scores[5]);

/* Adds one unit [Welford1962]. For nps, y is 100, 0 or -100; for csat x is the score and y is
 * taken from it; for kinds without an x, x is 0. */
void moments_add(struct moments *arm, double y, double x);
/* The arm of all units of a and b, which are of one kind [Chan1983, eq. 2.1]. */
struct moments moments_merge(const struct moments *a, const struct moments *b);
/* The arm of the units of `whole` that are not in `part`: the inverse of merging. Exact for the
 * count; the rest loses the digits that the two have in common. */
struct moments moments_subtract(const struct moments *whole, const struct moments *part);

/* The metric's mean of one arm: y, 100 (promoters - detractors) / n, or for a ratio sum / den_sum.
 * False, *mean untouched, at n = 0 or a zero denominator. */
bool moments_mean(const struct moments *arm, long double *mean);
/* The variance of one unit (not of the mean):
 *     binary, csat  m (1 - m)
 *     mean, nps     yy / (n - 1)
 *     ratio         (vN - 2 R c + R^2 vD) / D^2, with R = N / D   (delta method)
 * The last equals vN/D^2 + vD N^2/D^4 - 2 c N/D^3. May be negative where sums contradict; a ratio
 * variance within 1e-14 of its terms is 0. False at n = 0, at n < 2 where n - 1 divides, and at a
 * zero denominator. */
bool moments_variance(const struct moments *arm, long double *variance);
/* The covariate's variance and its covariance with y, of one unit, divided as the kind says.
 * False where moments_variance is false. */
bool moments_covariate(const struct moments *arm, long double *variance, long double *covariance);

/* The number of categories of a binary (2), nps (3) or csat (2) arm, best first; 0 for others. */
int moments_categories(enum moments_kind kind);

#endif
