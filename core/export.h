/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Export: the store's definitions, looks and events as lines of text, in the order in which they
 * lie on disk: customers as they were first seen, the events of each by time. What is written comes
 * from one transaction, so it is one moment of the store. Memory does not grow with the store.
 *
 * NDJSON, one object a line:
 *   {"export": {"version": 1, "at"}}   the first line, by which intake.h knows an export
 *   {"metric": …}, {"experiment": …}   as they are stored, with all phases and epochs
 *   {"look": {experiment, phase, day_start, summary, results, counted}}
 *   an event as POST /v1/events takes it, and when it was `received`; without `at` where it came
 *   without
 *   {"end": {"events"}}                the last line, so that one that was cut is known
 * With events_only the events alone. CSV: one row an event under EXPORT_CSV_HEADER, RFC 4180, a
 * field that does not apply is empty; fields that a spreadsheet could take for a formula are
 * quoted, which not all spreadsheets heed. */
#ifndef UPLIFT_CORE_EXPORT_H
#define UPLIFT_CORE_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/catalog.h"
#include "core/event.h"
#include "core/store.h"

enum { EXPORT_VERSION = 1 };

#define EXPORT_CSV_HEADER                                                                          \
    "type,customer,at,received,id,channel,experiment,variant,attributes,name,value,survey,score,"  \
    "comment,stage"

struct export_options {
    bool csv;
    bool events_only; /* NDJSON without definitions, looks, first and last line */
    int64_t from, to; /* ms: events whose time (event_time) is within from ≤ time < to */
    int type;         /* of enum event_type; 0: all */
    /* NULL: everything. Else a key: exposures of this experiment, and of the customers who have one
     * (whenever it was) the outcomes and answers that a metric of any of its phases is made of;
     * of definitions and looks those of the experiment and its metrics. */
    const char *experiment;
    int64_t now; /* ms, for the first line */
};

struct export_output {
    /* Takes the next bytes; false ends the export. */
    bool (*write)(void *data, const char *bytes, size_t len);
    void (*progress)(void *data, double done); /* may be NULL; a share from 0 to 1 */
    void *data;
};

/* Writes it all; *events counts those written. False with *err: ERROR_NOT_FOUND for an unknown
 * experiment, ERROR_CORRUPT for a damaged record, ERROR_IO where write returned false. `catalog` is
 * that of the transaction (definitions_catalog). */
bool export_store(struct store_txn *txn, const struct catalog *catalog,
                  const struct export_options *options, const struct export_output *output,
                  uint64_t *events, struct error *err);

#endif
