/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Experiments: cases of tests/data/definitions/experiment.json, lookups, the stored form, random
 * definitions, and a good one in which each value in turn is replaced by something hostile. */
#include "tests/core/cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/experiment.h"
#include "core/json.h"

#define NOW INT64_C(1793613600123)

static json_t *read_json(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    assert_non_null(value);
    return value;
}

/* The input of the case that has the whole example of the model. */
static json_t *example(void)
{
    json_t *cases = cases_load("definitions/experiment.json");
    json_t *input = json_incref(json_object_get(json_array_get(cases, 1), "input"));
    json_decref(cases);
    return input;
}

static void assert_round_trip(const struct experiment *experiment)
{
    struct error err = {0};
    char *text = experiment_stored(experiment);
    struct experiment *back = experiment_from_stored(text, strlen(text), &err);
    assert_string_equal(err.message, "");
    assert_non_null(back);
    char *again = experiment_stored(back);
    assert_string_equal(text, again);
    assert_int_equal(back->number, experiment->number);
    free(text);
    free(again);
    experiment_unref(&back);
}

static void assert_gives(const struct experiment *experiment, json_t *gives)
{
    const char *name;
    json_t *value;
    json_object_foreach(gives, name, value)
    {
        const json_t *got = json_object_get(experiment_json(experiment), name);
        if (json_is_string(value) && strcmp(json_string_value(value), "absent") == 0) {
            assert_null(got);
            continue;
        }
        char *wanted = json_text(value), *have = json_text(got);
        assert_string_equal(have, wanted);
        free(wanted);
        free(have);
    }
}

static void test_experiment__case(void **state)
{
    json_t *one = *state;
    const char *expected = json_string_value(json_object_get(one, "error"));
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    struct experiment *e = experiment_create(json_object_get(one, "input"), 5, NOW, &err);
    assert_string_equal(error_line(&err, line), expected ? expected : "");
    if (expected) {
        assert_null(e);
        bool later = json_object_get(one, "code") != NULL;
        assert_int_equal(err.code, later ? ERROR_UNSUPPORTED : ERROR_INVALID);
        return;
    }
    assert_gives(e, json_object_get(one, "gives"));
    assert_round_trip(e);
    experiment_unref(&e);
}

static void test_experiment__fields_hold_what_was_given(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *input = example();
    struct experiment *e = experiment_create(input, 5, NOW, &err);
    json_decref(input);
    assert_non_null(e);
    assert_int_equal(e->number, 5);
    assert_int_equal(e->version, 1);
    assert_int_equal(e->state, EXPERIMENT_DRAFT);
    assert_string_equal(e->owner, "growth");
    assert_non_null(e->audience);
    assert_string_equal(e->layer_key, "checkout");
    assert_true(e->layer_range[0] == 0 && e->layer_range[1] == 0.5);
    assert_int_equal(e->factor_count, 2);
    assert_string_equal(e->factors[1].levels[1], "pushy");
    assert_int_equal(e->variants[1].levels[0], 1);
    assert_int_equal(e->metric_count, 4);
    assert_int_equal(e->metrics[2].role, ROLE_GUARDRAIL);
    assert_string_equal(e->metrics[3].key, "revenue");
    assert_true(e->winner == -1 && e->phase == 1 && e->started_at == -1 && e->stopped_at == -1);
    assert_int_equal(e->created_at, NOW);
    assert_true(json_is_object(e->variants[0].value));
    experiment_unref(&e);
}

