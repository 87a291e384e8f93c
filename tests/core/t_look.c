/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looks: kept once a day and read back at any moment since; figures over all looks only narrow, a
 * clear verdict stays with its date over restarts; a changed effect is told as drift; nothing is
 * kept of a phase without customers or while tallies are rebuilt. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/look.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static const int64_t start = INT64_C(1790000000000);
static int64_t now;
static char folder[FOLDER_MAX];
static int customers; /* so far */

static int64_t told_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock told_clock = {.now = told_now};

static struct uplift *open_folder(void)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &told_clock, &err);
    if (!uplift)
        fail_msg("%s", err.message);
    return uplift;
}

static void made(json_t *json)
{
    assert_non_null(json);
    json_decref(json);
}

/* With an experiment of this design, which is taken over. */
static struct uplift *open_with_design(json_t *design)
{
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = open_folder();
    json_t *metric = json_pack("{s:s, s:s, s:s}", "key", "buy", "kind", "binary", "event", "order");
    made(uplift_metric_create(uplift, &change, metric, &err));
    json_t *experiment =
        json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:[s]}, s:o}", "key", "exp", "variants", "key", "a",
                  "key", "b", "metrics", "primary", "buy", "design", design);
    made(uplift_experiment_create(uplift, &change, experiment, &err));
    made(uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    json_decref(metric);
    json_decref(experiment);
    return uplift;
}

static struct uplift *open_with_experiment(void)
{
    return open_with_design(json_object());
}

static int make_folder(void **state)
{
    (void)state;
    now = start;
    customers = 0;
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

/* So many customers for each variant, of whom these shares buy, all at this moment. */
static void come(struct uplift *uplift, int each, double a, double b)
{
    struct error err = {0};
    json_t *events = json_array();
    for (int i = 0; i < 2 * each; i++) {
        char id[32];
        int variant = i % 2;
        bool buys = i / 2 < (int)((variant ? b : a) * each);
        snprintf(id, sizeof id, "c-%d", customers++);
        json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:s, s:I}", "type", "exposure",
                                                "customer", id, "experiment", "exp", "variant",
                                                variant ? "b" : "a", "at", (json_int_t)now));
        if (buys)
            json_array_append_new(events,
                                  json_pack("{s:s, s:s, s:s, s:I}", "type", "outcome", "customer",
                                            id, "name", "order", "at", (json_int_t)(now + 1)));
    }
    json_t *answer = uplift_events(uplift, events, &err);
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
    json_decref(answer);
    json_decref(events);
    now += 1000;
}

static json_t *results_at(struct uplift *uplift, int64_t as_of)
{
    const struct results_options options = {.as_of = as_of};
    struct error err = {0};
    json_t *results = analysis_results(uplift, slice_of("exp"), &options, &err);
    if (!results)
        fail_msg("%s", err.message);
    return results;
}

static json_t *comparison(json_t *results)
{
    json_t *metric = json_array_get(json_object_get(results, "metrics"), 0);
    return json_array_get(json_object_get(metric, "comparisons"), 0);
}

static double end_of(json_t *row, size_t end)
{
    return json_number_value(json_array_get(json_object_get(row, "interval"), end));
}

static const char *text_of(json_t *row, const char *name)
{
    return json_string_value(json_object_get(row, name));
}

static json_int_t day_of(json_t *row, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(row, name), "day"));
}

static void look(struct uplift *uplift)
{
    struct error err = {0};
    json_t *results = analysis_look(uplift, slice_of("exp"), &err);
    assert_non_null(results);
    json_decref(results);
}

/* --- the store ------------------------------------------------------------------------------ */

