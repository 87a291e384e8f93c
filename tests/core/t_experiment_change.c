/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing experiments: what may change in which state, the steps, phases and epochs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/experiment_change.h"
#include "core/json.h"
#include "core/when.h"

#define NOW INT64_C(1793613600000)

static json_t *read_json(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    assert_string_equal(err.message, "");
    return value;
}

static struct experiment *draft(void)
{
    struct error err = {0};
    json_t *input = read_json(
        "{\"key\": \"e\", \"traffic\": 0.25, \"variants\": [{\"key\": \"a\", \"weight\": 0.5}, "
        "{\"key\": \"b\", \"weight\": 0.5}], \"metrics\": {\"primary\": [\"p\"], \"guardrail\": "
        "[\"g\"], \"secondary\": [\"s\"]}, \"segments\": [\"device\"]}");
    struct experiment *e = experiment_create(input, 9, NOW, &err);
    json_decref(input);
    assert_non_null(e);
    return e;
}

/* Takes a step that must succeed; the old one is given back. */
static void step(struct experiment **e, enum experiment_step which, const char *options,
                 int64_t now)
{
    struct error err = {0};
    json_t *input = options ? read_json(options) : NULL;
    struct experiment *next = experiment_step(*e, which, input, now, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(next->version, (*e)->version + 1);
    assert_int_equal(next->number, 9);
    experiment_unref(e);
    *e = next;
    json_decref(input);
}

static void step_fails(const struct experiment *e, enum experiment_step which, const char *options,
                       int64_t now, enum error_code code, const char *expected)
{
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    json_t *input = options ? read_json(options) : NULL;
    assert_null(experiment_step(e, which, input, now, &err));
    assert_string_equal(error_line(&err, line), expected);
    assert_int_equal(err.code, code);
    json_decref(input);
}

static void patch(struct experiment **e, const char *text, int64_t now)
{
    struct error err = {0};
    json_t *input = read_json(text);
    struct experiment *next = experiment_patch(*e, input, now, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(next->version, (*e)->version + 1);
    experiment_unref(e);
    *e = next;
    json_decref(input);
}

static void patch_fails(const struct experiment *e, const char *text, enum error_code code,
                        const char *expected)
{
    struct error err = {0};
    char line[ERROR_LINE_MAX];
    json_t *input = read_json(text);
    assert_null(experiment_patch(e, input, NOW, &err));
    assert_string_equal(error_line(&err, line), expected);
    assert_int_equal(err.code, code);
    json_decref(input);
}

static void assert_round_trip(const struct experiment *e)
{
    struct error err = {0};
    char *text = experiment_stored(e);
    struct experiment *back = experiment_from_stored(text, strlen(text), &err);
    assert_string_equal(err.message, "");
    char *again = experiment_stored(back);
    assert_string_equal(text, again);
    free(text);
    free(again);
    experiment_unref(&back);
}

static void test_change__a_draft_changes_freely(void **state)
{
    (void)state;
    struct experiment *e = draft();
    patch(&e, "{\"traffic\": 0.1, \"audience\": {\"age\": 1}, \"design\": {\"alpha\": 0.1}}", NOW);
    assert_true(e->traffic == 0.1 && e->design.alpha == 0.1 && e->design.tuning == 5000);
    assert_int_equal(e->epoch_count, 0);
    patch(&e, "{\"traffic\": null, \"name\": \"N\"}", NOW);
    assert_true(e->traffic == 1);
    patch(&e, "{\"variants\": null, \"factors\": [{\"key\": \"f\", \"levels\": [\"x\", \"y\"]}]}",
          NOW);
    assert_string_equal(e->variants[1].key, "y");
    patch_fails(e, "{\"key\": \"other\"}", ERROR_CONFLICT, "key: cannot be changed (it is \"e\")");
    patch_fails(e, "{\"version\": 99}", ERROR_INVALID,
                "version: is set by the server and cannot be changed");
    patch_fails(e, "{\"state\": null}", ERROR_INVALID,
                "state: is set by the server and cannot be changed");
    patch_fails(e, "{\"colour\": null}", ERROR_INVALID, "colour: unknown field");
    patch_fails(e, "[]", ERROR_INVALID, "must be an object");
    experiment_unref(&e);
}

static void test_change__put_falls_back_to_defaults(void **state)
{
    (void)state;
    struct error err = {0};
    struct experiment *e = draft();
    json_t *input = read_json("{\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}]}");
    struct experiment *next = experiment_amend(e, input, NOW, &err);
    assert_non_null(next);
    assert_string_equal(next->key, "e");
    assert_true(next->traffic == 1 && next->metric_count == 0 && next->segment_count == 0);
    assert_int_equal(next->created_at, NOW);
    experiment_unref(&next);
    json_decref(input);
    input = json_deep_copy(experiment_json(e)); /* what was read may be sent back */
    next = experiment_amend(e, input, NOW, &err);
    assert_non_null(next);
    assert_int_equal(next->version, 2);
    experiment_unref(&next);
    json_decref(input);
    experiment_unref(&e);
}

static void test_change__steps_follow_the_states(void **state)
{
    (void)state;
    struct experiment *e = draft();
    step_fails(e, STEP_PAUSE, NULL, NOW, ERROR_CONFLICT,
               "state: must be running for pause, but it is draft");
    step_fails(e, STEP_STOP, NULL, NOW, ERROR_CONFLICT,
               "state: must be running or paused for stop, but it is draft");
    step_fails(e, STEP_START, "{\"now\": 1}", NOW, ERROR_INVALID, "now: unknown field");
    step(&e, STEP_START, "{}", NOW + 5);
    assert_int_equal(e->state, EXPERIMENT_RUNNING);
    assert_int_equal(e->started_at, NOW + 5);
    assert_int_equal(e->epoch_count, 1);
    assert_true(e->epochs[0].traffic == 0.25 && e->epochs[0].weights[1] == 0.5);
    assert_string_equal(e->epochs[0].seed, "e");
    step_fails(e, STEP_START, NULL, NOW, ERROR_CONFLICT,
               "state: must be draft for start, but it is running");
    step_fails(e, STEP_ARCHIVE, NULL, NOW, ERROR_CONFLICT,
               "state: must be stopped for archive, but it is running");
    step(&e, STEP_PAUSE, NULL, NOW + 6);
    assert_int_equal(e->state, EXPERIMENT_PAUSED);
    assert_round_trip(e);
    step(&e, STEP_RESUME, NULL, NOW + 7);
    step_fails(e, STEP_STOP, "{\"winner\": \"c\"}", NOW + 8, ERROR_INVALID,
               "winner: \"c\" is no variant of this experiment");
    step_fails(e, STEP_STOP, "{\"winner\": 1}", NOW + 8, ERROR_INVALID, "winner: must be a string");
    step_fails(e, STEP_STOP, "{\"winer\": \"b\"}", NOW + 8, ERROR_INVALID, "winer: unknown field");
    step_fails(e, STEP_STOP, NULL, NOW, ERROR_CONFLICT,
               "stopped_at: would lie before the start of the last epoch");
    step(&e, STEP_STOP, "{\"winner\": \"b\"}", NOW + 9);
    assert_int_equal(e->winner, 1);
    assert_int_equal(e->stopped_at, NOW + 9);
    assert_int_equal(e->started_at, NOW + 5);
    step_fails(e, STEP_RESUME, NULL, NOW, ERROR_CONFLICT,
               "state: must be paused for resume, but it is stopped");
    step(&e, STEP_ARCHIVE, NULL, NOW + 10);
    assert_int_equal(e->state, EXPERIMENT_ARCHIVED);
    assert_round_trip(e);
    patch_fails(e, "{\"name\": \"x\"}", ERROR_CONFLICT, "an archived experiment does not change");
    experiment_unref(&e);
}

static void test_change__a_started_one_keeps_what_decides(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"audience\": {\"age\": 1}}", "audience"},
        {"{\"seed\": \"other\"}", "seed"},
        {"{\"layer\": {\"key\": \"l\", \"range\": [0, 1]}}", "layer"},
        {"{\"design\": {\"alpha\": 0.01}}", "design"},
        {"{\"metrics\": {\"primary\": [\"p\", \"q\"]}}", "metrics.primary"},
        {"{\"metrics\": {\"guardrail\": null}}", "metrics.guardrail"},
        {"{\"sticky\": true, \"variants\": [{\"key\": \"a\", \"weight\": 0.9}, {\"key\": \"c\", "
         "\"weight\": 0.1}]}",
         "variants[1].key"},
        {"{\"variants\": [{\"key\": \"a\", \"weight\": 0.5}, {\"key\": \"c\", \"weight\": 0.5}]}",
         "variants[1].key"},
        {"{\"variants\": [{\"key\": \"a\", \"weight\": 0.5, \"value\": 1}, {\"key\": \"b\", "
         "\"weight\": 0.5, \"value\": 2}]}",
         "variants[0].value"},
        {"{\"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}, {\"key\": \"c\"}]}", "variants"},
        {"{\"variants\": [{\"key\": \"b\", \"weight\": 0.5}, {\"key\": \"a\", \"weight\": 0.5}]}",
         "variants[0].key"},
    };
    struct experiment *e = draft();
    step(&e, STEP_START, NULL, NOW);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[ERROR_LINE_MAX];
        snprintf(line, sizeof line, "%s: changing it in a started experiment asks for a new phase",
                 cases[i][1]);
        patch_fails(e, cases[i][0], ERROR_CONFLICT, line);
    }
    patch_fails(e, "{\"traffic\": 0.2}", ERROR_CONFLICT,
                "traffic: may only grow in a started experiment (it is 0.25): less asks for a new "
                "phase");
    experiment_unref(&e);
}

