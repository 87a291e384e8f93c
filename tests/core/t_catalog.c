/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The catalog: lookups, changes of one definition, and readers and a publisher at once (run under
 * ThreadSanitizer and AddressSanitizer, which see what a plain run does not). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/catalog.h"
#include "core/experiment_change.h"
#include "core/json.h"

static struct experiment *experiment_of(uint32_t number, const char *key, int tag)
{
    struct error err = {0};
    json_t *input = json_pack("{s:s, s:[{s:s}, {s:s}], s:[o]}", "key", key, "variants", "key", "a",
                              "key", "b", "tags", json_sprintf("%d", tag));
    struct experiment *e = experiment_create(input, number, 0, &err);
    json_decref(input);
    assert_non_null(e);
    return e;
}

static struct metric *metric_of(uint32_t number, const char *key)
{
    struct error err = {0};
    json_t *input = json_pack("{s:s, s:s}", "key", key, "kind", "nps");
    struct metric *m = metric_create(input, number, 0, &err);
    json_decref(input);
    assert_non_null(m);
    return m;
}

static void test_catalog__finds_by_key_and_number(void **state)
{
    (void)state;
    struct experiment *e[3] = {experiment_of(7, "b", 0), experiment_of(3, "ab", 0),
                               experiment_of(5, "a", 0)};
    struct metric *m[2] = {metric_of(2, "y"), metric_of(9, "x")};
    struct catalog *c = catalog_new(4, e, 3, m, 2);
    assert_int_equal(catalog_version(c), 4);
    assert_ptr_equal(catalog_experiment(c, slice_of("ab")), e[1]);
    assert_ptr_equal(catalog_experiment(c, (struct slice){"abc", 1}), e[2]);
    assert_null(catalog_experiment(c, slice_of("abc")));
    assert_null(catalog_experiment(c, slice_of("")));
    assert_ptr_equal(catalog_experiment_numbered(c, 7), e[0]);
    assert_null(catalog_experiment_numbered(c, 6));
    assert_ptr_equal(catalog_metric(c, slice_of("x")), m[1]);
    assert_ptr_equal(catalog_metric_numbered(c, 2), m[0]);
    assert_null(catalog_metric_numbered(c, 1));
    static const char *const order[] = {"a", "ab", "b"};
    for (size_t i = 0; i < catalog_experiment_count(c); i++)
        assert_string_equal(catalog_experiment_at(c, i)->key, order[i]);
    assert_string_equal(catalog_metric_at(c, 0)->key, "x");
    for (int i = 0; i < 3; i++)
        experiment_unref(&e[i]);
    metric_unref(&m[0]);
    metric_unref(&m[1]);
    assert_string_equal(catalog_experiment(c, slice_of("b"))->key, "b"); /* holds its own */
    catalog_free(&c);
    assert_null(c);
}

static void test_catalog__replaces_adds_and_leaves_out_one(void **state)
{
    (void)state;
    struct experiment *first = experiment_of(1, "e", 0), *second = experiment_of(1, "e", 1);
    struct experiment *other = experiment_of(2, "f", 0);
    struct metric *m = metric_of(1, "m");
    struct catalog *c[6];
    c[0] = catalog_new(0, NULL, 0, NULL, 0);
    c[1] = catalog_with_experiment(c[0], 1, first);
    c[2] = catalog_with_experiment(c[1], 2, other);
    c[3] = catalog_with_experiment(c[2], 1, second);
    c[4] = catalog_with_metric(c[3], 1, m);
    c[5] = catalog_with_experiment(c[4], 2, NULL);
    assert_int_equal(catalog_version(c[5]), 5);
    assert_ptr_equal(catalog_experiment(c[2], slice_of("e")), first);
    assert_ptr_equal(catalog_experiment(c[3], slice_of("e")), second);
    assert_int_equal(catalog_experiment_count(c[4]), 2);
    assert_int_equal(catalog_experiment_count(c[5]), 1);
    assert_ptr_equal(catalog_metric(c[5], slice_of("m")), m);
    struct catalog *none = catalog_with_metric(c[5], 1, NULL);
    assert_int_equal(catalog_metric_count(none), 0);
    catalog_free(&none);
    for (int i = 0; i < 6; i++)
        catalog_free(&c[i]);
    experiment_unref(&first);
    experiment_unref(&second);
    experiment_unref(&other);
    metric_unref(&m);
}

/* Makes the experiment what it is after a step. */
static void step(struct experiment **e, enum experiment_step step)
{
    struct error err = {0};
    struct experiment *next = experiment_step(*e, step, NULL, 1000, &err);
    assert_non_null(next);
    experiment_unref(e);
    *e = next;
}