static void test_look__nothing_before_the_first(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    const struct results_options options = {.as_of = now};
    assert_null(analysis_results(uplift, slice_of("exp"), &options, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_string_equal(err.place, "as_of");
    look(uplift); /* nobody is exposed: nothing to keep */
    err = (struct error){0};
    assert_null(analysis_results(uplift, slice_of("exp"), &options, &err));
    json_t *results = results_at(uplift, -1);
    assert_int_equal(json_array_size(json_object_get(results, "looks")), 0);
    json_decref(results);
    uplift_close(&uplift);
}

static void test_look__one_a_day_and_as_of(void **state)
{
    (void)state;
    struct uplift *uplift = open_with_experiment();
    int64_t seen[3];
    for (int day = 0; day < 3; day++) {
        now = start + day * WHEN_DAY + 1000;
        come(uplift, 50, 0.2, 0.3);
        look(uplift);
        now += 1000;
        look(uplift); /* in place of the one before */
        seen[day] = now;
    }
    uplift_close(&uplift);
    uplift = open_folder(); /* it is on disk */
    now = start + 3 * WHEN_DAY + 5;
    json_t *results = results_at(uplift, -1), *looks = json_object_get(results, "looks");
    assert_int_equal(json_array_size(looks), 4); /* the present moment is the last */
    for (size_t i = 0; i < 3; i++) {
        json_t *item = json_array_get(looks, i), *past = results_at(uplift, seen[i]);
        json_t *kept = json_object_get(past, "looks");
        assert_int_equal(json_integer_value(json_object_get(item, "day")), i + 1);
        assert_int_equal(json_integer_value(json_object_get(item, "exposed")), 100 * (i + 1));
        assert_int_equal(json_integer_value(json_object_get(past, "day")), i + 1);
        assert_int_equal(json_array_size(kept), i + 1);
        assert_true(json_equal(json_array_get(kept, i), item));
        json_decref(past);
    }
    json_decref(results);
    uplift_close(&uplift);
}

static void tell(void *data, const char *line)
{
    assert_true(strstr(line, "phase 1: the look of 20") != NULL);
    ++*(int *)data;
}

static void test_look__a_damaged_one_is_told(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    come(uplift, 50, 0.2, 0.3);
    look(uplift);
    uplift_close(&uplift);
    struct store *store = store_open(folder, 0, &err);
    struct store_txn *txn = store_write(store, &err);
    struct slice key, value;
    assert_true(store_last(txn, STORE_LOOK, NO_SLICE, &key, &value));
    struct store_key kept = {0};
    key_bytes(&kept, key);
    char *cut = malloc(value.len);
    memcpy(cut, value.ptr, value.len);
    store_put(txn, STORE_LOOK, key_slice(&kept), (struct slice){cut, value.len / 2});
    free(cut);
    assert_true(store_commit(&txn, &err));
    store_close(&store);
    uplift = open_folder();
    const struct results_options options = {.as_of = -1};
    assert_null(analysis_results(uplift, slice_of("exp"), &options, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    /* Taken out, the figures are there again. */
    int told = 0;
    err = (struct error){0};
    txn = store_write(uplift->store, &err);
    assert_int_equal(look_damaged(txn, true, tell, &told), 1);
    assert_true(store_commit(&txn, &err));
    assert_int_equal(told, 1);
    json_decref(results_at(uplift, -1));
    txn = store_read(uplift->store, &err);
    assert_int_equal(look_damaged(txn, false, tell, &told), 0);
    store_abort(&txn);
    uplift_close(&uplift);
}

/* --- figures over looks --------------------------------------------------------------------- */

static void test_look__only_narrows_and_stays_clear(void **state)
{
    (void)state;
    struct uplift *uplift = open_with_experiment();
    double low = -1e9, high = 1e9, p = 1;
    json_int_t since = 0;
    for (int day = 0; day < 12; day++) {
        now = start + day * WHEN_DAY + 1000;
        /* The gain is large first and smaller later, though there all the time. */
        come(uplift, 400, 0.2, day < 6 ? 0.30 : 0.23);
        look(uplift);
        json_t *results = results_at(uplift, -1), *row = comparison(results);
        assert_true(end_of(row, 0) >= low && end_of(row, 1) <= high);
        low = end_of(row, 0);
        high = end_of(row, 1);
        assert_true(json_number_value(json_object_get(row, "p_value")) <= p);
        p = json_number_value(json_object_get(row, "p_value"));
        json_t *alone = json_object_get(json_object_get(row, "now"), "interval");
        assert_true(low >= json_number_value(json_array_get(alone, 0)));
        if (since == 0 && strcmp(text_of(row, "verdict"), "better") == 0) {
            since = day + 1;
            uplift_close(&uplift);
            uplift = open_folder();
        }
        if (since) {
            assert_string_equal(text_of(row, "verdict"), "better");
            assert_int_equal(day_of(row, "clear_since"), since);
        } else {
            assert_true(json_is_null(json_object_get(row, "clear_since")));
        }
        assert_true(json_is_null(json_object_get(row, "drift_since")));
        json_decref(results);
    }
    assert_true(since > 1 && since < 12);
    uplift_close(&uplift);
}

/* What was once shown as clear must not be taken back at the next look. */
static void test_look__what_was_shown_is_kept(void **state)
{
    (void)state;
    struct uplift *uplift = open_with_experiment();
    come(uplift, 1500, 0.2, 0.27);
    json_t *results = results_at(uplift, -1); /* only read, no look was due */
    assert_string_equal(text_of(comparison(results), "verdict"), "better");
    json_decref(results);
    uplift_close(&uplift);
    uplift = open_folder();
    now += 1000;
    come(uplift, 800, 0.24, 0.2);
    results = results_at(uplift, -1);
    json_t *row = comparison(results), *alone = json_object_get(row, "now");
    assert_true(json_number_value(json_array_get(json_object_get(alone, "interval"), 0)) < 0);
    assert_string_equal(text_of(row, "verdict"), "better");
    json_decref(results);
    uplift_close(&uplift);
}

static void test_look__drift(void **state)
{
    (void)state;
    struct uplift *uplift = open_with_experiment();
    come(uplift, 1000, 0.2, 0.4);
    look(uplift);
    json_int_t since = 0;
    for (int day = 1; day < 5; day++) {
        now = start + day * WHEN_DAY + 1000;
        come(uplift, 3000, 0.4, 0.2);
        look(uplift);
        json_t *results = results_at(uplift, -1), *row = comparison(results);
        if (!since)
            since = day_of(row, "drift_since");
        if (since) {
            assert_int_equal(day_of(row, "drift_since"), since);
            assert_true(json_equal(json_object_get(row, "interval"),
                                   json_object_get(json_object_get(row, "now"), "interval")));
            assert_string_equal(text_of(row, "verdict"), "worse");
        }
        json_decref(results);
    }
    assert_int_equal(since, 2);
    uplift_close(&uplift);
}

static void amend_metric(struct uplift *uplift, const char *name, int days)
{
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    json_t *metric = json_pack("{s:s, s:s, s:s, s:s, s:i}", "key", "buy", "name", name, "kind",
                               "binary", "event", "order", "window_days", days);
    made(uplift_metric_amend(uplift, &change, slice_of("buy"), metric, &err));
    json_decref(metric);
    assert_true(folder_settled(uplift));
}

static void test_look__another_metric_begins_anew(void **state)
{
    (void)state;
    struct uplift *uplift = open_with_experiment();
    come(uplift, 1500, 0.2, 0.27);
    look(uplift);
    now = start + WHEN_DAY;
    come(uplift, 800, 0.24, 0.2);
    amend_metric(uplift, "Another name", 14); /* counts the same: goes on */
    json_t *results = results_at(uplift, -1);
    assert_string_equal(text_of(comparison(results), "verdict"), "better");
    json_decref(results);
    amend_metric(uplift, "Another name", 3); /* counts something else */
    results = results_at(uplift, -1);
    assert_string_equal(text_of(comparison(results), "verdict"), "unclear");
    json_decref(results);
    uplift_close(&uplift);
}

/* More metrics make a larger family, which must not take back what was called. */
static void test_look__a_larger_family_takes_nothing_back(void **state)
{
    (void)state;
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    come(uplift, 1000, 0.2, 0.275);
    json_t *metric = json_pack("{s:s, s:s, s:s}", "key", "s0", "kind", "binary", "event", "order");
    json_t *list = json_array();
    json_t *patch = json_pack("{s:{s:[s], s:o}}", "metrics", "primary", "buy", "secondary", list);
    for (int count = 1; count <= 10; count += 9) {
        char key[16];
        for (int i = (int)json_array_size(list); i < count; i++) {
            snprintf(key, sizeof key, "s%d", i);
            json_object_set_new(metric, "key", json_string(key));
            json_array_append_new(list, json_string(key));
            made(uplift_metric_create(uplift, &change, metric, &err));
        }
        made(uplift_experiment_patch(uplift, &change, slice_of("exp"), patch, &err));
        assert_true(folder_settled(uplift));
        look(uplift);
        now += 1000;
        json_t *results = results_at(uplift, -1);
        json_t *row = json_array_get(json_object_get(results, "metrics"), 1);
        row = json_array_get(json_object_get(row, "comparisons"), 0);
        assert_int_equal(json_is_true(json_object_get(row, "significant")), count == 1);
        assert_string_equal(text_of(row, "verdict"), "better");
        assert_int_equal(day_of(row, "clear_since"), 1);
        json_decref(results);
    }
    json_decref(metric);
    json_decref(patch);
    uplift_close(&uplift);
}

/* Whether the last look was taken at this very moment. */
static bool just_taken(struct uplift *uplift)
{
    json_t *past = results_at(uplift, now), *at = json_when(now);
    bool just = json_equal(json_object_get(past, "as_of"), at);
    json_decref(past);
    json_decref(at);
    return just;
}

static double number_of(json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

static void answer_surveys(struct uplift *uplift, int from, int to)
{
    struct error err = {0};
    json_t *events = json_array();
    for (int i = from; i < to; i++) {
        char id[32];
        snprintf(id, sizeof id, "c-%d", i);
        json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:i, s:I}", "type", "feedback",
                                                "customer", id, "survey", "nps", "score", i % 11,
                                                "at", (json_int_t)now));
    }
    json_decref(uplift_events(uplift, events, &err));
    json_decref(events);
}

/* The data choose the method of a survey, so the two methods share alpha. */
static void test_look__two_methods_share_alpha(void **state)
{
    (void)state;
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    json_t *metric = json_pack("{s:s, s:s}", "key", "nps", "kind", "nps");
    json_t *patch =
        json_pack("{s:{s:[s], s:[s]}}", "metrics", "primary", "buy", "secondary", "nps");
    made(uplift_metric_create(uplift, &change, metric, &err));
    made(uplift_experiment_patch(uplift, &change, slice_of("exp"), patch, &err));
    json_decref(metric);
    json_decref(patch);
    come(uplift, 500, 0.2, 0.2);
    double spent = 0;
    for (int many = 0; many < 2; many++) {
        answer_surveys(uplift, many ? 100 : 0, many ? 1000 : 100);
        json_t *study = analysis_study(uplift, slice_of("exp"), 0, &err);
        json_t *list = json_object_get(study, "metrics");
        json_t *row = json_array_get(list, 1);
        assert_string_equal(text_of(row, "method"), many ? "sequential" : "exact");
        assert_true(number_of(json_array_get(list, 0), "alpha") == 0.05);
        spent += number_of(row, "alpha");
        json_decref(study);
    }
    assert_true(spent > 0.049999 && spent <= 0.05 + 1e-15);
    uplift_close(&uplift);
}

/* Of the customers from..to, both arms alternating, so many of every 50 of an arm are promoters and
 * the others detractors. */
static void answer_by_arm(struct uplift *uplift, int from, int to, int a, int b)
{
    struct error err = {0};
    json_t *events = json_array();
    for (int i = from; i < to; i++) {
        char id[32];
        bool promotes = i / 2 % 50 < (i % 2 ? b : a);
        snprintf(id, sizeof id, "c-%d", i);
        json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:i, s:I}", "type", "feedback",
                                                "customer", id, "survey", "nps", "score",
                                                promotes ? 10 : 0, "at", (json_int_t)now));
    }
    json_decref(uplift_events(uplift, events, &err));
    json_decref(events);
}

