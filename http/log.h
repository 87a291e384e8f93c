/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log: lines on standard error, of the server's life and, where it is asked for, of each request.
 *
 * No line has a key, the id of a customer, an address or a body. So a request is named by the
 * pattern of its route and not by its path, and a query is not told of at all. A line is written by
 * one call, so that those of several threads do not mix. Any thread. */
#ifndef UPLIFT_HTTP_LOG_H
#define UPLIFT_HTTP_LOG_H

#include <stdbool.h>

#include "core/error.h"

enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO };

struct log {
    enum log_format format;
    enum log_level most; /* what is less grave is not told */
    bool requests;       /* one line for each */
};

/* Words of the options, in the order of the enums, ending in NULL. */
extern const char *const log_formats[];
extern const char *const log_levels[];

struct request;

/* "uplift serve: words", or time, level and message. */
void log_say(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with an error behind the words: "words: place: message". */
void log_error(const struct log *log, enum log_level level, const char *words,
               const struct error *err);
/* Once for each request that has ended; `whole`: its answer was sent. */
void log_request(const struct log *log, const struct request *request, bool whole);

#endif
