/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The record of an event on disk, version 1:
 *   version u8 · type and flags u8 · at varint · received - at zigzag varint ·
 *   value f64 (little-endian, only with the flag) · id, name, channel, then by type: each text as
 *   its length varint and its bytes.
 * A record is read whole or not at all: bytes left over are damage. */
#include "core/event.h"

#include <endian.h>
#include <string.h>

enum { CODEC = 1, TYPE_MASK = 0x0f, TIMED = 0x10, VALUED = 0x20 };

static void put_varint(struct text *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[len++] = (unsigned char)(value | 0x80);
    bytes[len++] = (unsigned char)value;
    text_add(out, bytes, len);
}

static bool get_varint(struct slice *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        unsigned char byte = (unsigned char)*rest->ptr;
        rest->ptr++;
        rest->len--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static void put_slice(struct text *out, struct slice text)
{
    put_varint(out, text.len);
    text_add(out, text.ptr, text.len);
}

static bool get_slice(struct slice *rest, struct slice *text)
{
    uint64_t len;
    if (!get_varint(rest, &len) || len > rest->len)
        return false;
    *text = (struct slice){rest->ptr, (size_t)len};
    rest->ptr += len;
    rest->len -= (size_t)len;
    return true;
}

static void put_double(struct text *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htole64(bits);
    text_add(out, &bits, sizeof bits);
}

static bool get_double(struct slice *rest, double *value)
{
    uint64_t bits;
    if (rest->len < sizeof bits)
        return false;
    memcpy(&bits, rest->ptr, sizeof bits);
    bits = le64toh(bits);
    memcpy(value, &bits, sizeof bits);
    rest->ptr += sizeof bits;
    rest->len -= sizeof bits;
    return true;
}

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
    put_varint(out, (uint64_t)event->at);
    put_varint(out, (uint64_t)late << 1 ^ (uint64_t)(late >> 63));
    if (event->has_value)
        put_double(out, event->value);
    struct slice *list[6];
    for (size_t i = 0, count = texts(&copy, list); i < count; i++)
        put_slice(out, *list[i]);
    return !out->failed;
}

bool event_decode(struct slice record, struct event *event)
{
    struct event read = {.value = 1};
    uint64_t at, late;
    if (record.len < 2 || record.ptr[0] != CODEC)
        return false;
    unsigned char flags = (unsigned char)record.ptr[1];
    read.type = (enum event_type)(flags & TYPE_MASK);
    if (read.type < EVENT_EXPOSURE || read.type > EVENT_FEEDBACK)
        return false;
    read.timed = flags & TIMED;
    read.has_value = flags & VALUED;
    struct slice rest = {record.ptr + 2, record.len - 2};
    if (!get_varint(&rest, &at) || !get_varint(&rest, &late) ||
        (read.has_value && !get_double(&rest, &read.value)))
        return false;
    read.at = (int64_t)at;
    read.received = (int64_t)(at + ((late >> 1) ^ (~(late & 1) + 1)));
    struct slice *list[6];
    for (size_t i = 0, count = texts(&read, list); i < count; i++)
        if (!get_slice(&rest, list[i]))
            return false;
    if (rest.len)
        return false;
    *event = read;
    return true;
}
