/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pseudonyms: no byte of an id reaches the disk; the door is the same for events, lookups, consent
 * and what comes back out of an export; decisions stay what they are; a store takes only its key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/consent.h"
#include "core/customer.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/pseudonym.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

struct place {
    char folder[FOLDER_MAX], key[FOLDER_MAX + 16], data[FOLDER_MAX + 16];
    struct uplift *uplift;
};

/* Whether it opens; else the error. */
static bool try_open(struct place *place, bool key, struct error *err)
{
    const struct uplift_options options = {.pseudonyms = key ? place->key : NULL};
    *err = (struct error){0};
    place->uplift = uplift_open_with(place->data, &options, err);
    return place->uplift != NULL;
}

static void open_place(struct place *place, bool key)
{
    struct error err;
    try_open(place, key, &err);
    assert_string_equal(err.message, "");
}

static void define(struct uplift *uplift)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    json_t *metric =
        json_loads("{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\"}", 0, NULL);
    json_t *experiment = json_loads("{\"key\": \"exp\", \"variants\": [{\"key\": \"a\"}, {\"key\":"
                                    " \"b\"}], \"segments\": [\"id\"], \"metrics\": {\"primary\":"
                                    " [\"spend\"]}}",
                                    0, NULL);
    json_decref(uplift_metric_create(uplift, &change, metric, &err));
    json_decref(uplift_experiment_create(uplift, &change, experiment, &err));
    json_decref(
        uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    assert_string_equal(err.message, "");
    json_decref(metric);
    json_decref(experiment);
}

static void begin(struct place *place)
{
    assert_true(folder_make(place->folder));
    snprintf(place->key, sizeof place->key, "%s/key", place->folder);
    snprintf(place->data, sizeof place->data, "%s/data", place->folder);
    place->uplift = NULL;
}

static void end(struct place *place)
{
    uplift_close(&place->uplift);
    folder_remove(place->data);
    assert_true(folder_remove(place->folder));
}

static void send(struct uplift *uplift, json_t *events, size_t accepted)
{
    struct error err = {0};
    json_t *answer = uplift_events(uplift, events, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(json_integer_value(json_object_get(answer, "accepted")), accepted);
    json_decref(answer);
    json_decref(events);
}

/* The id is also an attribute, and one of the segments, as SDKs do it. */
static json_t *visit(const char *id)
{
    return json_pack("[{s:s, s:s, s:s, s:s, s:{s:s, s:s}}, {s:s, s:s, s:s, s:i, s:s}]", "type",
                     "exposure", "customer", id, "experiment", "exp", "variant", "a", "attributes",
                     "id", id, "device", "phone", "type", "feedback", "customer", id, "survey",
                     "nps", "score", 9, "comment", "spoken words");
}

static json_t *kept(struct uplift *uplift, const char *id)
{
    struct error err = {0};
    return uplift_customer_get(uplift, slice_of(id), slice_of(""), 1000, &err);
}

static size_t count_in(const char *folder, const char *file, const char *words)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *data = fopen(path, "rb");
    assert_non_null(data);
    size_t len, found = 0, many = strlen(words);
    char *bytes = malloc(64 << 20);
    len = fread(bytes, 1, 64 << 20, data);
    fclose(data);
    for (const char *at = bytes; (at = memmem(at, len - (size_t)(at - bytes), words, many)); at++)
        found++;
    free(bytes);
    return found;
}

static const char person[] = "anna.example@shop.test";

static void test_pseudonym__no_id_is_on_disk(void **state)
{
    (void)state;
    for (size_t hidden = 0; hidden < 2; hidden++) {
        struct place place;
        struct error err = {0};
        begin(&place);
        open_place(&place, hidden);
        define(place.uplift);
        send(place.uplift, visit(person), 2);
        json_t *input = json_loads("{\"analytics\": true, \"personalization\": true}", 0, NULL);
        json_decref(uplift_consent_set(place.uplift, "test", slice_of(person), input, &err));
        json_decref(input);
        uplift_close(&place.uplift);
        assert_true((count_in(place.data, "data.mdb", person) > 0) == !hidden);
        assert_true(count_in(place.data, "data.mdb", "spoken words") > 0);
        open_place(&place, hidden);
        json_decref(uplift_customer_erase(place.uplift, "test", slice_of(person), &err));
        assert_string_equal(err.message, "");
        end(&place);
    }
}