static json_t *survey_comparison(json_t *results)
{
    json_t *metric = json_array_get(json_object_get(results, "metrics"), 1);
    return json_array_get(json_object_get(metric, "comparisons"), 0);
}

/* A p-value that was not small enough for the exact method's tenth of alpha does not come to be
 * when the other nine tenths are read. */
static void test_look__a_p_value_keeps_to_its_share_of_alpha(void **state)
{
    (void)state;
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    json_t *metric = json_pack("{s:s, s:s}", "key", "nps", "kind", "nps");
    json_t *patch =
        json_pack("{s:{s:[s], s:[s]}}", "metrics", "primary", "buy", "secondary", "nps");
    made(uplift_metric_create(uplift, &change, metric, &err));
    made(uplift_experiment_patch(uplift, &change, slice_of("exp"), patch, &err));
    json_decref(metric);
    json_decref(patch);
    come(uplift, 500, 0.2, 0.2);
    answer_by_arm(uplift, 0, 100, 25, 47);
    look(uplift);
    json_t *results = results_at(uplift, -1);
    double p = number_of(survey_comparison(results), "p_value");
    assert_true(p > 0.005 && p < 0.045);
    assert_false(json_is_true(json_object_get(survey_comparison(results), "significant")));
    json_decref(results);
    now += 1000;
    answer_by_arm(uplift, 100, 1000, 25, 25);
    results = results_at(uplift, -1);
    json_t *row = survey_comparison(results);
    assert_true(number_of(json_object_get(row, "now"), "p_value") > 0.5);
    assert_true(fabs(number_of(row, "p_value") - 9 * p) < 1e-12);
    assert_false(json_is_true(json_object_get(row, "significant")));
    json_decref(results);
    uplift_close(&uplift);
}

