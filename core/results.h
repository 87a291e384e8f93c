/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results: what was gathered of a phase, as the JSON that is shown (model.md), without its looks.
 * Of nothing but what it is given, so that a look can be made once more from history (replay.h).
 * Any thread. */
#ifndef UPLIFT_CORE_RESULTS_H
#define UPLIFT_CORE_RESULTS_H

#include <jansson.h>

#include "core/error.h"
#include "core/gathered.h"

/* Folded (folded.h); new reference, or NULL with *err. */
json_t *results_make(const struct gathered *g, struct error *err);
/* Customers exposed, all variants together. */
json_int_t results_exposed(const json_t *results);

#endif
