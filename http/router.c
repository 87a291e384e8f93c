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

static bool path_matches(const char *pattern, const char *path, char place[80])
{
    const char *brace = strchr(pattern, '{');
    if (!brace)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(brace - pattern);
    const char *behind = strchr(brace, '}') + 1;
    if (strncmp(pattern, path, before) != 0)
        return false;
    const char *value = path + before;
    size_t len = strcspn(value, "/");
    if (len == 0 || len >= 80 || strcmp(value + len, behind) != 0)
        return false;
    memcpy(place, value, len);
    place[len] = '\0';
    return true;
}

const struct route *router_find(const char *method, const char *path, char place[80],
                                char allowed[64])
{
    const char *asked = strcmp(method, "HEAD") == 0 ? "GET" : method;
    size_t used = 0;
    allowed[0] = '\0';
    for (const struct route *route = table; route->method; route++) {
        if (!path_matches(route->path, path, place))
            continue;
        if (strcmp(route->method, asked) == 0)
            return route;
        used +=
            (size_t)snprintf(allowed + used, 64 - used, "%s%s", used ? ", " : "", route->method);
    }
    return NULL;
}
