/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A loop over libcurl's multi interface: what is due is begun, what is over is noted in the store.
 * Nothing is remembered beside the transfers that are under way. No redirect is followed, which a
 * receiver could point at what only this machine reaches, and of an answer only the status counts.
 */
#include "http/deliver.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/histogram.h"
#include "core/webhook.h"

enum {
    PAUSE_MS = 500,
    TIMEOUT_SECONDS = 15,
    CONNECT_SECONDS = 5,
    ANSWER_MAX = 64 << 10,
    RETRY_AFTER_MAX = 86400,
    AT_ONCE = WEBHOOKS_MAX,
};
static const int64_t HOLD_FIRST = INT64_C(5000000000), HOLD_MOST = INT64_C(300000000000);

struct transfer {
    CURL *curl; /* NULL: free */
    struct curl_slist *headers;
    struct webhook_message message;
    size_t answered; /* bytes of the answer */
    char why[CURL_ERROR_SIZE];
};

struct deliver {
    struct uplift *uplift;
    pthread_t thread;
    atomic_bool ending;
    CURLM *multi;       /* made with the first message: most servers have no webhook */
    int64_t held_until; /* histogram_now; nothing is begun before */
    int64_t hold;       /* ns that it is held; 0: the last outcome was noted */
    struct transfer transfers[AT_ONCE];
};

static bool is_busy(void *data, const char *webhook)
{
    const struct deliver *deliver = data;
    for (int i = 0; i < AT_ONCE; i++)
        if (deliver->transfers[i].curl &&
            strcmp(deliver->transfers[i].message.place.webhook, webhook) == 0)
            return true;
    return false;
}

static size_t count_answer(char *bytes, size_t size, size_t count, void *data)
{
    struct transfer *transfer = data;
    (void)bytes;
    transfer->answered += size * count;
    return transfer->answered > ANSWER_MAX ? 0 : size * count;
}

static void add_header(struct transfer *transfer, const char *name, const char *value)
{
    struct text line;
    text_init(&line, 1024);
    text_printf(&line, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(transfer->headers, line.ptr);
    if (!longer)
        error_fatal("out of memory");
    transfer->headers = longer;
    text_release(&line);
}

static void make_headers(struct transfer *transfer)
{
    char seconds[24];
    struct text signature;
    int64_t now = (int64_t)time(NULL);
    text_init(&signature, 512);
    snprintf(seconds, sizeof seconds, "%lld", (long long)now);
    webhook_sign(&transfer->message, now, &signature);
    add_header(transfer, "Content-Type", "application/json");
    add_header(transfer, "webhook-id", transfer->message.id);
    add_header(transfer, "webhook-timestamp", seconds);
    add_header(transfer, "webhook-signature", signature.ptr);
    text_release(&signature);
}

static void set_options(struct transfer *transfer)
{
    CURL *curl = transfer->curl;
    curl_easy_setopt(curl, CURLOPT_URL, transfer->message.url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "uplift/" PACKAGE_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, transfer->message.body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, transfer);
}

static void release(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->headers);
    webhook_message_release(&transfer->message);
    *transfer = (struct transfer){0};
}

static struct transfer *free_transfer(struct deliver *deliver)
{
    for (int i = 0; i < AT_ONCE; i++)
        if (!deliver->transfers[i].curl)
            return &deliver->transfers[i];
    return NULL;
}

/* Begins what is due. A store that cannot be read is told of by others; here it is tried again. */
static void begin(struct deliver *deliver)
{
    struct error err = {0};
    struct transfer *transfer;
    if (histogram_now() < deliver->held_until)
        return;
    while ((transfer = free_transfer(deliver)) &&
           webhook_due(deliver->uplift, uplift_now(deliver->uplift), is_busy, deliver,
                       &transfer->message, &err)) {
        if (!deliver->multi) {
            curl_global_init(CURL_GLOBAL_DEFAULT);
            deliver->multi = curl_multi_init();
        }
        transfer->curl = curl_easy_init();
        if (!deliver->multi || !transfer->curl)
            error_fatal("libcurl does not start");
        make_headers(transfer);
        set_options(transfer);
        curl_multi_add_handle(deliver->multi, transfer->curl);
    }
}

/* What cannot be noted, as on a full disk, is sent again, and its id tells: not at once, or a
 * receiver would get it twice a second until somebody made room. */
static void hold(struct deliver *deliver, bool noted)
{
    int64_t longer = deliver->hold ? 2 * deliver->hold : HOLD_FIRST;
    deliver->hold = noted ? 0 : longer < HOLD_MOST ? longer : HOLD_MOST;
    deliver->held_until = noted ? 0 : histogram_now() + deliver->hold;
}

static void note(struct deliver *deliver, struct transfer *transfer, CURLcode code)
{
    long status = 0;
    curl_off_t after = 0;
    struct error err = {0};
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &after);
    const char *why = *transfer->why ? transfer->why : curl_easy_strerror(code);
    struct webhook_outcome outcome = {.status = code == CURLE_OK ? (int)status : 0,
                                      .error = code == CURLE_OK ? NULL : why,
                                      .retry_after = after < RETRY_AFTER_MAX ? (int64_t)after
                                                                             : RETRY_AFTER_MAX};
    hold(deliver, webhook_note(deliver->uplift, &transfer->message, &outcome,
                               uplift_now(deliver->uplift), &err));
}

static void finish(struct deliver *deliver)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(deliver->multi, &left))) {
        struct transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        curl_multi_remove_handle(deliver->multi, transfer->curl);
        note(deliver, transfer, code);
        release(transfer);
    }
}

static void wait_a_little(const struct deliver *deliver)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    if (deliver->multi)
        curl_multi_poll(deliver->multi, NULL, 0, PAUSE_MS, NULL);
    else
        nanosleep(&pause, NULL);
}

static void *run(void *data)
{
    struct deliver *deliver = data;
    while (!atomic_load(&deliver->ending)) {
        int running;
        begin(deliver);
        if (deliver->multi) {
            curl_multi_perform(deliver->multi, &running);
            finish(deliver);
        }
        wait_a_little(deliver);
    }
    return NULL;
}

struct deliver *deliver_start(struct uplift *uplift)
{
    struct deliver *deliver = xcalloc(1, sizeof *deliver);
    deliver->uplift = uplift;
    if (pthread_create(&deliver->thread, NULL, run, deliver) != 0)
        error_fatal("cannot start a thread");
    return deliver;
}

void deliver_stop(struct deliver **deliver)
{
    if (!*deliver)
        return;
    atomic_store(&(*deliver)->ending, true);
    pthread_join((*deliver)->thread, NULL);
    for (int i = 0; i < AT_ONCE; i++)
        if ((*deliver)->transfers[i].curl) {
            curl_multi_remove_handle((*deliver)->multi, (*deliver)->transfers[i].curl);
            release(&(*deliver)->transfers[i]);
        }
    if ((*deliver)->multi)
        curl_multi_cleanup((*deliver)->multi);
    free(*deliver);
    *deliver = NULL;
}
