/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sim: what the simulations share. Each program below tests/sim makes many runs of an experiment
 * with a known truth, looks at each run as a user would, and counts how often a claim of the manual
 * fails. A count is judged by its exact binomial bounds (Clopper and Pearson 1934), both at 99.9%,
 * so that chance alone fails a point about once in a thousand seeds; the seed is fixed and printed.
 *
 * Without an argument a program makes few runs (for make check) and prints TAP. With the argument
 * `full` it makes many (make sim) and prints a table; the last column then says whether the figure
 * is shown (the upper bound keeps to the level) or only not contradicted (the lower bound does).
 *
 * A simulation is main(): sim_begin; for each claim sim_peek or loops of its own, then sim_at_most
 * or sim_at_least; return sim_end. To add one, write tests/sim/s_NAME.c and list it in
 * tests/Makefile.inc as the others are. Not thread-safe. */
#ifndef UPLIFT_TESTS_SIM_H
#define UPLIFT_TESTS_SIM_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>

#include "stats/effect.h"
#include "stats/inference.h"

struct sim {
    bool full;
    gsl_rng *rng;
    int points, failed;
};

struct sim_bounds {
    double low, high;
};

/* Prints the seed (and the head of the table); ends the program on another argument than full. */
void sim_begin(struct sim *sim, int argc, char **argv, unsigned long seed);
/* Ends TAP; what main returns. */
int sim_end(struct sim *sim);
/* How many runs to make. */
long sim_runs(const struct sim *sim, long brief, long full);

/* Exact bounds of a chance of which `hits` of `runs` were seen: each misses with 0.001. */
struct sim_bounds sim_bounds(long hits, long runs);

#define SIM_FORMAT(n) __attribute__((format(printf, n, n + 1)))
/* The point passes unless the hits contradict a chance of at most (at least) `level`. */
void sim_at_most(struct sim *sim, long hits, long runs, double level, const char *words, ...)
    SIM_FORMAT(5);
void sim_at_least(struct sim *sim, long hits, long runs, double level, const char *words, ...)
    SIM_FORMAT(5);

/* The point passes where a is at most that many times b. */
void sim_ratio_at_most(struct sim *sim, double a, double b, double most, const char *words);

/* --- looking again and again at two arms --- */

/* Adds n units to an arm; `lift` is the treatment's relative change of the truth, 0 for a control.
 */
typedef void sim_feed(gsl_rng *rng, struct moments *arm, long n, double lift);

/* Arms of one kind that grow evenly from `first` to `last` units each over the looks. */
struct sim_world {
    enum moments_kind kind;
    sim_feed *feed;
    long first, last;
    int looks;
    double lift; /* of the treatment */
};

/* A way to look. What it counts in a run is whether any look claims an effect (p <= alpha) or,
 * where `coverage`, whether any look's interval misses `truth`. */
struct sim_test {
    const char *name;
    /* False where the look has no figure. */
    bool (*look)(const struct effect_pair *pair, const struct sim_test *test,
                 struct inference *out);
    double alpha;
    double tuning; /* sequential: N*; msprt: the mixture's variance */
    enum effect_scale scale;
    enum sides sides;
    long from; /* the first look is when each arm has as many: conversions if binary, else units */
    bool coverage;
    double truth;
    double limit; /* where alpha is known not to be kept: what is, as documented; else 0 */
};

/* The looks that there are. */
bool sim_sequential(const struct effect_pair *pair, const struct sim_test *test,
                    struct inference *out);
/* The same with Fieller's range, as experiments have it; relative. */
bool sim_fieller(const struct effect_pair *pair, const struct sim_test *test,
                 struct inference *out);
bool sim_msprt(const struct effect_pair *pair, const struct sim_test *test, struct inference *out);
bool sim_exact(const struct effect_pair *pair, const struct sim_test *test, struct inference *out);
bool sim_fixed(const struct effect_pair *pair, const struct sim_test *test, struct inference *out);

enum { SIM_TESTS_MAX = 8 };
/* Makes the runs, all tests on the same data; hits[i] is in how many test i was wrong at least
 * once. At most SIM_TESTS_MAX tests. */
void sim_peek(struct sim *sim, const struct sim_world *world, const struct sim_test *tests,
              int count, long runs, long *hits);
/* sim_peek, and a point for each test: wrong in at most alpha (or its limit) of the runs. */
void sim_peek_at_most(struct sim *sim, const char *words, const struct sim_world *world,
                      const struct sim_test *tests, int count, long runs);

/* A batch of n units of a binary metric of which `sum` converted, added to an arm. */
void sim_add_binary(struct moments *arm, double n, double sum);

#endif
