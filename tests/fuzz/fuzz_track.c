/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any JSON as an event of another tool: it is mapped to our shape, and what comes of it is refused
 * with a reason or is an event like any other. Mapping twice changes nothing more. */
#include "tests/fuzz/fuzz.h"

#include "core/arena.h"
#include "core/error.h"
#include "core/event.h"
#include "core/event_alias.h"
#include "core/json.h"

static const int64_t now = INT64_C(1790000000000);

static bool as_event(json_t *mapped)
{
    struct error err = {0};
    struct arena arena = {0};
    struct event event = {0};
    bool ok = event_parse(mapped, now, &arena, &event, &err);
    must(ok == (err.code == ERROR_NONE));
    if (ok) {
        must(event.at <= now + EVENT_AHEAD_MAX && event.at >= 0);
        event_arrive(&event, now + 1);
        must(event.received == now + 1);
    }
    arena_release(&arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    json_t *input = json_parse((const char *)data, size, &err);
    if (!input)
        return -1;
    json_t *mapped = event_unalias(input, (int64_t)size - 40);
    must(mapped);
    bool ok = as_event(mapped);
    json_t *again = event_unalias(mapped, 0);
    must(!ok || json_equal(mapped, again));
    json_decref(again);
    json_decref(mapped);
    json_decref(input);
    return ok ? 0 : -1;
}
