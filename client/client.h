/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libuplift: decisions of an Uplift server inside a C or C++ program, without a request each.
 *
 *     struct uplift_client_options options;
 *     struct uplift_client_error error;
 *     uplift_client_options_init(&options);
 *     options.url = "https://uplift.example.org";
 *     options.key = "sdk-…";
 *     options.spill_path = "/var/lib/shop/uplift.events";
 *     uplift_client *client = uplift_client_new(&options, &error);
 *     uplift_client_wait(client, 2000, &error);
 *
 *     struct uplift_client_decision decision;
 *     uplift_client_assign(client, "checkout", "customer-42", "{\"country\": \"DE\"}",
 *                          &decision, &error);
 *     show(decision.value);
 *     uplift_client_decision_release(&decision);
 *
 *     uplift_client_close(&client, 5000, &error);
 *
 * A client fetches the definitions (the GrowthBook payload of GET /api/features) and keeps them
 * fresh; it decides in the calling thread, by the server's own code; and it sends events in
 * batches until the server has them on disk. One thread of its own does all that can wait, with all
 * signals blocked. What is decided in the process is what the server decides. The server alone
 * knows who refused consent and which variant of a sticky experiment a customer saw first: ask
 * it (POST /v1/assign) where that matters.
 *
 * Texts are UTF-8 that ends in a zero byte; the client copies what it keeps. JSON texts are one
 * value. Times are milliseconds. An error may be NULL where nobody wants the words; it is only
 * written where a call fails. Nothing is printed, and no input ends the process. Only memory that
 * is used up does (abort, with a line on standard error), as everywhere in Uplift: a process that
 * must survive that cannot use this library.
 *
 * Thread-safety: every function may be called by any threads at the same time for the same client,
 * but uplift_client_close, which is the last call for it. There is no state outside of a client.
 * After fork() the child must neither use nor close the parent's client: make one after it.
 *
 * What was accepted is sent until the server has taken or refused it: with exponentially longer
 * pauses, half of each by chance, or as long as the server's Retry-After says. Each event has an
 * id of its own and a time, so that one that is sent twice is counted once. */
#ifndef UPLIFT_CLIENT_H
#define UPLIFT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UPLIFT_CLIENT_API __attribute__((visibility("default")))

enum uplift_client_code {
    UPLIFT_CLIENT_OK = 0,
    UPLIFT_CLIENT_INVALID, /* what was given is not usable; the words say where */
    UPLIFT_CLIENT_FULL,    /* the queue has no room: the event was not taken */
    UPLIFT_CLIENT_IO,      /* a file or thread failed */
    UPLIFT_CLIENT_TIMEOUT, /* not done in time; what is on disk is sent after the next start */
    UPLIFT_CLIENT_LOST     /* not done in time, and there is no file: events were dropped */
};

#define UPLIFT_CLIENT_TEXT_MAX 512

struct uplift_client_error {
    enum uplift_client_code code;
    char text[UPLIFT_CLIENT_TEXT_MAX]; /* one line: "attributes: line 1, column 4: …" */
};

/* Notes of the client's thread: that something failed, or goes well again. */
typedef void (*uplift_client_log)(void *data, const char *message);

/* Set what is wanted after uplift_client_options_init, which leaves 0 and NULL: the defaults. */
struct uplift_client_options {
    size_t size; /* of this struct, as the caller knows it */
    /* "http://…" or "https://…" of the server, and a client key. NULL: the client
     * decides by `payload` alone and asks nobody; events are kept only with a spill_path. */
    const char *url, *key;
    /* Definitions to begin with, as GET /api/features answers them; NULL: none. */
    const char *payload;
    /* A file that holds the last good definitions: read at the start unless there is a `payload`,
     * written at each change. Whole at any time. NULL: none. */
    const char *payload_path;
    /* A file for events that are not sent yet: they survive the end of the process, kill -9 too. It
     * is made when missing and locked: one client a file. Written by the client's thread, some
     * milliseconds after the call (uplift_client_flush waits for that); not synced, so that a power
     * cut may lose the last seconds. NULL: memory only. */
    const char *spill_path;
    size_t spill_max;        /* bytes of events in the file, or without one in memory [16 MiB] */
    size_t queue_max;        /* events on their way to the client's thread [10,000] */
    size_t batch_max;        /* events a request, up to 10,000 [1,000] */
    size_t seen_max;         /* exposures remembered so as not to repeat them [65,536] */
    int send_ms;             /* an event waits this long for others [1,000] */
    int poll_ms;             /* pause between questions for new definitions [60,000] */
    int timeout_ms;          /* of one request [10,000] */
    int retry_ms;            /* the first pause after a failure [1,000] … */
    int retry_max_ms;        /* … which doubles up to this [300,000] */
    bool no_streaming;       /* do not listen to /sub: changes are seen at the next poll only */
    const char *ca_file;     /* certificates to trust, PEM [the system's] */
    const char *unix_socket; /* path of the server's socket; the url gives the host's name */
    /* Called by the client's thread; must not call the client. NULL: nobody. */
    uplift_client_log log;
    void *log_data;
};

