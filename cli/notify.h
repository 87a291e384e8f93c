/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notify: tells the service manager how the server is (sd_notify(3)), in the documented protocol: a
 * datagram of lines to the socket that NOTIFY_SOCKET names. Some ten lines; libsystemd would be
 * a library more on every system, for those that have no systemd too. Any thread. */
#ifndef UPLIFT_CLI_NOTIFY_H
#define UPLIFT_CLI_NOTIFY_H

#include <stdint.h>

/* Nothing happens where nobody asked to be told. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How long the service manager waits for a sign of life, in microseconds; 0: for ever. */
int64_t notify_watchdog(void);

#endif
