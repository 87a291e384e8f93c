/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What overlap says to people. */
#include <stdio.h>

#include "core/json.h"
#include "core/overlap_parts.h"
#include "core/words.h"

enum { TEXT_MAX = 8000, TOLD_MAX = 3 };

static const char *word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static const json_t *side(const json_t *row, size_t i)
{
    return json_array_get(json_object_get(row, "experiments"), i);
}

/* The name of the i-th experiment's variant of this key; "" for its control. */
static const char *variant_name(const json_t *row, size_t i, const char *key)
{
    const json_t *variants = json_object_get(side(row, i), "variants");
    size_t v;
    json_t *variant;
    json_array_foreach(variants, v, variant) if (!*key || strcmp(word(variant, "key"), key) ==
                                                              0) return word(variant, "name");
    return key;
}

static void figure(const json_t *metric, const json_t *array, size_t i, char out[WORDS_FIGURE])
{
    words_effect(json_number_value(json_array_get(array, i)), false, word(metric, "unit"), out);
}

static void range_words(const json_t *metric, const json_t *contrast, struct text *out)
{
    char low[WORDS_FIGURE], high[WORDS_FIGURE];
    const json_t *interval = json_object_get(contrast, "interval");
    figure(metric, interval, 0, low);
    figure(metric, interval, 1, high);
    text_printf(out, "%s to %s", low, high);
}

void overlap_words_contrast(const json_t *row, const json_t *metric, const json_t *contrast,
                            struct text *out)
{
    const json_t *effects = json_object_get(contrast, "effects"),
                 *variants = json_object_get(contrast, "variants");
    const char *first = json_string_value(json_array_get(variants, 0)),
               *second = json_string_value(json_array_get(variants, 1));
    char without[WORDS_FIGURE], with[WORDS_FIGURE];
    if (json_array_size(effects) != 2) {
        text_printf(out, "%s: no figure at present", word(metric, "name"));
        return;
    }
    figure(metric, effects, 0, without);
    figure(metric, effects, 1, with);
    text_printf(out,
                "%s: \"%s\" of %s changes it by %s where %s gives \"%s\", by %s where it "
                "gives \"%s\" (difference ",
                word(metric, "name"), variant_name(row, 0, first), word(side(row, 0), "name"),
                without, word(side(row, 1), "name"), variant_name(row, 1, ""), with,
                variant_name(row, 1, second));
    range_words(metric, contrast, out);
    text_puts(out, ", valid at any time)");
}

/* --- a pair --------------------------------------------------------------------------------- */

/* Calls visit with each contrast of a row; stops where it returns false. */
static void each(const json_t *row,
                 bool (*visit)(void *data, const json_t *row, const json_t *metric,
                               const json_t *contrast),
                 void *data)
{
    size_t i, k;
    json_t *metric, *contrast;
    json_array_foreach(json_object_get(row, "metrics"), i, metric)
        json_array_foreach(json_object_get(metric, "contrasts"), k,
                           contrast) if (!visit(data, row, metric, contrast)) return;
}

struct summary {
    size_t tested, found, untested;
    const json_t *metric, *contrast; /* the first that was tested */
    const char *error;               /* of the first that was not */
    struct text *out;                /* of the first found */
};

static bool summarise(void *data, const json_t *row, const json_t *metric, const json_t *contrast)
{
    struct summary *summary = data;
    bool tested = json_is_number(json_object_get(contrast, "estimate"));
    if (tested && summary->tested++ == 0) {
        summary->metric = metric;
        summary->contrast = contrast;
    }
    if (!tested && summary->untested++ == 0)
        summary->error = word(contrast, "error");
    if (json_is_string(json_object_get(contrast, "significant_since")) &&
        summary->found++ < TOLD_MAX) {
        text_puts(summary->out, summary->found > 1 ? "; " : "");
        overlap_words_contrast(row, metric, contrast, summary->out);
    }
    return true;
}

static json_int_t fewest_of(const json_t *row)
{
    size_t l, k;
    json_t *line, *cell;
    json_int_t fewest = INT64_MAX;
    json_array_foreach(json_object_get(row, "cells"), l, line)
        json_array_foreach(line, k, cell) if (json_integer_value(cell) < fewest) fewest =
            json_integer_value(cell);
    return fewest;
}

