/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words: figures of results as people read them, in English. The same everywhere: decision, health,
 * report. Pure; any thread. */
#ifndef UPLIFT_CORE_WORDS_H
#define UPLIFT_CORE_WORDS_H

#include <jansson.h>
#include <stdbool.h>

#include "core/text.h"

enum { WORDS_FIGURE = 48 };

/* "+6.1%", "-4.0 points", "+0.12": a change. `unit` is "share", "number" or "points"; a share's
 * absolute change is in points too. What rounds to nothing has no sign. */
void words_effect(double value, bool relative, const char *unit, char out[WORDS_FIGURE]);
/* The same for a figure of a metric of results; "open" where `value` is no number. */
void words_change(const json_t *metric, const json_t *value, char out[WORDS_FIGURE]);
/* "2.0%", "1.0 points": the size of a change, without a sign. */
void words_size(const json_t *metric, double value, char out[WORDS_FIGURE]);
/* "48,640"; rounded to a whole number. */
void words_count(double value, char out[WORDS_FIGURE]);
/* "about 6 to 9 more days", "at least 12 more days" where high is infinite. */
void words_days(double low, double high, char out[WORDS_FIGURE]);
/* "Purchases +6.1% (95% valid at any time, range +2.0% to +10.3%)", or that there is no figure
 * yet, and why. An end that is open is said as "at least" or "at most". */
void words_comparison(const json_t *metric, const json_t *comparison, struct text *out);

#endif
