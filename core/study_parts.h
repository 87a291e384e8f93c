/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, private: what a study is once it is read, for study*.c only.
 *
 * study_read.c and study_arms.c make it from JSON, study.c computes into its comparisons,
 * study_report.c writes it out, study_factors.c and study_best.c compute and write theirs.
 * Everything lives in one arena; keys borrow from the JSON. */
#ifndef UPLIFT_CORE_STUDY_PARTS_H
#define UPLIFT_CORE_STUDY_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/json.h"
#include "core/json_write.h"
#include "core/study.h"
#include "stats/bayes.h"
#include "stats/effect.h"
#include "stats/factorial.h"
#include "stats/group.h"
#include "stats/inference.h"
#include "stats/moments.h"
#include "stats/segment.h"
#include "stats/sketch.h"
#include "stats/srm.h"

enum study_method {
    STUDY_SEQUENTIAL,
    STUDY_MSPRT,
    STUDY_EXACT,
    STUDY_FIXED,
    STUDY_GROUP_SEQUENTIAL,
    STUDY_BAYESIAN,
    STUDY_SCHEDULED,
};
enum study_correction { STUDY_NONE, STUDY_HOLM, STUDY_BH, STUDY_E_BH };
enum study_goal { STUDY_INCREASE, STUDY_DECREASE };
enum study_role { STUDY_PRIMARY, STUDY_GUARDRAIL, STUDY_SECONDARY, STUDY_NO_ROLE };
/* A kind of metric beyond those of moments. */
enum { STUDY_QUANTILE = MOMENTS_CSAT + 1 };
enum study_answer { STUDY_CANNOT_TELL, STUDY_NO, STUDY_YES };

/* The words of the enumerations above and of effect_scale, sides and moments_kind (then quantile),
 * in their order; each list ends in NULL. */
extern const char *const study_method_words[];
extern const char *const study_kind_words[];
extern const char *const study_effect_words[];
extern const char *const study_correction_words[];
extern const char *const study_sides_words[];
extern const char *const study_relative_words[];

/* What holds for a metric: the design's, overridden by its own. */
struct study_settings {
    int method, effect, sides; /* enum study_method, effect_scale, sides */
    double alpha;
    double tuning;
    double mixture_variance;
    struct prior prior; /* on the relative effect */
    bool fieller;       /* see study_by_fieller */
};

/* The design's plan of looks, for group-sequential. */
struct study_spending {
    bool given;
    struct group group;
    size_t look; /* from 1 */
};

/* The plan of an experiment that is watched, for scheduled. */
struct study_schedule {
    bool given;
    double horizon, customers; /* planned, and exposed so far: all variants */
    bool look;                 /* whether this is one of its looks */
};

/* The scheduled looks of a comparison so far; with room for one more. */
struct study_looks {
    size_t count;
    double *information, *share, *critical;
    bool taken; /* the last of them is the present one */
};

/* What earlier looks showed of a comparison: their smallest p-value and what all their intervals
 * hold. Not given: nothing. */
struct study_before {
    bool given, has_interval;
    double p_value;
    struct interval interval;
    int64_t strata; /* how many the effect was stratified by; 0: not given */
};

/* A treatment against the control. */
struct study_comparison {
    enum effect_problem problem; /* all below is unset unless EFFECT_FINE */
    double estimate;
    bool has_se;
    struct effect effect;       /* set where has_se */
    struct inference inference; /* over all looks, where there were earlier ones */
    struct inference alone;     /* of this look, where the metric has `before` */
    bool drift;                 /* nothing is in both; inference is that of this look */
    bool restarted;             /* earlier looks were about other strata; likewise */
    size_t strata;              /* after merging those that are too small */
    bool has_critical, has_posterior;
    double critical;        /* group-sequential, scheduled: of the last look */
    struct bayes posterior; /* bayesian; estimate and interval are its own */
    double p_adjusted;      /* where inference.has_p_value */
    bool significant;
    enum study_answer non_inferior;
};

/* Arms of all variants: [variant] within a stratum. Without strata there is one. */
struct study_arms {
    struct moments **strata;
    size_t count;
    struct sketch **bins;                 /* the same, for a metric by bins; else NULL */
    bool pooled;                          /* there were several strata, made one */
    struct study_comparison *comparisons; /* [variant - 1] */
    double *asked;                        /* [variant], all strata together; NULL: not given */
};

