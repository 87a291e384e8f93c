/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, who answered: `asked` of the arms of a survey and `respondents` of its metric, and what
 * they tell of a comparison (stats/response.h). Strata (epochs) of the metric are pooled here: the
 * question is who answered, not when. */
#include <float.h>
#include <math.h>

#include "core/json.h"
#include "core/study_parts.h"
#include "stats/response.h"

/* --- reading asked --- */

static bool read_asked_list(struct study_reader *reader, json_t *object,
                            const struct json_place *place, const struct moments *answers,
                            struct study_arms *arms)
{
    struct json_place list = json_member(place, "arms");
    json_t *items = json_object_get(object, "arms");
    for (size_t i = 0; i < reader->study->variant_count; i++) {
        struct json_place item = json_item(&list, i);
        json_t *arm = json_array_get(items, i);
        double asked = 0;
        if (study_given(arm, "asked") != (arms->asked != NULL))
            return json_fail_at(&item, "asked", reader->err,
                                "must be given for all arms of a metric or for none");
        if (!arms->asked)
            continue;
        if (!study_read_count(arm, &item, "asked", &asked, reader->err))
            return false;
        if (asked < answers[i].n)
            return json_fail_at(&item, "asked", reader->err,
                                "must be at least the number of answers");
        arms->asked[i] += asked;
    }
    return true;
}

bool study_read_asked(struct study_reader *reader, json_t *object, const struct json_place *place,
                      struct study_arms *arms)
{
    struct json_place list = json_member(place, "strata");
    json_t *strata = json_object_get(object, "strata");
    bool plain = !study_given(object, "strata");
    json_t *first = json_object_get(plain ? object : json_array_get(strata, 0), "arms");
    if (study_given(json_array_get(first, 0), "asked"))
        arms->asked =
            arena_alloc(&reader->study->arena, reader->study->variant_count * sizeof *arms->asked);
    if (plain)
        return read_asked_list(reader, object, place, arms->strata[0], arms);
    for (size_t i = 0; i < arms->count; i++) {
        struct json_place item = json_item(&list, i);
        if (!read_asked_list(reader, json_array_get(strata, i), &item, arms->strata[i], arms))
            return false;
    }
    return true;
}

/* --- reading respondents --- */

/* One arm over all strata. */
static struct moments everyone(const struct study_arms *arms, size_t variant)
{
    struct moments all = arms->strata[0][variant];
    for (size_t i = 1; i < arms->count; i++)
        all = moments_merge(&all, &arms->strata[i][variant]);
    return all;
}

