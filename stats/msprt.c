/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/msprt.h"

#include <float.h>
#include <math.h>

#include "stats/mixture.h"

struct inference msprt_test(double estimate, double se, double mixture_variance, double alpha)
{
    /* Divided twice: se^2 may be too small or too large for a double where the ratio is not. */
    double k = fmax(mixture_variance / se / se, DBL_MIN);
    return mixture_test(estimate, se, k, alpha);
}
