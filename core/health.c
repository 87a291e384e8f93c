/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One function a check. `since` is carried from the last look as long as a check stays as bad. */
#include "core/health.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/json.h"
#include "core/text.h"
#include "core/when.h"
#include "stats/response.h"
#include "stats/srm.h"

/* Without an event for this long a running experiment is likely cut off. */
#define SILENCE_MOST WHEN_DAY

static const char *word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

const json_t *health_check(const json_t *report, const char *id)
{
    size_t i;
    json_t *row;
    json_array_foreach(report, i, row) if (strcmp(word(row, "id"), id) == 0) return row;
    return NULL;
}

/* Takes over `evidence`. */
static void add(json_t *report, const struct health_input *input, const char *id,
                const char *status, const char *text, json_t *evidence)
{
    const json_t *before = health_check(input->before, id);
    json_t *since = json_object_get(before, "since");
    bool same = strcmp(word(before, "status"), status) == 0 && json_is_string(since);
    since = strcmp(status, "ok") == 0 ? json_null()
            : same                    ? json_incref(since)
                                      : json_when(input->now);
    json_array_append_new(report, json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", id, "status", status,
                                            "text", text, "since", since, "evidence", evidence));
}

/* "< 0.001" or "= 0.41". */
static void p_words(double p, char out[32])
{
    if (p < 0.001)
        snprintf(out, 32, "p < 0.001");
    else
        snprintf(out, 32, p < 0.01 ? "p = %.3f" : "p = %.2f", p);
}

/* --- the checks ----------------------------------------------------------------------------- */

/* "control 52.1% (planned 50.0%)" for the variant that is furthest off. */
static void split_words(const struct health_input *input, struct text *out)
{
    double weights = 0, worst = -1;
    const char *name = "";
    double seen = 0, planned = 0;
    size_t i;
    json_t *row;
    json_array_foreach(input->variants, i, row) weights +=
        json_number_value(json_object_get(row, "weight"));
    json_array_foreach(input->variants, i, row)
    {
        double share = json_number_value(json_object_get(row, "exposed")) / (double)input->exposed;
        double plan = json_number_value(json_object_get(row, "weight")) / weights;
        if (fabs(share - plan) > worst) {
            worst = fabs(share - plan);
            name = word(row, "name");
            seen = share;
            planned = plan;
        }
    }
    text_printf(out, "%s %.1f%%, planned %.1f%%", name, 100 * seen, 100 * planned);
}

static void check_split(json_t *report, const struct health_input *input)
{
    const json_t *sequential = json_object_get(input->srm, "sequential");
    bool off = json_is_true(json_object_get(input->srm, "mismatch"));
    double p = json_number_value(json_object_get(sequential, "p_value"));
    char words[32];
    struct text text;
    text_init(&text, 400);
    p_words(p, words);
    if (input->exposed == 0 || !input->srm) {
        text_puts(&text, "Nobody exposed yet");
    } else if (off) {
        text_puts(&text, "Traffic split is off: ");
        split_words(input, &text);
        text_printf(&text, " (%s)", words);
    } else {
        text_printf(&text, "Traffic split as planned (%s)", words);
    }
    add(report, input, "sample-ratio", off ? "fail" : "ok", text.ptr,
        input->srm ? json_deep_copy(input->srm) : json_null());
    text_release(&text);
}

double health_crossed_share(const struct health_input *input)
{
    int64_t all = input->exposed + input->crossed;
    return all ? (double)input->crossed / (double)all : 0;
}

static void check_crossovers(json_t *report, const struct health_input *input)
{
    char text[160];
    double share = health_crossed_share(input);
    if (input->crossed)
        snprintf(text, sizeof text, "%lld customers (%.2g%%) saw more than one variant, left out",
                 (long long)input->crossed, 100 * share);
    else
        snprintf(text, sizeof text, "Nobody saw more than one variant");
    add(report, input, "crossovers",
        share > HEALTH_CROSSED_MAX ? "fail"
        : input->crossed           ? "warn"
                                   : "ok",
        text, json_pack("{s:I, s:f}", "customers", (json_int_t)input->crossed, "share", share));
}

