/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading JSON: the place and the words of every fault, and figures that read back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "core/json.h"
#include "core/json_plain.h"
#include "core/when.h"

static json_t *object_of(const char *text)
{
    struct error err = {0};
    json_t *value = json_parse(text, strlen(text), &err);
    assert_non_null(value);
    assert_int_equal(err.code, ERROR_NONE);
    return value;
}

/* Checks the error's line, and clears it. */
static void assert_error(struct error *err, enum error_code code, const char *expected)
{
    char line[ERROR_LINE_MAX];
    assert_string_equal(error_line(err, line), expected);
    assert_int_equal(err->code, code);
    error_clear(err);
}

static void assert_unreadable(const char *bytes, size_t len, const char *expected)
{
    struct error err = {0};
    assert_null(json_parse(bytes, len, &err));
    assert_error(&err, ERROR_SYNTAX, expected);
}

static void test_parse__names_line_and_column(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"a\": 1,\n \"b\": }", "line 2, column 7: unexpected token near '}'"},
        {"", "line 1, column 0: ends too early"},
        {"[1, 2", "line 1, column 5: ends too early"},
        {"[1] 2", "line 1, column 5: something follows the end of the document near '2'"},
        {"{\"a\": 1, \"a\": 2}", "line 1, column 12: repeated member near '\"a\"'"},
        {"[1e999]", "line 1, column 6: number is too large to be read near '1e999'"},
        {"[NaN]", "line 1, column 4: invalid token near 'NaN'"},
        {"[\"\\u0000\"]", "line 1, column 9: U+0000 is not allowed in text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_unreadable(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void test_parse__refuses_broken_text(void **state)
{
    (void)state;
    assert_unreadable("[\"\xff\"]", 5, "line 1, column 2: is not valid UTF-8");
    assert_unreadable("[\"\xed\xa0\x80\"]", 7, "line 1, column 2: is not valid UTF-8");
    assert_unreadable("[1]\0", 4, "line 1, column 4: holds a zero byte, which JSON does not allow");
    assert_unreadable("[\"a\0b\"]", 7,
                      "line 1, column 4: holds a zero byte, which JSON does not allow");
}

static void test_parse__refuses_deep_nesting(void **state)
{
    (void)state;
    enum { DEPTH = 10000 };
    char *text = malloc(2 * DEPTH);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    assert_unreadable(text, 2 * DEPTH, "line 1, column 2049: nested more than 2048 levels deep");
    memset(text, '[', 2048);
    memset(text + 2048, ']', 2048);
    struct error err = {0};
    json_t *value = json_parse(text, 4096, &err);
    assert_non_null(value);
    json_decref(value);
    free(text);
}

static void test_parse__takes_any_document(void **state)
{
    (void)state;
    json_t *value = object_of("  7 ");
    assert_int_equal(json_integer_value(value), 7);
    json_decref(value);
}

static void test_parse__takes_large_integers_as_reals(void **state)
{
    (void)state;
    json_t *value = object_of("{\"a\": [18446744073709551616, 5, -2.5], \"b\": {\"c\": 7}}");
    json_t *list = json_object_get(value, "a");
    assert_true(json_is_real(json_array_get(list, 0)));
    assert_true(json_real_value(json_array_get(list, 0)) == 0x1p64);
    assert_int_equal(json_integer_value(json_array_get(list, 1)), 5);
    assert_true(json_real_value(json_array_get(list, 2)) == -2.5);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(value, "b"), "c")), 7);
    json_decref(value);
    value = object_of("[9223372036854775807]");
    assert_true(json_is_integer(json_array_get(value, 0)));
    json_decref(value);
    struct error err = {0};
    static const char too_large[] = "[18446744073709551616, 1e999]";
    assert_null(json_parse(too_large, sizeof too_large - 1, &err));
    assert_int_equal(err.code, ERROR_SYNTAX);
}

