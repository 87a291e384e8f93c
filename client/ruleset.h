/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a ruleset, for ruleset.c, which makes them, and feature.c, which reads. */
#ifndef UPLIFT_CLIENT_RULESET_H
#define UPLIFT_CLIENT_RULESET_H

#include "client/feature.h"
#include "core/bucket.h"
#include "core/condition.h"

struct ruleset_filter {
    const char *attribute, *seed;
    int version;
    struct range *ranges;
    size_t range_count;
};

struct ruleset_parent {
    const char *feature;
    const struct condition *condition;
    bool gate;
};

struct ruleset_variation {
    const char *key; /* of its meta, else its index */
    struct feature_value value;
    bool passes;    /* the rules after it go on */
    int stands_for; /* of a holdout: the variation of the feature's experiment, or -1 */
};

struct ruleset_rule {
    struct ruleset_parent *parents;
    size_t parent_count;
    struct ruleset_filter *filters;
    size_t filter_count;
    const struct condition *condition; /* NULL: everyone */
    const char *attribute, *seed;
    int version;
    /* A force rule. */
    bool forces, has_range, has_coverage;
    struct feature_value value;
    struct range range;
    double coverage;
    const char *forced_variant; /* key of the variant that is meant, or NULL … */
    int forced;                 /* … and its index, or -1 */
    bool holds_out;             /* the customers whom it is for, or who are not let pass */
    /* An experiment, where there are variations. */
    const char *key;
    struct ruleset_variation *variations;
    struct range *ranges;
    size_t variation_count, range_count;
    const char *space; /* namespace, or NULL */
    struct range space_range;
};

struct ruleset_feature {
    const char *key;
    struct feature_value value; /* the default */
    int forced;                 /* the variation whose value that is, or -1 */
    struct ruleset_rule *rules;
    size_t rule_count;
    const struct ruleset_rule
        *experiment;              /* the last rule that is one and does not pass, or NULL */
    struct ruleset_feature *next; /* of the same slot */
};

const struct ruleset_feature *ruleset_find(const struct ruleset *ruleset, const char *key);
/* Saved groups, or NULL. */
const json_t *ruleset_groups(const struct ruleset *ruleset);

#endif
