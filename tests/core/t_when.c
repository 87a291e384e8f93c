/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times: what RFC 3339 allows is read, what it does not is refused, what is written reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/when.h"

/* The milliseconds come from GNU date: date -ud TEXT +%s. */
static void test_parse__reads_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t when;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"2026-11-02T10:00:00Z", INT64_C(1793613600000)},
        {"2026-11-02T11:00:00+01:00", INT64_C(1793613600000)},
        {"2026-11-02T04:30:00-05:30", INT64_C(1793613600000)},
        {"2026-11-02t10:00:00z", INT64_C(1793613600000)},
        {"2026-11-02 10:00:00Z", INT64_C(1793613600000)},
        {"2026-11-02T10:00:00.25Z", INT64_C(1793613600250)},
        {"2026-11-02T10:00:00.123999999Z", INT64_C(1793613600123)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"1969-12-31T23:00:00-01:00", 0},
        {"9999-12-31T23:59:59.999Z", WHEN_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t when = -1;
        if (!when_parse(slice_of(cases[i].text), &when) || when != cases[i].when)
            fail_msg("%s: got %lld", cases[i].text, (long long)when);
    }
}

static void test_parse__refuses_the_rest(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "2026-11-02",
        "2026-11-02T10:00:00",       /* no zone */
        "2026-11-02T10:00Z",         /* no seconds */
        "2026-13-02T10:00:00Z",      /* month 13 */
        "2026-00-02T10:00:00Z",      /* month 0 */
        "2026-02-29T10:00:00Z",      /* no leap year */
        "1900-02-29T10:00:00Z",      /* a century is none */
        "2026-11-31T10:00:00Z",      /* November has 30 days */
        "2026-11-02T24:00:00Z",      /* hour 24 */
        "2026-11-02T10:60:00Z",      /* minute 60 */
        "2026-11-02T10:00:61Z",      /* second 61 */
        "2026-11-02T10:00:00.Z",     /* a point and no digit */
        "2026-11-02T10:00:00+1:00",  /* one digit of the hour */
        "2026-11-02T10:00:00+24:00", /* a zone of a day */
        "2026-11-02T10:00:00+0100",  /* no colon */
        "2026-11-02T10:00:00Z ",     /* something after it */
        " 2026-11-02T10:00:00Z",     /* something before it */
        "+026-11-02T10:00:00Z",      /* a sign in the year */
        "1969-12-31T23:59:59Z",      /* before the first time */
        "9999-12-31T23:59:59-00:01", /* after the last */
        "10000-01-01T00:00:00Z",     /* a year of five digits */
        ("2026-11-02T10:00:00\xe2\x88\x92"
         "01:00"), /* a typographer's minus */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t when = 77;
        if (when_parse(slice_of(cases[i]), &when) || when != 77)
            fail_msg("'%s' was read as %lld", cases[i], (long long)when);
    }
    int64_t when = 77;
    assert_false(when_parse((struct slice){"2026-11-02T10:00:00Z\0", 21}, &when));
    assert_false(when_parse((struct slice){"2026-11-02T10:00:00\0", 20}, &when));
}

static void test_format__reads_back(void **state)
{
    (void)state;
    char text[WHEN_TEXT_MAX];
    assert_string_equal(when_format(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(when_format(1793613600250, text), "2026-11-02T10:00:00.250Z");
    assert_string_equal(when_format(WHEN_MAX, text), "9999-12-31T23:59:59.999Z");
    for (int64_t when = 0; when <= WHEN_MAX; when += INT64_C(86399999) * 1009) {
        int64_t back = -1;
        assert_true(when_parse(slice_of(when_format(when, text)), &back));
        assert_true(back == when);
    }
}

static int64_t fixed_now(void *data)
{
    return *(int64_t *)data;
}

static void test_clock__can_be_replaced(void **state)
{
    (void)state;
    int64_t at = 12345;
    struct clock clock = {.now = fixed_now, .data = &at};
    assert_true(clock_now(&clock) == 12345);
    at++;
    assert_true(clock_now(&clock) == 12346);
    assert_true(clock_now(&clock_system) > INT64_C(1700000000000));
    assert_true(clock_now(&clock_system) < WHEN_MAX);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__reads_rfc_3339),
        cmocka_unit_test(test_parse__refuses_the_rest),
        cmocka_unit_test(test_format__reads_back),
        cmocka_unit_test(test_clock__can_be_replaced),
    };
    return cmocka_run_group_tests_name("when", tests, NULL, NULL);
}