struct study_segment {
    const char *segment, *value;
    struct study_arms arms;
};

/* One stratum of a recorded segment: who was exposed, and the answers of those who answered. */
struct study_respondents {
    const char *segment, *stratum; /* segment "": it has no name */
    size_t group;                  /* which segment: in the order in which they are first named */
    double *exposed;               /* [variant] */
    struct study_arms arms;
};

struct study_metric {
    const char *key;
    int kind, goal, role; /* enum moments_kind or STUDY_QUANTILE, study_goal, study_role */
    struct study_settings settings;
    bool has_margin;
    double margin;
    bool binned;           /* its arms come as bins */
    double quantile;       /* the level, of kind quantile */
    double cap_percentile; /* 0: not given */
    bool has_cap;          /* there are units to take it from */
    double cap;            /* of all arms together */
    struct study_arms arms;
    struct study_before *before; /* [variant - 1]; NULL where not given */
    struct study_looks *looks;   /* [variant - 1]; NULL unless scheduled */
    bool has_segments;
    struct study_segment *segments;
    size_t segment_count;
    struct study_respondents *respondents;
    size_t respondent_count, respondent_groups;
};

struct study_variant {
    const char *key;
    double weight, exposed;
};

/* The levels of the variants, and the design that they make. */
struct study_factors {
    struct factorial design; /* cells are variants */
    const char **keys;       /* [factor] */
    const char ***levels;    /* [factor][level], in order of first appearance */
};

/* The boundary that was computed last. */
struct study_boundary {
    bool known;
    double alpha;
    enum sides sides;
    double critical;
};

struct study {
    struct arena arena;
    struct study_boundary boundary;
    struct study_variant *variants;
    size_t variant_count; /* at least 2 */
    bool has_srm;
    struct srm srm;
    double srm_before; /* smallest sequential p-value of earlier looks; 1 */
    int correction;
    struct study_spending spending;
    struct study_factors *factors; /* NULL where variants have no levels */
    bool best_arm;
    struct study_schedule schedule;
    struct study_metric *metrics;
    size_t metric_count;
};

/* A study being read. */
struct study_reader {
    struct study *study;
    json_t *design; /* NULL where the study has none */
    struct study_settings settings;
    const struct study_metric *metric; /* whose arms are read */
    int bins_covariate;                /* whether its bins have one; -1: none was read yet */
    struct error *err;
};

/* Whether a member is there and not null. */
bool study_given(json_t *object, const char *name);
/* A number above 0; *out stays where it is not given. */
bool study_read_positive(json_t *object, const struct json_place *place, const char *name,
                         double *out, struct error *err);
/* Text of least to 1000 bytes that must be there. */
bool study_read_key(json_t *object, const struct json_place *place, const char *name, size_t least,
                    const char **out, struct error *err);
/* Refuses a key that is among the members of `seen`, and makes it one. */
bool study_once(json_t *seen, const char *key, const struct json_place *place, const char *name,
                struct error *err);
/* A count, and an array of so many: integers from 0 to 2^53 that must be there. */
bool study_read_count(json_t *object, const struct json_place *place, const char *name, double *out,
                      struct error *err);
bool study_read_counts(json_t *object, const struct json_place *place, const char *name,
                       size_t count, double *out, struct error *err);

/* `spending` of a design into study->spending, where it is given. */
bool study_read_spending(struct study *study, json_t *design, const struct json_place *place,
                         enum json_need look_need, struct error *err);

/* `arms` or `strata` of a metric or of a segment's value (study_arms.c). */
bool study_read_arms(struct study_reader *reader, json_t *object, const struct json_place *place,
                     int kind, struct study_arms *out);
/* `segments` of a metric; values of one segment come to lie together. */
bool study_read_segments(struct study_reader *reader, json_t *json, const struct json_place *place,
                         struct study_metric *metric);

/* `before` of a metric, and what follows of it for a computed comparison (study_before.c). */
bool study_read_before(struct study_reader *reader, json_t *json, const struct json_place *place,
                       struct study_metric *metric);
void study_narrow(struct study_comparison *comparison, const struct study_before *before);

/* Strata of all arms (study_cells.c), merged so that each has 2 units in every arm that has as many
 * at all. */
