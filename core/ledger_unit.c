/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The record of a unit, and what a unit adds to the tallies.
 *
 * Version 2: version u8 · flags u8 (1: sealed) · epoch varint · variant + 1 varint (0: crossed) ·
 * exposed_at signed · segments varint, each its place in segments_ever varint and its value text ·
 * metrics varint, each:
 *   how far its number is from that of the one before, signed, above the bits of `head` ·
 *   with MORE, the bits of `more` · the sum, unless nothing is counted · then what `more` says. */
#include "core/ledger_parts.h"
#include "core/record.h"
#include "stats/sketch.h"

enum { UNIT_VERSION = 2, SEALED = 1 };
enum head { BINNED = 1, MORE = 2, HEAD_BITS = 2 };
enum more {
    NOTHING = 1,     /* a survey without an answer that counts: no sum */
    ANSWERED_AT = 2, /* answered_at - exposed_at varint; the score is the sum */
    CAPPED = 4,      /* the value, as it is not that of the sum: double */
    PRE = 8,         /* the sum before the exposure */
    PRE_CAPPED = 16, /* its value: double */
    DEN = 32         /* the sum of the denominator */
};

static unsigned more_of(const struct unit_metric *metric)
{
    return (metric->answered ? 0u : NOTHING) | (metric->answered_at >= 0 ? ANSWERED_AT : 0u) |
           (metric->answered && metric->adds.value != exact_value(metric->sum) ? CAPPED : 0u) |
           (metric->pre != 0 ? PRE : 0u) |
           (metric->adds.pre != exact_value(metric->pre) ? PRE_CAPPED : 0u) |
           (metric->den != 0 ? DEN : 0u);
}

static void encode_metric(const struct unit_metric *metric, uint32_t before, int64_t exposed_at,
                          struct text *out)
{
    unsigned more = more_of(metric);
    uint64_t number = record_zigzag((int64_t)metric->metric - before);
    record_varint(out, number << HEAD_BITS | (metric->binned ? BINNED : 0u) | (more ? MORE : 0u));
    if (more)
        record_varint(out, more);
    if (metric->answered)
        exact_write(metric->sum, out);
    if (more & ANSWERED_AT)
        record_varint(out, (uint64_t)(metric->answered_at - exposed_at));
    if (more & CAPPED)
        record_double(out, metric->adds.value);
    if (more & PRE)
        exact_write(metric->pre, out);
    if (more & PRE_CAPPED)
        record_double(out, metric->adds.pre);
    if (more & DEN)
        exact_write(metric->den, out);
}

void ledger_unit_encode(const struct unit *unit, const struct experiment *experiment,
                        struct text *out)
{
    const unsigned char head[2] = {UNIT_VERSION, unit->sealed ? SEALED : 0};
    text_clear(out);
    text_add(out, head, sizeof head);
    record_varint(out, unit->epoch);
    record_varint(out, (uint64_t)(unit->variant + 1));
    record_signed(out, unit->exposed_at);
    record_varint(out, unit->segment_count);
    for (size_t i = 0; i < unit->segment_count; i++) {
        size_t place = 0;
        while (!slice_is(unit->segments[i].name, experiment->segments_ever[place]))
            must(++place < experiment->segments_ever_count);
        record_varint(out, place);
        record_text(out, unit->segments[i].value);
    }
    record_varint(out, unit->metric_count);
    uint32_t before = 0;
    for (size_t i = 0; i < unit->metric_count; i++) {
        encode_metric(&unit->metrics[i], before, unit->exposed_at, out);
        before = unit->metrics[i].metric;
    }
}

