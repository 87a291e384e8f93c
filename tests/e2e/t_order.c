/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Order does not matter: the same events in many random orders, in batches of random sizes,
 * some sent again, with the application closed and opened between, and definitions changed before,
 * amid or behind them, give identical tallies and the same results.
 *
 * Three experiments over the same customers, one of two phases of two epochs each, one that ends
 * before the last events; metrics of every kind; exposures before the start and behind the end, to
 * two variants, late ones and early ones; times of which many are the same; events without a time,
 * without an id, from a clock that runs ahead.
 *
 * The seed is printed; UPLIFT_ORDER_SEED takes another, UPLIFT_ORDERS more orders (CI: 300). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/study.h"
#include "core/uplift.h"
#include "tests/core/batches.h"
#include "tests/core/compare.h"
#include "tests/core/folder.h"

enum { ORDERS = 60, EVENTS = 400, CUSTOMERS = 25, TALLIES_MAX = 2000, STUDIES = 4 };
static const int64_t start = INT64_C(1790000000000);
static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) % below);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static int64_t fixed_now(void *data)
{
    (void)data;
    return start + 16 * WHEN_DAY;
}

static const struct clock fixed_clock = {.now = fixed_now};

static struct uplift *open_store(const char *folder)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &fixed_clock, &err);
    if (!uplift)
        fail_msg("%s", err.message);
    return uplift;
}

/* --- definitions ---------------------------------------------------------------------------- */

static const char *const metrics[] = {
    "{\"key\": \"bin\", \"kind\": \"binary\", \"event\": \"order\", \"covariate_days\": 7}",
    "{\"key\": \"mean\", \"kind\": \"mean\", \"event\": \"order\", \"cap\": 50, \"window_days\": 3,"
    " \"covariate_days\": 7}",
    "{\"key\": \"count\", \"kind\": \"count\", \"event\": \"visit\", \"covariate_days\": 2}",
    "{\"key\": \"ratio\", \"kind\": \"ratio\", \"event\": \"order\", \"denominator\": \"visit\"}",
    "{\"key\": \"ret\", \"kind\": \"retention\", \"event\": \"visit\", \"from_days\": 1,"
    " \"to_days\": 3}",
    "{\"key\": \"capped\", \"kind\": \"mean\", \"event\": \"order\", \"cap_percentile\": 90,"
    " \"covariate_days\": 7}",
    "{\"key\": \"p75\", \"kind\": \"quantile\", \"event\": \"order\", \"quantile\": 0.75}",
    "{\"key\": \"nps\", \"kind\": \"nps\"}",
    "{\"key\": \"csat\", \"kind\": \"csat\", \"window_days\": 2}",
    "{\"key\": \"ces\", \"kind\": \"ces\"}"};

