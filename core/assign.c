/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One decision: each step either settles it or hands on to the next. */
#include "core/assign.h"

#include "core/bucket.h"
#include "core/condition.h"
#include "core/holdout.h"
#include "core/json.h"
#include "core/prerequisite.h"

const char *assign_reason_word(enum assign_reason reason)
{
    static const char *const words[] = {
#define REASON(name, word) word,
#include "core/assign.def"
#undef REASON
    };
    return words[reason];
}

static struct assignment settle(enum assign_reason reason, int variant)
{
    return (struct assignment){.variant = variant, .reason = reason, .bucket = -1};
}

/* Takes over `details`. */
static void note(json_t *trace, const char *step, bool passed, json_t *details)
{
    if (!trace)
        return;
    json_t *row = json_pack("{s:s, s:b}", "step", step, "passed", (int)passed);
    json_object_update_missing(row, details);
    json_decref(details);
    json_array_append_new(trace, row);
}

static bool in_layer(const struct assign_customer *customer, const struct experiment *experiment,
                     json_t *trace)
{
    if (!experiment->layer_key)
        return true;
    if (customer->id.len == 0)
        return false;
    double n = bucket_of(slice_of(experiment->layer_key), customer->id);
    struct range range = {experiment->layer_range[0], experiment->layer_range[1]};
    bool in = bucket_in(n, range);
    if (trace)
        note(trace, "layer", in,
             json_pack("{s:s, s:f, s:[f,f]}", "seed", experiment->layer_key, "bucket", n, "range",
                       range.from, range.to));
    return in;
}

static bool in_audience(const struct assign_customer *customer, const struct experiment *experiment,
                        json_t *trace)
{
    const json_t *attributes = customer->attributes;
    if (!experiment->audience)
        return true;
    /* Copying the attributes costs several times the rest of the decision. */
    if (!trace && !experiment->audience_reads_id)
        return condition_matches(experiment->audience, attributes, NULL);
    json_t *seen = attributes ? json_copy((json_t *)(uintptr_t)attributes) : json_object();
    json_object_set_new(seen, "id", json_stringn(customer->id.ptr, customer->id.len));
    bool in = condition_matches(experiment->audience, seen, NULL);
    if (trace)
        note(trace, "audience", in,
             json_pack("{s:o?, s:O}", "condition",
                       json_deep_copy(json_object_get(experiment_json(experiment), "audience")),
                       "attributes", seen));
    json_decref(seen);
    return in;
}

static struct assignment decide(const struct assign_customer *customer,
                                const struct experiment *experiment, json_t *trace, int depth);

static bool meets(const struct assign_customer *customer, const struct prerequisite *needed,
                  json_t *trace, int depth)
{
    const struct experiment *parent =
        customer->catalog ? catalog_experiment(customer->catalog, slice_of(needed->experiment))
                          : NULL;
    struct assignment is = settle(ASSIGN_NOT_RUNNING, -1);
    if (parent && depth < PREREQUISITE_DEPTH_MAX)
        is = decide(customer, parent, NULL, depth + 1);
    const char *variant = is.variant < 0 ? NULL : parent->variants[is.variant].key;
    bool met = false;
    for (size_t i = 0; variant && !met && i < needed->variant_count; i++)
        met = strcmp(needed->variants[i], variant) == 0;
    if (trace)
        note(trace, "prerequisite", met,
             json_pack("{s:s, s:s?, s:s}", "experiment", needed->experiment, "variant", variant,
                       "reason", assign_reason_word(is.reason)));
    return met;
}

static bool has_prerequisites(const struct assign_customer *customer,
                              const struct experiment *experiment, json_t *trace, int depth)
{
    for (size_t i = 0; i < experiment->prerequisite_count; i++)
        if (!meets(customer, &experiment->prerequisites[i], trace, depth))
            return false;
    return true;
}

/* The bucket is told though it decides nothing, as SDKs do. */
static struct assignment stay(const struct assign_customer *customer,
                              const struct experiment *experiment, int held)
{
    struct assignment result = settle(ASSIGN_STICKY, held);
    result.bucket = bucket_of(slice_of(experiment->seed), customer->id);
    result.in_experiment = true;
    return result;
}