static bool decode_more(struct slice *rest, uint64_t more, int64_t exposed_at,
                        struct unit_metric *metric)
{
    uint64_t later = 0;
    if (more & ANSWERED_AT) {
        if (!record_read_varint(rest, &later) || later > INT64_MAX / 2)
            return false;
        metric->answered_at = exposed_at + (int64_t)later;
        if (!(metric->adds.value >= 0 && metric->adds.value < TALLY_SCORES))
            return false;
        metric->adds.score = metric->answered ? (int)metric->adds.value : -1;
    }
    if ((more & CAPPED) && !record_read_double(rest, &metric->adds.value))
        return false;
    if ((more & PRE) && !exact_read(rest, &metric->pre))
        return false;
    metric->adds.pre = exact_value(metric->pre);
    if ((more & PRE_CAPPED) && !record_read_double(rest, &metric->adds.pre))
        return false;
    if ((more & DEN) && !exact_read(rest, &metric->den))
        return false;
    metric->adds.den = exact_value(metric->den);
    return more < 2 * DEN;
}

static bool decode_metric(struct slice *rest, uint32_t before, int64_t exposed_at,
                          struct unit_metric *metric)
{
    uint64_t head, more = 0;
    if (!record_read_varint(rest, &head) || ((head & MORE) && !record_read_varint(rest, &more)))
        return false;
    int64_t number = before + record_unzigzag(head >> HEAD_BITS);
    *metric = (struct unit_metric){.metric = (uint32_t)number,
                                   .answered = !(more & NOTHING),
                                   .binned = head & BINNED,
                                   .adds.score = -1,
                                   .answered_at = -1};
    if (metric->answered && !exact_read(rest, &metric->sum))
        return false;
    metric->adds.value = exact_value(metric->sum);
    return number > 0 && number <= UINT32_MAX && decode_more(rest, more, exposed_at, metric);
}

static bool decode_segments(struct slice *rest, const struct experiment *experiment,
                            struct unit *unit)
{
    uint64_t count, place;
    if (!record_read_varint(rest, &count) || count > EXPERIMENT_SEGMENTS_MAX)
        return false;
    unit->segment_count = (size_t)count;
    for (size_t i = 0; i < unit->segment_count; i++) {
        if (!record_read_varint(rest, &place) || place >= experiment->segments_ever_count ||
            !record_read_text(rest, &unit->segments[i].value))
            return false;
        unit->segments[i].name = slice_of(experiment->segments_ever[place]);
    }
    return true;
}

bool ledger_unit_decode(struct slice rest, const struct experiment *experiment, struct arena *arena,
                        struct unit *unit)
{
    uint64_t epoch, variant, metrics;
    uint8_t version, flags;
    uint32_t before = 0;
    *unit = (struct unit){0};
    if (!record_read_byte(&rest, &version) || version != UNIT_VERSION ||
        !record_read_byte(&rest, &flags) || flags > SEALED || !record_read_varint(&rest, &epoch) ||
        epoch > UINT16_MAX || !record_read_varint(&rest, &variant) ||
        variant > EXPERIMENT_VARIANTS_MAX || !record_read_signed(&rest, &unit->exposed_at) ||
        !decode_segments(&rest, experiment, unit) || !record_read_varint(&rest, &metrics) ||
        metrics > EXPERIMENT_METRICS_MAX)
        return false;
    unit->sealed = flags & SEALED;
    unit->epoch = (uint16_t)epoch;
    unit->variant = (int)variant - 1;
    unit->metric_count = (size_t)metrics;
    unit->metrics = arena_alloc(arena, unit->metric_count * sizeof *unit->metrics);
    for (size_t i = 0; i < unit->metric_count; i++) {
        if (!decode_metric(&rest, before, unit->exposed_at, &unit->metrics[i]))
            return false;
        before = unit->metrics[i].metric;
    }
    return rest.len == 0;
}

bool ledger_unit_is_sealed(struct slice record)
{
    return record.len > 1 && record.ptr[0] == UNIT_VERSION && (record.ptr[1] & SEALED);
}

/* --- tallies -------------------------------------------------------------------------------- */

static void count_metric(struct tally_set *tallies, struct tally_name name,
                         const struct unit_metric *metric, int sign)
{
    if (!metric->answered)
        return;
    name.metric = metric->metric;
    tally_count(tally_set_at(tallies, &name), &metric->adds, sign);
    if (!metric->binned)
        return;
    name.bin = sketch_bin_of(metric->adds.value);
    tally_count(tally_set_at(tallies, &name), &metric->adds, sign);
}

