/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An experiment: the whole definition of model.md, validated.
 *
 * An experiment is immutable from its parsing on and shared by an atomic count of references: read
 * it from any thread while holding one. What changes it (experiment_change.h) makes another one
 * with the same number. Everything a field points to belongs to the experiment.
 *
 * Defaults: name is the key; audience everyone; traffic 1; seed the key, in phase n > 1 the key,
 * "." and n; the value of a variant its key, where no variant gives one; weights equal, where no
 * variant gives one (weights are kept as given and only divided by their sum for use:
 * experiment_weights); segments, metrics, tags and
 * overrides none; sticky and evaluation_is_exposure false; no prerequisites; no holdout. Factors
 * without variants make the full factorial with equal weights and keys such as "grid-soft", the
 * first combination being the control.
 *
 * Number and version: the number is given once and never used again; it stands for the experiment
 * in store keys. The version grows by one with each change and is what ETags and If-Match carry. */
#ifndef UPLIFT_CORE_EXPERIMENT_H
#define UPLIFT_CORE_EXPERIMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bucket.h"
#include "core/design.h"
#include "core/error.h"
#include "core/metric.h"
#include "core/text.h"

#define EXPERIMENT_VARIANTS_MAX      64
#define EXPERIMENT_FACTORS_MAX       6
#define EXPERIMENT_SEGMENTS_MAX      10
#define EXPERIMENT_METRICS_MAX       100
#define EXPERIMENT_PREREQUISITES_MAX 10
#define EXPERIMENT_EPOCHS_MAX        1000
#define EXPERIMENT_PHASES_MAX        100
#define EXPERIMENT_REASON_MAX        1000

struct condition;

enum experiment_state {
    EXPERIMENT_DRAFT,
    EXPERIMENT_RUNNING,
    EXPERIMENT_PAUSED,
    EXPERIMENT_STOPPED,
    EXPERIMENT_ARCHIVED
};

struct factor {
    const char *key;
    const char **levels;
    size_t level_count; /* 2 or more */
};

struct variant {
    const char *key, *name; /* name is the key where left out */
    double weight;          /* as given, 0 or more; the sum of all is above 0 */
    json_t *value;          /* all have one type; json_deep_copy to keep it: no reference across
                             * threads */
    struct slice said;      /* "variant":…,"value":…: its part of an answer, as JSON */
    size_t *levels;         /* per factor an index into its levels; NULL without factors */
};

struct experiment_metric {
    const char *key;
    enum metric_role role;
};

/* Another experiment that must give a customer one of these variants, or this one lets nobody in.
 */
struct prerequisite {
    const char *experiment; /* its key */
    const char **variants;  /* their keys, 1 or more */
    size_t variant_count;
};

/* The experiments that a holdout keeps its customers out of: those named and those with one of the
 * tags; all of them where neither is given (holdout.h). */
struct holdout {
    const char **experiments;
    size_t experiment_count;
    const char **tags;
    size_t tag_count;
};

/* A stretch of one phase with the same weights and traffic. */
struct epoch {
    uint16_t phase;     /* from 1 on */
    int64_t started_at; /* ms; it ends where the next one starts */
    double traffic;
    double *weights; /* per variant of that phase, as given */
    const char *seed;
};