/* A rule that is changed while an experiment runs does not change its decision. */
static void test_look__limits_are_those_of_the_start(void **state)
{
    (void)state;
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    struct uplift *uplift = open_folder();
    json_t *metric = json_pack("{s:s, s:s, s:s, s:f, s:f}", "key", "buy", "kind", "binary", "event",
                               "order", "margin", 0.02, "min_effect", 0.1);
    made(uplift_metric_create(uplift, &change, metric, &err));
    json_t *experiment = json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:[s]}}", "key", "exp", "variants",
                                   "key", "a", "key", "b", "metrics", "guardrail", "buy");
    made(uplift_experiment_create(uplift, &change, experiment, &err));
    made(uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    json_object_set_new(metric, "margin", json_real(0.5));
    json_object_set_new(metric, "min_effect", json_real(0.9));
    made(uplift_metric_amend(uplift, &change, slice_of("buy"), metric, &err));
    uplift_close(&uplift);
    uplift = open_folder();
    come(uplift, 100, 0.2, 0.2);
    json_t *results = results_at(uplift, -1);
    json_t *row = json_array_get(json_object_get(results, "metrics"), 0);
    assert_true(number_of(row, "limit") == -0.02 && number_of(row, "min_effect") == 0.1);
    json_decref(results);
    /* The next phase starts by what is in force then. */
    made(
        uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_NEW_PHASE, NULL, &err));
    now += 1000;
    come(uplift, 100, 0.2, 0.2);
    results = results_at(uplift, -1);
    row = json_array_get(json_object_get(results, "metrics"), 0);
    assert_true(number_of(row, "limit") == -0.5);
    json_decref(results);
    json_t *past = json_pack("{s:i}", "limits", 1);
    assert_null(uplift_experiment_patch(uplift, &change, slice_of("exp"), past, &err));
    assert_string_equal(err.place, "limits");
    json_decref(past);
    json_decref(metric);
    json_decref(experiment);
    uplift_close(&uplift);
}

