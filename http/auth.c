/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys of requests. A wrong key is refused even where none is needed for what is asked. */
#include "http/auth.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* Beacons and event sources cannot set headers. */
static const struct {
    const char *path, *parameter;
} in_query[] = {{"/v1/events", "key"}, {"/v1/stream", "key"}, {"/track", "client_key"}};

const char *auth_parameter(const struct route *route)
{
    for (size_t i = 0; i < sizeof in_query / sizeof *in_query; i++)
        if (strcmp(route->path, in_query[i].path) == 0)
            return in_query[i].parameter;
    return NULL;
}

static bool in_path(const struct route *route)
{
    return strstr(route->path, "{clientKey}") != NULL;
}

/* *in_address: it was given where others may read it. A header is not looked at where the path has
 * the key: it may be for somebody on the way. */
static const char *find_secret(const struct request *request, bool *in_address)
{
    *in_address = in_path(request->route);
    if (*in_address)
        return request->place;
    const char *header = request_header(request, "Authorization");
    if (header && strncasecmp(header, "Bearer ", 7) == 0)
        return header + 7 + strspn(header + 7, " ");
    header = request_header(request, "X-API-Key");
    if (header)
        return header;
    const char *parameter = auth_parameter(request->route);
    *in_address = true;
    return parameter ? request_query(request, parameter) : NULL;
}

const char *auth_secret(const struct request *request)
{
    bool in_address;
    return find_secret(request, &in_address);
}

/* By its loopback address, and not for somebody else, as a proxy on this machine would say. A Unix
 * socket is where a proxy asks for others, who need not be from here. */
static bool from_this_machine(const struct request *request)
{
    if (request_header(request, "Forwarded") || request_header(request, "X-Forwarded-For"))
        return false;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return false;
    if (info->client_addr->sa_family == AF_INET) {
        struct sockaddr_in address;
        memcpy(&address, info->client_addr, sizeof address);
        return ntohl(address.sin_addr.s_addr) >> 24 == 127;
    }
    if (info->client_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 address;
        memcpy(&address, info->client_addr, sizeof address);
        return IN6_IS_ADDR_LOOPBACK(&address.sin6_addr);
    }
    return false;
}

static bool allowed(const struct key_info *key, enum access access)
{
    switch (access) {
    case ACCESS_ANYONE:
        return true;
    case ACCESS_CLIENT: /* writes events, which a viewer may not */
        return key->kind != KEY_ADMIN || key->role >= KEY_ROLE_EDITOR;
    case ACCESS_SERVICE:
    case ACCESS_OPERATOR:
        return key->kind != KEY_CLIENT;
    case ACCESS_PERSONAL:
        return key->kind == KEY_SERVICE || key->role >= KEY_ROLE_ADMIN;
    case ACCESS_VIEWER:
        return key->kind == KEY_ADMIN && key->role >= KEY_ROLE_VIEWER;
    case ACCESS_EDITOR:
        return key->kind == KEY_ADMIN && key->role >= KEY_ROLE_EDITOR;
    case ACCESS_ADMIN:
        return key->kind == KEY_ADMIN && key->role >= KEY_ROLE_ADMIN;
    }
    return false;
}

bool auth_check(struct request *request, enum access access, struct error *err)
{
    if (access == ACCESS_ANYONE || (access == ACCESS_OPERATOR && from_this_machine(request)))
        return true;
    bool in_address = false;
    const char *secret = find_secret(request, &in_address);
    if (!secret || !*secret)
        return error_set(err, ERROR_UNAUTHORIZED, NULL,
                         "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY");
    bool known = keys_verify(request->uplift, slice_of(secret), &request->key);
    if (!known && in_path(request->route))
        return error_set(err, ERROR_NOT_FOUND, NULL, "there is no such client key");
    if (!known)
        return error_set(err, ERROR_UNAUTHORIZED, NULL, "the key is not known, or was revoked");
    if (in_address && access == ACCESS_CLIENT && request->key.kind != KEY_CLIENT)
        return error_set(err, ERROR_DENIED, "key",
                         "only a client key may be in the address: it is public");
    if (!allowed(&request->key, access))
        return error_set(err, ERROR_DENIED, NULL, "a %s key%s%s may not do this",
                         key_kind_word(request->key.kind), request->key.role ? " of role " : "",
                         request->key.role ? key_role_word(request->key.role) : "");
    return true;
}
