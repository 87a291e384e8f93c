/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a document: what is read in the plain way jansson reads too, and as the same. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/json_plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_error_t error;
    json_t *plain = json_plain((const char *)data, size);
    if (!plain)
        return size > 1000 ? -1 : 0;
    json_t *theirs =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    must(theirs && json_equal(plain, theirs));
    char *a = json_text(plain), *b = json_text(theirs);
    must(strcmp(a, b) == 0);
    free(a);
    free(b);
    json_decref(plain);
    json_decref(theirs);
    return 0;
}