static inline void uplift_client_options_init(struct uplift_client_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

typedef struct uplift_client uplift_client;

/* Starts a client. It waits for no answer of the server. NULL where an option is not usable, the
 * payload is none, or a file or thread cannot be had. */
UPLIFT_CLIENT_API uplift_client *uplift_client_new(const struct uplift_client_options *options,
                                                   struct uplift_client_error *error);

/* Waits until there are definitions, whichever they came from: UPLIFT_CLIENT_TIMEOUT where not. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_wait(uplift_client *client, int timeout_ms,
                                                             struct uplift_client_error *error);

/* Takes these definitions in place of those that it has, for programs that fetch them in another
 * way. What is wrong leaves the old ones in force. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_payload(uplift_client *client,
                                                                const char *json,
                                                                struct uplift_client_error *error);

/* Why a decision is as it is. */
enum uplift_client_reason {
    UPLIFT_CLIENT_ASSIGNED,     /* by the customer's bucket */
    UPLIFT_CLIENT_FORCED,       /* by a rule: an override, or the winner */
    UPLIFT_CLIENT_HELD_OUT,     /* by a holdout: the control */
    UPLIFT_CLIENT_DEFAULT,      /* no rule was for this customer, or the experiment is at rest */
    UPLIFT_CLIENT_PREREQUISITE, /* another experiment had to come out otherwise */
    UPLIFT_CLIENT_CYCLIC,       /* the experiment depends on itself */
    UPLIFT_CLIENT_UNKNOWN,      /* there is no such experiment */
    UPLIFT_CLIENT_UNAVAILABLE   /* there are no definitions yet */
};

/* "assigned", …; static. */
UPLIFT_CLIENT_API const char *uplift_client_reason_word(enum uplift_client_reason reason);

/* Texts belong to the decision until it is released. */
struct uplift_client_decision {
    const char *variant; /* key; NULL where the definitions do not tell it */
    int index;           /* of the variant, the control is 0; -1 where there is none */
    const char *value;   /* JSON: "true", "\"green\"", "{…}"; "null" without any. Never NULL */
    enum uplift_client_reason reason;
    bool
        in_experiment; /* an exposure counts; one who is held out is exposed to the holdout alone */
    double bucket;     /* 0 to 0.9999; -1 where none was computed */
    void *held;        /* the client's own */
};

/* Decides. `attributes` is a JSON object or NULL; "id" in it is the customer, whatever it says.
 * Without locks or waits but for a mutex that is held for some instructions. On failure (INVALID)
 * the decision is one with the reason UPLIFT_CLIENT_UNAVAILABLE. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_decide(
    uplift_client *client, const char *experiment, const char *customer, const char *attributes,
    struct uplift_client_decision *decision, struct uplift_client_error *error);

/* Decides, and records the exposure where there is one: for a customer to whom it is shown now. The
 * decision is good also where the exposure could not be recorded, which the code tells. An exposure
 * is recorded once a customer, experiment and variant, as far as seen_max reaches; `attributes` go
 * with it, as the experiment's segments are taken from them (8,192 bytes at most). */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_assign(
    uplift_client *client, const char *experiment, const char *customer, const char *attributes,
    struct uplift_client_decision *decision, struct uplift_client_error *error);

/* Records the exposure of a decision that is shown later than it was made. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_expose(
    uplift_client *client, const char *customer, const char *attributes,
    const struct uplift_client_decision *decision, struct uplift_client_error *error);

/* Gives back what the decision holds. Any number of times; also after the client was closed. */
UPLIFT_CLIENT_API void uplift_client_decision_release(struct uplift_client_decision *decision);

/* Records that something happened, such as an order of 59.90 (-1e10 to 1e10). */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_outcome(uplift_client *client,
                                                                const char *customer,
                                                                const char *name, double value,
                                                                struct uplift_client_error *error);

/* Records an answer: survey "nps" (0 to 10), "csat" (1 to 5), "ces" (1 to 7); a comment or NULL. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_feedback(uplift_client *client,
                                                                 const char *customer,
                                                                 const char *survey, int score,
                                                                 const char *comment,
                                                                 struct uplift_client_error *error);

/* Records any event as POST /v1/events takes it, one JSON object; `id` and `at` are added where it
 * has none. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_event(uplift_client *client,
                                                              const char *json,
                                                              struct uplift_client_error *error);

enum uplift_client_until {
    UPLIFT_CLIENT_KEPT, /* in the file (without one: in the thread's hands) */
    UPLIFT_CLIENT_SENT  /* taken or refused by the server */
};

/* Sends at once, and waits for all events recorded before this call. UPLIFT_CLIENT_TIMEOUT where it
 * takes longer; nothing is lost by that. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_flush(uplift_client *client,
                                                              enum uplift_client_until until,
                                                              int timeout_ms,
                                                              struct uplift_client_error *error);

struct uplift_client_stats {
    size_t size;         /* set by the caller: sizeof (struct uplift_client_stats) */
    uint64_t waiting;    /* events not yet with the server */
    uint64_t recovered;  /* of these, at the start: what an earlier process left in the file */
    uint64_t accepted;   /* events that the server counted … */
    uint64_t duplicates; /* … had already … */
    uint64_t rejected;   /* … or refused for good */
    uint64_t refused;    /* not taken by the client: the queue was full */
    uint64_t failures;   /* requests that failed */
    uint64_t payloads;   /* definitions taken, the first ones too */
    char failed[UPLIFT_CLIENT_TEXT_MAX]; /* the last thing that went wrong, or "" */
};

UPLIFT_CLIENT_API void uplift_client_statistics(uplift_client *client,
                                                struct uplift_client_stats *stats);

/* Sends what waits for at most that long, ends the client and nulls the pointer; NULL is fine.
 * UPLIFT_CLIENT_TIMEOUT: events are left in the file. UPLIFT_CLIENT_LOST: there is no file. A
 * request on its way is cut at the deadline. */
UPLIFT_CLIENT_API enum uplift_client_code uplift_client_close(uplift_client **client,
                                                              int timeout_ms,
                                                              struct uplift_client_error *error);

/* "0.1.0"; static. */
UPLIFT_CLIENT_API const char *uplift_client_version(void);

#ifdef __cplusplus
}
#endif

#endif
