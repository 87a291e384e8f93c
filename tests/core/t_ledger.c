/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting: the order of events, batches, duplicates and restarts never show in the tallies, and
 * the rules of the model hold one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { ORDERS = 20, CUSTOMERS = 60 };
static const int64_t start = INT64_C(1790000000000);
static int64_t now;

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock fixed_clock = {.now = fixed_now};
static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static struct uplift *open_store(const char *folder)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &fixed_clock, &err);
    assert_string_equal(err.message, "");
    return uplift;
}

static void make(struct uplift *uplift, bool metric, const char *text)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = start};
    json_t *input = json_loads(text, 0, NULL);
    assert_non_null(input);
    json_t *made = metric ? uplift_metric_create(uplift, &change, input, &err)
                          : uplift_experiment_create(uplift, &change, input, &err);
    assert_string_equal(err.message, "");
    json_decref(made);
    json_decref(input);
}

static void step(struct uplift *uplift, enum experiment_step which, int64_t at)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = at};
    json_decref(uplift_experiment_transition(uplift, &change, slice_of("exp"), which, NULL, &err));
    assert_string_equal(err.message, "");
}

/* An experiment with a metric of every kind, started, its traffic raised on day three. */
static void define(struct uplift *uplift)
{
    static const char *const metrics[] = {
        "{\"key\": \"bin\", \"kind\": \"binary\", \"event\": \"order\", \"covariate_days\": 7}",
        "{\"key\": \"mean\", \"kind\": \"mean\", \"event\": \"order\", \"cap\": 50,"
        " \"covariate_days\": 7}",
        "{\"key\": \"count\", \"kind\": \"count\", \"event\": \"visit\"}",
        "{\"key\": \"ratio\", \"kind\": \"ratio\", \"event\": \"order\","
        " \"denominator\": \"visit\"}",
        "{\"key\": \"ret\", \"kind\": \"retention\", \"event\": \"visit\", \"from_days\": 1,"
        " \"to_days\": 3}",
        "{\"key\": \"capped\", \"kind\": \"mean\", \"event\": \"order\", \"cap_percentile\": 90,"
        " \"covariate_days\": 7}",
        "{\"key\": \"p75\", \"kind\": \"quantile\", \"event\": \"order\", \"quantile\": 0.75}",
        "{\"key\": \"nps\", \"kind\": \"nps\"}",
        "{\"key\": \"csat\", \"kind\": \"csat\"}"};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        make(uplift, true, metrics[i]);
    make(uplift, false,
         "{\"key\": \"exp\", \"traffic\": 0.5, \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
         " \"segments\": [\"device\"], \"metrics\": {\"primary\": [\"bin\", \"mean\", \"count\","
         " \"ratio\"], \"guardrail\": [\"nps\", \"csat\"], \"secondary\": [\"ret\", \"capped\","
         " \"p75\"]}}");
    step(uplift, STEP_START, start);
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = start + 3 * WHEN_DAY};
    json_t *patch = json_pack("{s:f}", "traffic", 1.0);
    json_decref(uplift_experiment_patch(uplift, &change, slice_of("exp"), patch, &err));
    assert_string_equal(err.message, "");
    json_decref(patch);
}

static json_t *random_event(int i)
{
    char customer[16], id[16];
    snprintf(customer, sizeof customer, "c-%u", draw(CUSTOMERS));
    snprintf(id, sizeof id, "e-%d", i);
    json_int_t at = (json_int_t)(start - 2 * WHEN_DAY) + draw(8 * 24 * 60) * 60000;
    switch (draw(5)) {
    case 0:
        /* Some see a second variant and so leave the analysis. */
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:{s:s}}", "id", id, "type", "exposure",
                         "customer", customer, "experiment", "exp", "variant",
                         ((unsigned char)customer[2] + draw(12) / 11) % 2 ? "a" : "b", "at", at,
                         "attributes", "device", draw(2) ? "phone" : "desktop");
    case 1:
        return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I}", "id", id, "type", "feedback", "customer",
                         customer, "survey", "nps", "score", (int)draw(11), "at", at);
    case 2:
        return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I}", "id", id, "type", "feedback", "customer",
                         customer, "survey", "csat", "score", 1 + (int)draw(5), "at", at);
    case 3:
        return json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", id, "type", "outcome", "customer",
                         customer, "name", "visit", "at", at);
    default:
        return json_pack("{s:s, s:s, s:s, s:s, s:f, s:I}", "id", id, "type", "outcome", "customer",
                         customer, "name", "order", "value", (double)draw(10000) / 7.0 / 100, "at",
                         at);
    }
}

