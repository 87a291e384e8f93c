/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results as text for a terminal: what the page shows, in lines. */
#ifndef UPLIFT_CLI_REPORT_H
#define UPLIFT_CLI_REPORT_H

#include <jansson.h>
#include <stdio.h>

void report_print(const json_t *results, FILE *out);

#endif
