/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions: every reason with its steps (tests/data/assign), the SDKs' own experiments as far as
 * our model can say them, and what must hold over 200,000 customers. */
#include "tests/core/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assign.h"
#include "core/error.h"
#include "core/experiment_change.h"

enum { CUSTOMERS = 200000 };

static struct assignment decide(const struct experiment *experiment, struct slice customer,
                                const json_t *attributes, json_t *trace)
{
    const struct assign_customer who = {.id = customer, .attributes = attributes};
    return assign_decide(&who, experiment, trace);
}

static struct experiment *stepped(struct experiment *from, enum experiment_step step,
                                  json_t *options)
{
    struct error err = {0};
    struct experiment *to = experiment_step(from, step, options, 0, &err);
    if (!to)
        fail_msg("%s: %s", err.place, err.message);
    experiment_unref(&from);
    return to;
}

/* Takes over the definition. */
static struct experiment *made(json_t *definition)
{
    struct error err = {0};
    assert_non_null(definition);
    struct experiment *draft = experiment_create(definition, 1, 0, &err);
    if (!draft)
        fail_msg("%s: %s", err.place, err.message);
    json_decref(definition);
    return draft;
}

static struct experiment *running(json_t *definition)
{
    return stepped(made(definition), STEP_START, NULL);
}

static json_t *definition_of(const json_t *row)
{
    json_t *layer = json_object_get(row, "layer"), *audience = json_object_get(row, "audience");
    json_t *definition =
        json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:s}, s:{s:s}}", "key", "checkout", "variants", "key",
                  "a", "key", "b", "audience", "country", "DE", "overrides", "qa-1", "b");
    json_t *range = layer ? json_incref(layer) : json_pack("[i, i]", 0, 1);
    json_object_set_new(definition, "layer", json_pack("{s:s, s:o}", "key", "l", "range", range));
    if (audience)
        json_object_set(definition, "audience", audience);
    if (json_object_get(row, "traffic"))
        json_object_set(definition, "traffic", json_object_get(row, "traffic"));
    return definition;
}

static struct experiment *in_state(struct experiment *draft, const json_t *row)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    json_t *winner = json_object_get(row, "winner");
    if (state && strcmp(state, "draft") == 0)
        return draft;
    struct experiment *experiment = stepped(draft, STEP_START, NULL);
    if (state && strcmp(state, "paused") == 0)
        return stepped(experiment, STEP_PAUSE, NULL);
    if (!state)
        return experiment;
    json_t *options = winner ? json_pack("{s:O}", "winner", winner) : NULL;
    experiment = stepped(experiment, STEP_STOP, options);
    json_decref(options);
    return experiment;
}

static void test_case(void **state)
{
    json_t *row = *state, *given = json_object_get(row, "attributes");
    const char *customer = json_string_value(json_object_get(row, "customer"));
    struct experiment *experiment = in_state(made(definition_of(row)), row);
    json_t *attributes = given ? json_incref(given) : json_pack("{s:s}", "country", "DE");
    json_t *trace = json_array(), *seen = json_array(), *bucket = json_object_get(row, "bucket");
    struct slice who = slice_of(customer ? customer : "customer-1");
    const json_t *object = json_is_object(attributes) ? attributes : NULL;
    struct assignment is = decide(experiment, who, object, trace);
    struct assignment plain = decide(experiment, who, object, NULL);
    assert_int_equal(is.variant, json_integer_value(json_object_get(row, "variant")));
    assert_string_equal(assign_reason_word(is.reason),
                        json_string_value(json_object_get(row, "reason")));
    assert_int_equal(is.in_experiment, json_is_true(json_object_get(row, "in")));
    assert_true(!bucket || is.bucket == json_number_value(bucket));
    assert_true(plain.variant == is.variant && plain.reason == is.reason &&
                plain.bucket == is.bucket && plain.in_experiment == is.in_experiment);
    size_t i;
    json_t *step;
    json_array_foreach(trace, i, step) json_array_append(seen, json_object_get(step, "step"));
    assert_true(json_equal(seen, json_object_get(row, "steps")));
    json_decref(seen);
    json_decref(trace);
    json_decref(attributes);
    experiment_unref(&experiment);
}

/* --- the SDKs' own experiments ---------------------------------------------------------------- */