static bool read_exposed(struct study_reader *reader, json_t *json, const struct json_place *place,
                         struct study_respondents *row)
{
    struct json_place exposed = json_member(place, "exposed"), arms = json_member(place, "arms");
    size_t count = reader->study->variant_count;
    row->exposed = arena_alloc(&reader->study->arena, count * sizeof *row->exposed);
    if (!study_read_counts(json, place, "exposed", count, row->exposed, reader->err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_item(&exposed, i), arm = json_item(&arms, i);
        if (study_given(json_array_get(json_object_get(json, "arms"), i), "asked"))
            return json_fail_at(&arm, "asked", reader->err, "is exposed of the stratum here");
        if (row->exposed[i] < row->arms.strata[0][i].n)
            return json_fail(&item, reader->err, "must be at least the number of answers");
    }
    return true;
}

/* The segments named so far: each one's number by its name, and the strata that it has. */
struct groups {
    json_t *numbers, *strata;
};

static bool join_group(struct groups *groups, struct study_respondents *row,
                       const struct json_place *place, struct error *err)
{
    json_t *number = json_object_get(groups->numbers, row->segment);
    row->group = number ? (size_t)json_integer_value(number) : json_array_size(groups->strata);
    if (!number && (json_object_set_new(groups->numbers, row->segment,
                                        json_integer((json_int_t)row->group)) != 0 ||
                    json_array_append_new(groups->strata, json_object()) != 0))
        error_fatal("out of memory while reading a study");
    return study_once(json_array_get(groups->strata, row->group), row->stratum, place, "stratum",
                      err);
}

static bool read_row(struct study_reader *reader, json_t *json, const struct json_place *place,
                     struct study_metric *metric, struct groups *groups,
                     struct study_respondents *row)
{
    static const char *const fields[] = {"segment", "stratum", "exposed", "arms", NULL};
    row->segment = "";
    return json_check_fields(json, place, fields, reader->err) &&
           (!study_given(json, "segment") ||
            study_read_key(json, place, "segment", 1, &row->segment, reader->err)) &&
           study_read_key(json, place, "stratum", 0, &row->stratum, reader->err) &&
           join_group(groups, row, place, reader->err) &&
           study_read_arms(reader, json, place, metric->kind, &row->arms) &&
           read_exposed(reader, json, place, row);
}

static bool same_answers(const struct moments *a, const struct moments *b)
{
    bool same = a->n == b->n && fabsl(a->n * a->x - b->n * b->x) < 0.5L;
    for (int i = 0; i < MOMENTS_CATEGORIES_MAX; i++)
        same = same && a->counts[i] == b->counts[i];
    return same;
}

/* Puts the strata of each segment together: a stable sort by the segment's number. */
static void sort_rows(struct study *study, struct study_metric *metric)
{
    size_t count = metric->respondent_count;
    struct study_respondents *sorted = arena_alloc(&study->arena, count * sizeof *sorted);
    size_t *next = arena_alloc(&study->arena, (metric->respondent_groups + 1) * sizeof *next);
    for (size_t i = 0; i < count; i++)
        next[metric->respondents[i].group + 1]++;
    for (size_t group = 0; group < metric->respondent_groups; group++)
        next[group + 1] += next[group];
    for (size_t i = 0; i < count; i++)
        sorted[next[metric->respondents[i].group]++] = metric->respondents[i];
    metric->respondents = sorted;
}

/* Every answer of the metric is in one stratum of each segment. */
static bool check_sums(struct study_reader *reader, const struct json_place *list,
                       const struct study_metric *metric)
{
    const struct study *study = reader->study;
    size_t count = study->variant_count, groups = metric->respondent_groups;
    struct moments *sums = arena_alloc(&reader->study->arena, groups * count * sizeof *sums);
    for (size_t i = 0; i < metric->respondent_count; i++)
        for (size_t v = 0; v < count; v++) {
            const struct study_respondents *row = &metric->respondents[i];
            struct moments *sum = &sums[row->group * count + v];
            *sum = moments_merge(sum, &row->arms.strata[0][v]);
        }
    for (size_t i = 0; i < groups * count; i++) {
        struct moments all = everyone(&metric->arms, i % count);
        if (!same_answers(&sums[i], &all))
            return json_fail(list, reader->err,
                             "must have all answers of the metric in each segment: those of %s do "
                             "not sum to them",
                             study->variants[i % count].key);
    }
    return true;
}

/* Without `asked` those exposed count as asked. */
static void ask_exposed(struct study *study, struct study_metric *metric)
{
    metric->arms.asked = arena_alloc(&study->arena, study->variant_count * sizeof(double));
    for (size_t i = 0; i < metric->respondent_count; i++)
        for (size_t v = 0; metric->respondents[i].group == 0 && v < study->variant_count; v++)
            metric->arms.asked[v] += metric->respondents[i].exposed[v];
}

bool study_read_respondents(struct study_reader *reader, json_t *json,
                            const struct json_place *place, struct study_metric *metric)
{
    json_t *list = NULL;
    struct json_place here = json_member(place, "respondents");
    bool survey = metric->kind == MOMENTS_NPS || metric->kind == MOMENTS_CSAT, fine = true;
    if (!json_read_array(json, place, "respondents", JSON_OPTIONAL, 0, SIZE_MAX, &list,
                         reader->err))
        return false;
    if (list && !survey)
        return json_fail(&here, reader->err, "is for nps and csat metrics only");
    struct groups groups = {json_object(), json_array()};
    metric->respondent_count = json_array_size(list);
    metric->respondents =
        arena_alloc(&reader->study->arena, metric->respondent_count * sizeof *metric->respondents);
    for (size_t i = 0; fine && i < metric->respondent_count; i++) {
        struct json_place item = json_item(&here, i);
        fine = read_row(reader, json_array_get(list, i), &item, metric, &groups,
                        &metric->respondents[i]);
    }
    metric->respondent_groups = json_array_size(groups.strata);
    json_decref(groups.numbers);
    json_decref(groups.strata);
    if (!fine)
        return false;
    sort_rows(reader->study, metric);
    if (metric->respondent_count && !metric->arms.asked)
        ask_exposed(reader->study, metric);
    return check_sums(reader, &here, metric);
}

/* --- the report --- */

static json_t *made(json_t *value)
{
    if (!value)
        error_fatal("out of memory while writing a report");
    return value;
}

static void put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, made(value)) != 0)
        error_fatal("out of memory while writing a report");
}

