/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The record of a unit, and what a unit adds to the tallies. */
#include "core/ledger_parts.h"
#include "stats/sketch.h"

/* In a unit's metric: bit 0 answered, 1 to 15 the score, 16 binned. */
enum { BINNED_BIT = 16, SCORE_MASK = 0x7fff, UNIT_VERSION = 1 };

static void put_u32(struct text *out, uint32_t value)
{
    struct store_key bytes = {0};
    key_u32(&bytes, value);
    text_add(out, bytes.bytes, bytes.len);
}

static void put_double(struct text *out, double value)
{
    struct store_key bytes = {0};
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    key_u64(&bytes, bits);
    text_add(out, bytes.bytes, bytes.len);
}

static bool get_double(struct slice *rest, double *value)
{
    uint64_t bits;
    bool ok = unkey_u64(rest, &bits);
    memcpy(value, &bits, sizeof bits);
    return ok;
}

void ledger_unit_encode(const struct unit *unit, struct text *out)
{
    text_clear(out);
    put_u32(out, UNIT_VERSION);
    put_u32(out, unit->epoch);
    put_u32(out, (uint32_t)(unit->variant + 1));
    put_double(out, (double)unit->exposed_at);
    put_u32(out, (uint32_t)unit->segment_count);
    for (size_t i = 0; i < unit->segment_count; i++) {
        text_add(out, unit->segments[i].name.ptr, unit->segments[i].name.len);
        text_add(out, "", 1);
        text_add(out, unit->segments[i].value.ptr, unit->segments[i].value.len);
        text_add(out, "", 1);
    }
    put_u32(out, (uint32_t)unit->metric_count);
    for (size_t i = 0; i < unit->metric_count; i++) {
        const struct unit_metric *metric = &unit->metrics[i];
        put_u32(out, metric->metric);
        put_u32(out, (uint32_t)metric->binned << BINNED_BIT |
                         (uint32_t)(metric->adds.score + 1) << 1 | metric->answered);
        put_double(out, metric->adds.value);
        put_double(out, metric->adds.pre);
        put_double(out, metric->adds.den);
    }
}

static bool decode_metric(struct slice *rest, struct unit_metric *metric)
{
    uint32_t packed;
    if (!unkey_u32(rest, &metric->metric) || !unkey_u32(rest, &packed) ||
        !get_double(rest, &metric->adds.value) || !get_double(rest, &metric->adds.pre) ||
        !get_double(rest, &metric->adds.den))
        return false;
    metric->answered = packed & 1;
    metric->binned = packed >> BINNED_BIT & 1;
    metric->adds.score = (int)(packed >> 1 & SCORE_MASK) - 1;
    return true;
}

bool ledger_unit_decode(struct slice rest, struct arena *arena, struct unit *unit)
{
    uint32_t version, epoch, variant, segments, metrics;
    double exposed_at;
    *unit = (struct unit){0};
    if (!unkey_u32(&rest, &version) || version != UNIT_VERSION || !unkey_u32(&rest, &epoch) ||
        !unkey_u32(&rest, &variant) || !get_double(&rest, &exposed_at) ||
        !unkey_u32(&rest, &segments) || segments > EXPERIMENT_SEGMENTS_MAX || epoch > UINT16_MAX ||
        variant > EXPERIMENT_VARIANTS_MAX)
        return false;
    unit->epoch = (uint16_t)epoch;
    unit->variant = (int)variant - 1;
    unit->exposed_at = (int64_t)exposed_at;
    unit->segment_count = segments;
    for (uint32_t i = 0; i < segments; i++)
        if (!unkey_text(&rest, &unit->segments[i].name) ||
            !unkey_text(&rest, &unit->segments[i].value))
            return false;
    if (!unkey_u32(&rest, &metrics) || metrics > EXPERIMENT_METRICS_MAX)
        return false;
    unit->metric_count = metrics;
    unit->metrics = arena_alloc(arena, metrics * sizeof *unit->metrics);
    for (uint32_t i = 0; i < metrics; i++)
        if (!decode_metric(&rest, &unit->metrics[i]))
            return false;
    return rest.len == 0;
}

/* Adds a unit to one segment's tallies, or (empty segment) to those of all. */
static void count_cell(struct tally_set *tallies, struct tally_name name, const struct unit *unit,
                       int sign)
{
    static const struct contribution nothing = {.score = -1};
    name.metric = 0;
    tally_count(tally_set_at(tallies, &name), &nothing, sign);
    for (size_t i = 0; i < unit->metric_count; i++) {
        if (!unit->metrics[i].answered)
            continue;
        const struct unit_metric *metric = &unit->metrics[i];
        name.metric = metric->metric;
        name.bin = 0;
        tally_count(tally_set_at(tallies, &name), &metric->adds, sign);
        if (!metric->binned)
            continue;
        name.bin = sketch_bin_of(metric->adds.value);
        tally_count(tally_set_at(tallies, &name), &metric->adds, sign);
    }
}

void ledger_unit_count(struct tally_set *tallies, uint32_t experiment, uint16_t phase,
                       const struct unit *unit, int sign)
{
    struct tally_name name = {.experiment = experiment,
                              .phase = phase,
                              .epoch = unit->epoch,
                              .variant =
                                  unit->variant < 0 ? TALLY_CROSSED : (uint8_t)unit->variant};
    count_cell(tallies, name, unit, sign);
    for (size_t i = 0; i < unit->segment_count; i++) {
        name.segment = unit->segments[i].name;
        name.value = unit->segments[i].value;
        count_cell(tallies, name, unit, sign);
    }
}

struct store_key ledger_unit_key(uint64_t customer, uint32_t experiment, uint16_t phase)
{
    struct store_key key = ledger_key(customer, LEDGER_UNIT);
    key_u32(&key, experiment);
    key_u16(&key, phase);
    return key;
}