static uint64_t served(const struct catalog *old, struct experiment *e)
{
    struct catalog *c = catalog_with_experiment(old, e->number, e);
    uint64_t number = catalog_served(c);
    catalog_free(&c);
    return number;
}

static void test_catalog__what_is_served_changes_with_what_customers_get(void **state)
{
    (void)state;
    struct experiment *e = experiment_of(1, "e", 0), *other = experiment_of(2, "f", 0);
    struct catalog *none = catalog_new(0, NULL, 0, NULL, 0), *c;
    step(&other, STEP_START);
    c = catalog_with_experiment(none, 2, other);
    uint64_t before = catalog_served(c);
    assert_int_not_equal(before, catalog_served(none));
    assert_int_equal(served(c, e), before); /* a draft */
    step(&e, STEP_START);
    uint64_t running = served(c, e);
    assert_int_not_equal(running, before);
    step(&e, STEP_PAUSE);
    uint64_t paused = served(c, e);
    assert_int_not_equal(paused, running);
    step(&e, STEP_STOP);
    assert_int_not_equal(served(c, e), paused);
    step(&e, STEP_ARCHIVE);
    assert_int_equal(served(c, e), before);
    struct catalog *again = catalog_new(77, &other, 1, NULL, 0); /* as after a restart */
    assert_int_equal(catalog_served(again), before);
    catalog_free(&again);
    catalog_free(&c);
    catalog_free(&none);
    experiment_unref(&e);
    experiment_unref(&other);
}

static void test_catalog__a_held_snapshot_does_not_change(void **state)
{
    (void)state;
    struct catalog_root root;
    catalog_root_init(&root);
    struct experiment *e = experiment_of(1, "e", 0);
    struct catalog *empty = catalog_acquire(&root), *again = catalog_acquire(&root);
    assert_ptr_equal(empty, again);
    catalog_publish(&root, catalog_with_experiment(empty, 1, e));
    assert_int_equal(catalog_experiment_count(empty), 0);
    struct catalog *next = catalog_acquire(&root);
    assert_int_equal(catalog_experiment_count(next), 1);
    catalog_release(&root, empty);
    assert_int_equal(catalog_version(again), 0); /* still held once */
    catalog_release(&root, again);
    catalog_release(&root, next);
    catalog_root_release(&root);
    experiment_unref(&e);
}

enum { READERS = 4, PUBLICATIONS = 3000 };

struct race {
    struct catalog_root root;
    atomic_bool over;
    atomic_uint_fast64_t reads;
};

/* Each snapshot holds two experiments with the tag of its version: a reader that sees a mixture,
 * or what was freed, has found a fault. */
static void *reader(void *data)
{
    struct race *race = data;
    uint64_t last = 0;
    while (!atomic_load(&race->over)) {
        struct catalog *c = catalog_acquire(&race->root);
        struct catalog *second = catalog_acquire(&race->root);
        must(catalog_version(c) >= last && catalog_version(second) >= catalog_version(c));
        last = catalog_version(c);
        char tag[32];
        snprintf(tag, sizeof tag, "%llu", (unsigned long long)last);
        for (size_t i = 0; i < catalog_experiment_count(c); i++)
            must(strcmp(catalog_experiment_at(c, i)->tags[0], tag) == 0);
        catalog_release(&race->root, c);
        catalog_release(&race->root, second);
        atomic_fetch_add(&race->reads, 1);
    }
    return NULL;
}

static void test_catalog__readers_and_a_publisher_do_not_meet(void **state)
{
    (void)state;
    struct race race = {0};
    catalog_root_init(&race.root);
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &race), 0);
    while (atomic_load(&race.reads) == 0)
        sched_yield();
    for (int i = 1; i <= PUBLICATIONS; i++) {
        struct experiment *e[2] = {experiment_of(1, "e", i), experiment_of(2, "f", i)};
        catalog_publish(&race.root, catalog_new((uint64_t)i, e, 2, NULL, 0));
        experiment_unref(&e[0]);
        experiment_unref(&e[1]);
    }
    atomic_store(&race.over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    print_message("# %llu reads, %d publications\n", (unsigned long long)atomic_load(&race.reads),
                  PUBLICATIONS);
    catalog_root_release(&race.root); /* ends the process where a reader is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalog__finds_by_key_and_number),
        cmocka_unit_test(test_catalog__replaces_adds_and_leaves_out_one),
        cmocka_unit_test(test_catalog__what_is_served_changes_with_what_customers_get),
        cmocka_unit_test(test_catalog__a_held_snapshot_does_not_change),
        cmocka_unit_test(test_catalog__readers_and_a_publisher_do_not_meet),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
