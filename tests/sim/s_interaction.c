/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where no experiment depends on another one, daily looks for 100 days at all contrasts of
 * a family (10 pairs of experiments with three and two variants, 20 contrasts that share cells,
 * corrected by Holm on the smallest p-values so far) tell of an interaction in at most alpha of the
 * runs, and what 100 looks at one contrast have in common holds the truth in all but alpha. For
 * conversion rates of 2% and 20%, and for revenue of which one in ten spends, by a log-normal
 * distribution. From INTERACTION_UNITS_MIN and INTERACTION_RARE_MIN on. A test at a fixed level is
 * misled far more often. */
#include "tests/sim/sim.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <string.h>

#include "stats/interaction.h"
#include "stats/multiple.h"

enum { LOOKS = 100, PAIRS = 10, CELLS = 6, CONTRASTS = 20 };
static const double alpha = 0.05;

/* What a customer does; effects of both experiments add up, so the truth is 0. */
struct world {
    const char *words;
    enum moments_kind kind;
    double rate;
    unsigned int daily; /* customers a cell */
    double interaction; /* what the last cell has beside */
};

/* Cells of one pair: 3 variants of the first, 2 of the second. */
static void day(gsl_rng *rng, const struct world *world, struct moments cells[CELLS])
{
    for (int c = 0; c < CELLS; c++) {
        double rate = world->rate * (1 + 0.1 * (c / 2) + 0.2 * (c % 2)) +
                      (c == CELLS - 1 ? world->interaction : 0);
        unsigned int bought = gsl_ran_binomial(rng, rate, world->daily);
        if (world->kind == MOMENTS_BINARY) {
            sim_add_binary(&cells[c], world->daily, bought);
            continue;
        }
        for (unsigned int i = 0; i < world->daily; i++)
            moments_add(&cells[c], i < bought ? gsl_ran_lognormal(rng, 3, 1) : 0, 0);
    }
}

static struct interaction look(const struct moments cells[CELLS], int variant)
{
    struct interaction_cells four = {
        {cells[0], cells[1], cells[2 * variant], cells[2 * variant + 1]}};
    return interaction_of(&four, 1, alpha);
}

/* hits: a contrast of the family was told of; the first contrast's range missed the truth at some
 * look; a fixed test of the first contrast at each look claimed one. */
static void run(gsl_rng *rng, const struct world *world, long hits[3])
{
    struct moments cells[PAIRS][CELLS];
    double least[CONTRASTS];
    bool hit[3] = {false};
    for (int i = 0; i < CONTRASTS; i++)
        least[i] = 1;
    for (int p = 0; p < PAIRS; p++)
        for (int c = 0; c < CELLS; c++)
            cells[p][c] = moments_empty(world->kind, false);
    for (int l = 0; l < LOOKS; l++) {
        struct multiple family[CONTRASTS];
        size_t count = 0;
        for (int i = 0; i < CONTRASTS; i++) {
            if (i % 2 == 0)
                day(rng, world, cells[i / 2]);
            struct interaction found = look(cells[i / 2], 1 + i % 2);
            if (found.problem)
                continue;
            least[i] = fmin(least[i], found.p_value);
            family[count++] = (struct multiple){.p = least[i]};
            double truth = i % 2 ? world->interaction : 0;
            hit[1] = hit[1] || (i == 0 && (found.low > truth || found.high < truth));
            hit[2] = hit[2] || (i == 0 && fabs(found.estimate) > 1.96 * found.se);
        }
        multiple_adjust(family, count, MULTIPLE_HOLM);
        hit[0] = hit[0] || (count && family[0].adjusted <= alpha);
    }
    for (int h = 0; h < 3; h++)
        hits[h] += hit[h];
}

static void at_world(struct sim *sim, const struct world *world, long brief, long full)
{
    long hits[3] = {0}, runs = sim_runs(sim, brief, full);
    for (long i = 0; i < runs; i++)
        run(sim->rng, world, hits);
    if (world->interaction != 0) {
        sim_at_least(sim, hits[0], runs, 0.8, "%s, found", world->words);
        return;
    }
    sim_at_most(sim, hits[0], runs, alpha, "%s, any of %d contrasts", world->words, CONTRASTS);
    sim_at_most(sim, hits[1], runs, alpha, "%s, range of one misses", world->words);
    sim_at_least(sim, hits[2], runs, 0.2, "%s, fixed is misled", world->words);
}

int main(int argc, char **argv)
{
    static const struct world worlds[] = {
        {"2% buy", MOMENTS_BINARY, 0.02, 50, 0},
        {"20% buy", MOMENTS_BINARY, 0.2, 20, 0},
        {"revenue", MOMENTS_MEAN, 0.1, 20, 0},
        {"20% buy, 5 points more together", MOMENTS_BINARY, 0.2, 100, 0.05},
    };
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261212);
    at_world(&sim, &worlds[0], 120, 5000);
    at_world(&sim, &worlds[1], 120, 5000);
    at_world(&sim, &worlds[2], 40, 2000);
    at_world(&sim, &worlds[3], 20, 500);
    return sim_end(&sim);
}
