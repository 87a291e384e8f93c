/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results, looks and health of an experiment. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis.h"
#include "core/folded.h"
#include "core/when.h"
#include "http/response.h"
#include "http/results_csv.h"
#include "http/router.h"

static bool read_options(const struct request *request, struct results_options *options,
                         struct error *err)
{
    const char *phase = request_query(request, "phase"), *as_of = request_query(request, "as_of");
    *options = (struct results_options){.phase = 0, .as_of = -1};
    char *end = NULL;
    if (phase) {
        long number = strtol(phase, &end, 10);
        if (*end || end == phase || number < 1 || number > UINT16_MAX)
            return error_set(err, ERROR_INVALID, "phase", "must be a whole number from 1 on");
        options->phase = (int)number;
    }
    if (as_of && !when_parse(slice_of(as_of), &options->as_of))
        return error_set(err, ERROR_INVALID, "as_of", "must be a time as 2026-11-02T10:00:00Z");
    return true;
}

static bool read_format(const struct request *request, bool *csv, struct error *err)
{
    const char *format = request_query(request, "format");
    *csv = format && strcmp(format, "csv") == 0;
    return !format || *csv || strcmp(format, "json") == 0 ||
           error_set(err, ERROR_INVALID, "format", "must be json or csv");
}

/* Leaves the segment of that name. */
static bool choose_segment(json_t *results, const char *name, struct error *err)
{
    json_t *segments = json_object_get(results, "segments"), *segment, *kept = json_array();
    size_t i;
    json_array_foreach(segments, i, segment)
    {
        const char *here = json_string_value(json_object_get(segment, "segment"));
        if (here && strcmp(here, name) == 0)
            json_array_append(kept, segment);
    }
    bool found = json_array_size(kept) > 0;
    json_object_set_new(results, "segments", kept);
    return found || error_set(err, ERROR_NOT_FOUND, "segment",
                              "the experiment has no segment '%.64s'", name);
}

static json_t *results(struct request *request, bool segments, struct error *err)
{
    struct results_options options;
    const char *segment = request_query(request, "segment");
    if (!read_options(request, &options, err))
        return NULL;
    options.without_segments = !segments;
    json_t *found = analysis_results(request->uplift, slice_of(request->place), &options, err);
    if (found && segment && !choose_segment(found, segment, err)) {
        json_decref(found);
        return NULL;
    }
    return found;
}

/* The ETag is that of the figures: the time of asking is not among them. `as_of` is cut out where
 * it is first found; in a string its quotes would be escaped. */
static void etag_of(const char *text, char etag[40])
{
    const char *time = strstr(text, ",\"as_of\":\"");
    const char *rest = time ? strchr(time + strlen(",\"as_of\":\""), '"') + 1 : text;
    unsigned char digest[16];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    crypto_generichash_update(&state, (const unsigned char *)text,
                              (size_t)(time ? time - text : 0));
    crypto_generichash_update(&state, (const unsigned char *)rest, strlen(rest));
    crypto_generichash_final(&state, digest, sizeof digest);
    etag[0] = '"';
    sodium_bin2hex(etag + 1, 33, digest, sizeof digest);
    memcpy(etag + 33, "\"", 2);
}

/* Results that are the same as those which the client has are not sent once more. */
static void respond_results(struct request *request, const json_t *found)
{
    char etag[40];
    struct text text;
    text_init(&text, UINT32_MAX);
    struct json_writer w = json_writer_text(&text);
    folded_write(&w, NULL, found);
    must(!text.failed);
    etag_of(text.ptr, etag);
    if (request_has(request, etag))
        respond_text(request, MHD_HTTP_NOT_MODIFIED, "application/json", "", 0, "ETag", etag);
    else
        respond_written_tagged(request, MHD_HTTP_OK, &text, etag);
    text_release(&text);
}

static void respond_csv(struct request *request, const json_t *found,
                        void (*write)(const json_t *results, struct text *out))
{
    struct text text;
    text_init(&text, 64 << 20);
    write(found, &text);
    respond_text(request, MHD_HTTP_OK, "text/csv; charset=utf-8", text.ptr, text.len,
                 "Cache-Control", "no-store");
    text_release(&text);
}

void results_get(struct request *request)
{
    struct error err = {0};
    bool csv;
    json_t *found = NULL;
    /* The table has the rows of all customers; it must not pass for that of a segment. */
    if (read_format(request, &csv, &err) && csv && request_query(request, "segment"))
        error_set(&err, ERROR_INVALID, "segment", "is not in CSV: ask for JSON");
    else if (err.code == ERROR_NONE)
        found = results(request, !csv, &err);
    if (!found)
        respond_error(request, &err);
    else if (csv)
        respond_csv(request, found, results_csv);
    else
        respond_results(request, found);
    json_decref(found);
}

/* One part of the results under its name. */
static void respond_part(struct request *request, json_t *found, const char *name,
                         const struct error *err)
{
    json_t *part = found ? json_pack("{s:O}", name, json_object_get(found, name)) : NULL;
    json_decref(found);
    respond_result(request, MHD_HTTP_OK, part, err);
}

void looks_get(struct request *request)
{
    struct error err = {0};
    bool csv;
    json_t *found = read_format(request, &csv, &err) ? results(request, false, &err) : NULL;
    if (found && csv) {
        respond_csv(request, found, results_csv_looks);
        json_decref(found);
    } else {
        respond_part(request, found, "looks", &err);
    }
}

void health_get(struct request *request)
{
    struct error err = {0};
    respond_part(request, results(request, false, &err), "health", &err);
}
