/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A list under one lock. A socket is shut, not closed: closing is libmicrohttpd's, which tells of
 * the end of a connection before it closes the socket, so that an entry's socket is always the one
 * it was made for. */
#include "http/watch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "core/error.h"

struct entry {
    int socket;
    bool secure;     /* speaks TLS */
    bool reading;    /* a request is awaited or arriving */
    long long since; /* since when */
    struct entry *next, **link;
};

struct watch {
    long long most; /* ms; set at the start */
    pthread_mutex_t lock;
    struct entry *first; /* lock, with all that hangs on it */
};

long long watch_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct watch *watch_new(unsigned seconds)
{
    struct watch *watch = xcalloc(1, sizeof *watch);
    watch->most = 1000LL * seconds;
    pthread_mutex_init(&watch->lock, NULL);
    return watch;
}

void watch_free(struct watch **watch)
{
    if (!*watch)
        return;
    pthread_mutex_destroy(&(*watch)->lock);
    free(*watch);
    *watch = NULL;
}

static struct entry *add(struct watch *watch, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *session =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct entry *entry = xcalloc(1, sizeof *entry);
    *entry = (struct entry){.socket = info ? info->connect_fd : -1,
                            .secure = session && session->tls_session,
                            .reading = true,
                            .since = watch_now()};
    pthread_mutex_lock(&watch->lock);
    entry->next = watch->first;
    entry->link = &watch->first;
    if (entry->next)
        entry->next->link = &entry->next;
    watch->first = entry;
    pthread_mutex_unlock(&watch->lock);
    return entry;
}

static void drop(struct watch *watch, struct entry *entry)
{
    pthread_mutex_lock(&watch->lock);
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    pthread_mutex_unlock(&watch->lock);
    free(entry);
}

void watch_notify(void *data, struct MHD_Connection *connection, void **entry,
                  enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *entry = add(data, connection);
    else if (*entry)
        drop(data, *entry);
}

static void set(struct watch *watch, struct MHD_Connection *connection, bool reading)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct entry *entry = info ? info->socket_context : NULL;
    if (!entry)
        return;
    pthread_mutex_lock(&watch->lock);
    entry->reading = reading;
    entry->since = watch_now();
    pthread_mutex_unlock(&watch->lock);
}

void watch_handled(struct watch *watch, struct MHD_Connection *connection)
{
    set(watch, connection, false);
}

void watch_answered(struct watch *watch, struct MHD_Connection *connection)
{
    set(watch, connection, true);
}

/* Told on the bare socket: libmicrohttpd answers whole requests only. Nothing of its own can be
 * under way on it, as no request is. One that speaks TLS is told nothing: its session is another
 * thread's. */
static void tell(const struct entry *entry)
{
    static const char body[] =
        "{\"type\": \"about:blank\", \"title\": \"Request Timeout\", \"status\": 408, \"detail\": "
        "\"the request did not arrive whole in time\"}";
    char answer[512];
    if (entry->secure)
        return;
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                       "Content-Type: application/problem+json\r\nContent-Length: %zu\r\n\r\n%s",
                       sizeof body - 1, body);
    /* A client that does not take it is cut all the same. */
    ssize_t sent = send(entry->socket, answer, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}

void watch_cut(struct watch *watch)
{
    long long now = watch_now();
    pthread_mutex_lock(&watch->lock);
    for (struct entry *entry = watch->first; entry; entry = entry->next)
        if (entry->reading && now - entry->since > watch->most && entry->socket >= 0) {
            tell(entry);
            shutdown(entry->socket, SHUT_RDWR);
            entry->socket = -1;
        }
    pthread_mutex_unlock(&watch->lock);
}
