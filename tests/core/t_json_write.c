/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing JSON: the text is, to the byte, what jansson makes of the same values as a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "core/error.h"
#include "core/json.h"
#include "core/json_write.h"

enum { NUMBERS = 100000 };

static uint64_t state = 88172645463325252u;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static char *dumped(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_non_null(text);
    json_decref(value);
    return text;
}

static void assert_number(double value)
{
    struct text text;
    text_init(&text, 100);
    struct json_writer w = json_writer_text(&text);
    json_write_figure(&w, NULL, value);
    char *figure = dumped(json_figure(value));
    assert_string_equal(text.ptr, figure);
    free(figure);
    text_release(&text);
    if (!isfinite(value))
        return;
    char number[JSON_REAL_MAX], *real = dumped(json_real(value));
    assert_int_equal(json_real_text(value, number), strlen(real));
    assert_string_equal(number, real);
    free(real);
}

static void test_write__numbers(void **unused)
{
    static const double edges[] = {0,
                                   -0.0,
                                   0.1,
                                   0.5,
                                   1,
                                   1.5,
                                   -2.25,
                                   1e-4,
                                   1e-5,
                                   9.999e-5,
                                   1e16,
                                   1e17,
                                   1e18,
                                   123456789e9,
                                   0x1p53,
                                   0x1p54,
                                   0x1p-1074,
                                   5e-324,
                                   1.7976931348623157e308,
                                   9.5e-12,
                                   0.3,
                                   1.0 / 3,
                                   2.0 / 3,
                                   99999999999999990.0,
                                   NAN,
                                   HUGE_VAL,
                                   -HUGE_VAL};
    (void)unused;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        assert_number(edges[i]);
        assert_number(nextafter(edges[i], HUGE_VAL));
        assert_number(nextafter(edges[i], -HUGE_VAL));
    }
    for (int power = -320; power <= 308; power++) {
        double ten = pow(10, power);
        assert_number(ten);
        assert_number(nextafter(ten, 0));
        assert_number(nextafter(ten, HUGE_VAL));
    }
}

/* Of any bits; of the sizes that figures have; and halves that end just behind the
 * 17th digit. */
static void test_write__numbers_at_random(void **unused)
{
    (void)unused;
    for (int i = 0; i < NUMBERS; i++) {
        union {
            uint64_t bits;
            double value;
        } any = {draw()};
        assert_number(any.value);
        double share = (double)(draw() >> 11) * 0x1p-53;
        assert_number((share - 0.5) * pow(10, (double)(draw() % 24) - 12));
        assert_number((double)(draw() % 2000001 - 1000000) / 1000);
        assert_number((double)(draw() >> 11) / (double)(UINT64_C(1) << (draw() % 20)));
    }
}

static void write_all(struct json_writer *w, const json_t *tree)
{
    static const char bytes[] =
        "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    json_write_array(w, "empty");
    json_write_end(w);
    json_write_object(w, "nothing");
    json_write_end(w);
    json_write_array(w, "list");
    json_write_figure(w, NULL, 5);
    json_write_figure(w, NULL, -0.125);
    json_write_null(w, NULL);
    json_write_object(w, NULL);
    json_write_bool(w, "yes", true);
    json_write_bool(w, "no", false);
    json_write_end(w);
    json_write_string(w, NULL, bytes);
    json_write_string(w, NULL, "");
    json_write_end(w);
    json_write_null(w, "null");
    json_write_value(w, "tree", tree);
    json_write_string(w, "last", bytes);
}

static void test_write__text_and_tree(void **unused)
{
    struct error err = {0};
    static const char text[] =
        "{\"a\":[1,-9007199254740993,2.5,1e300,[],{}],\"b\\\"\\n\":{\"c\":null,"
        "\"d\":true,\"e\":false,\"f\":\"\\u0001/\\\\\"}}";
    (void)unused;
    json_t *tree = json_parse(text, strlen(text), &err), *root = json_array();
    struct text out;
    text_init(&out, 10000);
    struct json_writer as_text = json_writer_text(&out), as_tree = json_writer_tree(root);
    json_write_object(&as_text, NULL);
    write_all(&as_text, tree);
    json_write_end(&as_text);
    json_write_object(&as_tree, NULL);
    write_all(&as_tree, tree);
    json_write_end(&as_tree);
    char *expected = dumped(json_incref(json_array_get(root, 0)));
    assert_string_equal(out.ptr, expected);
    assert_false(out.failed);
    free(expected);
    text_release(&out);
    json_decref(root);
    json_decref(tree);
}

static void test_write__raw_stands_as_it_is(void **unused)
{
    struct text out;
    (void)unused;
    text_init(&out, 100);
    struct json_writer w = json_writer_text(&out);
    json_write_object(&w, NULL);
    json_write_raw(&w, "a", slice_of("[1]"));
    json_write_raw(&w, "b", slice_of("{}"));
    json_write_end(&w);
    assert_string_equal(out.ptr, "{\"a\":[1],\"b\":{}}");
    text_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write__numbers),
        cmocka_unit_test(test_write__numbers_at_random),
        cmocka_unit_test(test_write__text_and_tree),
        cmocka_unit_test(test_write__raw_stands_as_it_is),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
