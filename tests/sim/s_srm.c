/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where customers are split as the weights say, 200 looks at the sequential sample ratio
 * test raise a false alarm in at most 0.001 (the alarm) and 0.05 of the runs, whatever the weights
 * and with several epochs; the chi-squared test, looked at as often, does in far more. A split of
 * 53 to 47 is found. */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>

#include "stats/srm.h"

enum { ARMS_MAX = 3, LOOKS = 200, STEP = 100 };

struct split {
    const char *words;
    unsigned int arms;
    double weights[2][ARMS_MAX]; /* in each half of the run */
    double truth[2][ARMS_MAX];
};

/* The least p-values over the looks of a run. */
static void run(struct sim *sim, const struct split *split, double *sequential, double *chi_squared)
{
    double counts[2][ARMS_MAX] = {{0}};
    *sequential = *chi_squared = 1;
    for (int look = 0; look < LOOKS; look++) {
        int half = look >= LOOKS / 2;
        unsigned int more[ARMS_MAX];
        gsl_ran_multinomial(sim->rng, split->arms, STEP, split->truth[half], more);
        for (unsigned int i = 0; i < split->arms; i++)
            counts[half][i] += more[i];
        struct srm srm = srm_test(counts[0], split->weights[0], split->arms);
        if (half)
            srm = srm_add(srm, srm_test(counts[1], split->weights[1], split->arms));
        double p = srm_sequential_p_value(&srm), q = srm_p_value(&srm);
        *sequential = p < *sequential ? p : *sequential;
        *chi_squared = q < *chi_squared ? q : *chi_squared;
    }
}

static void fair(struct sim *sim, const struct split *split)
{
    long runs = sim_runs(sim, 1000, 50000), alarms = 0, hits = 0, naive = 0;
    for (long i = 0; i < runs; i++) {
        double sequential, chi_squared;
        run(sim, split, &sequential, &chi_squared);
        alarms += sequential < SRM_ALARM;
        hits += sequential <= 0.05;
        naive += chi_squared <= 0.05;
    }
    sim_at_most(sim, alarms, runs, SRM_ALARM, "sample ratio %s, alarm", split->words);
    sim_at_most(sim, hits, runs, 0.05, "sample ratio %s", split->words);
    sim_at_least(sim, naive, runs, 0.2, "sample ratio %s, chi-squared is misled", split->words);
}

int main(int argc, char **argv)
{
    static const struct split splits[] = {
        {"50:50", 2, {{1, 1}, {1, 1}}, {{1, 1}, {1, 1}}},
        {"90:10, then 50:50", 2, {{9, 1}, {1, 1}}, {{9, 1}, {1, 1}}},
        {"70:20:10", 3, {{7, 2, 1}, {7, 2, 1}}, {{7, 2, 1}, {7, 2, 1}}},
    };
    static const struct split off = {"", 2, {{1, 1}, {1, 1}}, {{53, 47}, {53, 47}}};
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261201);
    for (int i = 0; i < 3; i++)
        fair(&sim, &splits[i]);
    long runs = sim_runs(&sim, 200, 5000), found = 0;
    for (long i = 0; i < runs; i++) {
        double sequential, chi_squared;
        run(&sim, &off, &sequential, &chi_squared);
        found += sequential < SRM_ALARM;
    }
    sim_at_least(&sim, found, runs, 0.95, "a split of 53:47 is found within 20,000 customers");
    return sim_end(&sim);
}