static json_t *parsed(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

/* Gives back both references. */
static void made(json_t *input, json_t *output, const struct error *err)
{
    if (!output)
        fail_msg("%s: %s", err->place, err->message);
    json_decref(input);
    json_decref(output);
}

static struct definition_change at_day(int day)
{
    return (struct definition_change){.who = "test", .at = start + day * WHEN_DAY};
}

static void make_metric(struct uplift *uplift, const char *text)
{
    struct error err = {0};
    const struct definition_change change = at_day(0);
    json_t *input = parsed(text);
    made(input, uplift_metric_create(uplift, &change, input, &err), &err);
}

static void make_experiment(struct uplift *uplift, const char *key)
{
    struct error err = {0};
    const struct definition_change change = at_day(0);
    char text[512];
    snprintf(text, sizeof text,
             "{\"key\": \"%s\", \"seed\": \"s\", \"traffic\": 0.5, \"segments\": [\"device\"],"
             " \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}, {\"key\": \"c\"}],"
             " \"metrics\": {\"primary\": [\"bin\", \"mean\", \"count\", \"ratio\"],"
             " \"guardrail\": [\"nps\", \"csat\", \"ces\"],"
             " \"secondary\": [\"ret\", \"capped\", \"p75\"]}}",
             key);
    json_t *input = parsed(text);
    made(input, uplift_experiment_create(uplift, &change, input, &err), &err);
    made(NULL, uplift_experiment_transition(uplift, &change, slice_of(key), STEP_START, NULL, &err),
         &err);
}

static void patch(struct uplift *uplift, const char *key, const char *text, int day)
{
    struct error err = {0};
    const struct definition_change change = at_day(day);
    json_t *input = parsed(text);
    made(input, uplift_experiment_patch(uplift, &change, slice_of(key), input, &err), &err);
}

static void step(struct uplift *uplift, const char *key, enum experiment_step which,
                 const char *text, int day)
{
    struct error err = {0};
    const struct definition_change change = at_day(day);
    json_t *options = parsed(text);
    made(options,
         uplift_experiment_transition(uplift, &change, slice_of(key), which, options, &err), &err);
}

static void amend(struct uplift *uplift, const char *key, const char *text)
{
    struct error err = {0};
    const struct definition_change change = at_day(0);
    json_t *input = parsed(text);
    made(input, uplift_metric_amend(uplift, &change, slice_of(key), input, &err), &err);
}

/* What is there before any event. */
static void define(struct uplift *uplift)
{
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        make_metric(uplift, metrics[i]);
    make_experiment(uplift, "exp");
    make_experiment(uplift, "other");
    make_experiment(uplift, "ended");
}

/* What is changed in this order, but before, amid or behind the events. Each is one that counts
 * anew what was counted already. */
enum { CHANGES = 7 };

static void change(struct uplift *uplift, int which)
{
    switch (which) {
    case 0:
        return patch(uplift, "exp", "{\"traffic\": 0.8}", 3);
    case 1:
        return step(uplift, "exp", STEP_NEW_PHASE, "{\"seed\": \"t\", \"traffic\": 0.3}", 6);
    case 2:
        return patch(uplift, "exp", "{\"traffic\": 1}", 8);
    case 3:
        return amend(uplift, "mean",
                     "{\"key\": \"mean\", \"kind\": \"mean\", \"event\": \"order\", \"cap\": 40,"
                     " \"window_days\": 5, \"covariate_days\": 4}");
    case 4:
        return patch(uplift, "other", "{\"segments\": [\"device\", \"country\"]}", 9);
    case 5:
        return patch(uplift, "other", "{\"traffic\": 0.9}", 9);
    default:
        return step(uplift, "ended", STEP_STOP, "{\"reason\": \"it is over\"}", 7);
    }
}

/* --- events --------------------------------------------------------------------------------- */

static const char *variant_of(unsigned customer)
{
    static const char *const variants[] = {"a", "b", "c"};
    return variants[(customer + draw(12) / 11) % 3]; /* some see a second one */
}

static json_t *random_event(int i)
{
    static const char *const experiments[] = {"exp", "exp", "other", "ended"};
    char customer[16], id[16];
    unsigned c = draw(CUSTOMERS);
    snprintf(customer, sizeof customer, "c-%u", c);
    snprintf(id, sizeof id, "e-%d", i);
    json_t *event = json_pack("{s:s}", "customer", customer);
    uint32_t kind = draw(7);
    if (kind < 2)
        json_object_update_new(
            event, json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "type", "exposure", "experiment",
                             experiments[draw(4)], "variant", variant_of(c), "attributes", "device",
                             draw(2) ? "phone" : "desktop", "country", draw(3) ? "DE" : "FR"));
    else if (kind < 4)
        json_object_update_new(event, json_pack("{s:s, s:s, s:f}", "type", "outcome", "name",
                                                "order", "value", (double)draw(10000) / 7 / 100));
    else if (kind == 4)
        json_object_update_new(event, json_pack("{s:s, s:s}", "type", "outcome", "name", "visit"));
    else
        json_object_update_new(event, json_pack("{s:s, s:s, s:i}", "type", "feedback", "survey",
                                                draw(2) ? "nps" : (draw(2) ? "csat" : "ces"),
                                                "score", 1 + (int)draw(5)));
    /* Few different times. Which of two answers or exposures came first must not hang on arrival,
     * so only outcomes come without a time, or with one ahead of the clock. */
    bool outcome = kind >= 2 && kind <= 4;
    if (!outcome || draw(8))
        json_object_set_new(event, "at",
                            json_integer(start + (int64_t)draw(outcome ? 20 : 19) * WHEN_DAY -
                                         3 * WHEN_DAY + (int64_t)draw(3) * WHEN_HOUR));
    if (draw(10))
        json_object_set_new(event, "id", json_string(id));
    return event;
}

