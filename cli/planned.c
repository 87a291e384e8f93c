/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/planned.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "core/plan.h"

static void show(void *data, double done)
{
    progress_step(data, done);
}

int planned_report(const struct options *options, json_t *input, bool simulate, struct error *err)
{
    struct progress progress;
    struct plan_options plan = {
        .simulate = simulate,
        .work_most = PLAN_WORK_COMMAND,
        .seed = plan_seed(),
        .progress = show,
        .data = &progress,
    };
    progress_start(&progress, "running the plan");
    json_t *answer = input ? plan_answer(input, &plan, err) : NULL;
    progress_done(&progress);
    json_decref(input);
    if (!answer) {
        char line[ERROR_LINE_MAX];
        return options_wrong(options->command, "%s", error_line(err, line));
    }
    char *text = json_dumps(answer, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (!text)
        error_fatal("out of memory while writing a plan");
    puts(text);
    free(text);
    json_decref(answer);
    return COMMAND_OK;
}
