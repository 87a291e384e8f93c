/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OFREP: single evaluations, all flags at once, and a stream that says when to ask again. The
 * decision is assign_decide's; here it is only told in other words. */
#include "http/ofrep.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/assign.h"
#include "core/catalog.h"
#include "core/decider.h"
#include "core/event.h"
#include "core/json.h"
#include "http/auth.h"
#include "http/exposure.h"
#include "http/response.h"
#include "http/router.h"
#include "http/stream.h"

/* How long a browser keeps its stream when nobody looks at the page; OFREP's own default. */
#define INACTIVITY_SECONDS "120"

/* --- errors --------------------------------------------------------------------------------- */

static const char flags_path[] = "/ofrep/v1/evaluate/flags/";

/* The key of the flag that is asked for, as it came; NULL: none is. New. */
static char *asked_key(const struct request *request)
{
    size_t before = sizeof flags_path - 1;
    if (strncmp(request->path, flags_path, before) != 0)
        return NULL;
    char *key = xstrdup(request->path + before);
    for (char *c = key; *c; c++)
        *c = *c == ROUTER_SLASH ? '/' : *c;
    if (utf8_valid(key, strlen(key)))
        return key;
    free(key);
    return xstrdup("?");
}

static json_t *say_error(const char *key, const char *code, const char *details)
{
    return json_pack("{s:s*, s:s, s:s}", "key", key, "errorCode", code, "errorDetails", details);
}

json_t *ofrep_error(const struct request *request, int status, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    char *key = asked_key(request);
    const char *code = status == MHD_HTTP_BAD_REQUEST        ? "PARSE_ERROR"
                       : status == MHD_HTTP_NOT_FOUND && key ? "FLAG_NOT_FOUND"
                                                             : "GENERAL";
    json_t *said = say_error(key, code, error_line(err, line));
    free(key);
    return said;
}

static void refuse(struct request *request, const char *code, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    char *key = asked_key(request);
    respond_json(request, MHD_HTTP_BAD_REQUEST, say_error(key, code, error_line(err, line)));
    free(key);
}

static const char key_missing[] = "TARGETING_KEY_MISSING";
static const char key_missing_details[] =
    "targetingKey is needed: the id of the customer, who must get the same variant each time";

/* --- the question --------------------------------------------------------------------------- */

struct asked {
    json_t *body;
    json_t *context;  /* an object, or NULL */
    const char *unit; /* targetingKey, or "" */
    struct decider decider;
};

static bool read_context(struct asked *asked, struct error *err)
{
    struct json_place context = json_member(JSON_TOP, "context");
    asked->unit = "";
    if (!json_read_object(asked->body, JSON_TOP, "context", JSON_OPTIONAL, &asked->context, err))
        return false;
    return !asked->context ||
           json_read_string(asked->context, &context, "targetingKey", JSON_OPTIONAL, 0,
                            EVENT_CUSTOMER_MAX, &asked->unit, err);
}

/* False: answered already. asked->body is released in any case, by the caller. */
static bool read_asked(struct request *request, struct asked *asked)
{
    struct error err = {0};
    *asked = (struct asked){.body = request_json(request, false, &err)};
    if (asked->body && !json_is_object(asked->body))
        error_set(&err, ERROR_SYNTAX, NULL, "the body must be an object");
    if (err.code != ERROR_NONE)
        refuse(request, "PARSE_ERROR", &err);
    else if (!read_context(asked, &err))
        refuse(request, "INVALID_CONTEXT", &err);
    else
        return true;
    return false;
}

/* --- the answer ----------------------------------------------------------------------------- */

/* How a decision is told: by which word, and whether it is for the variant, so that the variant is
 * named. Who gets the control because nothing applies is shown no variant. A switch, so that a
 * reason which is not told is one that the compiler warns of. */
struct said {
    const char *reason;
    bool names_variant;
};

static struct said said_of(enum assign_reason reason)
{
    switch (reason) {
    case ASSIGN_ASSIGNED:
    case ASSIGN_STICKY:
        return (struct said){"SPLIT", true};
    case ASSIGN_OVERRIDE:
    case ASSIGN_FORCED:
    case ASSIGN_WINNER:
        return (struct said){"TARGETING_MATCH", true};
    case ASSIGN_NOT_RUNNING:
    case ASSIGN_PAUSED:
    case ASSIGN_STOPPED:
        return (struct said){"DISABLED", false};
    case ASSIGN_CONSENT:
    case ASSIGN_HOLDOUT:
    case ASSIGN_PREREQUISITE:
    case ASSIGN_NOT_IN_LAYER:
    case ASSIGN_NOT_IN_AUDIENCE:
    case ASSIGN_NOT_IN_TRAFFIC:
        break;
    }
    return (struct said){"DEFAULT", false};
}