static void test_look__house_is_kept_once_a_day_and_on_news(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    come(uplift, 50, 0.2, 0.3);
    assert_true(analysis_keep_house(uplift, &err));
    assert_true(just_taken(uplift));
    now += 60000;
    assert_true(analysis_keep_house(uplift, &err)); /* nothing new */
    assert_false(just_taken(uplift));
    come(uplift, 50, 0.2, 0.3);
    assert_true(analysis_keep_house(uplift, &err));
    assert_true(just_taken(uplift));
    now = start + WHEN_DAY;
    assert_true(analysis_keep_house(uplift, &err)); /* a new day */
    assert_true(just_taken(uplift));
    json_t *results = results_at(uplift, -1);
    assert_int_equal(json_array_size(json_object_get(results, "looks")), 2);
    json_decref(results);
    uplift_close(&uplift);
}

/* --- scheduled looks ------------------------------------------------------------------------- */

/* Planned for 4,000 customers, with looks after these days. */
static struct uplift *open_scheduled(void)
{
    return open_with_design(json_pack("{s:s, s:i, s:[i, i, i]}", "method", "scheduled", "horizon",
                                      4000, "looks", 7, 8, 14));
}

/* Results now. The comparison must have had so many looks, and has a range where `range`. */
static json_t *expect(struct uplift *uplift, size_t looks, bool range)
{
    json_t *results = results_at(uplift, -1), *row = comparison(results);
    json_t *critical = json_object_get(json_object_get(row, "looks"), "critical");
    assert_int_equal(json_array_size(critical), looks);
    assert_int_equal(json_is_number(json_array_get(json_object_get(row, "interval"), 0)), range);
    return results;
}