/* Sends the events at order[from] to order[to - 1], some of those before a second time. */
static void send(struct uplift *uplift, json_t *events, const size_t *order, size_t from, size_t to)
{
    struct error err = {0};
    json_t *batch = json_array();
    for (size_t i = from; i < to; i++) {
        json_array_append(batch, json_array_get(events, order[i]));
        if (draw(8) == 0)
            json_array_append(batch, json_array_get(events, order[draw((uint32_t)i + 1)]));
    }
    json_t *answer = uplift_events(uplift, batch, &err);
    if (!answer)
        fail_msg("%s", err.message);
    json_t *rejected = json_object_get(answer, "rejected");
    if (json_array_size(rejected))
        differ("rejected", json_array(), rejected);
    json_decref(answer);
    json_decref(batch);
}

static void shuffle(size_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = draw((uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

/* --- what comes out ------------------------------------------------------------------------- */

struct kept {
    unsigned char key[STORE_KEY_MAX];
    size_t len;
    struct tally tally;
};

struct outcome {
    struct kept *tallies; /* in order of their keys */
    size_t count;
    json_t *studies[STUDIES];
};

static bool keep(void *data, const struct tally_name *name, const struct tally *tally)
{
    struct outcome *out = data;
    struct store_key key = {0};
    tally_key(name, &key);
    assert_true(out->count < TALLIES_MAX);
    struct kept *kept = &out->tallies[out->count++];
    memcpy(kept->key, key.bytes, key.len);
    kept->len = key.len;
    kept->tally = *tally;
    return true;
}

static void show(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

static json_t *report_of(json_t *study)
{
    struct error err = {0};
    json_t *report = study_analyze(study, &err);
    if (!report)
        fail_msg("%s: %s", err.place, err.message);
    return report;
}

static json_t *study_of(struct uplift *uplift, const char *key, int phase)
{
    struct error err = {0};
    json_t *study = analysis_study(uplift, slice_of(key), phase, &err);
    if (!study)
        fail_msg("%s: %s", err.place, err.message);
    /* A change takes a look before it, from which results go on: that is no matter of counting. */
    json_t *metric;
    size_t i;
    json_array_foreach(json_object_get(study, "metrics"), i, metric)
        json_object_del(metric, "before");
    json_object_del(study, "srm_before");
    return study;
}

static struct outcome read_outcome(struct uplift *uplift)
{
    struct error err = {0};
    struct outcome out = {.tallies = calloc(TALLIES_MAX, sizeof *out.tallies)};
    uint64_t differences = 1;
    batches_wait(uplift);
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(tally_each(txn, NO_SLICE, keep, &out, &err));
    assert_true(ledger_check(txn, catalog, show, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
    out.studies[0] = study_of(uplift, "exp", 1);
    out.studies[1] = study_of(uplift, "exp", 2);
    out.studies[2] = study_of(uplift, "other", 1);
    out.studies[3] = study_of(uplift, "ended", 1);
    return out;
}

static void release(struct outcome *out)
{
    free(out->tallies);
    for (int i = 0; i < STUDIES; i++)
        json_decref(out->studies[i]);
}

static void fail_at(const struct kept *a, const struct kept *b)
{
    struct tally_name name = {0};
    tally_unkey((struct slice){(const char *)a->key, a->len}, &name);
    const struct tally *x = &a->tally, *y = &b->tally;
    fail_msg(
        "experiment %u, phase %u, epoch %u, metric %u, segment %.*s=%.*s, variant %d, bin %d: n "
        "%lld and %lld, sum %.17g and %.17g, before %.17g and %.17g",
        name.experiment, name.phase, name.epoch, name.metric, (int)name.segment.len,
        name.segment.ptr, (int)name.value.len, name.value.ptr, name.variant, name.bin,
        (long long)x->n, (long long)y->n, sum_value(&x->sum), sum_value(&y->sum),
        sum_value(&x->pre_sum), sum_value(&y->pre_sum));
}

static void compare_reports(json_t *a, json_t *b, const json_t *near)
{
    json_t *x = report_of(a), *y = report_of(b);
    compare(x, y, near, "report");
    compare(y, x, near, "report");
    json_decref(x);
    json_decref(y);
}

static void assert_same(const struct outcome *a, const struct outcome *b, bool reports)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct kept *x = &a->tallies[i], *y = &b->tallies[i];
        assert_int_equal(x->len, y->len);
        assert_memory_equal(x->key, y->key, x->len);
        if (!tally_agrees(&x->tally, &y->tally))
            fail_at(x, y);
    }
    json_t *near = json_pack("{s:f, s:f}", "rel", 1e-9, "abs", 1e-12);
    for (int i = 0; i < STUDIES; i++) {
        compare(a->studies[i], b->studies[i], near, "study");
        compare(b->studies[i], a->studies[i], near, "study");
        if (reports)
            compare_reports(a->studies[i], b->studies[i], near);
    }
    json_decref(near);
}

/* --- orders --------------------------------------------------------------------------------- */

/* `plain`: in one batch, when all definitions are what they become. */
static struct outcome count_in_some_order(json_t *events, bool plain)
{
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    define(uplift);
    size_t order[EVENTS], moments[CHANGES], count = json_array_size(events);
    shuffle(order, count);
    /* A change amid the events takes looks, which is most of what this test costs. */
    int changed = 0, early = plain || draw(3) ? CHANGES : (int)draw(CHANGES);
    for (int i = 0; i < CHANGES; i++) /* the later ones not before the earlier ones */
        moments[i] = i < early ? 0 : (i ? moments[i - 1] : 0) + draw((uint32_t)count / 3);
    for (size_t i = 0, end; i < count; i = end) {
        for (; changed < CHANGES && moments[changed] <= i; changed++)
            change(uplift, changed);
        size_t left = count - i, most = plain ? left : 1 + draw(draw(4) ? 120 : 6);
        end = i + (most < left ? most : left);
        send(uplift, events, order, i, end);
        if (!plain && draw(12) == 0) {
            uplift_close(&uplift);
            uplift = open_store(folder);
        }
    }
    for (; changed < CHANGES; changed++)
        change(uplift, changed);
    struct outcome out = read_outcome(uplift);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
    return out;
}

static void test_order__does_not_matter(void **state)
{
    (void)state;
    seed = number_of("UPLIFT_ORDER_SEED", (uint64_t)time(NULL));
    uint64_t orders = number_of("UPLIFT_ORDERS", ORDERS), given = seed;
    json_t *events = json_array();
    for (int i = 0; i < EVENTS; i++)
        json_array_append_new(events, random_event(i));
    struct outcome first = count_in_some_order(events, true);
    assert_true(first.count > 100);
    printf("# seed %llu: %zu tallies\n", (unsigned long long)given, first.count);
    for (uint64_t i = 1; i < orders; i++) {
        struct outcome other = count_in_some_order(events, false);
        assert_same(&first, &other, i % 10 == 0);
        release(&other);
    }
    printf("# %llu orders\n", (unsigned long long)orders);
    release(&first);
    json_decref(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order__does_not_matter)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
