/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tallies: the sufficient statistics of one experiment × phase × epoch × metric × segment ×
 * variant, and a set of them that is being changed.
 *
 * A metric that needs the distribution of its values has, beside each tally of all units, one for
 * each bin of the values (stats/sketch.h): the same record, of the units in that bin.
 *
 * Sums are pairs of doubles whose exact sum is the value (about 106 bits), so that what was added
 * can be taken away again and the order of adding does not show. */
#ifndef UPLIFT_CORE_TALLY_H
#define UPLIFT_CORE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/store.h"

struct sum {
    double high, low;
};

void sum_add(struct sum *sum, double value);
/* Adds a·b, without rounding the product first. */
void sum_add_product(struct sum *sum, double a, double b);
static inline double sum_value(const struct sum *sum)
{
    return sum->high + sum->low;
}
/* The same of a sum of squares. What is left of values that were added and taken away again, which
 * may be below 0, is nothing: else the variance of values that are all 0 would be something. */
#define SUM_OF_SQUARES_LEAST 1e-20
static inline double sum_of_squares(const struct sum *sum)
{
    double value = sum_value(sum);
    return value < SUM_OF_SQUARES_LEAST ? 0 : value;
}

enum { TALLY_SCORES = 11 };

struct tally {
    int64_t n;                                /* units; of a survey metric, those who answered */
    struct sum sum, sum_sq;                   /* the outcome, one value a unit */
    struct sum pre_sum, pre_sum_sq, pre_post; /* the covariate, and its product with it */
    struct sum den_sum, den_sum_sq, sum_den;  /* the denominator of a ratio, likewise */
    int64_t scores[TALLY_SCORES];             /* answers by score from 0 */
};

/* What one unit adds to one tally. */
struct contribution {
    double value, pre, den;
    int score; /* a survey's, or -1 */
};

/* Adds (sign 1) or takes away (sign -1) a unit. */
void tally_count(struct tally *tally, const struct contribution *unit, int sign);
/* Adds a whole tally. */
void tally_merge(struct tally *into, const struct tally *from);
bool tally_is_zero(const struct tally *tally);
/* Whether counts are equal and sums agree to 1e-12 relative (and 1e-9 absolute, which a sum
 * that came down to 0 needs). */
bool tally_agrees(const struct tally *a, const struct tally *b);

/* Which tally. metric 0 counts units: exposed customers by variant, and customers who saw two
 * variants under TALLY_CROSSED. */
#define TALLY_CROSSED 0xff
/* Under metric 0 and all segments also how many of the units, of whatever variant, are sealed
 * (retention.h). */
#define TALLY_SEALED 0xfe
struct tally_name {
    uint32_t experiment;
    uint16_t phase, epoch;
    uint32_t metric;      /* 0: exposed units */
    struct slice segment; /* name of the attribute; empty: all */
    struct slice value;   /* its value; empty with `segment` */
    uint8_t variant;
    int32_t bin; /* of sketch_bin_of; 0: the tally of all units */
};

/* The bin is the last part of the key, and 0 is not written: keys are as they were before there
 * were bins, and the bins of a tally follow it in their order. */
void tally_key(const struct tally_name *name, struct store_key *key);
bool tally_unkey(struct slice key, struct tally_name *name);

/* A set of tallies under change: those touched are read from the store once, changed in memory,
 * and written back by tally_set_flush. With txn NULL it begins empty (a recount). */
struct tally_set;
struct tally_set *tally_set_new(struct store_txn *txn);
void tally_set_free(struct tally_set **set);
/* The tally, to be changed; lives as long as the set. */
struct tally *tally_set_at(struct tally_set *set, const struct tally_name *name);
/* Writes all touched ones; those that are zero are deleted. */
bool tally_set_flush(struct tally_set *set, struct store_txn *txn, struct error *err);
/* Calls visit for each in the order of their keys, as tally_each does; stops and returns false
 * where it returns false. */
bool tally_set_each(const struct tally_set *set,
                    bool (*visit)(void *data, const struct tally_name *name,
                                  const struct tally *tally),
                    void *data);

/* Calls visit for every stored tally whose key begins with `prefix`. False with ERROR_CORRUPT for
 * a damaged record, or where visit returned false. */
bool tally_each(struct store_txn *txn, struct slice prefix,
                bool (*visit)(void *data, const struct tally_name *name, const struct tally *tally),
                void *data, struct error *err);

#endif