static void pass(struct uplift *uplift, size_t looks, bool range)
{
    json_decref(expect(uplift, looks, range));
}

static json_int_t schedule_of(json_t *results, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(results, "schedule"), name));
}

static void test_look__nothing_is_claimed_between_scheduled_looks(void **state)
{
    (void)state;
    struct uplift *uplift = open_scheduled();
    come(uplift, 500, 0.1, 0.3); /* however clear it is */
    now = start + 6 * WHEN_DAY + WHEN_DAY / 2;
    json_t *results = expect(uplift, 0, false);
    assert_string_equal(text_of(comparison(results), "verdict"), "unclear");
    assert_true(json_is_number(json_object_get(comparison(results), "estimate")));
    assert_int_equal(schedule_of(results, "next_look_day"), 7);
    json_decref(results);
    now = start + 7 * WHEN_DAY + 1; /* asking takes the look that is due */
    json_t *at_look = expect(uplift, 1, true);
    assert_string_equal(text_of(comparison(at_look), "verdict"), "better");
    assert_int_equal(schedule_of(at_look, "last_look_day"), 7);
    come(uplift, 500, 0.1, 0.1); /* the present effect is smaller: nothing new is said of it */
    results = expect(uplift, 1, true);
    assert_true(json_equal(json_object_get(comparison(results), "interval"),
                           json_object_get(comparison(at_look), "interval")));
    assert_string_equal(text_of(comparison(results), "verdict"), "better");
    json_t *alone = json_object_get(json_object_get(comparison(results), "now"), "interval");
    assert_true(json_is_null(json_array_get(alone, 0)));
    json_decref(at_look);
    json_decref(results);
    uplift_close(&uplift);
}

static void test_look__scheduled_looks_are_on_disk(void **state)
{
    (void)state;
    struct uplift *uplift = open_scheduled();
    come(uplift, 300, 0.2, 0.2);
    now = start + 7 * WHEN_DAY + 1;
    pass(uplift, 1, true);
    uplift_close(&uplift);
    uplift = open_folder();
    come(uplift, 300, 0.2, 0.2);
    pass(uplift, 1, true); /* it is not taken again */
    now = start + 8 * WHEN_DAY + 1;
    json_t *results = expect(uplift, 2, true);
    json_t *share = json_object_get(json_object_get(comparison(results), "looks"), "share");
    assert_true(json_number_value(json_array_get(share, 0)) == 600. / 4000);
    assert_true(json_number_value(json_array_get(share, 1)) == 1200. / 4000);
    json_decref(results);
    now = start + 9 * WHEN_DAY + 1;
    come(uplift, 300, 0.2, 0.2);
    results = expect(uplift, 2, true); /* day 9 is none of its days */
    assert_int_equal(schedule_of(results, "next_look_day"), 14);
    json_decref(results);
    uplift_close(&uplift);
}

static void test_look__past_the_horizon_a_sequence_goes_on(void **state)
{
    (void)state;
    struct uplift *uplift = open_scheduled();
    come(uplift, 1000, 0.2, 0.2);
    now = start + 7 * WHEN_DAY + 1;
    pass(uplift, 1, true);
    come(uplift, 1100, 0.2, 0.2); /* 4,200: a look is due on the next day, whatever was planned */
    now = start + 9 * WHEN_DAY + 1;
    json_t *results = expect(uplift, 2, true);
    assert_true(json_is_true(json_object_get(json_object_get(results, "schedule"), "over")));
    assert_string_equal(text_of(json_object_get(results, "decision"), "action"), "your-call");
    double low = end_of(comparison(results), 0);
    json_decref(results);
    for (int i = 0; i < 4; i++)
        come(uplift, 4000, 0.2, 0.3);
    results = expect(uplift, 2, true); /* at any moment */
    assert_true(end_of(comparison(results), 0) > fmax(low, 0));
    assert_string_equal(text_of(comparison(results), "verdict"), "better");
    json_decref(results);
    uplift_close(&uplift);
}

/* A metric that comes to count something else past the horizon has one look left, and then the
 * sequence: it is not left without a range for ever. */
