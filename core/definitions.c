/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Services over definitions. A change is one job of the writer thread:
 *
 *   run    finds the present definition in the catalog (the writer alone publishes, so it cannot
 *          change under the job), makes the next one, writes it and its audit row
 *   done   after the commit: publishes the catalog, asks for a rebuild where figures change, wakes
 *          the caller
 *
 * The job lives on the caller's stack, who waits. */
#include "core/definitions.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/advice.h"
#include "core/analysis.h"
#include "core/audit.h"
#include "core/holdout.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/look.h"
#include "core/payload.h"
#include "core/prerequisite.h"
#include "core/recount.h"
#include "core/retention.h"
#include "core/uplift.h"
#include "core/webhook.h"

/* One change. The caller fills the first part; `make` the second. */
struct job {
    struct uplift *uplift;
    const struct definition_change *change;
    struct slice key;
    json_t *input;
    enum experiment_step step;
    const char *action;
    bool changes; /* what may be counted already; `make` then needs no transaction */
    bool (*make)(struct job *job, struct store_txn *txn, const struct catalog *catalog,
                 struct error *err);

    int64_t at;
    const struct experiment *experiment_before; /* borrowed from the catalog */
    struct experiment *experiment;              /* after; NULL: none, or removed */
    const struct metric *metric_before;
    struct metric *metric;
    json_t *advice;     /* that a stop goes against, or NULL */
    uint64_t row;       /* of the trail: the last one that it wrote */
    struct recount due; /* the experiments whose figures change */

    struct error *err;
    pthread_mutex_t lock; /* guards `finished` */
    pthread_cond_t wake;
    bool finished;
};

/* --- the writer's side --- */

static void put_definition(struct store_txn *txn, enum store_table table, uint32_t number,
                           char *text)
{
    struct store_key key = {0};
    key_u32(&key, number);
    if (text)
        store_put(txn, table, key_slice(&key), slice_of(text));
    else
        store_delete(txn, table, key_slice(&key));
    free(text);
}

/* A person who decides otherwise: what was advised, and what was done and why. */
static void write_override(struct job *job, struct store_txn *txn)
{
    const struct experiment *e = job->experiment;
    json_t *done =
        json_pack("{s:s, s:s?, s:s}", "action", "stop", "winner",
                  e->winner >= 0 ? e->variants[e->winner].key : NULL, "reason", e->stop_reason);
    audit_append(txn, job->at, job->change->who, "override", e->key, job->advice, done);
    json_decref(done);
}

static void tell_state(const struct job *job, struct store_txn *txn)
{
    const struct experiment *before = job->experiment_before, *after = job->experiment;
    webhook_emit(job->uplift, txn, WEBHOOK_STATE, job->at, NULL,
                 json_pack("{s:s, s:s, s:s, s:s, s:i, s:s?, s:s?, s:s}", "experiment", after->key,
                           "name", after->name, "from", experiment_state_word(before->state), "to",
                           experiment_state_word(after->state), "phase", after->phase, "winner",
                           after->winner >= 0 ? after->variants[after->winner].key : NULL, "reason",
                           after->stop_reason, "who", job->change->who));
}

static void write_experiment(struct job *job, struct store_txn *txn)
{
    const struct experiment *before = job->experiment_before, *after = job->experiment;
    const struct experiment *either = after ? after : before;
    json_t *then = before ? experiment_whole(before) : NULL;
    json_t *now = after ? experiment_whole(after) : NULL;
    put_definition(txn, STORE_EXPERIMENT, either->number, after ? experiment_stored(after) : NULL);
    audit_append(txn, job->at, job->change->who, job->action, either->key, then, now);
    if (before && after && (before->state != after->state || before->phase != after->phase))
        tell_state(job, txn);
    json_decref(then);
    json_decref(now);
    if (job->advice)
        write_override(job, txn);
}

static void write_metric(struct job *job, struct store_txn *txn)
{
    const struct metric *before = job->metric_before, *after = job->metric;
    const struct metric *either = after ? after : before;
    json_t *then = before ? metric_whole(before) : NULL;
    json_t *now = after ? metric_whole(after) : NULL;
    put_definition(txn, STORE_METRIC, either->number, after ? metric_stored(after) : NULL);
    audit_append(txn, job->at, job->change->who, job->action, either->key, then, now);
    json_decref(then);
    json_decref(now);
}