static void check_events(json_t *report, const struct health_input *input)
{
    char text[160];
    int64_t silence = input->now - input->last_event_at;
    bool silent = input->running && (!input->last_event_at || silence > SILENCE_MOST);
    if (!input->running)
        snprintf(text, sizeof text, "Not running: no event is expected");
    else if (!input->last_event_at)
        snprintf(text, sizeof text,
                 input->exposed > 0 ? "No event since the server was started" : "No event yet");
    else if (silence >= 2 * WHEN_DAY)
        snprintf(text, sizeof text, "No event for %lld days", (long long)(silence / WHEN_DAY));
    else if (silence >= 2 * WHEN_HOUR)
        snprintf(text, sizeof text, "Last event %lld hours ago", (long long)(silence / WHEN_HOUR));
    else
        snprintf(text, sizeof text, "Events arriving, last %lld min ago",
                 (long long)(silence > 0 ? silence / 60000 : 0));
    add(report, input, "events", silent ? "warn" : "ok", text,
        json_pack("{s:o, s:I}", "last_event_at",
                  input->last_event_at ? json_when(input->last_event_at) : json_null(), "rejected",
                  (json_int_t)input->rejected));
}

/* Do all variants answer a survey alike? At every look; the study's `response` has no ces. */
static double answers_p_value(const json_t *answers)
{
    size_t arms = json_array_size(answers), i;
    double *counts = xcalloc(arms + 1, sizeof *counts), *asked = xcalloc(arms + 1, sizeof *asked);
    json_t *row;
    json_array_foreach(answers, i, row)
    {
        counts[i] = json_number_value(json_object_get(row, "n"));
        asked[i] = json_number_value(json_object_get(row, "asked"));
    }
    double p = response_sequential(counts, asked, arms);
    free(counts);
    free(asked);
    return p;
}

/* Who answers differs most clearly so: by which segment, in which variant, and whether that turns
 * the sign of an effect. */
struct unlike {
    double p_value; /* of one look, times how many were looked at; 1 where there is none */
    const char *segment, *variant;
    bool turns;
};

static struct unlike unlike_of(const json_t *metric)
{
    struct unlike unlike = {.p_value = 1};
    size_t i, j, looked_at = 0;
    json_t *row, *balance;
    double least = 1;
    json_array_foreach(json_object_get(metric, "comparisons"), i, row)
    {
        const json_t *response = json_object_get(row, "response");
        unlike.turns = unlike.turns || json_is_false(json_object_get(response, "sign_agrees"));
        json_array_foreach(json_object_get(response, "balance"), j, balance)
        {
            const json_t *p = json_object_get(json_object_get(balance, "composition"), "p_value");
            looked_at += json_is_number(p);
            if (!json_is_number(p) || json_number_value(p) >= least)
                continue;
            least = json_number_value(p);
            unlike.segment = word(balance, "segment");
            unlike.variant = word(row, "variant");
        }
    }
    unlike.p_value = looked_at ? fmin(1, least * (double)looked_at) : 1;
    return unlike;
}

/* "CSAT 12.1% and 10.3%". */
static void rate_words(const json_t *metric, struct text *out)
{
    size_t i;
    json_t *row;
    text_printf(out, "%s", word(metric, "name"));
    json_array_foreach(json_object_get(metric, "answers"), i, row)
    {
        json_t *rate = json_object_get(row, "rate");
        if (json_is_number(rate) && i < 4)
            text_printf(out, "%s %s %.1f%%", i ? "," : "", word(row, "variant"),
                        100 * json_number_value(rate));
    }
}

/* "CSAT of b by device". */
static void unlike_words(const json_t *metric, const struct unlike *unlike, struct text *out)
{
    text_printf(out, "%s of %s by %s%s", word(metric, "name"), unlike->variant, unlike->segment,
                unlike->turns ? ", which turns the sign of an effect" : "");
}

