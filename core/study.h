/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study: sufficient statistics in, a statistical report out, both JSON. The one interface between
 * what was counted and what stats/ computes: `uplift analyze`, the server and the importer all go
 * through it. Its fields are those of uplift-analyze(1); formulas and sources stand in stats/.
 *
 * A study:
 *   design     all optional. method (sequential), alpha (0.05), sides (two), effect (relative),
 *              tuning (5000), correction (none); mixture_variance, prior, spending, best_arm,
 * schedule; relative: delta (the default) or fieller, by which the range of a relative effect is
 *              Fieller's and its test that of the absolute one (stats/fieller.h)
 *   variants   the first is the control: key, weight (1), exposed (in all or in none), levels (in
 *              all or in none): the level of each factor, {"layout": "grid", "tone": "soft"}
 *   metrics    key, kind, goal (increase), arms in the order of the variants, or strata:
 *              [{key, arms}]; method, effect, alpha and sides override the design; role; margin;
 *              segments: [{segment, value, arms or strata}]; before; respondents of nps and csat,
 *              whose arms may carry asked
 *   srm_strata optional, instead of variants[].exposed, where weights changed on the way:
 *              [{"key": "epoch-1", "weights": [1, 1], "exposed": [4040, 3960]}], one item a variant
 *              in both lists. Each stratum is tested against its own weights, and the statistics
 *              are added (chi-squared and df; log Bayes factors). The report's `srm` looks the
 * same.
 *   srm_before optional: the smallest sequential p-value of the sample ratio at earlier looks. The
 *              report's is the smaller of both, and decides `mismatch`.
 *
 * Every metric of the report has `method_text`: {computed, assumption, source}, plain words of what
 * its figures are, what they take for granted, and who says so.
 *
 * `before` of a metric: what its earlier looks showed, one item a treatment, each null or
 * {"p_value": 0.03, "interval": [0.01, 0.2]}. For methods that are valid at every look the smallest
 * p-value of all looks and what all intervals hold together are valid too (stats/sequential.h), so
 * the report's `p_value`, `interval` and what follows of them (`p_adjusted`, `significant`,
 * `non_inferior`) are those of all looks, and `now`: {interval, p_value} is this look alone. Where
 * the intervals hold nothing together, `drift` is true: the effect has changed over time, nothing
 * is narrowed, and all figures are those of this look. `e_value` is always this look's, as the
 * largest of several is none. An item may have `strata`, the number that the report gave: where
 * fewer are left now, since two were merged, the earlier looks were about another effect;
 * `restarted` is true, and all figures are those of this look.
 *
 * `scheduled` (stats/scheduled.h) is for an experiment that is watched. `design.schedule`:
 * {"horizon": 20000, "customers": 5400, "look": true} has the customers planned and those exposed,
 * and whether this is one of the looks at which something may be claimed. `looks` of a metric, one
 * item a treatment, each null or {"information": [...], "share": [...], "critical": [...]}, is what
 * the report's comparison gave as `looks` at the look before; the report's has the present one
 * added. Between looks nothing is added, and the interval is that of `before`, or open. After the
 * first look at a share of 1 the interval is at every moment what `before` and the confidence
 * sequence hold together. `significant` says that the interval leaves out 0; there is no p-value.
 * Surveys with fewer than 100 answers in an arm wait for their first look. Segments are read by the
 * sequential method.
 *
 * A mean with `cap_percentile` (50 to 100, both excluded) is capped at that percentile of all units
 * of all arms and strata: its arms are {"n": 9, "bins": [{"low", "high", "n", "sum", "sum_sq"}]},
 * with pre_sum, pre_sum_sq and pre_sum_post in all bins or in none, in increasing order. low and
 * high may be equal. Bins of different arms are the same or lie apart. The report's metric gives
 * `cap`, the upper end of the bin in which the percentile lies; segments have the same cap; the
 * covariate has none.
 *
 * Kind quantile, with `quantile` (0.5 to 0.99), compares that quantile (stats/quantile.h): its arms
 * are {"bins": [{"low", "high", "n"}]}, methods sequential and exact, both the same, two-sided. In
 * the report its arms' `mean` is null, `quantile` is the estimate and `interval` its range. Strata
 * are pooled, as quantiles do not average, and the metric's `note` says so: where both the split
 * and the customers changed from one to the next, the difference holds that too.
 *
 * `levels`: all variants name the same factors (at most 32), each combination once (at most 256);
 * a factor's first level is the control's, the others follow as they come. Each metric then has
 *   factors    method; main: [{factor, level, reference, estimate, se, interval, p_value}];
 *              interactions: [{factors, statistic, df, p_value}]; cells: [{variant, mean, shrunk:
 *              {estimate, se}}]; best: the key of the best cell. Formulas: stats/factorial.h. What
 *              has no figures has `error`, the reason.
 * `best_arm`: true gives `best`: [{variant, probability, thompson, top_two}] to each primary
 * metric, to all where none has a role; stats/bestarm.h. Without an estimate for one of the
 * variants there is none for any, and `error` says which. At most 256 variants.
 *
 * Who answered (stats/response.h), for nps and csat. `asked`: how many an arm's answers are of, in
 * all arms or in none. `respondents`: strata of recorded segments,
 *     [{"segment": "device", "stratum": "ios", "exposed": [900, 910], "arms": [...]}]
 * with exposed and arms one item a variant. Rows of one segment (its name may be left out) are one
 * stratification, and their arms must sum to the metric's: what has no value of the segment is a
 * stratum too. Without `asked` those exposed in the first segment count as asked. Each comparison
 * then has `response`, all absolute, of this look alone and with the metric's strata pooled:
 *     rates [control, treatment], statistic, df, p_value   do both answer alike?
 *     naive              the difference among those who answered
 *     post_stratified, post_stratified_se, post_stratified_interval, post_stratified_by
 *                        the effect corrected by the segment whose respondents differ most clearly
 *                        between the arms (least p-value of composition); null without respondents
 *     sign_agrees        false where any segment's corrected effect has another sign than the naive
 *                        one; 0 has every sign; null where nothing can be compared
 *     balance            [{segment, control, treatment, composition}], each {statistic, df,
 *                        p_value}: those who answered against those exposed, by stratum, in each
 *                        arm; and the arms' respondents against each other
 *     by_segment         [{segment, post_stratified..., strata, merged, sign_agrees}]
 *     lee [low, high], lee_interval, lee_trimmed {variant, share}
 *                        bounds on the effect on those who would answer in either arm, and limits
 *                        around both
 * Intervals are by the metric's method; exact is read as sequential, bounds take no prior, and the
 * mixture of msprt is in the units of the metric's effect. A proper prior draws the interval alone,
 * not the figure that it stands beside. What is null says why in post_stratified_error and
 * lee_error. The metric has `response` {rates, statistic, df, p_value,
 * sequential_p_value} of all arms together; the last may be read at every look.
 *
 * Choices where the words leave one:
 *   - strata: a stratum with fewer than 2 units in an arm joins the one before it, the first the
 * one after it; theta is one for all strata. The arms' means use weights over all arms that have
 *     units; sd is that of all units together. exact takes strata too (stats/exact.h).
 *   - segments: Holm runs over the values of one segment, for each variant by itself, whatever the
 *     design's correction; the rest of the study is not in that family, nor the other way.
 *   - correction: metrics without a role, where others have one, are a family of their own.
 *   - each arm of nps and csat has `interval`, the exact range of its own score at its metric's
 *     alpha (stats/exact.h), whatever the method; all strata together.
 *   - exact uses counts alone: a covariate of its metric is checked and otherwise ignored.
 *   - factors: main effects are on the metric's scale, with interval and p-value by its method and
 * at its alpha, of this look alone; `correction` does not touch them. exact has none for sums of
 *     more than two arms: there they are those of the sequential method on the absolute scale, and
 *     factors.method says so; scheduled has no looks for them and is read so too. Interactions are
 * tested once, whatever the method: their p-value is not valid under peeking. `best` is null where
 * fewer than two cells have an estimate, and where they differ by no more than chance.
 *   - quantile metrics have no factors and no best: quantiles do not average over combinations, and
 *     have no standard error.
 *   - factors and best take an arm's mean as it stands in `arms`, over strata too: a covariate does
 *     not narrow them. */
