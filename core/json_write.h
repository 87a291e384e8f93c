/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing JSON, one value after the other: straight as text, or into a tree of jansson's. What
 * writes a report does not know which of both it is.
 *
 *     struct json_writer w = json_writer_text(&text);
 *     json_write_object(&w, NULL);
 *     json_write_figure(&w, "estimate", 0.5);
 *     json_write_end(&w);                              → {"estimate":0.5}
 *
 * `name` is that of the member, NULL for an item of an array and for the outermost value. Text is
 * the very bytes that json_text has of the tree; it takes a tenth of the time of making the tree,
 * writing it out and freeing it. One thread. */
#ifndef UPLIFT_CORE_JSON_WRITE_H
#define UPLIFT_CORE_JSON_WRITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/text.h"

enum { JSON_WRITER_LEVELS = 32, JSON_REAL_MAX = 40 };

struct json_writer {
    struct text *text;                /* NULL: a tree */
    json_t *open[JSON_WRITER_LEVELS]; /* of a tree: what is being filled; borrowed */
    char close[JSON_WRITER_LEVELS];   /* of text: the bracket that ends it */
    size_t level;
    bool follows; /* of text: a value stands before on this level */
};

/* Appends to `text`, which must be large enough: check `failed` at the end. */
struct json_writer json_writer_text(struct text *text);
/* Adds to an object or array, which is borrowed. */
struct json_writer json_writer_tree(json_t *into);

void json_write_object(struct json_writer *w, const char *name);
void json_write_array(struct json_writer *w, const char *name);
/* Ends the object or array that was begun last. */
void json_write_end(struct json_writer *w);
/* As json_figure: null where it is not finite. */
void json_write_figure(struct json_writer *w, const char *name, double value);
void json_write_string(struct json_writer *w, const char *name, const char *value);
void json_write_bool(struct json_writer *w, const char *name, bool value);
void json_write_null(struct json_writer *w, const char *name);
/* A value that is a tree already; borrowed. */
void json_write_value(struct json_writer *w, const char *name, const json_t *value);
/* What is JSON already, for text alone: it is not looked at. */
void json_write_raw(struct json_writer *w, const char *name, struct slice json);

/* A finite number as jansson writes it: 17 digits at most, and a '.' or an 'e' in it. Returns the
 * length without the zero at the end. */
size_t json_real_text(double value, char out[JSON_REAL_MAX]);

#endif
