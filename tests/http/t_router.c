/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The router finds each row of its table by its own method and path, fills the place in braces, and
 * tells which methods a path knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/router.h"

static char place[ROUTER_PLACE_MAX], allowed[64];

static const struct route *find(const char *method, const char *path)
{
    place[0] = '\0';
    return router_find(method, path, place, allowed);
}

/* The path with its braces filled: "/v1/keys/{key}" → "/v1/keys/k.1". */
static void fill(const char *path, char out[128])
{
    const char *brace = strchr(path, '{');
    if (brace)
        snprintf(out, 128, "%.*sk.1%s", (int)(brace - path), path, strchr(brace, '}') + 1);
    else
        snprintf(out, 128, "%s", path);
}

static void test_router__finds_every_row(void **state)
{
    (void)state;
    size_t rows = 0;
    for (const struct route *route = router_table(); route->method; route++, rows++) {
        char path[128];
        fill(route->path, path);
        assert_ptr_equal(find(route->method, path), route);
        if (strchr(route->path, '{'))
            assert_string_equal(place, "k.1");
        assert_true(*route->summary &&
                    (route->body_max > 0) ==
                        (strcmp(route->method, "GET") != 0 && strcmp(route->method, "DELETE")));
    }
    assert_true(rows > 30);
}

static void test_router__no_two_rows_answer_the_same(void **state)
{
    (void)state;
    for (const struct route *a = router_table(); a->method; a++)
        for (const struct route *b = a + 1; b->method; b++)
            assert_false(strcmp(a->method, b->method) == 0 && strcmp(a->path, b->path) == 0);
}

static void test_router__paths_are_whole(void **state)
{
    (void)state;
    static const char *const none[] = {"",
                                       "/",
                                       "/v1",
                                       "/v1/",
                                       "/v1/experiments/",
                                       "/v1/keys/",
                                       "/v1/keys/a/",
                                       "/v1/keys//",
                                       "/v1/assignx",
                                       "/V1/assign",
                                       "/healthz/x",
                                       "healthz",
                                       "/v1/assign/a",
                                       "/v1/experiments/a/b",
                                       "/v1/experiments//start"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_null(find("GET", none[i]));
        assert_string_equal(allowed, "");
    }
    char path[200] = "/v1/keys/";
    memset(path + 9, 'k', 79);
    assert_non_null(find("DELETE", path));
    assert_int_equal(strlen(place), 79);
    path[9 + 79] = 'k'; /* longer than any key is */
    assert_null(find("DELETE", path));
}

static const char *decode(char out[600], const char *path)
{
    snprintf(out, 600, "%s", path);
    size_t len = router_decode(out);
    assert_int_equal(len, strlen(out));
    return out;
}

static void test_router__ids_hold_anything(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/v1/customers/c-42", "c-42"},
        {"/v1/customers/a%2Fb", "a/b"},
        {"/v1/customers/a/b", "a/b"},
        {"/v1/customers/%2f", "/"},
        {"/v1/customers/a%20b+c", "a b+c"},
        {"/v1/customers/%c3%A9", "\xc3\xa9"},
        {"/v1/customers/a%252Fb", "a%2Fb"},
        {"/v1/customers/a%zz%2", "a%zz%2"},
        {"/v1/customers/a%00b", "a\xfe"
                                "b"},
        {"/v1/customers/a%FFb", "a\xfe"
                                "b"},
    };
    char path[600];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_non_null(find("GET", decode(path, cases[i][0])));
        assert_string_equal(place, cases[i][1]);
    }
    memset(path, 'k', sizeof path);
    memcpy(path, "/v1/customers/", 14);
    path[14 + 256] = '\0';
    assert_non_null(find("GET", path));
    assert_int_equal(strlen(place), 256);
    path[14 + 256] = 'k';
    path[14 + 257] = '\0';
    assert_null(find("GET", path));
    assert_null(find("GET", "/v1/customers/"));
}

static void test_router__tells_the_methods(void **state)
{
    (void)state;
    assert_null(find("TRACE", "/v1/experiments/a"));
    assert_string_equal(allowed, "GET, PUT, PATCH, DELETE");
    assert_null(find("get", "/v1/keys"));
    assert_string_equal(allowed, "GET, POST");
    assert_ptr_equal(find("HEAD", "/v1/keys"), find("GET", "/v1/keys"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router__finds_every_row),
        cmocka_unit_test(test_router__no_two_rows_answer_the_same),
        cmocka_unit_test(test_router__paths_are_whole),
        cmocka_unit_test(test_router__ids_hold_anything),
        cmocka_unit_test(test_router__tells_the_methods),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
