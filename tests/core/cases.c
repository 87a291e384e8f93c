/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Turns an array of cases into an array of tests. */
#include "tests/core/cases.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"

json_t *cases_load(const char *file)
{
    const char *top = getenv("UPLIFT_SRCDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/data/%s", top ? top : ".", file);
    json_error_t error;
    json_t *value = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!value)
        error_fatal("%s: line %d: %s", path, error.line, error.text);
    return value;
}

int cases_run(const char *group, const struct CMUnitTest *fixed, size_t count, const char *file,
              CMUnitTestFunction test)
{
    json_t *cases = cases_load(file);
    size_t more = json_array_size(cases);
    must(more > 0);
    struct CMUnitTest *tests = xcalloc(count + more, sizeof *tests);
    for (size_t i = 0; i < count; i++)
        tests[i] = fixed[i];
    for (size_t i = 0; i < more; i++) {
        json_t *one = json_array_get(cases, i);
        tests[count + i].name = json_string_value(json_object_get(one, "name"));
        must(tests[count + i].name);
        tests[count + i].test_func = test;
        tests[count + i].initial_state = one;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = _cmocka_run_group_tests(group, tests, count + more, NULL, NULL);
    free(tests);
    json_decref(cases);
    return failed;
}
