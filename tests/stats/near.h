/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of stats/ share: comparing figures, and a seeded source of chance. */
#ifndef UPLIFT_TESTS_STATS_NEAR_H
#define UPLIFT_TESTS_STATS_NEAR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_rng.h>
#include <math.h>

/* Fails unless got is finite and within rel * |want| + abs of want. */
static inline void near(const char *what, double got, double want, double rel, double absolute)
{
    if (!(fabs(got - want) <= rel * fabs(want) + absolute))
        fail_msg("%s: got %.17g, want %.17g (off by %.3g)", what, got, want, got - want);
}

/* A generator with a printed seed; gsl_rng_free it. */
static inline gsl_rng *chance(unsigned long seed)
{
    print_message("# seed %lu\n", seed);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, seed);
    return rng;
}

/* The tests run as the product does: GSL reports by status. */
#define run_all(tests)                                                                             \
    (gsl_set_error_handler_off(), cmocka_set_message_output(CM_OUTPUT_TAP),                        \
     cmocka_run_group_tests(tests, NULL, NULL))

#endif
