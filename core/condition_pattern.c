/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PCRE2 counts its match limit anew for each place where a match may start, so the limit alone
 * leaves a search quadratic: the text's length is bounded too, and the limit shrinks with it. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/condition_pattern.h"

#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

enum {
    STEPS_IN_ALL = 20000000, /* leaves two a character and more for a text of the most bytes */
    STEPS_PER_START = 100000,
    DEPTH_LIMIT = 20000, /* (a|b)* takes one or two levels a character */
    HEAP_LIMIT = 8192,   /* KiB */
};

/* Never defined: a pointer to it is one to PCRE2's code. */
struct pattern;

/* How many bytes from `at` on are of the set, at most `most`. */
static size_t span(struct slice s, size_t at, const char *set, size_t most)
{
    size_t n = 0;
    while (n < most && at + n < s.len && s.ptr[at + n] && strchr(set, s.ptr[at + n]))
        n++;
    return n;
}

static char byte_at(struct slice s, size_t at)
{
    return at < s.len ? s.ptr[at] : '\0';
}

/* The length of the escape at s[at] (a backslash), or 0 where it is not portable. */
static size_t escape(struct slice s, size_t at)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    char c = byte_at(s, at + 1);
    if (!c)
        return 0;
    if (c == 'x')
        return span(s, at + 2, hex, 2) == 2 ? 4 : 0;
    if (c == 'u')
        return span(s, at + 2, hex, 4) == 4 ? 6 : 0;
    if (isalnum((unsigned char)c) && !strchr("dDwWsSbBnrtf", c))
        return 0;
    return 2;
}

/* The length of the class at s[at] ('['), or 0. */
static size_t class(struct slice s, size_t at)
{
    size_t i = at + 1 + (byte_at(s, at + 1) == '^');
    if (byte_at(s, i) == ']')
        return 0;
    while (i < s.len && s.ptr[i] != ']') {
        bool posix = s.ptr[i] == '[' && i + 1 < s.len && strchr(":.=", s.ptr[i + 1]);
        size_t step = s.ptr[i] == '\\' ? escape(s, i) : posix ? 0 : 1;
        if (!step)
            return 0;
        i += step;
    }
    return i < s.len ? i + 1 - at : 0;
}

/* The length of the quantifier at s[at] ('*', '+', '?' or '{'), a lazy one's "?" with it, or 0. */
static size_t quantifier(struct slice s, size_t at)
{
    static const char digits[] = "0123456789";
    size_t i = at + 1;
    if (s.ptr[at] == '{') {
        size_t first = span(s, i, digits, 5);
        i += first;
        if (byte_at(s, i) == ',')
            i += 1 + span(s, i + 1, digits, 5);
        if (!first || byte_at(s, i) != '}')
            return 0;
        i++;
    }
    i += byte_at(s, i) == '?';
    return byte_at(s, i) && strchr("*+?{", s.ptr[i]) ? 0 : i - at;
}

/* The length of what opens the group at s[at] ('('), or 0. */
static size_t group(struct slice s, size_t at)
{
    char c = byte_at(s, at + 1), kind = byte_at(s, at + 2), side = byte_at(s, at + 3);
    if (c == '*')
        return 0;
    if (c != '?')
        return 1;
    if (kind && strchr(":=!", kind))
        return 3;
    return kind == '<' && (side == '=' || side == '!') ? 4 : 0;
}

const char *pattern_unportable(struct slice source)
{
    if (source.len > PATTERN_SOURCE_MAX)
        return "is too long a pattern";
    for (size_t i = 0, step; i < source.len; i += step) {
        const char *what = NULL;
        step = 1;
        switch (source.ptr[i]) {
        case '\\':
            what = (step = escape(source, i)) ? NULL : "has an escape that SDKs read differently";
            break;
        case '[':
            what = (step = class(source, i)) ? NULL : "has a class that SDKs read differently";
            break;
        case '(':
            what = (step = group(source, i)) ? NULL : "has a group that SDKs do not know";
            break;
        case '*':
        case '+':
        case '?':
        case '{':
            what = (step = quantifier(source, i)) ? NULL
                                                  : "has a quantifier that SDKs read differently";
            break;
        default:
            break;
        }
        if (what)
            return what;
    }
    return NULL;
}

struct pattern *pattern_compile(struct slice source, bool caseless, char *why, size_t size)
{
    int code;
    PCRE2_SIZE offset;
    uint32_t options = PCRE2_UTF | PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF |
                       PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
                       (caseless ? PCRE2_CASELESS : 0);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    must(context);
    /* "." stops at \r as well as at \n. */
    pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
    pcre2_code *made =
        pcre2_compile((PCRE2_SPTR)source.ptr, source.len, options, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!made) {
        char words[160] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)words, sizeof words);
        snprintf(why, size, "is not a pattern: %s at byte %zu", words, offset);
    }
    return (struct pattern *)made;
}

void pattern_free(struct pattern *pattern)
{
    pcre2_code_free((pcre2_code *)pattern);
}

bool pattern_matches(const struct pattern *pattern, struct slice text)
{
    if (text.len > PATTERN_TEXT_MAX)
        return false;
    uint32_t steps = STEPS_IN_ALL / ((uint32_t)text.len + 1);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    must(data && context);
    pcre2_set_match_limit(context, steps < STEPS_PER_START ? steps : STEPS_PER_START);
    pcre2_set_depth_limit(context, DEPTH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT);
    int found = pcre2_match((const pcre2_code *)pattern, (PCRE2_SPTR)(text.ptr ? text.ptr : ""),
                            text.len, 0, 0, data, context);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    return found >= 0;
}
