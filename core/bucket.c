/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hash works on code units as JavaScript's strings have them: whole 16-bit units are XORed in,
 * and a character above U+FFFF is its surrogate pair. */
#include "core/bucket.h"

#include <stdint.h>

static const uint32_t fnv_basis = 2166136261u, fnv_prime = 16777619u;

static uint32_t add_unit(uint32_t hash, uint32_t unit)
{
    return (hash ^ unit) * fnv_prime;
}

static uint32_t add_text(uint32_t hash, struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        unsigned char byte = (unsigned char)text.ptr[i];
        uint32_t c = byte;
        size_t step = byte < 0x80 ? 1 : utf8_next(text.ptr + i, text.len - i, &c);
        i += step ? step : 1;
        if (c < 0x10000) {
            hash = add_unit(hash, c);
        } else {
            hash = add_unit(hash, 0xd800 + ((c - 0x10000) >> 10));
            hash = add_unit(hash, 0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    return hash;
}

double bucket_of(struct slice seed, struct slice value)
{
    char digits[10];
    size_t used = sizeof digits;
    uint32_t first = add_text(add_text(fnv_basis, seed), value);
    do
        digits[--used] = (char)('0' + first % 10);
    while (first /= 10);
    uint32_t second = add_text(fnv_basis, (struct slice){digits + used, sizeof digits - used});
    return (double)(second % 10000) / 10000.0;
}

double bucket_of_version_1(struct slice seed, struct slice value)
{
    return (double)(add_text(add_text(fnv_basis, value), seed) % 1000) / 1000.0;
}

static bool weights_usable(size_t count, const double *weights)
{
    double sum = 0;
    for (size_t i = 0; weights && i < count; i++)
        sum += weights[i];
    return weights && sum >= 0.99 && sum <= 1.01;
}

void bucket_ranges(size_t count, double coverage, const double *weights, struct range *out)
{
    coverage = coverage < 0 ? 0 : coverage > 1 ? 1 : coverage;
    bool usable = weights_usable(count, weights);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double weight = usable ? weights[i] : 1.0 / (double)count;
        out[i] = (struct range){sum, sum + coverage * weight};
        sum += weight;
    }
}

int bucket_choose(double n, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bucket_in(n, ranges[i]))
            return (int)i;
    return -1;
}
