/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the benches share: clocks, medians, rows of figures, a server in a process of its own. */
#ifndef UPLIFT_TESTS_BENCH_BENCH_H
#define UPLIFT_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/uplift.h"

double bench_seconds(void);
/* Seconds of a processor that this thread used. */
double bench_used(void);
double bench_median(double *values, size_t count);
/* A random number below `below`, the same ones in every run. */
uint64_t bench_draw(uint64_t below);
/* Whether BENCH_LONG is set. */
bool bench_long(void);

/* Ours beside the bare limit of the same run and their ratio, with the ratio to reach. */
void bench_ratio(const char *what, const char *unit, double ours, double bare, double reach);
/* A figure by itself, with the most or (`least`) the least that it may be. */
void bench_figure(const char *what, const char *unit, double ours, double reach, bool least);

/* A server process of its own: the program itself on `folder`; a command that prints "listening on
 * http://127.0.0.1:PORT"; or a child that runs `serve` with the pipe to tell its port over (a
 * uint16_t). */
struct bench_server {
    pid_t pid;
    uint16_t port;
};
struct bench_server bench_serve(const char *folder);
struct bench_server bench_run(char *const command[]);
struct bench_server bench_fork(void (*serve)(int pipe, void *data), void *data);
void bench_stop(struct bench_server *server);
/* Binds a process (0: this one) to one processor, where there are two or more. */
void bench_pin(pid_t pid, int processor);
/* Seconds of processors that a process has used. */
double bench_used_by(pid_t pid);
/* Resident megabytes, and those of them that are no file's pages, from /proc. */
void bench_memory(pid_t pid, double *resident, double *private);

/* An opened store with what the benches ask about, and a client key; ends the process when that
 * fails. */
struct uplift *bench_open(const char *folder);
void bench_make(struct uplift *uplift, bool metric, const char *json);
void bench_start(struct uplift *uplift, const char *experiment);
void bench_key(struct uplift *uplift, char secret[48]);
/* Writes events as the writer does, in one transaction, without JSON. */
void bench_write(struct uplift *uplift, const struct event *events, size_t count);

#endif