static void test_experiment__looks_up_variants_and_overrides(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *input = read_json("{\"key\": \"e\", \"variants\": [{\"key\": \"a\", \"weight\": 3}, "
                              "{\"key\": \"b\", \"weight\": 1}], \"overrides\": {\"künde\": \"b\", "
                              "\"x\": \"a\"}}");
    struct experiment *e = experiment_create(input, 1, NOW, &err);
    json_decref(input);
    assert_non_null(e);
    assert_int_equal(experiment_variant(e, slice_of("b")), 1);
    assert_int_equal(experiment_variant(e, slice_of("c")), -1);
    assert_int_equal(experiment_variant(e, (struct slice){"b!", 1}), 1);
    assert_int_equal(experiment_override(e, slice_of("künde")), 1);
    assert_int_equal(experiment_override(e, slice_of("x")), 0);
    assert_int_equal(experiment_override(e, (struct slice){"xy", 1}), 0);
    assert_int_equal(experiment_override(e, slice_of("kün")), -1);
    assert_int_equal(json_object_size(experiment_overrides(e)), 2);
    double weights[2];
    experiment_weights(e, weights);
    assert_true(weights[0] == 0.75 && weights[1] == 0.25);
    experiment_unref(&e);
}

static void test_experiment__input_is_not_kept(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *input = example();
    struct experiment *e = experiment_create(input, 1, NOW, &err);
    char *before = experiment_stored(e);
    json_object_clear(json_object_get(input, "audience"));
    json_object_clear(json_object_get(input, "overrides"));
    json_t *variant = json_array_get(json_object_get(input, "variants"), 0);
    json_object_clear(json_object_get(variant, "value"));
    char *after = experiment_stored(e);
    assert_string_equal(before, after);
    free(before);
    free(after);
    json_decref(input);
    experiment_unref(&e);
}

static void test_experiment__damaged_store_is_corrupt(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *input = example();
    struct experiment *e = experiment_create(input, 1, NOW, &err);
    char *text = experiment_stored(e);
    size_t len = strlen(text);
    for (size_t cut = 0; cut < len; cut++) {
        assert_null(experiment_from_stored(text, cut, &err));
        assert_int_equal(err.code, ERROR_CORRUPT);
        error_clear(&err);
    }
    free(text);
    json_decref(input);
    experiment_unref(&e);
}

/* --- hostile values --- */

/* What replaces each value of a good definition, by turns. */
static json_t *hostile(size_t which)
{
    static const char *const texts[] = {"null",
                                        "true",
                                        "0",
                                        "-1",
                                        "1e308",
                                        "-9223372036854775808",
                                        "0.5",
                                        "\"\"",
                                        "\"x\"",
                                        "\"\\u0001\\ud83d\\udcb6\"",
                                        "[]",
                                        "{}",
                                        "[[[]]]",
                                        "{\"\":{}}",
                                        "[null,null]",
                                        "{\"key\":1}",
                                        "[{\"key\":\"a\"},{\"key\":\"a\"}]",
                                        "2e9",
                                        "9007199254740993"};
    enum { TEXTS = sizeof texts / sizeof *texts };
    if (which < TEXTS)
        return read_json(texts[which]);
    if (which == TEXTS) { /* long text */
        char *text = malloc(200001);
        memset(text, 'a', 200000);
        text[200000] = '\0';
        json_t *value = json_string(text);
        free(text);
        return value;
    }
    if (which > TEXTS + 1)
        return NULL;
    json_t *deep = json_array(); /* as deep as the parser lets through */
    for (int i = 0; i < 2000; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, deep);
        deep = outer;
    }
    return deep;
}

/* The definition must be refused with a place, or be good through and through. */
static void try_definition(json_t *input, int *good, int *bad)
{
    struct error err = {0};
    struct experiment *e = experiment_create(input, 1, NOW, &err);
    if (e) {
        assert_int_equal(err.code, ERROR_NONE);
        assert_round_trip(e);
        (*good)++;
    } else {
        assert_true(err.code == ERROR_INVALID || err.code == ERROR_UNSUPPORTED);
        assert_true(*err.place && *err.message);
        (*bad)++;
    }
    experiment_unref(&e);
}

