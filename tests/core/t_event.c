/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Events: every field and bound of the model, the place named in each refusal, and records that
 * come back as they went in or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/event.h"
#include "core/event_alias.h"

static const int64_t now = INT64_C(1790000000000);

struct parsed {
    json_t *json;
    struct arena arena;
    struct event event;
    struct error err;
    bool ok;
};

static struct parsed parse(json_t *json)
{
    struct parsed it = {.json = json};
    assert_non_null(json);
    it.ok = event_parse(json, now, &it.arena, &it.event, &it.err);
    return it;
}

static void end(struct parsed *it)
{
    arena_release(&it->arena);
    json_decref(it->json);
}

#define EXPOSURE                                                                                   \
    "\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"e\", \"variant\": \"a\""
#define OUTCOME  "\"type\": \"outcome\", \"customer\": \"c\", \"name\": \"order\""
#define FEEDBACK "\"type\": \"feedback\", \"customer\": \"c\", \"survey\": "

static void test_event__refuses_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"[]", ""},
        {"{}", "type"},
        {"{\"type\": \"click\", \"customer\": \"c\"}", "type"},
        {"{\"type\": 1, \"customer\": \"c\"}", "type"},
        {"{\"type\": \"outcome\", \"name\": \"order\"}", "customer"},
        {"{\"type\": \"outcome\", \"customer\": \"\", \"name\": \"order\"}", "customer"},
        {"{\"type\": \"outcome\", \"customer\": 7, \"name\": \"order\"}", "customer"},
        {"{\"type\": \"outcome\", \"customer\": \"c\"}", "name"},
        {"{" OUTCOME ", \"value\": \"9\"}", "value"},
        {"{" OUTCOME ", \"value\": true}", "value"},
        {"{" OUTCOME ", \"value\": 1e16}", "value"},
        {"{" OUTCOME ", \"score\": 3}", "score"},
        {"{" OUTCOME ", \"at\": \"yesterday\"}", "at"},
        {"{" OUTCOME ", \"at\": \"2026-11-02T10:00:00\"}", "at"},
        {"{" OUTCOME ", \"at\": -1}", "at"},
        {"{" OUTCOME ", \"at\": 1.5}", "at"},
        {"{" OUTCOME ", \"at\": 1790086400001}", "at"},
        {"{" OUTCOME ", \"id\": \"\"}", "id"},
        {"{" OUTCOME ", \"id\": 5}", "id"},
        {"{" EXPOSURE ", \"attributes\": []}", "attributes"},
        {"{" EXPOSURE ", \"attributes\": \"x\"}", "attributes"},
        {"{" EXPOSURE ", \"value\": 1}", "value"},
        {"{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"e\"}", "variant"},
        {"{\"type\": \"exposure\", \"customer\": \"c\", \"variant\": \"a\"}", "experiment"},
        {"{" FEEDBACK "\"csat\"}", "score"},
        {"{" FEEDBACK "\"csat\", \"score\": 0}", "score"},
        {"{" FEEDBACK "\"csat\", \"score\": 6}", "score"},
        {"{" FEEDBACK "\"csat\", \"score\": 2.5}", "score"},
        {"{" FEEDBACK "\"ces\", \"score\": 8}", "score"},
        {"{" FEEDBACK "\"nps\", \"score\": 11}", "score"},
        {"{" FEEDBACK "\"nps\", \"score\": -1}", "score"},
        {"{" FEEDBACK "\"own\", \"score\": 11}", "score"},
        {"{" FEEDBACK "\"nps\", \"score\": 3, \"coment\": \"x\"}", "coment"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed it = parse(json_loads(cases[i].text, 0, NULL));
        if (it.ok || strcmp(it.err.place, cases[i].place) != 0)
            print_message("# %s: '%s' %s\n", cases[i].text, it.err.place, it.err.message);
        assert_false(it.ok);
        assert_int_equal(it.err.code, ERROR_INVALID);
        assert_string_equal(it.err.place, cases[i].place);
        end(&it);
    }
}

static void test_event__takes_what_the_model_allows(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{" OUTCOME "}",
        "{" OUTCOME ", \"value\": -3.5, \"id\": \"e-1\", \"channel\": \"web\"}",
        "{" OUTCOME ", \"at\": 1790086400000}",
        "{" OUTCOME ", \"at\": \"2026-09-21T12:00:00+02:00\"}",
        "{" EXPOSURE "}",
        "{" EXPOSURE ", \"attributes\": {}}",
        "{" EXPOSURE ", \"attributes\": {\"device\": \"ios\", \"deep\": {\"a\": [1]}}}",
        "{" FEEDBACK "\"csat\", \"score\": 1}",
        "{" FEEDBACK "\"csat\", \"score\": 5, \"comment\": \"\", \"stage\": \"checkout\"}",
        "{" FEEDBACK "\"ces\", \"score\": 7}",
        "{" FEEDBACK "\"nps\", \"score\": 0}",
        "{" FEEDBACK "\"nps\", \"score\": 10}",
        "{" FEEDBACK "\"own\", \"score\": 10}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed it = parse(json_loads(cases[i], 0, NULL));
        if (!it.ok)
            print_message("# %s: %s %s\n", cases[i], it.err.place, it.err.message);
        assert_true(it.ok);
        end(&it);
    }
}

