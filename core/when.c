/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time: RFC 3339 by hand over timegm, as strptime knows neither zones nor fractions.
 */
#include "core/when.h"

#include <time.h>

/* Reads exactly `digits` digits at *at, which must lie within low…high, and moves past them. */
static bool number(struct slice text, size_t *at, size_t digits, int low, int high, int *out)
{
    int value = 0;
    if (*at + digits > text.len)
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = text.ptr[*at + i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *at += digits;
    *out = value;
    return value >= low && value <= high;
}

static bool sign(struct slice text, size_t *at, const char *any)
{
    return *at < text.len && text.ptr[*at] && strchr(any, text.ptr[*at]) && (*at)++ < text.len;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool fraction(struct slice text, size_t *at, int *ms)
{
    *ms = 0;
    if (!sign(text, at, "."))
        return true;
    int scale = 100;
    size_t first = *at;
    for (; *at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9'; (*at)++, scale /= 10)
        *ms += (text.ptr[*at] - '0') * scale;
    return *at > first;
}

static bool zone(struct slice text, size_t *at, int *minutes)
{
    *minutes = 0;
    if (sign(text, at, "zZ"))
        return true;
    bool west = *at < text.len && text.ptr[*at] == '-';
    int h = 0, m = 0;
    if (!sign(text, at, "+-") || !number(text, at, 2, 0, 23, &h) || !sign(text, at, ":") ||
        !number(text, at, 2, 0, 59, &m))
        return false;
    *minutes = (west ? -1 : 1) * (h * 60 + m);
    return true;
}

bool when_parse(struct slice text, int64_t *out)
{
    size_t at = 0;
    int year, month, day, hour, minute, second, ms, offset;
    if (!number(text, &at, 4, 1969, 9999, &year) || !sign(text, &at, "-") ||
        !number(text, &at, 2, 1, 12, &month) || !sign(text, &at, "-") ||
        !number(text, &at, 2, 1, days_in(year, month), &day) || !sign(text, &at, "tT ") ||
        !number(text, &at, 2, 0, 23, &hour) || !sign(text, &at, ":") ||
        !number(text, &at, 2, 0, 59, &minute) || !sign(text, &at, ":") ||
        !number(text, &at, 2, 0, 60, &second) || !fraction(text, &at, &ms) ||
        !zone(text, &at, &offset) || at != text.len)
        return false;
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    int64_t when = ((int64_t)timegm(&tm) - offset * 60) * 1000 + ms;
    if (when < WHEN_MIN || when > WHEN_MAX)
        return false;
    *out = when;
    return true;
}

/* Writes `digits` digits of a number that has no more. */
static char *put_digits(char *at, int digits, int value)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

/* The date of a day since 1970, by the calendar of 400 years that begins in March (Howard Hinnant,
 * "chrono-compatible low-level date algorithms"): an export formats millions. */
static char *put_date(char *at, int64_t day)
{
    int64_t shifted = day + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int of_era = (int)(shifted - era * 146097);
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153; /* from March on */
    at = put_digits(at, 4, (int)(year + era * 400 + (month >= 10)));
    *at++ = '-';
    at = put_digits(at, 2, month < 10 ? month + 3 : month - 9);
    *at++ = '-';
    return put_digits(at, 2, of_year - (153 * month + 2) / 5 + 1);
}

const char *when_format(int64_t when, char out[WHEN_TEXT_MAX])
{
    int64_t day = when / WHEN_DAY - (when % WHEN_DAY < 0);
    int ms = (int)(when - day * WHEN_DAY), seconds = ms / 1000;
    char *at = put_date(out, day);
    *at++ = 'T';
    at = put_digits(at, 2, seconds / 3600);
    *at++ = ':';
    at = put_digits(at, 2, seconds / 60 % 60);
    *at++ = ':';
    at = put_digits(at, 2, seconds % 60);
    if (ms % 1000) {
        *at++ = '.';
        at = put_digits(at, 3, ms % 1000);
    }
    memcpy(at, "Z", 2);
    return out;
}

static int64_t read_clock(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_now(void *data)
{
    (void)data;
    return read_clock(CLOCK_REALTIME);
}

/* The one that goes on while the machine sleeps. */
static int64_t system_steady(void *data)
{
    (void)data;
    return read_clock(CLOCK_BOOTTIME);
}

const struct clock clock_system = {system_now, NULL, system_steady};
