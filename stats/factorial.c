/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Factorial: the kernel of a model over the cells, its pseudo-inverse, and sums over cells. */
#include "stats/factorial.h"

#include <float.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <string.h>

/* Eigenvalues below this share of the largest are 0; so is what a linear function has outside the
 * span of the cells, and a weight beside the largest. Levels are counted, so true ones are far
 * above. */
static const double eigen_share = 1e-10, outside_share = 1e-8, weight_share = 1e-10;
static const long double zero_share = 1e-12L;

/* --- rows ------------------------------------------------------------------------------------- */

/* The row of a factor's first level's mean; its main effects follow. */
static size_t row_of(const struct factorial *design, size_t factor)
{
    size_t row = 0;
    for (size_t f = 0; f < factor; f++)
        row += design->levels[f];
    return row;
}

size_t factorial_rows(const struct factorial *design)
{
    return row_of(design, design->factors) + design->cells;
}

static size_t at(const struct factorial *design, size_t cell, size_t factor)
{
    return design->at[cell * design->factors + factor];
}

static size_t pair_df(const struct factorial *design, size_t f, size_t g)
{
    return (design->levels[f] - 1) * (design->levels[g] - 1);
}

/* --- a model ---------------------------------------------------------------------------------- */

/* Room for one design. */
struct model {
    struct factorial *design;
    bool in[FACTORIAL_FACTORS_MAX][FACTORIAL_FACTORS_MAX]; /* interactions, f < g */
    gsl_matrix *kernel, *vectors, *inverse;
    gsl_vector *values, *function;
    gsl_eigen_symmv_workspace *workspace;
};

static void release(struct model *model)
{
    gsl_matrix_free(model->kernel);
    gsl_matrix_free(model->vectors);
    gsl_matrix_free(model->inverse);
    gsl_vector_free(model->values);
    gsl_vector_free(model->function);
    gsl_eigen_symmv_free(model->workspace);
}

static bool make(struct model *model, struct factorial *design)
{
    size_t n = design->cells;
    *model = (struct model){
        .design = design,
        .kernel = gsl_matrix_alloc(n, n),
        .vectors = gsl_matrix_alloc(n, n),
        .inverse = gsl_matrix_alloc(n, n),
        .values = gsl_vector_alloc(n),
        .function = gsl_vector_alloc(n),
        .workspace = gsl_eigen_symmv_alloc(n),
    };
    for (size_t f = 0; f < design->factors; f++)
        for (size_t g = f + 1; g < design->factors; g++)
            model->in[f][g] = pair_df(design, f, g) > 0;
    return model->kernel && model->vectors && model->inverse && model->values && model->function &&
           model->workspace;
}

static double kernel(const struct model *model, size_t c, size_t d)
{
    const struct factorial *design = model->design;
    double alike[FACTORIAL_FACTORS_MAX], sum = 1;
    for (size_t f = 0; f < design->factors; f++) {
        double same = at(design, c, f) == at(design, d, f);
        alike[f] = same - 1 / (double)design->levels[f];
        sum += alike[f];
    }
    for (size_t f = 0; f < design->factors; f++)
        for (size_t g = f + 1; g < design->factors; g++)
            sum += model->in[f][g] ? alike[f] * alike[g] : 0;
    return sum;
}

/* K^+ = W W' with the eigenvectors over the roots of their eigenvalues in W. */
static bool invert(struct model *model)
{
    size_t n = model->design->cells;
    for (size_t c = 0; c < n; c++)
        for (size_t d = 0; d < n; d++)
            gsl_matrix_set(model->kernel, c, d, kernel(model, c, d));
    if (gsl_eigen_symmv(model->kernel, model->values, model->vectors, model->workspace))
        return false;
    double least = eigen_share * gsl_vector_max(model->values);
    for (size_t i = 0; i < n; i++) {
        double value = gsl_vector_get(model->values, i);
        gsl_vector_view column = gsl_matrix_column(model->vectors, i);
        gsl_vector_scale(&column.vector, value > least ? 1 / sqrt(value) : 0);
    }
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, model->vectors, model->vectors, 0, model->inverse);
    return true;
}