static json_t *send(struct uplift *uplift, json_t *events)
{
    struct error err = {0};
    json_t *answer = uplift_events(uplift, events, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
    return answer;
}

static void ignore(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

static void assert_checked(struct uplift *uplift)
{
    struct error err = {0};
    uint64_t differences = 1;
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(ledger_check(txn, catalog, ignore, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
}

static char *study_text(struct uplift *uplift)
{
    struct error err = {0};
    json_t *study = analysis_study(uplift, slice_of("exp"), 0, &err);
    assert_string_equal(err.message, "");
    char *text = json_text(study);
    json_decref(study);
    return text;
}

/* Sends all events in a random order, in random batches, some twice, with restarts between. */
static char *count_in_some_order(json_t *events)
{
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    define(uplift);
    size_t count = json_array_size(events), *order = calloc(count, sizeof *order);
    for (size_t i = 0; i < count; i++) {
        size_t j = draw((uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < count;) {
        json_t *batch = json_array();
        for (size_t left = 1 + draw(80); left > 0 && i < count; left--, i++) {
            json_array_append(batch, json_array_get(events, order[i]));
            if (draw(10) == 0)
                json_array_append(batch, json_array_get(events, order[draw((uint32_t)i + 1)]));
        }
        json_decref(send(uplift, batch));
        json_decref(batch);
        if (draw(20) == 0) {
            uplift_close(&uplift);
            uplift = open_store(folder);
        }
    }
    free(order);
    assert_checked(uplift);
    char *text = study_text(uplift);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
    return text;
}

/* Counts equal to the last bit, sums to 1e-12; what was taken away again may leave 1e-20. */
static bool same_figures(json_t *a, json_t *b)
{
    size_t i;
    const char *name;
    json_t *item;
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        return fabs(x - y) <= 1e-12 * fmax(fabs(x), fabs(y)) || fabs(x - y) < 1e-20;
    }
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        json_array_foreach(a, i, item)
        {
            if (!same_figures(item, json_array_get(b, i)))
                return false;
        }
        return json_array_size(a) == json_array_size(b);
    }
    if (!json_is_object(a))
        return json_equal(a, b);
    json_object_foreach(a, name, item)
    {
        json_t *other = json_object_get(b, name);
        bool count = strcmp(name, "n") == 0 || strcmp(name, "exposed") == 0;
        if (!other || !(count ? json_equal(item, other) : same_figures(item, other))) {
            print_message("# %s differs\n", name);
            return false;
        }
    }
    return json_object_size(a) == json_object_size(b);
}

static void test_ledger__order_does_not_matter(void **state)
{
    (void)state;
    seed = 20261124;
    now = start + 30 * WHEN_DAY;
    print_message("# seed %u\n", seed);
    json_t *events = json_array();
    for (int i = 0; i < 900; i++)
        json_array_append_new(events, random_event(i));
    char *first = count_in_some_order(events);
    assert_non_null(strstr(first, "epoch-2"));
    for (int i = 1; i < ORDERS; i++) {
        char *again = count_in_some_order(events);
        json_t *a = json_loads(first, 0, NULL), *b = json_loads(again, 0, NULL);
        assert_true(same_figures(a, b));
        json_decref(a);
        json_decref(b);
        free(again);
    }
    free(first);
    json_decref(events);
}

/* --- the rules, one by one ------------------------------------------------------------------ */

static struct tally tally_in(struct uplift *uplift, uint16_t epoch, uint32_t metric,
                             uint8_t variant)
{
    struct error err = {0};
    struct store_txn *txn = store_read(uplift->store, &err);
    struct tally_set *set = tally_set_new(txn);
    const struct tally_name name = {.experiment = 1,
                                    .phase = 1,
                                    .epoch = epoch,
                                    .metric = metric,
                                    .segment = {"", 0},
                                    .value = {"", 0},
                                    .variant = variant};
    struct tally tally = *tally_set_at(set, &name);
    tally_set_free(&set);
    store_abort(&txn);
    return tally;
}

static struct tally tally_at(struct uplift *uplift, uint32_t metric, uint8_t variant)
{
    return tally_in(uplift, 0, metric, variant);
}

static void send_text(struct uplift *uplift, const char *type, const char *rest, int64_t at)
{
    char text[512];
    snprintf(text, sizeof text, "{\"type\": \"%s\", \"customer\": \"c\", %s, \"at\": %lld}", type,
             rest, (long long)at);
    json_t *event = json_loads(text, 0, NULL);
    assert_non_null(event);
    json_decref(send(uplift, event));
    json_decref(event);
}

static void test_ledger__windows_covariates_and_first_answers(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    now = start + 60 * WHEN_DAY;
    struct uplift *uplift = open_store(folder);
    define(uplift);
    const int64_t at = start + WHEN_DAY;
    send_text(uplift, "outcome", "\"name\": \"order\", \"value\": 10", at - 1); /* covariate */
    send_text(uplift, "outcome", "\"name\": \"order\", \"value\": 20", at - 8 * WHEN_DAY);
    send_text(uplift, "outcome", "\"name\": \"order\", \"value\": 30", at); /* counts */
    send_text(uplift, "outcome", "\"name\": \"order\", \"value\": 40", at + 14 * WHEN_DAY - 1);
    send_text(uplift, "outcome", "\"name\": \"order\", \"value\": 5", at + 14 * WHEN_DAY);
    send_text(uplift, "feedback", "\"survey\": \"csat\", \"score\": 5", at - 1);
    send_text(uplift, "feedback", "\"survey\": \"csat\", \"score\": 3", at + 1000);
    send_text(uplift, "feedback", "\"survey\": \"csat\", \"score\": 4", at + 2000);
    assert_int_equal(tally_at(uplift, 0, 0).n, 0); /* not exposed yet */
    send_text(uplift, "exposure", "\"experiment\": \"exp\", \"variant\": \"a\"", at);
    assert_int_equal(tally_at(uplift, 0, 0).n, 1);
    struct tally mean = tally_at(uplift, 2, 0);
    assert_true(sum_value(&mean.sum) == 50); /* 70, capped */
    assert_true(sum_value(&mean.pre_sum) == 10);
    struct tally binary = tally_at(uplift, 1, 0);
    assert_true(sum_value(&binary.sum) == 1); /* two orders */
    assert_true(sum_value(&binary.pre_sum) == 1);
    struct tally csat = tally_at(uplift, 9, 0);
    assert_int_equal(csat.n, 1);
    assert_int_equal(csat.scores[3], 1);
    send_text(uplift, "exposure", "\"experiment\": \"exp\", \"variant\": \"b\"", at + 5000);
    assert_int_equal(tally_at(uplift, 0, 0).n, 0);
    assert_int_equal(tally_at(uplift, 0, TALLY_CROSSED).n, 1);
    assert_int_equal(tally_at(uplift, 2, 0).n, 0);
    assert_checked(uplift);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

static void test_ledger__a_time_ahead_counts_as_its_arrival(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    now = start + 3 * WHEN_DAY - WHEN_HOUR; /* an hour before the second epoch */
    struct uplift *uplift = open_store(folder);
    define(uplift);
    send_text(uplift, "exposure", "\"experiment\": \"exp\", \"variant\": \"a\"",
              now + 2 * WHEN_HOUR);
    assert_int_equal(tally_at(uplift, 0, 0).n, 1);
    assert_checked(uplift);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

/* --- bins ----------------------------------------------------------------------------------- */

/* The study's arms of a metric by bins hold what the tally of all units holds, over all epochs. */
static void assert_bins_add_up(struct uplift *uplift, json_t *study, const char *key,
                               uint32_t number)
{
    size_t i, j, k;
    json_t *metric, *stratum, *bin;
    double n = 0, sum = 0, want_n = 0, want_sum = 0;
    json_array_foreach(json_object_get(study, "metrics"), i, metric)
    {
        if (strcmp(json_string_value(json_object_get(metric, "key")), key) != 0)
            continue;
        json_array_foreach(json_object_get(metric, "strata"), j, stratum)
        {
            json_t *arm = json_array_get(json_object_get(stratum, "arms"), 0);
            json_array_foreach(json_object_get(arm, "bins"), k, bin)
            {
                n += json_number_value(json_object_get(bin, "n"));
                sum += json_number_value(json_object_get(bin, "sum"));
            }
        }
    }
    for (uint16_t epoch = 0; epoch < 2; epoch++) {
        struct tally all = tally_in(uplift, epoch, number, 0);
        want_n += (double)all.n;
        want_sum += sum_value(&all.sum);
    }
    assert_true(n == want_n && n > 0);
    if (sum != 0)
        assert_true(fabs(sum - want_sum) <= 1e-9 * want_sum);
}

static void test_ledger__bins_reach_the_results(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    seed = 7;
    now = start + 30 * WHEN_DAY;
    struct uplift *uplift = open_store(folder);
    define(uplift);
    json_t *events = json_array();
    for (int i = 0; i < 900; i++)
        json_array_append_new(events, random_event(i));
    json_decref(send(uplift, events));
    json_decref(events);
    struct error err = {0};
    json_t *study = analysis_study(uplift, slice_of("exp"), 0, &err);
    assert_bins_add_up(uplift, study, "capped", 6);
    assert_bins_add_up(uplift, study, "p75", 7);
    json_decref(study);
    const struct results_options options = {.as_of = -1, .without_looks = true};
    json_t *results = analysis_results(uplift, slice_of("exp"), &options, &err), *metric;
    assert_string_equal(err.message, "");
    size_t i, seen = 0;
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
    {
        const char *key = json_string_value(json_object_get(metric, "key"));
        json_t *row = json_array_get(json_object_get(metric, "comparisons"), 0);
        if (strcmp(key, "capped") == 0) {
            seen++;
            assert_true(json_number_value(json_object_get(metric, "cap_percentile")) == 90);
            assert_true(json_number_value(json_object_get(metric, "cap")) > 0);
            assert_true(json_is_number(json_object_get(row, "value")));
        } else if (strcmp(key, "p75") == 0) {
            seen++;
            assert_true(json_number_value(json_object_get(metric, "quantile")) == 0.75);
            assert_true(json_is_number(json_object_get(row, "base")));
            assert_true(json_is_string(json_object_get(metric, "note")));
            assert_string_equal(json_string_value(json_object_get(metric, "unit")), "number");
        }
    }
    assert_int_equal(seen, 2);
    json_decref(results);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

/* A key without a bin is what it was before there were bins; bins follow it by their order. */
static void test_tally__keys_of_old_stores_are_read(void **state)
{
    (void)state;
    static const char old[] = "\0\0\0\1\0\2\0\3\0\0\0\4"
                              "device\0phone\0\5";
    const struct slice written = {old, sizeof old - 1};
    static const int32_t bins[] = {-70000, -1, 1, 2, 70000};
    struct tally_name name = {0}, back = {0};
    struct store_key key, before;
    assert_true(tally_unkey(written, &name));
    assert_true(name.experiment == 1 && name.phase == 2 && name.epoch == 3 && name.metric == 4);
    assert_true(slice_is(name.segment, "device") && slice_is(name.value, "phone"));
    assert_true(name.variant == 5 && name.bin == 0);
    tally_key(&name, &before);
    assert_true(slice_equal(key_slice(&before), written));
    for (size_t i = 0; i < sizeof bins / sizeof *bins; i++) {
        name.bin = bins[i];
        tally_key(&name, &key);
        assert_true(tally_unkey(key_slice(&key), &back) && back.bin == bins[i]);
        assert_int_equal(key.len, written.len + 4);
        if (i > 0)
            assert_true(memcmp(before.bytes, key.bytes, key.len) < 0);
        before = key;
    }
    key.len--;
    assert_false(tally_unkey(key_slice(&key), &back));
}

static void test_sum__takes_away_what_it_added(void **state)
{
    (void)state;
    seed = 5;
    struct sum sum = {0};
    double values[1000];
    for (int i = 0; i < 1000; i++)
        sum_add(&sum, values[i] = (double)draw(1000000) / 3.0 * (draw(2) ? 1e9 : 1e-9));
    for (int i = 0; i < 1000; i++)
        sum_add(&sum, -values[i]);
    assert_true(sum_value(&sum) > -1e-6 && sum_value(&sum) < 1e-6);
}

/* The largest values that an event may have come and go among small ones. */
static void test_tally__is_as_before_when_the_largest_units_leave(void **state)
{
    (void)state;
    seed = 11;
    struct tally tally = {0}, before;
    struct contribution small = {.value = 3.25, .pre = 0.1, .den = 2, .score = -1};
    for (int i = 0; i < 50; i++)
        tally_count(&tally, &small, 1);
    before = tally;
    struct contribution large[40];
    for (int i = 0; i < 40; i++) {
        double value = EVENT_VALUE_MAX / (double)(1 + draw(5));
        large[i] =
            (struct contribution){.value = value, .pre = value / 3, .den = value / 7, .score = -1};
        tally_count(&tally, &large[i], 1);
    }
    for (int i = 40; i-- > 0;)
        tally_count(&tally, &large[(i * 7) % 40], -1);
    assert_true(tally_agrees(&tally, &before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__order_does_not_matter),
        cmocka_unit_test(test_ledger__windows_covariates_and_first_answers),
        cmocka_unit_test(test_ledger__a_time_ahead_counts_as_its_arrival),
        cmocka_unit_test(test_ledger__bins_reach_the_results),
        cmocka_unit_test(test_tally__keys_of_old_stores_are_read),
        cmocka_unit_test(test_sum__takes_away_what_it_added),
        cmocka_unit_test(test_tally__is_as_before_when_the_largest_units_leave),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
