/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stream is a response whose reader has nothing to say most of the time: it then suspends its
 * connection, and the ticker resumes it. Both happen under one lock, so that a wake-up is never
 * lost between looking and sleeping.
 *
 * An event for people is {"experiments": [{key, version}], "results": [key, …]}: definitions that
 * changed since the last event, and experiments for which events came in. */
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
    char key[KEY_ID_MAX];                                 /* of who follows: set at start */
    bool asleep;                                          /* lock */
    long long told;                                       /* lock; when it last said something */
    char *(*say)(struct uplift *uplift, uint64_t served); /* NULL: a stream for people */
    uint64_t catalog;    /* lock; version of the definitions that it knows, or what is served */
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
    size_t followers_max;     /* set at start */
    bool ending;              /* lock */
    struct stream *first;     /* lock */
    size_t people, followers; /* lock; how many there are */
    uint64_t served;          /* lock; as the ticker saw it last */
    long long changed;        /* lock; when that changed; 0: not yet */
};

/* Versions of the definitions at one moment. */
struct moment {
    uint64_t catalog, served;
};

static struct moment moment_now(struct uplift *uplift)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    struct moment now = {catalog_version(catalog), catalog_served(catalog)};
    catalog_release(&uplift->catalog, catalog);
    return now;
}

struct streams *streams_new(struct uplift *uplift, size_t followers_max)
{
    struct streams *streams = xcalloc(1, sizeof *streams);
    streams->uplift = uplift;
    streams->followers_max = followers_max;
    streams->served = moment_now(uplift).served;
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

/* Whether there is something to say. Under the lock. */
static bool has_news(const struct stream *stream, struct moment now)
{
    if (watch_now() - stream->told >= STREAM_HEARTBEAT_MS)
        return true;
    if (stream->say)
        return stream->catalog != now.served;
    return stream->catalog != now.catalog ||
           stream->accepted != atomic_load(&stream->streams->uplift->accepted);
}

void streams_tick(struct streams *streams, bool people)
{
    struct moment now = moment_now(streams->uplift);
    pthread_mutex_lock(&streams->lock);
    if (streams->served != now.served)
        streams->changed = watch_now();
    streams->served = now.served;
    for (struct stream *stream = streams->first; stream; stream = stream->next)
        if (stream->asleep &&
            (streams->ending || ((people || stream->say) && has_news(stream, now)))) {
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
    streams_tick(streams, true);
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

/* Takes over what is to be sent next. */
static void set_text(struct stream *stream, char *text)
{
    free(stream->text);
    stream->text = text;
    stream->len = strlen(text);
    stream->sent = 0;
}

static const char still_here[] = ": still here\n\n";

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
    struct text text;
    text_init(&text, SIZE_MAX / 2);
    if (empty)
        text_puts(&text, still_here);
    else
        text_printf(&text, "event: change\ndata: %s\n\n", json);
    set_text(stream, text_take(&text));
    free(json);
    json_decref(event);
}

/* The same for an SDK, of what is served since `known`. */
static void compose_follower(struct stream *stream, uint64_t known, uint64_t served)
{
    struct text text;
    text_init(&text, SIZE_MAX / 2);
    if (known == served) {
        text_puts(&text, still_here);
    } else {
        char *said = stream->say(stream->streams->uplift, served);
        text_printf(&text, "id: %016llx\n%s", (unsigned long long)served, said);
        free(said);
    }
    set_text(stream, text_take(&text));
}

static ssize_t read_stream(void *data, uint64_t position, char *buffer, size_t most)
{
    struct stream *stream = data;
    struct streams *streams = stream->streams;
    (void)position;
    if (stream->sent == stream->len) {
        struct moment now = moment_now(streams->uplift);
        bool known_key = keys_known(streams->uplift, stream->key);
        pthread_mutex_lock(&streams->lock);
        bool ending = streams->ending || !known_key, news = has_news(stream, now);
        uint64_t known = stream->catalog;
        if (!ending && !news) {
            stream->asleep = true;
            MHD_suspend_connection(stream->connection);
        }
        stream->catalog = stream->say ? now.served : now.catalog;
        stream->accepted = atomic_load(&streams->uplift->accepted);
        stream->told = news ? watch_now() : stream->told;
        pthread_mutex_unlock(&streams->lock);
        if (ending)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!news)
            return 0;
        if (stream->say)
            compose_follower(stream, known, now.served);
        else
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
            *(stream->say ? &streams->followers : &streams->people) -= 1;
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
    size_t *count = stream->say ? &streams->followers : &streams->people;
    size_t most = stream->say ? streams->followers_max : STREAMS_MAX;
    bool room = !streams->ending && *count < most;
    if (room) {
        stream->next = streams->first;
        streams->first = stream;
        *count += 1;
    }
    pthread_mutex_unlock(&streams->lock);
    return room;
}

/* Takes over the stream, which has something to say at first. */
static void begin(struct request *request, struct stream *stream)
{
    stream->connection = request->connection;
    snprintf(stream->key, sizeof stream->key, "%s", request->key.id);
    stream->told = watch_now();
    if (join(stream->streams, stream)) {
        respond_reader(request, "text/event-stream", read_stream, free_stream, stream);
        return;
    }
    struct error err = {0};
    error_set(&err, ERROR_BUSY, NULL, "there are enough streams already, or the server is ending");
    free_stream(stream);
    respond_error(request, &err);
}

void stream_get(struct request *request)
{
    struct stream *stream = xcalloc(1, sizeof *stream);
    *stream = (struct stream){.streams = server_streams(request->server),
                              .versions = json_object(),
                              .results = uplift_now(request->uplift)};
    struct catalog *catalog = catalog_acquire(&request->uplift->catalog);
    stream->catalog = catalog_version(catalog);
    stream->accepted = atomic_load(&request->uplift->accepted);
    json_decref(changed_experiments(stream, catalog));
    catalog_release(&request->uplift->catalog, catalog);
    set_text(stream, xstrdup(": hello\nretry: 5000\n\n"));
    begin(request, stream);
}

/* What a client knows that begins to follow now: what it says that it knows, or what is served,
 * unless that is so fresh that it may have asked before it. */
static uint64_t known_by(const struct request *request, struct streams *streams, uint64_t served)
{
    const char *last = request_header(request, "Last-Event-ID");
    if (last)
        return strtoull(last, NULL, 16);
    pthread_mutex_lock(&streams->lock);
    bool fresh = streams->served != served ||
                 (streams->changed && watch_now() - streams->changed < STREAM_FRESH_MS);
    pthread_mutex_unlock(&streams->lock);
    return fresh ? ~served : served;
}

void stream_follow(struct request *request, char *(*say)(struct uplift *uplift, uint64_t served))
{
    struct stream *stream = xcalloc(1, sizeof *stream);
    struct streams *streams = server_streams(request->server);
    uint64_t served = moment_now(request->uplift).served;
    uint64_t known = known_by(request, streams, served);
    *stream = (struct stream){.streams = streams, .say = say, .catalog = known};
    char hello[64];
    /* An id alone is no event, but is remembered. */
    snprintf(hello, sizeof hello, "id: %016llx\nretry: 1000\n\n", (unsigned long long)known);
    set_text(stream, xstrdup(hello));
    begin(request, stream);
}