/* The weights of the linear function in model->function, whose squared norm is `norm`; whether it
 * is identified. */
static bool solve(struct model *model, double norm, double *weights)
{
    size_t n = model->design->cells;
    gsl_vector_view out = gsl_vector_view_array(weights, n);
    double inside, most = 0;
    gsl_blas_dgemv(CblasNoTrans, 1, model->inverse, model->function, 0, &out.vector);
    gsl_blas_ddot(&out.vector, model->function, &inside);
    for (size_t c = 0; c < n; c++)
        most = fmax(most, fabs(weights[c]));
    for (size_t c = 0; c < n; c++)
        if (fabs(weights[c]) <= weight_share * most)
            weights[c] = 0;
    return norm - inside <= outside_share * norm;
}

/* 1 at the level, -1 at the first, 0 elsewhere. */
static double against_first(const struct factorial *design, size_t cell, size_t factor,
                            size_t level)
{
    size_t here = at(design, cell, factor);
    return here == level ? 1 : here == 0 ? -1 : 0;
}

/* Row 0 of a factor: the mean at its first level; row l: the main effect of level l. */
static bool weigh_factor_row(struct model *model, size_t f, size_t level, double *weights)
{
    const struct factorial *design = model->design;
    double rest = 1 - 1 / (double)design->levels[f];
    for (size_t c = 0; c < design->cells; c++) {
        double first = rest + (at(design, c, f) == 0 ? 1 : 0);
        gsl_vector_set(model->function, c, level ? against_first(design, c, f, level) : first);
    }
    return solve(model, level ? 2 : 1 + rest, weights);
}

static void weigh_factor(struct model *model, size_t f)
{
    struct factorial *design = model->design;
    size_t row = row_of(design, f);
    for (size_t level = 0; level < design->levels[f]; level++, row++)
        design->identified[row] =
            weigh_factor_row(model, f, level, &design->weights[row * design->cells]);
}

/* The df rows of an interaction, one after the other; false at the first that is not identified. */
static bool weigh_pair(struct model *model, size_t f, size_t g, double *weights)
{
    const struct factorial *design = model->design;
    for (size_t l = 1; l < design->levels[f]; l++)
        for (size_t k = 1; k < design->levels[g]; k++, weights += design->cells) {
            for (size_t c = 0; c < design->cells; c++)
                gsl_vector_set(model->function, c,
                               against_first(design, c, f, l) * against_first(design, c, g, k));
            if (!solve(model, 4, weights))
                return false;
        }
    return true;
}

/* Takes the interactions out of the model that the whole of it does not identify; whether there
 * were any. The rows of the pairs are scratch until weigh_pairs. */
static bool reduce(struct model *model)
{
    const struct factorial *design = model->design;
    bool kept[FACTORIAL_FACTORS_MAX][FACTORIAL_FACTORS_MAX] = {{false}}, any = false;
    double *scratch = &design->weights[row_of(design, design->factors) * design->cells];
    for (size_t f = 0; f < design->factors; f++)
        for (size_t g = f + 1; g < design->factors; g++) {
            bool fits = pair_df(design, f, g) < design->cells;
            kept[f][g] = model->in[f][g] && fits && weigh_pair(model, f, g, scratch);
            any = any || (model->in[f][g] && !kept[f][g]);
        }
    memcpy(model->in, kept, sizeof kept);
    return any;
}

/* What a model identifies has no more rows than there are cells. */
static void weigh_pairs(struct model *model)
{
    struct factorial *design = model->design;
    size_t row = row_of(design, design->factors);
    for (size_t f = 0; f < design->factors; f++)
        for (size_t g = f + 1; g < design->factors; g++) {
            size_t *first = &design->pairs[f * design->factors + g];
            *first = 0;
            if (!model->in[f][g])
                continue;
            *first = row;
            weigh_pair(model, f, g, &design->weights[row * design->cells]);
            for (size_t i = 0; i < pair_df(design, f, g); i++)
                design->identified[row++] = true;
        }
}

