/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /v1/analyze: what `uplift analyze` does. */
#include "core/json.h"
#include "core/study.h"
#include "http/response.h"
#include "http/router.h"

void analyze_post(struct request *request)
{
    struct error err = {0};
    json_t *study = NULL, *report = NULL;
    if (request->body.len == 0)
        error_set(&err, ERROR_SYNTAX, NULL, "a study is needed");
    else
        study = json_parse(request->body.ptr, request->body.len, &err);
    if (study)
        report = study_analyze(study, &err);
    respond_result(request, MHD_HTTP_OK, report, &err);
    json_decref(study);
}
