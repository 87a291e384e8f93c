/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Root: GSL's bracketing solver, bounded in its steps. */
#include "stats/root.h"

#include <gsl/gsl_errno.h>
#include <math.h>

enum { STEPS_MAX = 200 };

double root_between(gsl_root_fsolver *solver, gsl_function *f, double low, double high)
{
    double at_low = GSL_FN_EVAL(f, low), at_high = GSL_FN_EVAL(f, high);
    double nearer = fabs(at_low) <= fabs(at_high) ? low : high;
    if (at_low == 0 || at_high == 0 || (at_low > 0) == (at_high > 0))
        return nearer;
    if (gsl_root_fsolver_set(solver, f, low, high) != GSL_SUCCESS)
        return nearer;
    for (int step = 0; step < STEPS_MAX; step++) {
        if (gsl_root_fsolver_iterate(solver) != GSL_SUCCESS)
            break;
        double from = gsl_root_fsolver_x_lower(solver), to = gsl_root_fsolver_x_upper(solver);
        if (gsl_root_test_interval(from, to, 0, 1e-15) == GSL_SUCCESS)
            break;
    }
    return gsl_root_fsolver_root(solver);
}
