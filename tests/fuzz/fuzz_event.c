/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as an event: as JSON it is refused with a reason, or its record reads back as the same
 * event; as a record it is refused, or writing what was read gives a record that reads the same. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/event.h"
#include "core/json.h"

static const int64_t now = INT64_C(1790000000000);

/* Equal in all that a record keeps; a double by its bits, as it need not be a number. */
static bool same(const struct event *a, const struct event *b)
{
    return a->type == b->type && a->timed == b->timed && a->has_value == b->has_value &&
           a->at == b->at && a->received == b->received && slice_equal(a->id, b->id) &&
           slice_equal(a->name, b->name) && slice_equal(a->variant, b->variant) &&
           slice_equal(a->attributes, b->attributes) && slice_equal(a->comment, b->comment) &&
           slice_equal(a->stage, b->stage) && slice_equal(a->channel, b->channel) &&
           (!a->has_value || memcmp(&a->value, &b->value, sizeof a->value) == 0);
}

/* What is read back borrows from the record. */
static void round_trip(const struct event *event)
{
    struct text record;
    struct event again;
    text_init(&record, 1 << 20);
    must(event_encode(event, &record));
    must(event_decode((struct slice){record.ptr, record.len}, &again));
    must(same(event, &again));
    text_release(&record);
}

static bool as_record(const uint8_t *data, size_t size)
{
    struct event event;
    if (!event_decode((struct slice){(const char *)data, size}, &event))
        return false;
    round_trip(&event);
    return true;
}

static bool as_json(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct arena arena = {0};
    struct event event = {0};
    json_t *input = json_parse((const char *)data, size, &err);
    bool ok = input && event_parse(input, now, &arena, &event, &err);
    must(ok == (err.code == ERROR_NONE));
    if (ok) {
        must(event.customer.len > 0 && event.customer.len <= EVENT_CUSTOMER_MAX);
        must(event.at <= now + EVENT_AHEAD_MAX);
        round_trip(&event);
        json_t *shown = event_json(&event);
        must(shown);
        json_decref(shown);
    }
    arena_release(&arena);
    json_decref(input);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool record = as_record(data, size), json = as_json(data, size);
    return record || json ? 0 : -1;
}