static const char *reason_word(const struct experiment *experiment, enum assign_reason reason)
{
    /* A winner that everyone gets is a plain value. */
    return reason == ASSIGN_WINNER && !experiment->audience ? "STATIC" : said_of(reason).reason;
}

static void write_value(const struct experiment *experiment, struct assignment decision,
                        struct text *out)
{
    const struct variant *variant = &experiment->variants[decision.variant];
    if (said_of(decision.reason).names_variant) {
        text_add(out, variant->said.ptr, variant->said.len);
        return;
    }
    char *value = json_text(variant->value);
    text_puts(out, "\"value\":");
    text_puts(out, value);
    free(value);
}

/* All but the two closing braces. */
static void write_flag(const struct experiment *experiment, struct assignment decision,
                       struct text *out)
{
    text_printf(out, "{\"key\":\"%s\",", experiment->key);
    write_value(experiment, decision, out);
    text_printf(out,
                ",\"reason\":\"%s\",\"metadata\":{\"experiment\":\"%s\",\"phase\":\"%d\","
                "\"version\":\"%lld\",\"inExperiment\":%s,\"decision\":\"%s\"",
                reason_word(experiment, decision.reason), experiment->key, experiment->phase,
                (long long)experiment->version, decision.in_experiment ? "true" : "false",
                assign_reason_word(decision.reason));
}

static bool begin(struct request *request, struct asked *asked, struct error *err)
{
    return decider_begin(&asked->decider, request->uplift, slice_of(asked->unit), asked->context,
                         false, err);
}

static bool lacks_unit(const struct experiment *experiment, const struct asked *asked)
{
    return !*asked->unit && assign_needs_customer(experiment);
}

/* --- one flag ------------------------------------------------------------------------------- */

/* The writer's: the last words of the answer. A value is never held back because it could not be
 * recorded; the answer says so instead. */
static void recorded(void *data, json_t *answer, const struct error *err)
{
    struct request *request = data;
    const struct error none = {0};
    bool kept =
        err->code == ERROR_NONE && json_array_size(json_object_get(answer, "rejected")) == 0;
    json_decref(answer);
    text_puts(&request->written,
              kept ? ",\"exposureRecorded\":true}}" : ",\"exposureRecorded\":false}}");
    respond_later(request, MHD_HTTP_OK, NULL, &none);
}

/* The id of the customer is what the event is about; it is no attribute of theirs. The event has an
 * id of its own, so that what an application evaluates again and again is kept once a week. */
static json_t *exposure_of(const struct experiment *experiment, const struct asked *asked,
                           int variant)
{
    char id[EVENT_ID_MAX];
    snprintf(id, sizeof id, "evaluated:%s:%d:%s", experiment->key, experiment->phase,
             experiment->variants[variant].key);
    json_t *attributes = json_copy(asked->context);
    json_object_del(attributes, "targetingKey");
    json_t *event = exposure_event(experiment, asked->unit, variant, attributes);
    json_object_set_new(event, "id", json_string(id));
    json_decref(attributes);
    return event;
}

/* Answers when the event is on disk. */
static void expose(struct request *request, json_t *event, struct text *answer)
{
    struct error err = {0};
    if (respond_suspend(request)) {
        request->written = *answer;
        text_init(answer, 0);
        if (!uplift_events_submit(request->uplift, event, recorded, request, &err))
            recorded(request, NULL, &err);
    } else { /* the server is ending */
        text_puts(answer, ",\"exposureRecorded\":false}}");
        respond_written(request, MHD_HTTP_OK, answer);
    }
}

/* What came of the question for one flag. */
struct evaluation {
    bool found, answered; /* there is such a flag; it could be decided */
    struct text answer;
    json_t *event; /* where it is an exposure */
};

static void evaluate(const struct asked *asked, struct slice key, struct evaluation *evaluation)
{
    const struct experiment *experiment = catalog_experiment(asked->decider.catalog, key);
    evaluation->found = experiment && experiment_decides(experiment);
    evaluation->answered = evaluation->found && !lacks_unit(experiment, asked);
    if (!evaluation->answered)
        return;
    struct assignment decision = assign_decide(&asked->decider.customer, experiment, NULL);
    write_flag(experiment, decision, &evaluation->answer);
    if (experiment->evaluation_is_exposure && decision.exposes)
        evaluation->event = exposure_of(experiment, asked, decision.variant);
}

