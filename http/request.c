/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading requests: headers, query, JSON and gzip bodies. */
#include "http/request.h"

#include <stdlib.h>
#include <zlib.h>

#include "core/json.h"

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

json_t *request_json(struct request *request, bool optional, struct error *err)
{
    if (request->body.len == 0) {
        if (!optional)
            error_set(err, ERROR_SYNTAX, NULL, "a body of JSON is needed");
        return NULL;
    }
    return json_parse(request->body.ptr, request->body.len, err);
}

bool request_has(const struct request *request, const char *etag)
{
    const char *match = request_header(request, "If-None-Match");
    /* Among others perhaps, and marked as weak by what compressed the answer on its way. */
    return match && (strcmp(match, "*") == 0 || strstr(match, etag));
}

bool request_version(struct request *request, int64_t *version, struct error *err)
{
    const char *match = request_header(request, "If-Match");
    if (!match) {
        request->refused_status = 428;
        return error_set(err, ERROR_INVALID, "If-Match",
                         "is needed: the ETag of the version that you saw");
    }
    if (strcmp(match, "*") == 0) {
        *version = 0;
        return true;
    }
    char *end = NULL;
    long long number = match[0] == '"' ? strtoll(match + 1, &end, 10) : 0;
    if (number < 1 || !end || strcmp(end, "\"") != 0)
        return error_set(err, ERROR_INVALID, "If-Match", "must be an ETag as \"3\"");
    *version = number;
    return true;
}

bool request_inflate(struct request *request, size_t most, struct error *err)
{
    z_stream stream = {.next_in = (Bytef *)request->body.ptr, .avail_in = (uInt)request->body.len};
    struct text plain;
    char block[16384];
    text_init(&plain, most);
    if (inflateInit2(&stream, 15 + 32) != Z_OK)
        error_fatal("zlib does not start");
    int code = Z_OK;
    while (code == Z_OK && !plain.failed) {
        stream.next_out = (Bytef *)block;
        stream.avail_out = sizeof block;
        code = inflate(&stream, Z_NO_FLUSH);
        if (code == Z_OK || code == Z_STREAM_END)
            text_add(&plain, block, sizeof block - stream.avail_out);
    }
    bool whole = code == Z_STREAM_END && stream.avail_in == 0;
    inflateEnd(&stream);
    if (plain.failed || !whole) {
        bool large = plain.failed;
        text_release(&plain);
        return large ? error_set(err, ERROR_TOO_LARGE, NULL,
                                 "the body is larger than %zu bytes when inflated", most)
                     : error_set(err, ERROR_SYNTAX, NULL, "the body is not whole gzip");
    }
    text_release(&request->body);
    request->body = plain;
    return true;
}
