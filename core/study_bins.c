/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, metrics by bins: means capped at a percentile of all arms together, and quantiles. Reading
 * their arms, computing, and what only they have in a report. */
#include <math.h>

#include "core/json.h"
#include "core/study_parts.h"
#include "core/study_write.h"
#include "stats/quantile.h"

/* How far sums may lie beyond what their bin allows, relative to its larger bound. */
static const double sum_slack = 1e-9;

/* --- reading --- */

bool study_read_bin_fields(json_t *json, const struct json_place *place,
                           struct study_metric *metric, struct error *err)
{
    bool mean = metric->kind == MOMENTS_MEAN, quantile = metric->kind == STUDY_QUANTILE;
    bool capped = study_given(json, "cap_percentile");
    if (capped && !mean)
        return json_fail_at(place, "cap_percentile", err, "is for kind mean only");
    if (!quantile && study_given(json, "quantile"))
        return json_fail_at(place, "quantile", err, "is for kind quantile only");
    if (!json_read_number(json, place, "cap_percentile", JSON_OPTIONAL, 50, 100,
                          &metric->cap_percentile, err) ||
        !json_read_number(json, place, "quantile", quantile ? JSON_REQUIRED : JSON_OPTIONAL, 0.5,
                          0.99, &metric->quantile, err))
        return false;
    if (capped && !(metric->cap_percentile > 50 && metric->cap_percentile < 100))
        return json_fail_at(place, "cap_percentile", err,
                            "must be between 50 and 100, both excluded");
    metric->binned = capped || quantile;
    return true;
}

static bool has_covariate(json_t *bin)
{
    return study_given(bin, "pre_sum") || study_given(bin, "pre_sum_sq") ||
           study_given(bin, "pre_sum_post");
}

static bool read_sum(json_t *bin, const struct json_place *place, const char *name, double n,
                     double least, double *out, struct error *err)
{
    if (!json_read_number(bin, place, name, JSON_REQUIRED, least, HUGE_VAL, out, err))
        return false;
    return n > 0 || *out == 0 || json_fail_at(place, name, err, "must be 0 where n is 0");
}

/* Whether n values within low..high may add up to this; also false where n values are too much for
 * a double. */
static bool may_be(double sum, double n, double low, double high)
{
    double slack = sum_slack * n * fmax(fabs(low), fabs(high));
    return sum >= n * low - slack && sum <= n * high + slack;
}

static bool read_sums(struct study_reader *reader, json_t *json, const struct json_place *place,
                      struct sketch_bin *bin)
{
    struct error *err = reader->err;
    struct moments_sums *sums = &bin->sums;
    double low_sq = bin->low * bin->low, high_sq = bin->high * bin->high;
    double least_sq = bin->low < 0 && bin->high > 0 ? 0 : fmin(low_sq, high_sq);
    bool has = has_covariate(json);
    if (!read_sum(json, place, "sum", sums->n, -HUGE_VAL, &sums->sum, err) ||
        !read_sum(json, place, "sum_sq", sums->n, 0, &sums->sum_sq, err))
        return false;
    if (!may_be(sums->sum, sums->n, bin->low, bin->high))
        return json_fail_at(place, "sum", err, "must lie between n low and n high");
    if (!may_be(sums->sum_sq, sums->n, least_sq, fmax(low_sq, high_sq)))
        return json_fail_at(place, "sum_sq", err, "must be one of n values between low and high");
    if (reader->bins_covariate < 0)
        reader->bins_covariate = has;
    if (has != (reader->bins_covariate > 0))
        return json_fail_at(place, "pre_sum", err,
                            "must be given for all bins of a metric or for none");
    return !has || (read_sum(json, place, "pre_sum", sums->n, -HUGE_VAL, &sums->other, err) &&
                    read_sum(json, place, "pre_sum_sq", sums->n, 0, &sums->other_sq, err) &&
                    read_sum(json, place, "pre_sum_post", sums->n, -HUGE_VAL, &sums->product, err));
}

