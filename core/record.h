/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of compact records on disk: varints of seven bits a byte, least ones first; signed ones
 * with their sign in the lowest bit; texts behind their length; doubles little-endian.
 *
 * Readers move *rest behind what they read and are false where the bytes do not hold it. */
#ifndef UPLIFT_CORE_RECORD_H
#define UPLIFT_CORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"

void record_varint(struct text *out, uint64_t value);
void record_signed(struct text *out, int64_t value);
void record_text(struct text *out, struct slice text);
void record_double(struct text *out, double value);

bool record_read_byte(struct slice *rest, uint8_t *value);
bool record_read_varint(struct slice *rest, uint64_t *value);
bool record_read_signed(struct slice *rest, int64_t *value);
/* Borrows from the record. */
bool record_read_text(struct slice *rest, struct slice *text);
bool record_read_double(struct slice *rest, double *value);

/* Signed numbers as unsigned ones, small where they are near 0, and back. */
static inline uint64_t record_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t record_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

#endif
