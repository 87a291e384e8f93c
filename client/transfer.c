/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is asked of the server: events to be taken, definitions, and word that they changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "client/parts.h"
#include "core/json.h"

enum {
    BATCH_BYTES = 4 << 20, /* half of what the server takes */
    CONNECT_MS = 5000,
    SILENCE_S = 90, /* of the stream: the server says something every 20 s */
};

/* --- what comes back --- */

static size_t take_bytes(char *bytes, size_t size, size_t count, void *data)
{
    struct transfer *transfer = data;
    size_t len = size * count;
    return text_add(&transfer->answer, bytes, len) ? len : 0;
}

/* The value of the header, where it is that one. */
static bool header_is(const char *line, size_t len, const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return false;
    for (n++; n < len && line[n] == ' '; n++)
        ;
    while (len > n && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    size_t value = len > n ? len - n : 0;
    if (value >= room)
        value = 0;
    memcpy(out, line + n, value);
    out[value] = '\0';
    return true;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *data)
{
    struct transfer *transfer = data;
    uplift_client *client = transfer->client;
    size_t len = size * count;
    char value[32];
    header_is(bytes, len, "etag", client->new_etag, sizeof client->new_etag);
    if (header_is(bytes, len, "x-sse-support", value, sizeof value))
        client->streams = strcmp(value, "enabled") == 0 && !client->options.no_streaming;
    return len;
}

/* The definitions may have changed: ask for them. */
static void ask_now(uplift_client *client)
{
    /* What is on its way may be older than the change. */
    client->again = client->payloads.running;
    if (!client->payloads.failures)
        client->payloads.due = client_now();
}

/* A line of the stream is whole: an event has a name and ends with an empty line. */
static void take_line(uplift_client *client)
{
    static const char name[] = "event: features";
    if (client->line_len == 0 && client->told)
        ask_now(client);
    client->told =
        client->line_len == 0 ? false
        : client->line_len >= sizeof name - 1 && memcmp(client->line, name, sizeof name - 1) == 0
            ? true
            : client->told;
    client->line_len = 0;
}

static size_t take_stream(char *bytes, size_t size, size_t count, void *data)
{
    struct transfer *transfer = data;
    uplift_client *client = transfer->client;
    size_t len = size * count;
    transfer->failures = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n')
            take_line(client);
        else if (bytes[i] != '\r' && client->line_len < sizeof client->line)
            client->line[client->line_len++] = bytes[i];
    }
    return len;
}

/* --- ready to ask --- */

static void add_header(struct transfer *transfer, const char *format, const char *value)
{
    char line[512];
    snprintf(line, sizeof line, format, value);
    struct curl_slist *list = curl_slist_append(transfer->headers, line);
    if (list)
        transfer->headers = list;
}

/* The server's address with the path behind it. */
static void set_url(struct transfer *transfer, const char *path, const char *key)
{
    const char *base = transfer->client->options.url;
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    struct text url;
    text_init(&url, SIZE_MAX / 2);
    text_add(&url, base, len);
    text_puts(&url, path);
    text_puts(&url, key);
    curl_easy_setopt(transfer->easy, CURLOPT_URL, url.ptr);
    text_release(&url);
}

