/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The calls of the library, but for those that record. */
#include "client/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "client/parts.h"
#include "core/histogram.h"
#include "core/json.h"

enum { DEFAULT_SPILL = 16 << 20 };

const char *uplift_client_version(void)
{
    return PACKAGE_VERSION;
}

static enum uplift_client_code code_of(enum error_code code)
{
    switch (code) {
    case ERROR_NONE:
        return UPLIFT_CLIENT_OK;
    case ERROR_BUSY:
    case ERROR_CORRUPT:
    case ERROR_IO:
        return UPLIFT_CLIENT_IO;
    case ERROR_FULL:
        return UPLIFT_CLIENT_FULL;
    default:
        return UPLIFT_CLIENT_INVALID;
    }
}

static enum uplift_client_code fail(struct uplift_client_error *error, enum uplift_client_code code,
                                    const char *text)
{
    if (error) {
        error->code = code;
        snprintf(error->text, sizeof error->text, "%s", text);
    }
    return code;
}

enum uplift_client_code client_report(struct uplift_client_error *error, const struct error *err)
{
    char line[ERROR_LINE_MAX];
    enum uplift_client_code code = code_of(err->code);
    return code ? fail(error, code, error_line(err, line)) : UPLIFT_CLIENT_OK;
}

int64_t client_now(void)
{
    return histogram_now() / 1000000;
}

uint64_t client_chance(void)
{
    uint64_t number = 0;
    /* Where the system has none yet, the clock does: nothing here is a secret. */
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        number = (uint64_t)histogram_now() * UINT64_C(0x9e3779b97f4a7c15);
    return number;
}

/* --- payload --- */

bool client_take_payload(uplift_client *client, const char *text, size_t len, struct error *err)
{
    struct ruleset *payload = ruleset_parse(text, len, err);
    if (!payload)
        return false;
    pthread_mutex_lock(&client->payload_lock);
    struct ruleset *old = client->payload;
    client->payload = payload;
    pthread_mutex_unlock(&client->payload_lock);
    ruleset_unref(&old);
    pthread_mutex_lock(&client->lock);
    client->has_payload = true;
    client->stats.payloads++;
    pthread_cond_broadcast(&client->progress);
    pthread_mutex_unlock(&client->lock);
    return true;
}

enum uplift_client_code uplift_client_payload(uplift_client *client, const char *json,
                                              struct uplift_client_error *error)
{
    struct error err = {0};
    if (!json)
        error_set(&err, ERROR_INVALID, "payload", "is missing");
    else
        client_take_payload(client, json, strlen(json), &err);
    return client_report(error, &err);
}

/* What an earlier process kept; that there is none, or a bad one, only means to wait. */
static void load_payload(uplift_client *client)
{
    struct error err = {0};
    FILE *file = fopen(client->options.payload_path, "re");
    if (!file)
        return;
    struct text text;
    text_init(&text, CLIENT_ANSWER_MAX);
    char bytes[65536];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, file)) > 0;)
        text_add(&text, bytes, n);
    fclose(file);
    if (!text.failed && text.len > 0)
        client_take_payload(client, text.ptr, text.len, &err);
    text_release(&text);
}

/* --- starting --- */

