/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, private: the few steps of writing a report, with short names, for those study_*.c that
 * write one. Running out of memory ends the process. */
#ifndef UPLIFT_CORE_STUDY_WRITE_H
#define UPLIFT_CORE_STUDY_WRITE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/error.h"
#include "core/json.h"
#include "core/json_write.h"
#include "stats/inference.h"

/* Takes over `value`. */
static inline void put(json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value) != 0)
        error_fatal("out of memory while writing a report");
}

static inline void append(json_t *array, json_t *value)
{
    if (!value || json_array_append_new(array, value) != 0)
        error_fatal("out of memory while writing a report");
}

static inline json_t *figure_if(bool there, double value)
{
    return there ? json_figure(value) : json_null();
}

/* The same through a writer: null where it is not there. */
static inline void write_if(struct json_writer *w, const char *name, bool there, double value)
{
    if (there)
        json_write_figure(w, name, value);
    else
        json_write_null(w, name);
}

static inline void write_interval(struct json_writer *w, const char *name, bool there,
                                  const struct interval *interval)
{
    if (!there) {
        json_write_null(w, name);
        return;
    }
    json_write_array(w, name);
    write_if(w, NULL, !interval->low_open, interval->low);
    write_if(w, NULL, !interval->high_open, interval->high);
    json_write_end(w);
}

#endif
