/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any method, path, query, headers and body to a server on a port of its own: it answers, never
 * with "500", and what it calls JSON is JSON. The first line is method and target, lines up to an
 * empty one are headers, the rest is the body; who asks is an administrator. */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/definitions.h"
#include "core/json.h"
#include "core/keys.h"
#include "core/uplift.h"
#include "http/server.h"
#include "tests/core/folder.h"

enum { RENEW_EVERY = 20000, ANSWER_MAX = 1 << 22 };

static char folder[FOLDER_MAX], secret[KEY_SECRET_MAX];
static struct uplift *uplift;
static struct server *server;
static int given;

static void leave(void)
{
    server_stop(&server, true);
    uplift_close(&uplift);
    folder_remove(folder);
}

static void made(json_t *json)
{
    must(json);
    json_decref(json);
}

static void define(void)
{
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    json_t *metric = json_pack("{s:s, s:s, s:s}", "key", "m", "kind", "binary", "event", "o");
    json_t *experiment =
        json_pack("{s:s, s:[{s:s}, {s:s}], s:[s], s:{s:[s]}}", "key", "exp", "variants", "key", "a",
                  "key", "b", "segments", "device", "metrics", "primary", "m");
    json_t *events = json_pack("[{s:s, s:s, s:s, s:s}]", "type", "exposure", "customer", "c",
                               "experiment", "exp", "variant", "a");
    made(uplift_metric_create(uplift, &change, metric, &err));
    made(uplift_experiment_create(uplift, &change, experiment, &err));
    made(uplift_experiment_transition(uplift, &change, slice_of("exp"), STEP_START, NULL, &err));
    made(uplift_events(uplift, events, &err));
    json_decref(metric);
    json_decref(experiment);
    json_decref(events);
}

static void begin(void)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    const struct server_options options = {.listen = listen, .listen_count = 1, .threads = 1};
    struct error err = {0};
    signal(SIGPIPE, SIG_IGN);
    must(folder_make(folder));
    uplift = uplift_open(folder, &clock_system, &err);
    must(uplift && keys_create(uplift, KEY_ADMIN, KEY_ROLE_ADMIN, "k", 0, secret, NULL, &err));
    define();
    server = server_start(uplift, &options, &err);
    must(server);
    given = 0;
}

/* --- asking --------------------------------------------------------------------------------- */

static int call(void)
{
    int line = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(line >= 0 && connect(line, (struct sockaddr *)&address, sizeof address) == 0);
    return line;
}

/* What the server does not take, it need not. */
static void send_all(int line, const char *bytes, size_t len)
{
    for (ssize_t sent = 1; len > 0 && sent > 0; bytes += sent, len -= (size_t)sent)
        if ((sent = write(line, bytes, len)) < 0 && errno == EINTR)
            sent = 0;
}

static size_t read_all(int line, char *answer)
{
    size_t len = 0;
    ssize_t got;
    while (len < ANSWER_MAX && (got = read(line, answer + len, ANSWER_MAX - len)) > 0)
        len += (size_t)got;
    answer[len] = '\0';
    return len;
}

/* Writes the request with who asks, and how long its body is. */
static void ask(int line, const char *text, size_t size)
{
    char head[200];
    const char *end = memchr(text, '\n', size);
    size_t first = end ? (size_t)(end - text) : size;
    const char *body = memmem(text, size, "\n\n", 2);
    size_t headers = body ? (size_t)(body - text) : size;
    body = body ? body + 2 : text + size;
    size_t len = size - (size_t)(body - text);
    send_all(line, text, first);
    int written = snprintf(head, sizeof head,
                           " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
                           "%s\r\nContent-Length: %zu\r\n",
                           secret, len);
    send_all(line, head, (size_t)written);
    if (headers > first + 1)
        send_all(line, text + first + 1, headers - first - 1);
    send_all(line, "\r\n\r\n", 4);
    send_all(line, body, len);
    shutdown(line, SHUT_WR);
}

static void look_at(const char *method, const char *answer, size_t len)
{
    struct error err = {0};
    const char *body = strstr(answer, "\r\n\r\n");
    int status = 0;
    if (len == 0 || sscanf(answer, "HTTP/1.%*d %d ", &status) != 1)
        return;
    if (status == 500)
        fprintf(stderr, "%s\n", answer);
    must(status != 500);
    const char *type = strstr(answer, "Content-Type: application/");
    bool json = type && body && type < body && strstr(type, "json") && strstr(type, "json") < body;
    if (!json || strncmp(method, "HEAD", 4) == 0 || status == 204 || status == 304 ||
        len == ANSWER_MAX)
        return;
    json_t *parsed = json_parse(body + 4, len - (size_t)(body + 4 - answer), &err);
    must(parsed);
    json_decref(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char answer[ANSWER_MAX + 1];
    const char *text = (const char *)data;
    if (!uplift) {
        begin();
        atexit(leave);
    }
    /* A stream has no end. */
    if (size == 0 || memmem(text, size, "stream", 6) || memmem(text, size, "%", 1) == text)
        return -1;
    int line = call();
    ask(line, text, size);
    size_t len = read_all(line, answer);
    close(line);
    look_at(text, answer, len);
    if (++given == RENEW_EVERY || strncmp(answer, "HTTP/1.1 401", 12) == 0) {
        leave();
        begin();
    }
    return len ? 0 : -1;
}
