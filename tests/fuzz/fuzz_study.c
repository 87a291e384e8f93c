/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a study: it is refused with a place or a reason, or becomes a report in which every
 * figure is a finite number. */
#include "tests/fuzz/fuzz.h"

#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/json.h"
#include "core/study.h"

static void check_figures(const json_t *value)
{
    const char *name;
    json_t *inner;
    size_t i;
    must(!json_is_real(value) || isfinite(json_real_value(value)));
    json_object_foreach((json_t *)value, name, inner) check_figures(inner);
    json_array_foreach(value, i, inner) check_figures(inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    gsl_set_error_handler_off();
    json_t *study = json_parse((const char *)data, size, &err);
    if (!study)
        return 0;
    json_t *report = study_analyze(study, &err);
    must((report != NULL) == (err.code == ERROR_NONE));
    if (report) {
        check_figures(report);
        char *text = json_text(report);
        json_t *again = json_parse(text, strlen(text), &err);
        must(again && json_equal(report, again));
        json_decref(again);
        free(text);
    }
    json_decref(report);
    json_decref(study);
    return 0;
}