/* The variant that the customer holds, or -1. */
static int holds(const struct assign_customer *customer, const struct experiment *experiment,
                 json_t *trace)
{
    if (!experiment->sticky)
        return -1;
    int held = customer->held ? customer->held(customer->data, experiment) : -1;
    if (trace)
        note(trace, "sticky", held >= 0,
             json_pack("{s:s?}", "variant", held >= 0 ? experiment->variants[held].key : NULL));
    return held;
}

static struct assignment choose(const struct assign_customer *customer,
                                const struct experiment *experiment, json_t *trace)
{
    const struct range *ranges = experiment->ranges;
    if (customer->id.len == 0)
        return settle(ASSIGN_NOT_IN_TRAFFIC, experiment->holdout ? HOLDOUT_OPEN : 0);
    double n = bucket_of(slice_of(experiment->seed), customer->id);
    int variant = bucket_choose(n, ranges, experiment->variant_count);
    if (trace) {
        json_t *list = json_array();
        for (size_t i = 0; i < experiment->variant_count; i++)
            json_array_append_new(list, json_pack("{s:s, s:[f,f]}", "variant",
                                                  experiment->variants[i].key, "range",
                                                  ranges[i].from, ranges[i].to));
        note(trace, "bucket", variant >= 0,
             json_pack("{s:s, s:f, s:f, s:o}", "seed", experiment->seed, "bucket", n, "traffic",
                       experiment->traffic, "ranges", list));
    }
    struct assignment result =
        variant < 0 ? settle(ASSIGN_NOT_IN_TRAFFIC, 0) : settle(ASSIGN_ASSIGNED, variant);
    result.bucket = n;
    result.in_experiment = variant >= 0 && !experiment->holdout;
    return result;
}

static struct assignment decide_stopped(const struct assign_customer *customer,
                                        const struct experiment *experiment, json_t *trace,
                                        int depth)
{
    if (experiment->winner < 0)
        return settle(ASSIGN_STOPPED, experiment->holdout ? HOLDOUT_OPEN : 0);
    if (!has_prerequisites(customer, experiment, trace, depth))
        return settle(ASSIGN_PREREQUISITE, 0);
    if (!in_audience(customer, experiment, trace))
        return settle(ASSIGN_NOT_IN_AUDIENCE, 0);
    return settle(ASSIGN_WINNER, experiment->winner);
}

static bool consents(const struct consent *consent, json_t *trace)
{
    if (!consent)
        return true;
    bool given = consent_to_experiments(consent);
    note(trace, "consent", given, trace ? consent_json(consent) : NULL);
    return given;
}

static struct assignment decide_running(const struct assign_customer *customer,
                                        const struct experiment *experiment, json_t *trace,
                                        int depth)
{
    int override = experiment_override(experiment, customer->id);
    if (override >= 0) {
        note(trace, "override", true,
             trace ? json_pack("{s:s}", "variant", experiment->variants[override].key) : NULL);
        return settle(ASSIGN_OVERRIDE, override);
    }
    if (!has_prerequisites(customer, experiment, trace, depth))
        return settle(ASSIGN_PREREQUISITE, 0);
    if (!in_layer(customer, experiment, trace))
        return settle(ASSIGN_NOT_IN_LAYER, 0);
    int held = holds(customer, experiment, trace);
    if (held >= 0)
        return stay(customer, experiment, held);
    if (!in_audience(customer, experiment, trace))
        return settle(ASSIGN_NOT_IN_AUDIENCE, 0);
    return choose(customer, experiment, trace);
}

static bool held_out(const struct assign_customer *customer, const struct experiment *holdout,
                     json_t *trace)
{
    bool held = holdout_variant(holdout, customer->id) == HOLDOUT_HELD;
    if (trace)
        note(trace, "holdout", !held,
             json_pack("{s:s, s:s, s:f, s:[f,f]}", "holdout", holdout->key, "seed", holdout->seed,
                       "bucket", bucket_of(slice_of(holdout->seed), customer->id), "range",
                       holdout->ranges[HOLDOUT_HELD].from, holdout->ranges[HOLDOUT_HELD].to));
    return held;
}

/* Holdouts come last, though they are decided by themselves: who would not be in is not held out of
 * anything, and is not exposed to them. */
