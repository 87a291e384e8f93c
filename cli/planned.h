/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Planned: what plan and simulate share, from the input to the report on standard output. */
#ifndef UPLIFT_CLI_PLANNED_H
#define UPLIFT_CLI_PLANNED_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/options.h"
#include "core/error.h"

/* Answers `input`, which is taken over and may be NULL with *err set, with a progress bar, and
 * writes the answer. Returns the exit code. */
int planned_report(const struct options *options, json_t *input, bool simulate, struct error *err);

#endif
