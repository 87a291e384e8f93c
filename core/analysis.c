/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking for results, and the looks that are kept of them. */
#include "core/analysis.h"

#include <stdlib.h>

#include "core/advice.h"
#include "core/alarm.h"
#include "core/audit.h"
#include "core/gathered.h"
#include "core/health.h"
#include "core/json.h"
#include "core/look.h"
#include "core/results.h"
#include "core/uplift.h"

/* Definitions, tallies and time of one moment. */
struct moment {
    struct uplift *uplift;
    struct catalog *catalog;
    struct store_txn *txn;
    int64_t now;
};

/* Called by the writer: the catalog that it published last is that of the transaction. */
static void take_moment(void *data, struct store_txn *txn, int64_t cut)
{
    struct moment *moment = data;
    moment->catalog = catalog_acquire(&moment->uplift->catalog);
    moment->txn = txn;
    moment->now = cut;
}

/* A look that is kept is of a cut of the writer's, so that history can tell later what was in it.
 * What is only shown need not wait for the writer. */
static bool moment_take(struct moment *moment, struct uplift *uplift, bool of_cut,
                        struct error *err)
{
    *moment = (struct moment){.uplift = uplift};
    if (of_cut)
        return ingest_snapshot(uplift->ingest, take_moment, moment, err);
    /* Definitions first: of a change in between that counts anew, the transaction has the note. */
    moment->catalog = catalog_acquire(&uplift->catalog);
    moment->now = uplift_now(uplift);
    moment->txn = store_read(uplift->store, err);
    if (!moment->txn)
        catalog_release(&uplift->catalog, moment->catalog);
    return moment->txn != NULL;
}

static void moment_release(struct moment *moment)
{
    store_abort(&moment->txn);
    if (moment->catalog)
        catalog_release(&moment->uplift->catalog, moment->catalog);
}

/* Finds experiment and phase, gathers, and hands on to `make`. */
static bool with_gathered(struct uplift *uplift, struct slice key, int phase, bool of_cut,
                          bool (*make)(struct uplift *uplift, const struct gathered *g,
                                       struct store_txn *txn, void *data, struct error *err),
                          void *data, struct error *err)
{
    struct moment moment;
    if (!moment_take(&moment, uplift, of_cut, err))
        return false;
    const struct experiment *experiment = catalog_experiment(moment.catalog, key);
    struct gathered g = {.catalog = moment.catalog, .present = experiment, .now = moment.now};
    bool ok = true;
    if (experiment) {
        g.phase = phase ? phase : experiment->phase;
        g.experiment = experiment_in_phase(experiment, g.phase);
        g.event_at = fresh_at(&uplift->fresh, experiment->number);
        g.rejected = (int64_t)atomic_load(&uplift->rejected);
    }
    if (!experiment)
        ok = error_set(err, ERROR_NOT_FOUND, NULL, "there is no experiment '%.*s'", (int)key.len,
                       key.ptr);
    else if (!g.experiment)
        ok = error_set(err, ERROR_NOT_FOUND, "phase", "there was no phase %d", phase);
    else if (experiment->epoch_count == 0)
        ok = error_set(err, ERROR_CONFLICT, NULL, "the experiment has not been started");
    ok = ok && gathered_read(moment.txn, &g, err) && make(uplift, &g, moment.txn, data, err);
    gathered_release(&g);
    moment_release(&moment);
    return ok;
}

/* --- looks ---------------------------------------------------------------------------------- */

/* What of a metric's results a chart needs. */
static json_t *summary_of_metric(const json_t *metric)
{
    json_t *list = json_array(), *row, *arms = json_object_get(metric, "arms");
    size_t i;
    double control = json_number_value(json_object_get(json_array_get(arms, 0), "n"));
    json_array_foreach(json_object_get(metric, "comparisons"), i, row)
    {
        double n = json_number_value(json_object_get(json_array_get(arms, i + 1), "n"));
        json_array_append_new(
            list,
            json_pack("{s:O, s:o, s:O, s:O, s:O, s:O}", "variant", json_object_get(row, "variant"),
                      "n", json_figure(control + n), "estimate", json_object_get(row, "estimate"),
                      "interval", json_object_get(row, "interval"), "p_value",
                      json_object_get(row, "p_value"), "verdict", json_object_get(row, "verdict")));
    }
    return json_pack("{s:O, s:o}", "key", json_object_get(metric, "key"), "comparisons", list);
}

