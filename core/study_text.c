/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Study, in words: of each metric what was computed, what that assumes and who says so. */
#include "core/study_parts.h"
#include "core/text.h"

enum { TEXT_BYTES_MAX = 2000 };

struct method_text {
    const char *computed, *assumption, *source;
};

static const struct method_text texts[] = {
#define STUDY_TEXT(computed, assumption, source) {computed, assumption, source},
#include "core/study_text.def"
#undef STUDY_TEXT
};

enum { QUANTILE_TEXT = sizeof texts / sizeof *texts - 1 };

static const struct method_text *text_of(const struct study_metric *metric)
{
    return &texts[metric->kind == STUDY_QUANTILE ? QUANTILE_TEXT : metric->settings.method];
}

static const char *unit_words(int kind)
{
    static const char *const words[] = {
        "the difference in the share that converted",
        "the difference in means per customer",
        "the difference in the ratio of sums",
        "the difference in promoters minus detractors, in points",
        "the difference in the share that gave one of the two best scores",
        "the difference in the quantile"};
    return words[kind];
}

static json_t *string_of(struct text *text)
{
    json_t *string = json_stringn(text->ptr, text->len);
    text_release(text);
    return string;
}

static bool has_p_value(const struct study_comparison *comparison)
{
    return comparison->inference.has_p_value;
}

static bool has_e_value(const struct study_comparison *comparison)
{
    return comparison->inference.has_e_value;
}

static bool begins_anew(const struct study_comparison *comparison)
{
    return comparison->drift || comparison->restarted;
}

static bool any_comparison(const struct study *study, const struct study_metric *metric,
                           bool (*holds)(const struct study_comparison *comparison))
{
    for (size_t i = 0; i + 1 < study->variant_count; i++)
        if (holds(&metric->arms.comparisons[i]))
            return true;
    return false;
}

/* What is left of the strata where most are. */
static size_t strata_used(const struct study *study, const struct study_metric *metric)
{
    size_t most = 0;
    for (size_t i = 0; i + 1 < study->variant_count; i++)
        if (metric->arms.comparisons[i].strata > most)
            most = metric->arms.comparisons[i].strata;
    return most;
}

static json_t *computed_text(const struct study *study, const struct study_metric *metric)
{
    const struct study_settings *settings = &metric->settings;
    bool covariate = metric->arms.strata[0][0].covariate && settings->method != STUDY_EXACT;
    struct text text;
    text_init(&text, TEXT_BYTES_MAX);
    text_printf(&text, "Of %s%s. %s", unit_words(metric->kind),
                settings->effect == EFFECT_RELATIVE ? ", relative to the control" : "",
                text_of(metric)->computed);
    if (any_comparison(study, metric, has_e_value))
        text_puts(&text, " The e-value is evidence against no effect.");
    if (covariate)
        text_puts(&text, " What customers did before is taken out (CUPED).");
    if (metric->cap_percentile > 0)
        text_printf(&text, " Values above percentile %g of all customers together count as that.",
                    metric->cap_percentile);
    if (strata_used(study, metric) > 1)
        text_puts(&text, " Epochs with different weights are compared each by itself, then put "
                         "together by size.");
    if (metric->before && !any_comparison(study, metric, begins_anew))
        text_puts(&text, " The range is what the ranges of all looks hold in common.");
    if (metric->has_margin)
        text_puts(&text, " A guardrail holds where the whole range is better than its limit.");
    if (study->correction != STUDY_NONE && metric->role != STUDY_GUARDRAIL &&
        any_comparison(study, metric, has_p_value))
        text_printf(&text, " p-values are corrected for several comparisons (%s).",
                    study_correction_words[study->correction]);
    return string_of(&text);
}

static json_t *assumption_text(const struct study_metric *metric)
{
    bool survey = metric->kind == MOMENTS_NPS || metric->kind == MOMENTS_CSAT;
    struct text text;
    text_init(&text, TEXT_BYTES_MAX);
    text_puts(&text, text_of(metric)->assumption);
    if (survey)
        text_puts(&text, " It speaks of those who answered.");
    return string_of(&text);
}

static json_t *source_text(const struct study *study, const struct study_metric *metric)
{
    const struct study_settings *settings = &metric->settings;
    bool exact = settings->method == STUDY_EXACT;
    struct text text;
    text_init(&text, TEXT_BYTES_MAX);
    text_puts(&text, text_of(metric)->source);
    if (!exact && metric->arms.strata[0][0].covariate)
        text_puts(&text, "; CUPED: Deng, Xu, Kohavi and Walker 2013 [Deng2013]");
    bool relative = settings->effect == EFFECT_RELATIVE && metric->kind != STUDY_QUANTILE;
    bool fieller = relative && study_by_fieller(settings) && settings->method != STUDY_BAYESIAN;
    if (fieller)
        text_puts(&text, "; ranges of ratios: Fieller 1954 [Fieller1954]");
    if ((relative && !fieller) || metric->kind == MOMENTS_RATIO)
        text_puts(&text, "; delta method: Deng, Knoblich and Lu 2018 [Deng2018]");
    if (!exact && strata_used(study, metric) > 1)
        text_puts(&text, "; strata: Miratrix, Sekhon and Yu 2013 [Miratrix2013]");
    return string_of(&text);
}

json_t *study_text_report(const struct study *study, const struct study_metric *metric)
{
    return json_pack("{s:o, s:o, s:o}", "computed", computed_text(study, metric), "assumption",
                     assumption_text(metric), "source", source_text(study, metric));
}
