/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The record: a varint whose two lowest bits tell the form. */
#include "core/exact.h"

#include <math.h>

#include "core/record.h"

enum form { WHOLE, HUNDREDTHS, DOUBLE, FULL };
#define SMALL_MAX 9007199254740992.0 /* 2^53 */

exact_sum exact_of(double value)
{
    return (exact_sum)rint(ldexp(value, EXACT_BITS));
}

double exact_value(exact_sum sum)
{
    return ldexp((double)sum, -EXACT_BITS);
}

static void write_form(enum form form, int64_t number, struct text *out)
{
    record_varint(out, record_zigzag(number) << 2 | form);
}

void exact_write(exact_sum sum, struct text *out)
{
    double value = exact_value(sum), hundredths = rint(value * 100);
    if (exact_of(value) != sum) {
        write_form(FULL, 0, out);
        for (unsigned i = 0; i < 16; i++) {
            unsigned char byte = (unsigned char)(sum >> 8 * i);
            text_add(out, &byte, 1);
        }
    } else if (fabs(value) < SMALL_MAX && value == rint(value)) {
        write_form(WHOLE, (int64_t)value, out);
    } else if (fabs(hundredths) < SMALL_MAX && exact_of(hundredths / 100) == sum) {
        write_form(HUNDREDTHS, (int64_t)hundredths, out);
    } else {
        write_form(DOUBLE, 0, out);
        record_double(out, value);
    }
}

static bool read_full(struct slice *rest, exact_sum *sum)
{
    unsigned __int128 bits = 0;
    uint8_t byte;
    for (unsigned i = 0; i < 16; i++) {
        if (!record_read_byte(rest, &byte))
            return false;
        bits |= (unsigned __int128)byte << 8 * i;
    }
    *sum = (exact_sum)bits;
    return true;
}

bool exact_read(struct slice *rest, exact_sum *sum)
{
    uint64_t head;
    double value = 0;
    *sum = 0;
    if (!record_read_varint(rest, &head))
        return false;
    double number = (double)record_unzigzag(head >> 2);
    switch ((enum form)(head & 3)) {
    case WHOLE:
        *sum = exact_of(number);
        return fabs(number) < SMALL_MAX;
    case HUNDREDTHS:
        *sum = exact_of(number / 100);
        return fabs(number) < SMALL_MAX;
    case DOUBLE:
        if (!record_read_double(rest, &value) || !(fabs(value) < 1e19))
            return false;
        *sum = exact_of(value);
        return true;
    case FULL:
        return read_full(rest, sum);
    }
    return false;
}
