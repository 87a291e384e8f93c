/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /v1/assign and /v1/explain: decisions from the catalog, without a disk on the way unless
 * exposures are to be recorded, somebody refused consent, or an experiment is sticky. */
#include <stdlib.h>

#include "core/assign.h"
#include "core/catalog.h"
#include "core/decider.h"
#include "core/event.h"
#include "core/json.h"
#include "http/exposure.h"
#include "http/response.h"
#include "http/router.h"

enum { ROOM = 1000 }; /* of most answers */

struct question {
    const char *customer;
    json_t *attributes, *experiments;
    bool track, explain;
    struct decider decider;
};

static const char *const fields[] = {"customer", "attributes", "experiments", "track", NULL};

static bool read_question(json_t *body, struct question *q, struct error *err)
{
    return json_check_fields(body, JSON_TOP, fields, err) &&
           json_read_string(body, JSON_TOP, "customer", JSON_REQUIRED, 1, EVENT_CUSTOMER_MAX,
                            &q->customer, err) &&
           json_read_object(body, JSON_TOP, "attributes", JSON_OPTIONAL, &q->attributes, err) &&
           json_read_array(body, JSON_TOP, "experiments", JSON_OPTIONAL, 0, 1000, &q->experiments,
                           err) &&
           json_read_bool(body, JSON_TOP, "track", JSON_OPTIONAL, &q->track, err);
}

/* What is answered, written as it is found, and the exposures that are to be recorded. */
struct answers {
    struct text text;
    json_t *exposures; /* NULL: none */
};

static void write_explained(const struct experiment *experiment, struct assignment decision,
                            json_t *trace, struct text *out)
{
    json_t *row = assign_json(experiment, decision);
    json_object_set_new(row, "trace", trace);
    char *written = json_text(row);
    text_puts(out, written);
    free(written);
    json_decref(row);
}

static void expose(const struct experiment *experiment, const struct question *q, int variant,
                   struct answers *answers)
{
    if (!answers->exposures)
        answers->exposures = json_array();
    json_array_append_new(answers->exposures,
                          exposure_event(experiment, q->customer, variant, q->attributes));
}

static void answer_one(const struct experiment *experiment, const struct question *q,
                       struct answers *answers)
{
    struct text *out = &answers->text;
    json_t *trace = q->explain ? json_array() : NULL;
    struct assignment decision = assign_decide(&q->decider.customer, experiment, trace);
    if (out->ptr[out->len - 1] != '[')
        text_add(out, ",", 1);
    if (trace)
        write_explained(experiment, decision, trace, out);
    else
        assign_write(experiment, decision, out);
    if (q->track && decision.exposes)
        expose(experiment, q, decision.variant, answers);
}

static bool answer_named(const struct question *q, struct answers *answers, struct error *err)
{
    const struct catalog *catalog = q->decider.catalog;
    struct json_place list = json_member(JSON_TOP, "experiments");
    size_t i;
    json_t *name;
    json_array_foreach(q->experiments, i, name)
    {
        struct json_place place = json_item(&list, i);
        if (!json_is_string(name))
            return json_fail(&place, err, "must be the key of an experiment");
        const struct experiment *experiment =
            catalog_experiment(catalog, slice_of(json_string_value(name)));
        if (!experiment)
            return json_fail(&place, err, "there is no experiment '%.64s'",
                             json_string_value(name));
        answer_one(experiment, q, answers);
    }
    return true;
}

static bool answer_all(const struct question *q, struct answers *answers, struct error *err)
{
    const struct catalog *catalog = q->decider.catalog;
    if (q->experiments)
        return answer_named(q, answers, err);
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (experiment_decides(experiment))
            answer_one(experiment, q, answers);
    }
    return true;
}

struct tracking {
    struct request *request;
    json_t *experiments; /* of the exposures, in their order; of nobody else */
};

/* What was not recorded, and why: a decision is never held back for it, and never told as if its
 * exposure were kept. */
static void say_unrecorded(const struct tracking *tracking, json_t *rejected)
{
    json_t *list = json_array(), *row;
    size_t i;
    json_array_foreach(rejected, i, row)
    {
        json_int_t index = json_integer_value(json_object_get(row, "index"));
        json_array_append_new(list, json_pack("{s:O, s:O}", "experiment",
                                              json_array_get(tracking->experiments, (size_t)index),
                                              "error", json_object_get(row, "error")));
    }
    if (json_array_size(list) > 0) {
        char *written = json_text(list);
        text_puts(&tracking->request->written, ",\"unrecorded\":");
        text_puts(&tracking->request->written, written);
        free(written);
    }
    json_decref(list);
}

static void recorded(void *data, json_t *answer, const struct error *err)
{
    struct tracking *tracking = data;
    struct request *request = tracking->request;
    say_unrecorded(tracking, json_object_get(answer, "rejected"));
    text_puts(&request->written, "}");
    json_decref(answer);
    json_decref(tracking->experiments);
    free(tracking);
    respond_later(request, MHD_HTTP_OK, NULL, err);
}

/* Copies: the writer lets go of them, and counts of references are not to be changed by two
 * threads.
 */
static json_t *experiments_of(const json_t *exposures)
{
    json_t *keys = json_array(), *event;
    size_t i;
    json_array_foreach(exposures, i, event) json_array_append_new(
        keys, json_string(json_string_value(json_object_get(event, "experiment"))));
    return keys;
}

/* The answer waits in the request until the exposures are on disk. */
static void track(struct request *request, struct answers *answers)
{
    struct error err = {0};
    if (!respond_suspend(request))
        return;
    struct tracking *tracking = xmalloc(sizeof *tracking);
    *tracking = (struct tracking){request, experiments_of(answers->exposures)};
    request->written = answers->text;
    text_init(&answers->text, 0);
    if (!uplift_events_submit(request->uplift, answers->exposures, recorded, tracking, &err))
        recorded(tracking, NULL, &err);
}

/* The assignments as JSON text but for the last brace, and the exposures that are to be recorded.
 */
static bool decide(struct uplift *uplift, struct question *q, struct answers *answers,
                   struct error *err)
{
    text_puts(&answers->text, "{\"assignments\":[");
    bool ok =
        decider_begin(&q->decider, uplift, slice_of(q->customer), q->attributes, q->explain, err) &&
        answer_all(q, answers, err);
    ok = decider_end(&q->decider, err) && ok;
    text_puts(&answers->text, "]");
    return ok;
}

static void answer(struct request *request, bool explain)
{
    struct error err = {0};
    struct question q = {.explain = explain};
    json_t *body = request_json(request, false, &err);
    if (!body || !read_question(body, &q, &err)) {
        respond_error(request, &err);
        json_decref(body);
        return;
    }
    struct answers answers = {.exposures = NULL};
    text_init(&answers.text, SIZE_MAX / 2);
    text_room(&answers.text, ROOM);
    if (!decide(request->uplift, &q, &answers, &err))
        respond_error(request, &err);
    else if (answers.exposures && !explain)
        track(request, &answers);
    else {
        text_puts(&answers.text, "}");
        respond_written(request, MHD_HTTP_OK, &answers.text);
    }
    text_release(&answers.text);
    json_decref(answers.exposures);
    json_decref(body);
}

void assign_post(struct request *request)
{
    answer(request, false);
}

void explain_post(struct request *request)
{
    answer(request, true);
}
