/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files experiment*.c, and for nobody else: an experiment from its whole JSON, and
 * back. Every change goes through here, so that no experiment exists that was not validated. */
#ifndef UPLIFT_CORE_EXPERIMENT_PARSE_H
#define UPLIFT_CORE_EXPERIMENT_PARSE_H

#include <jansson.h>
#include <stdatomic.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/experiment.h"
#include "core/json.h"

struct experiment_private {
    struct arena arena;
    atomic_uint refs;
    json_t *audience; /* what the condition was compiled from */
    json_t *overrides;
    json_t *limits;       /* {metric's key: {margin, min_effect}} */
    bool values_left_out; /* no variant gives a value, so each one's key is its value */
};

/* Names of fields, each list ending in NULL. */
extern const char *const experiment_definition_fields[];
extern const char *const experiment_server_fields[];

/* Refuses what is no object, and fields that a client may not name. */
bool experiment_check_input(json_t *input, struct error *err);

/* The whole of an experiment: the definition, the server's fields, "number", "segments_ever"
 * and "past" (the wholes of earlier phases, without their own past). `whole` is only read. */
struct experiment *experiment_parse(json_t *whole, struct error *err);
/* The same without its past and its epochs. */
struct experiment *experiment_parse_definition(json_t *whole, struct error *err);

/* Factors, variants and overrides (experiment_variants.c). */
bool experiment_read_variants(struct experiment *experiment, json_t *whole, struct error *err);
/* Prerequisites and holdout (experiment_links.c), once the rest of the definition was read; and
 * their members of its JSON, where it has any. */
bool experiment_read_links(struct experiment *experiment, json_t *whole, struct error *err);
void experiment_write_links(const struct experiment *experiment, json_t *object);
/* A list of strings as JSON. New reference. */
json_t *experiment_write_list(const char *const *list, size_t count);
/* A list of at most `count_most` different strings of 1 to `bytes_most` bytes, into the
 * experiment's arena; empty where the member is absent. */
bool experiment_read_list(struct experiment *experiment, json_t *object,
                          const struct json_place *place, const char *name, size_t count_most,
                          size_t bytes_most, const char ***out, size_t *count, struct error *err);
/* The index of a text in a list, or `count`. */
size_t experiment_find_text(const char *const *list, size_t count, const char *text);

/* Refuses a value of more than `levels` levels: what a client nests must leave room for what the
 * store wraps around it, or it could be written and never read. */
bool experiment_check_depth(const json_t *value, const struct json_place *place, int levels,
                            struct error *err);
enum { EXPERIMENT_LEVELS_MAX = 64 };

/* The JSON for the API from the parsed fields. New reference. */
json_t *experiment_write(const struct experiment *experiment);

/* Sets a member, taking the value over; ends the process when memory is out. */
void experiment_set(json_t *object, const char *name, json_t *value);

#endif
