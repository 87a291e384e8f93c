/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server: libmicrohttpd's pool of threads in poll mode over an opened application.
 *
 * Poll, not epoll: in epoll mode libmicrohttpd 0.9.75 waits without a timeout when exactly 128 or
 * 256 lock-step connections are ready on one thread. */
#ifndef UPLIFT_HTTP_SERVER_H
#define UPLIFT_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"
#include "core/uplift.h"

struct log;
struct route;
struct server;

enum { SERVER_LISTEN_MAX = 8 };

struct server_options {
    const char *const *listen; /* SERVER_LISTEN_MAX or fewer places (listen.h) */
    size_t listen_count;
    mode_t socket_mode; /* of the file of a Unix socket */
    /* The files of TLS for all places that are no Unix sockets (tls.h), or both NULL. Borrowed. */
    const char *tls_certificate, *tls_key;
    unsigned threads;         /* for each place; 0: one a processor */
    unsigned connections_max; /* on each place; 0: 2,000 */
    unsigned timeout_seconds; /* of a connection that neither sends nor takes; 0: 30 */
    unsigned arrive_seconds;  /* for a request to arrive whole; 0: 60 */
    const struct log *log;    /* borrowed; NULL: requests are not told of */
    double rate;              /* requests a second that a key may make; 0: as many as it likes */
};

struct streams;

/* Listens and answers until server_stop. */
struct server *server_start(struct uplift *uplift, const struct server_options *options,
                            struct error *err);
/* Before server_stop: not ready any more (readyz is 503) and answers end their connections, so that
 * balancers and clients go elsewhere; all else as before. */
void server_leave(struct server *server);
/* Takes no more connections, answers what is under way (of clients that take longer than ten
 * seconds to send or to read: no more, or that at once where `hurry`), ends the threads. */
void server_stop(struct server **server, bool hurry);
/* The port of the first place that has one; 0: none has. */
uint16_t server_port(const struct server *server);
/* "http://127.0.0.1:8080" or "unix:/run/socket" of place `i`; NULL behind the last one. */
const char *server_url(const struct server *server, size_t i);
/* Reads the files of TLS again. False with *err: the old ones stay. ERROR_NOT_FOUND: there are
 * none. */
bool server_reload(struct server *server, struct error *err);
/* When the certificate ends, seconds since 1970; 0: no TLS. */
double server_certificate_ends(const struct server *server);

/* Answers so far by class of status (2, 3, 4, 5), and counting one. */
uint64_t server_answers(const struct server *server, int class);
void server_count(struct server *server, int status);

/* For operators: open connections; seconds since 1970 when it started; how long a route's requests
 * took, from the head of a request to its answer. */
unsigned server_connections(const struct server *server);
double server_started(const struct server *server);
const struct histogram *server_took(const struct server *server, const struct route *route);
void server_note(struct server *server, const struct route *route, int64_t nanoseconds);

struct streams *server_streams(const struct server *server);

/* Before a request is suspended, and after it was resumed: the server does not end between the two.
 * server_hold is false, and nothing is held, once the server is ending. Any thread. */
bool server_hold(struct server *server);
void server_let_go(struct server *server);
/* Whether no thread has been with one request for longer than that. */
bool server_alive(const struct server *server, int64_t nanoseconds);
/* Whether server_leave or server_stop was called: connections are not kept alive any more. */
bool server_ending(const struct server *server);

#endif