/* Puts every hostile value in place of each member and item below `node`, one at a time. */
static void replace_each(json_t *top, json_t *node, int *good, int *bad)
{
    const char *name;
    json_t *value, *keys = json_array();
    json_object_foreach(node, name, value) json_array_append_new(keys, json_string(name));
    size_t count = json_is_array(node) ? json_array_size(node) : json_array_size(keys);
    for (size_t i = 0; i < count; i++) {
        bool array = json_is_array(node);
        name = array ? NULL : json_string_value(json_array_get(keys, i));
        json_t *kept = json_incref(array ? json_array_get(node, i) : json_object_get(node, name));
        replace_each(top, kept, good, bad);
        json_t *wrong;
        for (size_t which = 0; (wrong = hostile(which)) != NULL; which++) {
            if (array)
                json_array_set_new(node, i, wrong);
            else
                json_object_set_new(node, name, wrong);
            try_definition(top, good, bad);
        }
        if (array)
            json_array_set_new(node, i, kept);
        else
            json_object_set_new(node, name, kept);
    }
    json_decref(keys);
}

static void test_experiment__hostile_values_are_refused_with_a_place(void **state)
{
    (void)state;
    int good = 0, bad = 0;
    json_t *input = example();
    try_definition(input, &good, &bad);
    assert_int_equal(good, 1);
    replace_each(input, input, &good, &bad);
    print_message("# %d refused, %d good\n", bad, good);
    assert_true(bad > 800);
    try_definition(input, &good, &bad); /* put back as it was */
    json_decref(input);
}

static void test_experiment__unknown_fields_are_refused_everywhere(void **state)
{
    (void)state;
    static const char *const places[] = {"", "layer", "design", "metrics"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct error err = {0};
        json_t *input = example();
        json_t *object = *places[i] ? json_object_get(input, places[i]) : input;
        json_object_set_new(object, "typo", json_null());
        assert_null(experiment_create(input, 1, NOW, &err));
        assert_string_equal(err.message, "unknown field");
        assert_true(strncmp(err.place, places[i], strlen(places[i])) == 0);
        json_decref(input);
    }
}

static void test_experiment__deep_values_are_refused(void **state)
{
    (void)state;
    for (int levels = 60; levels < 70; levels++) {
        struct error err = {0};
        json_t *value = json_object();
        for (int i = 0; i < levels; i++)
            value = json_pack("{s:o}", "in", value);
        json_t *input = json_pack("{s:s, s:[{s:s, s:O}, {s:s, s:O}]}", "key", "e", "variants",
                                  "key", "a", "value", value, "key", "b", "value", value);
        struct experiment *e = experiment_create(input, 1, NOW, &err);
        assert_true((e != NULL) == (levels <= 64));
        assert_string_equal(err.place, e ? "" : "variants[0].value");
        experiment_unref(&e);
        json_decref(input);
        json_decref(value);
    }
}

static void test_experiment__too_many_overrides_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *input = example(), *overrides = json_object_get(input, "overrides");
    for (int i = 0; i < 9999; i++) {
        char customer[32];
        snprintf(customer, sizeof customer, "c-%d", i);
        json_object_set_new(overrides, customer, json_string("recs"));
    }
    struct experiment *e = experiment_create(input, 1, NOW, &err);
    assert_non_null(e);
    experiment_unref(&e);
    json_object_set_new(overrides, "one more", json_string("recs"));
    assert_null(experiment_create(input, 1, NOW, &err));
    assert_string_equal(err.message, "must have at most 10000 customers");
    json_decref(input);
}

/* --- random definitions --- */

static unsigned short seed[3] = {4, 5, 6};

static long pick(long below)
{
    return nrand48(seed) % below;
}

static json_t *random_value(int type)
{
    switch (type) {
    case 0:
        return json_boolean(pick(2));
    case 1:
        return pick(2) ? json_real(erand48(seed) * 1e9) : json_integer(pick(1000));
    case 2:
        return json_sprintf("value-%ld \" \\ 💶", pick(1000));
    default:
        return json_pack("{s:i, s:[i, n, {s:b}]}", "n", (int)pick(9), "list", 1, "deep", 1);
    }
}

static json_t *random_variants(void)
{
    json_t *variants = json_array();
    long count = 2 + pick(6), type = pick(5), weights = pick(2);
    for (long i = 0; i < count; i++) {
        json_t *variant = json_pack("{s:o}", "key", json_sprintf("v%ld", i));
        if (weights)
            json_object_set_new(variant, "weight", json_real(erand48(seed) + 1e-9));
        if (type < 4)
            json_object_set_new(variant, "value", random_value((int)type));
        json_array_append_new(variants, variant);
    }
    return variants;
}

