/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a compressed body: it is refused, as too large where it is, or it is inflated whole
 * and is within its bound. The first byte sets the bound. */
#include "tests/fuzz/fuzz.h"

#include "http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct request request = {0};
    if (size == 0)
        return -1;
    size_t most = 1 + (size_t)data[0] * data[0];
    text_init(&request.body, size);
    text_add(&request.body, (const char *)data + 1, size - 1);
    bool ok = request_inflate(&request, most, &err);
    must(ok == (err.code == ERROR_NONE));
    must(ok || err.code == ERROR_TOO_LARGE || err.code == ERROR_SYNTAX);
    must(!ok || request.body.len <= most);
    text_release(&request.body);
    return ok ? 0 : -1;
}