/* A stop, a phase or an epoch from a moment at or before the last event on (within its millisecond,
 * by a clock set back, or told so) changes what was counted already. */
static bool reaches_back(const struct job *job)
{
    const struct experiment *before = job->experiment_before, *after = job->experiment;
    return before && after && job->at <= ingest_last_stamp(job->uplift->ingest) &&
           (before->epoch_count != after->epoch_count || before->stopped_at != after->stopped_at);
}

/* What is sealed, or was dropped, cannot be counted anew: whoever asks for other figures is to get
 * them from now on. */
static bool may_count_anew(const struct job *job, struct store_txn *txn,
                           const struct catalog *catalog, const struct experiment *experiment,
                           struct error *err)
{
    const char *instead =
        job->metric ? "make a new metric" : "make a new phase, or another experiment";
    int64_t sealed = ledger_sealed_units(txn, experiment->number, err);
    const struct retention kept = retention_read(txn, catalog);
    if (err->code != ERROR_NONE)
        return false;
    if (sealed > 0)
        return error_set(err, ERROR_CONFLICT, NULL,
                         "the figures of %lld customers of '%s' are final, as their events are no "
                         "longer kept, and cannot be counted anew: %s",
                         (long long)sealed, experiment->key, instead);
    int covariate = job->metric ? job->metric->covariate_days : kept.covariate_days;
    if (kept.keep_from > 0 && experiment->started_at - covariate * WHEN_DAY < kept.keep_from)
        return error_set(err, ERROR_CONFLICT, NULL,
                         "counting '%s' anew would take events that are no longer kept: %s",
                         experiment->key, instead);
    return true;
}

static bool all_may_count_anew(const struct job *job, struct store_txn *txn,
                               const struct catalog *catalog, struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && txn && i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        ok = !recount_concerns(&job->due, experiment->number) ||
             may_count_anew(job, txn, catalog, experiment, err);
    }
    return ok;
}

/* What comes after a change is not before it by a clock that is set back. Without a run it is but
 * looked at. */
static void set_time(struct job *job, struct ingest_run *run)
{
    job->at = job->change->at >= 0 ? job->change->at
              : run                ? ingest_change(run)
                                   : uplift_now(job->uplift);
}

/* Makes the next definition and finds whose figures it changes. In a mere preview txn is NULL. */
static bool make_next(struct job *job, struct store_txn *txn, const struct catalog *catalog,
                      struct error *err)
{
    bool good = job->make(job, txn, catalog, err) && all_may_count_anew(job, txn, catalog, err);
    if (good && reaches_back(job))
        recount_add(&job->due, job->experiment->number);
    return good;
}

static bool job_run(void *data, struct ingest_run *run, struct error *err)
{
    struct job *job = data;
    struct catalog *catalog = catalog_acquire(&job->uplift->catalog);
    set_time(job, run);
    bool good = make_next(job, run->txn, catalog, err);
    if (good && (job->experiment || job->experiment_before))
        write_experiment(job, run->txn);
    else if (good)
        write_metric(job, run->txn);
    if (good && !recount_is_empty(&job->due))
        recount_due(run->txn, &job->due);
    catalog_release(&job->uplift->catalog, catalog);
    struct audit_head head;
    audit_head(run->txn, &head);
    job->row = head.rows;
    return good && store_healthy(run->txn, err);
}

static void publish(struct job *job)
{
    struct catalog_root *root = &job->uplift->catalog;
    struct catalog *old = catalog_acquire(root), *next;
    if (job->experiment)
        next = catalog_with_experiment(old, job->experiment->number, job->experiment);
    else if (job->experiment_before)
        next = catalog_with_experiment(old, job->experiment_before->number, NULL);
    else
        next = catalog_with_metric(
            old, job->metric ? job->metric->number : job->metric_before->number, job->metric);
    catalog_set_payload(next, payload_make(next, job->at, job->row, catalog_payload(old)));
    catalog_publish(root, next);
    catalog_release(root, old);
    if (!recount_is_empty(&job->due))
        rebuild_start(job->uplift);
}

static void job_done(void *data, const struct error *err)
{
    struct job *job = data;
    if (err->code == ERROR_NONE)
        publish(job);
    else
        error_set(job->err, err->code, err->place, "%s", err->message);
    pthread_mutex_lock(&job->lock);
    job->finished = true;
    pthread_cond_signal(&job->wake);
    pthread_mutex_unlock(&job->lock);
}

