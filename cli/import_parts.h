/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Import, private: what an import is told and what the first reading of its file finds. For
 * import*.c only. */
#ifndef UPLIFT_CLI_IMPORT_PARTS_H
#define UPLIFT_CLI_IMPORT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"
#include "core/error.h"
#include "core/uplift.h"

enum { IMPORT_OUTCOMES_MAX = 32, IMPORT_VARIANTS_MAX = 64 };

struct import_outcome {
    char column[256], key[128];
    const char *kind; /* "binary", "mean", or NULL: to be found */
    bool decrease;
    int at, covariate; /* columns; covariate -1: none */
    bool words_only;   /* so far every value was yes or no */
};

struct import {
    const char *path, *data, *experiment, *variant, *control, *customer, *method, *effect, *report;
    struct option_values outcome_words, covariate_words, segment_words;
    struct import_outcome outcomes[IMPORT_OUTCOMES_MAX];
    size_t outcome_count;
    int variant_at, customer_at, segments_at[OPTION_VALUES_MAX];
    char *variants[IMPORT_VARIANTS_MAX]; /* values as in the file; owned */
    size_t variant_count;
    uint64_t rows, refused;
    int64_t started_at;
    struct uplift_options open;
    struct uplift *uplift;
};

/* Reads the whole file once: finds the columns, the variants with the control first, and which
 * outcomes are yes and no. Refuses names that would become one and the same key. The caller frees
 * variants[] in any case. */
bool import_read(struct import *import, struct error *err);
/* A key of the model from a column's or a variant's name: other letters become '-'. */
void import_key(const char *text, char out[128]);
/* A cell as a value: a number, or yes and no as 1 and 0. */
bool import_value(const char *text, bool binary, double *value);

/* Whether the file is an export (core/export.h); *err is set where it cannot be opened. Not for
 * standard input, whose first line would be lost. */
bool import_is_export(const char *path, struct error *err);
/* Tells of a row or line that is refused (line 0: of one that is not known) and counts it; the
 * first 20 are told, import_tell_more tells how many there were more. */
void import_tell_refused(uint64_t *refused, const char *path, uint64_t line, const char *why);
void import_tell_more(uint64_t refused, const char *path);

/* Imports an export, or events one a line; returns the exit code. */
int import_events(const char *path, const char *data, const struct uplift_options *open);

#endif
