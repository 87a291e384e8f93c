/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as [condition, attributes, groups]: refused with a reason or compiled; matching gives
 * the same answer twice, and what a person may write means the same to an SDK. */
#include "tests/fuzz/fuzz.h"

#include "core/condition.h"
#include "core/error.h"
#include "core/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0}, ignored = {0};
    json_t *input = json_parse((const char *)data, size, &err);
    json_t *attributes = json_array_get(input, 1), *groups = json_array_get(input, 2);
    if (!json_is_array(input) || !json_array_size(input)) {
        json_decref(input);
        return -1;
    }
    struct condition *strict = condition_compile(json_array_get(input, 0), JSON_TOP, &err);
    struct condition *lenient = condition_compile_lenient(json_array_get(input, 0), &ignored);
    must((strict != NULL) == (err.code == ERROR_NONE));
    must(lenient);
    bool is = condition_matches(lenient, attributes, groups);
    must(is == condition_matches(lenient, attributes, groups));
    must(!strict || is == condition_matches(strict, attributes, groups));
    condition_free(strict);
    condition_free(lenient);
    json_decref(input);
    return 0;
}
