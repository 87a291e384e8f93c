/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Datagrams to the service manager. */
#include "cli/notify.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_send(const char *format, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') /* in the abstract space of names, which begins with a zero */
        address.sun_path[0] = '\0';
    char words[256];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(words, sizeof words, format, args);
    va_end(args);
    int line = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (line < 0 || size < 0)
        return;
    /* A manager that does not listen is none of ours. */
    ssize_t sent =
        sendto(line, words, (size_t)size, MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)sent;
    close(line);
}

int64_t notify_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    long long wait = usec ? strtoll(usec, NULL, 10) : 0;
    bool ours = !pid || !*pid || strtoll(pid, NULL, 10) == (long long)getpid();
    return ours && wait > 0 ? wait : 0;
}
