/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /v1/plan: what `uplift plan` does, with less patience for simulations. */
#include "core/plan.h"
#include "http/response.h"
#include "http/router.h"

void plan_post(struct request *request)
{
    struct error err = {0};
    struct plan_options options = {.work_most = PLAN_WORK_SERVER, .seed = plan_seed()};
    json_t *input = request_json(request, false, &err);
    json_t *answer = input ? plan_answer(input, &options, &err) : NULL;
    respond_result(request, MHD_HTTP_OK, answer, &err);
    json_decref(input);
}