static bool read_bin(struct study_reader *reader, json_t *json, const struct json_place *place,
                     const struct sketch_bin *before, struct sketch_bin *bin)
{
    static const char *const counted[] = {"low", "high", "n", NULL};
    static const char *const summed[] = {
        "low", "high", "n", "sum", "sum_sq", "pre_sum", "pre_sum_sq", "pre_sum_post", NULL};
    struct error *err = reader->err;
    bool quantile = reader->metric->kind == STUDY_QUANTILE;
    if (!json_check_fields(json, place, quantile ? counted : summed, err) ||
        !json_read_number(json, place, "low", JSON_REQUIRED, -HUGE_VAL, HUGE_VAL, &bin->low, err) ||
        !json_read_number(json, place, "high", JSON_REQUIRED, bin->low, HUGE_VAL, &bin->high,
                          err) ||
        !study_read_count(json, place, "n", &bin->sums.n, err))
        return false;
    if (before && (bin->low < before->high || (bin->high == before->low)))
        return json_fail_at(place, "low", err, "must not lie below the end of the bin before it");
    return quantile || read_sums(reader, json, place, bin);
}

bool study_read_bins(struct study_reader *reader, json_t *arm, const struct json_place *place,
                     struct sketch *out, struct moments *moments)
{
    static const char *const counted[] = {"bins", NULL}, *const summed[] = {"n", "bins", NULL};
    bool quantile = reader->metric->kind == STUDY_QUANTILE;
    struct json_place list = json_member(place, "bins");
    json_t *bins = NULL;
    double n = 0;
    if (!json_check_fields(arm, place, quantile ? counted : summed, reader->err) ||
        !(quantile || study_read_count(arm, place, "n", &n, reader->err)) ||
        !json_read_array(arm, place, "bins", JSON_REQUIRED, 0, SIZE_MAX, &bins, reader->err))
        return false;
    out->count = json_array_size(bins);
    out->bins = arena_alloc(&reader->study->arena, out->count * sizeof *out->bins);
    for (size_t i = 0; i < out->count; i++) {
        struct json_place item = json_item(&list, i);
        if (!read_bin(reader, json_array_get(bins, i), &item, i ? &out->bins[i - 1] : NULL,
                      &out->bins[i]))
            return false;
    }
    *moments = moments_empty(MOMENTS_MEAN, false);
    moments->n = sketch_n(out);
    return quantile || n == sketch_n(out) ||
           json_fail_at(place, "n", reader->err, "must be that of all bins together");
}

/* Room for the bins of many sketches, and where they are wanted as parts. */
struct pool {
    struct sketch *parts, whole;
    size_t count;
};

static struct pool pool_new(struct study *study, size_t most)
{
    return (struct pool){.parts = arena_alloc(&study->arena, most * sizeof(struct sketch))};
}

static void pool_add(struct pool *pool, const struct sketch *part)
{
    pool->parts[pool->count++] = *part;
    pool->whole.count += part->count;
}

static bool pool_up(struct study *study, struct pool *pool)
{
    pool->whole.bins = arena_alloc(&study->arena, pool->whole.count * sizeof *pool->whole.bins);
    return sketch_pool(pool->parts, pool->count, &pool->whole);
}

/* A quantile over strata is not a mean of theirs: the units of all count as one sample. */
bool study_pool_strata(struct study_reader *reader, const struct json_place *place,
                       struct study_arms *arms)
{
    struct study *study = reader->study;
    if (reader->metric->kind != STUDY_QUANTILE || arms->count < 2)
        return true;
    for (size_t v = 0; v < study->variant_count; v++) {
        struct pool pool = pool_new(study, arms->count);
        for (size_t i = 0; i < arms->count; i++)
            pool_add(&pool, &arms->bins[i][v]);
        if (!pool_up(study, &pool))
            return json_fail_at(place, "strata", reader->err,
                                "the bins of an arm must be the same in all strata, or lie apart");
        arms->bins[0][v] = pool.whole;
        arms->strata[0][v].n = sketch_n(&pool.whole);
    }
    arms->count = 1;
    arms->pooled = true;
    return true;
}