/* --- the caller's side --- */

/* Submits the job and waits for it. What it made is the caller's to release. */
static bool perform(struct job *job, struct error *err)
{
    struct ingest_job queued = {
        .run = job_run, .done = job_done, .data = job, .alone = true, .weight = 1};
    job->err = err;
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->wake, NULL);
    bool submitted = ingest_submit(job->uplift->ingest, &queued, err);
    pthread_mutex_lock(&job->lock);
    while (submitted && !job->finished)
        pthread_cond_wait(&job->wake, &job->lock);
    pthread_mutex_unlock(&job->lock);
    pthread_cond_destroy(&job->wake);
    pthread_mutex_destroy(&job->lock);
    return submitted && err->code == ERROR_NONE;
}

/* Makes the change without writing it, to know whose figures it would change. By the writer, as the
 * JSON of definitions is not to be touched by two threads. What is wrong with the change is told
 * when it is made in earnest. */
static bool preview(void *data, struct ingest_run *run, struct error *err)
{
    struct job *job = data;
    struct error ignored = {0};
    struct catalog *catalog = catalog_acquire(&job->uplift->catalog);
    (void)run;
    (void)err;
    set_time(job, NULL);
    if (!make_next(job, NULL, catalog, &ignored))
        job->due = (struct recount){0};
    catalog_release(&job->uplift->catalog, catalog);
    experiment_unref(&job->experiment);
    metric_unref(&job->metric);
    job->experiment_before = NULL;
    job->metric_before = NULL;
    return true;
}

/* Looks at the experiments whose figures the job will change, so that what is shown while they are
 * counted anew is of this moment. */
static void look_first(struct job *job)
{
    struct error ignored = {0};
    if (!ingest_call(job->uplift->ingest, preview, job, &ignored))
        return;
    struct catalog *catalog = catalog_acquire(&job->uplift->catalog);
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        struct error unkept = {0};
        if (recount_concerns(&job->due, experiment->number))
            json_decref(analysis_look(job->uplift, slice_of(experiment->key), &unkept));
    }
    catalog_release(&job->uplift->catalog, catalog);
    job->due = (struct recount){0};
}

/* Performs the job and answers with what the API shows of its result. */
static json_t *answer(struct job *job, struct error *err)
{
    json_t *shown = NULL;
    if (job->changes)
        look_first(job);
    if (perform(job, err))
        shown = json_deep_copy(job->experiment ? experiment_json(job->experiment)
                                               : metric_json(job->metric));
    experiment_unref(&job->experiment);
    metric_unref(&job->metric);
    json_decref(job->advice);
    return shown;
}

/* --- what the changes share --- */

/* A number that was never given before: counters live in the store and are never set back. */
static bool next_number(struct store_txn *txn, const char *counter, uint32_t *number,
                        struct error *err)
{
    struct slice value;
    uint32_t last = 0;
    if (store_get(txn, STORE_META, slice_of(counter), &value) && !unkey_u32(&value, &last))
        return error_set(err, ERROR_CORRUPT, NULL, "the counter %s is damaged", counter);
    if (last == UINT32_MAX)
        return error_set(err, ERROR_FULL, NULL, "no number is left for another definition");
    struct store_key bytes = {0};
    key_u32(&bytes, last + 1);
    store_put(txn, STORE_META, slice_of(counter), key_slice(&bytes));
    *number = last + 1;
    return true;
}

static bool fresh_version(const struct job *job, int64_t version, struct error *err)
{
    return job->change->version == 0 || job->change->version == version ||
           error_set(err, ERROR_STALE, "version", "is %lld by now, not %lld", (long long)version,
                     (long long)job->change->version);
}

static bool no_such(const char *what, struct slice key, struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, NULL, "there is no %s \"%.*s\"", what,
                     (int)(key.len < 64 ? key.len : 64), key.ptr);
}

static bool find_experiment(struct job *job, const struct catalog *catalog, struct error *err)
{
    job->experiment_before = catalog_experiment(catalog, job->key);
    return job->experiment_before ? fresh_version(job, job->experiment_before->version, err)
                                  : no_such("experiment", job->key, err);
}