static json_t *random_factors(void)
{
    json_t *factors = json_array();
    for (long f = 0, count = 1 + pick(3); f < count; f++) {
        json_t *levels = json_array();
        for (long l = 0, most = 2 + pick(3); l < most; l++)
            json_array_append_new(levels, json_sprintf("l%ld", l));
        json_array_append_new(
            factors, json_pack("{s:o, s:o}", "key", json_sprintf("f%ld", f), "levels", levels));
    }
    return factors;
}

static json_t *random_definition(void)
{
    json_t *input = json_pack("{s:o}", "key", json_sprintf("e%ld", pick(1000000)));
    if (pick(3) == 0)
        json_object_set_new(input, "factors", random_factors());
    else
        json_object_set_new(input, "variants", random_variants());
    if (pick(2))
        json_object_set_new(input, "traffic", json_real(erand48(seed) + 1e-12));
    if (pick(2))
        json_object_set_new(input, "layer",
                            json_pack("{s:s, s:[f, f]}", "key", "l", "range", erand48(seed) / 2,
                                      0.5 + erand48(seed) / 2 + 1e-9));
    if (pick(2))
        json_object_set_new(input, "seed", random_value(2));
    if (pick(2))
        json_object_set_new(input, "segments", json_pack("[s, s]", "device", "Land"));
    if (pick(2))
        json_object_set_new(
            input, "metrics",
            json_pack("{s:[s], s:[s, s]}", "guardrail", "m1", "primary", "m2", "m3"));
    if (pick(2))
        json_object_set_new(input, "design",
                            json_pack("{s:f, s:i}", "alpha", (erand48(seed) + 1e-9) / 2,
                                      "planned_days", (int)(7 + pick(90))));
    return input;
}

static void test_experiment__random_definitions_come_back_to_the_last_bit(void **state)
{
    (void)state;
    print_message("# seed 4 5 6\n");
    for (int round = 0; round < 500; round++) {
        struct error err = {0};
        json_t *input = random_definition();
        struct experiment *e = experiment_create(input, 1 + (uint32_t)round, NOW + round, &err);
        assert_string_equal(err.message, "");
        assert_round_trip(e);
        double sum = 0, weights[EXPERIMENT_VARIANTS_MAX];
        experiment_weights(e, weights);
        for (size_t i = 0; i < e->variant_count; i++)
            sum += weights[i];
        assert_true(fabs(sum - 1) < 1e-12);
        const json_t *traffic = json_object_get(input, "traffic");
        assert_true(e->traffic == (traffic ? json_number_value(traffic) : 1));
        /* What the API shows, sent again, defines the same experiment. */
        json_t *shown = json_deep_copy(experiment_json(e));
        json_object_set_new(shown, "created_at", json_null());
        struct experiment *again = experiment_create(shown, e->number, e->created_at, &err);
        assert_string_equal(err.message, "");
        assert_true(json_equal((json_t *)experiment_json(again), (json_t *)experiment_json(e)));
        experiment_unref(&again);
        experiment_unref(&e);
        json_decref(shown);
        json_decref(input);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_experiment__fields_hold_what_was_given),
        cmocka_unit_test(test_experiment__looks_up_variants_and_overrides),
        cmocka_unit_test(test_experiment__input_is_not_kept),
        cmocka_unit_test(test_experiment__damaged_store_is_corrupt),
        cmocka_unit_test(test_experiment__hostile_values_are_refused_with_a_place),
        cmocka_unit_test(test_experiment__unknown_fields_are_refused_everywhere),
        cmocka_unit_test(test_experiment__deep_values_are_refused),
        cmocka_unit_test(test_experiment__too_many_overrides_are_refused),
        cmocka_unit_test(test_experiment__random_definitions_come_back_to_the_last_bit),
    };
    return cases_run("experiment", tests, sizeof tests / sizeof *tests,
                     "definitions/experiment.json", test_experiment__case);
}