/* Adds to a list in words. */
static struct text *listed(struct text *list, const char *beginning)
{
    text_puts(list, list->len ? "; " : beginning);
    return list;
}

static json_t *answers_evidence(const json_t *metric, double p, const struct unlike *unlike)
{
    return json_pack("{s:s, s:f, s:b, s:f, s:b, s:s?, s:b}", "metric", word(metric, "key"),
                     "p_value", p, "differs", p < SRM_ALARM, "composition_p_value", unlike->p_value,
                     "composition_differs", unlike->p_value < SRM_ALARM, "segment", unlike->segment,
                     "sign_turns", unlike->turns);
}

static void check_answers(json_t *report, const struct health_input *input)
{
    struct text alike, rates, others;
    size_t i;
    json_t *metric, *evidence = json_array();
    text_init(&alike, 2000);
    text_init(&rates, 2000);
    text_init(&others, 2000);
    json_array_foreach(input->metrics, i, metric)
    {
        const json_t *answers = json_object_get(metric, "answers");
        if (!answers)
            continue;
        double p = answers_p_value(answers);
        struct unlike unlike = unlike_of(metric);
        json_array_append_new(evidence, answers_evidence(metric, p, &unlike));
        rate_words(metric, p < SRM_ALARM ? listed(&rates, "Variants answer unlike: ")
                                         : listed(&alike, "Answered: "));
        if (unlike.p_value < SRM_ALARM)
            unlike_words(metric, &unlike, listed(&others, "Other customers answer: "));
    }
    bool warn = rates.len || others.len;
    if (rates.len && others.len)
        text_puts(&rates, "; ");
    text_puts(&rates, others.len ? others.ptr : "");
    if (json_array_size(evidence) > 0)
        add(report, input, "answers", warn ? "warn" : "ok", warn ? rates.ptr : alike.ptr,
            json_incref(evidence));
    json_decref(evidence);
    text_release(&alike);
    text_release(&rates);
    text_release(&others);
}

static void check_drift(json_t *report, const struct health_input *input)
{
    struct text text;
    size_t i, j;
    json_t *metric, *row, *evidence = json_array();
    text_init(&text, 2000);
    json_array_foreach(input->metrics, i, metric)
        json_array_foreach(json_object_get(metric, "comparisons"), j, row)
    {
        json_t *drift = json_object_get(row, "drift_since");
        if (!json_is_object(drift))
            continue;
        if (json_array_size(evidence) < 3)
            text_printf(&text, "%s%s (%s, day %lld)",
                        text.len ? "; " : "The effect changed over time: ", word(metric, "name"),
                        word(row, "variant"),
                        (long long)json_integer_value(json_object_get(drift, "day")));
        json_array_append_new(evidence, json_pack("{s:s, s:s, s:O}", "metric", word(metric, "key"),
                                                  "variant", word(row, "variant"), "since", drift));
    }
    bool drifted = json_array_size(evidence) > 0;
    add(report, input, "drift", drifted ? "warn" : "ok",
        drifted ? text.ptr : "No sign that effects change over time", evidence);
    text_release(&text);
}

static void check_interaction(json_t *report, const struct health_input *input)
{
    const json_t *note = input->interaction;
    if (note)
        add(report, input, "interaction", word(note, "status"), word(note, "text"),
            json_deep_copy(json_object_get(note, "evidence")));
}

/* --- the report ----------------------------------------------------------------------------- */

json_t *health_report(const struct health_input *input)
{
    json_t *report = json_array();
    check_split(report, input);
    check_crossovers(report, input);
    check_events(report, input);
    check_answers(report, input);
    check_drift(report, input);
    check_interaction(report, input);
    return report;
}

const char *health_worst(const json_t *report)
{
    const char *worst = "ok";
    size_t i;
    json_t *row;
    json_array_foreach(report, i, row)
    {
        if (strcmp(word(row, "status"), "fail") == 0)
            return "fail";
        if (strcmp(word(row, "status"), "warn") == 0)
            worst = "warn";
    }
    return worst;
}