static bool find_metric(struct job *job, const struct catalog *catalog, struct error *err)
{
    job->metric_before = catalog_metric(catalog, job->key);
    return job->metric_before ? fresh_version(job, job->metric_before->version, err)
                              : no_such("metric", job->key, err);
}

/* --- experiments --- */

/* Whether an exact test can be made of the kind: of its counts, or of those below a quantile. */
static bool exact_counts(enum metric_kind kind)
{
    return kind == METRIC_BINARY || kind == METRIC_RETENTION || kind == METRIC_NPS ||
           kind == METRIC_CSAT || kind == METRIC_QUANTILE;
}

/* Every metric must exist and suit the design's method. */
static bool metrics_suit(const struct experiment *experiment, const struct catalog *catalog,
                         struct error *err)
{
    size_t index[ROLE_COUNT] = {0};
    for (size_t i = 0; i < experiment->metric_count; i++) {
        const struct experiment_metric *use = &experiment->metrics[i];
        const struct metric *metric = catalog_metric(catalog, slice_of(use->key));
        char place[64];
        snprintf(place, sizeof place, "metrics.%s[%zu]", metric_role_word(use->role),
                 index[use->role]++);
        if (!metric)
            return error_set(err, ERROR_INVALID, place, "there is no metric \"%s\"", use->key);
        if (experiment->design.method == METHOD_EXACT && !exact_counts(metric->kind))
            return error_set(
                err, ERROR_INVALID, place,
                "the exact method takes binary, retention, quantile, nps and csat metrics, and "
                "\"%s\" is of kind %s",
                use->key, metric_kind_word(metric->kind));
    }
    return true;
}

/* A running or paused experiment holds its part of the layer. */
static bool layer_free(const struct experiment *experiment, const struct catalog *catalog,
                       struct error *err)
{
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *other = catalog_experiment_at(catalog, i);
        if (experiment_holds_layer(other) && other->number != experiment->number &&
            experiment_layers_overlap(experiment, other))
            return error_set(err, ERROR_CONFLICT, "layer.range",
                             "overlaps that of the %s experiment \"%s\" in the same layer",
                             experiment_state_word(other->state), other->key);
    }
    return true;
}

static bool make_created(struct job *job, struct store_txn *txn, const struct catalog *catalog,
                         struct error *err)
{
    uint32_t number;
    if (!next_number(txn, "experiments", &number, err))
        return false;
    job->experiment = experiment_create(job->input, number, job->at, err);
    if (!job->experiment || !metrics_suit(job->experiment, catalog, err) ||
        !prerequisite_check(catalog, job->experiment, err))
        return false;
    return !catalog_experiment(catalog, slice_of(job->experiment->key)) ||
           error_set(err, ERROR_CONFLICT, "key", "there is an experiment \"%s\" already",
                     job->experiment->key);
}

/* After an amendment: looks at what the catalog must confirm. */
static bool amended(struct job *job, const struct catalog *catalog, struct error *err)
{
    if (!job->experiment || !metrics_suit(job->experiment, catalog, err) ||
        !prerequisite_check(catalog, job->experiment, err))
        return false;
    if (!holdout_check_kept(catalog, job->experiment_before, job->experiment, err))
        return false;
    if (experiment_counts_differently(job->experiment_before, job->experiment))
        recount_add(&job->due, job->experiment->number);
    return true;
}

static bool make_amended(struct job *job, struct store_txn *txn, const struct catalog *catalog,
                         struct error *err)
{
    (void)txn;
    if (!find_experiment(job, catalog, err))
        return false;
    job->experiment = experiment_amend(job->experiment_before, job->input, job->at, err);
    return amended(job, catalog, err);
}

static bool make_patched(struct job *job, struct store_txn *txn, const struct catalog *catalog,
                         struct error *err)
{
    (void)txn;
    if (!find_experiment(job, catalog, err))
        return false;
    job->experiment = experiment_patch(job->experiment_before, job->input, job->at, err);
    return amended(job, catalog, err);
}

