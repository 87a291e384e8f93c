/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiple: adjusted p-values for a family of comparisons. With p_(1) <= ... <= p_(m):
 *
 *     holm  max over j <= i of min(1, (m - j + 1) p_(j))    familywise error, any dependence
 *                                                           [Holm1979]
 *     bh    min over j >= i of min(1, m p_(j) / j)          false discovery rate, independence or
 *                                                           positive dependence [Benjamini1995]
 *
 * Applied to 1/e for e-values, bh is e-BH: any dependence [Wang2022]. Both are monotone in p. */
#ifndef UPLIFT_STATS_MULTIPLE_H
#define UPLIFT_STATS_MULTIPLE_H

#include <stddef.h>

enum multiple_method { MULTIPLE_NONE, MULTIPLE_HOLM, MULTIPLE_BH };

/* One p-value and what becomes of it. */
struct multiple {
    double p;        /* >= 0; for e-BH it may be more than 1 */
    double adjusted; /* 0 to 1 */
    size_t index;    /* the caller's own, to find the comparison again */
};

/* Fills `adjusted` of the m comparisons of one family (m may be 0) and leaves them sorted by p.
 * MULTIPLE_NONE: adjusted = min(1, p). Pure but for the array; thread-safe. */
void multiple_adjust(struct multiple *family, size_t m, enum multiple_method method);

#endif
