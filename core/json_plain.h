/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plain JSON, read in one pass: the way that nearly all documents go.
 *
 * Plain is what has no escapes in its text, no number of more than 15 digits or with an exponent,
 * no repeated members and at most 32 levels. It refuses nothing: whatever else comes, good or bad,
 * is left to jansson, which alone says what is wrong. Any thread. */
#ifndef UPLIFT_CORE_JSON_PLAIN_H
#define UPLIFT_CORE_JSON_PLAIN_H

#include <jansson.h>
#include <stddef.h>

/* What jansson would read, as a new reference; NULL where the document is not plain. */
json_t *json_plain(const char *bytes, size_t len);

#endif
