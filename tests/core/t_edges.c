/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edges: whatever an experiment comes to count, every figure of its report is finite and makes
 * sense, or is null with a reason. All of core/study and stats/ by way of study_analyze: arms at
 * the edges of each kind, in every pair, by every method, at levels from 1e-9 to 1 - 1e-9; then
 * studies made by chance, with strata, segments, margins, earlier looks and corrections.
 *
 * A new method is a line in `designs` and one in `shapes`; what else a report comes to hold is
 * walked over by itself, as figures are known by their names. */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_rng.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/study.h"

/* --- walking over a report --- */

/* The study whose report is walked over, for messages. */
static const json_t *walked;

static void broken(const char *name, const json_t *value, const char *why)
{
    char *study = json_text(walked), *text = json_text(value);
    printf("# %s: %s %s\n# in the report of %s\n", name, text, why, study);
    free(study);
    free(text);
    fail();
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static bool has_number(const json_t *object, const char *name)
{
    return json_is_number(json_object_get(object, name));
}

/* Fieller's range is open while the control may be nothing. */
static bool by_fieller(void)
{
    const json_t *design = json_object_get(walked, "design");
    const char *relative = json_string_value(json_object_get(design, "relative"));
    return relative && strcmp(relative, "fieller") == 0;
}

/* The range is in the right order and, where both ends are closed, holds the estimate: one-sided at
 * a level above 0.5 it need not, nor where the ranges of earlier looks narrowed it. */
static void check_interval(const json_t *comparison)
{
    const json_t *range = json_object_get(comparison, "interval");
    const json_t *low = json_array_get(range, 0), *high = json_array_get(range, 1);
    double estimate = number(comparison, "estimate"), from = json_number_value(low),
           to = json_number_value(high);
    /* Nothing is said of a schedule before its first look. */
    bool waits = json_object_get(comparison, "looks") != NULL || by_fieller();
    if (json_array_size(range) != 2 || (json_is_null(low) && json_is_null(high) && !waits))
        broken("comparison", comparison, "has no interval");
    if (json_is_null(low) || json_is_null(high))
        return;
    if (from > to)
        broken("comparison", comparison, "has an interval that ends before it begins");
    double slack = 1e-9 * fabs(estimate) + 1e-12 * (fabs(from) + fabs(to));
    if (!json_object_get(comparison, "now") && (estimate < from - slack || estimate > to + slack))
        broken("comparison", comparison, "has an interval without the estimate");
}

/* What a method says of an effect beside its estimate and interval: a figure that is missing was
 * lost on the way, as JSON has no word for infinity. */
struct shape {
    const char *method;
    const char *figures[5];
};
static const struct shape shapes[] = {
    {"sequential", {"se", "p_value", "p_adjusted"}},
    {"msprt", {"se", "p_value", "p_adjusted", "e_value"}},
    {"exact", {"p_value", "p_adjusted", "e_value"}},
    {"fixed", {"se", "p_value", "p_adjusted"}},
    {"group-sequential", {"se", "critical_value"}},
    {"bayesian", {"se", "chance_to_win"}},
    {"scheduled", {"se"}},
};

static void check_shape(const json_t *comparison, const char *method)
{
    const struct shape *shape = NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(shapes[i].method, method) == 0)
            shape = &shapes[i];
    if (!shape)
        broken(method, comparison, "is of a method that this test does not know");
    for (size_t i = 0; shape && shape->figures[i]; i++)
        if (!has_number(comparison, shape->figures[i]))
            broken(shape->figures[i], comparison, "lacks it");
    const json_t *range = json_object_get(comparison, "interval");
    bool two_sided =
        json_is_number(json_array_get(range, 0)) && json_is_number(json_array_get(range, 1));
    if (strcmp(method, "sequential") == 0 && two_sided && !json_object_get(comparison, "now") &&
        !has_number(comparison, "e_value"))
        broken(method, comparison, "lacks its e_value");
    const json_t *risk = json_object_get(comparison, "risk");
    if (strcmp(method, "bayesian") == 0 &&
        !(number(risk, "control") >= 0 && number(risk, "treatment") >= 0 &&
          has_number(risk, "control") && has_number(risk, "treatment")))
        broken(method, comparison, "lacks its risks");
    if (json_object_get(comparison, "theta") &&
        !(has_number(comparison, "theta") && has_number(comparison, "variance_reduction") &&
          has_number(json_object_get(comparison, "mean_adjusted"), "control") &&
          has_number(json_object_get(comparison, "mean_adjusted"), "treatment")))
        broken(method, comparison, "lacks what its covariate did");
}

