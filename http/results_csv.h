/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results and looks as CSV (RFC 4180), for spreadsheets: the same figures as the JSON, in full.
 * Text that a spreadsheet would take for a formula is given an apostrophe in front. */
#ifndef UPLIFT_HTTP_RESULTS_CSV_H
#define UPLIFT_HTTP_RESULTS_CSV_H

#include <jansson.h>

#include "core/text.h"

/* Lines of comment that begin with "#" (experiment, time, level, method), then a header and a row
 * for each metric and variant. */
void results_csv(const json_t *results, struct text *out);
/* The same with a row for each look, metric and variant. */
void results_csv_looks(const json_t *results, struct text *out);

#endif
