/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between keys.c and uplift.c, and for nobody else: the life of the keys in memory. */
#ifndef UPLIFT_CORE_KEYS_PRIVATE_H
#define UPLIFT_CORE_KEYS_PRIVATE_H

#include <stdbool.h>

#include "core/error.h"

struct uplift;

/* Reads all keys from the store, before any other thread runs. */
bool keys_load(struct uplift *uplift, struct error *err);
void keys_unload(struct uplift *uplift);

#endif
