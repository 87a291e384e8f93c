/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stream is a response whose reader has nothing to say most of the time: it then suspends its
 * connection, and the ticker resumes it. Both happen under one lock, so that a wake-up is never
 * lost between looking and sleeping.
 *
 * An event is {"experiments": [{key, version}], "results": [key, …]}: definitions that changed
 * since the last event, and experiments for which events came in. */
#include "http/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "http/response.h"
#include "http/router.h"
#include "http/server.h"
#include "http/watch.h"

struct stream {
    struct streams *streams;
    struct MHD_Connection *connection;
    bool asleep;         /* lock */
    long long told;      /* lock; when it last said something */
    uint64_t catalog;    /* lock; version of the definitions that it knows */
    uint64_t accepted;   /* lock; events that it knows of */
    json_t *versions;    /* {key: version}; of its reader alone */
    int64_t results;     /* time (ms) up to which it told of results; of its reader alone */
    char *text;          /* what is left to send; of its reader alone */
    size_t len, sent;    /* of that */
    struct stream *next; /* lock */
};

struct streams {
    struct uplift *uplift;
    pthread_mutex_t lock;
    bool ending;          /* lock */
    struct stream *first; /* lock */
    size_t count;         /* lock */
};

struct streams *streams_new(struct uplift *uplift)
{
    struct streams *streams = xcalloc(1, sizeof *streams);
    streams->uplift = uplift;
    pthread_mutex_init(&streams->lock, NULL);
    return streams;
}

void streams_free(struct streams **streams)
{
    if (!*streams)
        return;
    pthread_mutex_destroy(&(*streams)->lock);
    free(*streams);
    *streams = NULL;
}

static uint64_t catalog_now(struct uplift *uplift)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    uint64_t version = catalog_version(catalog);
    catalog_release(&uplift->catalog, catalog);
    return version;
}

/* Whether there is something to say. Under the lock. */
static bool has_news(const struct stream *stream, uint64_t catalog)
{
    return stream->catalog != catalog ||
           stream->accepted != atomic_load(&stream->streams->uplift->accepted) ||
           watch_now() - stream->told >= STREAM_HEARTBEAT_MS;
}

void streams_tick(struct streams *streams)
{
    uint64_t catalog = catalog_now(streams->uplift);
    pthread_mutex_lock(&streams->lock);
    for (struct stream *stream = streams->first; stream; stream = stream->next)
        if (stream->asleep && (streams->ending || has_news(stream, catalog))) {
            stream->asleep = false;
            MHD_resume_connection(stream->connection);
        }
    pthread_mutex_unlock(&streams->lock);
}

void streams_end(struct streams *streams)
{
    pthread_mutex_lock(&streams->lock);
    streams->ending = true;
    pthread_mutex_unlock(&streams->lock);
    streams_tick(streams);
}

/* --- one stream ----------------------------------------------------------------------------- */

/* Experiments that are not as the stream knows them; it then knows them. */
static json_t *changed_experiments(struct stream *stream, const struct catalog *catalog)
{
    json_t *list = json_array();
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        json_t *known = json_object_get(stream->versions, experiment->key);
        if (known && json_integer_value(known) == experiment->version)
            continue;
        json_object_set_new(stream->versions, experiment->key, json_integer(experiment->version));
        json_array_append_new(list, json_pack("{s:s, s:I}", "key", experiment->key, "version",
                                              (json_int_t)experiment->version));
    }
    return list;
}

static json_t *changed_results(struct stream *stream, const struct catalog *catalog)
{
    struct uplift *uplift = stream->streams->uplift;
    json_t *list = json_array();
    int64_t latest = stream->results;
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        int64_t at = fresh_at(&uplift->fresh, experiment->number);
        if (at > stream->results)
            json_array_append_new(list, json_string(experiment->key));
        latest = at > latest ? at : latest;
    }
    stream->results = latest;
    return list;
}

/* What there is to say, or a comment that keeps the connection open. */
static void compose(struct stream *stream)
{
    struct uplift *uplift = stream->streams->uplift;
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    json_t *event = json_pack("{s:o, s:o}", "experiments", changed_experiments(stream, catalog),
                              "results", changed_results(stream, catalog));
    catalog_release(&uplift->catalog, catalog);
    bool empty = json_array_size(json_object_get(event, "experiments")) == 0 &&
                 json_array_size(json_object_get(event, "results")) == 0;
    char *json = json_text(event);
    size_t room = strlen(json) + 32;
    free(stream->text);
    stream->text = xmalloc(room);
    int len = empty ? snprintf(stream->text, room, ": still here\n\n")
                    : snprintf(stream->text, room, "event: change\ndata: %s\n\n", json);
    stream->len = (size_t)len;
    stream->sent = 0;
    free(json);
    json_decref(event);
}

static ssize_t read_stream(void *data, uint64_t position, char *buffer, size_t most)
{
    struct stream *stream = data;
    struct streams *streams = stream->streams;
    (void)position;
    if (stream->sent == stream->len) {
        uint64_t catalog = catalog_now(streams->uplift);
        pthread_mutex_lock(&streams->lock);
        bool ending = streams->ending, news = has_news(stream, catalog);
        if (!ending && !news) {
            stream->asleep = true;
            MHD_suspend_connection(stream->connection);
        }
        stream->catalog = catalog;
        stream->accepted = atomic_load(&streams->uplift->accepted);
        stream->told = news ? watch_now() : stream->told;
        pthread_mutex_unlock(&streams->lock);
        if (ending)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!news)
            return 0;
        compose(stream);
    }
    size_t left = stream->len - stream->sent, len = left < most ? left : most;
    memcpy(buffer, stream->text + stream->sent, len);
    stream->sent += len;
    return (ssize_t)len;
}

static void free_stream(void *data)
{
    struct stream *stream = data;
    struct streams *streams = stream->streams;
    pthread_mutex_lock(&streams->lock);
    for (struct stream **link = &streams->first; *link; link = &(*link)->next)
        if (*link == stream) {
            *link = stream->next;
            streams->count--;
            break;
        }
    pthread_mutex_unlock(&streams->lock);
    json_decref(stream->versions);
    free(stream->text);
    free(stream);
}

static bool join(struct streams *streams, struct stream *stream)
{
    pthread_mutex_lock(&streams->lock);
    bool room = !streams->ending && streams->count < STREAMS_MAX;
    if (room) {
        stream->next = streams->first;
        streams->first = stream;
        streams->count++;
    }
    pthread_mutex_unlock(&streams->lock);
    return room;
}

void stream_get(struct request *request)
{
    struct streams *streams = server_streams(request->server);
    struct stream *stream = xcalloc(1, sizeof *stream);
    *stream = (struct stream){.streams = streams,
                              .connection = request->connection,
                              .versions = json_object(),
                              .results = uplift_now(request->uplift),
                              .told = watch_now()};
    struct catalog *catalog = catalog_acquire(&request->uplift->catalog);
    stream->catalog = catalog_version(catalog);
    stream->accepted = atomic_load(&request->uplift->accepted);
    json_decref(changed_experiments(stream, catalog));
    catalog_release(&request->uplift->catalog, catalog);
    static const char hello[] = ": hello\nretry: 5000\n\n";
    stream->text = xstrdup(hello);
    stream->len = sizeof hello - 1;
    if (!join(streams, stream)) {
        struct error err = {0};
        error_set(&err, ERROR_BUSY, NULL, "there are %d streams already, or the server is ending",
                  STREAMS_MAX);
        free_stream(stream);
        respond_error(request, &err);
        return;
    }
    respond_reader(request, "text/event-stream", read_stream, free_stream, stream);
}