static void test_look__who_missed_the_horizon_looks_later(void **state)
{
    (void)state;
    struct uplift *uplift = open_scheduled();
    come(uplift, 2100, 0.2, 0.3);
    now = start + 9 * WHEN_DAY + 1;
    pass(uplift, 1, true);
    amend_metric(uplift, "Buys", 3);
    for (int i = 0; i < 1000 && atomic_load(&uplift->rebuild.running) > 0; i++)
        usleep(10000);
    json_t *results = expect(uplift, 0, false); /* its look is not due before the next day */
    assert_true(json_is_object(json_object_get(comparison(results), "restarted")));
    json_decref(results);
    now += WHEN_DAY;
    results = expect(uplift, 1, true);
    assert_int_equal(schedule_of(results, "over_day"), 9); /* the plan ended when it did */
    assert_true(json_number_value(json_array_get(json_object_get(results, "planned_days"), 0)) ==
                9);
    json_decref(results);
    uplift_close(&uplift);
}

/* What a look has claimed after a drift stands until the next one. */
static void test_look__a_drift_is_claimed_until_the_next_look(void **state)
{
    (void)state;
    struct uplift *uplift = open_scheduled();
    come(uplift, 300, 0.2, 0.6);
    now = start + 7 * WHEN_DAY + 1;
    pass(uplift, 1, true);
    come(uplift, 1500, 0.5, 0.2);
    now = start + 8 * WHEN_DAY + 1;
    json_t *at_look = expect(uplift, 2, true);
    assert_string_equal(text_of(comparison(at_look), "verdict"), "worse");
    assert_int_equal(day_of(comparison(at_look), "drift_since"), 9);
    now += 60 * 1000;
    look(uplift);
    json_t *later = expect(uplift, 2, true);
    assert_true(json_equal(json_object_get(comparison(later), "interval"),
                           json_object_get(comparison(at_look), "interval")));
    assert_string_equal(text_of(comparison(later), "verdict"), "worse");
    json_decref(at_look);
    json_decref(later);
    uplift_close(&uplift);
}

/* An earlier phase stays what it was, whatever the next one is designed to be. */
static void test_look__a_phase_keeps_its_design(void **state)
{
    (void)state;
    const struct definition_change change = {.who = "test", .at = -1};
    const struct results_options first = {.phase = 1, .as_of = -1};
    struct error err = {0};
    struct uplift *uplift = open_with_experiment();
    come(uplift, 1000, 0.2, 0.3);
    json_t *before = results_at(uplift, -1);
    now = start + 2 * WHEN_DAY;
    json_t *options = json_pack("{s:{s:s, s:i}}", "design", "method", "scheduled", "horizon", 4000);
    made(uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_NEW_PHASE, options,
                                      &err));
    json_decref(options);
    json_t *results = analysis_results(uplift, slice_of("exp"), &first, &err);
    assert_non_null(results);
    assert_string_equal(text_of(json_object_get(results, "design"), "method"), "sequential");
    assert_true(json_is_null(json_object_get(results, "schedule")));
    assert_true(json_equal(json_object_get(comparison(results), "interval"),
                           json_object_get(comparison(before), "interval")));
    json_decref(before);
    json_decref(results);
    uplift_close(&uplift);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_look__nothing_before_the_first),
        TEST(test_look__one_a_day_and_as_of),
        TEST(test_look__a_damaged_one_is_told),
        TEST(test_look__only_narrows_and_stays_clear),
        TEST(test_look__what_was_shown_is_kept),
        TEST(test_look__drift),
        TEST(test_look__another_metric_begins_anew),
        TEST(test_look__two_methods_share_alpha),
        TEST(test_look__a_p_value_keeps_to_its_share_of_alpha),
        TEST(test_look__limits_are_those_of_the_start),
        TEST(test_look__a_larger_family_takes_nothing_back),
        TEST(test_look__house_is_kept_once_a_day_and_on_news),
        TEST(test_look__nothing_is_claimed_between_scheduled_looks),
        TEST(test_look__scheduled_looks_are_on_disk),
        TEST(test_look__past_the_horizon_a_sequence_goes_on),
        TEST(test_look__who_missed_the_horizon_looks_later),
        TEST(test_look__a_drift_is_claimed_until_the_next_look),
        TEST(test_look__a_phase_keeps_its_design),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("look", tests, NULL, NULL);
}
