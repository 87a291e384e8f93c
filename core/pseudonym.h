/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pseudonyms: ids of customers replaced at the door, so that no id is ever stored.
 *
 * A pseudonym is 32 letters of URL-safe base64: 16 bytes of the keyed BLAKE2b of the id, and 8
 * bytes by which the holder of the key knows it for a pseudonym of that key. So what comes out of a
 * store (an export, a customer's data) goes in again as it is, and the door may be passed twice.
 * Without the key nobody can tell whose it is, nor try ids; who loses the key file can find nobody
 * any more.
 *
 * Bucketing, overrides and conditions see the id as it came. Thread-safety: any, once opened. */
#ifndef UPLIFT_CORE_PSEUDONYM_H
#define UPLIFT_CORE_PSEUDONYM_H

#include <stdbool.h>

#include "core/error.h"
#include "core/store.h"
#include "core/text.h"

enum { PSEUDONYM_LENGTH = 32 };

struct pseudonym;

/* Opens the key of a store for the writer, *out NULL where there is none. The file holds 32 bytes
 * in hexadecimal; for a store in which nobody is yet it is made where it is missing, with random
 * bytes and mode 0600, and the store remembers a check value. `path` NULL: none is given, which is
 * an error where the store has pseudonyms and `needed`. ERROR_CONFLICT: the store has another key,
 * pseudonyms but no key was given, or customers without pseudonyms; ERROR_INVALID: no such file,
 * not a key, or readable by others than its owner. */
bool pseudonym_open(struct store *store, const char *path, bool needed, struct pseudonym **out,
                    struct error *err);
/* Forgets the key. */
void pseudonym_close(struct pseudonym **pseudonym);

/* The pseudonym of an id, in `room`; the id itself where it is one already, or where `pseudonym` is
 * NULL. */
struct slice pseudonym_of(const struct pseudonym *pseudonym, struct slice id,
                          char room[PSEUDONYM_LENGTH + 1]);

#endif
