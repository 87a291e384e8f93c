/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bestarm: the peak of each arm's integrand, the integral around it, and shares from logarithms. */
#include "stats/bestarm.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_sf_erf.h>
#include <gsl/gsl_sort.h>
#include <math.h>

#include "stats/root.h"

/* The logarithm bends by 1 or more: at `reach` from the peak nothing is left. */
static const double reach = 9, peak_most = 1e6;
/* Below, a double's logarithm has no digits left to tell odds by. */
static const double log_least = -1e10;
/* Phi(u) is 1 above, and its hazard is 0. */
static const double sure = 9;
/* From `steep` on a rival is a step to the arm. */
static const double steep = 4, steepest = 1e12, widest = 1e300;
enum { PIECES_MAX = 1000, LEVELS = 4 };

/* One rival as arm i meets it: Phi(shift + slope z). */
struct rival {
    double shift, slope;
};

struct integrand {
    struct rival rivals[BESTARM_ARMS_MAX];
    size_t count;
    double peak_log; /* of the integrand at its peak */
};

/* --- the integrand ---------------------------------------------------------------------------- */

static double log_phi(double u)
{
    if (u > sure)
        return 0;
    return u > 0 ? log1p(-gsl_cdf_ugaussian_Q(u)) : gsl_sf_log_erfc(-u / M_SQRT2) - M_LN2;
}

static double log_integrand(const struct integrand *integrand, double z)
{
    double sum = -z * z / 2 - (M_LN2 + M_LNPI) / 2;
    for (size_t j = 0; j < integrand->count; j++)
        sum += log_phi(integrand->rivals[j].shift + integrand->rivals[j].slope * z);
    return sum;
}

static double relative_integrand(double z, void *data)
{
    const struct integrand *integrand = data;
    return exp(log_integrand(integrand, z) - integrand->peak_log);
}

/* phi(u)/Phi(u), the slope of log_phi. */
static double hazard(double u)
{
    return u > 4 * sure ? 0 : gsl_sf_hazard(-u);
}

static double slope(double z, void *data)
{
    const struct integrand *integrand = data;
    double sum = -z;
    for (size_t j = 0; j < integrand->count; j++)
        sum += integrand->rivals[j].slope *
               hazard(integrand->rivals[j].shift + integrand->rivals[j].slope * z);
    return sum;
}

static double within(double x, double least, double most)
{
    return fmax(least, fmin(x, most));
}

static void meet(struct integrand *integrand, const struct bestarm_arm *arms, size_t count,
                 size_t i, double sign)
{
    integrand->count = 0;
    for (size_t j = 0; j < count; j++) {
        if (j == i)
            continue;
        long double se = fmaxl(arms[j].se, arms[i].se / (long double)steepest);
        long double apart = (long double)arms[i].mean - arms[j].mean;
        integrand->rivals[integrand->count++] = (struct rival){
            .shift = within((double)(sign * apart / se), -widest, widest),
            .slope = (double)(arms[i].se / se),
        };
    }
}

/* --- the integral ----------------------------------------------------------------------------- */

/* Tools of one call. */
struct tools {
    gsl_root_fsolver *solver;
    gsl_integration_workspace *workspace;
};

/* How far the logarithm is above a level below its peak. */
struct fall {
    const struct integrand *integrand;
    double level;
};

static double above(double z, void *data)
{
    const struct fall *fall = data;
    return log_integrand(fall->integrand, z) - fall->integrand->peak_log - fall->level;
}

/* Where the integrand has fallen to each level below its peak, going one way: cuts[LEVELS]. */
static void cut_levels(const struct integrand *integrand, double peak, double end,
                       struct tools *tools, double *cuts)
{
    static const double levels[LEVELS] = {-1, -4, -12, -40};
    double from = peak;
    for (size_t i = 0; i < LEVELS; i++) {
        struct fall fall = {integrand, levels[i]};
        gsl_function falling = {above, &fall};
        from = root_between(tools->solver, &falling, fmin(from, end), fmax(from, end));
        cuts[i] = from;
    }
}

