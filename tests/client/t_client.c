/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The library as programs see it: decisions without a server, what it refuses, what it keeps when
 * the server is away, and many threads at once. What it says to a real server is tested in
 * tests/e2e/client.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "client/client.h"

static const char payload[] =
    "{\"features\":{\"exp\":{\"defaultValue\":\"a\",\"rules\":[{\"key\":\"exp\",\"seed\":\"exp\","
    "\"hashVersion\":2,\"coverage\":1,\"weights\":[0.5,0.5],\"variations\":[\"a\",\"b\"],\"meta\":"
    "[{\"key\":\"a\"},{\"key\":\"b\"}]}]},\"off\":{\"defaultValue\":{\"x\":1}}}}";
static const char all_b[] =
    "{\"features\":{\"exp\":{\"defaultValue\":\"a\",\"rules\":[{\"id\":\"exp:winner:b\",\"force\":"
    "\"b\"}]}}}";
/* A port that nobody listens on: 1 needs root. */
static const char nobody[] = "http://127.0.0.1:1";

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/uplift-client-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/events", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static struct uplift_client_options options_with(const char *definitions)
{
    struct uplift_client_options options;
    uplift_client_options_init(&options);
    options.payload = definitions;
    return options;
}

static uplift_client *begin(const struct uplift_client_options *options)
{
    struct uplift_client_error error;
    uplift_client *client = uplift_client_new(options, &error);
    if (!client)
        fail_msg("%s", error.text);
    return client;
}

static struct uplift_client_stats stats_of(uplift_client *client)
{
    struct uplift_client_stats stats = {.size = sizeof stats};
    uplift_client_statistics(client, &stats);
    return stats;
}

static void test_client__decides_offline(void **state)
{
    (void)state;
    struct uplift_client_options options = options_with(payload);
    uplift_client *client = begin(&options);
    struct uplift_client_decision decision;
    assert_int_equal(uplift_client_wait(client, 0, NULL), UPLIFT_CLIENT_OK);
    assert_int_equal(
        uplift_client_assign(client, "exp", "c-1", "{\"id\":\"other\"}", &decision, NULL),
        UPLIFT_CLIENT_OK);
    assert_int_equal(decision.reason, UPLIFT_CLIENT_ASSIGNED);
    assert_true(decision.in_experiment);
    assert_true(decision.bucket >= 0 && decision.bucket < 1);
    assert_int_equal(decision.index, decision.bucket < 0.5 ? 0 : 1);
    assert_string_equal(decision.variant, decision.index ? "b" : "a");
    assert_string_equal(decision.value, decision.index ? "\"b\"" : "\"a\"");

    /* It stays what it was when the definitions change, and when the client is closed. */
    struct uplift_client_decision later;
    assert_int_equal(uplift_client_payload(client, all_b, NULL), UPLIFT_CLIENT_OK);
    uplift_client_decide(client, "exp", "c-1", NULL, &later, NULL);
    assert_int_equal(later.reason, UPLIFT_CLIENT_FORCED);
    assert_string_equal(later.variant, "b");
    assert_int_equal(later.index, -1);
    assert_int_equal(uplift_client_close(&client, 0, NULL), UPLIFT_CLIENT_OK);
    assert_null(client);
    assert_string_equal(later.value, "\"b\"");
    assert_string_equal(decision.value, decision.index ? "\"b\"" : "\"a\"");
    uplift_client_decision_release(&decision);
    uplift_client_decision_release(&decision);
    uplift_client_decision_release(&later);
    assert_string_equal(later.value, "null");
}

