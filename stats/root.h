/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Root: Brent's method of GSL [Brent1973], with an answer whatever rounding does to the bracket. */
#ifndef UPLIFT_STATS_ROOT_H
#define UPLIFT_STATS_ROOT_H

#include <gsl/gsl_math.h>
#include <gsl/gsl_roots.h>

/* Where f changes its sign within [low, high], to about 1e-15 of it; where it has one sign there,
 * the end at which it is nearer to 0. `solver` is one of gsl_root_fsolver_brent and may be used
 * again. f must not return NaN. Thread-safe with one solver a thread. */
double root_between(gsl_root_fsolver *solver, gsl_function *f, double low, double high);

#endif
