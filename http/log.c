/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A line is made as a JSON object, whatever the format, and then written out. */
#include "http/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/histogram.h"
#include "core/json.h"
#include "core/when.h"
#include "http/request.h"

const char *const log_formats[] = {"text", "logfmt", "json", NULL};
const char *const log_levels[] = {"error", "warning", "info", NULL};

enum { LINE_MAX = 8192 };

static json_t *begin(enum log_level level, const char *message)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
    return json_pack("{s:o, s:s, s:s}", "time", json_when(ms), "level", log_levels[level],
                     "message", message);
}

/* A word stays bare, all else is a string of JSON, as readers of logfmt expect. */
static void put_value(struct text *out, json_t *value)
{
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_.:/{}+";
    const char *word = json_string_value(value);
    if (word && *word && word[strspn(word, bare)] == '\0') {
        text_puts(out, word);
        return;
    }
    char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    text_puts(out, json ? json : "null");
    free(json);
}

static void put_logfmt(struct text *out, json_t *line)
{
    const char *name;
    json_t *value;
    json_object_foreach(line, name, value)
    {
        text_printf(out, "%s%s=", out->len ? " " : "", name);
        put_value(out, value);
    }
}

/* For people: the message, and what is known of a request behind it. */
static void put_text(struct text *out, json_t *line)
{
    const char *name;
    json_t *value;
    text_printf(out, "uplift serve: %s", json_string_value(json_object_get(line, "message")));
    json_object_foreach(line, name, value)
    {
        if (strcmp(name, "time") == 0 || strcmp(name, "level") == 0 || strcmp(name, "message") == 0)
            continue;
        text_printf(out, " %s=", name);
        put_value(out, value);
    }
}

static void put_json(struct text *out, json_t *line)
{
    char *json = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
    text_puts(out, json ? json : "{}");
    free(json);
}

/* Takes over the line. */
static void finish(const struct log *log, json_t *line)
{
    static void (*const put[])(struct text *, json_t *) = {put_text, put_logfmt, put_json};
    struct text out;
    text_init(&out, LINE_MAX);
    put[log->format](&out, line);
    text_puts(&out, "\n");
    /* Nobody is there to be told where it cannot be written. */
    ssize_t written = write(STDERR_FILENO, out.ptr, out.len);
    (void)written;
    text_release(&out);
    json_decref(line);
}

void log_say(const struct log *log, enum log_level level, const char *format, ...)
{
    char words[2 * ERROR_LINE_MAX];
    if (level > log->most)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    finish(log, begin(level, words));
}

void log_error(const struct log *log, enum log_level level, const char *words,
               const struct error *err)
{
    char line[ERROR_LINE_MAX];
    log_say(log, level, "%s%s%s", words, *words ? ": " : "", error_line(err, line));
}

/* A method is a client's word; only those that are ours are told. */
static const char *method_of(const struct request *request)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(request->method, known[i]) == 0)
            return known[i];
    return "other";
}

void log_request(const struct log *log, const struct request *request, bool whole)
{
    enum log_level level = request->status >= 500 ? LOG_WARNING : LOG_INFO;
    if (!log->requests || level > log->most)
        return;
    const char *route = request->route                             ? request->route->path
                        : request->status && request->status < 400 ? "page"
                                                                   : "none";
    double ms = (double)(histogram_now() - request->began) / 1e6;
    json_t *line = begin(level, "request");
    json_t *told = json_pack("{s:s, s:s, s:s, s:i, s:f, s:I, s:b, s:s*}", "id", request->id,
                             "method", method_of(request), "route", route, "status",
                             request->status, "ms", ms, "body", (json_int_t)request->taken, "whole",
                             whole, "key", *request->key.id ? request->key.id : NULL);
    json_object_update(line, told);
    json_decref(told);
    finish(log, line);
}
