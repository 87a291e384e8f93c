/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sockets to listen on. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char here[] = "--listen";

static bool cannot(struct listener *listener, struct error *err)
{
    error_set_errno(err, ERROR_IO, here, "cannot listen on %s", listener->place);
    if (listener->socket >= 0)
        close(listener->socket);
    listener->socket = -1;
    return false;
}

/* As many as the system lets wait. */
static bool begin(struct listener *listener, const void *address, socklen_t len, struct error *err)
{
    if (bind(listener->socket, address, len) != 0 || listen(listener->socket, SOMAXCONN) != 0)
        return cannot(listener, err);
    return true;
}

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* --- Unix sockets --------------------------------------------------------------------------- */

/* Whether somebody accepts at the path. A full queue says EAGAIN: somebody is there. */
static bool is_live(const struct sockaddr_un *address)
{
    int probe = new_socket(AF_UNIX);
    bool refused = probe >= 0 &&
                   connect(probe, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    if (probe >= 0)
        close(probe);
    return !refused;
}

/* Makes the path free: takes away a socket that its server left behind. */
static bool make_way(const struct sockaddr_un *address, struct error *err)
{
    struct stat found;
    if (lstat(address->sun_path, &found) != 0)
        return true;
    if (!S_ISSOCK(found.st_mode))
        return error_set(err, ERROR_INVALID, here, "'%s' is there, and no socket",
                         address->sun_path);
    if (is_live(address))
        return error_set(err, ERROR_BUSY, here, "another process listens on '%s'",
                         address->sun_path);
    unlink(address->sun_path);
    return true;
}

/* Narrow until it is what it shall be: bind makes the file with the socket's own permissions. */
static bool open_unix(struct listener *listener, mode_t mode, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat made;
    listener->path = listener->place + strlen("unix:");
    size_t len = strlen(listener->path);
    if (len == 0 || len >= sizeof address.sun_path)
        return error_set(err, ERROR_INVALID, here, "the path of a socket has 1 to %zu bytes",
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, listener->path, len);
    if (!make_way(&address, err))
        return false;
    listener->socket = new_socket(AF_UNIX);
    if (listener->socket < 0 || fchmod(listener->socket, 0600) != 0)
        return cannot(listener, err);
    if (!begin(listener, &address, sizeof address, err))
        return false;
    if (chmod(listener->path, mode) != 0 || stat(listener->path, &made) != 0)
        return cannot(listener, err);
    listener->device = made.st_dev;
    listener->inode = made.st_ino;
    return true;
}

/* --- TCP ------------------------------------------------------------------------------------ */

/* "[::1]:80" or "127.0.0.1:80" into its parts. */
static bool read_place(const char *place, char address[64], uint16_t *port)
{
    const char *colon = strrchr(place, ':');
    if (!colon || colon == place || colon - place >= 64)
        return false;
    snprintf(address, 64, "%.*s", (int)(colon - place), place);
    size_t len = strlen(address);
    if (address[0] == '[' && address[len - 1] == ']') {
        memmove(address, address + 1, len - 2);
        address[len - 2] = '\0';
    }
    char *end = NULL;
    long number = strtol(colon + 1, &end, 10);
    *port = (uint16_t)number;
    return end != colon + 1 && !*end && number >= 0 && number <= 65535;
}

static bool read_address(const char *text, uint16_t port, struct sockaddr_storage *out,
                         socklen_t *len)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        *len = sizeof v4;
        memcpy(out, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        *len = sizeof v6;
        memcpy(out, &v6, sizeof v6);
    } else {
        return false;
    }
    return true;
}

/* The port is known only now. */
static void name_port(struct listener *listener, const char *address)
{
    struct sockaddr_storage bound;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t len = sizeof bound;
    if (getsockname(listener->socket, (struct sockaddr *)&bound, &len) != 0)
        return;
    memcpy(&v4, &bound, sizeof v4);
    memcpy(&v6, &bound, sizeof v6);
    bool six = bound.ss_family == AF_INET6;
    listener->port = ntohs(six ? v6.sin6_port : v4.sin_port);
    snprintf(listener->place, sizeof listener->place, "%s%s%s:%u", six ? "[" : "", address,
             six ? "]" : "", listener->port);
}

static bool open_tcp(struct listener *listener, struct error *err)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    char text[64];
    const int yes = 1;
    if (!read_place(listener->place, text, &listener->port))
        return error_set(err, ERROR_INVALID, here, "must be ADDRESS:PORT or unix:PATH");
    if (!read_address(text, listener->port, &address, &len))
        return error_set(err, ERROR_INVALID, here, "'%s' is not an address", text);
    listener->socket = new_socket(address.ss_family);
    if (listener->socket < 0)
        return cannot(listener, err);
    setsockopt(listener->socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address.ss_family == AF_INET6)
        setsockopt(listener->socket, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    if (!begin(listener, &address, len, err))
        return false;
    name_port(listener, text);
    return true;
}

bool listen_open(struct listener *listener, const char *place, mode_t mode, struct error *err)
{
    *listener = (struct listener){.socket = -1};
    int len = snprintf(listener->place, sizeof listener->place, "%s", place);
    if (len < 0 || (size_t)len >= sizeof listener->place)
        return error_set(err, ERROR_INVALID, here, "is too long");
    return strncmp(place, "unix:", 5) == 0 ? open_unix(listener, mode, err)
                                           : open_tcp(listener, err);
}

void listen_close(struct listener *listener)
{
    struct stat found;
    if (listener->socket < 0)
        return;
    /* While it still listens, so that no other server can have found it dead and put its own. */
    if (listener->path && lstat(listener->path, &found) == 0 && found.st_dev == listener->device &&
        found.st_ino == listener->inode)
        unlink(listener->path);
    close(listener->socket);
    listener->socket = -1;
}
