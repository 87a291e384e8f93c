/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a plan: it is refused with a place or a reason, or answered in finite figures. */
#include "tests/fuzz/fuzz.h"

#include <gsl/gsl_errno.h>
#include <math.h>

#include "core/error.h"
#include "core/json.h"
#include "core/plan.h"

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
    static const struct plan_options options = {.work_most = 2000, .seed = 1};
    struct error err = {0};
    gsl_set_error_handler_off();
    json_t *plan = json_parse((const char *)data, size, &err);
    if (!plan)
        return 0;
    json_t *answer = plan_answer(plan, &options, &err);
    must((answer != NULL) == (err.code == ERROR_NONE));
    check_figures(answer);
    json_decref(answer);
    json_decref(plan);
    return 0;
}
