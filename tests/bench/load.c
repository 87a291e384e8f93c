/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "tests/bench/bench.h"

enum { ANSWER_MAX = 1 << 16, REQUEST_MAX = 16 << 20 };

struct lane {
    int socket;
    struct text request;
    size_t sent;
    char *answer;
    size_t got;
    double began;
};

struct run {
    const struct load *load;
    struct lane lanes[LOAD_CONNECTIONS_MAX];
    struct text body;
    int epoll;
    double from; /* figures are taken of answers after this */
    float *took; /* milliseconds */
    size_t count, room;
    struct load_figures figures;
};

static void connect_lane(struct run *run, struct lane *lane)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(run->load->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    lane->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (lane->socket < 0 || connect(lane->socket, (struct sockaddr *)&address, sizeof address) != 0)
        error_fatal("cannot connect to the server");
    setsockopt(lane->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = lane};
    epoll_ctl(run->epoll, EPOLL_CTL_ADD, lane->socket, &event);
    lane->answer = xmalloc(ANSWER_MAX);
    text_init(&lane->request, REQUEST_MAX);
}

/* What does not fit into the socket waits for it. */
static void send_rest(struct run *run, struct lane *lane)
{
    while (lane->sent < lane->request.len) {
        ssize_t sent = send(lane->socket, lane->request.ptr + lane->sent,
                            lane->request.len - lane->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            error_fatal("the server closed a connection");
        if (sent < 0)
            break;
        lane->sent += (size_t)sent;
    }
    bool all = lane->sent == lane->request.len;
    struct epoll_event event = {.events = all ? EPOLLIN : EPOLLIN | EPOLLOUT, .data.ptr = lane};
    epoll_ctl(run->epoll, EPOLL_CTL_MOD, lane->socket, &event);
}

static void ask(struct run *run, struct lane *lane)
{
    const struct load *load = run->load;
    text_clear(&run->body);
    load->next(load->data, &run->body);
    text_clear(&lane->request);
    text_printf(&lane->request,
                "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %s\r\n"
                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                load->path, load->key, run->body.len);
    text_add(&lane->request, run->body.ptr, run->body.len);
    must(!lane->request.failed && !run->body.failed);
    lane->sent = lane->got = 0;
    lane->began = bench_seconds();
    size_t before = lane->request.len;
    ssize_t sent = send(lane->socket, lane->request.ptr, before, MSG_NOSIGNAL | MSG_DONTWAIT);
    lane->sent = sent > 0 ? (size_t)sent : 0;
    if (lane->sent < before)
        send_rest(run, lane);
}

/* Whether the answer is whole: its length is known from its head. */
static bool whole(struct lane *lane)
{
    static const char length[] = "content-length: ";
    lane->answer[lane->got] = '\0';
    char *end = strstr(lane->answer, "\r\n\r\n"), *field = strcasestr(lane->answer, length);
    if (!end || !field)
        return false;
    return lane->got >=
           (size_t)(end + 4 - lane->answer) + strtoull(field + sizeof length - 1, NULL, 10);
}

static void note(struct run *run, const struct lane *lane)
{
    double now = bench_seconds();
    run->figures.answers++;
    run->figures.answer_len = lane->got;
    if (strncmp(lane->answer, "HTTP/1.1 200", 12) != 0 && run->figures.refused++ == 0)
        fprintf(stderr, "refused: %s\n", lane->answer);
    if (now < run->from)
        return;
    if (run->count == run->room) {
        run->room = run->room ? 2 * run->room : 1 << 16;
        run->took = xrealloc(run->took, run->room * sizeof *run->took);
    }
    run->took[run->count++] = (float)(1e3 * (now - lane->began));
}

static void take(struct run *run, struct lane *lane)
{
    ssize_t got =
        recv(lane->socket, lane->answer + lane->got, ANSWER_MAX - 1 - lane->got, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        error_fatal("the server closed a connection");
    if (got < 0)
        return;
    lane->got += (size_t)got;
    if (!whole(lane))
        return;
    note(run, lane);
    ask(run, lane);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void sum_up(struct run *run, double seconds)
{
    if (run->count == 0)
        return;
    qsort(run->took, run->count, sizeof *run->took, compare);
    run->figures.rate = (double)run->count / seconds;
    run->figures.p50 = (double)run->took[run->count / 2];
    run->figures.p99 = (double)run->took[run->count * 99 / 100];
}

static void release(struct run *run)
{
    for (unsigned i = 0; i < run->load->connections; i++) {
        close(run->lanes[i].socket);
        text_release(&run->lanes[i].request);
        free(run->lanes[i].answer);
    }
    close(run->epoll);
    text_release(&run->body);
    free(run->took);
    free(run);
}

struct load_figures load_run(const struct load *load)
{
    struct run *run = xcalloc(1, sizeof *run);
    struct epoll_event events[256];
    run->load = load;
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    text_init(&run->body, REQUEST_MAX);
    for (unsigned i = 0; i < load->connections; i++)
        connect_lane(run, &run->lanes[i]);
    run->from = bench_seconds() + load->warm;
    for (unsigned i = 0; i < load->connections; i++)
        ask(run, &run->lanes[i]);
    double until = run->from + load->seconds;
    while (load->most ? run->figures.answers < load->most
                      : run->count < load->least || bench_seconds() < until) {
        int count = epoll_wait(run->epoll, events, 256, 1000);
        for (int i = 0; i < count; i++) {
            struct lane *lane = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_rest(run, lane);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                take(run, lane);
        }
    }
    sum_up(run, bench_seconds() - run->from);
    struct load_figures figures = run->figures;
    release(run);
    return figures;
}
