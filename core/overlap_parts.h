/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Overlap, private: what is counted, and the rows that are made of it.
 *
 * Keys of the table OVERLAP, each with JSON:
 *   0                                                  → the head: {"as_of", "left_out"}
 *   1 · experiment u32 · phase u16 · experiment · phase → a pair, the smaller number first
 *   2 · experiment u32 · phase u16                      → the note for its health */
#ifndef UPLIFT_CORE_OVERLAP_PARTS_H
#define UPLIFT_CORE_OVERLAP_PARTS_H

#include "core/catalog.h"
#include "core/ledger.h"
#include "core/overlap.h"
#include "stats/interaction.h"
#include "stats/moments.h"

enum { OVERLAP_HEAD = 0, OVERLAP_PAIR = 1, OVERLAP_NOTE = 2 };
enum { OVERLAP_STRETCHES_MAX = 8 }; /* of one experiment: later ones are put to the last */

/* An experiment in its present phase. */
struct overlap_side {
    const struct experiment *experiment;
    int64_t exposed;    /* customers, those crossed left out */
    uint8_t *stretches; /* by epoch: which stretch with the same weights it belongs to */
    size_t stretch_count;
};

struct overlap_metric {
    const struct metric *metric;
    bool second; /* it is counted by the units of the second experiment */
    enum metric_role role;
    enum moments_kind kind;
};

struct overlap_pair {
    const struct overlap_side *sides[2];
    int64_t customers, crossed;
    int64_t *cells; /* [variant of the first * variants of the second + variant of the second] */
    struct overlap_metric *metrics;
    size_t metric_count, strata;
    struct moments *moments; /* overlap_at; NULL where there was no room for them */
};

struct overlap_count {
    struct catalog *catalog; /* of the beginning */
    int64_t at;              /* ms */
    struct overlap_side *sides;
    size_t side_count;
    struct overlap_pair **pairs;               /* [i * side_count + j], i < j */
    struct overlap_pair *kept_apart, *no_room; /* stand for what is not counted */
    size_t pair_count, moment_count;
    size_t experiments_left_out, pairs_left_out, untested;
    struct arena arena;
};

/* Chooses the experiments. The catalog is the caller's. */
void overlap_count_begin(struct overlap_count *count, struct catalog *catalog, int64_t at);
/* One slice; *from is 1 at first and 0 at the end. */
bool overlap_count_slice(struct overlap_count *count, struct store_txn *txn,
                         const struct catalog *catalog, uint64_t *from, struct error *err);
void overlap_count_end(struct overlap_count *count);

size_t overlap_variants(const struct overlap_pair *pair, size_t side);
/* Where the moments of a metric in a stratum lie: one for each of the cells. */
struct moments *overlap_at(const struct overlap_pair *pair, size_t metric, size_t stratum);

/* The row of a pair: its JSON, under its key. */
struct overlap_row {
    struct store_key key;
    uint32_t numbers[2];
    uint16_t phases[2];
    json_t *json;
    bool fresh; /* of this count; else kept from an earlier one */
};
struct overlap_rows {
    struct overlap_row *list;
    size_t count, room;
};
/* Takes over `json`. */
struct overlap_row *overlap_rows_add(struct overlap_rows *rows, const uint32_t numbers[2],
                                     const uint16_t phases[2], json_t *json);
void overlap_rows_free(struct overlap_rows *rows);

/* The rows of all pairs counted, going on from the rows that there were. */
void overlap_judge(const struct overlap_count *count, const struct overlap_rows *before,
                   struct overlap_rows *out);
/* Whether a contrast is told of for the first time. */
bool overlap_is_news(const json_t *contrast, int64_t at);

/* Sets "interaction" and "text" of a row. */
void overlap_words_row(json_t *row);
/* What one contrast says, in a sentence. */
void overlap_words_contrast(const json_t *row, const json_t *metric, const json_t *contrast,
                            struct text *out);
/* The note of one experiment, of the rows that it is in; NULL where nothing was tested. */
json_t *overlap_words_note(const struct overlap_rows *rows, uint32_t number, uint16_t phase);

#endif