static void test_client__says_why_there_is_no_variant(void **state)
{
    (void)state;
    struct uplift_client_options options = options_with(NULL);
    uplift_client *client = begin(&options);
    struct uplift_client_decision decision;
    struct uplift_client_error error = {0};
    assert_int_equal(uplift_client_wait(client, 1, &error), UPLIFT_CLIENT_TIMEOUT);
    uplift_client_decide(client, "exp", "c", NULL, &decision, NULL);
    assert_int_equal(decision.reason, UPLIFT_CLIENT_UNAVAILABLE);
    assert_string_equal(decision.value, "null");
    assert_int_equal(decision.index, -1);
    uplift_client_payload(client, payload, NULL);
    uplift_client_decide(client, "none", "c", NULL, &decision, NULL);
    assert_int_equal(decision.reason, UPLIFT_CLIENT_UNKNOWN);
    uplift_client_decision_release(&decision);
    uplift_client_decide(client, "off", "c", NULL, &decision, NULL);
    assert_int_equal(decision.reason, UPLIFT_CLIENT_DEFAULT);
    assert_string_equal(decision.value, "{\"x\":1}");
    assert_false(decision.in_experiment);
    uplift_client_decision_release(&decision);
    uplift_client_close(&client, 0, NULL);
    assert_string_equal(uplift_client_reason_word(UPLIFT_CLIENT_ASSIGNED), "assigned");
    assert_string_equal(uplift_client_reason_word(UPLIFT_CLIENT_UNAVAILABLE), "unavailable");
}

static void refuse(const struct uplift_client_options *options, const char *text)
{
    struct uplift_client_error error = {0};
    assert_null(uplift_client_new(options, &error));
    assert_int_not_equal(error.code, UPLIFT_CLIENT_OK);
    if (!strstr(error.text, text))
        fail_msg("%s", error.text);
    assert_null(uplift_client_new(options, NULL));
}

static void test_client__refuses_options_by_name(void **state)
{
    (void)state;
    struct uplift_client_options options = options_with("{\"features\":1}");
    refuse(NULL, "options");
    refuse(&options, "payload.features: must be an object");
    options = options_with(NULL);
    options.url = "ftp://x";
    refuse(&options, "url: must begin with http://");
    options.url = nobody;
    refuse(&options, "key: is missing");
    options.key = "sdk-a/../b";
    refuse(&options, "key: ");
    options.key = "sdk-a";
    options.batch_max = 10001;
    refuse(&options, "batch_max");
    options.batch_max = 0;
    options.spill_path = "/nonexistent/events";
    refuse(&options, "/nonexistent/events: cannot open the spill file: No such file");
    options.size = 3;
    refuse(&options, "options");
}

static void test_client__refuses_what_is_wrong_and_goes_on(void **state)
{
    (void)state;
    struct uplift_client_options options = options_with(payload);
    uplift_client *client = begin(&options);
    struct uplift_client_error e = {0};
    struct uplift_client_decision d;
    const enum uplift_client_code bad = UPLIFT_CLIENT_INVALID;
    assert_int_equal(uplift_client_decide(client, NULL, "c", NULL, &d, &e), bad);
    assert_string_equal(e.text, "experiment: is missing");
    assert_int_equal(uplift_client_decide(client, "exp", NULL, NULL, &d, &e), bad);
    assert_int_equal(uplift_client_decide(client, "exp", "", NULL, &d, &e), bad);
    assert_int_equal(uplift_client_decide(client, "exp", "\xff", NULL, &d, &e), bad);
    assert_string_equal(e.text, "customer: must be UTF-8");
    assert_int_equal(uplift_client_decide(client, "exp", "c", "{", &d, &e), bad);
    assert_string_equal(e.text, "attributes: line 1, column 1: ends too early");
    assert_int_equal(uplift_client_decide(client, "exp", "c", "[]", &d, NULL), bad);
    assert_int_equal(d.reason, UPLIFT_CLIENT_UNAVAILABLE);
    assert_int_equal(uplift_client_payload(client, NULL, &e), bad);
    assert_int_equal(uplift_client_payload(client, "{}", &e), bad);
    assert_int_equal(uplift_client_outcome(client, NULL, "order", 1, &e), bad);
    assert_string_equal(e.text, "customer: must be a string");
    assert_int_equal(uplift_client_outcome(client, "c", "order", 1e300 * 1e300, &e), bad);
    assert_string_equal(e.text, "value: must be a finite number");
    assert_int_equal(uplift_client_feedback(client, "c", "csat", 6, NULL, &e), bad);
    assert_string_equal(e.text, "score: must be from 1 to 5");
    assert_int_equal(uplift_client_feedback(client, "c", "csat", 5, "\xff", &e), bad);
    assert_int_equal(uplift_client_event(client, NULL, &e), bad);
    assert_int_equal(uplift_client_event(client, "7", &e), bad);
    assert_string_equal(e.text, "must be an object");
    assert_int_equal(
        uplift_client_event(client, "{\"type\":\"outcome\",\"customer\":\"c\",\"nam\":1}", &e),
        bad);
    assert_string_equal(e.text, "nam: unknown field");
    uplift_client_decide(client, "exp", "c", NULL, &d, &e);
    assert_int_equal(d.reason, UPLIFT_CLIENT_ASSIGNED);
    uplift_client_decision_release(&d);
    uplift_client_close(&client, 0, NULL);
    assert_int_equal(uplift_client_close(&client, 0, NULL), UPLIFT_CLIENT_OK);
    assert_int_equal(uplift_client_close(NULL, 0, NULL), UPLIFT_CLIENT_OK);
}