static void too_early_words(const json_t *row, const struct summary *summary, struct text *out)
{
    const json_t *metrics = json_object_get(row, "metrics");
    if (json_array_size(metrics) == 0)
        text_puts(out, "Neither has a primary or guardrail metric to test");
    else if (fewest_of(row) < INTERACTION_UNITS_MIN)
        text_printf(out,
                    "Not enough customers in both yet: %d are needed of each combination of "
                    "variants, the smallest has %lld",
                    INTERACTION_UNITS_MIN, (long long)fewest_of(row));
    else if (summary->error)
        text_printf(out, "Not enough seen in both yet: %s", summary->error);
    else
        text_printf(out, "Not tested: %s %s", word(json_array_get(metrics, 0), "name"),
                    word(json_array_get(metrics, 0), "error"));
}

void overlap_words_row(json_t *row)
{
    struct text text, found;
    text_init(&text, TEXT_MAX);
    text_init(&found, TEXT_MAX);
    struct summary summary = {.out = &found};
    each(row, summarise, &summary);
    const char *a = word(side(row, 0), "name"), *b = word(side(row, 1), "name");
    if (summary.found) {
        text_printf(&text, "%s and %s depend on each other. %s", a, b, found.ptr);
    } else if (summary.tested) {
        text_printf(&text, "%s and %s work independently as far as we can tell (%s: difference ", a,
                    b, word(summary.metric, "name"));
        range_words(summary.metric, summary.contrast, &text);
        text_puts(&text, ")");
    } else {
        too_early_words(row, &summary, &text);
    }
    json_object_set_new(row, "interaction",
                        json_string(summary.found    ? "found"
                                    : summary.tested ? "none-seen"
                                                     : "too-early"));
    json_object_set_new(row, "text", json_stringn(text.ptr, text.len));
    text_release(&text);
    text_release(&found);
}

/* --- the note for health -------------------------------------------------------------------- */

struct note {
    const json_t *other;
    json_t *evidence;
};

static bool add_evidence(void *data, const json_t *row, const json_t *metric,
                         const json_t *contrast)
{
    const struct note *note = data;
    (void)row;
    if (json_is_string(json_object_get(contrast, "significant_since")))
        json_array_append_new(note->evidence,
                              json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "experiment",
                                        json_object_get(note->other, "key"), "metric",
                                        json_object_get(metric, "key"), "variants",
                                        json_object_get(contrast, "variants"), "effects",
                                        json_object_get(contrast, "effects"), "estimate",
                                        json_object_get(contrast, "estimate"), "interval",
                                        json_object_get(contrast, "interval"), "since",
                                        json_object_get(contrast, "significant_since")));
    return true;
}

/* Which of the two of a row the experiment is; -1: neither. */
static int place_in(const struct overlap_row *row, uint32_t number, uint16_t phase)
{
    for (int i = 0; i < 2; i++)
        if (row->numbers[i] == number && row->phases[i] == phase)
            return i;
    return -1;
}

json_t *overlap_words_note(const struct overlap_rows *rows, uint32_t number, uint16_t phase)
{
    struct text found, fine;
    size_t independent = 0, told = 0;
    json_t *evidence = json_array(), *note = NULL;
    text_init(&found, TEXT_MAX);
    text_init(&fine, TEXT_MAX);
    for (size_t i = 0; i < rows->count; i++) {
        const struct overlap_row *row = &rows->list[i];
        int place = place_in(row, number, phase);
        const char *is = word(row->json, "interaction");
        if (place < 0)
            continue;
        struct note here = {side(row->json, (size_t)(1 - place)), evidence};
        each(row->json, add_evidence, &here);
        if (strcmp(is, "found") == 0 && told++ < TOLD_MAX)
            text_printf(&found, "%s%s", told > 1 ? ". " : "", word(row->json, "text"));
        if (strcmp(is, "none-seen") == 0 && independent++ == 0)
            text_puts(&fine, word(row->json, "text"));
    }
    if (independent > 1) {
        text_clear(&fine);
        text_printf(&fine, "Works independently of %zu other experiments as far as we can tell",
                    independent);
    }
    if (told || independent)
        note = json_pack("{s:s, s:s, s:O}", "status", told ? "warn" : "ok", "text",
                         told ? found.ptr : fine.ptr, "evidence", evidence);
    json_decref(evidence);
    text_release(&found);
    text_release(&fine);
    return note;
}