/* A change of a metric must not change by what rule a running experiment is decided. */
static bool keep_limits(struct job *job, const struct catalog *catalog, struct error *err)
{
    json_t *limits = json_object();
    for (size_t i = 0; i < job->experiment->metric_count; i++) {
        const struct experiment_metric *item = &job->experiment->metrics[i];
        const struct metric *metric = catalog_metric(catalog, slice_of(item->key));
        if (metric && item->role != ROLE_SECONDARY)
            json_object_set_new(limits, item->key,
                                json_pack("{s:o, s:o}", "margin", json_figure(metric->margin),
                                          "min_effect", json_figure(metric->min_effect)));
    }
    struct experiment *started = experiment_with_limits(job->experiment, limits, err);
    json_decref(limits);
    experiment_unref(&job->experiment);
    job->experiment = started;
    return started != NULL;
}

/* Holds a stop against the advice of the last look; who goes against it says why. Without a look,
 * or where it cannot be read, there is no advice. */
static bool heed_advice(struct job *job, struct store_txn *txn, struct error *err)
{
    const struct experiment *e = job->experiment;
    const struct look_of of = {e->number, e->phase};
    struct error unread = {0};
    struct look look;
    if (!look_last(txn, of, INT64_MAX, false, &look, &unread))
        return true;
    json_t *advice = advice_of(look.results);
    if (advice &&
        !advice_suits_stop(look.results, e->winner >= 0 ? e->variants[e->winner].key : NULL))
        job->advice = json_incref(advice);
    bool good = !job->advice || e->stop_reason ||
                error_set(err, ERROR_CONFLICT, "reason",
                          "is asked of who stops against the advice, which is \"%s\"",
                          json_string_value(json_object_get(advice, "headline")));
    json_decref(advice);
    look_release(&look);
    return good;
}

static bool make_stepped(struct job *job, struct store_txn *txn, const struct catalog *catalog,
                         struct error *err)
{
    if (!find_experiment(job, catalog, err))
        return false;
    job->experiment = experiment_step(job->experiment_before, job->step, job->input, job->at, err);
    if (!job->experiment)
        return false;
    if (job->step == STEP_STOP)
        return !txn || !job->change->by_person || heed_advice(job, txn, err);
    if (job->step == STEP_ARCHIVE)
        return prerequisite_check_free(catalog, job->experiment, err);
    if (job->step != STEP_START && job->step != STEP_NEW_PHASE)
        return true;
    return metrics_suit(job->experiment, catalog, err) &&
           prerequisite_check(catalog, job->experiment, err) &&
           layer_free(job->experiment, catalog, err) && keep_limits(job, catalog, err);
}

static bool make_removed(struct job *job, struct store_txn *txn, const struct catalog *catalog,
                         struct error *err)
{
    (void)txn;
    if (!find_experiment(job, catalog, err))
        return false;
    if (job->experiment_before->state != EXPERIMENT_DRAFT)
        return error_set(err, ERROR_CONFLICT, "state", "is %s: only a draft can be deleted",
                         experiment_state_word(job->experiment_before->state));
    return prerequisite_check_free(catalog, job->experiment_before, err);
}

json_t *uplift_experiment_create(struct uplift *uplift, const struct definition_change *change,
                                 json_t *input, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .input = input,
                      .action = "experiment.create",
                      .make = make_created};
    return answer(&job, err);
}

json_t *uplift_experiment_amend(struct uplift *uplift, const struct definition_change *change,
                                struct slice key, json_t *input, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .key = key,
                      .input = input,
                      .action = "experiment.amend",
                      .changes = true,
                      .make = make_amended};
    return answer(&job, err);
}

json_t *uplift_experiment_patch(struct uplift *uplift, const struct definition_change *change,
                                struct slice key, json_t *patch, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .key = key,
                      .input = patch,
                      .action = "experiment.amend",
                      .changes = true,
                      .make = make_patched};
    return answer(&job, err);
}

json_t *uplift_experiment_transition(struct uplift *uplift, const struct definition_change *change,
                                     struct slice key, enum experiment_step step, json_t *options,
                                     struct error *err)
{
    static const char *const actions[] = {"experiment.start",   "experiment.pause",
                                          "experiment.resume",  "experiment.stop",
                                          "experiment.archive", "experiment.new-phase"};
    struct job job = {.uplift = uplift,
                      .change = change,
                      .key = key,
                      .input = options,
                      .step = step,
                      .action = actions[step],
                      .changes = true,
                      .make = make_stepped};
    if (step == STEP_STOP && change->by_person) {
        struct error untaken = {0}; /* then the advice of the last one stands */
        json_decref(analysis_look(uplift, key, &untaken));
    }
    return answer(&job, err);
}