/* Adds where rivals that are known far better begin to count, between the peak and `last`. */
static size_t cut_corners(const struct integrand *integrand, double peak, double last, double *cuts)
{
    size_t count = 0;
    for (size_t j = 0; j < integrand->count; j++) {
        const struct rival *rival = &integrand->rivals[j];
        double corner = (sure - rival->shift) / rival->slope;
        if (rival->slope > steep && corner > fmin(peak, last) && corner < fmax(peak, last))
            cuts[count++] = corner;
    }
    return count;
}

/* From the peak to one side, cut at levels and corners: between two cuts the integrand falls by a
 * bounded factor and has no step, so that nothing of it hides between the points of the rule. */
static double side(struct integrand *integrand, double peak, double direction, struct tools *tools)
{
    gsl_function function = {relative_integrand, integrand};
    double cuts[LEVELS + BESTARM_ARMS_MAX], sum = 0;
    cut_levels(integrand, peak, peak + direction * reach, tools, cuts);
    size_t count = LEVELS + cut_corners(integrand, peak, cuts[LEVELS - 1], &cuts[LEVELS]);
    gsl_sort(cuts, 1, count);
    for (size_t i = 0; i < count; i++) {
        double low = direction > 0 ? (i ? cuts[i - 1] : peak) : cuts[i];
        double high = direction > 0 ? cuts[i] : (i + 1 < count ? cuts[i + 1] : peak);
        double area = 0, error;
        /* A status says that the last digits cannot be had: the area is the best there is. */
        gsl_integration_qag(&function, low, high, 0, 1e-11, PIECES_MAX, GSL_INTEG_GAUSS31,
                            tools->workspace, &area, &error);
        sum += area;
    }
    return sum;
}

/* ln P_i. The peak lies where the slope, which falls, is 0: at 0 or above, as rivals only pull. */
static double log_chance(struct integrand *integrand, struct tools *tools)
{
    gsl_function falling = {slope, integrand};
    if (!(slope(peak_most, integrand) < 0))
        return -HUGE_VAL;
    double high = 1;
    while (high < peak_most && slope(high, integrand) > 0)
        high *= 2;
    double peak = root_between(tools->solver, &falling, 0, fmin(high, peak_most));
    integrand->peak_log = log_integrand(integrand, peak);
    if (integrand->peak_log < log_least)
        return -HUGE_VAL;
    double area = side(integrand, peak, -1, tools) + side(integrand, peak, 1, tools);
    return fmin(0, integrand->peak_log + log(area));
}

/* --- shares ----------------------------------------------------------------------------------- */

/* The largest logarithm of the rivals of arm j. */
static double most_likely(const struct bestarm *arms, size_t count, size_t j)
{
    double most = -HUGE_VAL;
    for (size_t i = 0; i < count; i++)
        if (i != j)
            most = fmax(most, arms[i].log_probability);
    return most;
}

/* Adds what the rivals of arm j get where j was drawn and is not kept: P_i/(1 - P_j) of it, both by
 * the likeliest rival. */
static void pass_on(struct bestarm *arms, size_t count, size_t j)
{
    double most = most_likely(arms, count, j), odds[BESTARM_ARMS_MAX], sum = 0;
    for (size_t i = 0; i < count; i++) {
        odds[i] = most > -HUGE_VAL ? exp(arms[i].log_probability - most) : 1;
        sum += i != j ? odds[i] : 0;
    }
    for (size_t i = 0; i < count; i++)
        if (i != j)
            arms[i].top_two += arms[j].probability / 2 * (odds[i] / sum);
}

static void share(struct bestarm *arms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        arms[i].top_two = count > 1 ? arms[i].probability / 2 : 1;
    for (size_t j = 0; j < count; j++)
        pass_on(arms, count, j);
}

bool bestarm_of(const struct bestarm_arm *arms, size_t count, bool decrease, struct bestarm *out)
{
    struct integrand integrand;
    struct tools tools = {
        .solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent),
        .workspace = gsl_integration_workspace_alloc(PIECES_MAX),
    };
    bool fine = tools.solver && tools.workspace;
    for (size_t i = 0; fine && i < count; i++) {
        meet(&integrand, arms, count, i, decrease ? -1 : 1);
        out[i].log_probability = log_chance(&integrand, &tools);
        out[i].probability = exp(out[i].log_probability);
    }
    if (fine)
        share(out, count);
    if (tools.solver)
        gsl_root_fsolver_free(tools.solver);
    gsl_integration_workspace_free(tools.workspace);
    return fine;
}