struct experiment {
    uint32_t number;
    const char *key, *name, *hypothesis, *owner; /* hypothesis and owner: "" where left out */
    const char **tags;
    size_t tag_count;
    enum experiment_state state;
    struct condition *audience; /* NULL: everyone */
    bool audience_reads_id;     /* it looks at the attribute "id", which is the customer's */
    double traffic;             /* (0, 1] */
    const char *layer_key;      /* NULL: in no layer */
    double layer_range[2];      /* within [0, 1], first below second */
    bool sticky;                /* the variant of the first exposure stays the customer's */
    const char *seed;
    struct prerequisite *prerequisites;
    size_t prerequisite_count;
    /* NULL: an experiment as others are. Else its first variant is who is held out, its second who
     * is not, and it has no audience, layer, overrides or prerequisites, and all the traffic. */
    struct holdout *holdout;
    struct factor *factors;
    size_t factor_count;
    struct variant *variants; /* the first is the control */
    size_t variant_count;     /* 2 to EXPERIMENT_VARIANTS_MAX */
    struct range *ranges;     /* of buckets, per variant, by its weight and the traffic */
    const char **segments;    /* names of attributes */
    size_t segment_count;
    /* Every segment that was ever listed, in the order in which they first were: records on disk
     * name a segment by its place here. */
    const char **segments_ever;
    size_t segments_ever_count;
    struct experiment_metric *metrics; /* primary, guardrail, secondary, each as given */
    size_t metric_count;
    struct design design;
    bool evaluation_is_exposure; /* what an SDK asks for alone counts as shown (http/ofrep.c) */
    int winner;                  /* a variant's index once stopped with one, else -1 */
    const char *stop_reason;     /* what was said of stopping it, or NULL */
    uint16_t phase;
    int64_t version;
    int64_t created_at, started_at, stopped_at; /* ms; -1: not yet. started_at: the first start */
    struct epoch *epochs;                       /* of all phases, in order of time */
    size_t epoch_count;                         /* 0 in a draft */
    /* past[i] is the definition that phase i + 1 ended with: its own epochs are not in it, but in
     * those of this experiment. */
    struct experiment **past;
    size_t past_count; /* phase - 1 */
    /* Private to experiment.c. */
    json_t *json;
    struct experiment_private *private;
};

/* A draft from a client's input. The server's fields (state, winner, version, phase, created_at,
 * started_at, stopped_at, epochs) must be absent, null, or what a fresh draft has. Metrics are not
 * looked up here (definitions.h does). `input` is only read and not kept. Returns one reference, or
 * NULL with *err: ERROR_INVALID with the place. */
struct experiment *experiment_create(json_t *input, uint32_t number, int64_t now,
                                     struct error *err);

/* From the text that experiment_stored wrote; ERROR_CORRUPT where it is none. */
struct experiment *experiment_from_stored(const char *text, size_t len, struct error *err);
/* The stored form: the definition, the server's fields, the number and past phases. The caller
 * frees it with free(). Reading it back gives an equal experiment, to the last bit. */
char *experiment_stored(const struct experiment *experiment);
/* The same as JSON: a new reference whose members may be replaced, not changed. */
json_t *experiment_whole(const struct experiment *experiment);

/* The definition for the API, defaults filled in and the server's fields with it: borrowed, must
 * not be changed. */
const json_t *experiment_json(const struct experiment *experiment);

/* One more reference to an experiment; returns it. */
struct experiment *experiment_ref(const struct experiment *experiment);
/* Gives one back and nulls the pointer; NULL is fine. */
void experiment_unref(struct experiment **experiment);

/* "draft", "running", …; static. */
const char *experiment_state_word(enum experiment_state state);

/* Whether customers get a value of it: it is running, paused or stopped. */
bool experiment_decides(const struct experiment *experiment);

/* A variant's levels by the keys of the factors, {"layout": "grid"}: a new reference. */
json_t *experiment_levels(const struct experiment *experiment, const struct variant *variant);
/* The index of the variant, or -1. */
int experiment_variant(const struct experiment *experiment, struct slice key);
/* The index of the variant that an override gives to this customer, or -1. */
int experiment_override(const struct experiment *experiment, struct slice customer);
/* All overrides, customer to key of variant; NULL where there are none. Borrowed. */
const json_t *experiment_overrides(const struct experiment *experiment);

/* The margin and the smallest effect worth having of a primary or guardrail metric, by its key, as
 * they were in force when the phase started: those decide, whatever becomes of the metric. False
 * where none were kept: a draft, another metric, or a store from before they were. */
bool experiment_limits(const struct experiment *experiment, const char *metric, double *margin,
                       double *min_effect);

/* The weights divided by their sum, into out[variant_count]. */
void experiment_weights(const struct experiment *experiment, double *out);

/* The definition as it was in a phase: the experiment itself for the present phase, an earlier one
 * from `past`, NULL for a phase that never was. */
const struct experiment *experiment_in_phase(const struct experiment *experiment, int phase);
/* The index of the epoch in force at a time (ms), or -1 before the first. */
int experiment_epoch_at(const struct experiment *experiment, int64_t at);
/* The time at which a phase started, or -1. */
int64_t experiment_phase_start(const struct experiment *experiment, int phase);
/* The time before which the phase ended: the start of the next one, or stopped_at; INT64_MAX for
 * the present one while it is not stopped. */
int64_t experiment_phase_end(const struct experiment *experiment, int phase);

#endif
