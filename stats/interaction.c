/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interaction: the one contrast of a factorial of two factors with two levels each. */
#include "stats/interaction.h"

#include <float.h>
#include <math.h>

#include "stats/factorial.h"
#include "stats/sequential.h"

enum { CELLS = 4, ROWS = 8 };

static struct interaction_cells merged(const struct interaction_cells *a,
                                       const struct interaction_cells *b)
{
    struct interaction_cells out;
    for (size_t c = 0; c < CELLS; c++)
        out.cell[c] = moments_merge(&a->cell[c], &b->cell[c]);
    return out;
}

static double fewest_of(const struct interaction_cells *stratum)
{
    long double fewest = stratum->cell[0].n;
    for (size_t c = 1; c < CELLS; c++)
        fewest = stratum->cell[c].n < fewest ? stratum->cell[c].n : fewest;
    return (double)fewest;
}

/* In place: each stratum that lacks units goes to the one before it, the first ones to the one
 * after. Returns how many are left. */
static size_t merge_strata(struct interaction_cells *strata, size_t count)
{
    size_t used = 0;
    for (size_t i = 1; i < count; i++) {
        if (fewest_of(&strata[used]) < 2 || fewest_of(&strata[i]) < 2)
            strata[used] = merged(&strata[used], &strata[i]);
        else
            strata[++used] = strata[i];
    }
    return used + 1;
}

/* The units of the rarer of two categories, or of all but the most frequent one of three. */
static double rare_of(const struct interaction_cells *all)
{
    int categories = moments_categories(all->cell[0].kind);
    double sum = 0, most = 0;
    for (int k = 0; k < categories; k++) {
        double here = 0;
        for (size_t c = 0; c < CELLS; c++)
            here += all->cell[c].counts[k];
        sum += here;
        most = fmax(most, here);
    }
    return categories ? sum - most : DBL_MAX;
}

/* The cells' means over the strata. */
static void weigh(const struct interaction_cells *strata, size_t count, double units,
                  struct effect_mean out[CELLS])
{
    struct moments arms[INTERACTION_STRATA_MAX];
    double weights[INTERACTION_STRATA_MAX];
    for (size_t c = 0; c < CELLS; c++) {
        for (size_t i = 0; i < count; i++) {
            long double n = 0;
            for (size_t d = 0; d < CELLS; d++)
                n += strata[i].cell[d].n;
            arms[i] = strata[i].cell[c];
            weights[i] = (double)(n / units);
        }
        out[c] = effect_mean_of(arms, weights, count);
    }
}

static bool estimate(const struct effect_mean cells[CELLS], double alpha, struct interaction *out)
{
    static const size_t levels[2] = {2, 2}, at[2 * CELLS] = {0, 0, 0, 1, 1, 0, 1, 1};
    double weights[ROWS * CELLS];
    bool identified[ROWS];
    size_t pairs[4];
    struct factorial design = {.factors = 2,
                               .cells = CELLS,
                               .levels = levels,
                               .at = at,
                               .weights = weights,
                               .identified = identified,
                               .pairs = pairs};
    if (!factorial_weigh(&design))
        return false;
    struct factorial_effect found = factorial_difference(&design, cells, 0, 1, 1, 1);
    if (found.problem)
        return false;
    out->estimate = found.effect.estimate;
    out->se = found.effect.se;
    out->units = found.effect.units;
    out->effects[0] = (double)(cells[2].mean - cells[0].mean);
    out->effects[1] = (double)(cells[3].mean - cells[1].mean);
    struct inference seen =
        sequential_test(out->estimate, out->se, out->units, alpha, INTERACTION_TUNING, SIDES_TWO);
    out->low = seen.interval.low;
    out->high = seen.interval.high;
    out->p_value = seen.p_value;
    return true;
}

struct interaction interaction_of(struct interaction_cells *strata, size_t count, double alpha)
{
    struct interaction out = {.problem = INTERACTION_FINE};
    struct interaction_cells all = strata[0];
    struct effect_mean cells[CELLS];
    double units = 0;
    for (size_t i = 1; i < count; i++)
        all = merged(&all, &strata[i]);
    for (size_t c = 0; c < CELLS; c++)
        units += (double)all.cell[c].n;
    out.fewest = fewest_of(&all);
    if (out.fewest < INTERACTION_UNITS_MIN)
        out.problem = INTERACTION_FEW_UNITS;
    else if (rare_of(&all) < INTERACTION_RARE_MIN)
        out.problem = INTERACTION_FEW_EVENTS;
    if (out.problem)
        return out;
    weigh(strata, merge_strata(strata, count), units, cells);
    if (!estimate(cells, alpha, &out))
        out.problem = INTERACTION_NO_ESTIMATE;
    return out;
}

const char *interaction_problem_words(enum interaction_problem problem)
{
    static const char *const words[] = {"", "a combination of variants has too few customers",
                                        "too few events or answers of a kind",
                                        "a combination of variants shows no spread to judge by"};
    return words[problem];
}