bool uplift_experiment_remove(struct uplift *uplift, const struct definition_change *change,
                              struct slice key, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .key = key,
                      .action = "experiment.remove",
                      .make = make_removed};
    return perform(&job, err);
}

/* --- metrics --- */

static bool uses(const struct experiment *experiment, const char *metric)
{
    for (size_t i = 0; i < experiment->metric_count; i++) {
        if (strcmp(experiment->metrics[i].key, metric) == 0)
            return true;
    }
    for (size_t i = 0; i < experiment->past_count; i++) {
        if (uses(experiment->past[i], metric))
            return true;
    }
    return false;
}

/* The experiments that must be rebuilt when this metric counts differently. */
static void rebuild_users(struct job *job, const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (experiment->state == EXPERIMENT_DRAFT || !uses(experiment, job->metric->key))
            continue;
        recount_add(&job->due, experiment->number);
    }
}

static bool make_metric_created(struct job *job, struct store_txn *txn,
                                const struct catalog *catalog, struct error *err)
{
    uint32_t number;
    if (!next_number(txn, "metrics", &number, err))
        return false;
    job->metric = metric_create(job->input, number, job->at, err);
    if (!job->metric)
        return false;
    return !catalog_metric(catalog, slice_of(job->metric->key)) ||
           error_set(err, ERROR_CONFLICT, "key", "there is a metric \"%s\" already",
                     job->metric->key);
}

static bool make_metric_amended(struct job *job, struct store_txn *txn,
                                const struct catalog *catalog, struct error *err)
{
    (void)txn;
    if (!find_metric(job, catalog, err))
        return false;
    job->metric = metric_amend(job->metric_before, job->input, err);
    if (!job->metric)
        return false;
    if (metric_counts_differently(job->metric_before, job->metric))
        rebuild_users(job, catalog);
    return true;
}

static bool make_metric_removed(struct job *job, struct store_txn *txn,
                                const struct catalog *catalog, struct error *err)
{
    (void)txn;
    if (!find_metric(job, catalog, err))
        return false;
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++) {
        const struct experiment *experiment = catalog_experiment_at(catalog, i);
        if (uses(experiment, job->metric_before->key))
            return error_set(err, ERROR_CONFLICT, NULL,
                             "the experiment \"%s\" uses the metric \"%s\"", experiment->key,
                             job->metric_before->key);
    }
    return true;
}

json_t *uplift_metric_create(struct uplift *uplift, const struct definition_change *change,
                             json_t *input, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .input = input,
                      .action = "metric.create",
                      .make = make_metric_created};
    return answer(&job, err);
}

json_t *uplift_metric_amend(struct uplift *uplift, const struct definition_change *change,
                            struct slice key, json_t *input, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .key = key,
                      .input = input,
                      .action = "metric.amend",
                      .changes = true,
                      .make = make_metric_amended};
    return answer(&job, err);
}

bool uplift_metric_remove(struct uplift *uplift, const struct definition_change *change,
                          struct slice key, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .key = key,
                      .action = "metric.remove",
                      .make = make_metric_removed};
    return perform(&job, err);
}

/* --- taking over from another store --- */

/* Far from the end, so that a file cannot use all numbers up. */
enum { NUMBER_MAX = 1000000000 };

/* The definition under another number, wherever that stands in it. New reference. */
static json_t *renumbered(const json_t *stored, uint32_t number)
{
    json_t *copy = json_deep_copy(stored), *past;
    size_t i;
    json_object_set_new(copy, "number", json_integer(number));
    json_array_foreach(json_object_get(copy, "past"), i, past)
        json_object_set_new(past, "number", json_integer(number));
    return copy;
}

/* The text of the given definition under the number that it may have here: its own where none so
 * high was ever given, else a new one. The caller frees it; NULL with *err. */
static char *numbered_here(const struct job *job, struct store_txn *txn, const char *counter,
                           struct error *err)
{
    struct slice value;
    uint32_t last = 0, number;
    json_int_t own = json_integer_value(json_object_get(job->input, "number"));
    if (store_get(txn, STORE_META, slice_of(counter), &value))
        unkey_u32(&value, &last);
    if (own > last && own < NUMBER_MAX) {
        struct store_key bytes = {0};
        number = (uint32_t)own;
        key_u32(&bytes, number);
        store_put(txn, STORE_META, slice_of(counter), key_slice(&bytes));
    } else if (!next_number(txn, counter, &number, err)) {
        return NULL;
    }
    json_t *whole = renumbered(job->input, number);
    char *text = json_text(whole);
    json_decref(whole);
    return text;
}

