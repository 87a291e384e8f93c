/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results: what was gathered of a phase, as the JSON that is shown (model.md), without its looks.
 * For analysis.c. Reads what it is given and nothing else but when events came in. Any thread. */
#ifndef UPLIFT_CORE_RESULTS_H
#define UPLIFT_CORE_RESULTS_H

#include <jansson.h>

#include "core/error.h"
#include "core/gathered.h"

struct uplift;

/* New reference, or NULL with *err. */
json_t *results_make(struct uplift *uplift, const struct gathered *g, struct error *err);
/* Customers exposed, all variants together. */
json_int_t results_exposed(const json_t *results);

#endif