static void test_change__a_started_one_changes_what_is_free(void **state)
{
    (void)state;
    struct experiment *e = draft();
    step(&e, STEP_START, NULL, NOW);
    struct experiment *before = experiment_ref(e);
    patch(&e,
          "{\"name\": \"N\", \"owner\": \"o\", \"hypothesis\": \"h\", \"tags\": [\"t\"], "
          "\"overrides\": {\"c\": \"b\"}}",
          NOW + 1);
    assert_false(experiment_counts_differently(before, e));
    assert_int_equal(e->epoch_count, 1);
    patch(&e, "{\"segments\": [\"device\", \"country\"]}", NOW + 2);
    assert_true(experiment_counts_differently(before, e));
    experiment_unref(&before);
    before = experiment_ref(e);
    patch(&e, "{\"metrics\": {\"secondary\": [\"s\", \"t\"]}}", NOW + 3);
    assert_true(experiment_counts_differently(before, e));
    assert_int_equal(e->metric_count, 4);
    experiment_unref(&before);
    experiment_unref(&e);
}

static void test_change__growing_traffic_opens_an_epoch(void **state)
{
    (void)state;
    struct error err = {0};
    struct experiment *e = draft();
    step(&e, STEP_START, NULL, NOW);
    patch(&e, "{\"traffic\": 0.5}", NOW + WHEN_DAY);
    step(&e, STEP_PAUSE, NULL, NOW + WHEN_DAY);
    patch(&e, "{\"traffic\": 1}", NOW + 2 * WHEN_DAY);
    assert_int_equal(e->epoch_count, 3);
    assert_true(e->epochs[1].traffic == 0.5 && e->epochs[2].traffic == 1 && e->traffic == 1);
    assert_int_equal(e->epochs[2].phase, 1);
    assert_int_equal(experiment_epoch_at(e, NOW - 1), -1);
    assert_int_equal(experiment_epoch_at(e, NOW), 0);
    assert_int_equal(experiment_epoch_at(e, NOW + WHEN_DAY - 1), 0);
    assert_int_equal(experiment_epoch_at(e, NOW + WHEN_DAY), 1);
    assert_int_equal(experiment_epoch_at(e, NOW + 9 * WHEN_DAY), 2);
    assert_round_trip(e);
    step(&e, STEP_STOP, NULL, NOW + 3 * WHEN_DAY);
    assert_int_equal(e->winner, -1);
    experiment_unref(&e);
    e = draft();
    step(&e, STEP_START, NULL, NOW);
    json_t *more = read_json("{\"traffic\": 1}");
    assert_null(experiment_patch(e, more, NOW - 1, &err)); /* before the epoch in force */
    assert_int_equal(err.code, ERROR_CONFLICT);
    json_decref(more);
    experiment_unref(&e);
}

