/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Group: two grids, where the path is before a look and after it. For symmetric boundaries they are
 * symmetric too, and both halves are carried: the price of one way for both tests. */
#include "stats/group.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

#include "stats/root.h"

/* Beyond so many standard deviations nothing is left that a sum could tell. */
static const double reach = 20, step_reach = 9;

/* Where the score may be between two ends: the mass that Simpson's rule gives to points `step`
 * apart. */
struct grid {
    double low, step;
    size_t count; /* odd */
    double *mass;
};

struct search {
    const struct grid *grid; /* NULL: before the first look */
    double root;             /* sqrt(t_k) */
    double sd;               /* of the step from the look before */
    double log_share;        /* of what is to be spent */
    bool two;
};

double group_spent(const struct group *group, double a, double t)
{
    double gamma = group->gamma;
    t = fmin(t, 1);
    switch (group->function) {
    case GROUP_OBRIEN_FLEMING:
        return 2 * gsl_cdf_ugaussian_Q(gsl_cdf_ugaussian_Qinv(a / 2) / sqrt(t));
    case GROUP_POCOCK:
        return a * log1p((M_E - 1) * t);
    case GROUP_KIM_DEMETS:
        return a * pow(t, gamma);
    case GROUP_HWANG:
        return gamma == 0 ? a * t : a * expm1(-gamma * t) / expm1(-gamma);
    }
    return 0;
}

/* What of the path may be spent up to look k, on one side. */
static double spent_at(const struct group *group, double a, size_t k)
{
    return group_spent(group, a, group->spending ? group->spending[k] : group->times[k]);
}

/* The chance to be at or past c at this look, and within the boundaries before it: on both sides
 * together where both are tested, divided by two, as the share is that of one side. */
static double beyond(const struct search *search, double c)
{
    double end = c * search->root, sum = 0;
    if (!search->grid)
        return gsl_cdf_ugaussian_Q(c);
    for (size_t i = 0; i < search->grid->count; i++) {
        double s = search->grid->low + (double)i * search->grid->step;
        double out = gsl_cdf_ugaussian_Q((end - s) / search->sd);
        if (search->two)
            out = (out + gsl_cdf_ugaussian_Q((end + s) / search->sd)) / 2;
        sum += search->grid->mass[i] * out;
    }
    return sum;
}

static double excess(double c, void *data)
{
    const struct search *search = data;
    double chance = beyond(search, c);
    return (chance > 0 ? log(chance) : -1e4) - search->log_share;
}

static double critical_of(struct search *search, double share, gsl_root_fsolver *solver)
{
    gsl_function function = {excess, search};
    if (!(share > 1e-300))
        return GROUP_CRITICAL_MAX;
    search->log_share = log(share);
    double c = root_between(solver, &function, search->two ? 0 : -reach, GROUP_CRITICAL_MAX);
    return fmin(c, GROUP_CRITICAL_MAX);
}

/* Where the path goes on after a look: its ends, and points close enough for the shorter of the
 * steps to this look, which is how sharp the density may be at its ends, and from it. */
static bool make_grid(struct grid *grid, double root, double c, double shorter_sd, bool two)
{
    double high = fmin(c, reach) * root, low = two ? -high : -reach * root;
    double step = fmin(shorter_sd / GROUP_STEPS, root / 16);
    size_t intervals = (size_t)ceil((high - low) / step);
    intervals += intervals % 2;
    intervals = intervals < 8 ? 8 : intervals;
    *grid =
        (struct grid){.low = low, .step = (high - low) / (double)intervals, .count = intervals + 1};
    grid->mass = calloc(grid->count, sizeof *grid->mass);
    return grid->mass != NULL;
}

/* The density at s after a step from `from`. The normal density at points that lie evenly is a
 * product that needs no exponential a point: from u to u - d it grows by exp(u d - d^2/2), and that
 * factor shrinks by exp(-d^2). After n points it is off by n^2/2 roundings. */
static double carried(const struct grid *from, double s, double sd)
{
    double first = (s - step_reach * sd - from->low) / from->step;
    double last = (s + step_reach * sd - from->low) / from->step;
    size_t begin = first > 0 ? (size_t)first : 0;
    size_t end = last < 0 ? 0 : (size_t)fmin(last + 1, (double)from->count);
    double d = from->step / sd, u = (s - (from->low + (double)begin * from->step)) / sd;
    double density = gsl_ran_ugaussian_pdf(u) / sd;
    double growth = exp(u * d - d * d / 2), shrink = exp(-d * d), sum = 0;
    for (size_t i = begin; i < end; i++) {
        sum += from->mass[i] * density;
        density *= growth;
        growth *= shrink;
    }
    return sum;
}

/* Carries the path over a step; from nothing (before the first look) it is that step. */
static void carry(const struct grid *from, struct grid *to, double sd)
{
    for (size_t j = 0; j < to->count; j++) {
        double s = to->low + (double)j * to->step;
        double density = from ? carried(from, s, sd) : gsl_ran_gaussian_pdf(s, sd);
        double weight = j == 0 || j + 1 == to->count ? 1 : j % 2 ? 4 : 2;
        to->mass[j] = density * weight * to->step / 3;
    }
}