/* Within others, and as a number, as some senders have it. */
static void test_pseudonym__hides_the_id_wherever_attributes_have_it(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    begin(&place);
    open_place(&place, true);
    define(place.uplift);
    json_t *events = json_loads(
        "[{\"type\": \"exposure\", \"customer\": \"7310042\", \"experiment\": \"exp\", "
        "\"variant\": \"a\","
        " \"attributes\": {\"id\": 7310042, \"user\": {\"id\": \"7310042\", \"age\": 42}, \"all\":"
        " [7310042, [\"7310042\"]]}},"
        "{\"type\": \"exposure\", \"customer\": \"42\", \"experiment\": \"exp\", \"variant\": "
        "\"a\","
        " \"attributes\": {\"age\": 42}}]",
        0, NULL);
    send(place.uplift, events, 2);
    json_t *page = kept(place.uplift, "42");
    json_t *event = json_array_get(json_object_get(page, "events"), 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(event, "attributes"), "age")), 42);
    json_decref(page);
    /* Where it stands too often to be replaced, the event is refused, not the server ended. */
    json_t *many = json_array();
    for (int i = 0; i < 900; i++)
        json_array_append_new(many, json_integer(7310042));
    events = json_pack("[{s:s, s:s, s:s, s:s, s:{s:o}}]", "type", "exposure", "customer", "7310042",
                       "experiment", "exp", "variant", "a", "attributes", "all", many);
    json_t *answer = uplift_events(place.uplift, events, &err);
    json_decref(events);
    const char *why = json_string_value(
        json_object_get(json_array_get(json_object_get(answer, "rejected"), 0), "error"));
    assert_non_null(why);
    assert_non_null(strstr(why, "attributes: are longer than"));
    json_decref(answer);
    uplift_close(&place.uplift);
    assert_int_equal(count_in(place.data, "data.mdb", "7310042"), 0);
    end(&place);
}

static void test_pseudonym__the_door_may_be_passed_twice(void **state)
{
    (void)state;
    struct place place;
    struct error err = {0};
    begin(&place);
    open_place(&place, true);
    define(place.uplift);
    send(place.uplift, visit(person), 2);
    json_t *page = kept(place.uplift, person);
    const char *shown = json_string_value(json_object_get(page, "customer"));
    assert_int_equal(strlen(shown), PSEUDONYM_LENGTH);
    json_t *again = kept(place.uplift, shown);
    assert_true(json_equal(page, again));
    json_t *events = json_object_get(page, "events");
    assert_int_equal(json_array_size(events), 2);
    const char *attribute = json_string_value(
        json_object_get(json_object_get(json_array_get(events, 0), "attributes"), "id"));
    if (!attribute)
        attribute = json_string_value(
            json_object_get(json_object_get(json_array_get(events, 1), "attributes"), "id"));
    assert_string_equal(attribute, shown);
    /* What was shown comes again. */
    send(place.uplift,
         json_pack("[{s:s, s:s, s:s}]", "type", "outcome", "customer", shown, "name", "order"), 1);
    json_t *input = json_loads("{\"analytics\": false, \"personalization\": true}", 0, NULL);
    json_t *answer = uplift_consent_set(place.uplift, "test", slice_of(shown), input, &err);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(answer, "erased"), "events")), 3);
    json_decref(answer);
    json_decref(input);
    send(place.uplift, visit(person), 0); /* refused under the id too */
    json_decref(page);
    json_decref(again);
    end(&place);
}