static const char other_weights[] =
    "{\"variants\": [{\"key\": \"a\", \"weight\": 0.9}, {\"key\": \"b\", \"weight\": 0.1}]}";

static void test_change__weights_of_a_sticky_one_open_an_epoch(void **state)
{
    (void)state;
    struct experiment *e = draft();
    step(&e, STEP_START, NULL, NOW);
    patch_fails(e, other_weights, ERROR_CONFLICT,
                "variants[0].weight: changing it in a started experiment that is not sticky asks "
                "for a new phase");
    patch(&e, "{\"sticky\": true}", NOW + 1);
    assert_int_equal(e->epoch_count, 1);
    patch(&e, other_weights, NOW + WHEN_DAY);
    assert_int_equal(e->epoch_count, 2);
    assert_true(e->epochs[0].weights[0] == 0.5 && e->epochs[1].weights[0] == 0.9);
    patch(&e, other_weights, NOW + WHEN_DAY);
    assert_int_equal(e->epoch_count, 2);
    patch_fails(e, "{\"sticky\": false}", ERROR_CONFLICT,
                "sticky: changing it in a started experiment asks for a new phase");
    assert_round_trip(e);
    step(&e, STEP_STOP, NULL, NOW + 2 * WHEN_DAY);
    patch_fails(
        e, "{\"variants\": [{\"key\": \"a\", \"weight\": 1}, {\"key\": \"b\", \"weight\": 1}]}",
        ERROR_CONFLICT, "variants[0].weight: cannot change: the experiment is stopped");
    experiment_unref(&e);
}