static struct uplift_client_options away(void)
{
    struct uplift_client_options options = options_with(payload);
    options.url = nobody;
    options.key = "sdk-a";
    options.retry_ms = 1;
    options.retry_max_ms = 20;
    return options;
}

static void assign(uplift_client *client, const char *customer)
{
    struct uplift_client_decision decision;
    struct uplift_client_error error;
    if (uplift_client_assign(client, "exp", customer, "{\"country\":\"DE\"}", &decision, &error))
        fail_msg("%s", error.text);
    uplift_client_decision_release(&decision);
}

static void test_client__keeps_events_while_the_server_is_away(void **state)
{
    (void)state;
    struct uplift_client_options options = away();
    options.spill_path = path;
    uplift_client *client = begin(&options);
    for (int i = 0; i < 3; i++) {
        assign(client, "c-1");
        assign(client, "c-2");
    }
    uplift_client_outcome(client, "c-1", "order", 59.9, NULL);
    uplift_client_feedback(client, "c-1", "nps", 9, "fine", NULL);
    /* Two exposures, each once. */
    assert_int_equal(stats_of(client).waiting, 4);
    assert_int_equal(uplift_client_flush(client, UPLIFT_CLIENT_KEPT, 10000, NULL),
                     UPLIFT_CLIENT_OK);
    assert_int_equal(uplift_client_flush(client, UPLIFT_CLIENT_SENT, 30, NULL),
                     UPLIFT_CLIENT_TIMEOUT);
    struct uplift_client_stats stats = stats_of(client);
    assert_true(stats.failures > 0);
    assert_non_null(strstr(stats.failed, "127.0.0.1"));
    assert_null(strstr(stats.failed, "sdk-a"));
    struct uplift_client_error error = {0};
    assert_int_equal(uplift_client_close(&client, 30, &error), UPLIFT_CLIENT_TIMEOUT);
    assert_string_equal(error.text, "events are left in the file");

    client = begin(&options);
    assert_int_equal(stats_of(client).recovered, 4);
    assert_int_equal(stats_of(client).waiting, 4);
    uplift_client_close(&client, 0, NULL);
}

static void test_client__tells_what_is_lost_without_a_file(void **state)
{
    (void)state;
    struct uplift_client_options options = away();
    uplift_client *client = begin(&options);
    uplift_client_outcome(client, "c-1", "order", 1, NULL);
    assert_int_equal(uplift_client_close(&client, 10, NULL), UPLIFT_CLIENT_LOST);
}