bool factorial_weigh(struct factorial *design)
{
    struct model model;
    bool fine = make(&model, design) && invert(&model);
    if (fine && reduce(&model))
        fine = invert(&model);
    if (fine) {
        for (size_t f = 0; f < design->factors; f++)
            weigh_factor(&model, f);
        weigh_pairs(&model);
    }
    release(&model);
    return fine;
}

/* --- sums over cells -------------------------------------------------------------------------- */

static const double *weights_of(const struct factorial *design, size_t row)
{
    return &design->weights[row * design->cells];
}

/* Whether all cells that weigh have an estimate; *cell is the first that has none. */
static bool all_known(const struct factorial *design, const double *weights,
                      const struct effect_mean *cells, size_t *cell)
{
    for (*cell = 0; *cell < design->cells; ++*cell)
        if (weights[*cell] != 0 && cells[*cell].problem)
            return false;
    return true;
}

/* Sum of weights times means. Weights with the sum 0 leave a level that all cells share out; it is
 * taken off first, so that no digits are lost to it. */
static long double combine(const struct factorial *design, const double *weights,
                           const struct effect_mean *cells, long double level)
{
    long double sum = 0;
    for (size_t c = 0; c < design->cells; c++)
        if (weights[c] != 0)
            sum += weights[c] * (cells[c].mean - level);
    return sum;
}

static long double level_of(const struct factorial *design, const double *weights,
                            const struct effect_mean *cells)
{
    for (size_t c = 0; c < design->cells; c++)
        if (weights[c] != 0)
            return cells[c].mean;
    return 0;
}

/* L0, or 0 where only rounding keeps it from it. */
static long double reference(const struct factorial *design, const double *weights,
                             const struct effect_mean *cells)
{
    long double mean = combine(design, weights, cells, 0), terms = 0;
    for (size_t c = 0; c < design->cells; c++)
        if (weights[c] != 0)
            terms += fabsl(weights[c] * cells[c].mean);
    return fabsl(mean) <= zero_share * terms ? 0 : mean;
}

static double units_of(const struct factorial *design, const double *weights, const double *first,
                       const struct effect_mean *cells)
{
    long double units = 0;
    for (size_t c = 0; c < design->cells; c++)
        if (weights[c] != 0 || (first && first[c] != 0))
            units += cells[c].units;
    return (double)units;
}

static double df_of(const struct factorial *design, const double *weights,
                    const struct effect_mean *cells)
{
    long double square = 0, welch = 0;
    for (size_t c = 0; c < design->cells; c++) {
        long double a2 = (long double)weights[c] * weights[c];
        if (weights[c] == 0)
            continue;
        square += a2 * cells[c].variance;
        welch += a2 * a2 * cells[c].welch;
    }
    return (double)(square * square / welch);
}

/* sum (a_c - r a0_c)^2 V_c; first is NULL where r is 0. */
static long double squared_error(const struct factorial *design, const double *weights,
                                 const double *first, long double r,
                                 const struct effect_mean *cells)
{
    long double sum = 0;
    for (size_t c = 0; c < design->cells; c++) {
        long double weight = weights[c] - (first ? r * first[c] : 0);
        if (weight != 0)
            sum += weight * weight * cells[c].variance;
    }
    return sum;
}

static struct factorial_effect finish(struct factorial_effect out)
{
    const struct effect *effect = &out.effect;
    bool sound = isfinite(effect->estimate) && isfinite(effect->se) && effect->se > 0 &&
                 isfinite(effect->df) && effect->df > 0 && isfinite(effect->base);
    return out.problem || sound ? out
                                : (struct factorial_effect){.problem = FACTORIAL_OUT_OF_RANGE};
}

