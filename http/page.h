/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The page: static files compiled into the binary by ui/build.mjs, served compressed where the
 * client takes that, with an ETag and a strict Content-Security-Policy. Any thread. */
#ifndef UPLIFT_HTTP_PAGE_H
#define UPLIFT_HTTP_PAGE_H

#include <stdbool.h>
#include <stddef.h>

struct page_file {
    const char *path; /* "/experiment-1A2B3C4D.js"; NULL ends the table */
    const char *type; /* Content-Type */
    const char *etag; /* quoted */
    bool immutable;   /* the path holds a digest of the content: may be kept for ever */
    const unsigned char *plain, *gzip;
    size_t plain_len, gzip_len;
};

/* Written by ui/build.mjs. */
extern const struct page_file page_files[];

struct request;

/* The file for a path, or NULL. Paths of the page's own addresses ("/", "/experiments/KEY") give
 * their HTML file. */
const struct page_file *page_find(const char *path);
/* Answers a GET or HEAD for a path that page_find knows. */
void page_respond(struct request *request);

#endif