/* --- caps --- */

/* Fills the moments of all arms; false where a bin holds the cap inside. */
static bool cap_arms(const struct study_reader *reader, const struct study_metric *metric,
                     struct study_arms *arms)
{
    double cap = metric->has_cap ? metric->cap : HUGE_VAL;
    for (size_t i = 0; i < arms->count; i++)
        for (size_t v = 0; v < reader->study->variant_count; v++) {
            const struct sketch *sketch = &arms->bins[i][v];
            if (sketch_split_at(sketch, cap) < sketch->count)
                return false;
            arms->strata[i][v] = sketch_capped(sketch, cap, reader->bins_covariate > 0);
        }
    return true;
}

bool study_cap_metric(struct study_reader *reader, const struct json_place *place,
                      struct study_metric *metric)
{
    struct study *study = reader->study;
    if (!metric->binned || metric->kind == STUDY_QUANTILE)
        return true;
    struct pool pool = pool_new(study, metric->arms.count * study->variant_count);
    for (size_t i = 0; i < metric->arms.count; i++)
        for (size_t v = 0; v < study->variant_count; v++)
            pool_add(&pool, &metric->arms.bins[i][v]);
    if (!pool_up(study, &pool))
        return json_fail_at(place, "cap_percentile", reader->err,
                            "needs bins that are the same in all arms, or lie apart");
    metric->has_cap = sketch_cap(&pool.whole, metric->cap_percentile / 100, &metric->cap);
    cap_arms(reader, metric, &metric->arms);
    for (size_t i = 0; i < metric->segment_count; i++)
        if (!cap_arms(reader, metric, &metric->segments[i].arms))
            return json_fail_at(place, "segments", reader->err,
                                "must have no bin with the cap of all arms, %.17g, inside",
                                metric->cap);
    return true;
}

/* --- quantiles --- */

static struct quantile_plan plan_of(const struct study_metric *metric)
{
    const struct study_settings *settings = &metric->settings;
    return (struct quantile_plan){metric->quantile, settings->alpha, settings->tuning,
                                  (enum effect_scale)settings->effect};
}

void study_compare_quantile(const struct study_metric *metric, const struct study_arms *arms,
                            size_t variant, struct study_comparison *out)
{
    struct quantile_plan plan = plan_of(metric);
    struct quantile quantile = quantile_test(&arms->bins[0][0], &arms->bins[0][variant], &plan);
    out->problem = quantile.problem;
    out->estimate = quantile.estimate;
    out->inference = quantile.inference;
}

/* --- the report --- */

void study_write_quantile_arm(struct json_writer *w, const struct study *study,
                              const struct study_metric *metric, const struct study_arms *arms,
                              size_t variant)
{
    const struct sketch *sketch = &arms->bins[0][variant];
    const struct quantile_plan plan = plan_of(metric);
    struct interval range = {0};
    double value = NAN;
    sketch_quantile(sketch, metric->quantile, &value);
    json_write_object(w, NULL);
    json_write_string(w, "key", study->variants[variant].key);
    json_write_figure(w, "n", sketch_n(sketch));
    json_write_null(w, "mean");
    json_write_null(w, "sd");
    json_write_figure(w, "quantile", value);
    if (arms == &metric->arms)
        write_interval(w, "interval", quantile_range(sketch, &plan, &range), &range);
    json_write_end(w);
}

void study_report_bins(json_t *report, const struct study_metric *metric)
{
    if (metric->kind == STUDY_QUANTILE)
        json_object_set_new(report, "quantile", json_figure(metric->quantile));
    else if (metric->binned)
        json_object_set_new(report, "cap", json_figure(metric->has_cap ? metric->cap : NAN));
    if (metric->arms.pooled)
        json_object_set_new(report, "note",
                            json_string("the units of all strata count as one sample: quantiles "
                                        "have no weighted mean"));
}
