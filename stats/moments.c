/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moments: centred sums in long double, taken from raw sums without cancellation. */
#include "stats/moments.h"

#include <float.h>
#include <math.h>

/* a b - c d with an error of at most 1.5 ulp of the result, Kahan's way [Jeannerod2013]. */
static long double product_difference(long double a, long double b, long double c, long double d)
{
    long double cd = c * d;
    long double error = fmal(-c, d, cd);
    return fmal(a, b, -cd) + error;
}

/* Whether a product of doubles and what its rounding leaves are both doubles. */
static bool is_exact_range(double product)
{
    return product == 0 || (fabs(product) > 1e-280 && fabs(product) < 1e300);
}

/* The same for doubles: as accurate, and many times faster, since fma is one instruction where
 * fmal is a hundred. */
static long double difference(double a, double b, double c, double d)
{
    double ab = a * b, cd = c * d;
    if (!is_exact_range(ab) || !is_exact_range(cd))
        return product_difference(a, b, c, d);
    long double lost = (long double)fma(a, b, -ab) - fma(c, d, -cd);
    return ((long double)ab - cd) + lost;
}

/* The centred sum of products (sum_ab - sum_a sum_b / n). */
static long double centred(double n, double sum_a, double sum_b, double sum_ab)
{
    return difference(n, sum_ab, sum_a, sum_b) / n;
}

/* Of equal values only the rounding of the raw sums is left: not a variance. Counts are exact. */
static long double centred_square(bool binary, double n, double sum, double sum_sq)
{
    if (binary)
        return (long double)sum * ((long double)n - sum) / n;
    long double square = centred(n, sum, sum, sum_sq);
    return fabsl(square) <= 2 * (long double)DBL_EPSILON * sum_sq ? 0 : square;
}

struct moments moments_empty(enum moments_kind kind, bool covariate)
{
    return (struct moments){.kind = kind, .covariate = covariate};
}

struct moments moments_of_sums(enum moments_kind kind, bool covariate,
                               const struct moments_sums *sums)
{
    struct moments arm = moments_empty(kind, covariate);
    double n = sums->n;
    if (!(n > 0))
        return arm;
    bool binary = kind == MOMENTS_BINARY;
    arm.n = n;
    arm.y = (long double)sums->sum / n;
    arm.yy = centred_square(binary, n, sums->sum, sums->sum_sq);
    if (binary) {
        arm.counts[0] = sums->sum;
        arm.counts[1] = n - sums->sum;
    }
    if (covariate || kind == MOMENTS_RATIO) {
        arm.x = (long double)sums->other / n;
        arm.xx = centred_square(binary, n, sums->other, sums->other_sq);
        arm.xy = centred(n, sums->sum, sums->other, sums->product);
    }
    return arm;
}

struct moments moments_of_nps(double promoters, double passives, double detractors)
{
    struct moments arm = moments_empty(MOMENTS_NPS, false);
    long double answered = (long double)promoters + detractors;
    long double net = (long double)promoters - detractors;
    arm.n = answered + passives;
    if (!(arm.n > 0))
        return arm;
    arm.y = 100 * net / arm.n;
    arm.yy = 1e4L * product_difference(arm.n, answered, net, net) / arm.n;
    arm.counts[0] = promoters;
    arm.counts[1] = passives;
    arm.counts[2] = detractors;
    return arm;
}

struct moments moments_of_csat(const double scores[5])
{
    struct moments arm = moments_empty(MOMENTS_CSAT, false);
    long double n = 0, sum = 0, sum_sq = 0;
    for (int i = 0; i < 5; i++) {
        n += scores[i];
        sum += (long double)(i + 1) * scores[i];
        sum_sq += (long double)((i + 1) * (i + 1)) * scores[i];
    }
    if (!(n > 0))
        return arm;
    long double top = (long double)scores[3] + scores[4];
    long double top_sum = 4.0L * scores[3] + 5.0L * scores[4];
    arm.n = n;
    arm.y = top / n;
    arm.x = sum / n;
    arm.yy = top * (n - top) / n;
    arm.xx = product_difference(n, sum_sq, sum, sum) / n;
    arm.xy = product_difference(n, top_sum, top, sum) / n;
    arm.counts[0] = (double)top;
    arm.counts[1] = (double)(n - top);
    return arm;
}