static const char *copy_of(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void size_default(size_t *option, size_t otherwise)
{
    if (*option == 0)
        *option = otherwise;
}

static void time_default(int *option, int otherwise)
{
    if (*option <= 0)
        *option = otherwise;
}

/* Copies what the caller's version of the struct has, and fills in the defaults. */
static void take_options(uplift_client *client, const struct uplift_client_options *given)
{
    struct uplift_client_options *options = &client->options;
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    options->url = copy_of(options->url);
    options->key = copy_of(options->key);
    options->payload_path = copy_of(options->payload_path);
    options->spill_path = copy_of(options->spill_path);
    options->ca_file = copy_of(options->ca_file);
    options->unix_socket = copy_of(options->unix_socket);
    size_default(&options->spill_max, DEFAULT_SPILL);
    size_default(&options->queue_max, 10000);
    size_default(&options->batch_max, 1000);
    size_default(&options->seen_max, 65536);
    time_default(&options->send_ms, 1000);
    time_default(&options->poll_ms, 60000);
    time_default(&options->timeout_ms, 10000);
    time_default(&options->retry_ms, 1000);
    time_default(&options->retry_max_ms, 300000);
}

static bool check_key(const char *key, struct error *err)
{
    if (!key || !*key)
        return error_set(err, ERROR_INVALID, "key", "is missing");
    for (; *key; key++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", *key))
            return error_set(err, ERROR_INVALID, "key", "holds what no key holds");
    return true;
}

static bool check_options(const struct uplift_client_options *options, struct error *err)
{
    const size_t counts_max = 100000000;
    if (!options || options->size < offsetof(struct uplift_client_options, payload))
        return error_set(err, ERROR_INVALID, "options", "were not begun with their init");
    if (options->url && strncmp(options->url, "http://", 7) != 0 &&
        strncmp(options->url, "https://", 8) != 0)
        return error_set(err, ERROR_INVALID, "url", "must begin with http:// or https://");
    if (options->url && !check_key(options->key, err))
        return false;
    if (options->batch_max > 10000)
        return error_set(err, ERROR_INVALID, "batch_max", "must be at most 10000");
    if (options->queue_max > counts_max || options->seen_max > counts_max)
        return error_set(err, ERROR_INVALID, NULL, "queue_max and seen_max must be at most %zu",
                         counts_max);
    if (options->spill_max > (size_t)1 << 40)
        return error_set(err, ERROR_INVALID, "spill_max", "must be at most a tebibyte");
    return true;
}

static void init_locks(uplift_client *client)
{
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&client->progress, &steady);
    pthread_condattr_destroy(&steady);
    pthread_mutex_init(&client->lock, NULL);
    pthread_mutex_init(&client->payload_lock, NULL);
}

static void client_free(uplift_client *client)
{
    struct uplift_client_options *options = &client->options;
    const char *texts[] = {options->url,        options->key,     options->payload_path,
                           options->spill_path, options->ca_file, options->unix_socket};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free((void *)(uintptr_t)texts[i]);
    for (struct inbox_event *event = client->first, *next; event; event = next) {
        next = event->next;
        free(event);
    }
    transfer_release(client);
    if (client->curl)
        curl_global_cleanup();
    spool_close(&client->spool);
    seen_free(&client->seen);
    ruleset_unref(&client->payload);
    pthread_cond_destroy(&client->progress);
    pthread_mutex_destroy(&client->lock);
    pthread_mutex_destroy(&client->payload_lock);
    free(client);
}

/* Signals are the program's: none is handled in our thread. */
static bool start_thread(uplift_client *client, struct error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&client->thread, NULL, worker_run, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    client->threaded = failed == 0;
    return failed == 0 || error_set_errno(err, ERROR_IO, NULL, "cannot start a thread");
}

/* A client that asks nobody and keeps nothing needs neither file nor thread. */
static bool start(uplift_client *client, struct error *err)
{
    const struct uplift_client_options *options = &client->options;
    if (!options->url && !options->spill_path)
        return true;
    client->spool = spool_open(options->spill_path, options->spill_max, err);
    if (!client->spool) {
        error_prefix(err, options->spill_path ? options->spill_path : "spill_max");
        return false;
    }
    client->spool_is_file = options->spill_path != NULL;
    client->stats.recovered = spool_count(client->spool);
    client->queued = client->kept = client->stats.recovered;
    client->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    client->multi = client->curl ? curl_multi_init() : NULL;
    if (!client->multi)
        return error_set(err, ERROR_IO, NULL, "libcurl does not start");
    transfer_init(client);
    return start_thread(client, err);
}

uplift_client *uplift_client_new(const struct uplift_client_options *options,
                                 struct uplift_client_error *error)
{
    struct error err = {0};
    if (!check_options(options, &err)) {
        client_report(error, &err);
        return NULL;
    }
    uplift_client *client = xcalloc(1, sizeof *client);
    take_options(client, options);
    init_locks(client);
    client->last = &client->first;
    client->batch = client->options.batch_max;
    client->seen = seen_new(client->options.seen_max, client_chance());
    snprintf(client->id, sizeof client->id, "%016llx%016llx", (unsigned long long)client_chance(),
             (unsigned long long)client_chance());
    /* The caller's text, which is not there later. */
    const char *payload = client->options.payload;
    client->options.payload = NULL;
    if (payload && !client_take_payload(client, payload, strlen(payload), &err))
        error_prefix(&err, "payload");
    else if (!payload && client->options.payload_path)
        load_payload(client);
    if (err.code || !start(client, &err)) {
        client_report(error, &err);
        client_free(client);
        return NULL;
    }
    return client;
}

/* --- waiting --- */

/* Waits until `is`, with the lock held; false where it takes longer. */
static bool wait_until(uplift_client *client, bool (*is)(const uplift_client *, uint64_t),
                       uint64_t what, int timeout_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (timeout_ms < 0)
        timeout_ms = 0;
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    while (!is(client, what))
        if (pthread_cond_timedwait(&client->progress, &client->lock, &end) != 0)
            return is(client, what);
    return true;
}

static bool is_ready(const uplift_client *client, uint64_t what)
{
    (void)what;
    return client->has_payload;
}

static bool is_kept(const uplift_client *client, uint64_t number)
{
    return client->kept >= number;
}

static bool is_settled(const uplift_client *client, uint64_t number)
{
    return client->settled >= number;
}

enum uplift_client_code uplift_client_wait(uplift_client *client, int timeout_ms,
                                           struct uplift_client_error *error)
{
    pthread_mutex_lock(&client->lock);
    bool ready = wait_until(client, is_ready, 0, timeout_ms);
    pthread_mutex_unlock(&client->lock);
    return ready ? UPLIFT_CLIENT_OK
                 : fail(error, UPLIFT_CLIENT_TIMEOUT, "there are no definitions yet");
}

enum uplift_client_code uplift_client_flush(uplift_client *client, enum uplift_client_until until,
                                            int timeout_ms, struct uplift_client_error *error)
{
    if (!client->threaded)
        return UPLIFT_CLIENT_OK;
    pthread_mutex_lock(&client->lock);
    uint64_t number = client->queued;
    if (until == UPLIFT_CLIENT_SENT && client->hurry < number)
        client->hurry = number;
    curl_multi_wakeup(client->multi);
    bool done =
        wait_until(client, until == UPLIFT_CLIENT_SENT ? is_settled : is_kept, number, timeout_ms);
    pthread_mutex_unlock(&client->lock);
    return done ? UPLIFT_CLIENT_OK
                : fail(error, UPLIFT_CLIENT_TIMEOUT, "not all events are through yet");
}

enum uplift_client_code uplift_client_close(uplift_client **client, int timeout_ms,
                                            struct uplift_client_error *error)
{
    uplift_client *given = client ? *client : NULL;
    if (!given)
        return UPLIFT_CLIENT_OK;
    *client = NULL;
    enum uplift_client_code code = UPLIFT_CLIENT_OK;
    if (given->threaded) {
        pthread_mutex_lock(&given->lock);
        given->stop = true;
        given->stop_at = client_now() + (timeout_ms > 0 ? timeout_ms : 0);
        pthread_mutex_unlock(&given->lock);
        curl_multi_wakeup(given->multi);
        pthread_join(given->thread, NULL);
        if (given->lost)
            code = fail(error, UPLIFT_CLIENT_LOST, "events were dropped: they could not be sent");
        else if (given->left && given->options.url)
            code = fail(error, UPLIFT_CLIENT_TIMEOUT, "events are left in the file");
    }
    client_free(given);
    return code;
}

void uplift_client_statistics(uplift_client *client, struct uplift_client_stats *stats)
{
    size_t size = stats->size < sizeof *stats ? stats->size : sizeof *stats;
    pthread_mutex_lock(&client->lock);
    struct uplift_client_stats now = client->stats;
    now.waiting = client->queued - client->settled;
    pthread_mutex_unlock(&client->lock);
    now.size = stats->size;
    memcpy(stats, &now, size);
}

/* --- deciding --- */

/* What a decision points into. */
struct held {
    struct ruleset *payload;
    struct feature_result result;
};

const char *uplift_client_reason_word(enum uplift_client_reason reason)
{
    static const char *const words[] = {"assigned",     "forced", "held-out", "default",
                                        "prerequisite", "cyclic", "unknown",  "unavailable"};
    return (size_t)reason < sizeof words / sizeof *words ? words[reason] : "unavailable";
}

static enum uplift_client_reason reason_of(enum feature_source source)
{
    switch (source) {
    case FEATURE_DEFAULT:
        return UPLIFT_CLIENT_DEFAULT;
    case FEATURE_FORCE:
        return UPLIFT_CLIENT_FORCED;
    case FEATURE_EXPERIMENT:
        return UPLIFT_CLIENT_ASSIGNED;
    case FEATURE_PREREQUISITE:
        return UPLIFT_CLIENT_PREREQUISITE;
    case FEATURE_CYCLIC:
        return UPLIFT_CLIENT_CYCLIC;
    default:
        return UPLIFT_CLIENT_UNKNOWN;
    }
}

/* The attributes with the customer as "id": a new reference. */
static json_t *read_attributes(const char *customer, const char *attributes, struct error *err)
{
    if (!customer || !*customer)
        error_set(err, ERROR_INVALID, "customer", "is missing");
    else if (!utf8_valid(customer, strlen(customer)))
        error_set(err, ERROR_INVALID, "customer", "must be UTF-8");
    if (err->code)
        return NULL;
    json_t *read = attributes ? json_parse(attributes, strlen(attributes), err) : json_object();
    if (read && !json_is_object(read))
        error_set(err, ERROR_INVALID, NULL, "must be an object");
    error_prefix(err, "attributes");
    if (err->code) {
        json_decref(read);
        return NULL;
    }
    json_object_set_new(read, "id", json_string(customer));
    return read;
}

static struct ruleset *hold_payload(uplift_client *client)
{
    pthread_mutex_lock(&client->payload_lock);
    struct ruleset *payload = client->payload ? ruleset_ref(client->payload) : NULL;
    pthread_mutex_unlock(&client->payload_lock);
    return payload;
}

enum uplift_client_code uplift_client_decide(uplift_client *client, const char *experiment,
                                             const char *customer, const char *attributes,
                                             struct uplift_client_decision *decision,
                                             struct uplift_client_error *error)
{
    struct error err = {0};
    *decision = (struct uplift_client_decision){
        .index = -1, .value = "null", .reason = UPLIFT_CLIENT_UNAVAILABLE, .bucket = -1};
    json_t *seen = NULL;
    if (!experiment)
        error_set(&err, ERROR_INVALID, "experiment", "is missing");
    else
        seen = read_attributes(customer, attributes, &err);
    struct ruleset *payload = seen ? hold_payload(client) : NULL;
    if (payload) {
        struct held *held = xmalloc(sizeof *held);
        held->payload = payload;
        held->result = feature_decide(payload, experiment, seen);
        const struct feature_result *result = &held->result;
        *decision = (struct uplift_client_decision){
            .variant = result->variant,
            .index = result->index,
            .value = result->value->text,
            .reason = result->held_out ? UPLIFT_CLIENT_HELD_OUT : reason_of(result->source),
            .in_experiment = result->in_experiment && !result->held_out,
            .bucket = result->held_out ? -1 : result->bucket,
            .held = held,
        };
    }
    json_decref(seen);
    return client_report(error, &err);
}

void uplift_client_decision_release(struct uplift_client_decision *decision)
{
    struct held *held = decision->held;
    if (!held)
        return;
    ruleset_unref(&held->payload);
    free(held);
    *decision = (struct uplift_client_decision){
        .index = -1, .value = "null", .reason = UPLIFT_CLIENT_UNAVAILABLE, .bucket = -1};
}

enum uplift_client_code uplift_client_expose(uplift_client *client, const char *customer,
                                             const char *attributes,
                                             const struct uplift_client_decision *decision,
                                             struct uplift_client_error *error)
{
    struct error err = {0};
    const struct held *held = decision->held;
    for (size_t i = 0; held && i < held->result.exposure_count && !err.code; i++)
        recording_expose(client, customer, attributes, &held->result.exposures[i], &err);
    return client_report(error, &err);
}

enum uplift_client_code uplift_client_assign(uplift_client *client, const char *experiment,
                                             const char *customer, const char *attributes,
                                             struct uplift_client_decision *decision,
                                             struct uplift_client_error *error)
{
    enum uplift_client_code code =
        uplift_client_decide(client, experiment, customer, attributes, decision, error);
    return code ? code : uplift_client_expose(client, customer, attributes, decision, error);
}
