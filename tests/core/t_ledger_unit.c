/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Adding one event to a unit gives what counting the whole history gives, to the last bit of the
 * record, in whichever order events come; and records read back as they were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "core/experiment_change.h"
#include "core/ledger_parts.h"
#include "core/when.h"

enum { HISTORIES = 400, EVENTS_MAX = 60 };
static const int64_t start = INT64_C(1790000000000);
static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static const char *const metrics[] = {
    "{\"key\": \"bin\", \"kind\": \"binary\", \"event\": \"order\", \"covariate_days\": 7}",
    "{\"key\": \"mean\", \"kind\": \"mean\", \"event\": \"order\", \"cap\": 50.25,"
    " \"covariate_days\": 7}",
    "{\"key\": \"count\", \"kind\": \"count\", \"event\": \"visit\", \"covariate_days\": 30}",
    "{\"key\": \"ratio\", \"kind\": \"ratio\", \"event\": \"order\", \"denominator\": \"visit\"}",
    "{\"key\": \"ret\", \"kind\": \"retention\", \"event\": \"visit\", \"from_days\": 1,"
    " \"to_days\": 3}",
    "{\"key\": \"capped\", \"kind\": \"mean\", \"event\": \"order\", \"cap_percentile\": 90,"
    " \"covariate_days\": 2}",
    "{\"key\": \"p75\", \"kind\": \"quantile\", \"event\": \"order\", \"quantile\": 0.75}",
    "{\"key\": \"nps\", \"kind\": \"nps\"}",
    "{\"key\": \"csat\", \"kind\": \"csat\", \"window_days\": 2}",
    "{\"key\": \"ces\", \"kind\": \"ces\", \"event\": \"nps\"}"};
enum { METRICS = sizeof metrics / sizeof *metrics };

static struct catalog *catalog;
static const struct experiment *experiment;

/* Two phases; the second one has two epochs. */
static struct experiment *make_experiment(void)
{
    static const char text[] =
        "{\"key\": \"exp\", \"traffic\": 0.5, \"segments\": [\"device\", \"country\"],"
        " \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}, {\"key\": \"c\"}],"
        " \"metrics\": {\"primary\": [\"p75\", \"mean\", \"count\", \"ratio\"],"
        " \"guardrail\": [\"nps\", \"csat\", \"ces\"],"
        " \"secondary\": [\"ret\", \"capped\", \"bin\"]}}";
    struct error err = {0};
    json_t *json = json_loads(text, 0, NULL), *patch = json_pack("{s:f}", "traffic", 1.0);
    struct experiment *draft = experiment_create(json, 1, start, &err);
    assert_string_equal(err.message, "");
    struct experiment *first = experiment_step(draft, STEP_START, NULL, start, &err);
    struct experiment *second =
        experiment_step(first, STEP_NEW_PHASE, NULL, start + 6 * WHEN_DAY, &err);
    assert_string_equal(err.message, "");
    struct experiment *wide = experiment_patch(second, patch, start + 9 * WHEN_DAY, &err);
    assert_string_equal(err.message, "");
    experiment_unref(&draft);
    experiment_unref(&first);
    experiment_unref(&second);
    json_decref(json);
    json_decref(patch);
    return wide;
}