/* The category of one unit, best first, or -1 where the kind has none. */
static int category_of(enum moments_kind kind, double y)
{
    switch (kind) {
    case MOMENTS_BINARY:
    case MOMENTS_CSAT:
        return y > 0 ? 0 : 1;
    case MOMENTS_NPS:
        return y > 0 ? 0 : y < 0 ? 2 : 1;
    case MOMENTS_MEAN:
    case MOMENTS_RATIO:
        break;
    }
    return -1;
}

void moments_add(struct moments *arm, double y, double x)
{
    if (arm->kind == MOMENTS_CSAT)
        y = x >= 4 ? 1 : 0;
    arm->n += 1;
    long double from_y = y - arm->y, from_x = x - arm->x;
    arm->y += from_y / arm->n;
    arm->x += from_x / arm->n;
    arm->yy += from_y * (y - arm->y);
    arm->xx += from_x * (x - arm->x);
    arm->xy += from_y * (x - arm->x);
    int category = category_of(arm->kind, y);
    if (category >= 0)
        arm->counts[category] += 1;
}

struct moments moments_merge(const struct moments *a, const struct moments *b)
{
    if (!(a->n > 0))
        return *b;
    if (!(b->n > 0))
        return *a;
    struct moments whole = *a;
    long double n = a->n + b->n, share = b->n / n, between = a->n * share;
    long double dy = b->y - a->y, dx = b->x - a->x;
    whole.n = n;
    whole.y += dy * share;
    whole.x += dx * share;
    whole.yy += b->yy + dy * dy * between;
    whole.xx += b->xx + dx * dx * between;
    whole.xy += b->xy + dy * dx * between;
    for (int i = 0; i < MOMENTS_CATEGORIES_MAX; i++)
        whole.counts[i] += b->counts[i];
    return whole;
}

struct moments moments_subtract(const struct moments *whole, const struct moments *part)
{
    if (!(part->n > 0))
        return *whole;
    struct moments rest = *whole;
    rest.n = whole->n - part->n;
    if (!(rest.n > 0))
        return moments_empty(whole->kind, whole->covariate);
    rest.y = whole->y + (whole->y - part->y) * (part->n / rest.n);
    rest.x = whole->x + (whole->x - part->x) * (part->n / rest.n);
    long double dy = part->y - rest.y, dx = part->x - rest.x;
    long double between = rest.n * (part->n / whole->n);
    rest.yy -= part->yy + dy * dy * between;
    rest.xx -= part->xx + dx * dx * between;
    rest.xy -= part->xy + dy * dx * between;
    for (int i = 0; i < MOMENTS_CATEGORIES_MAX; i++)
        rest.counts[i] -= part->counts[i];
    return rest;
}

bool moments_mean(const struct moments *arm, long double *mean)
{
    if (!(arm->n > 0) || (arm->kind == MOMENTS_RATIO && arm->x == 0))
        return false;
    *mean = arm->kind == MOMENTS_RATIO ? arm->y / arm->x : arm->y;
    return true;
}

/* What a centred sum is divided by; 0 where there is no variance. */
static long double divisor(const struct moments *arm)
{
    bool by_n = arm->kind == MOMENTS_BINARY || arm->kind == MOMENTS_CSAT;
    return by_n ? arm->n : arm->n >= 2 ? arm->n - 1 : 0;
}

bool moments_variance(const struct moments *arm, long double *variance)
{
    long double divide = divisor(arm), mean;
    if (!(divide > 0) || !moments_mean(arm, &mean))
        return false;
    long double square = arm->yy;
    if (arm->kind == MOMENTS_RATIO) {
        long double terms = arm->yy + mean * mean * arm->xx;
        square = terms - 2 * mean * arm->xy;
        /* Proportional numerators and denominators leave only rounding. */
        if (fabsl(square) <= 1e-14L * terms)
            square = 0;
        square /= arm->x * arm->x;
    }
    *variance = square / divide;
    return true;
}

bool moments_covariate(const struct moments *arm, long double *variance, long double *covariance)
{
    long double divide = divisor(arm);
    if (!(divide > 0))
        return false;
    *variance = arm->xx / divide;
    *covariance = arm->xy / divide;
    return true;
}

int moments_categories(enum moments_kind kind)
{
    switch (kind) {
    case MOMENTS_BINARY:
    case MOMENTS_CSAT:
        return 2;
    case MOMENTS_NPS:
        return 3;
    case MOMENTS_MEAN:
    case MOMENTS_RATIO:
        break;
    }
    return 0;
}
