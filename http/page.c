/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Serving the embedded files. */
#include "http/page.h"

#include <string.h>

#include "http/response.h"

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static const struct page_file *exact(const char *path)
{
    for (const struct page_file *file = page_files; file->path; file++)
        if (strcmp(file->path, path) == 0)
            return file;
    return NULL;
}

/* Addresses for people. A star stands for one part of a path. */
static const struct {
    const char *address, *file;
} addresses[] = {
    {"/", "/experiments.html"},
    {"/experiments", "/experiments.html"},
    {"/experiments/*", "/experiment.html"},
    {"/layers", "/layers.html"},
};

static bool matches(const char *address, const char *path)
{
    size_t len = strcspn(address, "*");
    if (!address[len])
        return strcmp(path, address) == 0;
    return strncmp(path, address, len) == 0 && path[len] && !strchr(path + len, '/');
}

const struct page_file *page_find(const char *path)
{
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (matches(addresses[i].address, path))
            return exact(addresses[i].file);
    return exact(path);
}

void page_respond(struct request *request)
{
    const struct page_file *file = page_find(request->path);
    const char *encodings = request_header(request, "Accept-Encoding");
    bool packed = file->gzip_len && encodings && strstr(encodings, "gzip");
    bool same = request_has(request, file->etag);
    const unsigned char *bytes = packed ? file->gzip : file->plain;
    size_t len = packed ? file->gzip_len : file->plain_len;
    respond_text(request, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, file->type,
                 same ? "" : (const char *)bytes, same ? 0 : len, "ETag", file->etag);
    struct MHD_Response *response = request->ready;
    if (packed && !same)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    MHD_add_response_header(response, "Vary", "Accept-Encoding");
    MHD_add_response_header(response, "Cache-Control",
                            file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    MHD_add_response_header(response, "Content-Security-Policy", policy);
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
}