#ifndef UPLIFT_CORE_STUDY_H
#define UPLIFT_CORE_STUDY_H

#include <jansson.h>
#include <stddef.h>

#include "core/error.h"
#include "core/json_write.h"

/* A study that is read and computed. One thread. */
struct study;

/* Analyses a study. Returns a new report (the caller owns it: json_decref), or NULL with *err:
 * ERROR_INVALID and the place. `study` is only read; thread-safe as long as
 * nobody changes it meanwhile. No figure of a report is NaN or infinite: a figure that there is not
 * is null, and a comparison without an estimate has "error". */
json_t *study_analyze(json_t *study, struct error *err);

/* The steps of it. Reads and computes; NULL with *err. `json` must outlive the study: keys borrow
 * from it. */
struct study *study_open(json_t *json, struct error *err);
void study_close(struct study **study);
/* The report, a new reference; without what metrics have as `segments` unless that is asked for, as
 * this is nine tenths of it and may be written straight to where it goes: */
json_t *study_report(struct study *study, bool segments);
/* How many values of a segment a metric was given; 0 also where there is no such metric. */
size_t study_segment_values(const struct study *study, const char *metric, const char *segment);
/* The members of that segment in the report but its name: heterogeneity and values. */
void study_write_segment(struct json_writer *w, struct study *study, const char *metric,
                         const char *segment);

#endif
