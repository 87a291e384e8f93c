/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /v1/assign for three experiments, among 20 that run, beside a bare libmicrohttpd that
 * answers as many bytes: 64 and 256 keep-alive connections, each pair of runs in turn, medians of
 * three; and one experiment or all beside Fastify with GrowthBook's SDK. The server has one
 * processor, the load another, in all. Not a test. */
#include <stdio.h>

#include "tests/bench/bare.h"
#include "tests/bench/load.h"
#include "tests/bench/peer.h"
#include "tests/core/folder.h"

enum { RUNS = 3, EXPERIMENTS = 20 };

static void define(const char *folder, char key[48])
{
    struct uplift *uplift = bench_open(folder);
    char text[512], name[16];
    for (int i = 0; i < EXPERIMENTS; i++) {
        snprintf(name, sizeof name, "exp-%d", i);
        snprintf(text, sizeof text,
                 "{\"key\": \"%s\", \"variants\": [{\"key\": \"control\"}, {\"key\": \"other\"}],"
                 " \"audience\": {\"country\": {\"$in\": [\"DE\", \"FR\"]},"
                 " \"age\": {\"$gte\": 18}, \"device\": \"ios\"}}",
                 name);
        bench_make(uplift, false, text);
        bench_start(uplift, name);
    }
    bench_key(uplift, key);
    uplift_close(&uplift);
}

static void next(void *data, struct text *body)
{
    (void)data;
    text_printf(body,
                "{\"customer\":\"customer-%015llu\",\"attributes\":{\"country\":\"DE\",\"age\":30,"
                "\"device\":\"ios\",\"plan\":\"free\",\"visits\":12},"
                "\"experiments\":[\"exp-3\",\"exp-11\",\"exp-17\"]}",
                (unsigned long long)bench_draw(1000000));
}

/* Where others use the machine too, the time of processors is less disturbed than the rate. */
static void compare(struct load load, const struct bench_server servers[2], unsigned connections)
{
    double rates[2][RUNS], p99s[2][RUNS], used[2][RUNS];
    char what[80];
    load.connections = connections;
    for (int run = 0; run < RUNS; run++)
        for (int which = 0; which < 2; which++) {
            load.port = servers[which].port;
            double before = bench_used_by(servers[which].pid);
            struct load_figures figures = load_run(&load);
            used[which][run] =
                1e6 * (bench_used_by(servers[which].pid) - before) / (double)figures.answers;
            rates[which][run] = figures.rate;
            p99s[which][run] = figures.p99;
        }
    snprintf(what, sizeof what, "assign 3 over HTTP, %u connections", connections);
    bench_ratio(what, "/s", bench_median(rates[0], RUNS), bench_median(rates[1], RUNS), 0.7);
    snprintf(what, sizeof what, "  of a processor for one (at most 1/0.7)");
    bench_ratio(what, "us", bench_median(used[0], RUNS), bench_median(used[1], RUNS), 1.43);
    snprintf(what, sizeof what, "  p99, %u connections (at most twice)", connections);
    bench_ratio(what, "ms", bench_median(p99s[0], RUNS), bench_median(p99s[1], RUNS), 2);
}

/* --- peers ---------------------------------------------------------------------------------- */

static void next_of(void *data, struct text *body)
{
    text_printf(body,
                "{\"customer\":\"customer-%015llu\",\"attributes\":{\"country\":\"DE\",\"age\":30,"
                "\"device\":\"ios\",\"plan\":\"free\",\"visits\":12},\"experiments\":[",
                (unsigned long long)bench_draw(1000000));
    for (int i = 0; i < *(int *)data; i++)
        text_printf(body, "%s\"exp-%d\"", i ? "," : "", i);
    text_puts(body, "]}");
}

static void compare_peer(struct load load, const struct bench_server servers[2], int experiments)
{
    double rates[2][RUNS], used[2][RUNS];
    char what[80];
    load.next = next_of;
    load.data = &experiments;
    for (int run = 0; run < RUNS; run++)
        for (int which = 0; which < 2; which++) {
            load.port = servers[which].port;
            double before = bench_used_by(servers[which].pid);
            struct load_figures figures = load_run(&load);
            used[which][run] =
                1e6 * (bench_used_by(servers[which].pid) - before) / (double)figures.answers;
            rates[which][run] = figures.rate;
            if (figures.refused)
                error_fatal("requests were refused");
        }
    snprintf(what, sizeof what, "assign %d over HTTP, 64 connections (Fastify, GrowthBook)",
             experiments);
    bench_ratio(what, "/s", bench_median(rates[0], RUNS), bench_median(rates[1], RUNS), 4);
    bench_ratio("  of a processor for one (at most 1/4)", "us", bench_median(used[0], RUNS),
                bench_median(used[1], RUNS), 0.25);
}

static void compare_peers(struct load load, const struct bench_server *ours)
{
    if (!peer_packages("Fastify with GrowthBook's SDK"))
        return;
    bench_pin(0, 0);
    struct bench_server servers[2] = {*ours, peer_serve("server.mjs")};
    bench_pin(0, 1);
    load.connections = 64;
    compare_peer(load, servers, 1);
    compare_peer(load, servers, EXPERIMENTS);
    bench_stop(&servers[1]);
}

int main(void)
{
    char folder[FOLDER_MAX], key[48];
    must(folder_make(folder));
    define(folder, key);
    bench_pin(0, 0); /* children inherit it */
    struct bench_server ours = bench_serve(folder);
    struct load load = {.port = ours.port,
                        .connections = 1,
                        .most = 1,
                        .path = "/v1/assign",
                        .key = key,
                        .next = next};
    size_t len = load_run(&load).answer_len;
    printf("an answer has %zu bytes\n", len);
    struct bench_server bare = bare_answers(len);
    bench_pin(0, 1);
    load.most = 0;
    load.warm = 0.5;
    load.seconds = bench_long() ? 5 : 2;
    struct bench_server servers[2] = {ours, bare};
    compare(load, servers, 64);
    compare(load, servers, 256);
    compare_peers(load, &ours);
    bench_stop(&servers[0]);
    bench_stop(&servers[1]);
    return !folder_remove(folder);
}
