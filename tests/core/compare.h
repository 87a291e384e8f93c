/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Comparing a report with what is expected of it, by the rules of tests/data/stats/README.md. */
#ifndef UPLIFT_TESTS_CORE_COMPARE_H
#define UPLIFT_TESTS_CORE_COMPARE_H

#include <jansson.h>

/* Fails the test where `got` is not what `want` asks for; `tol` is the case's, or NULL, and `place`
 * what the message begins with. */
void compare(const json_t *want, const json_t *got, const json_t *tol, const char *place);
/* Fails the test and shows both. */
void differ(const char *place, const json_t *want, const json_t *got);

#endif
