/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Import, the first reading: columns, kinds and variants. Nothing is written before it is done. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/import_parts.h"
#include "core/csv.h"
#include "core/event.h"

/* --- values --------------------------------------------------------------------------------- */

/* 1 and 0 for yes and no, -1 for anything else. */
static int yes_or_no(const char *text)
{
    static const char *const yes[] = {"true", "yes", "1", "t", "y"};
    static const char *const no[] = {"false", "no", "0", "f", "n"};
    for (size_t i = 0; i < 5; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return 1;
        if (strcasecmp(text, no[i]) == 0)
            return 0;
    }
    return -1;
}

bool import_value(const char *text, bool binary, double *value)
{
    int word = yes_or_no(text);
    char *end = NULL;
    if (binary || word >= 0) {
        *value = word;
        return word >= 0;
    }
    *value = strtod(text, &end);
    return end != text && !*end && fabs(*value) <= EVENT_VALUE_MAX;
}

void import_key(const char *text, char out[128])
{
    size_t len = 0;
    for (; *text && len < 64; text++) {
        char c = (char)tolower((unsigned char)*text);
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool mark = (c == '.' || c == '_' || c == '-') && len > 0;
        if (word || mark)
            out[len++] = c;
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 1 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    if (!len)
        snprintf(out, 128, "x");
}

/* --- the mapping ---------------------------------------------------------------------------- */

static bool find_column(const struct csv *csv, const char *option, const char *name, int *at,
                        struct error *err)
{
    *at = csv_column(csv, name);
    return *at >= 0 ||
           error_set(err, ERROR_INVALID, option, "the file has no column '%.100s'", name);
}

static bool read_outcome(struct import *import, const struct csv *csv, const char *word,
                         struct error *err)
{
    if (import->outcome_count == IMPORT_OUTCOMES_MAX)
        return error_set(err, ERROR_INVALID, "--outcome", "more than %d", IMPORT_OUTCOMES_MAX);
    struct import_outcome *outcome = &import->outcomes[import->outcome_count++];
    *outcome = (struct import_outcome){.covariate = -1, .words_only = true};
    snprintf(outcome->column, sizeof outcome->column, "%s", word);
    char *kind = csv_column(csv, word) < 0 ? strchr(outcome->column, ':') : NULL;
    if (kind) {
        *kind++ = '\0';
        char *goal = strchr(kind, ':');
        if (goal)
            *goal++ = '\0';
        if (goal && strcmp(goal, "decrease") != 0 && strcmp(goal, "increase") != 0)
            return error_set(err, ERROR_INVALID, "--outcome", "'%s': must be decrease", goal);
        outcome->decrease = goal && strcmp(goal, "decrease") == 0;
        if (*kind && strcmp(kind, "binary") != 0 && strcmp(kind, "mean") != 0)
            return error_set(err, ERROR_INVALID, "--outcome", "'%s': must be binary or mean", kind);
        outcome->kind = strcmp(kind, "binary") == 0 ? "binary" : *kind ? "mean" : NULL;
    }
    import_key(outcome->column, outcome->key);
    return find_column(csv, "--outcome", outcome->column, &outcome->at, err);
}

static bool read_covariate(struct import *import, const struct csv *csv, const char *word,
                           struct error *err)
{
    char column[256];
    const char *colon = strrchr(word, ':');
    if (!colon || (size_t)(colon - word) >= sizeof column)
        return error_set(err, ERROR_INVALID, "--covariate", "must be COLUMN:OUTCOME");
    snprintf(column, sizeof column, "%.*s", (int)(colon - word), word);
    for (size_t i = 0; i < import->outcome_count; i++)
        if (strcmp(import->outcomes[i].column, colon + 1) == 0)
            return find_column(csv, "--covariate", column, &import->outcomes[i].covariate, err);
    return error_set(err, ERROR_INVALID, "--covariate", "'%s' is not an outcome", colon + 1);
}

static bool read_mapping(struct import *import, const struct csv *csv, struct error *err)
{
    bool ok = find_column(csv, "--variant", import->variant, &import->variant_at, err);
    import->customer_at = -1;
    if (ok && import->customer)
        ok = find_column(csv, "--customer", import->customer, &import->customer_at, err);
    for (size_t i = 0; ok && i < import->outcome_words.count; i++)
        ok = read_outcome(import, csv, import->outcome_words.values[i], err);
    for (size_t i = 0; ok && i < import->covariate_words.count; i++)
        ok = read_covariate(import, csv, import->covariate_words.values[i], err);
    for (size_t i = 0; ok && i < import->segment_words.count; i++)
        ok = find_column(csv, "--segment", import->segment_words.values[i], &import->segments_at[i],
                         err);
    return ok;
}

/* --- first reading: kinds and variants ------------------------------------------------------ */

static bool note_variant(struct import *import, const char *value, struct error *err)
{
    for (size_t i = 0; i < import->variant_count; i++)
        if (strcmp(import->variants[i], value) == 0)
            return true;
    if (import->variant_count == IMPORT_VARIANTS_MAX)
        return error_set(err, ERROR_INVALID, "--variant", "the column holds more than %d values",
                         IMPORT_VARIANTS_MAX);
    import->variants[import->variant_count++] = xstrdup(value);
    return true;
}

/* Two names that become one key would be taken for one thing. */
static bool differ(const char *option, const char *one, const char *other, struct error *err)
{
    char a[128], b[128];
    import_key(one, a);
    import_key(other, b);
    return strcmp(a, b) != 0 ||
           error_set(err, ERROR_INVALID, option,
                     "'%.100s' and '%.100s' would both get the key '%s': rename one of them", one,
                     other, a);
}

static bool keys_differ(const struct import *import, struct error *err)
{
    for (size_t i = 0; i < import->variant_count; i++)
        for (size_t j = 0; j < i; j++)
            if (!differ("--variant", import->variants[j], import->variants[i], err))
                return false;
    for (size_t i = 0; i < import->outcome_count; i++)
        for (size_t j = 0; j < i; j++)
            if (!differ("--outcome", import->outcomes[j].column, import->outcomes[i].column, err))
                return false;
    return true;
}

static bool control_first(struct import *import, struct error *err)
{
    size_t i = 0;
    if (import->variant_count < 2)
        return error_set(err, ERROR_INVALID, "--variant", "the column holds fewer than 2 values");
    while (import->control && i < import->variant_count &&
           strcmp(import->variants[i], import->control) != 0)
        i++;
    if (i == import->variant_count)
        return error_set(err, ERROR_INVALID, "--control", "no row has '%.100s'", import->control);
    char *control = import->variants[i];
    memmove(import->variants + 1, import->variants, i * sizeof *import->variants);
    import->variants[0] = control;
    return true;
}

bool import_read(struct import *import, struct error *err)
{
    struct csv *csv = csv_open(import->path, err);
    struct csv_row row;
    bool ok = csv && read_mapping(import, csv, err);
    while (ok) {
        struct error bad = {0};
        enum csv_result result = csv_next(csv, &row, &bad);
        if (result == CSV_END)
            break;
        if (result == CSV_FAILED) {
            *err = bad;
            ok = false;
        } else if (result == CSV_ROW) {
            if (row.fields[import->variant_at].len > 0)
                ok = note_variant(import, row.fields[import->variant_at].ptr, err);
            for (size_t i = 0; i < import->outcome_count; i++)
                if (yes_or_no(row.fields[import->outcomes[i].at].ptr) < 0)
                    import->outcomes[i].words_only = false;
        }
    }
    csv_free(&csv);
    for (size_t i = 0; i < import->outcome_count; i++)
        if (!import->outcomes[i].kind)
            import->outcomes[i].kind = import->outcomes[i].words_only ? "binary" : "mean";
    return ok && control_first(import, err) && keys_differ(import, err);
}