static void check_comparison(const json_t *comparison, const char *method)
{
    static const char *const figures[] = {
        "se",      "interval",      "p_value",           "p_adjusted",
        "e_value", "risk",          "critical_value",    "chance_to_win",
        "theta",   "mean_adjusted", "variance_reduction"};
    const json_t *error = json_object_get(comparison, "error");
    bool known = has_number(comparison, "estimate");
    if (known == (error != NULL))
        broken("comparison", comparison, "must have either an estimate or an error");
    if (!error) {
        check_interval(comparison);
        check_shape(comparison, method);
        return;
    }
    if (strlen(json_string_value(error)) < 10)
        broken("comparison", comparison, "gives no reason");
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const json_t *figure = json_object_get(comparison, figures[i]);
        if (figure && !json_is_null(figure))
            broken("comparison", comparison, "has an error and figures");
    }
    if (json_is_true(json_object_get(comparison, "significant")))
        broken("comparison", comparison, "is significant without an estimate");
}

/* An arm, which every kind but a ratio can say the mean of as soon as there is a unit. */
static void check_arm(const json_t *arm, const char *kind)
{
    bool some = number(arm, "n") > 0;
    if (strcmp(kind, "ratio") != 0 && has_number(arm, "mean") != some)
        broken("mean", arm, some ? "lacks it" : "cannot be known");
}

static void check_figure(const char *name, const json_t *value)
{
    static const char *const chances[] = {"p_value", "p_adjusted", "chance_to_win"};
    static const char *const sizes[] = {"se", "sd", "e_value", "q", "df", "n", "statistic"};
    double x = json_number_value(value);
    if (!isfinite(x))
        broken(name, value, "is no figure");
    for (size_t i = 0; i < sizeof chances / sizeof chances[0]; i++)
        if (strcmp(name, chances[i]) == 0 && !(x >= 0 && x <= 1))
            broken(name, value, "is no chance");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (strcmp(name, sizes[i]) == 0 && !(x >= 0))
            broken(name, value, "is negative");
}

/* A segment's value: what is known with its standard error can be shrunk. */
static void check_shrunk(const json_t *value)
{
    const json_t *shrunk = json_object_get(value, "shrunk");
    json_t *comparison;
    size_t i;
    json_array_foreach(json_object_get(value, "comparisons"), i, comparison)
    {
        const char *variant = json_string_value(json_object_get(comparison, "variant"));
        const json_t *own = json_object_get(shrunk, variant);
        bool known = has_number(comparison, "se");
        if (has_number(own, "estimate") != known || has_number(own, "se") != known)
            broken("shrunk", value, known ? "lacks a figure" : "cannot be known");
    }
}

/* `metric` is the metric that `value` is of, or NULL. */
static void walk(const char *name, const json_t *value, const json_t *metric)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (json_is_number(value))
        check_figure(name, value);
    if (json_object_get(value, "method"))
        metric = value;
    if (metric && json_object_get(value, "variant") && json_object_get(value, "interval"))
        check_comparison(value, json_string_value(json_object_get(metric, "method")));
    if (metric && json_object_get(value, "key") && json_object_get(value, "n"))
        check_arm(value, json_string_value(json_object_get(metric, "kind")));
    if (json_object_get(value, "shrunk") && json_object_get(value, "comparisons"))
        check_shrunk(value);
    json_object_foreach((json_t *)value, key, inner) walk(key, inner, metric);
    json_array_foreach(value, i, inner) walk(name, inner, metric);
}

/* The sample ratio always has all of its figures. */
static void check_sample_ratio(const json_t *report)
{
    const json_t *srm = json_object_get(report, "srm"),
                 *chi_squared = json_object_get(srm, "chi_squared"),
                 *sequential = json_object_get(srm, "sequential");
    if (srm && !(has_number(chi_squared, "statistic") && has_number(chi_squared, "df") &&
                 has_number(chi_squared, "p_value") && has_number(sequential, "p_value") &&
                 has_number(sequential, "log_bayes_factor")))
        broken("srm", srm, "lacks a figure");
}

static long analysed, estimated, refused;

