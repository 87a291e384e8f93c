/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listen: the sockets that a server takes connections from. They are made here and not by
 * libmicrohttpd, which knows no Unix sockets and does not say which port it got. */
#ifndef UPLIFT_HTTP_LISTEN_H
#define UPLIFT_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

struct listener {
    int socket;       /* -1: none */
    uint16_t port;    /* 0 for a Unix socket */
    char place[128];  /* "127.0.0.1:8080", "[::1]:8080" or "unix:/run/uplift/socket" */
    const char *path; /* within place; NULL: not a Unix socket */
    dev_t device;     /* of the file at the path, so that only our own is taken away */
    ino_t inode;
};

/* Listens on "ADDRESS:PORT" (port 0 takes a free one) or "unix:PATH". The file of a Unix socket
 * gets the permissions `mode`; one that nobody listens on any more is replaced, a live one or
 * another kind of file is not. */
bool listen_open(struct listener *listener, const char *place, mode_t mode, struct error *err);
/* Closes it, and takes the file of a Unix socket away where it is still that one. Nothing happens
 * where there is none. */
void listen_close(struct listener *listener);

#endif
