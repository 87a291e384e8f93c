/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiple: one sort, then one running maximum or minimum. */
#include "stats/multiple.h"

#include <math.h>
#include <stdlib.h>

static int by_p(const void *a, const void *b)
{
    double p = ((const struct multiple *)a)->p, q = ((const struct multiple *)b)->p;
    return (p > q) - (p < q);
}

static void holm(struct multiple *family, size_t m)
{
    double most = 0;
    for (size_t i = 0; i < m; i++) {
        most = fmax(most, fmin(1, (double)(m - i) * family[i].p));
        family[i].adjusted = most;
    }
}

static void benjamini_hochberg(struct multiple *family, size_t m)
{
    double least = 1;
    for (size_t i = m; i-- > 0;) {
        least = fmin(least, (double)m / (double)(i + 1) * family[i].p);
        family[i].adjusted = least;
    }
}

void multiple_adjust(struct multiple *family, size_t m, enum multiple_method method)
{
    if (m == 0)
        return;
    qsort(family, m, sizeof *family, by_p);
    switch (method) {
    case MULTIPLE_NONE:
        for (size_t i = 0; i < m; i++)
            family[i].adjusted = fmin(1, family[i].p);
        break;
    case MULTIPLE_HOLM:
        holm(family, m);
        break;
    case MULTIPLE_BH:
        benjamini_hochberg(family, m);
        break;
    }
}