/* Whether it was read in the plain way; then jansson reads the same, to the order of members. */
static bool read_alike(const char *bytes, size_t len)
{
    json_t *plain = json_plain(bytes, len);
    if (!plain)
        return false;
    json_error_t error;
    json_t *theirs = json_loadb(bytes, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!theirs)
        fail_msg("read what jansson refuses: %.*s", (int)len, bytes);
    char *a = json_text(plain), *b = json_text(theirs);
    assert_string_equal(a, b);
    assert_true(json_equal(plain, theirs));
    free(a);
    free(b);
    json_decref(plain);
    json_decref(theirs);
    return true;
}

static const char *const plain_documents[] = {
    "{\"customer\":\"c-1\",\"attributes\":{\"age\":30,\"in\":[true,false,null]},\"track\":true}",
    " {\t\"a\" :\r\n[ ] , \"b\": { } , \"\": \"\" }\n",
    "[0, -0, -0.0, 0.5, 49.99, -1.25, 999999999999999, 0.00000000000001, 12345678.9012345]",
    "\"gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "17",
    "true",
};

static void test_plain__reads_what_is_common(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plain_documents / sizeof *plain_documents; i++)
        assert_true(read_alike(plain_documents[i], strlen(plain_documents[i])));
}

static void test_plain__leaves_the_rest_to_jansson(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        " ",
        "[1",
        "{\"a\":1,\"a\":2}",
        "[1] 2",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "[01]",
        "[1.]",
        "[.5]",
        "[-]",
        "[- 1]",
        "[1e5]",
        "[+1]",
        "[truex]",
        "[tru",
        "nul",
        "[\"\\n\"]",
        "[\"\t\"]",
        "[\"\xff\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"a",
        "\"a",
        "[1 2]",
        "[\"a\" 1]",
        "{1:2}",
        "[}",
        "{]",
        "[1}",
        "[1000000000000000]",
        "[0.0000000000000001]",
        "[123456789012345.9999999999999999]",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (json_plain(cases[i], strlen(cases[i])))
            fail_msg("read %s", cases[i]);
    assert_null(json_plain("[1]\0", 4));
    assert_null(json_plain("[\0]", 3));
}

/* Bytes of documents put out of place, left out and put into others. */
static void test_plain__reads_damaged_documents_as_jansson_does(void **state)
{
    (void)state;
    static const char bytes[] = "{}[]\",:0123456789.-+eE \\ntrufalsn\t\xc3\xa9\xff\x01";
    unsigned short seed[3] = {10, 11, 12};
    size_t read = 0;
    print_message("# seed 10 11 12\n");
    for (int i = 0; i < 200000; i++) {
        const char *document = plain_documents[(size_t)nrand48(seed) % 7];
        char copy[256];
        size_t len = strlen(document);
        memcpy(copy, document, len);
        for (long changes = 1 + nrand48(seed) % 3; changes > 0; changes--) {
            size_t at = (size_t)nrand48(seed) % len;
            copy[at] = bytes[(size_t)nrand48(seed) % (sizeof bytes - 1)];
        }
        size_t cut = nrand48(seed) % 8 ? len : (size_t)nrand48(seed) % len;
        read += read_alike(copy, cut);
    }
    assert_true(read > 1000);
}

/* Digits and a point at random: the same double to the last bit. */
static void test_plain__reads_numbers_exactly(void **state)
{
    (void)state;
    unsigned short seed[3] = {13, 14, 15};
    print_message("# seed 13 14 15\n");
    for (int i = 0; i < 100000; i++) {
        char text[32];
        long long digits = (long long)(erand48(seed) * pow(10, (double)(nrand48(seed) % 15 + 1)));
        int fraction = (int)(nrand48(seed) % 15) + 1;
        snprintf(text, sizeof text, "%s%0*lld", nrand48(seed) % 2 ? "-" : "", fraction + 1, digits);
        size_t len = strlen(text), point = len - (size_t)fraction;
        memmove(text + point + 1, text + point, (size_t)fraction + 1);
        text[point] = '.';
        json_t *number = json_plain(text, len + 1);
        if (number)
            assert_true(json_real_value(number) == strtod(text, NULL));
        json_decref(number);
    }
}