static void count_estimates(const json_t *value)
{
    const char *key;
    json_t *inner;
    size_t i;
    estimated += json_object_get(value, "interval") && has_number(value, "estimate");
    json_object_foreach((json_t *)value, key, inner) count_estimates(inner);
    json_array_foreach(value, i, inner) count_estimates(inner);
}

/* Takes over the study. Refusing it is fine, as long as it says where. */
static void analyse(json_t *study)
{
    struct error err = {0};
    walked = study;
    json_t *report = study_analyze(study, &err);
    assert_int_equal(report == NULL, err.code != ERROR_NONE);
    if (report) {
        walk("report", report, NULL);
        check_sample_ratio(report);
        count_estimates(report);
        analysed++;
    } else {
        if (!err.place[0] || !err.message[0])
            broken("study", study, "is refused without a place or a reason");
        refused++;
    }
    json_decref(report);
    json_decref(study);
}

static json_t *parse(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    if (!value)
        fail_msg("%s: %s", text, err.message);
    return value;
}

static void tell(const char *what)
{
    print_message("# %s: %ld studies, %ld refused, %ld estimates\n", what, analysed + refused,
                  refused, estimated);
}

static int reset(void **state)
{
    (void)state;
    analysed = estimated = refused = 0;
    return 0;
}

/* --- every pair of edges, by every method --- */

struct kind {
    const char *name, *arms;
};

/* n of 0, 1, 2; no variance; mean 0; 1e9 units; mean 1e6 with sd 1; effects of 40 and 1e4 standard
 * errors; huge and tiny scales; all and none of a category. */