static void test_change__a_new_phase_starts_afresh(void **state)
{
    (void)state;
    struct experiment *e = draft();
    step_fails(e, STEP_NEW_PHASE, NULL, NOW, ERROR_CONFLICT,
               "state: must be running or paused for new-phase, but it is draft");
    step(&e, STEP_START, NULL, NOW);
    step(&e, STEP_NEW_PHASE,
         "{\"traffic\": 0.1, \"variants\": [{\"key\": \"a\", \"weight\": 1}, {\"key\": \"b\", "
         "\"weight\": 2}, {\"key\": \"c\", \"weight\": 3}]}",
         NOW + 10);
    assert_int_equal(e->state, EXPERIMENT_RUNNING);
    assert_int_equal(e->phase, 2);
    assert_string_equal(e->seed, "e.2");
    assert_true(e->traffic == 0.1 && e->variant_count == 3 && e->started_at == NOW);
    assert_int_equal(e->epoch_count, 2);
    assert_int_equal(e->epochs[1].phase, 2);
    assert_true(e->epochs[0].traffic == 0.25 && e->epochs[1].weights[2] == 3);
    assert_string_equal(e->epochs[0].seed, "e");
    const struct experiment *first = experiment_in_phase(e, 1);
    assert_int_equal(first->variant_count, 2);
    assert_true(first->traffic == 0.25 && first->phase == 1);
    assert_ptr_equal(experiment_in_phase(e, 2), e);
    assert_null(experiment_in_phase(e, 3));
    assert_null(experiment_in_phase(e, 0));
    assert_int_equal(experiment_phase_start(e, 1), NOW);
    assert_int_equal(experiment_phase_end(e, 1), NOW + 10);
    assert_int_equal(experiment_phase_start(e, 2), NOW + 10);
    assert_true(experiment_phase_end(e, 2) == INT64_MAX);
    assert_round_trip(e);
    step(&e, STEP_NEW_PHASE, "{\"seed\": \"own\"}", NOW + 20);
    assert_string_equal(e->seed, "own");
    assert_int_equal(e->past_count, 2);
    step(&e, STEP_NEW_PHASE, NULL, NOW + 20);
    assert_string_equal(e->seed, "e.4");
    assert_round_trip(e);
    step_fails(e, STEP_NEW_PHASE, "{\"key\": \"f\"}", NOW + 21, ERROR_CONFLICT,
               "key: cannot be changed (it is \"e\")");
    step_fails(e, STEP_NEW_PHASE, "{\"traffic\": 2}", NOW + 21, ERROR_INVALID,
               "traffic: must be from 0 to 1");
    step_fails(e, STEP_NEW_PHASE, "{\"phase\": 9}", NOW + 21, ERROR_INVALID,
               "phase: is set by the server and cannot be changed");
    step_fails(e, STEP_NEW_PHASE, NULL, NOW + 19, ERROR_CONFLICT,
               "epochs: the time of the change lies before the start of the epoch in force");
    step(&e, STEP_STOP, NULL, NOW + 30);
    assert_true(experiment_phase_end(e, 4) == NOW + 30 && experiment_phase_end(e, 3) == NOW + 20);
    experiment_unref(&e);
}