/* One item of `looks`. */
static json_t *summary_of(const json_t *results)
{
    json_t *metrics = json_array(), *metric;
    size_t i;
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
        json_array_append_new(metrics, summary_of_metric(metric));
    return json_pack("{s:O, s:O, s:I, s:O, s:o}", "at", json_object_get(results, "as_of"), "day",
                     json_object_get(results, "day"), "exposed", results_exposed(results), "action",
                     json_object_get(json_object_get(results, "decision"), "action"), "metrics",
                     metrics);
}

/* Takes over `summary`: the last look is that of the present day. */
static void add_summary(json_t *looks, json_t *summary)
{
    size_t count = json_array_size(looks);
    json_t *last = json_array_get(looks, count - 1);
    if (count > 0 && json_integer_value(json_object_get(last, "day")) ==
                         json_integer_value(json_object_get(summary, "day")))
        json_array_set_new(looks, count - 1, summary);
    else
        json_array_append_new(looks, summary);
}

/* Results on their way into the store. */
struct taking {
    struct uplift *uplift;
    json_t *results; /* with looks */
    struct look look;
    json_t *summary;
    json_t *decided; /* that of the last look, as the trail keeps it; NULL: there was none */
    struct look_of of;
    int64_t day_start;
    int64_t now;   /* ms: the time of the look */
    int64_t as_of; /* ms: wanted of the past; -1: now */
    bool without_looks;
    bool without_segments;
    bool may_look; /* it is kept, so a scheduled look that is due can be taken */
    bool looked;
    bool recounting; /* these are the last look's: nothing is to be kept */
    bool news; /* a scheduled look is due, a verdict is new, a drift or an alarm: to be kept before
                  anybody sees it */
};

static void taking_release(struct taking *taking)
{
    json_decref(taking->results);
    json_decref(taking->summary);
    json_decref(taking->decided);
    look_release(&taking->look);
}

static bool has_news(const json_t *results)
{
    json_t *metric, *row, *as_of = json_object_get(results, "as_of");
    size_t i, j;
    json_array_foreach(json_object_get(results, "health"), i,
                       row) if (json_equal(json_object_get(row, "since"), as_of)) return true;
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
        json_array_foreach(json_object_get(metric, "comparisons"), j, row)
    {
        if (json_equal(json_object_get(json_object_get(row, "clear_since"), "at"), as_of) ||
            json_equal(json_object_get(json_object_get(row, "drift_since"), "at"), as_of))
            return true;
    }
    return false;
}

/* The looks up to `until` are put beside them. */
static bool put_looks(struct taking *taking, struct store_txn *txn, int64_t until,
                      struct error *err)
{
    json_t *looks = look_summaries(txn, taking->of, until, err);
    return looks && json_object_set_new(taking->results, "looks", looks) == 0;
}

static bool counted_anew(const struct gathered *g, struct error *err)
{
    double of = (double)(g->customers_done + g->customers_left);
    return error_set(err, ERROR_BUSY, NULL,
                     "figures are being counted anew, %.0f%% done, and there is no earlier look",
                     of > 0 ? 100 * (double)g->customers_done / of : 0);
}

/* The last look, while there is nothing else. */
static bool take_last(struct taking *taking, const struct gathered *g, struct store_txn *txn,
                      struct error *err)
{
    double of = (double)(g->customers_done + g->customers_left);
    if (!g->last.results)
        return counted_anew(g, err);
    taking->recounting = true;
    taking->results = json_copy(g->last.results);
    json_object_set_new(taking->results, "rebuilding",
                        json_pack("{s:f, s:I}", "done", of > 0 ? (double)g->customers_done / of : 0,
                                  "remaining", (json_int_t)g->customers_left));
    return taking->without_looks || put_looks(taking, txn, INT64_MAX, err);
}

/* What it takes to make the look once more, beside the history up to its time: where the trail was,
 * which tells the definitions; what no history tells; and the look before, as a copy where it was
 * one of the same day, which this one takes the place of, else by its time. */
static json_t *made_of(const struct gathered *g, struct store_txn *txn)
{
    struct audit_head head;
    const json_t *last = g->last.results;
    bool replaced = json_integer_value(json_object_get(last, "day")) == g->day;
    json_t *before = replaced ? gathered_running(g) : json_incref(json_object_get(last, "as_of"));
    audit_head(txn, &head);
    return json_pack("{s:I, s:s, s:I, s:I, s:O*, s:I, s:I, s:o?}", "trail", (json_int_t)head.rows,
                     "digest", head.digest, "event_at", (json_int_t)g->event_at, "rejected",
                     (json_int_t)g->rejected, "interaction", g->interaction, "sealed",
                     (json_int_t)g->sealed, "sealed_since", (json_int_t)g->sealed_since, "before",
                     before);
}