struct study_merged {
    struct moments *all;     /* [variant]: all strata together */
    bool *filled;            /* [variant]: whether it has 2 units; others take no part in merging */
    struct moments **strata; /* [stratum][variant] */
    size_t count;
};
struct study_merged study_merge(struct study *study, const struct study_arms *arms);
/* Each variant's mean, weighted over the merged strata by the units of all arms, with its variance
 * and without a covariate; where there is none its problem, and that in words, a new reference. */
struct effect_mean *study_cells(struct study *study, const struct study_arms *arms);
json_t *study_cell_error(const struct study *study, size_t variant, enum effect_problem problem);

/* `levels` of the list of variants, which were read; whether a metric has `factors`, which all have
 * but a quantile; and `factors`, a new reference (study_factors.c). */
bool study_read_levels(const struct study_reader *reader, json_t *list);
bool study_has_factors(const struct study *study, const struct study_metric *metric);
json_t *study_factors_report(struct study *study, const struct study_metric *metric);

/* Whether there are few enough variants for `best_arm`; whether a metric has `best`, which are the
 * primary ones, or all where none has a role, but no quantile; and `best`, a new reference
 * (study_best.c). */
bool study_judge_best(const struct study_reader *reader);
bool study_has_best(const struct study *study, const struct study_metric *metric);
json_t *study_best_report(struct study *study, const struct study_metric *metric);

/* `design.schedule`, `looks` of a metric, a comparison by them (its effect is computed), and
 * what to go on from (study_schedule.c). What has no looks of its own, as a segment's value, is
 * read by the sequential method. */
bool study_read_schedule(struct study *study, json_t *design, const struct json_place *place,
                         struct error *err);
bool study_read_looks(struct study_reader *reader, json_t *json, const struct json_place *place,
                      struct study_metric *metric);
void study_compare_scheduled(struct study *study, const struct study_metric *metric, size_t variant,
                             struct study_comparison *out);
json_t *study_looks_report(const struct study_looks *looks);

/* {computed, assumption, source}: what the figures of a metric are, in words (study_text.c). */
json_t *study_text_report(const struct study *study, const struct study_metric *metric);
/* Metrics by bins (study_bins.c). `cap_percentile` and `quantile` of a metric; one arm; the strata
 * of a quantile made one; and, once arms and segments are read, the cap and the moments under it.
 */
bool study_read_bin_fields(json_t *json, const struct json_place *place,
                           struct study_metric *metric, struct error *err);
bool study_read_bins(struct study_reader *reader, json_t *arm, const struct json_place *place,
                     struct sketch *out, struct moments *moments);
bool study_pool_strata(struct study_reader *reader, const struct json_place *place,
                       struct study_arms *arms);
bool study_cap_metric(struct study_reader *reader, const struct json_place *place,
                      struct study_metric *metric);
void study_compare_quantile(const struct study_metric *metric, const struct study_arms *arms,
                            size_t variant, struct study_comparison *out);
/* One of the `arms` of a quantile metric; and what metrics by bins have beside. */
void study_write_quantile_arm(struct json_writer *w, const struct study *study,
                              const struct study_metric *metric, const struct study_arms *arms,
                              size_t variant);
void study_report_bins(json_t *report, const struct study_metric *metric);
/* Whether the range of the effect is Fieller's: it is relative, and that was asked for. Bayesian
 * takes no notice of it. */
bool study_by_fieller(const struct study_settings *settings);
/* The range that is q standard errors wide to either side. */
struct interval study_range(const struct study_settings *settings, const struct effect *effect,
                            double q);
/* What a method says of an effect that is fine: fills `out` but for has_se (study.c). */
void study_infer(struct study *study, const struct study_settings *settings, int goal,
                 const struct effect *effect, struct study_comparison *out);

/* Who answered (study_response.c). `asked` of the arms that `object` has, whose answers are read;
 * `respondents` of a metric, once its arms are read. */
bool study_read_asked(struct study_reader *reader, json_t *object, const struct json_place *place,
                      struct study_arms *arms);
bool study_read_respondents(struct study_reader *reader, json_t *json,
                            const struct json_place *place, struct study_metric *metric);
/* `response` of a comparison, and of a metric, for arms that have `asked`. New references. */
json_t *study_response(struct study *study, const struct study_metric *metric,
                       const struct study_arms *arms, size_t variant);
json_t *study_response_rates(struct study *study, const struct study_arms *arms);

/* Fills a zeroed *study. False with *err on bad input; the caller releases the arena either way. */
bool study_read(json_t *json, struct study *study, struct error *err);
#endif