bool group_critical(const struct group *group, double alpha, enum sides sides, double *out)
{
    bool two = sides == SIDES_TWO, ok = true;
    double a = two ? alpha / 2 : alpha, before = 0, spent = 0;
    struct grid grid = {.mass = NULL};
    gsl_root_fsolver *solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    ok = solver != NULL;
    for (size_t k = 0; ok && k < group->looks; k++) {
        double t = group->times[k], sd = sqrt(t - before), now = spent_at(group, a, k);
        const struct grid *last = k ? &grid : NULL;
        struct search search = {.grid = last, .root = sqrt(t), .sd = sd, .two = two};
        struct grid next;
        out[k] =
            k < group->known_count ? group->known[k] : critical_of(&search, now - spent, solver);
        spent = now;
        before = t;
        if (k + 1 == group->looks)
            break;
        ok = make_grid(&next, sqrt(t), out[k], fmin(sd, sqrt(group->times[k + 1] - t)), two);
        if (ok) {
            carry(last, &next, sd);
            free(grid.mass);
            grid = next;
        }
    }
    free(grid.mass);
    if (solver)
        gsl_root_fsolver_free(solver);
    return ok;
}

/* --- under a drift --- */

/* Where paths without drift are within given boundaries: one grid for each look but the last. */
struct paths {
    const struct group *group;
    const double *critical;
    struct grid *grids;
    bool two;
};

static void release_paths(struct paths *paths)
{
    for (size_t k = 0; paths->grids && k + 1 < paths->group->looks; k++)
        free(paths->grids[k].mass);
    free(paths->grids);
}

/* False where memory is out; release them either way. */
static bool make_paths(struct paths *paths, const struct group *group, const double *critical,
                       bool two)
{
    const double *times = group->times;
    *paths = (struct paths){group, critical, calloc(group->looks, sizeof(struct grid)), two};
    for (size_t k = 0; paths->grids && k + 1 < group->looks; k++) {
        double sd = sqrt(times[k] - (k ? times[k - 1] : 0));
        struct grid *grid = &paths->grids[k];
        if (!make_grid(grid, sqrt(times[k]), critical[k], fmin(sd, sqrt(times[k + 1] - times[k])),
                       two))
            return false;
        carry(k ? grid - 1 : NULL, grid, sd);
    }
    return paths->grids != NULL;
}

/* The chance to cross at look k first: upward for sign 1, downward for -1. */
static double crossing_at(const struct paths *paths, size_t k, double theta, int sign)
{
    double t = paths->group->times[k], end = sign * paths->critical[k] * sqrt(t), sum = 0;
    if (k == 0)
        return gsl_cdf_ugaussian_Q(sign * (end - theta * t) / sqrt(t));
    const struct grid *grid = &paths->grids[k - 1];
    double before = paths->group->times[k - 1], sd = sqrt(t - before);
    for (size_t i = 0; i < grid->count; i++) {
        double s = grid->low + (double)i * grid->step;
        double tilt = exp(theta * (s - theta * before / 2));
        double out = gsl_cdf_ugaussian_Q(sign * (end - s - theta * (t - before)) / sd);
        sum += grid->mass[i] * tilt * out;
    }
    return sum;
}

static void cross(const struct paths *paths, double theta, double *up, double *down)
{
    for (size_t k = 0; k < paths->group->looks; k++) {
        up[k] = crossing_at(paths, k, theta, 1);
        down[k] = paths->two ? crossing_at(paths, k, theta, -1) : 0;
    }
}

bool group_crossing(const struct group *group, const double *critical, enum sides sides,
                    double theta, double *up, double *down)
{
    struct paths paths;
    bool ok = make_paths(&paths, group, critical, sides == SIDES_TWO);
    if (ok)
        cross(&paths, theta, up, down);
    release_paths(&paths);
    return ok;
}

struct power_sought {
    const struct paths *paths;
    double power;
};

static double power_missing(double theta, void *data)
{
    const struct power_sought *sought = data;
    double power = 0;
    for (size_t k = 0; k < sought->paths->group->looks; k++)
        power += crossing_at(sought->paths, k, theta, 1);
    return sought->power - power;
}

bool group_drift(const struct group *group, const double *critical, enum sides sides, double power,
                 double *theta, double *up, double *down)
{
    struct paths paths;
    struct power_sought sought = {&paths, power};
    gsl_function missing = {power_missing, &sought};
    gsl_root_fsolver *solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    bool ok = make_paths(&paths, group, critical, sides == SIDES_TWO) && solver;
    /* Upward from 1, so that the search does not see drifts far beyond what is asked for. */
    double high = 1;
    while (ok && high < 50 && GSL_FN_EVAL(&missing, high) > 0)
        high *= 1.25;
    ok = ok && high < 50;
    if (ok) {
        *theta = root_between(solver, &missing, 0, high);
        cross(&paths, *theta, up, down);
    }
    release_paths(&paths);
    if (solver)
        gsl_root_fsolver_free(solver);
    return ok;
}

struct interval group_interval(double estimate, double se, double critical, enum sides sides)
{
    return inference_interval(estimate, critical * se, sides);
}

bool group_crosses(double estimate, double se, double critical, enum sides sides)
{
    double z = estimate / se;
    return sides == SIDES_TWO ? fabs(z) >= critical : (sides == SIDES_GREATER ? z : -z) >= critical;
}
