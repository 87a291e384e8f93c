/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures in English. A sign is always there for a change, and never for what rounds to nothing. */
#include "core/words.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static const char *word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static bool is_relative(const json_t *metric)
{
    return strcmp(word(metric, "effect"), "relative") == 0;
}

/* Enough digits that a small figure does not become 0.0, up to three. */
static int digits_for(double value)
{
    return value == 0 || value >= 0.095 ? 1 : value >= 0.0095 ? 2 : 3;
}

/* Without a sign. */
static void size_words(double value, bool relative, const char *unit, char out[WORDS_FIGURE])
{
    bool share = strcmp(unit, "share") == 0;
    if (relative)
        snprintf(out, WORDS_FIGURE, "%.*f%%", digits_for(value * 100), value * 100);
    else if (share)
        snprintf(out, WORDS_FIGURE, "%.*f points", digits_for(value * 100), value * 100);
    else if (strcmp(unit, "points") == 0)
        snprintf(out, WORDS_FIGURE, "%.1f points", value);
    else
        snprintf(out, WORDS_FIGURE, "%.3g", value);
}

/* Whether only zeros were written. */
static bool shows_nothing(const char *text)
{
    return strpbrk(text, "123456789") == NULL;
}

void words_effect(double value, bool relative, const char *unit, char out[WORDS_FIGURE])
{
    char size[WORDS_FIGURE];
    size_words(fabs(value), relative, unit, size);
    const char *sign = shows_nothing(size) ? "" : value < 0 ? "-" : "+";
    snprintf(out, WORDS_FIGURE, "%s%.40s", sign, size);
}

void words_change(const json_t *metric, const json_t *value, char out[WORDS_FIGURE])
{
    if (json_is_number(value))
        words_effect(json_number_value(value), is_relative(metric), word(metric, "unit"), out);
    else
        snprintf(out, WORDS_FIGURE, "open");
}

void words_size(const json_t *metric, double value, char out[WORDS_FIGURE])
{
    size_words(fabs(value), is_relative(metric), word(metric, "unit"), out);
}

void words_count(double value, char out[WORDS_FIGURE])
{
    char plain[WORDS_FIGURE];
    int len = snprintf(plain, sizeof plain, "%.0f", fabs(value) < 1e30 ? value : 0);
    int at = 0;
    for (int i = 0; i < len && at < WORDS_FIGURE - 2; i++) {
        out[at++] = plain[i];
        int left = len - 1 - i;
        if (left > 0 && left % 3 == 0 && plain[i] != '-')
            out[at++] = ',';
    }
    out[at] = '\0';
}

void words_days(double low, double high, char out[WORDS_FIGURE])
{
    double from = fmax(1, floor(low)), to = fmax(from, ceil(high));
    if (!isfinite(high))
        snprintf(out, WORDS_FIGURE, "at least %.0f more day%s", from, from > 1 ? "s" : "");
    else if (to > from)
        snprintf(out, WORDS_FIGURE, "about %.0f to %.0f more days", from, to);
    else
        snprintf(out, WORDS_FIGURE, "about %.0f more day%s", from, from > 1 ? "s" : "");
}

static void range_words(const json_t *metric, const json_t *interval, struct text *out)
{
    const json_t *ends[] = {json_array_get(interval, 0), json_array_get(interval, 1)};
    char low[WORDS_FIGURE], high[WORDS_FIGURE];
    words_change(metric, ends[0], low);
    words_change(metric, ends[1], high);
    if (!json_is_number(ends[0]) && !json_is_number(ends[1]))
        text_puts(out, "no range yet");
    else if (!json_is_number(ends[1]))
        text_printf(out, "at least %s", low);
    else if (!json_is_number(ends[0]))
        text_printf(out, "at most %s", high);
    else
        text_printf(out, "range %s to %s", low, high);
}

static const char *kind_of_range(const char *method)
{
    static const struct {
        const char *method, *words;
    } kinds[] = {{"fixed", ""}, {"bayesian", "credible, "}, {"scheduled", "valid at each look, "}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(method, kinds[i].method) == 0)
            return kinds[i].words;
    return "valid at any time, ";
}

void words_comparison(const json_t *metric, const json_t *comparison, struct text *out)
{
    char estimate[WORDS_FIGURE];
    const json_t *alpha = json_object_get(metric, "alpha");
    const char *why = word(comparison, "error");
    double level = 100 * (1 - (json_is_number(alpha) ? json_number_value(alpha) : 0.05));
    if (!json_is_number(json_object_get(comparison, "estimate"))) {
        text_printf(out, *why ? "%s: no figure yet (%s)" : "%s: no figure yet",
                    word(metric, "name"), why);
        return;
    }
    words_change(metric, json_object_get(comparison, "estimate"), estimate);
    text_printf(out, "%s %s (%.4g%% %s", word(metric, "name"), estimate, level,
                kind_of_range(word(metric, "method")));
    range_words(metric, json_object_get(comparison, "interval"), out);
    text_puts(out, ")");
}
