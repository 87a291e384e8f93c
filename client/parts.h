/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a client, for the files that make it up: client.c has the calls, recording.c what is
 * recorded, worker.c the thread, transfer.c what is asked of the server.
 *
 * Locks: `payload_lock` guards the pointer to the payload, `lock` all that is marked so; neither is
 * taken while the other is held, and none while anything waits. */
#ifndef UPLIFT_CLIENT_PARTS_H
#define UPLIFT_CLIENT_PARTS_H

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>

#include "client/client.h"
#include "client/feature.h"
#include "client/seen.h"
#include "client/spool.h"

#define CLIENT_ANSWER_MAX (64 << 20)

/* An event on its way to the thread. */
struct inbox_event {
    struct inbox_event *next;
    size_t len;
    char text[];
};

/* Something asked of the server, again and again. Owned by the thread. */
struct transfer {
    uplift_client *client;
    CURL *easy;
    struct curl_slist *headers;
    bool running;
    int64_t due;  /* steady ms: not before */
    int failures; /* in a row */
    struct text answer;
    char problem[CURL_ERROR_SIZE];
};

struct uplift_client {
    /* Set at the start. */
    struct uplift_client_options options; /* its texts are the client's copies */
    char id[33];                          /* begins the ids of events */
    bool threaded, curl;
    pthread_t thread;
    CURLM *multi;

    pthread_mutex_t payload_lock;
    struct ruleset *payload;

    pthread_mutex_t lock;
    pthread_cond_t progress; /* lock: any of the following moved on */
    struct inbox_event *first, **last;
    size_t inbox_count;
    uint64_t event_number;
    uint64_t queued, kept, settled; /* events in all, ever: in this order, each by its number */
    uint64_t hurry;                 /* send without waiting until so many are settled */
    struct seen *seen;
    struct uplift_client_stats stats; /* but `waiting` */
    bool has_payload, stop;
    int64_t stop_at; /* steady ms */
    size_t left;     /* events that an ended thread leaves in the file … */
    size_t lost;     /* … or not even there */

    /* Owned by the thread. */
    struct spool *spool;
    bool spool_is_file;
    struct transfer events, payloads, stream;
    size_t batch, sent; /* events a request now, in the one that runs */
    char etag[256], new_etag[256];
    bool again;    /* word of a change came while definitions were on their way */
    bool streams;  /* the server says that it does */
    char line[64]; /* of the stream: how it begins */
    size_t line_len;
    bool told; /* the stream's present event is one of a change */
};

/* Fills the caller's error, if there is one, from ours. */
enum uplift_client_code client_report(struct uplift_client_error *error, const struct error *err);
/* Steady ms. */
int64_t client_now(void);
/* A random number. */
uint64_t client_chance(void);
/* Parses definitions and puts them in force. */
bool client_take_payload(uplift_client *client, const char *text, size_t len, struct error *err);

/* Records an exposure unless it was already. */
bool recording_expose(uplift_client *client, const char *customer, const char *attributes,
                      const struct feature_exposure *exposure, struct error *err);

/* Notes that something failed: for the statistics and the log. By the thread, without locks. */
void worker_note(uplift_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *worker_run(void *client);

/* Makes the three transfers ready; gives them back. */
void transfer_init(uplift_client *client);
void transfer_release(uplift_client *client);
/* Starts what is due. */
void transfer_start_due(uplift_client *client, int64_t now, bool ending);
/* Takes the answers that are whole. */
void transfer_finish(uplift_client *client, int64_t now);

#endif