/* Adds a unit to one segment's tallies, or (empty segment) to those of all. */
static void count_cell(struct tally_set *tallies, struct tally_name name, const struct unit *unit,
                       int sign)
{
    static const struct contribution nothing = {.score = -1};
    tally_count(tally_set_at(tallies, &name), &nothing, sign);
    for (size_t i = 0; i < unit->metric_count; i++)
        count_metric(tallies, name, &unit->metrics[i], sign);
}

static bool adds_same(const struct unit_metric *a, const struct unit_metric *b)
{
    return a->answered == b->answered && a->binned == b->binned && a->adds.value == b->adds.value &&
           a->adds.pre == b->adds.pre && a->adds.den == b->adds.den &&
           a->adds.score == b->adds.score;
}

/* What changed in a cell where both are. */
static void count_changes(struct tally_set *tallies, struct tally_name name, const struct unit *old,
                          const struct unit *new)
{
    for (size_t i = 0; i < new->metric_count; i++) {
        if (adds_same(&old->metrics[i], &new->metrics[i]))
            continue;
        count_metric(tallies, name, &old->metrics[i], -1);
        count_metric(tallies, name, &new->metrics[i], 1);
    }
}

static struct tally_name place_of(uint32_t experiment, uint16_t phase, const struct unit *unit)
{
    return (struct tally_name){.experiment = experiment,
                               .phase = phase,
                               .epoch = unit->epoch,
                               .variant =
                                   unit->variant < 0 ? TALLY_CROSSED : (uint8_t)unit->variant};
}

static void count_whole(struct tally_set *tallies, uint32_t experiment, uint16_t phase,
                        const struct unit *unit, int sign)
{
    static const struct contribution nothing = {.score = -1};
    struct tally_name name = place_of(experiment, phase, unit);
    count_cell(tallies, name, unit, sign);
    if (unit->sealed) {
        struct tally_name sealed = name;
        sealed.variant = TALLY_SEALED;
        tally_count(tally_set_at(tallies, &sealed), &nothing, sign);
    }
    for (size_t i = 0; i < unit->segment_count; i++) {
        name.segment = unit->segments[i].name;
        name.value = unit->segments[i].value;
        count_cell(tallies, name, unit, sign);
    }
}

/* Whether both are in the same cells and count the same metrics. */
static bool same_cells(const struct unit *a, const struct unit *b)
{
    if (a->epoch != b->epoch || a->variant != b->variant || a->sealed != b->sealed ||
        a->segment_count != b->segment_count || a->metric_count != b->metric_count)
        return false;
    for (size_t i = 0; i < a->segment_count; i++)
        if (!slice_equal(a->segments[i].name, b->segments[i].name) ||
            !slice_equal(a->segments[i].value, b->segments[i].value))
            return false;
    for (size_t i = 0; i < a->metric_count; i++)
        if (a->metrics[i].metric != b->metrics[i].metric)
            return false;
    return true;
}

void ledger_unit_count(struct tally_set *tallies, uint32_t experiment, uint16_t phase,
                       const struct unit *old, const struct unit *new)
{
    if (!old || !new || !same_cells(old, new)) {
        if (old)
            count_whole(tallies, experiment, phase, old, -1);
        if (new)
            count_whole(tallies, experiment, phase, new, 1);
        return;
    }
    struct tally_name name = place_of(experiment, phase, new);
    count_changes(tallies, name, old, new);
    for (size_t i = 0; i < new->segment_count; i++) {
        name.segment = new->segments[i].name;
        name.value = new->segments[i].value;
        count_changes(tallies, name, old, new);
    }
}

struct store_key ledger_unit_key(uint64_t customer, uint32_t experiment, uint16_t phase)
{
    struct store_key key = ledger_key(customer, LEDGER_UNIT);
    key_u32(&key, experiment);
    key_u16(&key, phase);
    return key;
}