static int set_up(void **state)
{
    (void)state;
    struct metric *list[METRICS];
    struct error err = {0};
    for (uint32_t i = 0; i < METRICS; i++) {
        json_t *json = json_loads(metrics[i], 0, NULL);
        list[i] = metric_create(json, i + 1, start, &err);
        assert_string_equal(err.message, "");
        json_decref(json);
    }
    struct experiment *made = make_experiment();
    catalog = catalog_new(1, &made, 1, list, METRICS);
    experiment = catalog_experiment(catalog, slice_of("exp"));
    experiment_unref(&made);
    for (size_t i = 0; i < METRICS; i++)
        metric_unref(&list[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_free(&catalog);
    return 0;
}

/* Values that sums of doubles would round by the order of adding. */
static double draw_value(void)
{
    static const double scales[] = {1, 0.01, 1e-9, 1e6, 1e9};
    double value = (double)draw(10000) * scales[draw(5)];
    return draw(4) ? (draw(5) ? value : -value) : value / 7;
}

static struct event draw_event(void)
{
    static const char *const variants[] = {"a", "a", "a", "a", "a", "b", "c", "none"};
    static const char *const attributes[] = {"", "{\"device\": \"phone\", \"country\": \"DE\"}",
                                             "{\"device\": 3}"};
    struct event event = {.timed = true, .received = start + 60 * WHEN_DAY, .value = 1};
    /* Few different times, so that many are the same. */
    event.at = start - 2 * WHEN_DAY + draw(15) * WHEN_DAY + draw(3) * WHEN_HOUR;
    if (draw(12) == 0)
        event.received = event.at - WHEN_HOUR; /* from a clock that ran ahead */
    event.type = draw(5) == 0 ? EVENT_EXPOSURE : draw(2) ? EVENT_OUTCOME : EVENT_FEEDBACK;
    if (event.type == EVENT_EXPOSURE) {
        event.name = slice_of(draw(10) ? "exp" : "other");
        event.variant = slice_of(variants[draw(8)]);
        event.attributes = slice_of(attributes[draw(3)]);
    } else if (event.type == EVENT_OUTCOME) {
        event.name = slice_of(draw(2) ? "order" : "visit");
        event.value = draw_value();
    } else {
        event.name = slice_of(draw(2) ? "nps" : "csat");
        event.value = draw(11);
    }
    return event;
}

static int by_time(const void *a, const void *b)
{
    return ledger_order(a, b);
}

/* The unit by the whole history, whatever its order. */
static bool count_history(const struct event *events, size_t count, int phase, struct arena *arena,
                          struct unit *unit)
{
    struct event sorted[EVENTS_MAX];
    memcpy(sorted, events, count * sizeof *events);
    qsort(sorted, count, sizeof *sorted, by_time);
    return ledger_unit(sorted, count, experiment, phase, catalog, arena, unit);
}

static void assert_same_record(const struct unit *a, const struct unit *b)
{
    struct text x, y;
    text_init(&x, LEDGER_RECORD_MAX);
    text_init(&y, LEDGER_RECORD_MAX);
    ledger_unit_encode(a, experiment, &x);
    ledger_unit_encode(b, experiment, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.ptr, y.ptr, x.len);
    text_release(&x);
    text_release(&y);
}

/* Reads the record of a unit back; what comes is what is then written. */
static void assert_kept(const struct unit *unit, struct arena *arena, struct unit *back)
{
    struct text record;
    text_init(&record, LEDGER_RECORD_MAX);
    ledger_unit_encode(unit, experiment, &record);
    struct slice bytes = arena_slice(arena, (struct slice){record.ptr, record.len});
    assert_true(ledger_unit_decode(bytes, experiment, arena, back));
    assert_same_record(unit, back);
    for (size_t i = 0; i < unit->metric_count; i++) {
        assert_memory_equal(&unit->metrics[i].adds, &back->metrics[i].adds,
                            sizeof unit->metrics[i].adds);
        assert_int_equal(unit->metrics[i].answered, back->metrics[i].answered);
    }
    bytes.len--;
    struct unit cut;
    assert_false(ledger_unit_decode(bytes, experiment, arena, &cut));
    text_release(&record);
}

/* One history, event by event: how many could be added without the rest. */
static size_t add_one_by_one(const struct event *events, size_t count, int phase)
{
    struct arena arena = {0};
    struct unit unit, whole;
    bool is = false;
    size_t added = 0;
    for (size_t i = 0; i < count; i++) {
        struct unit before = unit;
        bool told = is && ledger_unit_add(&unit, &events[i], experiment, phase, catalog);
        bool has = count_history(events, i + 1, phase, &arena, &whole);
        assert_true(!is || has);
        if (told) {
            assert_same_record(&unit, &whole);
            assert_int_equal(before.epoch, unit.epoch);
            added++;
        }
        is = has;
        if (has)
            assert_kept(&whole, &arena, &unit);
    }
    arena_release(&arena);
    return added;
}

static void test_ledger_unit__adding_is_counting_the_whole(void **state)
{
    (void)state;
    struct event events[EVENTS_MAX];
    size_t added = 0, in_all = 0;
    seed = 20261130;
    print_message("# seed %u\n", seed);
    for (int history = 0; history < HISTORIES; history++) {
        size_t count = 1 + draw(EVENTS_MAX);
        for (size_t i = 0; i < count; i++)
            events[i] = draw_event();
        for (int phase = 1; phase <= 2; phase++)
            added += add_one_by_one(events, count, phase);
        in_all += 2 * count;
    }
    print_message("# %zu of %zu events were added without the history\n", added, in_all);
    assert_true(added > in_all / 3);
}

/* A late event costs the history only where it may change the exposure. */
static void test_ledger_unit__says_when_only_the_history_can_tell(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct unit unit;
    struct event seen = {.type = EVENT_EXPOSURE,
                         .at = start + 2 * WHEN_DAY,
                         .received = start + 60 * WHEN_DAY,
                         .name = slice_of("exp"),
                         .variant = slice_of("a")};
    struct event other = seen, order = {.type = EVENT_OUTCOME,
                                        .at = start + WHEN_DAY,
                                        .received = seen.received,
                                        .name = slice_of("order"),
                                        .value = 0.1};
    assert_true(count_history(&seen, 1, 1, &arena, &unit));
    assert_true(ledger_unit_add(&unit, &order, experiment, 1, catalog));
    other.at--;
    assert_false(ledger_unit_add(&unit, &other, experiment, 1, catalog));
    other.at = seen.at;
    assert_false(ledger_unit_add(&unit, &other, experiment, 1, catalog));
    other.at++;
    assert_true(ledger_unit_add(&unit, &other, experiment, 1, catalog));
    assert_int_equal(unit.variant, 0);
    other.variant = slice_of("b");
    assert_true(ledger_unit_add(&unit, &other, experiment, 1, catalog));
    assert_int_equal(unit.variant, -1);
    /* Counted when the experiment had another list of metrics. */
    assert_true(count_history(&seen, 1, 1, &arena, &unit));
    unit.metric_count--;
    assert_false(ledger_unit_add(&unit, &order, experiment, 1, catalog));
    arena_release(&arena);
}

/* A list that changed leaves records readable. */
static void test_ledger_unit__names_of_old_segments_are_kept(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct unit unit, back;
    struct error err = {0};
    struct text record;
    struct event seen = {.type = EVENT_EXPOSURE,
                         .at = start + WHEN_DAY,
                         .received = start + WHEN_DAY,
                         .name = slice_of("exp"),
                         .variant = slice_of("a"),
                         .attributes = slice_of("{\"device\": \"phone\"}")};
    assert_true(count_history(&seen, 1, 1, &arena, &unit));
    text_init(&record, LEDGER_RECORD_MAX);
    ledger_unit_encode(&unit, experiment, &record);
    json_t *patch = json_pack("{s:[s,s]}", "segments", "plan", "country");
    struct experiment *next = experiment_patch(experiment, patch, start + 20 * WHEN_DAY, &err);
    assert_string_equal(err.message, "");
    char *stored = experiment_stored(next);
    struct experiment *again = experiment_from_stored(stored, strlen(stored), &err);
    assert_string_equal(err.message, "");
    assert_true(ledger_unit_decode((struct slice){record.ptr, record.len}, again, &arena, &back));
    assert_true(slice_is(back.segments[0].name, "device"));
    assert_true(slice_is(back.segments[0].value, "phone"));
    assert_true(slice_is(back.segments[1].name, "country"));
    assert_string_equal(again->segments_ever[2], "plan");
    free(stored);
    json_decref(patch);
    experiment_unref(&next);
    experiment_unref(&again);
    text_release(&record);
    arena_release(&arena);
}

static void test_exact__sums_do_not_depend_on_order(void **state)
{
    (void)state;
    seed = 7;
    for (int round = 0; round < 2000; round++) {
        double values[20];
        exact_sum up = 0, down = 0, back;
        struct text record;
        for (int i = 0; i < 20; i++)
            up += exact_of(values[i] = draw_value());
        for (int i = 20; i-- > 0;)
            down += exact_of(values[i]);
        assert_true(up == down);
        text_init(&record, 64);
        exact_write(up, &record);
        struct slice rest = {record.ptr, record.len};
        assert_true(exact_read(&rest, &back) && rest.len == 0 && back == up);
        text_release(&record);
    }
    assert_true(exact_value(exact_of(59.9)) == 59.9);
    assert_true(exact_value(exact_of(-EVENT_VALUE_MAX) * 1000) == -1000 * EVENT_VALUE_MAX);
    assert_true(exact_value(10 * exact_of(0.1)) == 1);
}

static void test_exact__small_whole_numbers_take_a_byte(void **state)
{
    (void)state;
    static const struct {
        double value;
        size_t bytes;
    } cases[] = {{0, 1}, {1, 1}, {15, 1}, {-1, 1}, {1000, 2}, {59.9, 3}, {1.0 / 3, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text record;
        text_init(&record, 64);
        exact_write(exact_of(cases[i].value), &record);
        assert_int_equal(record.len, cases[i].bytes);
        text_release(&record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_unit__adding_is_counting_the_whole),
        cmocka_unit_test(test_ledger_unit__says_when_only_the_history_can_tell),
        cmocka_unit_test(test_ledger_unit__names_of_old_segments_are_kept),
        cmocka_unit_test(test_exact__sums_do_not_depend_on_order),
        cmocka_unit_test(test_exact__small_whole_numbers_take_a_byte),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("ledger_unit", tests, set_up, tear_down);
}