static bool make_taking(struct uplift *uplift, const struct gathered *g, struct store_txn *txn,
                        void *data, struct error *err)
{
    struct taking *taking = data;
    struct gathered with = *g;
    taking->of = (struct look_of){g->present->number, (uint16_t)g->phase};
    if (g->recounting)
        return take_last(taking, g, txn, err);
    with.without_segments = taking->without_segments;
    with.look = taking->looked = taking->may_look && g->look_due;
    taking->day_start = gathered_day_start(g);
    taking->now = g->now;
    taking->decided = advice_of(g->last.results);
    taking->uplift = uplift;
    taking->look.results = results_make(&with, err);
    if (!taking->look.results)
        return false;
    taking->look.counted = gathered_counted(g);
    taking->look.made_of = made_of(g, txn);
    taking->summary = summary_of(taking->look.results);
    taking->news = g->phase == g->present->phase && (g->look_due || has_news(taking->look.results));
    taking->results = json_copy(taking->look.results);
    if (taking->without_looks)
        return true;
    json_t *looks = look_summaries(txn, taking->of, INT64_MAX, err);
    if (looks && results_exposed(taking->results) > 0)
        add_summary(looks, json_incref(taking->summary));
    return looks && json_object_set_new(taking->results, "looks", looks) == 0;
}

/* A decision that differs from the one on record goes on record with the look that made it. */
static void record_decision(const struct taking *taking, struct ingest_run *run)
{
    const json_t *results = taking->look.results;
    json_t *now = advice_of(results), *experiment = json_object_get(results, "experiment");
    if (!advice_same(taking->decided, now))
        audit_append(run->txn, taking->now, "uplift", "decision",
                     json_string_value(json_object_get(experiment, "key")), taking->decided, now);
    json_decref(now);
}

static bool keep(void *data, struct ingest_run *run, struct error *err)
{
    const struct taking *taking = data;
    (void)err;
    record_decision(taking, run);
    alarm_tell(taking->uplift, run->txn, taking->now, taking->look.results, taking->decided);
    look_put(run->txn, taking->of, taking->day_start, taking->summary, &taking->look);
    return true;
}

static bool may_keep(const struct taking *taking)
{
    return !taking->recounting && results_exposed(taking->results) > 0;
}

json_t *analysis_look(struct uplift *uplift, struct slice key, struct error *err)
{
    struct taking taking = {.as_of = -1, .may_look = true};
    json_t *results = NULL;
    pthread_mutex_lock(&uplift->looking);
    bool ok = with_gathered(uplift, key, 0, true, make_taking, &taking, err);
    if (ok && may_keep(&taking))
        ok = ingest_call(uplift->ingest, keep, &taking, err);
    pthread_mutex_unlock(&uplift->looking);
    if (ok)
        results = json_incref(taking.results);
    taking_release(&taking);
    return results;
}

/* An experiment has a look due each day, and where anything may have changed since the last one. */
static bool is_due(struct uplift *uplift, const struct experiment *experiment, bool changed,
                   struct error *err)
{
    if (experiment->epoch_count == 0 || experiment->state == EXPERIMENT_ARCHIVED || changed)
        return experiment->epoch_count > 0 && experiment->state != EXPERIMENT_ARCHIVED;
    struct gathered g = {
        .present = experiment, .phase = experiment->phase, .now = uplift_now(uplift)};
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    bool taken = look_taken(txn, (struct look_of){experiment->number, experiment->phase},
                            gathered_day_start(&g));
    store_abort(&txn);
    return !taken;
}

/* False where the look has to wait for a recount, or with *err. */
static bool look_unless_recounting(struct uplift *uplift, const struct experiment *experiment,
                                   struct error *err)
{
    struct error wrong = {0};
    json_t *results = analysis_look(uplift, slice_of(experiment->key), &wrong);
    bool kept = results && !json_is_object(json_object_get(results, "rebuilding"));
    json_decref(results);
    if (wrong.code != ERROR_NONE && wrong.code != ERROR_BUSY)
        *err = wrong;
    return kept;
}

