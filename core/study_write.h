/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, private: the few steps of writing a report, with short names, for those study_*.c that
 * write one. Running out of memory ends the process. */
#ifndef UPLIFT_CORE_STUDY_WRITE_H
#define UPLIFT_CORE_STUDY_WRITE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/error.h"
#include "core/json.h"
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

static inline json_t *interval_report(const struct interval *interval)
{
    json_t *ends = json_array();
    append(ends, figure_if(!interval->low_open, interval->low));
    append(ends, figure_if(!interval->high_open, interval->high));
    return ends;
}

#endif