static void make(uplift_client *client, struct transfer *transfer)
{
    const struct uplift_client_options *options = &client->options;
    transfer->client = client;
    text_init(&transfer->answer, CLIENT_ANSWER_MAX);
    transfer->easy = curl_easy_init();
    CURL *easy = transfer->easy;
    if (!easy)
        error_fatal("out of memory for a transfer");
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->problem);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "libuplift/" PACKAGE_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    if (options->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    if (options->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
}

void transfer_init(uplift_client *client)
{
    if (!client->options.url)
        return;
    make(client, &client->events);
    set_url(&client->events, "/v1/events", "");
    add_header(&client->events, "Authorization: Bearer %s", client->options.key);
    add_header(&client->events, "Content-Type: %s", "application/json");
    add_header(&client->events, "Expect:%s", "");
    curl_easy_setopt(client->events.easy, CURLOPT_HTTPHEADER, client->events.headers);

    make(client, &client->payloads);
    set_url(&client->payloads, "/api/features/", client->options.key);
    curl_easy_setopt(client->payloads.easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(client->payloads.easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(client->payloads.easy, CURLOPT_HEADERDATA, &client->payloads);

    make(client, &client->stream);
    set_url(&client->stream, "/sub/", client->options.key);
    add_header(&client->stream, "Accept: %s", "text/event-stream");
    curl_easy_setopt(client->stream.easy, CURLOPT_HTTPHEADER, client->stream.headers);
    curl_easy_setopt(client->stream.easy, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(client->stream.easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(client->stream.easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    curl_easy_setopt(client->stream.easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(client->stream.easy, CURLOPT_WRITEFUNCTION, take_stream);
}

static void release(uplift_client *client, struct transfer *transfer)
{
    if (!transfer->easy)
        return;
    if (transfer->running)
        curl_multi_remove_handle(client->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    text_release(&transfer->answer);
}

void transfer_release(uplift_client *client)
{
    release(client, &client->events);
    release(client, &client->payloads);
    release(client, &client->stream);
    if (client->multi)
        curl_multi_cleanup(client->multi);
}

/* --- asking --- */

static void start(uplift_client *client, struct transfer *transfer)
{
    text_clear(&transfer->answer);
    transfer->problem[0] = '\0';
    transfer->running = curl_multi_add_handle(client->multi, transfer->easy) == CURLM_OK;
}

static void start_events(uplift_client *client)
{
    struct error err = {0};
    struct text body;
    text_init(&body, SIZE_MAX / 2);
    client->sent = spool_read(client->spool, client->batch, BATCH_BYTES, &body, &err);
    if (client->sent > 0) {
        curl_easy_setopt(client->events.easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(client->events.easy, CURLOPT_COPYPOSTFIELDS, body.ptr);
        start(client, &client->events);
    } else {
        worker_note(client, "%s", err.message);
        client->events.due = client_now() + client->options.retry_max_ms;
    }
    text_release(&body);
}

static void start_payload(uplift_client *client)
{
    struct transfer *transfer = &client->payloads;
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    if (*client->etag)
        add_header(transfer, "If-None-Match: %s", client->etag);
    client->new_etag[0] = '\0';
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
    start(client, transfer);
}

/* What changed before the stream began is asked for once it has. */
static void start_stream(uplift_client *client)
{
    client->line_len = 0;
    client->told = false;
    start(client, &client->stream);
    ask_now(client);
}

static bool is_due(const struct transfer *transfer, int64_t now)
{
    return !transfer->running && transfer->due <= now;
}

void transfer_start_due(uplift_client *client, int64_t now, bool ending)
{
    if (!client->options.url)
        return;
    if (spool_count(client->spool) > 0 && is_due(&client->events, now))
        start_events(client);
    if (!ending && is_due(&client->payloads, now))
        start_payload(client);
    if (!ending && client->streams && is_due(&client->stream, now))
        start_stream(client);
}

/* --- answers --- */

/* Doubling pauses, half of each by chance so that clients do not come back all at once; never
 * sooner than the server asks. */
static void put_off(uplift_client *client, struct transfer *transfer, int64_t now)
{
    const struct uplift_client_options *options = &client->options;
    curl_off_t asked = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &asked);
    int64_t length = options->retry_ms;
    for (int i = 0; i < transfer->failures && length < options->retry_max_ms; i++)
        length *= 2;
    if (length > options->retry_max_ms)
        length = options->retry_max_ms;
    int64_t half = length / 2 + 1, least = asked < 86400 ? (int64_t)asked * 1000 : 86400000;
    length = half + (int64_t)(client_chance() % (uint64_t)half);
    if (least > 0)
        length = (least > length ? least : length) +
                 (int64_t)(client_chance() % (uint64_t)(least / 10 + 1));
    transfer->failures++;
    transfer->due = now + length;
}

static void failed(uplift_client *client, struct transfer *transfer, const char *what,
                   CURLcode code, long status, int64_t now)
{
    put_off(client, transfer, now);
    pthread_mutex_lock(&client->lock);
    client->stats.failures++;
    pthread_mutex_unlock(&client->lock);
    if (code != CURLE_OK)
        worker_note(client, "%s: %s", what,
                    *transfer->problem ? transfer->problem : curl_easy_strerror(code));
    else
        worker_note(client, "%s: the server answers %ld", what, status);
}

struct verdict {
    uint64_t accepted, duplicates, rejected;
    char first[ERROR_MESSAGE_MAX]; /* why one was rejected */
};

/* Reads what became of the events; false where that is no answer of Uplift's. */
static bool read_verdict(const struct transfer *transfer, struct verdict *verdict)
{
    struct error err = {0};
    json_t *answer = json_parse(transfer->answer.ptr, transfer->answer.len, &err);
    int64_t accepted = -1, duplicates = -1;
    json_t *rejected = NULL;
    bool ok =
        json_is_object(answer) &&
        json_read_integer(answer, JSON_TOP, "accepted", JSON_REQUIRED, 0, INT32_MAX, &accepted,
                          &err) &&
        json_read_integer(answer, JSON_TOP, "duplicates", JSON_REQUIRED, 0, INT32_MAX, &duplicates,
                          &err) &&
        json_read_array(answer, JSON_TOP, "rejected", JSON_REQUIRED, 0, SIZE_MAX, &rejected, &err);
    if (ok) {
        const char *why = json_string_value(json_object_get(json_array_get(rejected, 0), "error"));
        verdict->accepted = (uint64_t)accepted;
        verdict->duplicates = (uint64_t)duplicates;
        verdict->rejected = json_array_size(rejected);
        snprintf(verdict->first, sizeof verdict->first, "%s", why ? why : "");
    }
    json_decref(answer);
    return ok;
}

/* The events of this request are done with. */
static void settle(uplift_client *client, const struct verdict *verdict, int64_t now)
{
    struct error err = {0};
    if (verdict->rejected)
        worker_note(client, "the server refused %llu events, the first: %s",
                    (unsigned long long)verdict->rejected, verdict->first);
    if (!spool_drop(client->spool, client->sent, &err)) {
        /* They would be sent again: harmless, but not at once. */
        worker_note(client, "%s", err.message);
        put_off(client, &client->events, now);
        return;
    }
    client->events.failures = 0;
    client->events.due = now;
    client->batch = 2 * client->batch < client->options.batch_max ? 2 * client->batch
                                                                  : client->options.batch_max;
    pthread_mutex_lock(&client->lock);
    client->settled += client->sent;
    client->stats.accepted += verdict->accepted;
    client->stats.duplicates += verdict->duplicates;
    client->stats.rejected += verdict->rejected;
    pthread_cond_broadcast(&client->progress);
    pthread_mutex_unlock(&client->lock);
}

/* The request as a whole is refused: its halves may be taken, and at last one event is at fault. */
static void divide(uplift_client *client, long status, int64_t now)
{
    if (client->sent > 1) {
        client->batch = client->sent / 2;
        client->events.due = now;
        return;
    }
    struct verdict verdict = {.rejected = 1};
    snprintf(verdict.first, sizeof verdict.first, "answered %ld", status);
    settle(client, &verdict, now);
}

static void finish_events(uplift_client *client, CURLcode code, long status, int64_t now)
{
    struct verdict verdict = {0};
    if (code == CURLE_OK && status == 200 && read_verdict(&client->events, &verdict))
        settle(client, &verdict, now);
    else if (code == CURLE_OK && (status == 400 || status == 413))
        divide(client, status, now);
    else
        failed(client, &client->events, "sending events", code, status, now);
}

/* Whole on disk before it takes the place of the one before. */
static bool write_file(const char *path, const struct text *text)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return false;
    bool ok = fwrite(text->ptr, 1, text->len, file) == text->len && fflush(file) == 0 &&
              fdatasync(fileno(file)) == 0;
    return fclose(file) == 0 && ok;
}

static void keep_payload(uplift_client *client, const struct text *text)
{
    const char *path = client->options.payload_path;
    if (!path)
        return;
    struct text fresh;
    text_init(&fresh, SIZE_MAX / 2);
    text_puts(&fresh, path);
    text_puts(&fresh, ".new");
    if (!write_file(fresh.ptr, text) || rename(fresh.ptr, path) != 0)
        worker_note(client, "%s cannot be written", path);
    text_release(&fresh);
}

static void next_poll(uplift_client *client, int64_t now)
{
    int64_t pause = client->options.poll_ms;
    client->payloads.failures = 0;
    client->payloads.due = now + pause - (int64_t)(client_chance() % (uint64_t)(pause / 10 + 1));
    if (client->again)
        client->payloads.due = now;
    client->again = false;
}

static void finish_payload(uplift_client *client, CURLcode code, long status, int64_t now)
{
    struct transfer *transfer = &client->payloads;
    struct error err = {0};
    if (code == CURLE_OK && status == 304) {
        next_poll(client, now);
        return;
    }
    if (code != CURLE_OK || status != 200) {
        failed(client, transfer, "asking for definitions", code, status, now);
        return;
    }
    if (!client_take_payload(client, transfer->answer.ptr, transfer->answer.len, &err)) {
        char line[ERROR_LINE_MAX];
        worker_note(client, "the definitions are not usable: %s", error_line(&err, line));
        put_off(client, transfer, now);
        return;
    }
    memcpy(client->etag, client->new_etag, sizeof client->etag);
    keep_payload(client, &transfer->answer);
    next_poll(client, now);
}

static void finish_one(uplift_client *client, struct transfer *transfer, CURLcode code, int64_t now)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(client->multi, transfer->easy);
    transfer->running = false;
    if (transfer == &client->events)
        finish_events(client, code, status, now);
    else if (transfer == &client->payloads)
        finish_payload(client, code, status, now);
    else
        failed(client, transfer, "listening for changes",
               code == CURLE_OK ? CURLE_PARTIAL_FILE : code, status, now);
}

void transfer_finish(uplift_client *client, int64_t now)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
        struct transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        finish_one(client, transfer, code, now);
    }
}
