/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Watch: cuts connections whose request does not become whole in time. libmicrohttpd's timeout is
 * one of inactivity, which a client that sends a byte now and then never meets.
 *
 * Each connection has an entry from its start to its end. While a request is being read the clock
 * runs; while it is handled or answered it does not. Any thread. */
#ifndef UPLIFT_HTTP_WATCH_H
#define UPLIFT_HTTP_WATCH_H

#include <microhttpd.h>

struct watch;

/* `seconds`: how long a request may take to arrive, header and body. */
struct watch *watch_new(unsigned seconds);
/* All connections must have ended. */
void watch_free(struct watch **watch);

/* For MHD_OPTION_NOTIFY_CONNECTION, with the watch as its data. */
void watch_notify(void *data, struct MHD_Connection *connection, void **entry,
                  enum MHD_ConnectionNotificationCode code);
/* The request of this connection is whole and handled from now on. */
void watch_handled(struct watch *watch, struct MHD_Connection *connection);
/* It is answered: the next one may come. */
void watch_answered(struct watch *watch, struct MHD_Connection *connection);
/* Answers 408 to those that took too long and shuts their sockets: to be called about once a
 * second. */
void watch_cut(struct watch *watch);
/* Milliseconds of the clock that does not jump. */
long long watch_now(void);

#endif