bool analysis_keep_house(struct uplift *uplift, struct error *err)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    uint64_t accepted = atomic_load(&uplift->accepted), version = catalog_version(catalog);
    bool changed = accepted != uplift->looked.accepted || version != uplift->looked.catalog;
    bool ok = true, kept = true;
    for (size_t i = 0; ok && i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (is_due(uplift, experiment, changed, err))
            kept = look_unless_recounting(uplift, experiment, err) && kept;
        ok = err->code == ERROR_NONE;
    }
    if (ok && kept) {
        uplift->looked.accepted = accepted;
        uplift->looked.catalog = version;
    }
    catalog_release(&uplift->catalog, catalog);
    return ok;
}

/* --- asking --------------------------------------------------------------------------------- */

static bool read_past(struct uplift *uplift, const struct gathered *g, struct store_txn *txn,
                      void *data, struct error *err)
{
    struct taking *taking = data;
    int64_t as_of = taking->as_of;
    const struct look_of of = {g->present->number, (uint16_t)g->phase};
    (void)uplift;
    if (!look_last(txn, of, as_of, true, &taking->look, err))
        return err->code != ERROR_NONE ||
               error_set(err, ERROR_NOT_FOUND, "as_of", "no look was taken at or before that time");
    taking->of = of;
    taking->results = json_copy(taking->look.results);
    return put_looks(taking, txn, as_of, err);
}

json_t *analysis_results(struct uplift *uplift, struct slice key,
                         const struct results_options *options, struct error *err)
{
    struct taking taking = {.as_of = options->as_of,
                            .without_looks = options->without_looks,
                            .without_segments = options->without_segments};
    json_t *results = NULL;
    bool past = options->as_of >= 0;
    if (with_gathered(uplift, key, options->phase, false, past ? read_past : make_taking, &taking,
                      err))
        results = json_incref(taking.results);
    /* What is shown as clear stays clear, so it is kept first. Where it cannot be kept, as on a
     * full disk, the figures are still right for this moment. */
    if (results && !past && taking.news && may_keep(&taking)) {
        struct error unkept = {0};
        json_t *kept = analysis_look(uplift, key, &unkept);
        if (kept) {
            json_decref(results);
            results = kept;
        }
    }
    taking_release(&taking);
    return results;
}

static bool make_study(struct uplift *uplift, const struct gathered *g, struct store_txn *txn,
                       void *data, struct error *err)
{
    json_t **study = data;
    (void)uplift;
    (void)txn;
    if (g->recounting)
        return counted_anew(g, err);
    *study = gathered_study(g);
    return true;
}

json_t *analysis_study(struct uplift *uplift, struct slice key, int phase, struct error *err)
{
    json_t *study = NULL;
    with_gathered(uplift, key, phase, false, make_study, &study, err);
    return study;
}

/* The comparison of the variant that the decision names, else the first. */
static json_t *named_comparison(const json_t *metric, const json_t *variant)
{
    json_t *list = json_object_get(metric, "comparisons"), *row;
    size_t i;
    json_array_foreach(list, i,
                       row) if (json_equal(json_object_get(row, "variant"), variant)) return row;
    return json_array_get(list, 0);
}

static json_t *first_primary(json_t *results)
{
    size_t i;
    json_t *metric;
    json_t *variant = json_object_get(json_object_get(results, "decision"), "variant");
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
    {
        json_t *comparison = named_comparison(metric, variant);
        const char *role = json_string_value(json_object_get(metric, "role"));
        if (comparison && strcmp(role, "primary") == 0)
            return json_pack(
                "{s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "metric",
                json_object_get(metric, "key"), "name", json_object_get(metric, "name"), "effect",
                json_object_get(metric, "effect"), "unit", json_object_get(metric, "unit"),
                "variant", json_object_get(comparison, "variant"), "estimate",
                json_object_get(comparison, "estimate"), "interval",
                json_object_get(comparison, "interval"), "verdict",
                json_object_get(comparison, "verdict"));
    }
    return json_null();
}

json_t *analysis_summary(struct uplift *uplift, struct slice key)
{
    struct error err = {0};
    const struct results_options options = {
        .as_of = -1, .without_looks = true, .without_segments = true};
    json_t *results = analysis_results(uplift, key, &options, &err);
    if (!results)
        return json_null();
    json_t *decision = json_object_get(results, "decision");
    json_t *summary = json_pack(
        "{s:O, s:O, s:O, s:O, s:I, s:s, s:o}", "action", json_object_get(decision, "action"),
        "headline", json_object_get(decision, "headline"), "day", json_object_get(results, "day"),
        "planned_days", json_object_get(results, "planned_days"), "exposed",
        results_exposed(results), "health", health_worst(json_object_get(results, "health")),
        "primary", first_primary(results));
    json_decref(results);
    return summary;
}