static struct factorial_effect contrast(const struct factorial *design,
                                        const struct effect_mean *cells, const double *weights)
{
    struct factorial_effect out = {.problem = FACTORIAL_FINE};
    if (!all_known(design, weights, cells, &out.cell))
        return (struct factorial_effect){.problem = FACTORIAL_CELL, .cell = out.cell};
    out.cell = 0;
    long double level = level_of(design, weights, cells);
    out.effect.estimate = (double)combine(design, weights, cells, level);
    out.effect.se = (double)sqrtl(squared_error(design, weights, NULL, 0, cells));
    out.effect.units = units_of(design, weights, NULL, cells);
    out.effect.df = df_of(design, weights, cells);
    return out;
}

static long double covariance(const struct factorial *design, const double *a, const double *b,
                              const struct effect_mean *cells)
{
    long double sum = 0;
    for (size_t c = 0; c < design->cells; c++)
        if (a[c] != 0 && b[c] != 0)
            sum += (long double)a[c] * b[c] * cells[c].variance;
    return sum;
}

/* Makes an absolute main effect relative to the first level's mean. */
static struct factorial_effect relate(const struct factorial *design,
                                      const struct effect_mean *cells, const double *weights,
                                      const double *first, long double base,
                                      struct factorial_effect out)
{
    long double level = level_of(design, weights, cells);
    long double difference = combine(design, weights, cells, level);
    long double r = difference / base; /* L1/L0 - 1 */
    out.effect.ratio = (struct effect_ratio){
        .difference = difference,
        .base = fabsl(base),
        .constant = covariance(design, weights, weights, cells),
        .linear = (base < 0 ? -1 : 1) * covariance(design, weights, first, cells),
        .square = covariance(design, first, first, cells),
    };
    out.effect.units = units_of(design, weights, first, cells);
    out.effect.estimate = (double)(base < 0 ? -r : r);
    out.effect.se = (double)(sqrtl(squared_error(design, weights, first, r, cells)) / fabsl(base));
    return out;
}

struct factorial_effect factorial_main(const struct factorial *design,
                                       const struct effect_mean *cells, size_t factor, size_t level,
                                       enum effect_scale scale)
{
    size_t row = row_of(design, factor), cell = 0;
    const double *first = weights_of(design, row), *weights = weights_of(design, row + level);
    bool relative = scale == EFFECT_RELATIVE;
    if (!design->identified[row + level] || (relative && !design->identified[row]))
        return (struct factorial_effect){.problem = FACTORIAL_NOT_IDENTIFIED};
    struct factorial_effect out = contrast(design, cells, weights);
    if (out.problem)
        return out;
    bool has_base = design->identified[row] && all_known(design, first, cells, &cell);
    if (relative && !has_base)
        return (struct factorial_effect){.problem = FACTORIAL_CELL, .cell = cell};
    long double base = has_base ? reference(design, first, cells) : 0;
    if (relative && base == 0)
        return (struct factorial_effect){.problem = FACTORIAL_REFERENCE_ZERO};
    if (relative)
        out = relate(design, cells, weights, first, base, out);
    out.effect.base = (double)fabsl(base);
    return finish(out);
}

struct factorial_effect factorial_difference(const struct factorial *design,
                                             const struct effect_mean *cells, size_t f, size_t g,
                                             size_t l, size_t k)
{
    size_t first = design->pairs[f * design->factors + g];
    if (first == 0)
        return (struct factorial_effect){.problem = FACTORIAL_NOT_IDENTIFIED};
    size_t row = first + (l - 1) * (design->levels[g] - 1) + (k - 1);
    return finish(contrast(design, cells, weights_of(design, row)));
}

/* --- Wald ------------------------------------------------------------------------------------- */

