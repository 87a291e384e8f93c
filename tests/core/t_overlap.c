/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Overlap against brute force over random histories, and what is kept of interactions: latched,
 * gone on from, told to health and webhooks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/customer.h"
#include "core/definitions.h"
#include "core/health.h"
#include "core/json.h"
#include "core/overlap.h"
#include "core/uplift.h"
#include "core/webhook.h"
#include "tests/core/folder.h"

enum { EXPERIMENTS = 6, CUSTOMERS = 2500, MANY = 200 };

static const struct definition_change anyhow = {.who = "test", .at = -1};
static int64_t now;
static uint32_t seed;
static char folder[FOLDER_MAX];
static struct uplift *uplift;

static int64_t told_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock told_clock = {.now = told_now};

static void assert_near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%g, not %g", got, want);
}

static unsigned draw(unsigned below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static int open_folder(void **state)
{
    (void)state;
    struct error err = {0};
    now = INT64_C(1790000000000);
    return folder_make(folder) && (uplift = uplift_open(folder, &told_clock, &err)) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    uplift_close(&uplift);
    return folder_remove(folder) ? 0 : -1;
}

static json_t *parsed(const char *text)
{
    struct error err = {0};
    json_t *json = json_parse(text, strlen(text), &err);
    assert_string_equal(err.message, "");
    return json;
}

static void define_metric(const char *text)
{
    struct error err = {0};
    json_t *input = parsed(text);
    json_decref(uplift_metric_create(uplift, &anyhow, input, &err));
    assert_string_equal(err.message, "");
    json_decref(input);
}

static void step(const char *key, enum experiment_step which)
{
    struct error err = {0};
    json_decref(uplift_experiment_transition(uplift, &anyhow, slice_of(key), which, NULL, &err));
    assert_string_equal(err.message, "");
}

/* A running experiment. */
static void define(const char *text)
{
    struct error err = {0};
    json_t *input = parsed(text);
    json_decref(uplift_experiment_create(uplift, &anyhow, input, &err));
    assert_string_equal(err.message, "");
    step(json_string_value(json_object_get(input, "key")), STEP_START);
    json_decref(input);
}

static void send(json_t *events)
{
    struct error err = {0};
    size_t count = json_array_size(events);
    for (size_t from = 0; from < count; from += UPLIFT_EVENTS_MAX) {
        json_t *part = json_array();
        for (size_t i = from; i < count && i < from + UPLIFT_EVENTS_MAX; i++)
            json_array_append(part, json_array_get(events, i));
        json_t *answer = uplift_events(uplift, part, &err);
        assert_string_equal(err.message, "");
        assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
        json_decref(answer);
        json_decref(part);
    }
    json_decref(events);
}

static json_t *exposure(int customer, const char *experiment, const char *variant, int64_t at)
{
    char id[24];
    snprintf(id, sizeof id, "c-%d", customer);
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "type", "exposure", "customer", id, "experiment",
                     experiment, "variant", variant, "at", (json_int_t)at);
}

static json_t *outcome(int customer, double value, int64_t at)
{
    char id[24];
    snprintf(id, sizeof id, "c-%d", customer);
    return json_pack("{s:s, s:s, s:s, s:f, s:I}", "type", "outcome", "customer", id, "name",
                     "order", "value", value, "at", (json_int_t)at);
}

static json_t *list_of(const char *experiment, const char *after, size_t limit)
{
    struct error err = {0};
    json_t *list = overlap_list(uplift, slice_of(experiment), slice_of(after), limit, &err);
    assert_string_equal(err.message, "");
    return list;
}

static json_t *refreshed(void)
{
    struct error err = {0};
    assert_true(folder_settled(uplift));
    overlap_refresh(uplift, &err);
    assert_string_equal(err.message, "");
    return list_of("", "", 1000);
}

static const char *word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static const char *key_in(const json_t *row, size_t i)
{
    return word(json_array_get(json_object_get(row, "experiments"), i), "key");
}

