/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cases kept as data: a file below tests/data holds a JSON array of objects with a "name", and each
 * becomes a test of its own. */
#ifndef UPLIFT_TESTS_CORE_CASES_H
#define UPLIFT_TESTS_CORE_CASES_H

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

/* Runs the fixed tests, then `test` once per case of the file ("definitions/metric.json") with the
 * case as its state. Returns the number of failures, for main to return. */
int cases_run(const char *group, const struct CMUnitTest *fixed, size_t count, const char *file,
              CMUnitTestFunction test);

/* Reads a file below tests/data; ends the program where it cannot. */
json_t *cases_load(const char *file);

#endif
