/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists in pages: ?limit= and ?cursor= on the way in, "cursor" on the way out. */
#ifndef UPLIFT_HTTP_LISTING_H
#define UPLIFT_HTTP_LISTING_H

#include "http/request.h"

struct listing {
    struct slice after;
    size_t limit;
};

bool listing_read(const struct request *request, struct listing *listing, struct error *err);
/* Answers with the list (taken over), its "next" renamed to "cursor". */
void listing_answer(struct request *request, json_t *list);

#endif