static json_t *row_of(const json_t *list, const char *a, const char *b)
{
    size_t i;
    json_t *row;
    json_array_foreach(
        json_object_get(list, "overlaps"), i,
        row) if ((strcmp(key_in(row, 0), a) == 0 && strcmp(key_in(row, 1), b) == 0)) return row;
    return NULL;
}

/* --- counts --------------------------------------------------------------------------------- */

/* What the histories say, by hand. */
static unsigned seen[EXPERIMENTS][CUSTOMERS]; /* variants by bit */
static double spent[CUSTOMERS];
static bool gone[CUSTOMERS];
static const char *const keys[EXPERIMENTS] = {"x0", "x1", "x2", "x3", "x4", "x5"};
static const char *const variants[3] = {"a", "b", "c"};
static const int variant_counts[EXPERIMENTS] = {2, 2, 3, 2, 2, 2};

static int variant_of(int experiment, int customer)
{
    unsigned bits = seen[experiment][customer];
    return bits == 0 ? -1 : bits == 1 ? 0 : bits == 2 ? 1 : bits == 4 ? 2 : -2;
}

static void shuffle(json_t *events)
{
    for (size_t i = json_array_size(events); i > 1; i--) {
        size_t k = draw((unsigned)i);
        json_t *x = json_incref(json_array_get(events, i - 1)),
               *y = json_incref(json_array_get(events, k));
        json_array_set_new(events, i - 1, y);
        json_array_set_new(events, k, x);
    }
}

/* Random histories, in random order. Of x4 only what is of its second phase counts. */
static void live(void)
{
    json_t *events = json_array();
    for (int c = 0; c < CUSTOMERS; c++) {
        int64_t at = now + 1 + draw(1000);
        spent[c] = 0;
        for (int e = 0; e < EXPERIMENTS; e++)
            for (unsigned k = draw(4) ? draw(12) ? 1 : 2 : 0; k > 0; k--) {
                unsigned variant = draw((unsigned)variant_counts[e]);
                seen[e][c] |= 1u << variant;
                json_array_append_new(events, exposure(c, keys[e], variants[variant], at));
                if (draw(4) == 0) /* the same twice, and later once more */
                    json_array_append_new(events,
                                          exposure(c, keys[e], variants[variant], at + draw(2)));
            }
        for (unsigned k = draw(3) + (c == 7 ? MANY : 0); k > 0; k--) {
            double value = draw(1000);
            spent[c] += value;
            json_array_append_new(events, outcome(c, value, now + 5000 + draw(100000)));
        }
    }
    shuffle(events);
    now += 200000;
    send(events);
}

static void erase_some(void)
{
    struct error err = {0};
    for (int c = 0; c < CUSTOMERS; c += 37) {
        char id[24];
        snprintf(id, sizeof id, "c-%d", c);
        json_t *answer = uplift_customer_erase(uplift, "test", slice_of(id), &err);
        gone[c] = answer;
        json_decref(answer);
        err = (struct error){0}; /* of whom nothing is kept there is nothing to erase */
    }
}

struct brute {
    int64_t cells[3][3], customers, crossed;
    double sum[3][3], square[3][3];
};

static struct brute brute_of(int a, int b)
{
    struct brute out = {.customers = 0};
    for (int c = 0; c < CUSTOMERS; c++) {
        int x = variant_of(a, c), y = variant_of(b, c);
        if (gone[c] || x == -1 || y == -1)
            continue;
        if (x == -2 || y == -2) {
            out.crossed++;
            continue;
        }
        out.customers++;
        out.cells[x][y]++;
        out.sum[x][y] += spent[c];
        out.square[x][y] += spent[c] * spent[c];
    }
    return out;
}

static int64_t exposed(int experiment)
{
    int64_t count = 0;
    for (int c = 0; c < CUSTOMERS; c++)
        count += !gone[c] && variant_of(experiment, c) >= 0;
    return count;
}

