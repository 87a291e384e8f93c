/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words: figures as people read them, for headlines, reasons and health. The page writes its own
 * figures by the reader's language; these are the English sentences that the API gives along.
 *
 * `metric` is a metric of results: its effect, unit, method and alpha say how a figure is read. */
#ifndef UPLIFT_CORE_WORDS_H
#define UPLIFT_CORE_WORDS_H

#include <jansson.h>

#include "core/text.h"

enum { WORDS_FIGURE = 48 };

/* "+6.1%", "-4.0 points", "+0.31": an effect. `unit` is "share", "number" or "points". */
void words_effect(double value, bool relative, const char *unit, char out[WORDS_FIGURE]);
/* The same by the metric's own effect and unit; "open" where `value` is no number. */
void words_change(const json_t *metric, const json_t *value, char out[WORDS_FIGURE]);
/* A size without its sign: "2.0%", "1.0 points". */
void words_size(const json_t *metric, double value, char out[WORDS_FIGURE]);
/* "18.20%", "+31.0", "4.31": the level of an arm. */
void words_level(const json_t *metric, double value, char out[WORDS_FIGURE]);
/* "48,640". */
void words_count(double value, char out[WORDS_FIGURE]);
/* "Purchases +6.1% (95% valid at any time: +2.0% to +10.3%)"; "Purchases: no figure yet (WHY)"
 * without an estimate. */
void words_comparison(const json_t *metric, const json_t *comparison, struct text *out);

#endif