static bool make_experiment_restored(struct job *job, struct store_txn *txn,
                                     const struct catalog *catalog, struct error *err)
{
    char *text = numbered_here(job, txn, "experiments", err);
    if (text)
        job->experiment = experiment_from_stored(text, strlen(text), err);
    free(text);
    return job->experiment && metrics_suit(job->experiment, catalog, err) &&
           prerequisite_check_ends(catalog, job->experiment, err);
}

static bool make_metric_restored(struct job *job, struct store_txn *txn,
                                 const struct catalog *catalog, struct error *err)
{
    char *text = numbered_here(job, txn, "metrics", err);
    (void)catalog;
    if (text)
        job->metric = metric_from_stored(text, strlen(text), err);
    free(text);
    return job->metric != NULL;
}

/* Whether the definition of that key, in its stored form, is the one that is given, whatever the
 * numbers are. Takes over `text`, which may be NULL: then there is none. */
static bool is_there(char *text, const json_t *stored, bool *there, struct error *err)
{
    struct error wrong = {0};
    *there = text != NULL;
    json_t *present = text ? json_parse(text, strlen(text), &wrong) : NULL;
    json_t *a = renumbered(present, 1), *b = renumbered(stored, 1);
    bool same = !*there || json_equal(a, b);
    json_decref(a);
    json_decref(b);
    json_decref(present);
    free(text);
    return same || error_set(err, ERROR_CONFLICT, "key", "there is another one named '%s' already",
                             json_string_value(json_object_get(stored, "key")));
}

static struct slice key_in(const json_t *stored)
{
    const char *key = json_string_value(json_object_get(stored, "key"));
    return slice_of(key ? key : "");
}

bool uplift_experiment_restore(struct uplift *uplift, const struct definition_change *change,
                               json_t *stored, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .input = stored,
                      .action = "experiment.restore",
                      .make = make_experiment_restored};
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct experiment *present = catalog_experiment(catalog, key_in(stored));
    bool there;
    bool good = is_there(present ? experiment_stored(present) : NULL, stored, &there, err);
    catalog_release(&uplift->catalog, catalog);
    good = good && (there || perform(&job, err));
    experiment_unref(&job.experiment);
    return good;
}

bool uplift_metric_restore(struct uplift *uplift, const struct definition_change *change,
                           json_t *stored, struct error *err)
{
    struct job job = {.uplift = uplift,
                      .change = change,
                      .input = stored,
                      .action = "metric.restore",
                      .make = make_metric_restored};
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct metric *present = catalog_metric(catalog, key_in(stored));
    bool there;
    bool good = is_there(present ? metric_stored(present) : NULL, stored, &there, err);
    catalog_release(&uplift->catalog, catalog);
    good = good && (there || perform(&job, err));
    metric_unref(&job.metric);
    return good;
}

/* --- reading --- */

static json_t *page_of(json_t *list, const char *name, bool more)
{
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    json_t *next = more && last ? json_incref(json_object_get(last, "key")) : json_null();
    return json_pack("{s:o, s:o}", name, list, "next", next);
}

static bool behind(const char *key, struct slice after)
{
    size_t len = strlen(key);
    int order = memcmp(key, after.ptr ? after.ptr : "", len < after.len ? len : after.len);
    return order > 0 || (order == 0 && len > after.len);
}

json_t *uplift_experiment_list(struct uplift *uplift, struct slice after, size_t limit)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    json_t *list = json_array();
    size_t count = catalog_experiment_count(catalog), i = 0;
    while (i < count && !behind(catalog_experiment_at(catalog, i)->key, after))
        i++;
    for (; i < count && json_array_size(list) < limit; i++)
        json_array_append_new(list,
                              json_deep_copy(experiment_json(catalog_experiment_at(catalog, i))));
    catalog_release(&uplift->catalog, catalog);
    return page_of(list, "experiments", i < count);
}