/* (m11 - m01) - (m10 - m00) and its error, from plain sums. */
static void assert_contrast(const json_t *row, const struct brute *brute, int l, int k)
{
    static const int sign[4] = {1, -1, -1, 1};
    const int at[4][2] = {{0, 0}, {0, k}, {l, 0}, {l, k}};
    const json_t *metric = json_array_get(json_object_get(row, "metrics"), 0);
    json_t *contrast, *found = NULL;
    double estimate = 0, variance = 0;
    size_t i;
    for (int c = 0; c < 4; c++) {
        double n = (double)brute->cells[at[c][0]][at[c][1]], sum = brute->sum[at[c][0]][at[c][1]],
               square = brute->square[at[c][0]][at[c][1]];
        estimate += sign[c] * sum / n;
        variance += (square - sum * sum / n) / (n - 1) / n;
    }
    json_array_foreach(json_object_get(metric, "contrasts"), i, contrast)
    {
        json_t *named = json_object_get(contrast, "variants");
        if (strcmp(json_string_value(json_array_get(named, 0)), variants[l]) == 0 &&
            strcmp(json_string_value(json_array_get(named, 1)), variants[k]) == 0)
            found = contrast;
    }
    double got = json_number_value(json_object_get(found, "estimate")),
           se = json_number_value(json_object_get(found, "se"));
    if (fabs(got - estimate) > 1e-9 * fabs(estimate) || fabs(se * se - variance) > 1e-9 * variance)
        fail_msg("%s %s: %g with %g, by hand %g with %g", key_in(row, 0), key_in(row, 1), got, se,
                 estimate, sqrt(variance));
}

static void assert_pair(const json_t *list, int a, int b)
{
    json_t *row = row_of(list, keys[a], keys[b]);
    struct brute brute = brute_of(a, b);
    assert_non_null(row);
    assert_int_equal(json_integer_value(json_object_get(row, "customers")), brute.customers);
    assert_int_equal(json_integer_value(json_object_get(row, "crossed")), brute.crossed);
    for (int l = 0; l < variant_counts[a]; l++)
        for (int k = 0; k < variant_counts[b]; k++)
            assert_int_equal(
                json_integer_value(json_array_get(
                    json_array_get(json_object_get(row, "cells"), (size_t)l), (size_t)k)),
                brute.cells[l][k]);
    int64_t x = exposed(a), y = exposed(b);
    const json_t *sides = json_object_get(row, "experiments");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(sides, 0), "exposed")), x);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(sides, 1), "exposed")), y);
    assert_near(json_number_value(json_object_get(row, "share")),
                (double)brute.customers / (double)(x < y ? x : y), 1e-12);
    if (brute.cells[0][0] > 120)
        assert_contrast(row, &brute, variant_counts[a] - 1, variant_counts[b] - 1);
}

static void define_six(void)
{
    define_metric("{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\"}");
    define("{\"key\": \"x0\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"layer\":"
           " {\"key\": \"l\", \"range\": [0, 0.5]}, \"metrics\": {\"primary\": [\"spend\"]}}");
    define("{\"key\": \"x1\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}], \"layer\":"
           " {\"key\": \"l\", \"range\": [0.5, 1]}, \"metrics\": {\"primary\": [\"spend\"]}}");
    define("{\"key\": \"x2\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}, {\"key\": \"c\"}],"
           " \"metrics\": {\"guardrail\": [\"spend\"]}}");
    define("{\"key\": \"x3\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
           " \"metrics\": {\"primary\": [\"spend\"]}}");
    define("{\"key\": \"x4\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
           " \"metrics\": {\"primary\": [\"spend\"]}}");
    define("{\"key\": \"x5\", \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
           " \"metrics\": {\"primary\": [\"spend\"]}}");
}