static void test_change__put_keeps_the_seed_of_its_phase(void **state)
{
    (void)state;
    struct error err = {0};
    struct experiment *e = draft();
    step(&e, STEP_START, NULL, NOW);
    step(&e, STEP_NEW_PHASE, NULL, NOW + 1);
    json_t *input = json_deep_copy(experiment_json(e));
    json_object_del(input, "seed");
    struct experiment *next = experiment_amend(e, input, NOW + 2, &err);
    assert_string_equal(err.message, "");
    assert_string_equal(next->seed, "e.2");
    experiment_unref(&next);
    experiment_unref(&e);
    json_decref(input);
}

/* RFC 7396, appendix A, as far as an experiment can show it. */
static void test_change__patch_merges(void **state)
{
    (void)state;
    struct experiment *e = draft();
    patch(&e, "{\"audience\": {\"a\": \"b\", \"c\": {\"d\": \"e\", \"f\": \"g\"}}}", NOW);
    patch(&e, "{\"audience\": {\"a\": \"z\", \"c\": {\"f\": null}}}", NOW);
    json_t *wanted = read_json("{\"a\": \"z\", \"c\": {\"d\": \"e\"}}");
    assert_true(json_equal(json_object_get(experiment_json(e), "audience"), wanted));
    json_decref(wanted);
    patch(&e, "{\"audience\": {\"a\": [1], \"c\": null}, \"tags\": [\"x\"]}", NOW);
    wanted = read_json("{\"a\": [1]}");
    assert_true(json_equal(json_object_get(experiment_json(e), "audience"), wanted));
    json_decref(wanted);
    patch(&e, "{\"audience\": null}", NOW);
    assert_null(e->audience);
    assert_int_equal(e->tag_count, 1);
    experiment_unref(&e);
}

static struct experiment *layered(const char *key, double low, double high)
{
    struct error err = {0};
    json_t *input = json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:s, s:[f, f]}}", "key", "e", "variants",
                              "key", "a", "key", "b", "layer", "key", key, "range", low, high);
    struct experiment *e = experiment_create(input, 1, NOW, &err);
    json_decref(input);
    assert_non_null(e);
    return e;
}

static void test_change__a_stop_keeps_its_reason(void **state)
{
    (void)state;
    struct experiment *e = draft();
    step(&e, STEP_START, "{}", NOW);
    step_fails(e, STEP_STOP, "{\"reason\": 5}", NOW, ERROR_INVALID, "reason: must be a string");
    step_fails(e, STEP_STOP, "{\"because\": \"x\"}", NOW, ERROR_INVALID, "because: unknown field");
    assert_null(e->stop_reason);
    step(&e, STEP_STOP, "{\"reason\": \"the legal team asked for it\"}", NOW);
    assert_string_equal(e->stop_reason, "the legal team asked for it");
    step(&e, STEP_ARCHIVE, NULL, NOW);
    assert_string_equal(e->stop_reason, "the legal team asked for it");
    experiment_unref(&e);
}

