/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers: who has which range of which layer. A layer is there as long as an experiment that is not
 * archived names it; nobody defines one by itself. Any thread. */
#ifndef UPLIFT_CORE_LAYERS_H
#define UPLIFT_CORE_LAYERS_H

#include <jansson.h>
#include <stddef.h>

#include "core/error.h"
#include "core/text.h"

struct uplift;

/* {"layers": […], "next": KEY or null}: at most `limit` (1 to 1000) of them in order of their keys,
 * behind `after` ("" for the first). Each is
 *   {"key", "free": [[from, to], …], "free_share", "experiments": [{"key", "name", "state",
 * "range", "holds", "traffic", "created_at", "started_at", "stopped_at", "overlaps": [KEY, …]}, …]}
 * with experiments by where their ranges begin. Running and paused ones hold their ranges; free is
 * what none of them holds. `overlaps` are those who hold a part of the range of this draft, which
 * cannot be started as long as they do. New reference. */
json_t *uplift_layer_list(struct uplift *uplift, struct slice after, size_t limit);
/* One of them. New reference, or NULL with ERROR_NOT_FOUND. */
json_t *uplift_layer_get(struct uplift *uplift, struct slice key, struct error *err);

#endif
