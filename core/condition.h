/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conditions: who is in an audience. The language and its meaning are those of the GrowthBook SDKs
 * (JavaScript's comparisons included), so that a decision taken in an app equals the server's.
 *
 * A condition is compiled once and then immutable: any thread may match with it at the same time.
 * Operators: $and $or $nor $not · $eq $ne $lt $lte $gt $gte $in $nin $ini $nini $all $alli $size
 * $elemMatch $exists $type $regex $regexi $veq $vne $vgt $vgte $vlt $vlte $inGroup $notInGroup. */
#ifndef UPLIFT_CORE_CONDITION_H
#define UPLIFT_CORE_CONDITION_H

#include <jansson.h>
#include <stdbool.h>

#include "core/error.h"
#include "core/json.h"

#define CONDITION_DEPTH_MAX 32

struct condition;

/* Compiles what a person wrote: unknown operators, operands of the wrong type, patterns that are
 * none or that SDKs read differently (condition_pattern.h), paths that mean something in JavaScript
 * only, and more than CONDITION_DEPTH_MAX levels are refused with their place. `json` is only read;
 * what is needed of it is kept by reference and must not be changed. NULL and *err on failure. */
struct condition *condition_compile(json_t *json, const struct json_place *place,
                                    struct error *err);
/* The same as an SDK takes it: what cannot be understood never matches. For the SDKs' own cases. */
struct condition *condition_compile_lenient(json_t *json, struct error *err);
/* NULL is fine. */
void condition_free(struct condition *condition);

/* Whether matching may look at this attribute. True also where only members of that name deeper
 * inside are looked at. */
bool condition_reads(const struct condition *condition, const char *name);

/* Whether the attributes (an object, or NULL) match. `groups` maps a saved group's name to its
 * array of values; NULL for none. A pattern that takes too long to match, or meets a text of more
 * than PATTERN_TEXT_MAX bytes, counts as not matching. */
bool condition_matches(const struct condition *condition, const json_t *attributes,
                       const json_t *groups);

#endif