static void respond_flag(struct request *request, struct evaluation *evaluation)
{
    struct error err = {0};
    if (!evaluation->found) {
        error_set(&err, ERROR_NOT_FOUND, NULL,
                  "there is no such experiment, or it was not started");
        respond_error(request, &err);
    } else if (!evaluation->answered) {
        error_set(&err, ERROR_INVALID, NULL, "%s", key_missing_details);
        refuse(request, key_missing, &err);
    } else if (evaluation->event) {
        expose(request, evaluation->event, &evaluation->answer);
    } else {
        text_puts(&evaluation->answer, "}}");
        respond_written(request, MHD_HTTP_OK, &evaluation->answer);
    }
}

void ofrep_flag_post(struct request *request)
{
    struct error err = {0};
    struct asked asked;
    struct evaluation evaluation = {.event = NULL};
    if (read_asked(request, &asked)) {
        text_init(&evaluation.answer, SIZE_MAX / 2);
        bool ok = begin(request, &asked, &err);
        if (ok)
            evaluate(&asked, slice_of(request->place), &evaluation);
        if (decider_end(&asked.decider, &err) && ok)
            respond_flag(request, &evaluation);
        else
            respond_error(request, &err);
        text_release(&evaluation.answer);
        json_decref(evaluation.event);
    }
    json_decref(asked.body);
}

/* --- all flags ------------------------------------------------------------------------------ */

static void write_flags(const struct asked *asked, struct text *out)
{
    const struct catalog *catalog = asked->decider.catalog;
    const char *between = "";
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (!experiment_decides(experiment))
            continue;
        text_puts(out, between);
        between = ",";
        if (lacks_unit(experiment, asked)) {
            text_printf(out, "{\"key\":\"%s\",\"errorCode\":\"%s\",\"errorDetails\":\"%s\"}",
                        experiment->key, key_missing, key_missing_details);
        } else {
            write_flag(experiment, assign_decide(&asked->decider.customer, experiment, NULL), out);
            text_puts(out, "}}");
        }
    }
}

/* Where changes are told: an event source has no headers, so its address has the key. A key that is
 * not public is not put into one. */
static void write_streams(const struct request *request, struct text *out)
{
    if (request->key.kind != KEY_CLIENT)
        return;
    text_printf(out,
                ",\"eventStreams\":[{\"type\":\"sse\",\"endpoint\":{\"requestUri\":"
                "\"/ofrep/v1/stream/%s\"},\"inactivityDelaySec\":" INACTIVITY_SECONDS "}]",
                auth_secret(request));
}

/* The ETag is of the answer: an SDK sends the one it has with another context too. */
static void respond_flags(struct request *request, const struct text *answer)
{
    unsigned char digest[16];
    char etag[40] = "\"";
    crypto_generichash(digest, sizeof digest, (const unsigned char *)answer->ptr, answer->len, NULL,
                       0);
    sodium_bin2hex(etag + 1, 33, digest, sizeof digest);
    memcpy(etag + 33, "\"", 2);
    bool same = request_has(request, etag);
    respond_text(request, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, "application/json",
                 same ? "" : answer->ptr, same ? 0 : answer->len, "ETag", etag);
}

static void write_all(const struct request *request, const struct asked *asked, struct text *out)
{
    text_puts(out, "{\"flags\":[");
    write_flags(asked, out);
    text_printf(out, "],\"metadata\":{\"flagSetId\":\"uplift\",\"version\":\"%016llx\"}",
                (unsigned long long)catalog_served(asked->decider.catalog));
    write_streams(request, out);
    text_puts(out, "}");
}

void ofrep_flags_post(struct request *request)
{
    struct error err = {0};
    struct asked asked;
    struct text answer;
    if (read_asked(request, &asked)) {
        text_init(&answer, SIZE_MAX / 2);
        bool ok = begin(request, &asked, &err);
        if (ok)
            write_all(request, &asked, &answer);
        if (decider_end(&asked.decider, &err) && ok)
            respond_flags(request, &answer);
        else
            respond_error(request, &err);
        text_release(&answer);
    }
    json_decref(asked.body);
}

/* --- the stream ----------------------------------------------------------------------------- */

static char *say_refetch(struct uplift *uplift, uint64_t served)
{
    struct text text;
    text_init(&text, SIZE_MAX / 2);
    text_printf(
        &text,
        "event: message\ndata: {\"type\":\"refetchEvaluation\",\"etag\":\"\\\"%016llx\\\"\","
        "\"lastModified\":%lld}\n\n",
        (unsigned long long)served, (long long)(uplift_now(uplift) / WHEN_SECOND));
    return text_take(&text);
}

void ofrep_stream_get(struct request *request)
{
    stream_follow(request, say_refetch);
}
