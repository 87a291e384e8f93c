/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Features: the GrowthBook payload, compiled to a ruleset, and decisions by it as GrowthBook's SDKs
 * take them.
 *
 * A ruleset is immutable and shared by an atomic count of references: any thread may decide by it
 * while it holds one. Members that are unknown are ignored, as in the SDKs; one that is known and
 * of a wrong type refuses the payload with its place, since a decision by half of a rule would be
 * a wrong one.
 *
 * Not here, since no payload of Uplift has them: sticky buckets, forced variations, what depends
 * on the page's address, contextual bandits, encrypted features. */
#ifndef UPLIFT_CLIENT_FEATURE_H
#define UPLIFT_CLIENT_FEATURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/text.h"

/* Parents are looked up this deep and this often in one decision; what goes beyond counts as a
 * cycle. */
#define FEATURE_DEPTH_MAX  64
#define FEATURE_STEPS_MAX  10000
#define FEATURE_PASSED_MAX 8

struct ruleset;

enum feature_source {
    FEATURE_UNKNOWN,
    FEATURE_DEFAULT,
    FEATURE_FORCE,
    FEATURE_EXPERIMENT,
    FEATURE_PREREQUISITE,
    FEATURE_CYCLIC
};

struct feature_value {
    json_t *json;
    const char *text; /* the same, compact */
};

/* What a customer was bucketed into: an exposure, once it is shown. */
struct feature_exposure {
    const char *experiment, *variant; /* keys */
    const char *seed;                 /* another one in each phase */
};

struct feature_result {
    enum feature_source source;
    const struct feature_value *value;
    const char *variant; /* key, or NULL */
    int index;           /* -1 without a variant */
    bool in_experiment;  /* of a holdout too, as the SDKs say */
    bool held_out; /* by a holdout: `variant` is what the experiment's would be, the control */
    double bucket; /* -1 where none was computed */
    /* The experiment that decided, last, after those that only let pass (holdouts). */
    struct feature_exposure exposures[FEATURE_PASSED_MAX];
    size_t exposure_count;
};

/* Returns one reference, or NULL and *err. A text without "features" is no payload. */
struct ruleset *ruleset_parse(const char *text, size_t len, struct error *err);
struct ruleset *ruleset_ref(struct ruleset *ruleset);
/* Gives one back and nulls the pointer; NULL is fine. */
void ruleset_unref(struct ruleset **ruleset);

/* Decides for attributes (an object with the customer as "id"). What the result points to belongs
 * to the ruleset. */
struct feature_result feature_decide(const struct ruleset *ruleset, const char *key,
                                     const json_t *attributes);

#endif