static void test_change__layers_overlap_by_key_and_range(void **state)
{
    (void)state;
    struct experiment *a = layered("l", 0, 0.5), *b = layered("l", 0.5, 1);
    struct experiment *c = layered("l", 0.4, 0.6), *d = layered("m", 0, 1), *none = draft();
    assert_false(experiment_layers_overlap(a, b));
    assert_true(experiment_layers_overlap(a, c));
    assert_true(experiment_layers_overlap(c, b));
    assert_true(experiment_layers_overlap(a, a));
    assert_false(experiment_layers_overlap(a, d));
    assert_false(experiment_layers_overlap(a, none));
    experiment_unref(&a);
    experiment_unref(&b);
    experiment_unref(&c);
    experiment_unref(&d);
    experiment_unref(&none);
}

static void test_change__words_of_steps_read_back(void **state)
{
    (void)state;
    for (int i = STEP_START; i <= STEP_NEW_PHASE; i++) {
        enum experiment_step read;
        const char *word = experiment_step_word((enum experiment_step)i);
        assert_true(experiment_step_parse(slice_of(word), &read));
        assert_int_equal(read, i);
    }
    enum experiment_step read;
    assert_false(experiment_step_parse(slice_of("begin"), &read));
}

/* Stopping ends most of the story, so it comes seldom. */
static enum experiment_step random_step(unsigned short seed[3])
{
    static const enum experiment_step steps[] = {STEP_START,     STEP_PAUSE,     STEP_RESUME,
                                                 STEP_NEW_PHASE, STEP_NEW_PHASE, STEP_RESUME};
    return nrand48(seed) % 30 == 0 ? STEP_STOP : steps[nrand48(seed) % 6];
}

/* Random steps and patches: whatever happens, what comes out is whole, stored and read back, and
 * versions, epochs and phases only grow. */
static void test_change__random_histories_stay_whole(void **state)
{
    (void)state;
    static const char *const patches[] = {"{\"traffic\": 0.3}",
                                          "{\"traffic\": 0.9}",
                                          "{\"name\": \"x\"}",
                                          "{\"segments\": [\"b\"]}",
                                          "{\"design\": {\"alpha\": 0.2}}",
                                          "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"q\"}]}"};
    unsigned short seed[3] = {9, 9, 1};
    print_message("# seed 9 9 1\n");
    int changes = 0;
    for (int round = 0; round < 40; round++) {
        struct experiment *e = draft();
        for (int i = 0; i < 30; i++) {
            struct error err = {0};
            bool stepping = nrand48(seed) % 2;
            json_t *input = NULL;
            if (!stepping || nrand48(seed) % 2)
                input = read_json(patches[nrand48(seed) % 6]);
            struct experiment *next =
                stepping ? experiment_step(e, random_step(seed), input, NOW + i, &err)
                         : experiment_patch(e, input, NOW + i, &err);
            json_decref(input);
            assert_true((next == NULL) == (err.code != ERROR_NONE));
            if (!next)
                continue;
            changes++;
            assert_int_equal(next->version, e->version + 1);
            assert_true(next->epoch_count >= e->epoch_count && next->phase >= e->phase);
            assert_int_equal(next->past_count, next->phase - 1);
            assert_round_trip(next);
            experiment_unref(&e);
            e = next;
        }
        experiment_unref(&e);
    }
    assert_true(changes > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change__a_draft_changes_freely),
        cmocka_unit_test(test_change__put_falls_back_to_defaults),
        cmocka_unit_test(test_change__steps_follow_the_states),
        cmocka_unit_test(test_change__a_started_one_keeps_what_decides),
        cmocka_unit_test(test_change__a_started_one_changes_what_is_free),
        cmocka_unit_test(test_change__growing_traffic_opens_an_epoch),
        cmocka_unit_test(test_change__weights_of_a_sticky_one_open_an_epoch),
        cmocka_unit_test(test_change__a_new_phase_starts_afresh),
        cmocka_unit_test(test_change__put_keeps_the_seed_of_its_phase),
        cmocka_unit_test(test_change__patch_merges),
        cmocka_unit_test(test_change__a_stop_keeps_its_reason),
        cmocka_unit_test(test_change__layers_overlap_by_key_and_range),
        cmocka_unit_test(test_change__words_of_steps_read_back),
        cmocka_unit_test(test_change__random_histories_stay_whole),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("experiment_change", tests, NULL, NULL);
}
