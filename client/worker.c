/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's thread: what was recorded goes into the spool at once, and all that is asked of the
 * server runs beside each other in one libcurl "multi", so that nothing waits for anything else. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/parts.h"

enum { IDLE_MS = 1000 };

void worker_note(uplift_client *client, const char *format, ...)
{
    char message[UPLIFT_CLIENT_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    pthread_mutex_lock(&client->lock);
    memcpy(client->stats.failed, message, sizeof message);
    pthread_mutex_unlock(&client->lock);
    if (client->options.log)
        client->options.log(client->options.log_data, message);
}

static struct inbox_event *take_inbox(uplift_client *client)
{
    pthread_mutex_lock(&client->lock);
    struct inbox_event *first = client->first;
    client->first = NULL;
    client->last = &client->first;
    client->inbox_count = 0;
    pthread_mutex_unlock(&client->lock);
    return first;
}

/* What found no room goes back, before what came meanwhile. */
static void put_back(uplift_client *client, struct inbox_event *first)
{
    struct inbox_event **end = &first;
    size_t count = 0;
    for (; *end; end = &(*end)->next)
        count++;
    pthread_mutex_lock(&client->lock);
    *end = client->first;
    if (!client->first)
        client->last = end;
    client->first = first;
    client->inbox_count += count;
    pthread_mutex_unlock(&client->lock);
}

/* A file that cannot be written is given up once it is empty: what is recorded from then on is at
 * least sent. */
static void go_on_in_memory(uplift_client *client, const struct error *failed)
{
    struct error err = {0};
    if (!client->spool_is_file || spool_count(client->spool) > 0)
        return;
    struct spool *memory = spool_open(NULL, client->options.spill_max, &err);
    if (!memory)
        return;
    spool_close(&client->spool);
    client->spool = memory;
    client->spool_is_file = false;
    worker_note(client, "%s; events are kept in memory from now on", failed->message);
}

static bool move_one(uplift_client *client, struct inbox_event *event, struct error *err)
{
    if (spool_append(client->spool, (struct slice){event->text, event->len}, err))
        return true;
    if (err->code == ERROR_FULL && spool_count(client->spool) > 0)
        return false;
    go_on_in_memory(client, err);
    error_clear(err);
    return spool_append(client->spool, (struct slice){event->text, event->len}, err);
}

/* Moves what was recorded into the spool. */
static void keep_inbox(uplift_client *client)
{
    struct inbox_event *event = take_inbox(client), *next;
    struct error err = {0};
    uint64_t count = 0;
    for (; event && move_one(client, event, &err); event = next, count++) {
        next = event->next;
        free(event);
    }
    if (event)
        put_back(client, event);
    if (count == 0)
        return;
    if (spool_count(client->spool) == count && !client->events.failures)
        client->events.due = client_now() + client->options.send_ms;
    pthread_mutex_lock(&client->lock);
    client->kept += count;
    pthread_cond_broadcast(&client->progress);
    pthread_mutex_unlock(&client->lock);
}

/* Whether events go out without waiting for others. */
static bool in_haste(uplift_client *client, bool ending)
{
    if (ending || spool_count(client->spool) >= client->batch)
        return true;
    pthread_mutex_lock(&client->lock);
    bool hurry = client->hurry > client->settled;
    pthread_mutex_unlock(&client->lock);
    return hurry;
}

static bool stopping(uplift_client *client, int64_t *until)
{
    pthread_mutex_lock(&client->lock);
    bool stop = client->stop;
    *until = client->stop_at;
    pthread_mutex_unlock(&client->lock);
    return stop;
}

static size_t in_inbox(uplift_client *client)
{
    pthread_mutex_lock(&client->lock);
    size_t count = client->inbox_count;
    pthread_mutex_unlock(&client->lock);
    return count;
}

static void sooner(int64_t *when, const struct transfer *transfer)
{
    if (!transfer->running && transfer->due < *when)
        *when = transfer->due;
}

static void wait(uplift_client *client, int64_t until)
{
    int64_t now = client_now(), next = now + IDLE_MS;
    if (until < next)
        next = until;
    if (client->options.url) {
        sooner(&next, &client->payloads);
        if (client->streams)
            sooner(&next, &client->stream);
        if (spool_count(client->spool) > 0)
            sooner(&next, &client->events);
    }
    curl_multi_poll(client->multi, NULL, 0, next > now ? (int)(next - now) : 0, NULL);
}

void *worker_run(void *data)
{
    uplift_client *client = data;
    for (;;) {
        int64_t until = INT64_MAX, now = client_now();
        bool ending = stopping(client, &until);
        if (!ending)
            until = INT64_MAX;
        keep_inbox(client);
        if (in_haste(client, ending) && !client->events.failures && client->events.due > now)
            client->events.due = now;
        bool done = in_inbox(client) + spool_count(client->spool) == 0 || !client->options.url;
        if (ending && (done || now >= until))
            break;
        transfer_start_due(client, now, ending);
        int running = 0;
        curl_multi_perform(client->multi, &running);
        transfer_finish(client, client_now());
        wait(client, until);
    }
    client->lost = in_inbox(client);
    client->left = spool_count(client->spool);
    if (!client->spool_is_file)
        client->lost += client->left;
    return NULL;
}
