/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folded results. Nine tenths of results are the figures of segments, which nobody but the reader
 * looks at: making a tree of them, writing it out and freeing it was most of the time of an answer.
 * So results_make leaves them as text: `metrics` of an item of `segments` is a string that holds
 * its JSON. Whoever writes results out does it by these functions, which take those that are not
 * folded too, as an earlier look's. Any thread. */
#ifndef UPLIFT_CORE_FOLDED_H
#define UPLIFT_CORE_FOLDED_H

#include <jansson.h>

#include "core/json_write.h"

/* Through a writer of text. */
void folded_write(struct json_writer *w, const char *name, const json_t *results);
/* Compact text; the caller frees it with free(). */
char *folded_text(const json_t *results);

#endif
