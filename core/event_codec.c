/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The record of an event on disk, version 1:
 *   version u8 · type and flags u8 · at varint · received - at zigzag varint ·
 *   value f64 (little-endian, only with the flag) · id, name, channel, then by type: each text as
 *   its length varint and its bytes.
 * A record is read whole or not at all: bytes left over are damage. */
#include "core/event.h"
#include "core/record.h"

enum { CODEC = 1, TYPE_MASK = 0x0f, TIMED = 0x10, VALUED = 0x20 };

/* The texts of each type in their order on disk. */
static size_t texts(struct event *event, struct slice *out[6])
{
    size_t count = 0;
    out[count++] = &event->id;
    out[count++] = &event->name;
    out[count++] = &event->channel;
    if (event->type == EVENT_EXPOSURE) {
        out[count++] = &event->variant;
        out[count++] = &event->attributes;
    } else if (event->type == EVENT_FEEDBACK) {
        out[count++] = &event->comment;
        out[count++] = &event->stage;
    }
    return count;
}

bool event_encode(const struct event *event, struct text *out)
{
    struct event copy = *event;
    int64_t late = event->received - event->at;
    unsigned char head[2] = {CODEC, (unsigned char)(event->type | (event->timed ? TIMED : 0) |
                                                    (event->has_value ? VALUED : 0))};
    text_add(out, head, sizeof head);
    record_varint(out, (uint64_t)event->at);
    record_signed(out, late);
    if (event->has_value)
        record_double(out, event->value);
    struct slice *list[6];
    for (size_t i = 0, count = texts(&copy, list); i < count; i++)
        record_text(out, *list[i]);
    return !out->failed;
}

bool event_decode(struct slice record, struct event *event)
{
    struct event read = {.value = 1};
    uint64_t at;
    int64_t late;
    if (record.len < 2 || record.ptr[0] != CODEC)
        return false;
    unsigned char flags = (unsigned char)record.ptr[1];
    read.type = (enum event_type)(flags & TYPE_MASK);
    if (read.type < EVENT_EXPOSURE || read.type > EVENT_FEEDBACK)
        return false;
    read.timed = flags & TIMED;
    read.has_value = flags & VALUED;
    struct slice rest = {record.ptr + 2, record.len - 2};
    if (!record_read_varint(&rest, &at) || !record_read_signed(&rest, &late) ||
        (read.has_value && !record_read_double(&rest, &read.value)))
        return false;
    read.at = (int64_t)at;
    read.received = (int64_t)(at + (uint64_t)late);
    struct slice *list[6];
    for (size_t i = 0, count = texts(&read, list); i < count; i++)
        if (!record_read_text(&rest, list[i]))
            return false;
    if (rest.len)
        return false;
    *event = read;
    return true;
}