static struct assignment hold_out(const struct assign_customer *customer,
                                  const struct experiment *experiment, struct assignment is,
                                  json_t *trace)
{
    size_t at = 0;
    const struct experiment *holdout;
    if (customer->id.len == 0 || !(is.in_experiment || is.reason == ASSIGN_WINNER))
        return is;
    while ((holdout = holdout_next(customer->catalog, experiment, &at)))
        if (held_out(customer, holdout, trace))
            return (struct assignment){.reason = ASSIGN_HOLDOUT,
                                       .bucket = is.bucket,
                                       .exposes = is.in_experiment && holdout_counts(experiment),
                                       .holdout = holdout};
    return is;
}

static struct assignment walk(const struct assign_customer *customer,
                              const struct experiment *experiment, json_t *trace, int depth)
{
    note(trace, "state", experiment_decides(experiment),
         trace ? json_pack("{s:s}", "state", experiment_state_word(experiment->state)) : NULL);
    if (!experiment_decides(experiment))
        return settle(ASSIGN_NOT_RUNNING, -1);
    if (experiment->state == EXPERIMENT_PAUSED)
        return settle(ASSIGN_PAUSED, 0);
    if (experiment->state == EXPERIMENT_STOPPED)
        return decide_stopped(customer, experiment, trace, depth);
    if (!consents(customer->consent, trace))
        return settle(ASSIGN_CONSENT, 0);
    return decide_running(customer, experiment, trace, depth);
}

/* Whether nothing that SDKs ask before the experiment itself has decided. */
static bool leaves_open(struct assignment is)
{
    return is.reason == ASSIGN_ASSIGNED || is.reason == ASSIGN_STICKY ||
           is.reason == ASSIGN_NOT_IN_AUDIENCE || is.reason == ASSIGN_NOT_IN_TRAFFIC;
}

static struct assignment decide(const struct assign_customer *customer,
                                const struct experiment *experiment, json_t *trace, int depth)
{
    struct assignment is = walk(customer, experiment, trace, depth);
    is.exposes = is.in_experiment;
    if (customer->catalog && catalog_holdout_count(customer->catalog) > 0)
        is = hold_out(customer, experiment, is, trace);
    int forced =
        customer->forced && leaves_open(is) ? customer->forced(customer->asked, experiment) : -1;
    return forced >= 0 ? settle(ASSIGN_FORCED, forced) : is;
}

struct assignment assign_decide(const struct assign_customer *customer,
                                const struct experiment *experiment, json_t *trace)
{
    return decide(customer, experiment, trace, 0);
}

bool assign_needs_customer(const struct experiment *experiment)
{
    return experiment->state == EXPERIMENT_RUNNING ||
           (experiment->winner >= 0 &&
            (experiment->prerequisite_count > 0 ||
             (experiment->audience && condition_reads(experiment->audience, "id"))));
}

/* Buckets are ten-thousandths. */
static void write_bucket(double bucket, struct text *out)
{
    int parts = (int)(bucket * 10000 + 0.5);
    if (bucket < 0) {
        text_puts(out, "null");
        return;
    }
    char digits[] = "0.0000";
    for (size_t i = 5; i >= 2; i--, parts /= 10)
        digits[i] = (char)('0' + parts % 10);
    text_add(out, digits, sizeof digits - 1);
}

void assign_write(const struct experiment *experiment, struct assignment assignment,
                  struct text *out)
{
    static const char *const reasons[] = {
#define REASON(name, word) ",\"reason\":\"" word "\",\"bucket\":",
#include "core/assign.def"
#undef REASON
    };
    text_puts(out, "{\"experiment\":\"");
    text_puts(out, experiment->key);
    text_puts(out, "\",");
    if (assignment.variant < 0) {
        text_puts(out, "\"variant\":null,\"value\":null");
    } else {
        struct slice said = experiment->variants[assignment.variant].said;
        text_add(out, said.ptr, said.len);
    }
    text_puts(out, reasons[assignment.reason]);
    write_bucket(assignment.bucket, out);
    text_puts(out,
              assignment.in_experiment ? ",\"in_experiment\":true" : ",\"in_experiment\":false");
    if (assignment.holdout)
        text_printf(out, ",\"holdout\":\"%s\",\"exposes\":%s", assignment.holdout->key,
                    assignment.exposes ? "true" : "false");
    text_puts(out, "}");
}

json_t *assign_json(const struct experiment *experiment, struct assignment assignment)
{
    struct error err = {0};
    struct text text;
    text_init(&text, SIZE_MAX / 2);
    assign_write(experiment, assignment, &text);
    json_t *json = json_parse(text.ptr, text.len, &err);
    must(json);
    text_release(&text);
    return json;
}