static void test_overlap__counts_as_brute_force_does(void **state)
{
    (void)state;
    seed = 20261125;
    print_message("# seed %u\n", seed);
    define_six();
    json_t *earlier = json_array();
    for (int c = 0; c < CUSTOMERS; c++)
        json_array_append_new(earlier, exposure(c, "x4", variants[c % 2], now + 1));
    now += 10;
    send(earlier);
    now += 10;
    step("x4", STEP_NEW_PHASE);
    now += 10;
    live();
    step("x3", STEP_PAUSE);
    erase_some();
    json_t *list = refreshed();
    for (int a = 0; a < EXPERIMENTS; a++)
        for (int b = a + 1; b < EXPERIMENTS; b++) {
            if (a == 0 && b == 1)
                assert_null(row_of(list, "x0", "x1"));
            else
                assert_pair(list, a, b);
        }
    assert_int_equal(json_array_size(json_object_get(list, "overlaps")), 14);
    assert_string_equal(
        word(json_array_get(json_object_get(row_of(list, "x3", "x4"), "experiments"), 0), "state"),
        "paused");
    json_decref(list);
    /* Who stops is no longer among those that run. */
    step("x3", STEP_STOP);
    list = list_of("", "", 1000);
    assert_int_equal(json_array_size(json_object_get(list, "overlaps")), 9);
    json_decref(list);
    list = list_of("x0", "", 1000);
    assert_int_equal(json_array_size(json_object_get(list, "overlaps")), 3);
    json_decref(list);
}