static json_t *figure_if(bool there, double value)
{
    return there ? json_figure(value) : json_null();
}

static json_t *ends_report(bool low, double low_value, bool high, double high_value)
{
    return made(json_pack("[o, o]", figure_if(low, low_value), figure_if(high, high_value)));
}

/* A test of one group has nothing to tell. */
static void put_test(json_t *report, const struct response_test *test)
{
    put(report, "statistic", figure_if(test->df > 0, test->statistic));
    put(report, "df", json_figure(test->df));
    put(report, "p_value", figure_if(test->df > 0, test->p_value));
}

static json_t *test_report(const struct response_test *test)
{
    json_t *report = json_object();
    put_test(report, test);
    return report;
}

/* What the metric's method says of an absolute effect; exact, which knows none with a standard
 * error, is read as sequential. The mixture of msprt is in the metric's own units, squared. */
static struct study_comparison infer(struct study *study, const struct study_metric *metric,
                                     const struct effect *effect, bool prior)
{
    struct study_comparison out = {0};
    struct study_settings settings = metric->settings;
    if (settings.method == STUDY_EXACT)
        settings.method = STUDY_SEQUENTIAL;
    if (settings.effect == EFFECT_RELATIVE && effect->base > 0)
        settings.mixture_variance =
            fmax(settings.mixture_variance * effect->base * effect->base, DBL_MIN);
    settings.effect = EFFECT_ABSOLUTE;
    settings.prior.proper = settings.prior.proper && prior;
    study_infer(study, &settings, metric->goal, effect, &out);
    return out;
}

/* --- one segment --- */

/* One segment's strata in a comparison. */
struct stratification {
    const char *segment;
    size_t count;
    struct effect_pair *answers;
    double *exposed; /* of both arms */
    struct response_stratum *numbers;
    struct segment_effect *work;
};

static struct stratification stratify(struct study *study, const struct study_respondents *rows,
                                      size_t count, size_t variant)
{
    struct stratification all = {
        .segment = rows[0].segment,
        .count = count,
        .answers = arena_alloc(&study->arena, count * sizeof *all.answers),
        .exposed = arena_alloc(&study->arena, count * sizeof *all.exposed),
        .numbers = arena_alloc(&study->arena, count * sizeof *all.numbers),
        .work = arena_alloc(&study->arena, count * sizeof *all.work),
    };
    for (size_t i = 0; i < count; i++) {
        const struct moments *arms = rows[i].arms.strata[0];
        const double *exposed = rows[i].exposed;
        all.answers[i] = (struct effect_pair){arms[0], arms[variant]};
        all.exposed[i] = exposed[0] + exposed[variant];
        all.numbers[i] = (struct response_stratum){exposed[0], (double)arms[0].n, exposed[variant],
                                                   (double)arms[variant].n};
    }
    return all;
}

static json_t *segment_name(const struct stratification *strata)
{
    return *strata->segment ? made(json_string(strata->segment)) : json_null();
}

