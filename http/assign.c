/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /v1/assign and /v1/explain: decisions from the catalog, without a disk on the way unless
 * exposures are to be recorded or somebody refused consent. */
#include <stdlib.h>

#include "core/assign.h"
#include "core/catalog.h"
#include "core/consent.h"
#include "core/event.h"
#include "core/json.h"
#include "http/response.h"
#include "http/router.h"

struct question {
    const char *customer;
    json_t *attributes, *experiments;
    bool track, explain;
    const struct consent *consent; /* NULL: nobody refuses */
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

static void answer_one(const struct experiment *experiment, const struct question *q,
                       json_t *answers, json_t *exposures)
{
    json_t *trace = q->explain ? json_array() : NULL;
    struct assignment decision =
        assign_decide(experiment, slice_of(q->customer), q->attributes, q->consent, trace);
    json_t *row = assign_json(experiment, decision);
    if (trace)
        json_object_set_new(row, "trace", trace);
    json_array_append_new(answers, row);
    if (q->track && decision.in_experiment)
        json_array_append_new(exposures,
                              json_pack("{s:s, s:s, s:s, s:s, s:O*}", "type", "exposure",
                                        "customer", q->customer, "experiment", experiment->key,
                                        "variant", experiment->variants[decision.variant].key,
                                        "attributes", q->attributes));
}

static bool answer_named(const struct catalog *catalog, const struct question *q, json_t *answers,
                         json_t *exposures, struct error *err)
{
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
        answer_one(experiment, q, answers, exposures);
    }
    return true;
}

static bool answer_all(const struct catalog *catalog, const struct question *q, json_t *answers,
                       json_t *exposures, struct error *err)
{
    if (q->experiments)
        return answer_named(catalog, q, answers, exposures, err);
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (experiment->state != EXPERIMENT_DRAFT && experiment->state != EXPERIMENT_ARCHIVED)
            answer_one(experiment, q, answers, exposures);
    }
    return true;
}

/* Keeps what the answer needs until the exposures are on disk, and what they borrow from, so that
 * only one thread at a time counts references. */
struct tracked {
    struct request *request;
    json_t *body, *answers, *exposures;
};

static void recorded(void *data, json_t *answer, const struct error *err)
{
    struct tracked *tracked = data;
    json_t *body =
        err->code == ERROR_NONE ? json_pack("{s:O}", "assignments", tracked->answers) : NULL;
    struct request *request = tracked->request;
    json_decref(answer);
    json_decref(tracked->answers);
    json_decref(tracked->exposures);
    json_decref(tracked->body);
    free(tracked);
    respond_later(request, MHD_HTTP_OK, body, err);
}

/* Takes all three over where it is true; otherwise the request is answered already. */
static bool track(struct request *request, json_t *body, json_t *answers, json_t *exposures)
{
    struct error err = {0};
    if (!respond_suspend(request))
        return false;
    struct tracked *tracked = xcalloc(1, sizeof *tracked);
    *tracked = (struct tracked){request, body, answers, exposures};
    if (!uplift_events_submit(request->uplift, exposures, recorded, tracked, &err))
        recorded(tracked, NULL, &err);
    return true;
}

/* The store is read only where consent can decide, or is to be shown. */
static bool find_consent(struct uplift *uplift, struct question *q, struct consent *consent,
                         struct error *err)
{
    if (!q->explain && !consent_matters(uplift))
        return true;
    q->consent = consent;
    return consent_find(uplift, slice_of(q->customer), consent, err);
}

static void answer(struct request *request, bool explain)
{
    struct error err = {0};
    struct question q = {.explain = explain};
    struct consent consent;
    json_t *body = request_json(request, false, &err);
    if (!body || !read_question(body, &q, &err) ||
        !find_consent(request->uplift, &q, &consent, &err)) {
        respond_error(request, &err);
        json_decref(body);
        return;
    }
    json_t *answers = json_array(), *exposures = json_array();
    struct catalog *catalog = catalog_acquire(&request->uplift->catalog);
    bool ok = answer_all(catalog, &q, answers, exposures, &err);
    catalog_release(&request->uplift->catalog, catalog);
    bool tracks = ok && json_array_size(exposures) > 0 && !explain;
    if (tracks && track(request, body, answers, exposures))
        return;
    if (!ok)
        respond_error(request, &err);
    else if (!tracks)
        respond_json(request, MHD_HTTP_OK, json_pack("{s:O}", "assignments", answers));
    json_decref(answers);
    json_decref(exposures);
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