json_t *uplift_metric_list(struct uplift *uplift, struct slice after, size_t limit)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    json_t *list = json_array();
    size_t count = catalog_metric_count(catalog), i = 0;
    while (i < count && !behind(catalog_metric_at(catalog, i)->key, after))
        i++;
    for (; i < count && json_array_size(list) < limit; i++)
        json_array_append_new(list, json_deep_copy(metric_json(catalog_metric_at(catalog, i))));
    catalog_release(&uplift->catalog, catalog);
    return page_of(list, "metrics", i < count);
}

json_t *uplift_experiment_get(struct uplift *uplift, struct slice key, struct error *err)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct experiment *experiment = catalog_experiment(catalog, key);
    json_t *shown = experiment ? json_deep_copy(experiment_json(experiment)) : NULL;
    catalog_release(&uplift->catalog, catalog);
    if (!shown)
        no_such("experiment", key, err);
    return shown;
}

json_t *uplift_metric_get(struct uplift *uplift, struct slice key, struct error *err)
{
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    const struct metric *metric = catalog_metric(catalog, key);
    json_t *shown = metric ? json_deep_copy(metric_json(metric)) : NULL;
    catalog_release(&uplift->catalog, catalog);
    if (!shown)
        no_such("metric", key, err);
    return shown;
}

/* --- opening --- */

static bool load_experiments(struct store_txn *txn, struct experiment ***list, size_t *count,
                             struct error *err)
{
    *list = xcalloc(store_count(txn, STORE_EXPERIMENT), sizeof **list);
    struct slice key, value;
    struct store_cursor *cursor = store_walk(txn, STORE_EXPERIMENT, NO_SLICE, NO_SLICE);
    while (err->code == ERROR_NONE && store_next(cursor, &key, &value)) {
        struct experiment *experiment = experiment_from_stored(value.ptr, value.len, err);
        if (experiment)
            (*list)[(*count)++] = experiment;
    }
    store_walk_end(&cursor);
    return err->code == ERROR_NONE;
}

static bool load_metrics(struct store_txn *txn, struct metric ***list, size_t *count,
                         struct error *err)
{
    *list = xcalloc(store_count(txn, STORE_METRIC), sizeof **list);
    struct slice key, value;
    struct store_cursor *cursor = store_walk(txn, STORE_METRIC, NO_SLICE, NO_SLICE);
    while (err->code == ERROR_NONE && store_next(cursor, &key, &value)) {
        struct metric *metric = metric_from_stored(value.ptr, value.len, err);
        if (metric)
            (*list)[(*count)++] = metric;
    }
    store_walk_end(&cursor);
    return err->code == ERROR_NONE;
}

struct catalog *definitions_catalog(struct store_txn *txn, struct error *err)
{
    struct experiment **experiments = NULL;
    struct metric **metrics = NULL;
    size_t experiment_count = 0, metric_count = 0;
    bool good = load_experiments(txn, &experiments, &experiment_count, err) &&
                load_metrics(txn, &metrics, &metric_count, err) && store_healthy(txn, err);
    struct catalog *catalog =
        good ? catalog_new(1, experiments, experiment_count, metrics, metric_count) : NULL;
    for (size_t i = 0; i < experiment_count; i++)
        experiment_unref(&experiments[i]);
    for (size_t i = 0; i < metric_count; i++)
        metric_unref(&metrics[i]);
    free(experiments);
    free(metrics);
    return catalog;
}

/* As of the last row of the trail, which no change of a definition is later than. */
static struct payload *load_payload(struct store_txn *txn, const struct catalog *catalog)
{
    struct error unread = {0}; /* a damaged trail is for `check` to tell */
    int64_t at = 0;
    struct audit_head head;
    audit_head(txn, &head);
    json_t *rows = audit_list(txn, 0, 1, &unread), *last = json_array_get(rows, 0);
    if (last)
        json_read_time(last, JSON_TOP, "at", JSON_OPTIONAL, &at, &unread);
    json_decref(rows);
    return payload_make(catalog, at, head.rows, NULL);
}

bool definitions_load(struct uplift *uplift, struct error *err)
{
    struct store_txn *txn = store_read(uplift->store, err);
    struct catalog *catalog = txn ? definitions_catalog(txn, err) : NULL;
    if (catalog)
        catalog_set_payload(catalog, load_payload(txn, catalog));
    store_abort(&txn);
    if (catalog)
        catalog_publish(&uplift->catalog, catalog);
    return catalog != NULL;
}