/* What of an SDK's experiment our model does not have, or NULL. */
static const char *foreign(json_t *rule)
{
    static const char *const known[] = {
        "key",  "seed", "hashVersion", "variations", "weights",       "coverage", "condition",
        "meta", "type", "name",        "phase",      "hashAttribute", NULL};
    const char *name, *attribute = json_string_value(json_object_get(rule, "hashAttribute"));
    json_t *value;
    if (json_number_value(json_object_get(rule, "hashVersion")) != 2)
        return "another version of the hash";
    if (attribute && strcmp(attribute, "id") != 0)
        return "another unit than the customer";
    json_object_foreach(rule, name, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (!known[i])
            return "members that the model has not";
    }
    return json_is_array(json_object_get(rule, "variations")) ? NULL : "not an experiment";
}

static json_t *translated(json_t *rule, const char *key)
{
    json_t *variants = json_array(), *weights = json_object_get(rule, "weights"), *value;
    json_t *coverage = json_object_get(rule, "coverage");
    json_t *condition = json_object_get(rule, "condition"), *seed = json_object_get(rule, "seed");
    size_t i;
    json_array_foreach(json_object_get(rule, "variations"), i, value)
    {
        json_t *variant = json_pack("{s:O}", "value", value);
        json_object_set_new(variant, "key", json_sprintf("v%zu", i));
        if (json_array_get(weights, i))
            json_object_set(variant, "weight", json_array_get(weights, i));
        json_array_append_new(variants, variant);
    }
    json_t *definition = json_pack("{s:s, s:o}", "key", key, "variants", variants);
    json_object_set_new(definition, "seed", seed ? json_incref(seed) : json_string(key));
    if (coverage)
        json_object_set(definition, "traffic", coverage);
    if (condition)
        json_object_set(definition, "audience", condition);
    return definition;
}

static void assert_decides(json_t *rule, const char *key, json_t *context, json_t *value, bool in)
{
    json_t *attributes = json_object_get(context, "attributes");
    const char *id = json_string_value(json_object_get(attributes, "id"));
    struct experiment *experiment = running(translated(rule, key));
    struct assignment is = decide(experiment, slice_of(id), attributes, NULL);
    assert_true(is.variant >= 0);
    assert_true(json_equal(experiment->variants[is.variant].value, value));
    assert_int_equal(is.in_experiment, in);
    experiment_unref(&experiment);
}

struct counts {
    size_t ran, foreign;
};

static void count_foreign(struct counts *counts, json_t *row, const char *why)
{
    counts->foreign++;
    print_message("# left out (%s): %s\n", why, json_string_value(json_array_get(row, 0)));
}

static void run_case(json_t *row, struct counts *counts)
{
    json_t *rule = json_array_get(row, 2);
    const char *why = foreign(rule);
    if (why) {
        count_foreign(counts, row, why);
        return;
    }
    assert_decides(rule, json_string_value(json_object_get(rule, "key")), json_array_get(row, 1),
                   json_array_get(json_object_get(rule, "variations"),
                                  (size_t)json_integer_value(json_array_get(row, 3))),
                   json_is_true(json_array_get(row, 4)));
    counts->ran++;
}

static void feature_case(json_t *row, struct counts *counts)
{
    json_t *context = json_array_get(row, 1), *answer = json_array_get(row, 3);
    const char *name = json_string_value(json_array_get(row, 2));
    json_t *feature = json_object_get(json_object_get(context, "features"), name);
    json_t *rules = json_object_get(feature, "rules"), *rule = json_array_get(rules, 0);
    const char *key = json_string_value(json_object_get(rule, "key"));
    const char *why = json_array_size(rules) != 1 || json_object_get(context, "forcedVariations")
                          ? "not one rule"
                          : foreign(rule);
    if (why) {
        count_foreign(counts, row, why);
        return;
    }
    json_t *in = json_object_get(json_object_get(answer, "experimentResult"), "inExperiment");
    assert_decides(rule, key ? key : name, context, json_object_get(answer, "value"),
                   json_is_true(in));
    counts->ran++;
}

static struct counts run_file(const char *name, void (*run)(json_t *row, struct counts *counts))
{
    char path[4096];
    const char *folder = getenv("UPLIFT_SHARED_DATA");
    snprintf(path, sizeof path, "%s/growthbook-cases/%s.ndjson", folder ? folder : "../shared/data",
             name);
    FILE *file = fopen(path, "r");
    if (!file) {
        print_message("# skipped: %s is absent\n", path);
        skip();
        return (struct counts){0};
    }
    struct counts counts = {0};
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        assert_non_null(row);
        run(row, &counts);
        json_decref(row);
    }
    free(line);
    fclose(file);
    print_message("# %s: %zu ran, %zu not expressible\n", name, counts.ran, counts.foreign);
    return counts;
}