/* A text one byte too long is refused, one of exactly the bound is taken. */
static void test_event__bounds_texts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t most;
    } cases[] = {{"customer", EVENT_CUSTOMER_MAX},
                 {"id", EVENT_ID_MAX},
                 {"comment", EVENT_COMMENT_MAX},
                 {"stage", EVENT_NAME_MAX},
                 {"channel", EVENT_NAME_MAX}};
    char text[EVENT_COMMENT_MAX + 2];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t over = 0; over < 2; over++) {
            memset(text, 'x', sizeof text);
            text[cases[i].most + over] = '\0';
            json_t *json = json_loads("{" FEEDBACK "\"nps\", \"score\": 3}", 0, NULL);
            json_object_set_new(json, cases[i].name, json_string(text));
            struct parsed it = parse(json);
            assert_int_equal(it.ok, over == 0);
            if (over)
                assert_string_equal(it.err.place, cases[i].name);
            end(&it);
        }
}

static void test_event__bounds_attributes(void **state)
{
    (void)state;
    static char text[EVENT_ATTRIBUTES_MAX + 1];
    for (size_t over = 0; over < 2; over++) {
        memset(text, 'x', sizeof text);
        text[EVENT_ATTRIBUTES_MAX - strlen("{\"a\":\"\"}") + over] = '\0';
        json_t *json = json_loads("{" EXPOSURE "}", 0, NULL);
        json_object_set_new(json, "attributes", json_pack("{s:s}", "a", text));
        struct parsed it = parse(json);
        assert_int_equal(it.ok, over == 0);
        assert_string_equal(it.err.place, over ? "attributes" : "");
        end(&it);
    }
}

static void test_event__time_is_the_earlier_of_told_and_arrived(void **state)
{
    (void)state;
    struct parsed untimed = parse(json_loads("{" OUTCOME "}", 0, NULL));
    assert_false(untimed.event.timed);
    assert_true(untimed.event.at == now && event_time(&untimed.event) == now);
    struct parsed ahead = parse(json_loads("{" OUTCOME ", \"at\": 1790000005000}", 0, NULL));
    assert_true(ahead.event.timed && ahead.event.at == now + 5000);
    assert_true(event_time(&ahead.event) == now);
    struct parsed past = parse(json_loads("{" OUTCOME ", \"at\": 5000}", 0, NULL));
    assert_true(event_time(&past.event) == 5000);
    end(&untimed);
    end(&ahead);
    end(&past);
}

static void assert_same(const struct event *a, const struct event *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->timed, b->timed);
    assert_int_equal(a->has_value, b->has_value);
    assert_true(a->at == b->at && a->received == b->received);
    if (a->type != EVENT_EXPOSURE)
        assert_memory_equal(&a->value, &b->value, sizeof a->value);
    assert_true(slice_equal(a->id, b->id) && slice_equal(a->name, b->name));
    assert_true(slice_equal(a->variant, b->variant) && slice_equal(a->attributes, b->attributes));
    assert_true(slice_equal(a->comment, b->comment) && slice_equal(a->stage, b->stage));
    assert_true(slice_equal(a->channel, b->channel));
}

static const char *const records[] = {
    "{" OUTCOME ", \"value\": -0.1, \"id\": \"e-1\", \"at\": 1, \"channel\": \"web\"}",
    "{" OUTCOME ", \"at\": 1790000005000}",
    "{" OUTCOME "}",
    "{" EXPOSURE ", \"attributes\": {\"device\": \"\\u00e9\"}, \"at\": 1789999999999}",
    "{" FEEDBACK "\"nps\", \"score\": 10, \"comment\": \"too pushy\", \"stage\": \"checkout\"}",
};

/* The record comes back whole, and no part of it, nor more than it, is taken for one. */
static void test_event__records_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct parsed it = parse(json_loads(records[i], 0, NULL));
        struct text record;
        struct event back;
        assert_true(it.ok);
        text_init(&record, 1 << 16);
        assert_true(event_encode(&it.event, &record));
        assert_true(event_decode((struct slice){record.ptr, record.len}, &back));
        assert_same(&it.event, &back);
        for (size_t len = 0; len < record.len; len++)
            assert_false(event_decode((struct slice){record.ptr, len}, &back));
        text_puts(&record, "x");
        assert_false(event_decode((struct slice){record.ptr, record.len}, &back));
        record.ptr[0]++; /* another version */
        assert_false(event_decode((struct slice){record.ptr, record.len - 1}, &back));
        text_release(&record);
        end(&it);
    }
}

