/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sticky experiments in a real store: whatever becomes of weights and traffic, who was exposed
 * keeps the variant of the first exposure, nobody crosses over, and everybody else is where a small
 * evaluator of this test puts them. UPLIFT_LONG=1 takes many more steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/bucket.h"
#include "core/customer.h"
#include "core/decider.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { CUSTOMERS = 60, VARIANTS = 3 };
static const struct definition_change anyhow = {.who = "test", .at = -1};
static int64_t now;
static uint32_t seed;

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

struct place {
    char folder[FOLDER_MAX], key[FOLDER_MAX + 8];
    struct uplift *uplift;
};

static void begin(struct place *place, bool pseudonyms)
{
    struct error err = {0};
    now = INT64_C(1790000000000);
    assert_true(folder_make(place->folder));
    snprintf(place->key, sizeof place->key, "%s.key", place->folder);
    place->uplift =
        uplift_open_with(place->folder,
                         &(struct uplift_options){.clock = {.now = fixed_now},
                                                  .pseudonyms = pseudonyms ? place->key : NULL},
                         &err);
    assert_string_equal(err.message, "");
}

static void end(struct place *place)
{
    uplift_close(&place->uplift);
    remove(place->key);
    assert_true(folder_remove(place->folder));
}

static json_t *read_json(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void start(struct uplift *uplift, const char *definition)
{
    struct error err = {0};
    json_t *input = read_json(definition);
    json_decref(uplift_experiment_create(uplift, &anyhow, input, &err));
    json_decref(
        uplift_experiment_transition(uplift, &anyhow, slice_of("exp"), STEP_START, NULL, &err));
    assert_string_equal(err.message, "");
    json_decref(input);
}

static void patch(struct uplift *uplift, json_t *changes)
{
    struct error err = {0};
    json_decref(uplift_experiment_patch(uplift, &anyhow, slice_of("exp"), changes, &err));
    assert_string_equal(err.message, "");
    json_decref(changes);
}

static void expose(struct uplift *uplift, const char *customer, const char *variant, int64_t at)
{
    struct error err = {0};
    json_t *event = json_pack("{s:s, s:s, s:s, s:s, s:I}", "type", "exposure", "customer", customer,
                              "experiment", "exp", "variant", variant, "at", (json_int_t)at);
    json_t *answer = uplift_events(uplift, event, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
    json_decref(answer);
    json_decref(event);
}

static struct assignment decide(struct uplift *uplift, const char *customer, json_t *attributes)
{
    struct error err = {0};
    struct decider decider;
    assert_true(decider_begin(&decider, uplift, slice_of(customer), attributes, false, &err));
    struct assignment is = assign_decide(
        &decider.customer, catalog_experiment(decider.catalog, slice_of("exp")), NULL);
    assert_true(decider_end(&decider, &err));
    return is;
}

/* --- the property ---------------------------------------------------------------------------- */

struct world {
    double weights[VARIANTS], traffic;
    int held[CUSTOMERS]; /* -1: never exposed */
};

static const char *const keys[VARIANTS] = {"a", "b", "c"};

static void new_weights(struct uplift *uplift, struct world *world)
{
    json_t *list = json_array();
    double sum = 0;
    for (int i = 0; i < VARIANTS; i++)
        sum += world->weights[i] = draw(3) ? draw(100) : 0;
    if (sum == 0)
        sum = world->weights[0] = 1;
    for (int i = 0; i < VARIANTS; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:f}", "key", keys[i], "weight", world->weights[i]));
    patch(uplift, json_pack("{s:o}", "variants", list));
}

static void more_traffic(struct uplift *uplift, struct world *world)
{
    world->traffic += (1 - world->traffic) * draw(3) / 10.0;
    patch(uplift, json_pack("{s:f}", "traffic", world->traffic));
}

/* -1: not in the experiment. */
static int bucketed(const struct world *world, const char *customer)
{
    double n = bucket_of(slice_of("exp"), slice_of(customer)), sum = 0, from = 0;
    for (int i = 0; i < VARIANTS; i++)
        sum += world->weights[i];
    for (int i = 0; i < VARIANTS; i++) {
        double share = world->weights[i] / sum;
        if (n >= from && n < from + world->traffic * share)
            return i;
        from += share;
    }
    return -1;
}

static void visit(struct uplift *uplift, struct world *world)
{
    char customer[32];
    uint32_t i = draw(CUSTOMERS);
    snprintf(customer, sizeof customer, "c-%u", i);
    struct assignment is = decide(uplift, customer, NULL);
    int expected = world->held[i] >= 0 ? world->held[i] : bucketed(world, customer);
    assert_int_equal(is.in_experiment, expected >= 0);
    assert_int_equal(is.variant, expected >= 0 ? expected : 0);
    assert_string_equal(assign_reason_word(is.reason), world->held[i] >= 0 ? "sticky"
                                                       : expected >= 0     ? "assigned"
                                                                           : "not-in-traffic");
    assert_true(is.bucket == bucket_of(slice_of("exp"), slice_of(customer)));
    if (!is.in_experiment || draw(4) == 0)
        return;
    expose(uplift, customer, keys[is.variant], now);
    world->held[i] = is.variant;
}

static void assert_nobody_crossed(struct uplift *uplift, const struct world *world)
{
    struct error err = {0};
    for (int i = 0; i < CUSTOMERS; i++) {
        char customer[32];
        snprintf(customer, sizeof customer, "c-%d", i);
        if (world->held[i] < 0)
            continue;
        json_t *kept = uplift_customer_get(uplift, slice_of(customer), slice_of(""), 1, &err);
        json_t *unit = json_array_get(json_object_get(kept, "units"), 0);
        assert_string_equal(json_string_value(json_object_get(unit, "variant")),
                            keys[world->held[i]]);
        json_decref(kept);
    }
}

static void random_changes(bool pseudonyms)
{
    int steps = getenv("UPLIFT_LONG") ? 20000 : 400;
    struct place place;
    struct world world = {.weights = {1, 1, 1}, .traffic = 0.3};
    for (int i = 0; i < CUSTOMERS; i++)
        world.held[i] = -1;
    begin(&place, pseudonyms);
    start(place.uplift, "{\"key\": \"exp\", \"sticky\": true, \"traffic\": 0.3, \"variants\": ["
                        "{\"key\": \"a\", \"weight\": 1}, {\"key\": \"b\", \"weight\": 1},"
                        "{\"key\": \"c\", \"weight\": 1}]}");
    print_message("# seed %u\n", seed);
    for (int i = 0; i < steps; i++) {
        now += 1 + draw(100000);
        if (i % 25 == 24 && i / 25 < 900)
            draw(3) ? new_weights(place.uplift, &world) : more_traffic(place.uplift, &world);
        else
            visit(place.uplift, &world);
    }
    assert_nobody_crossed(place.uplift, &world);
    end(&place);
}

static void test_decider__nobody_crosses_over(void **state)
{
    (void)state;
    seed = 1;
    random_changes(false);
    seed = 2;
    random_changes(true);
}

/* --- single rules ----------------------------------------------------------------------------- */

static void assert_is(struct uplift *uplift, const char *customer, const char *country,
                      const char *reason, int variant)
{
    json_t *attributes = json_pack("{s:s}", "country", country);
    struct assignment is = decide(uplift, customer, attributes);
    assert_string_equal(assign_reason_word(is.reason), reason);
    assert_int_equal(is.variant, variant);
    json_decref(attributes);
}

static const char definition[] =
    "{\"key\": \"exp\", \"sticky\": true, \"audience\": {\"country\": \"DE\"}, \"overrides\":"
    " {\"qa\": \"a\"}, \"variants\": [{\"key\": \"a\", \"weight\": 1}, {\"key\": \"b\","
    " \"weight\": 0}]}";

/* Exposed to two: the first by time is theirs, in whichever order the events came. */
static void test_decider__first_by_time(void **state)
{
    struct place place;
    (void)state;
    begin(&place, false);
    start(place.uplift, definition);
    now += 1000000;
    assert_is(place.uplift, "c", "DE", "assigned", 0);
    expose(place.uplift, "c", "a", now);
    assert_is(place.uplift, "c", "DE", "sticky", 0);
    expose(place.uplift, "c", "b", now + 10);
    assert_is(place.uplift, "c", "DE", "sticky", 0);
    expose(place.uplift, "c", "b", now - 10);
    assert_is(place.uplift, "c", "DE", "sticky", 1);
    end(&place);
}

static void test_decider__comes_before_audience_and_bucket(void **state)
{
    struct error err = {0};
    struct place place;
    (void)state;
    begin(&place, false);
    start(place.uplift, definition);
    now += 1000;
    expose(place.uplift, "c", "b", now); /* no bucket leads to b */
    expose(place.uplift, "qa", "b", now);
    assert_is(place.uplift, "c", "US", "sticky", 1);
    assert_is(place.uplift, "qa", "US", "override", 0);
    assert_is(place.uplift, "new", "US", "not-in-audience", 0);
    json_decref(uplift_experiment_transition(place.uplift, &anyhow, slice_of("exp"), STEP_PAUSE,
                                             NULL, &err));
    assert_is(place.uplift, "c", "DE", "paused", 0);
    now += 1000;
    json_decref(uplift_experiment_transition(place.uplift, &anyhow, slice_of("exp"), STEP_NEW_PHASE,
                                             NULL, &err));
    json_decref(uplift_experiment_transition(place.uplift, &anyhow, slice_of("exp"), STEP_RESUME,
                                             NULL, &err));
    assert_string_equal(err.message, "");
    assert_is(place.uplift, "c", "DE", "assigned", 0); /* each phase has its own */
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decider__nobody_crosses_over),
        cmocka_unit_test(test_decider__first_by_time),
        cmocka_unit_test(test_decider__comes_before_audience_and_bucket),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("decider", tests, NULL, NULL);
}