static const struct kind kinds[] = {
    {"binary", "[{\"n\": 0, \"sum\": 0}, {\"n\": 1, \"sum\": 0}, {\"n\": 1, \"sum\": 1}, {\"n\": "
               "2, \"sum\": 1},"
               " {\"n\": 3, \"sum\": 3}, {\"n\": 40, \"sum\": 0}, {\"n\": 1000, \"sum\": 100},"
               " {\"n\": 1000000000, \"sum\": 100000000}, {\"n\": 1000000000, \"sum\": 999999999},"
               " {\"n\": 1000000000, \"sum\": 1}, {\"n\": 9007199254740992, \"sum\": 3}]"},
    {"mean", "[{\"n\": 0, \"sum\": 0, \"sum_sq\": 0}, {\"n\": 1, \"sum\": 5, \"sum_sq\": 25},"
             " {\"n\": 2, \"sum\": 3, \"sum_sq\": 5}, {\"n\": 9, \"sum\": 27, \"sum_sq\": 81},"
             " {\"n\": 9, \"sum\": 0, \"sum_sq\": 0}, {\"n\": 9, \"sum\": 0, \"sum_sq\": 80},"
             " {\"n\": 1000, \"sum\": -300, \"sum_sq\": 5000},"
             " {\"n\": 1000000000, \"sum\": 1e15, \"sum_sq\": 1.000000001e21},"
             " {\"n\": 1000000, \"sum\": 1e12, \"sum_sq\": 1.000000000001e18},"
             " {\"n\": 1000000, \"sum\": 1.0000004e12, \"sum_sq\": 1.000000800001160e18},"
             " {\"n\": 50, \"sum\": 5e151, \"sum_sq\": 6e301}, {\"n\": 50, \"sum\": 5e-149, "
             "\"sum_sq\": 6e-299},"
             " {\"n\": 50, \"sum\": 1e155, \"sum_sq\": 1.7e308}, {\"n\": 50, \"sum\": 1e-160, "
             "\"sum_sq\": 1e-318},"
             " {\"n\": 50, \"sum\": -1e-160, \"sum_sq\": 1}]"},
    {"ratio",
     "[{\"n\": 0, \"sum\": 0, \"sum_sq\": 0, \"den_sum\": 0, \"den_sum_sq\": 0, \"sum_den\": 0},"
     " {\"n\": 1, \"sum\": 2, \"sum_sq\": 4, \"den_sum\": 3, \"den_sum_sq\": 9, \"sum_den\": 6},"
     " {\"n\": 2, \"sum\": 3, \"sum_sq\": 5, \"den_sum\": 3, \"den_sum_sq\": 5, \"sum_den\": 4},"
     " {\"n\": 2, \"sum\": 3, \"sum_sq\": 5, \"den_sum\": 3, \"den_sum_sq\": 5, \"sum_den\": 5},"
     " {\"n\": 9, \"sum\": 9, \"sum_sq\": 20, \"den_sum\": 0, \"den_sum_sq\": 0, \"sum_den\": 0},"
     " {\"n\": 9, \"sum\": 9, \"sum_sq\": 20, \"den_sum\": 1e-300, \"den_sum_sq\": 1, \"sum_den\": "
     "1},"
     " {\"n\": 9, \"sum\": 0, \"sum_sq\": 0, \"den_sum\": 9, \"den_sum_sq\": 20, \"sum_den\": 0},"
     " {\"n\": 1000, \"sum\": 900, \"sum_sq\": 2000, \"den_sum\": 3000, \"den_sum_sq\": 12000,"
     " \"sum_den\": 3500},"
     " {\"n\": 1000000000, \"sum\": 9e8, \"sum_sq\": 2e9, \"den_sum\": 3e9, \"den_sum_sq\": 1.2e10,"
     " \"sum_den\": 3.5e9},"
     " {\"n\": 50, \"sum\": 5e151, \"sum_sq\": 6e301, \"den_sum\": 5e-149, \"den_sum_sq\": 6e-299,"
     " \"sum_den\": 100}]"},
    {"nps", "[{\"promoters\": 0, \"passives\": 0, \"detractors\": 0},"
            " {\"promoters\": 1, \"passives\": 0, \"detractors\": 0},"
            " {\"promoters\": 0, \"passives\": 0, \"detractors\": 2},"
            " {\"promoters\": 1, \"passives\": 0, \"detractors\": 1},"
            " {\"promoters\": 0, \"passives\": 9, \"detractors\": 0},"
            " {\"promoters\": 60, \"passives\": 0, \"detractors\": 0},"
            " {\"promoters\": 50, \"passives\": 30, \"detractors\": 20},"
            " {\"promoters\": 500000000, \"passives\": 300000000, \"detractors\": 200000000},"
            " {\"promoters\": 1000000000, \"passives\": 1, \"detractors\": 0},"
            " {\"promoters\": 0, \"passives\": 1, \"detractors\": 1000000000}]"},
    {"csat",
     "[{\"scores\": [0, 0, 0, 0, 0]}, {\"scores\": [0, 0, 0, 0, 1]}, {\"scores\": [1, 0, 0, 0, 0]},"
     " {\"scores\": [0, 1, 0, 1, 0]}, {\"scores\": [0, 0, 0, 9, 9]}, {\"scores\": [9, 9, 9, 0, 0]},"
     " {\"scores\": [5, 5, 10, 40, 40]},"
     " {\"scores\": [50000000, 50000000, 100000000, 400000000, 400000000]},"
     " {\"scores\": [0, 0, 1, 0, 1000000000]}]"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const char *const designs[] = {
    "{\"method\": \"sequential\"}",
    "{\"method\": \"sequential\", \"tuning\": 1e-300}",
    "{\"method\": \"sequential\", \"tuning\": 1e300}",
    "{\"method\": \"sequential\", \"sides\": \"greater\"}",
    "{\"method\": \"sequential\", \"sides\": \"less\"}",
    "{\"method\": \"sequential\", \"relative\": \"fieller\"}",
    "{\"method\": \"sequential\", \"relative\": \"fieller\", \"sides\": \"less\"}",
    "{\"method\": \"msprt\", \"relative\": \"fieller\"}",
    "{\"method\": \"fixed\", \"relative\": \"fieller\"}",
    "{\"method\": \"msprt\"}",
    "{\"method\": \"msprt\", \"mixture_variance\": 1e-300}",
    "{\"method\": \"msprt\", \"mixture_variance\": 1e300}",
    "{\"method\": \"exact\"}",
    "{\"method\": \"fixed\"}",
    "{\"method\": \"scheduled\", \"schedule\": {\"horizon\": 1, \"customers\": 1, \"look\": true}}",
    "{\"method\": \"scheduled\", \"sides\": \"less\", \"schedule\": {\"horizon\": 1e15, "
    "\"customers\": 2,"
    " \"look\": true}}",
    "{\"method\": \"scheduled\", \"schedule\": {\"horizon\": 1000, \"customers\": 500, \"look\": "
    "false}}",
    "{\"method\": \"fixed\", \"sides\": \"greater\"}",
    "{\"method\": \"fixed\", \"sides\": \"less\"}",
    "{\"method\": \"group-sequential\", \"spending\": {\"function\": \"obrien-fleming\","
    " \"times\": [0.001, 1], \"look\": 1}}",
    "{\"method\": \"group-sequential\", \"sides\": \"less\", \"spending\": {\"function\": "
    "\"pocock\","
    " \"times\": [0.3, 1], \"look\": 2}}",
    "{\"method\": \"group-sequential\", \"spending\": {\"function\": \"kim-demets\", \"gamma\": "
    "1e3,"
    " \"times\": [0.5, 1], \"look\": 1}}",
    "{\"method\": \"group-sequential\", \"spending\": {\"function\": \"hwang-shih-decani\","
    " \"gamma\": -1e3, \"times\": [0.5, 1], \"look\": 2}}",
    "{\"method\": \"group-sequential\", \"spending\": {\"function\": \"hwang-shih-decani\","
    " \"gamma\": 1e3, \"times\": [0.5, 1], \"look\": 2}}",
    "{\"method\": \"bayesian\"}",
    "{\"method\": \"bayesian\", \"prior\": {\"proper\": true}}",
    "{\"method\": \"bayesian\", \"prior\": {\"proper\": true, \"mean\": 1e9, \"sd\": 1e-300}}",
    "{\"method\": \"bayesian\", \"prior\": {\"proper\": true, \"mean\": -1e300, \"sd\": 1e300}}",
};
enum { DESIGNS = sizeof designs / sizeof designs[0] };

static const double levels[] = {1e-9, 0.05, 0.499, 1 - 1e-9};
enum { LEVELS = sizeof levels / sizeof levels[0] };

/* All treatments of a list of arms against one of them as the control: one study. */
static json_t *study_of(const struct kind *kind, const json_t *arms, size_t control, int design,
                        double alpha, const char *effect)
{
    json_t *variants = json_array(), *list = json_array(), *settings = parse(designs[design]);
    for (size_t i = 0; i < json_array_size(arms); i++) {
        json_t *arm = json_array_get(arms, (control + i) % json_array_size(arms));
        json_array_append_new(variants, json_pack("{s:o}", "key", json_sprintf("v%zu", i)));
        json_array_append(list, arm);
    }
    json_object_set_new(settings, "alpha", json_real(alpha));
    json_object_set_new(settings, "effect", json_string(effect));
    return json_pack("{s:o, s:o, s:[{s:s, s:s, s:f, s:o}]}", "design", settings, "variants",
                     variants, "metrics", "key", "m", "kind", kind->name, "margin", 0.1, "arms",
                     list);
}

static void test_edges__every_pair_by_every_method(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        json_t *arms = parse(kinds[k].arms);
        for (size_t control = 0; control < json_array_size(arms); control++)
            for (int design = 0; design < DESIGNS; design++)
                for (int level = 0; level < LEVELS; level++) {
                    analyse(study_of(&kinds[k], arms, control, design, levels[level], "absolute"));
                    analyse(study_of(&kinds[k], arms, control, design, levels[level], "relative"));
                }
        json_decref(arms);
    }
    tell("pairs");
    assert_true(estimated > 20000);
}

/* --- studies made by chance --- */

static double pick(gsl_rng *rng, const double *from, size_t count)
{
    return from[gsl_rng_uniform_int(rng, count)];
}

static json_t *count_of(gsl_rng *rng, double most)
{
    static const double sizes[] = {0, 0, 1, 2, 3, 10, 200, 1e4, 1e9};
    double size = fmin(pick(rng, sizes, sizeof sizes / sizeof sizes[0]), most);
    return json_integer((json_int_t)floor(size * (0.5 + 0.5 * gsl_rng_uniform(rng))));
}

/* A figure of any sign and size. */
static double any_number(gsl_rng *rng)
{
    static const double scales[] = {0, 1, 1, 1, 1e6, 1e150, 1e-150, 1e300, 1e-310};
    return pick(rng, scales, sizeof scales / sizeof scales[0]) * (2 * gsl_rng_uniform(rng) - 0.7);
}

/* Sums of n values around a mean with an sd; of chance where they are to contradict each other. */
static void put_sums(gsl_rng *rng, json_t *arm, double n, const char *sum, const char *sum_sq)
{
    static const double scales[] = {1, 1, 1, 1e6, 1e150, 1e-150};
    double scale = pick(rng, scales, 6), mean = scale * (gsl_rng_uniform(rng) - 0.3);
    double sd = gsl_rng_uniform(rng) < 0.2 ? 0 : gsl_rng_uniform(rng) < 0.2 ? 1e-6 * scale : scale;
    json_object_set_new(arm, sum, json_real(n * mean));
    json_object_set_new(arm, sum_sq, json_real(n * (mean * mean + sd * sd)));
    if (n > 0 && gsl_rng_uniform(rng) < 0.05) {
        json_object_set_new(arm, sum, json_real(any_number(rng)));
        json_object_set_new(arm, sum_sq, json_real(fabs(any_number(rng))));
    }
}

static json_t *mean_arm(gsl_rng *rng, bool covariate)
{
    json_t *arm = json_object(), *n = count_of(rng, 1e9);
    double units = (double)json_integer_value(n);
    json_object_set_new(arm, "n", n);
    put_sums(rng, arm, units, "sum", "sum_sq");
    if (covariate) {
        put_sums(rng, arm, units, "pre_sum", "pre_sum_sq");
        double product = units > 0 ? number(arm, "sum") * (number(arm, "pre_sum") / units) : 0;
        double spread = sqrt(number(arm, "sum_sq")) * sqrt(number(arm, "pre_sum_sq"));
        double wish = product + (gsl_rng_uniform(rng) - 0.5) * spread;
        json_object_set_new(arm, "pre_sum_post", json_real(isfinite(wish) ? wish : 0));
    }
    return arm;
}

static json_t *ratio_arm(gsl_rng *rng)
{
    json_t *arm = json_object(), *n = count_of(rng, 1e9);
    double units = (double)json_integer_value(n);
    json_object_set_new(arm, "n", n);
    put_sums(rng, arm, units, "sum", "sum_sq");
    put_sums(rng, arm, units, "den_sum", "den_sum_sq");
    double spread = sqrt(number(arm, "sum_sq")) * sqrt(number(arm, "den_sum_sq"));
    double wish = spread * (2 * gsl_rng_uniform(rng) - 1);
    json_object_set_new(arm, "sum_den", json_real(isfinite(wish) ? wish : 0));
    return arm;
}

static json_t *binary_arm(gsl_rng *rng, bool covariate)
{
    json_t *n = count_of(rng, 1e9), *arm = json_pack("{s:o}", "n", n);
    double units = (double)json_integer_value(n);
    json_t *sum = count_of(rng, units);
    json_object_set_new(arm, "sum", sum);
    if (covariate) {
        json_t *before = count_of(rng, units);
        double least =
            fmax(0, (double)json_integer_value(sum) + (double)json_integer_value(before) - units);
        double most = fmin((double)json_integer_value(sum), (double)json_integer_value(before));
        json_object_set_new(arm, "pre_sum", before);
        json_object_set_new(arm, "pre_sum_post",
                            json_integer((json_int_t)(gsl_rng_uniform(rng) < 0.5 ? least : most)));
    }
    return arm;
}

static json_t *survey_arm(gsl_rng *rng, bool nps)
{
    if (nps)
        return json_pack("{s:o, s:o, s:o}", "promoters", count_of(rng, 1e9), "passives",
                         count_of(rng, 1e9), "detractors", count_of(rng, 1e9));
    return json_pack("{s:[o, o, o, o, o]}", "scores", count_of(rng, 1e9), count_of(rng, 1e9),
                     count_of(rng, 1e9), count_of(rng, 1e9), count_of(rng, 1e9));
}

static json_t *arms_of(gsl_rng *rng, int kind, size_t variants, bool covariate)
{
    json_t *arms = json_array();
    for (size_t i = 0; i < variants; i++)
        json_array_append_new(arms, kind == 0   ? binary_arm(rng, covariate)
                                    : kind == 1 ? mean_arm(rng, covariate)
                                    : kind == 2 ? ratio_arm(rng)
                                                : survey_arm(rng, kind == 3));
    return arms;
}

/* `arms`, or one to three strata of them. */
static void put_arms(gsl_rng *rng, json_t *into, int kind, size_t variants, bool covariate)
{
    size_t count = gsl_rng_uniform_int(rng, 4);
    if (count == 0) {
        json_object_set_new(into, "arms", arms_of(rng, kind, variants, covariate));
        return;
    }
    json_t *strata = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(strata, json_pack("{s:o, s:o}", "key", json_sprintf("e%zu", i),
                                                "arms", arms_of(rng, kind, variants, covariate)));
    json_object_set_new(into, "strata", strata);
}

static json_t *segments_of(gsl_rng *rng, int kind, size_t variants, bool covariate)
{
    json_t *segments = json_array();
    for (size_t i = 0; i < 3; i++) {
        json_t *value = json_pack("{s:s, s:o}", "segment", i < 2 ? "device" : "country", "value",
                                  json_sprintf("v%zu", i));
        put_arms(rng, value, kind, variants, covariate);
        json_array_append_new(segments, value);
    }
    return segments;
}

static json_t *before_of(gsl_rng *rng, size_t variants)
{
    json_t *list = json_array();
    for (size_t i = 1; i < variants; i++) {
        double low = any_number(rng);
        json_array_append_new(list, json_pack("{s:f, s:[f, f]}", "p_value", gsl_rng_uniform(rng),
                                              "interval", low, low + fabs(any_number(rng))));
    }
    return list;
}

static json_t *metric_by_chance(gsl_rng *rng, size_t index, size_t variants, const char *method)
{
    static const char *const roles[] = {"primary", "guardrail", "secondary"};
    int kind = (int)gsl_rng_uniform_int(rng, KINDS);
    bool covariate = kind < 2 && gsl_rng_uniform(rng) < 0.4;
    bool peeking = strcmp(method, "sequential") == 0 || strcmp(method, "msprt") == 0 ||
                   strcmp(method, "exact") == 0;
    json_t *metric = json_pack("{s:o, s:s, s:s, s:s, s:s, s:f}", "key", json_sprintf("m%zu", index),
                               "kind", kinds[kind].name, "role", roles[gsl_rng_uniform_int(rng, 3)],
                               "goal", gsl_rng_uniform(rng) < 0.5 ? "increase" : "decrease",
                               "effect", gsl_rng_uniform(rng) < 0.5 ? "relative" : "absolute",
                               "margin", fabs(any_number(rng)));
    put_arms(rng, metric, kind, variants, covariate);
    if (gsl_rng_uniform(rng) < 0.3)
        json_object_set_new(metric, "segments", segments_of(rng, kind, variants, covariate));
    if (peeking && gsl_rng_uniform(rng) < 0.3)
        json_object_set_new(metric, "before", before_of(rng, variants));
    return metric;
}

static json_t *study_by_chance(gsl_rng *rng)
{
    static const char *const corrections[] = {"none", "holm", "bh", "e-bh"};
    static const double weights[] = {0, 1e-9, 1, 1, 1, 3, 1e9};
    size_t count = 2 + gsl_rng_uniform_int(rng, 2);
    json_t *design = parse(designs[gsl_rng_uniform_int(rng, DESIGNS)]);
    json_t *variants = json_array(), *metrics = json_array();
    bool exposed = gsl_rng_uniform(rng) < 0.5;
    json_object_set_new(design, "alpha", json_real(levels[gsl_rng_uniform_int(rng, LEVELS)]));
    json_object_set_new(design, "correction",
                        json_string(corrections[gsl_rng_uniform_int(rng, 4)]));
    for (size_t i = 0; i < count; i++) {
        json_t *variant = json_pack("{s:o, s:f}", "key", json_sprintf("v%zu", i), "weight",
                                    pick(rng, weights, sizeof weights / sizeof weights[0]));
        if (exposed)
            json_object_set_new(variant, "exposed", count_of(rng, 1e9));
        json_array_append_new(variants, variant);
    }
    const char *method = json_string_value(json_object_get(design, "method"));
    for (size_t i = 0; i < 2; i++)
        json_array_append_new(metrics, metric_by_chance(rng, i, count, method));
    return json_pack("{s:o, s:o, s:o}", "design", design, "variants", variants, "metrics", metrics);
}

static void test_edges__studies_by_chance(void **state)
{
    (void)state;
    const unsigned long seed = 20261205;
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, seed);
    print_message("# seed %lu\n", seed);
    for (int i = 0; i < 10000; i++)
        analyse(study_by_chance(rng));
    gsl_rng_free(rng);
    tell("by chance");
    assert_true(analysed > 4000 && estimated > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_edges__every_pair_by_every_method, reset),
        cmocka_unit_test_setup(test_edges__studies_by_chance, reset),
    };
    gsl_set_error_handler_off();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
