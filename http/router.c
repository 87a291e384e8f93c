/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routing: some thirty patterns are compared one by one, which costs less than parsing a header. */
#include "http/router.h"

#include <stdio.h>
#include <string.h>

static const struct route table[] = {
#define ROUTE(method, path, access, body, handler, summary)                                        \
    {#method, path, ACCESS_##access, body, handler, summary},
#include "http/routes.def"
#undef ROUTE
    {0},
};

const struct route *router_table(void)
{
    return table;
}

enum { KEY_ROOM = 80 };
#define NO_NAME '\xfe'

static void copy_place(const char *value, size_t len, char *place)
{
    for (size_t i = 0; i < len; i++)
        place[i] = value[i] == ROUTER_SLASH ? '/' : value[i];
    place[len] = '\0';
}

static bool path_matches(const char *pattern, const char *path, char *place)
{
    const char *brace = strchr(pattern, '{');
    if (!brace)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(brace - pattern);
    const char *behind = strchr(brace, '}') + 1;
    if (strncmp(pattern, path, before) != 0)
        return false;
    const char *value = path + before;
    bool is_id = strncmp(brace, "{id}", 4) == 0;
    size_t rest = strlen(value), after = strlen(behind);
    size_t len = is_id ? rest - (rest > after ? after : rest) : strcspn(value, "/");
    if (len == 0 || len >= (is_id ? ROUTER_PLACE_MAX : KEY_ROOM) ||
        strcmp(value + len, behind) != 0)
        return false;
    copy_place(value, len, place);
    return true;
}

const struct route *router_find(const char *method, const char *path, char place[ROUTER_PLACE_MAX],
                                char allowed[64])
{
    const char *asked = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const char *pattern = NULL; /* that has the path */
    size_t used = 0;
    allowed[0] = '\0';
    for (const struct route *route = table; route->method; route++) {
        if (pattern ? strcmp(pattern, route->path) != 0 : !path_matches(route->path, path, place))
            continue;
        pattern = route->path;
        if (strcmp(route->method, asked) == 0)
            return route;
        used +=
            (size_t)snprintf(allowed + used, 64 - used, "%s%s", used ? ", " : "", route->method);
    }
    return NULL;
}

const struct route *router_shared(const char *path)
{
    char place[ROUTER_PLACE_MAX];
    for (const struct route *route = table; route->method; route++)
        if (route->access == ACCESS_CLIENT && path_matches(route->path, path, place))
            return route;
    return NULL;
}

static int hex_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

size_t router_decode(char *path)
{
    char *out = path;
    for (const char *in = path; *in; in++) {
        int high = *in == '%' ? hex_of(in[1]) : -1, low = high < 0 ? -1 : hex_of(in[2]);
        char c = *in;
        if (low >= 0)
            c = (char)(high << 4 | low);
        if (c == '\0' || c == ROUTER_SLASH)
            c = NO_NAME;
        else if (low >= 0 && c == '/')
            c = ROUTER_SLASH;
        *out++ = c;
        in += low < 0 ? 0 : 2;
    }
    *out = '\0';
    return (size_t)(out - path);
}