static void test_client__a_full_queue_refuses_and_says_so(void **state)
{
    (void)state;
    struct uplift_client_options options = away();
    options.spill_max = 1;
    options.queue_max = 5;
    uplift_client *client = begin(&options);
    enum uplift_client_code code = UPLIFT_CLIENT_OK;
    uint64_t taken = 0;
    while ((code = uplift_client_outcome(client, "c-1", "order", 1, NULL)) == UPLIFT_CLIENT_OK) {
        taken++;
        uplift_client_flush(client, UPLIFT_CLIENT_KEPT, taken < 100 ? 10000 : 5, NULL);
    }
    assert_int_equal(code, UPLIFT_CLIENT_FULL);
    assert_true(taken > 100 && taken < 1000);
    assert_int_equal(stats_of(client).waiting, taken);
    assert_int_equal(stats_of(client).refused, 1);
    /* A decision is good all the same, and its exposure may be tried again. */
    struct uplift_client_decision decision;
    assert_int_equal(uplift_client_assign(client, "exp", "c-1", NULL, &decision, NULL),
                     UPLIFT_CLIENT_FULL);
    assert_int_equal(decision.reason, UPLIFT_CLIENT_ASSIGNED);
    assert_int_equal(uplift_client_expose(client, "c-1", NULL, &decision, NULL),
                     UPLIFT_CLIENT_FULL);
    uplift_client_decision_release(&decision);
    uplift_client_close(&client, 0, NULL);
}

/* --- threads --- */

enum { THREADS = 4, ROUNDS = 1500 };

struct crowd {
    uplift_client *client;
    atomic_int next;
    atomic_bool over;
};

/* cmocka's checks are for the main thread. */
static void must_be(enum uplift_client_code code)
{
    if (code != UPLIFT_CLIENT_OK)
        abort();
}

static void *decide_and_record(void *data)
{
    struct crowd *crowd = data;
    int me = atomic_fetch_add(&crowd->next, 1);
    for (int i = 0; i < ROUNDS; i++) {
        char customer[32];
        /* Each customer comes in two threads. */
        snprintf(customer, sizeof customer, "c-%d-%d", me / 2, i);
        struct uplift_client_decision decision;
        must_be(uplift_client_assign(crowd->client, "exp", customer, NULL, &decision, NULL));
        uplift_client_decision_release(&decision);
        must_be(uplift_client_outcome(crowd->client, customer, "order", i, NULL));
        if (i % 500 == 0)
            uplift_client_flush(crowd->client, UPLIFT_CLIENT_KEPT, 10000, NULL);
    }
    return NULL;
}

static void *change(void *data)
{
    struct crowd *crowd = data;
    while (!atomic_load(&crowd->over)) {
        must_be(uplift_client_payload(crowd->client, payload, NULL));
        stats_of(crowd->client);
    }
    return NULL;
}

static void test_client__is_for_many_threads(void **state)
{
    (void)state;
    struct uplift_client_options options = options_with(payload);
    options.spill_path = path;
    options.queue_max = 100000;
    struct crowd crowd = {.client = begin(&options)};
    pthread_t threads[THREADS], changer;
    pthread_create(&changer, NULL, change, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, decide_and_record, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&crowd.over, true);
    pthread_join(changer, NULL);
    assert_int_equal(stats_of(crowd.client).waiting, THREADS / 2 * ROUNDS + THREADS * ROUNDS);
    assert_int_equal(uplift_client_close(&crowd.client, 0, NULL), UPLIFT_CLIENT_OK);
    uplift_client *again = begin(&options);
    assert_int_equal(stats_of(again).recovered, THREADS / 2 * ROUNDS + THREADS * ROUNDS);
    uplift_client_close(&again, 0, NULL);
}

int main(void)
{
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client__decides_offline),
        cmocka_unit_test(test_client__says_why_there_is_no_variant),
        cmocka_unit_test(test_client__refuses_options_by_name),
        cmocka_unit_test(test_client__refuses_what_is_wrong_and_goes_on),
        IN_FOLDER(test_client__keeps_events_while_the_server_is_away),
        cmocka_unit_test(test_client__tells_what_is_lost_without_a_file),
        cmocka_unit_test(test_client__a_full_queue_refuses_and_says_so),
        IN_FOLDER(test_client__is_for_many_threads),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
