/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is recorded: each event is checked as the server does, so that what is wrong is told to the
 * caller who can mend it, and then handed to the thread. */
#include <stdio.h>
#include <stdlib.h>

#include "client/parts.h"
#include "core/event.h"
#include "core/json.h"
#include "core/when.h"

static bool check(json_t *event, int64_t now, struct error *err)
{
    struct arena arena = {0};
    struct event read;
    bool ok = event_parse(event, now, &arena, &read, err);
    arena_release(&arena);
    return ok;
}

/* Completes the event, and its text with room for the list; NULL and *err. Takes `event` over. */
static struct inbox_event *make(uplift_client *client, json_t *event, struct error *err)
{
    int64_t now = clock_now(&clock_system);
    char id[64];
    pthread_mutex_lock(&client->lock);
    uint64_t number = client->event_number++;
    pthread_mutex_unlock(&client->lock);
    snprintf(id, sizeof id, "%s-%llu", client->id, (unsigned long long)number);
    if (json_is_object(event) && !json_object_get(event, "id"))
        json_object_set_new(event, "id", json_string(id));
    if (json_is_object(event) && !json_object_get(event, "at"))
        json_object_set_new(event, "at", json_integer(now));
    struct inbox_event *made = NULL;
    if (check(event, now, err)) {
        char *text = json_text(event);
        made = xmalloc(sizeof *made + strlen(text) + 1);
        made->next = NULL;
        made->len = strlen(text);
        memcpy(made->text, text, made->len + 1);
        free(text);
    }
    json_decref(event);
    return made;
}

/* With the lock held. */
static bool put(uplift_client *client, struct inbox_event *event, struct error *err)
{
    if (client->inbox_count >= client->options.queue_max) {
        client->stats.refused++;
        free(event);
        return error_set(err, ERROR_FULL, NULL, "the queue of events is full");
    }
    *client->last = event;
    client->last = &event->next;
    client->queued++;
    if (client->inbox_count++ == 0)
        curl_multi_wakeup(client->multi);
    return true;
}

static enum uplift_client_code record(uplift_client *client, json_t *event,
                                      struct uplift_client_error *error)
{
    struct error err = {0};
    struct inbox_event *made = make(client, event, &err);
    if (made && client->threaded) {
        pthread_mutex_lock(&client->lock);
        put(client, made, &err);
        pthread_mutex_unlock(&client->lock);
    } else {
        free(made);
    }
    return client_report(error, &err);
}

/* NULL is null, which is refused with its place where a text is required. A text that is not UTF-8
 * becomes a number, which is refused too. */
static json_t *text_or_null(const char *text)
{
    json_t *json = text ? json_string(text) : json_null();
    return json ? json : json_integer(0);
}

bool recording_expose(uplift_client *client, const char *customer, const char *attributes,
                      const struct feature_exposure *exposure, struct error *err)
{
    uint64_t digest = seen_digest(client->seen, customer ? customer : "", exposure->experiment,
                                  exposure->variant, exposure->seed);
    pthread_mutex_lock(&client->lock);
    bool seen = seen_has(client->seen, digest);
    pthread_mutex_unlock(&client->lock);
    if (seen || !client->threaded)
        return true;
    json_t *read = attributes ? json_parse(attributes, strlen(attributes), err) : NULL;
    if (attributes && !read) {
        error_prefix(err, "attributes");
        return false;
    }
    json_t *event = json_object();
    json_object_set_new(event, "type", json_string("exposure"));
    json_object_set_new(event, "customer", text_or_null(customer));
    json_object_set_new(event, "experiment", json_string(exposure->experiment));
    json_object_set_new(event, "variant", json_string(exposure->variant));
    if (read)
        json_object_set_new(event, "attributes", read);
    struct inbox_event *made = make(client, event, err);
    if (!made)
        return false;
    pthread_mutex_lock(&client->lock);
    /* Another thread may have been first. */
    if (seen_has(client->seen, digest))
        free(made);
    else if (put(client, made, err))
        seen_add(client->seen, digest);
    pthread_mutex_unlock(&client->lock);
    return !err->code;
}

enum uplift_client_code uplift_client_outcome(uplift_client *client, const char *customer,
                                              const char *name, double value,
                                              struct uplift_client_error *error)
{
    json_t *event = json_object();
    json_object_set_new(event, "type", json_string("outcome"));
    json_object_set_new(event, "customer", text_or_null(customer));
    json_object_set_new(event, "name", text_or_null(name));
    /* JSON has no infinity: as a text it is refused as what is no finite number. */
    json_t *number = json_figure(value);
    json_object_set_new(event, "value", json_is_null(number) ? json_string("") : number);
    return record(client, event, error);
}

enum uplift_client_code uplift_client_feedback(uplift_client *client, const char *customer,
                                               const char *survey, int score, const char *comment,
                                               struct uplift_client_error *error)
{
    json_t *event = json_object();
    json_object_set_new(event, "type", json_string("feedback"));
    json_object_set_new(event, "customer", text_or_null(customer));
    json_object_set_new(event, "survey", text_or_null(survey));
    json_object_set_new(event, "score", json_integer(score));
    if (comment)
        json_object_set_new(event, "comment", text_or_null(comment));
    return record(client, event, error);
}

enum uplift_client_code uplift_client_event(uplift_client *client, const char *json,
                                            struct uplift_client_error *error)
{
    struct error err = {0};
    json_t *event = json ? json_parse(json, strlen(json), &err) : NULL;
    if (!json)
        error_set(&err, ERROR_INVALID, NULL, "must be an object");
    return event ? record(client, event, error) : client_report(error, &err);
}
