/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one error type of Uplift.
 *
 * A fallible function returns bool (or NULL) and fills a caller-owned `struct error`. The first
 * error wins: a set error is never overwritten, so a chain of calls may share one and be checked
 * once. A fresh error is `struct error err = {0};` (code ERROR_NONE).
 * Foreign codes (LMDB, GSL, errno) are translated at the edge where they appear.
 * Thread-safety: an error belongs to one caller; functions touch nothing else. */
#ifndef UPLIFT_CORE_ERROR_H
#define UPLIFT_CORE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum error_code {
    ERROR_NONE = 0,
#define ERROR(name, words) ERROR_##name,
#include "core/error.def"
#undef ERROR
};

#define ERROR_PLACE_MAX   320
#define ERROR_MESSAGE_MAX 480
/* Room for "place: message" with its terminator. */
#define ERROR_LINE_MAX (ERROR_PLACE_MAX + ERROR_MESSAGE_MAX + 3)

struct error {
    enum error_code code;
    char place[ERROR_PLACE_MAX];     /* "metrics[0].arms[1].sum", or "" */
    char message[ERROR_MESSAGE_MAX]; /* one line, printable UTF-8 */
};

/* Sets *err unless it is set already, and returns false, so that a caller can write
 * `return error_set(err, …)`. `place` may be NULL. Bytes that are not printable UTF-8 are replaced
 * by '?', and what is too long is cut at a character. */
bool error_set(struct error *err, enum error_code code, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same, with the words of errno appended: "cannot open x: No such file or directory".
 * ENOSPC and EDQUOT become ERROR_FULL, whatever `code`. */
bool error_set_errno(struct error *err, enum error_code code, const char *place, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

/* Puts `prefix` in front of the place of a set error: "arms[1]" under "metrics[0]" becomes
 * "metrics[0].arms[1]". Does nothing on an unset error. */
void error_prefix(struct error *err, const char *prefix);

void error_clear(struct error *err);

/* Writes "place: message" (or just the message) into out[ERROR_LINE_MAX]; returns out. */
const char *error_line(const struct error *err, char out[ERROR_LINE_MAX]);

/* "INVALID" → "invalid input": the general words of a code, static storage. */
const char *error_words(enum error_code code);

/* Ends the process with a message on standard error: for out of memory and other ends of the road.
 */
_Noreturn void error_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* malloc, calloc, realloc and strdup that end the process when memory is out. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);

/* A promise of our own code: always checked, ends the process with file and line. */
#define must(condition)                                                                            \
    ((condition) ? (void)0                                                                         \
                 : error_fatal("%s:%d: broken promise: %s", __FILE__, __LINE__, #condition))

#endif
