/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Patterns of $regex and $regexi: those that JavaScript and PCRE2 read alike, matched in bounded
 * time. A pattern is immutable once compiled: any thread may match with it at the same time.
 *
 * What remains different from JavaScript, in texts beyond ASCII only: "." and "[^a]" take a
 * character above U+FFFF whole; \s knows ASCII spaces only; without regard to case, "k" equals
 * U+212A, "s" U+017F and U+00DF U+1E9E; "." takes U+2028 and U+2029. */
#ifndef UPLIFT_CORE_CONDITION_PATTERN_H
#define UPLIFT_CORE_CONDITION_PATTERN_H

#include <stdbool.h>

#include "core/text.h"

/* Longer texts match no pattern; longer patterns are not portable. Bytes. */
#define PATTERN_TEXT_MAX   2048
#define PATTERN_SOURCE_MAX 1000

struct pattern;

/* NULL where every JavaScript engine and PCRE2 read the source alike; else what is wrong, static.
 * Allowed: literals, ".", classes, "^", "$", "|", groups "(…)", "(?:…)", "(?=…)", "(?!…)",
 * "(?<=…)", "(?<!…)", the quantifiers * + ? {m} {m,} {m,n}, lazy too, and the escapes
 * \d \D \w \W \s \S \b \B \n \r \t \f \xHH \uHHHH and of punctuation. */
const char *pattern_unportable(struct slice source);

/* NULL where PCRE2 refuses it; `why` (of `size` bytes) then says so. */
struct pattern *pattern_compile(struct slice source, bool caseless, char *why, size_t size);
/* NULL is fine. */
void pattern_free(struct pattern *pattern);

/* Whether it is found anywhere in the text, which is valid UTF-8. At most some 20 million steps in
 * all (0.3 s at worst); a search that needs more counts as not found. */
bool pattern_matches(const struct pattern *pattern, struct slice text);

#endif
