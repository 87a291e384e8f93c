/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claim: where nothing differs, looks after every second answer from 20 to 400 answers an arm find
 * an effect on NPS or CSAT in at most alpha of the runs: by the exact method, and by what the
 * server does (exact with a tenth of alpha while an arm has fewer than 200 answers, sequential with
 * the rest of it from then on; core/gathered.c). */
#include "tests/sim/sim.h"

#include <gsl/gsl_randist.h>

struct mix {
    const char *words;
    double shares[5]; /* nps: promoters, passives, detractors; csat: scores 1 to 5 */
};

static const struct mix *mix;

static void answer_nps(gsl_rng *rng, struct moments *arm, long n, double lift)
{
    unsigned int counts[3];
    (void)lift;
    gsl_ran_multinomial(rng, 3, (unsigned int)n, mix->shares, counts);
    struct moments batch = moments_of_nps(counts[0], counts[1], counts[2]);
    *arm = moments_merge(arm, &batch);
}

static void answer_csat(gsl_rng *rng, struct moments *arm, long n, double lift)
{
    unsigned int counts[5];
    double scores[5];
    (void)lift;
    gsl_ran_multinomial(rng, 5, (unsigned int)n, mix->shares, counts);
    for (int i = 0; i < 5; i++)
        scores[i] = counts[i];
    struct moments batch = moments_of_csat(scores);
    *arm = moments_merge(arm, &batch);
}

/* What the server reads. A claim is p <= its method's share of alpha: p is scaled to alpha. */
static bool as_the_server(const struct effect_pair *pair, const struct sim_test *test,
                          struct inference *out)
{
    bool few = pair->control.n < 200 || pair->treatment.n < 200;
    double share = few ? 0.1 : 0.9;
    struct sim_test part = *test;
    part.alpha = share * test->alpha;
    if (!(few ? sim_exact : sim_sequential)(pair, &part, out))
        return false;
    out->p_value /= share;
    return true;
}

static void one(struct sim *sim, const char *words, enum moments_kind kind, sim_feed *feed)
{
    const struct sim_world world = {kind, feed, 20, 400, 191, 0};
    static const struct sim_test tests[] = {
        {.name = "exact", .look = sim_exact, .alpha = 0.05},
        {.name = "as the server reads it",
         .look = as_the_server,
         .alpha = 0.05,
         .tuning = 5000,
         .scale = EFFECT_ABSOLUTE},
    };
    sim_peek_at_most(sim, words, &world, tests, 2, sim_runs(sim, 15, 1500));
}

int main(int argc, char **argv)
{
    static const struct mix nps[] = {{"NPS 20", {0.5, 0.2, 0.3}}, {"NPS 70", {0.75, 0.2, 0.05}}};
    static const struct mix csat = {"CSAT 85%", {0.03, 0.04, 0.08, 0.35, 0.5}};
    struct sim sim;
    sim_begin(&sim, argc, argv, 20261128);
    for (int i = 0; i < 2; i++) {
        mix = &nps[i];
        one(&sim, mix->words, MOMENTS_NPS, answer_nps);
    }
    mix = &csat;
    one(&sim, mix->words, MOMENTS_CSAT, answer_csat);
    return sim_end(&sim);
}