static void test_assign__agrees_with_the_sdk_cases(void **state)
{
    (void)state;
    assert_true(run_file("run", run_case).ran >= 1);
    assert_true(run_file("feature", feature_case).ran >= 1);
}

/* --- over many customers ---------------------------------------------------------------------- */

static struct slice customer_name(int i, char room[32])
{
    return (struct slice){room, (size_t)snprintf(room, 32, "c-%d", i)};
}

static double chi_squared(const double *seen, const double *expected, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
    return sum;
}

static void test_assign__agrees_with_the_weights(void **state)
{
    (void)state;
    const double weights[] = {0.5, 0.3, 0.2};
    double seen[3] = {0}, expected[3];
    char room[32];
    struct experiment *experiment = running(json_pack(
        "{s:s, s:[{s:s, s:f}, {s:s, s:f}, {s:s, s:f}]}", "key", "weights", "variants", "key", "a",
        "weight", weights[0], "key", "b", "weight", weights[1], "key", "c", "weight", weights[2]));
    for (int i = 0; i < CUSTOMERS; i++) {
        struct assignment is = decide(experiment, customer_name(i, room), NULL, NULL);
        assert_true(is.in_experiment);
        seen[is.variant]++;
    }
    for (int i = 0; i < 3; i++)
        expected[i] = weights[i] * CUSTOMERS;
    double statistic = chi_squared(seen, expected, 3);
    print_message("# chi-squared %.2f, 2 degrees of freedom\n", statistic);
    assert_true(statistic < 18.42); /* p = 0.0001 */
    experiment_unref(&experiment);
}

static void test_assign__two_experiments_are_independent(void **state)
{
    (void)state;
    double seen[4] = {0}, expected[4];
    char room[32];
    struct experiment *pair[2];
    for (int k = 0; k < 2; k++)
        pair[k] = running(json_pack("{s:s, s:[{s:s}, {s:s}]}", "key", k ? "second" : "first",
                                    "variants", "key", "a", "key", "b"));
    for (int i = 0; i < CUSTOMERS; i++) {
        struct slice who = customer_name(i, room);
        seen[2 * decide(pair[0], who, NULL, NULL).variant +
             decide(pair[1], who, NULL, NULL).variant]++;
    }
    for (int i = 0; i < 4; i++)
        expected[i] =
            (seen[i & 2] + seen[(i & 2) + 1]) * (seen[i & 1] + seen[(i & 1) + 2]) / CUSTOMERS;
    double statistic = chi_squared(seen, expected, 4);
    print_message("# chi-squared %.2f, 1 degree of freedom\n", statistic);
    assert_true(statistic < 15.14); /* p = 0.0001 */
    experiment_unref(&pair[0]);
    experiment_unref(&pair[1]);
}

static void test_assign__more_traffic_moves_nobody(void **state)
{
    (void)state;
    enum { SHARES = 5, SOME = 20000 };
    static const double shares[SHARES] = {0.05, 0.2, 0.37, 0.8, 1};
    struct experiment *ramp[SHARES];
    char room[32];
    for (int k = 0; k < SHARES; k++)
        ramp[k] = running(json_pack("{s:s, s:f, s:[{s:s, s:f}, {s:s, s:f}]}", "key", "ramp",
                                    "traffic", shares[k], "variants", "key", "a", "weight", 0.7,
                                    "key", "b", "weight", 0.3));
    for (int i = 0; i < SOME; i++) {
        struct assignment before = {.in_experiment = false};
        for (int k = 0; k < SHARES; k++) {
            struct assignment is = decide(ramp[k], customer_name(i, room), NULL, NULL);
            assert_true(!before.in_experiment ||
                        (is.in_experiment && is.variant == before.variant));
            before = is;
        }
        assert_true(before.in_experiment);
    }
    for (int k = 0; k < SHARES; k++)
        experiment_unref(&ramp[k]);
}

int main(void)
{
    const struct CMUnitTest fixed[] = {
        cmocka_unit_test(test_assign__agrees_with_the_sdk_cases),
        cmocka_unit_test(test_assign__agrees_with_the_weights),
        cmocka_unit_test(test_assign__two_experiments_are_independent),
        cmocka_unit_test(test_assign__more_traffic_moves_nobody),
    };
    return cases_run("assign", fixed, sizeof fixed / sizeof *fixed, "assign/decisions.json",
                     test_case);
}