/* Are those who answered, of one arm, spread over the strata as those exposed are? */
static struct response_test balance_of(struct study *study, const struct stratification *strata,
                                       bool treatment)
{
    double *answered = arena_alloc(&study->arena, strata->count * sizeof *answered);
    double *exposed = arena_alloc(&study->arena, strata->count * sizeof *exposed);
    for (size_t i = 0; i < strata->count; i++) {
        const struct response_stratum *here = &strata->numbers[i];
        answered[i] = treatment ? here->treatment_answered : here->control_answered;
        exposed[i] = treatment ? here->treatment_exposed : here->control_exposed;
    }
    return response_rates(answered, exposed, strata->count);
}

static json_t *balance_report(struct study *study, const struct stratification *strata,
                              const struct response_test *composition)
{
    struct response_test control = balance_of(study, strata, false);
    struct response_test treatment = balance_of(study, strata, true);
    return made(json_pack("{s:o, s:o, s:o, s:o}", "segment", segment_name(strata), "control",
                          test_report(&control), "treatment", test_report(&treatment),
                          "composition", test_report(composition)));
}

/* The corrected effect of one segment. *agrees becomes false where its sign is not the naive's. */
static json_t *corrected_report(struct study *study, const struct study_metric *metric,
                                const struct stratification *strata, bool has_naive, double naive,
                                bool *agrees)
{
    struct response_corrected corrected =
        response_post_stratify(strata->answers, strata->exposed, strata->count);
    const struct effect *effect = &corrected.effect;
    bool fine = !effect->problem, same = fine && response_agrees(naive, effect->estimate);
    json_t *report = json_object();
    struct study_comparison said = {0};
    if (fine)
        said = infer(study, metric, effect, true);
    const struct interval *interval = &said.inference.interval;
    bool known = fine && !said.problem;
    put(report, "segment", segment_name(strata));
    put(report, "post_stratified", figure_if(fine, effect->estimate));
    put(report, "post_stratified_se", figure_if(fine, effect->se));
    put(report, "post_stratified_interval",
        known
            ? ends_report(!interval->low_open, interval->low, !interval->high_open, interval->high)
            : json_null());
    put(report, "strata", json_figure((double)corrected.strata));
    put(report, "merged", json_figure((double)corrected.merged));
    put(report, "sign_agrees", fine && has_naive ? json_boolean(same) : json_null());
    if (!known)
        put(report, "post_stratified_error",
            json_string(effect_problem_words(fine ? said.problem : effect->problem)));
    *agrees = *agrees && (same || !fine || !has_naive);
    return report;
}

/* --- one comparison --- */

/* The figures of one segment's correction, as those of the comparison. */
static void put_main(json_t *report, const json_t *main)
{
    static const char *const names[] = {"post_stratified", "post_stratified_se",
                                        "post_stratified_interval", "post_stratified_error"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *value = json_object_get(main, names[i]);
        if (value)
            put(report, names[i], json_incref(value));
    }
    put(report, "post_stratified_by", json_incref(json_object_get(main, "segment")));
}

/* Without respondents nothing is corrected. */
static void put_uncorrected(json_t *report)
{
    put(report, "post_stratified", json_null());
    put(report, "post_stratified_se", json_null());
    put(report, "post_stratified_interval", json_null());
    put(report, "post_stratified_error", json_string("no respondents are given"));
    put(report, "sign_agrees", json_null());
    put(report, "balance", json_array());
    put(report, "by_segment", json_array());
}

/* The comparison's own correction is that of the segment in which the arms' respondents differ most
 * clearly. Only their difference moves an effect that is not there. */
static void put_corrected(json_t *report, struct study *study, const struct study_metric *metric,
                          size_t variant, bool has_naive, double naive)
{
    json_t *balance = json_array(), *segments = json_array();
    const json_t *main = NULL;
    bool agrees = true, known = false;
    double least = 2;
    const struct study_respondents *rows = metric->respondents;
    for (size_t first = 0, end; first < metric->respondent_count; first = end) {
        for (end = first + 1; end < metric->respondent_count; end++)
            if (rows[end].group != rows[first].group)
                break;
        struct stratification strata = stratify(study, &rows[first], end - first, variant);
        struct response_test composition =
            response_composition(strata.numbers, strata.count, strata.work);
        json_array_append_new(balance, balance_report(study, &strata, &composition));
        json_t *here = corrected_report(study, metric, &strata, has_naive, naive, &agrees);
        json_array_append_new(segments, here);
        known = known || json_is_boolean(json_object_get(here, "sign_agrees"));
        if (composition.p_value < least) {
            least = composition.p_value;
            main = here;
        }
    }
    put_main(report, main);
    put(report, "sign_agrees", known ? json_boolean(agrees) : json_null());
    put(report, "balance", balance);
    put(report, "by_segment", segments);
}