/* The correlations of the differences that begin with row `first`, whose errors are known. */
static void correlate(const struct factorial *design, const struct effect_mean *cells, size_t first,
                      const gsl_vector *errors, gsl_matrix *out)
{
    for (size_t i = 0; i < out->size1; i++)
        for (size_t j = 0; j <= i; j++) {
            const double *a = weights_of(design, first + i), *b = weights_of(design, first + j);
            long double sum = covariance(design, a, b, cells);
            double r = (double)(sum / gsl_vector_get(errors, i) / gsl_vector_get(errors, j));
            gsl_matrix_set(out, i, j, i == j ? 1 : r);
            gsl_matrix_set(out, j, i, i == j ? 1 : r);
        }
}

/* z' R^-1 z with z the differences over their errors and R their correlations. */
static bool quadratic(gsl_matrix *correlations, const gsl_vector *z, gsl_vector *room,
                      double *statistic)
{
    return gsl_linalg_cholesky_decomp1(correlations) == GSL_SUCCESS &&
           gsl_linalg_cholesky_solve(correlations, z, room) == GSL_SUCCESS &&
           gsl_blas_ddot(z, room, statistic) == GSL_SUCCESS && !isnan(*statistic);
}

static struct factorial_test wald(const struct factorial *design, const struct effect_mean *cells,
                                  size_t first, gsl_vector *z, gsl_vector *errors,
                                  gsl_matrix *correlations)
{
    double statistic;
    for (size_t i = 0; i < z->size; i++) {
        struct factorial_effect one =
            finish(contrast(design, cells, weights_of(design, first + i)));
        if (one.problem)
            return (struct factorial_test){.problem = one.problem, .cell = one.cell};
        gsl_vector_set(errors, i, one.effect.se);
        gsl_vector_set(z, i, one.effect.estimate / one.effect.se);
    }
    correlate(design, cells, first, errors, correlations);
    if (!quadratic(correlations, z, errors, &statistic))
        return (struct factorial_test){.problem = FACTORIAL_OUT_OF_RANGE};
    statistic = fmax(0, fmin(statistic, DBL_MAX));
    double df = (double)z->size;
    return (struct factorial_test){
        .statistic = statistic, .df = df, .p_value = gsl_cdf_chisq_Q(statistic, df)};
}

struct factorial_test factorial_interaction(const struct factorial *design,
                                            const struct effect_mean *cells, size_t f, size_t g)
{
    size_t first = design->pairs[f * design->factors + g], df = pair_df(design, f, g);
    struct factorial_test test = {.problem = FACTORIAL_OUT_OF_RANGE};
    if (first == 0)
        return (struct factorial_test){.problem = FACTORIAL_NOT_IDENTIFIED};
    gsl_vector *z = gsl_vector_alloc(df), *errors = gsl_vector_alloc(df);
    gsl_matrix *correlations = gsl_matrix_alloc(df, df);
    if (z && errors && correlations)
        test = wald(design, cells, first, z, errors, correlations);
    gsl_vector_free(z);
    gsl_vector_free(errors);
    gsl_matrix_free(correlations);
    return test;
}

/* --- the best cell ---------------------------------------------------------------------------- */

static struct segment_effect as_segment(const struct effect_mean *cell)
{
    return (struct segment_effect){(double)cell->mean, (double)sqrtl(cell->variance)};
}

size_t factorial_best(const struct effect_mean *cells, size_t count, bool decrease,
                      struct segment_effect *room, struct segment_effect *shrunk)
{
    size_t known = 0, best = count;
    struct segment_spread spread = {0};
    for (size_t c = 0; c < count; c++)
        if (!cells[c].problem)
            room[known++] = as_segment(&cells[c]);
    if (known > 0)
        spread = segment_spread_of(room, known);
    for (size_t c = 0; c < count; c++) {
        shrunk[c] = (struct segment_effect){0, 0};
        if (cells[c].problem)
            continue;
        shrunk[c] = segment_shrink(as_segment(&cells[c]), &spread);
        if (best == count || (decrease ? shrunk[c].estimate < shrunk[best].estimate
                                       : shrunk[c].estimate > shrunk[best].estimate))
            best = c;
    }
    return known > 1 && spread.tau_squared > 0 ? best : count;
}
