/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Payload: all experiments as GrowthBook's SDKs read them, so that they decide by themselves what
 * this server would (assign.h). This is the one place that knows how one becomes the other:
 *
 * An experiment is a feature of the same key whose default is the control's value.
 *   running  a force rule for each variant that overrides name, then one experiment rule: hash
 *            version 2, the seed, the weights, traffic as coverage, the audience as condition, the
 *            layer as a filter, the keys of the variants in meta; sticky as the version of buckets,
 *            prerequisites as parentConditions on the values of the variants named
 *   stopped  with a winner: its value, by a force rule where there is an audience or a prerequisite
 *   paused, stopped without a winner: the control's value alone
 * A holdout is a rule in each experiment that it covers, behind the overrides and before all
 * others: an experiment of the holdout's key for those who would be in (their traffic is a filter),
 * whose variant of who is not held out passes on to the next rule, so that both are tracked at the
 * same moment; where nothing is to be tracked (a winner, prerequisites) a force rule for who is
 * held out. Its own feature tells who is held out and tracks nothing. Drafts and archived
 * experiments are absent.
 *
 * Ids of customers in overrides, and audiences, are in the payload, and whoever has a client key
 * can read it. Consent is not: an SDK that decides by itself does not ask for it.
 *
 * A payload is immutable and shared by an atomic count of references: any thread. */
#ifndef UPLIFT_CORE_PAYLOAD_H
#define UPLIFT_CORE_PAYLOAD_H

#include <jansson.h>
#include <stdint.h>

#include "core/catalog.h"
#include "core/experiment.h"
#include "core/text.h"

#define PAYLOAD_TAG_MAX  36
#define PAYLOAD_DATE_MAX 40

struct payload {
    struct slice body;          /* the JSON document */
    struct slice event;         /* the same as a server-sent event, "features" */
    char tag[PAYLOAD_TAG_MAX];  /* of the document: 32 hexadecimal digits */
    int64_t at;                 /* ms: when it became what it is */
    uint64_t row;               /* of the trail, that made it so */
    _Atomic int64_t references; /* private */
};

/* The payload of a catalog as it is since `at`, by the row `row` of the trail: `before` again where
 * no feature is another than in that one (NULL: none). One reference. */
struct payload *payload_make(const struct catalog *catalog, int64_t at, uint64_t row,
                             struct payload *before);
struct payload *payload_ref(struct payload *payload);
/* Gives a reference back and nulls the pointer; NULL is fine. */
void payload_unref(struct payload **payload);

/* What SDKs compare to know a change: RFC 3339 with nanoseconds, of which the last six digits are
 * `part`. By the row of the trail two changes within a millisecond differ, after a restart too. */
const char *payload_date(int64_t at, uint64_t part, char out[PAYLOAD_DATE_MAX]);

/* The experiment of the catalog, which decides (experiment_decides), as a feature. New reference.
 */
json_t *payload_feature(const struct catalog *catalog, const struct experiment *experiment);
/* Its experiment rule without what tells who is in: no condition, no filters. New reference. */
json_t *payload_bare_rule(const struct experiment *experiment);

#endif