static void test_pseudonym__is_known_for_one(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    open_place(&place, true);
    const struct pseudonym *key = place.uplift->pseudonym;
    char one[PSEUDONYM_LENGTH + 1], two[PSEUDONYM_LENGTH + 1], room[PSEUDONYM_LENGTH + 1];
    struct slice id = pseudonym_of(key, slice_of("c-1"), one);
    assert_true(slice_equal(pseudonym_of(key, id, two), id));
    assert_false(slice_equal(pseudonym_of(key, slice_of("c-2"), two), id));
    for (size_t i = 0; i < PSEUDONYM_LENGTH; i++) { /* one letter off is an id like any other */
        memcpy(room, one, sizeof room);
        room[i] = room[i] == 'A' ? 'B' : 'A';
        assert_false(slice_equal(pseudonym_of(key, slice_of(room), two), slice_of(room)));
    }
    assert_true(slice_equal(pseudonym_of(NULL, slice_of("c-1"), two), slice_of("c-1")));
    end(&place);
}

static void write_key(const struct place *place, const char *text, mode_t mode)
{
    unlink(place->key);
    FILE *file = fopen(place->key, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(place->key, mode);
}

static void test_pseudonym__a_store_takes_only_its_key(void **state)
{
    (void)state;
    static const char other[] =
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    struct place place;
    struct error err;
    struct stat status;
    begin(&place);
    open_place(&place, true); /* makes the key */
    assert_int_equal(stat(place.key, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    uplift_close(&place.uplift);
    open_place(&place, true);
    uplift_close(&place.uplift);
    assert_false(try_open(&place, false, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    const struct uplift_options bare = {.no_customers = true};
    err = (struct error){0};
    place.uplift = uplift_open_with(place.data, &bare, &err);
    assert_non_null(place.uplift);
    uplift_close(&place.uplift);
    write_key(&place, other, 0600);
    assert_false(try_open(&place, true, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    unlink(place.key);
    assert_false(try_open(&place, true, &err)); /* and none is made in place of a lost one */
    assert_int_equal(err.code, ERROR_INVALID);
    assert_int_equal(access(place.key, F_OK), -1);
    end(&place);
}

static void test_pseudonym__key_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mode_t mode;
        bool good;
    } cases[] = {
        {"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF", 0600, true},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\r\n", 0400, true},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 0640, false},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 0604, false},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddee\n", 0600, false},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00", 0600, false},
        {"0011223344556677 899aabbccddeeff00112233445566778899aabbccddeeff", 0600, false},
        {"", 0600, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place place;
        struct error err;
        begin(&place);
        write_key(&place, cases[i].text, cases[i].mode);
        assert_int_equal(try_open(&place, true, &err), cases[i].good);
        if (!cases[i].good)
            assert_int_equal(err.code, ERROR_INVALID);
        end(&place);
    }
}

/* A store with ids as they came, even where all of them were erased. */
static void test_pseudonym__a_used_store_is_refused(void **state)
{
    (void)state;
    struct place place;
    struct error err;
    begin(&place);
    open_place(&place, false);
    define(place.uplift);
    uplift_close(&place.uplift);
    open_place(&place, true); /* nobody yet */
    end(&place);
    begin(&place);
    open_place(&place, false);
    send(place.uplift,
         json_pack("[{s:s, s:s, s:s}]", "type", "outcome", "customer", person, "name", "order"), 1);
    err = (struct error){0};
    json_decref(uplift_customer_erase(place.uplift, "test", slice_of(person), &err));
    uplift_close(&place.uplift);
    assert_false(try_open(&place, true, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(access(place.key, F_OK), -1); /* no key is left behind */
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pseudonym__no_id_is_on_disk),
        cmocka_unit_test(test_pseudonym__hides_the_id_wherever_attributes_have_it),
        cmocka_unit_test(test_pseudonym__the_door_may_be_passed_twice),
        cmocka_unit_test(test_pseudonym__is_known_for_one),
        cmocka_unit_test(test_pseudonym__a_store_takes_only_its_key),
        cmocka_unit_test(test_pseudonym__key_files),
        cmocka_unit_test(test_pseudonym__a_used_store_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("pseudonym", tests, NULL, NULL);
}