/* Changed bytes give an event or a refusal, never a read beyond them (seen by AddressSanitizer). */
static void test_event__survives_damaged_records(void **state)
{
    (void)state;
    uint32_t seed = 20261124;
    print_message("# seed %u\n", seed);
    size_t read = 0;
    struct parsed it = parse(json_loads(records[4], 0, NULL));
    struct text record;
    text_init(&record, 1 << 16);
    assert_true(event_encode(&it.event, &record));
    for (int i = 0; i < 20000; i++) {
        char *copy = malloc(record.len); /* of this size, so that a byte too far is seen */
        struct event back;
        memcpy(copy, record.ptr, record.len);
        for (int k = 0; k < 3; k++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % record.len] = (char)(seed >> 24);
        }
        read += event_decode((struct slice){copy, record.len}, &back);
        free(copy);
    }
    assert_true(read > 0 && read < 20000);
    text_release(&record);
    end(&it);
}

/* What is shown can be sent again and says the same. */
static void test_event__json_can_be_sent_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct parsed it = parse(json_loads(records[i], 0, NULL));
        struct parsed again = parse(event_json(&it.event));
        if (!again.ok)
            print_message("# %s: %s\n", again.err.place, again.err.message);
        assert_true(again.ok);
        again.event.timed = it.event.timed; /* what came without a time is shown with one */
        assert_same(&it.event, &again.event);
        end(&it);
        end(&again);
    }
}

/* --- other tools' shapes -------------------------------------------------------------------- */

static void assert_unaliased(const char *given, int64_t skew, const char *expected)
{
    json_t *event = json_loads(given, 0, NULL), *want = json_loads(expected, 0, NULL);
    assert_true(event && want);
    json_t *got = event_unalias(event, skew);
    if (!json_equal(got, want)) {
        char *text = json_dumps(got, 0);
        fail_msg("%s gives %s", given, text);
    }
    json_decref(got);
    json_decref(want);
    json_decref(event);
}

static void test_alias__names_of_others(void **state)
{
    (void)state;
    static const char ours[] = "{\"type\": \"outcome\", \"customer\": \"c\", \"name\": \"o\"}";
    assert_unaliased(ours, 5, ours);
    assert_unaliased(
        "{\"type\": \"outcome\", \"name\": \"o\", \"messageId\": \"m\", \"anonymousId\": "
        "\"a\", \"userId\": \"u\", \"timestamp\": \"1970-01-01T00:00:01Z\"}",
        500,
        "{\"type\": \"outcome\", \"name\": \"o\", \"id\": \"m\", \"customer\": \"u\", "
        "\"at\": 1500}");
    assert_unaliased(
        "{\"type\": \"outcome\", \"targetingKey\": \"t\", \"at\": 7, \"timestamp\": 9}", 3,
        "{\"type\": \"outcome\", \"customer\": \"t\", \"at\": 7}");
    /* What is wrong stays for the parser to name. */
    assert_unaliased("{\"type\": \"outcome\", \"timestamp\": \"soon\", \"colour\": 1}", 3,
                     "{\"type\": \"outcome\", \"at\": \"soon\", \"colour\": 1}");
    assert_unaliased("{\"type\": \"outcome\", \"timestamp\": 9223372036854775807}", 3,
                     "{\"type\": \"outcome\", \"at\": 9223372036854775807}");
    assert_unaliased("[1]", 3, "[1]");
}

static void test_alias__track_messages(void **state)
{
    (void)state;
    assert_unaliased(
        "{\"type\": \"track\", \"event\": \"Experiment Viewed\", \"userId\": \"u\", "
        "\"properties\": {\"experiment_id\": \"e\", \"variation_id\": \"b\", \"x\": 1}, "
        "\"context\": {}, \"messageId\": \"m\"}",
        0,
        "{\"type\": \"exposure\", \"customer\": \"u\", \"experiment\": \"e\", "
        "\"variant\": \"b\", \"id\": \"m\"}");
    assert_unaliased(
        "{\"type\": \"track\", \"event\": \"Order Completed\", \"anonymousId\": \"a\", "
        "\"properties\": {\"revenue\": 25.5}, \"timestamp\": 1000}",
        -400,
        "{\"type\": \"outcome\", \"customer\": \"a\", \"name\": \"Order Completed\", "
        "\"value\": 25.5, \"at\": 600}");
    assert_unaliased("{\"type\": \"track\", \"event\": \"Signed Up\", \"userId\": \"u\"}", 0,
                     "{\"type\": \"outcome\", \"customer\": \"u\", \"name\": \"Signed Up\"}");
    assert_unaliased("{\"type\": \"track\"}", 0, "{\"type\": \"outcome\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alias__names_of_others),
        cmocka_unit_test(test_alias__track_messages),
        cmocka_unit_test(test_event__refuses_with_the_place),
        cmocka_unit_test(test_event__takes_what_the_model_allows),
        cmocka_unit_test(test_event__bounds_texts),
        cmocka_unit_test(test_event__bounds_attributes),
        cmocka_unit_test(test_event__time_is_the_earlier_of_told_and_arrived),
        cmocka_unit_test(test_event__records_are_read_whole_or_not_at_all),
        cmocka_unit_test(test_event__survives_damaged_records),
        cmocka_unit_test(test_event__json_can_be_sent_again),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