/* Limits around both bounds together: the low one's low end and the high one's high end. */
static json_t *limits_report(struct study *study, const struct study_metric *metric,
                             const struct response_lee *lee, const struct effect_pair *answers)
{
    double units = (double)(answers->control.n + answers->treatment.n);
    struct effect low = {.estimate = lee->low,
                         .se = lee->low_se,
                         .df = units - 2,
                         .units = units,
                         .base = (double)fabsl(answers->control.y)};
    struct effect high = low;
    high.estimate = lee->high;
    high.se = lee->high_se;
    if (!lee->has_se || !(low.df > 0))
        return json_null();
    struct study_comparison below = infer(study, metric, &low, false);
    struct study_comparison above = infer(study, metric, &high, false);
    const struct interval *from = &below.inference.interval, *to = &above.inference.interval;
    return ends_report(!from->low_open, from->low, !to->high_open, to->high);
}

static void put_bounds(json_t *report, struct study *study, const struct study_metric *metric,
                       const struct effect_pair *answers, const double *asked, size_t variant)
{
    struct response_lee lee = response_lee(answers, asked[0], asked[variant]);
    if (lee.problem) {
        put(report, "lee", json_null());
        put(report, "lee_interval", json_null());
        put(report, "lee_trimmed", json_null());
        put(report, "lee_error", json_string(effect_problem_words(lee.problem)));
        return;
    }
    put(report, "lee", ends_report(true, lee.low, true, lee.high));
    json_t *limits = limits_report(study, metric, &lee, answers);
    if (json_is_null(limits))
        put(report, "lee_error", json_string("too few answers, or all alike, for limits"));
    put(report, "lee_interval", limits);
    put(report, "lee_trimmed",
        json_pack("{s:s, s:o}", "variant", study->variants[lee.trims_treatment ? variant : 0].key,
                  "share", json_figure(lee.trimmed)));
}

static json_t *rates_list(const double *answered, const double *asked, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, figure_if(asked[i] > 0, answered[i] / asked[i]));
    return made(list);
}

json_t *study_response(struct study *study, const struct study_metric *metric,
                       const struct study_arms *arms, size_t variant)
{
    struct effect_pair all = {everyone(arms, 0), everyone(arms, variant)};
    const double answered[] = {(double)all.control.n, (double)all.treatment.n};
    const double asked[] = {arms->asked[0], arms->asked[variant]};
    struct response_test rates = response_rates(answered, asked, 2);
    double naive = 0;
    bool has_naive = response_naive(&all, &naive) == EFFECT_FINE;
    json_t *report = json_object();
    put(report, "rates", rates_list(answered, asked, 2));
    put_test(report, &rates);
    put(report, "naive", figure_if(has_naive, naive));
    if (arms == &metric->arms && metric->respondent_count)
        put_corrected(report, study, metric, variant, has_naive, naive);
    else
        put_uncorrected(report);
    put_bounds(report, study, metric, &all, arms->asked, variant);
    return report;
}

json_t *study_response_rates(struct study *study, const struct study_arms *arms)
{
    size_t count = study->variant_count;
    double *answered = arena_alloc(&study->arena, count * sizeof *answered);
    for (size_t v = 0; v < count; v++)
        answered[v] = (double)everyone(arms, v).n;
    struct response_test rates = response_rates(answered, arms->asked, count);
    json_t *report = json_object();
    put(report, "rates", rates_list(answered, arms->asked, count));
    put_test(report, &rates);
    put(report, "sequential_p_value",
        json_figure(response_sequential(answered, arms->asked, count)));
    return report;
}