static void test_overlap__comes_in_pages(void **state)
{
    (void)state;
    struct error err = {0};
    seed = 77;
    memset(seen, 0, sizeof seen);
    define_six();
    live();
    json_t *all = refreshed(), *rows = json_object_get(all, "overlaps");
    char after[100] = "";
    for (size_t i = 0; i < json_array_size(rows); i += 4) {
        json_t *page = list_of("", after, 4), *row;
        size_t k;
        json_array_foreach(json_object_get(page, "overlaps"), k, row)
            assert_true(json_equal(row, json_array_get(rows, i + k)));
        assert_int_equal(k, json_array_size(rows) - i < 4 ? json_array_size(rows) - i : 4);
        snprintf(after, sizeof after, "%s", word(page, "next"));
        json_decref(page);
    }
    assert_string_equal(after, "");
    for (size_t i = 1; i < json_array_size(rows); i++)
        assert_true(json_integer_value(json_object_get(json_array_get(rows, i - 1), "customers")) >=
                    json_integer_value(json_object_get(json_array_get(rows, i), "customers")));
    json_decref(all);
    assert_null(overlap_list(uplift, NO_SLICE, slice_of("5-x"), 4, &err));
    assert_int_equal(err.code, ERROR_INVALID);
    err = (struct error){0};
    assert_null(overlap_list(uplift, slice_of("none"), slice_of(""), 4, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

/* --- interactions --------------------------------------------------------------------------- */

static void define_two(void)
{
    define_metric("{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\"}");
    define_metric("{\"key\": \"buy\", \"name\": \"Purchase\", \"kind\": \"binary\", \"event\":"
                  " \"order\"}");
    define_metric("{\"key\": \"p90\", \"kind\": \"quantile\", \"quantile\": 0.9, \"event\":"
                  " \"order\"}");
    define("{\"key\": \"one\", \"name\": \"Button\", \"variants\": [{\"key\": \"a\", \"name\":"
           " \"Grey\"}, {\"key\": \"b\", \"name\": \"Green\"}],"
           " \"metrics\": {\"primary\": [\"buy\"], \"guardrail\": [\"p90\"]}}");
    define("{\"key\": \"two\", \"name\": \"Headline\", \"variants\": [{\"key\": \"a\", \"name\":"
           " \"Today\"}, {\"key\": \"b\", \"name\": \"Short\"}], \"metrics\": {\"primary\":"
           " [\"buy\"], \"secondary\": [\"spend\"]}}");
}

static int next_customer;

/* `each` customers a cell, of whom these of a thousand buy, in the order 00, 01, 10, 11. */
static void come(int each, const int buying[4])
{
    json_t *events = json_array();
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < each; i++, next_customer++) {
            json_array_append_new(events, exposure(next_customer, "one", variants[c / 2], now + 1));
            json_array_append_new(events, exposure(next_customer, "two", variants[c % 2], now + 2));
            if (i * 1000 < buying[c] * each)
                json_array_append_new(events, outcome(next_customer, 1, now + 3));
        }
    now += 100;
    send(events);
}

static const json_t *contrast_of(const json_t *list)
{
    const json_t *row = row_of(list, "one", "two");
    return json_array_get(
        json_object_get(json_array_get(json_object_get(row, "metrics"), 0), "contrasts"), 0);
}

static json_t *results_of(const char *key)
{
    struct error err = {0};
    const struct results_options options = {.as_of = -1, .without_segments = true};
    json_t *results = analysis_results(uplift, slice_of(key), &options, &err);
    assert_string_equal(err.message, "");
    return results;
}

static void assert_health(const char *key, const char *status, const char *text)
{
    json_t *results = results_of(key);
    const json_t *check = health_check(json_object_get(results, "health"), "interaction");
    assert_string_equal(word(check, "status"), status);
    if (*text && !strstr(word(check, "text"), text))
        fail_msg("%s", word(check, "text"));
    json_decref(results);
}

static size_t waiting(void)
{
    struct error err = {0};
    json_t *all = webhook_deliveries(uplift, "", 100, false, &err);
    size_t count = json_array_size(json_object_get(all, "deliveries"));
    json_decref(all);
    return count;
}

static void test_overlap__says_nothing_too_early(void **state)
{
    (void)state;
    static const int odd[4] = {0, 1000, 1000, 0};
    next_customer = 0;
    define_two();
    come(99, odd);
    json_t *list = refreshed(), *row = row_of(list, "one", "two");
    assert_string_equal(word(row, "interaction"), "too-early");
    assert_string_equal(word(row, "text"), "Not enough customers in both yet: 100 are needed of "
                                           "each combination of variants, the smallest has 99");
    assert_true(json_is_null(json_object_get(contrast_of(list), "estimate")));
    json_decref(list);
    assert_health("one", "", "");
}

static void test_overlap__independent_ones_are_said_to_be(void **state)
{
    (void)state;
    static const int added[4] = {100, 150, 200, 250};
    next_customer = 0;
    define_two();
    come(1000, added);
    json_t *list = refreshed(), *row = row_of(list, "one", "two");
    const char *begins = "Button and Headline work independently as far as we can tell (Purchase: "
                         "difference -";
    assert_string_equal(word(row, "interaction"), "none-seen");
    assert_int_equal(strncmp(word(row, "text"), begins, strlen(begins)), 0);
    assert_near(json_number_value(json_object_get(contrast_of(list), "estimate")), 0, 1e-12);
    json_decref(list);
    assert_health("one", "ok", "work independently");
    assert_health("two", "ok", "work independently");
}

/* Found, told once, and stays when later customers show nothing of it; gone on from the smallest
 * p-value and what the ranges leave. */
static void test_overlap__an_interaction_is_told_once_and_stays(void **state)
{
    (void)state;
    static const int planted[4] = {100, 100, 110, 300}, none[4] = {100, 100, 100, 100};
    struct error err = {0};
    next_customer = 0;
    define_two();
    json_t *hook =
        json_pack("{s:s, s:[s]}", "url", "http://127.0.0.1:9/x", "events", "interaction.alarm");
    json_decref(webhook_create(uplift, "test", hook, &err));
    assert_string_equal(err.message, "");
    json_decref(hook);
    come(1000, planted);
    json_t *first = refreshed(), *row = row_of(first, "one", "two");
    const json_t *one = contrast_of(first);
    assert_string_equal(word(row, "interaction"), "found");
    assert_string_equal(word(one, "significant_since"), word(first, "as_of"));
    assert_non_null(strstr(word(row, "text"),
                           "Button and Headline depend on each other. Purchase: \"Green\" of "
                           "Button changes it by +1.0 points where Headline gives \"Today\", by "
                           "+20.0 points where it gives \"Short\" (difference +"));
    /* A quantile has no mean to compare. */
    const json_t *quantile = json_array_get(json_object_get(row, "metrics"), 1);
    assert_string_equal(word(quantile, "key"), "p90");
    assert_true(*word(quantile, "error"));
    assert_int_equal(json_array_size(json_object_get(row, "metrics")), 2);
    assert_int_equal(waiting(), 1);
    assert_health("one", "warn", "Button and Headline depend on each other");
    assert_health("two", "warn", "Button and Headline depend on each other");
    now += WHEN_DAY;
    come(20000, none);
    json_t *second = refreshed();
    const json_t *two = contrast_of(second);
    assert_string_equal(word(two, "significant_since"), word(first, "as_of"));
    assert_true(json_number_value(json_object_get(two, "p_value")) <=
                json_number_value(json_object_get(one, "p_value")));
    assert_true(json_number_value(json_object_get(two, "estimate")) < 0.02);
    assert_true(json_is_true(json_object_get(two, "changed")));
    assert_int_equal(waiting(), 1);
    /* Stopped, it is no pair any more, and the other one's health goes on telling of it. */
    step("two", STEP_STOP);
    json_t *third = refreshed();
    assert_int_equal(json_array_size(json_object_get(third, "overlaps")), 0);
    assert_health("one", "warn", "depend on each other");
    assert_health("two", "warn", "depend on each other");
    /* A new phase is another experiment. */
    step("one", STEP_NEW_PHASE);
    json_decref(refreshed());
    assert_health("one", "", "");
    json_decref(first);
    json_decref(second);
    json_decref(third);
}

/* Where the metric comes to count something else, figures begin anew. */
static void test_overlap__figures_begin_anew_with_another_metric(void **state)
{
    (void)state;
    static const int planted[4] = {100, 100, 100, 300};
    struct error err = {0};
    next_customer = 0;
    define_two();
    come(1000, planted);
    json_decref(refreshed());
    json_t *input = parsed("{\"key\": \"buy\", \"name\": \"Purchase\", \"kind\": \"binary\","
                           " \"event\": \"visit\"}");
    json_decref(uplift_metric_amend(uplift, &anyhow, slice_of("buy"), input, &err));
    assert_string_equal(err.message, "");
    json_decref(input);
    json_t *list = refreshed();
    assert_string_equal(word(row_of(list, "one", "two"), "interaction"), "too-early");
    assert_true(json_is_null(json_object_get(contrast_of(list), "p_value")));
    json_decref(list);
}

/* Asking counts anew after an hour, keeping house after a day; in between what was made is given.
 */
static void test_overlap__is_made_anew_when_it_is_old(void **state)
{
    (void)state;
    struct error err = {0};
    static const int added[4] = {100, 150, 200, 250};
    next_customer = 0;
    define_two();
    json_decref(list_of("", "", 10));
    json_t *list = refreshed();
    int64_t made = now;
    char when[64];
    snprintf(when, sizeof when, "%s", word(list, "as_of"));
    json_decref(list);
    now = made + WHEN_HOUR - 2000;
    come(10, added);
    list = list_of("", "", 10);
    assert_string_equal(word(list, "as_of"), when);
    assert_int_equal(json_array_size(json_object_get(list, "overlaps")), 0);
    json_decref(list);
    now = made + WHEN_HOUR;
    for (int i = 0; i < 200; i++) {
        list = list_of("", "", 10);
        bool fresh = strcmp(word(list, "as_of"), when) != 0;
        json_decref(list);
        if (fresh)
            break;
        assert_true(i < 199);
    }
    list = list_of("", "", 10);
    assert_int_equal(json_array_size(json_object_get(list, "overlaps")), 1);
    snprintf(when, sizeof when, "%s", word(list, "as_of"));
    json_decref(list);
    now += WHEN_DAY - 1000;
    assert_true(overlap_keep_house(uplift, &err));
    now += 1000;
    assert_true(overlap_keep_house(uplift, &err));
    uplift_close(&uplift); /* waits for what runs */
    uplift = uplift_open(folder, &told_clock, &err);
    assert_non_null(uplift);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_overlap__counts_as_brute_force_does, open_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_overlap__comes_in_pages, open_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_overlap__says_nothing_too_early, open_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_overlap__independent_ones_are_said_to_be, open_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_overlap__an_interaction_is_told_once_and_stays,
                                        open_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_overlap__figures_begin_anew_with_another_metric,
                                        open_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_overlap__is_made_anew_when_it_is_old, open_folder,
                                        remove_folder),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
