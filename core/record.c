/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/record.h"

#include <endian.h>
#include <string.h>

void record_varint(struct text *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[len++] = (unsigned char)(value | 0x80);
    bytes[len++] = (unsigned char)value;
    text_add(out, bytes, len);
}

void record_signed(struct text *out, int64_t value)
{
    record_varint(out, record_zigzag(value));
}

void record_text(struct text *out, struct slice text)
{
    record_varint(out, text.len);
    text_add(out, text.ptr, text.len);
}

void record_double(struct text *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htole64(bits);
    text_add(out, &bits, sizeof bits);
}

bool record_read_byte(struct slice *rest, uint8_t *value)
{
    if (rest->len == 0)
        return false;
    *value = (uint8_t)*rest->ptr++;
    rest->len--;
    return true;
}

bool record_read_varint(struct slice *rest, uint64_t *value)
{
    uint8_t byte;
    *value = 0;
    for (unsigned shift = 0; shift < 64 && record_read_byte(rest, &byte); shift += 7) {
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

bool record_read_signed(struct slice *rest, int64_t *value)
{
    uint64_t folded;
    bool ok = record_read_varint(rest, &folded);
    *value = record_unzigzag(folded);
    return ok;
}

bool record_read_text(struct slice *rest, struct slice *text)
{
    uint64_t len;
    if (!record_read_varint(rest, &len) || len > rest->len)
        return false;
    *text = (struct slice){rest->ptr, (size_t)len};
    rest->ptr += len;
    rest->len -= (size_t)len;
    return true;
}

bool record_read_double(struct slice *rest, double *value)
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