static void test_place__is_written_as_a_chain(void **state)
{
    (void)state;
    struct error err = {0};
    struct json_place metrics = json_member(JSON_TOP, "metrics");
    struct json_place metric = json_item(&metrics, 0);
    struct json_place arms = json_member(&metric, "arms");
    struct json_place arm = json_item(&arms, 1);
    assert_false(json_fail_at(&arm, "sum", &err, "must not exceed %s", "n"));
    assert_error(&err, ERROR_INVALID, "metrics[0].arms[1].sum: must not exceed n");
    assert_false(json_fail(JSON_TOP, &err, "must be an object"));
    assert_error(&err, ERROR_INVALID, "must be an object");
    struct json_place top = json_item(JSON_TOP, 7);
    assert_false(json_fail(&top, &err, "x"));
    assert_error(&err, ERROR_INVALID, "[7]: x");
    assert_false(json_fail(&arm, &err, "first"));
    assert_false(json_fail(&top, &err, "second"));
    assert_error(&err, ERROR_INVALID, "metrics[0].arms[1]: first");
}

static void test_place__stays_short_whatever_the_names(void **state)
{
    (void)state;
    struct error err = {0};
    char name[4000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    name[1] = '\n';
    struct json_place chain[300];
    chain[0] = json_member(JSON_TOP, name);
    for (size_t i = 1; i < 300; i++)
        chain[i] = json_member(&chain[i - 1], name);
    json_fail(&chain[299], &err, "%s", name);
    char line[ERROR_LINE_MAX];
    assert_true(strlen(error_line(&err, line)) < 1000);
    assert_null(strchr(line, '\n'));
    json_t *object = json_object();
    json_object_set_new(object, name, json_true());
    static const char *const none[] = {NULL};
    error_clear(&err);
    assert_false(json_check_fields(object, JSON_TOP, none, &err));
    assert_true(strlen(err.place) < 100);
    json_decref(object);
}

static void test_check_fields__names_what_is_unknown(void **state)
{
    (void)state;
    static const char *const known[] = {"a", "b", NULL};
    struct error err = {0};
    json_t *object = object_of("{\"a\": 1, \"c\": 2}");
    struct json_place place = json_member(JSON_TOP, "design");
    assert_false(json_check_fields(object, &place, known, &err));
    assert_error(&err, ERROR_INVALID, "design.c: unknown field");
    json_object_del(object, "c");
    assert_true(json_check_fields(object, &place, known, &err));
    assert_false(json_check_fields(json_object_get(object, "a"), &place, known, &err));
    assert_error(&err, ERROR_INVALID, "design: must be an object");
    assert_false(json_check_fields(NULL, JSON_TOP, known, &err));
    assert_error(&err, ERROR_INVALID, "must be an object");
    json_decref(object);
}

static void test_check_same__takes_5_for_5_0_and_refuses_others(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", NULL};
    struct error err = {0};
    json_t *present = object_of("{\"a\": 5, \"b\": null}");
    json_t *input = object_of("{\"a\": 5.0, \"z\": 1}");
    assert_true(json_check_same(input, present, names, &err));
    json_object_set_new(input, "b", json_null());
    assert_true(json_check_same(input, present, names, &err));
    json_object_set_new(input, "b", json_false());
    assert_false(json_check_same(input, present, names, &err));
    assert_error(&err, ERROR_INVALID, "b: is set by the server and cannot be changed");
    json_decref(input);
    json_decref(present);
}

static void test_read_string__checks_type_and_length(void **state)
{
    (void)state;
    struct error err = {0};
    const char *out = "before";
    json_t *o = object_of("{\"s\": \"abc\", \"e\": \"\", \"n\": 1, \"z\": null}");
    assert_true(json_read_string(o, JSON_TOP, "gone", JSON_OPTIONAL, 1, 9, &out, &err));
    assert_true(json_read_string(o, JSON_TOP, "z", JSON_OPTIONAL, 1, 9, &out, &err));
    assert_string_equal(out, "before");
    assert_true(json_read_string(o, JSON_TOP, "s", JSON_OPTIONAL, 1, 3, &out, &err));
    assert_string_equal(out, "abc");
    assert_false(json_read_string(o, JSON_TOP, "s", JSON_OPTIONAL, 1, 2, &out, &err));
    assert_error(&err, ERROR_INVALID, "s: must have at most 2 bytes");
    assert_false(json_read_string(o, JSON_TOP, "s", JSON_OPTIONAL, 4, 5, &out, &err));
    assert_error(&err, ERROR_INVALID, "s: must have at least 4 bytes");
    assert_false(json_read_string(o, JSON_TOP, "e", JSON_OPTIONAL, 1, 5, &out, &err));
    assert_error(&err, ERROR_INVALID, "e: must not be empty");
    assert_false(json_read_string(o, JSON_TOP, "n", JSON_OPTIONAL, 1, 5, &out, &err));
    assert_error(&err, ERROR_INVALID, "n: must be a string");
    assert_false(json_read_string(o, JSON_TOP, "gone", JSON_REQUIRED, 1, 5, &out, &err));
    assert_error(&err, ERROR_INVALID, "gone: is missing");
    assert_false(json_read_string(o, JSON_TOP, "z", JSON_REQUIRED, 1, 5, &out, &err));
    assert_error(&err, ERROR_INVALID, "z: must be a string");
    json_decref(o);
    o = json_pack("{s:s%}", "s", "a\0b", (size_t)3);
    assert_false(json_read_string(o, JSON_TOP, "s", JSON_REQUIRED, 1, 5, &out, &err));
    assert_error(&err, ERROR_INVALID, "s: must not hold U+0000");
    json_decref(o);
}

static void test_read_number__checks_type_and_range(void **state)
{
    (void)state;
    struct error err = {0};
    double out = -7;
    json_t *o = object_of("{\"i\": 5, \"r\": 0.25, \"s\": \"5\", \"z\": null}");
    assert_true(json_read_number(o, JSON_TOP, "z", JSON_OPTIONAL, 0, 1, &out, &err));
    assert_true(out == -7);
    assert_true(json_read_number(o, JSON_TOP, "i", JSON_REQUIRED, 0, 5, &out, &err));
    assert_true(out == 5);
    assert_false(json_read_number(o, JSON_TOP, "i", JSON_REQUIRED, 0, 0.5, &out, &err));
    assert_error(&err, ERROR_INVALID, "i: must be from 0 to 0.5");
    assert_false(json_read_number(o, JSON_TOP, "r", JSON_REQUIRED, 1, HUGE_VAL, &out, &err));
    assert_error(&err, ERROR_INVALID, "r: must be at least 1");
    assert_false(json_read_number(o, JSON_TOP, "r", JSON_REQUIRED, -HUGE_VAL, 0, &out, &err));
    assert_error(&err, ERROR_INVALID, "r: must be at most 0");
    assert_false(json_read_number(o, JSON_TOP, "s", JSON_REQUIRED, 0, 9, &out, &err));
    assert_error(&err, ERROR_INVALID, "s: must be a finite number");
    assert_true(out == 5);
    json_decref(o);
}

static void test_read_integer__takes_integral_numbers_only(void **state)
{
    (void)state;
    struct error err = {0};
    int64_t out = -7;
    json_t *o = object_of("{\"i\": 5, \"r\": 5.0, \"h\": 5.5, \"big\": 9007199254740993, "
                          "\"huge\": 1e300, \"t\": true}");
    assert_true(json_read_integer(o, JSON_TOP, "i", JSON_REQUIRED, 0, 5, &out, &err));
    assert_int_equal(out, 5);
    out = 0;
    assert_true(json_read_integer(o, JSON_TOP, "r", JSON_REQUIRED, 0, 5, &out, &err));
    assert_int_equal(out, 5);
    assert_false(json_read_integer(o, JSON_TOP, "h", JSON_REQUIRED, 0, 9, &out, &err));
    assert_error(&err, ERROR_INVALID, "h: must be an integer");
    assert_false(json_read_integer(o, JSON_TOP, "t", JSON_REQUIRED, 0, 9, &out, &err));
    assert_error(&err, ERROR_INVALID, "t: must be an integer");
    assert_false(json_read_integer(o, JSON_TOP, "i", JSON_REQUIRED, 6, 9, &out, &err));
    assert_error(&err, ERROR_INVALID, "i: must be from 6 to 9");
    assert_false(
        json_read_integer(o, JSON_TOP, "big", JSON_REQUIRED, 0, 9007199254740992, &out, &err));
    assert_error(&err, ERROR_INVALID, "big: must be from 0 to 9007199254740992");
    assert_false(json_read_integer(o, JSON_TOP, "huge", JSON_REQUIRED, 0, 9, &out, &err));
    assert_error(&err, ERROR_INVALID, "huge: must be from 0 to 9");
    assert_int_equal(out, 5);
    json_decref(o);
}

static void test_read_time__takes_text_and_milliseconds(void **state)
{
    (void)state;
    struct error err = {0};
    int64_t out = 0;
    json_t *o = object_of("{\"t\": \"2026-11-02T10:00:00.5Z\", \"ms\": 1793613600500, "
                          "\"far\": 253402300800000, \"neg\": -1, \"bad\": \"yesterday\", "
                          "\"f\": 1.5}");
    assert_true(json_read_time(o, JSON_TOP, "t", JSON_REQUIRED, &out, &err));
    assert_int_equal(out, INT64_C(1793613600500));
    out = 0;
    assert_true(json_read_time(o, JSON_TOP, "ms", JSON_REQUIRED, &out, &err));
    assert_int_equal(out, INT64_C(1793613600500));
    static const char *const wrong[] = {"far", "neg", "bad", "f"};
    for (size_t i = 0; i < 4; i++) {
        assert_false(json_read_time(o, JSON_TOP, wrong[i], JSON_REQUIRED, &out, &err));
        assert_string_equal(err.place, wrong[i]);
        assert_int_equal(err.code, ERROR_INVALID);
        error_clear(&err);
    }
    json_decref(o);
}

static void test_read_others__check_their_types(void **state)
{
    (void)state;
    static const char *const words[] = {"red", "green", NULL};
    struct error err = {0};
    const char *key = NULL;
    int word = 7;
    bool flag = false;
    json_t *out = NULL;
    json_t *o = object_of("{\"k\": \"a.b-c_9\", \"K\": \"-a\", \"w\": \"green\", \"x\": \"gre\", "
                          "\"b\": true, \"a\": [1, 2], \"o\": {}, \"n\": 0}");
    assert_true(json_read_key(o, JSON_TOP, "k", JSON_REQUIRED, &key, &err));
    assert_string_equal(key, "a.b-c_9");
    assert_false(json_read_key(o, JSON_TOP, "K", JSON_REQUIRED, &key, &err));
    assert_string_equal(err.place, "K");
    error_clear(&err);
    assert_true(json_read_word(o, JSON_TOP, "w", JSON_REQUIRED, words, &word, &err));
    assert_int_equal(word, 1);
    assert_false(json_read_word(o, JSON_TOP, "x", JSON_REQUIRED, words, &word, &err));
    assert_error(&err, ERROR_INVALID, "x: must be one of red, green");
    assert_false(json_read_word(o, JSON_TOP, "n", JSON_REQUIRED, words, &word, &err));
    assert_error(&err, ERROR_INVALID, "n: must be one of red, green");
    assert_true(json_read_bool(o, JSON_TOP, "b", JSON_REQUIRED, &flag, &err) && flag);
    assert_false(json_read_bool(o, JSON_TOP, "n", JSON_REQUIRED, &flag, &err));
    assert_error(&err, ERROR_INVALID, "n: must be true or false");
    assert_true(json_read_array(o, JSON_TOP, "a", JSON_REQUIRED, 2, 2, &out, &err));
    assert_int_equal(json_array_size(out), 2);
    assert_false(json_read_array(o, JSON_TOP, "a", JSON_REQUIRED, 3, 4, &out, &err));
    assert_error(&err, ERROR_INVALID, "a: must have 3 to 4 items");
    assert_false(json_read_array(o, JSON_TOP, "o", JSON_REQUIRED, 0, 4, &out, &err));
    assert_error(&err, ERROR_INVALID, "o: must be an array");
    assert_true(json_read_object(o, JSON_TOP, "o", JSON_REQUIRED, &out, &err));
    assert_false(json_read_object(o, JSON_TOP, "a", JSON_REQUIRED, &out, &err));
    assert_error(&err, ERROR_INVALID, "a: must be an object");
    json_decref(o);
}

static void test_figure__reads_back_the_same(void **state)
{
    (void)state;
    unsigned short seed[3] = {7, 8, 9};
    print_message("# seed 7 8 9\n");
    for (int i = 0; i < 2000; i++) {
        double value = ldexp(erand48(seed) - 0.5, (int)(nrand48(seed) % 2000) - 1000);
        if (i % 3 == 0)
            value = floor(value);
        if (!isfinite(value))
            continue;
        json_t *figure = json_figure(value);
        char *text = json_text(figure);
        struct error err = {0};
        json_t *back = json_parse(text, strlen(text), &err);
        assert_true(json_is_number(back));
        assert_true(json_number_value(back) == value);
        json_decref(back);
        json_decref(figure);
        free(text);
    }
    json_t *figure = json_figure(3);
    assert_true(json_is_integer(figure));
    json_decref(figure);
    assert_true(json_is_null(json_figure(NAN)));
    assert_true(json_is_null(json_figure(HUGE_VAL)));
    assert_true(json_is_null(json_when(-1)));
    json_t *when = json_when(0);
    assert_string_equal(json_string_value(when), "1970-01-01T00:00:00Z");
    json_decref(when);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__names_line_and_column),
        cmocka_unit_test(test_parse__refuses_broken_text),
        cmocka_unit_test(test_parse__refuses_deep_nesting),
        cmocka_unit_test(test_parse__takes_any_document),
        cmocka_unit_test(test_parse__takes_large_integers_as_reals),
        cmocka_unit_test(test_plain__reads_what_is_common),
        cmocka_unit_test(test_plain__leaves_the_rest_to_jansson),
        cmocka_unit_test(test_plain__reads_damaged_documents_as_jansson_does),
        cmocka_unit_test(test_plain__reads_numbers_exactly),
        cmocka_unit_test(test_place__is_written_as_a_chain),
        cmocka_unit_test(test_place__stays_short_whatever_the_names),
        cmocka_unit_test(test_check_fields__names_what_is_unknown),
        cmocka_unit_test(test_check_same__takes_5_for_5_0_and_refuses_others),
        cmocka_unit_test(test_read_string__checks_type_and_length),
        cmocka_unit_test(test_read_number__checks_type_and_range),
        cmocka_unit_test(test_read_integer__takes_integral_numbers_only),
        cmocka_unit_test(test_read_time__takes_text_and_milliseconds),
        cmocka_unit_test(test_read_others__check_their_types),
        cmocka_unit_test(test_figure__reads_back_the_same),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
