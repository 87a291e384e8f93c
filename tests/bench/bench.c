/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/bench.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/definitions.h"
#include "core/keys.h"
#include "core/ledger.h"

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double bench_seconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double bench_used(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

uint64_t bench_draw(uint64_t below)
{
    static uint64_t state = 88172645463325252u; /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 2685821657736338717u >> 16) % below;
}

bool bench_long(void)
{
    const char *set = getenv("BENCH_LONG");
    return set && *set && strcmp(set, "0") != 0;
}

void bench_ratio(const char *what, const char *unit, double ours, double bare, double reach)
{
    printf("%-58s %10.4g %-4s bare %10.4g  ratio %5.2f  (reach %g)\n", what, ours, unit, bare,
           ours / bare, reach);
    fflush(stdout);
}

void bench_figure(const char *what, const char *unit, double ours, double reach, bool least)
{
    printf("%-58s %10.4g %-4s", what, ours, unit);
    if (reach > 0)
        printf(" (at %s %g)", least ? "least" : "most", reach);
    putchar('\n');
    fflush(stdout);
}

/* --- servers -------------------------------------------------------------------------------- */

static void serve_command(int pipe, void *data)
{
    char *const *command = data;
    dup2(pipe, STDOUT_FILENO);
    execvp(command[0], command);
    error_fatal("cannot run %s", command[0]);
}

static uint16_t read_port(int pipe, bool told)
{
    static const char before[] = "listening on http://127.0.0.1:";
    char text[4096];
    size_t len = 0;
    uint16_t port = 0;
    ssize_t got;
    if (told)
        return read(pipe, &port, sizeof port) == sizeof port ? port : 0;
    while (len < sizeof text - 1 && (got = read(pipe, text + len, sizeof text - 1 - len)) > 0) {
        text[len += (size_t)got] = '\0';
        char *found = strstr(text, before);
        if (found && strchr(found, '\n'))
            return (uint16_t)strtoul(found + sizeof before - 1, NULL, 10);
    }
    return 0;
}

static struct bench_server begin(void (*serve)(int pipe, void *data), void *data, bool told)
{
    int ends[2];
    fflush(NULL);
    if (pipe(ends) != 0)
        error_fatal("cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        serve(ends[1], data);
        _exit(0);
    }
    close(ends[1]);
    struct bench_server server = {.pid = pid, .port = read_port(ends[0], told)};
    /* The pipe stays open: the program may say more. */
    if (pid < 0 || server.port == 0)
        error_fatal("a server does not start");
    return server;
}

struct bench_server bench_run(char *const command[])
{
    return begin(serve_command, (void *)(uintptr_t)command, false);
}

struct bench_server bench_serve(const char *folder)
{
    const char *bin = getenv("UPLIFT_BIN"), *program = bin && *bin ? bin : "./uplift";
    const char *const command[] = {program,       "serve",  "--data",     folder, "--listen",
                                   "127.0.0.1:0", "--rate", "1000000000", NULL};
    return bench_run((char *const *)(uintptr_t)command);
}

struct bench_server bench_fork(void (*serve)(int pipe, void *data), void *data)
{
    return begin(serve, data, true);
}

void bench_stop(struct bench_server *server)
{
    int status;
    kill(server->pid, SIGTERM);
    waitpid(server->pid, &status, 0);
    server->pid = 0;
}

void bench_pin(pid_t pid, int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && sched_setaffinity(pid, sizeof set, &set) != 0)
        error_fatal("cannot bind to a processor");
}

double bench_used_by(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    char *rest = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (!rest || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                        &system) != 2)
        error_fatal("cannot read %s", path);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

void bench_memory(pid_t pid, double *resident, double *private)
{
    char path[64], line[256];
    double value;
    *resident = *private = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmRSS: %lf", &value) == 1)
            *resident = value / 1024;
        if (sscanf(line, "RssAnon: %lf", &value) == 1)
            *private = value / 1024;
    }
    if (file)
        fclose(file);
}

/* --- stores --------------------------------------------------------------------------------- */

static void expect(const struct error *err)
{
    char line[ERROR_LINE_MAX];
    if (err->code != ERROR_NONE)
        error_fatal("%s", error_line(err, line));
}

struct uplift *bench_open(const char *folder)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &clock_system, &err);
    expect(&err);
    return uplift;
}

static struct definition_change now(struct uplift *uplift)
{
    return (struct definition_change){.who = "bench", .at = uplift_now(uplift)};
}

void bench_make(struct uplift *uplift, bool metric, const char *text)
{
    struct error err = {0};
    const struct definition_change change = now(uplift);
    json_t *json = json_loads(text, 0, NULL);
    must(json);
    json_decref(metric ? uplift_metric_create(uplift, &change, json, &err)
                       : uplift_experiment_create(uplift, &change, json, &err));
    json_decref(json);
    expect(&err);
}

void bench_start(struct uplift *uplift, const char *experiment)
{
    struct error err = {0};
    const struct definition_change change = now(uplift);
    json_decref(uplift_experiment_transition(uplift, &change, slice_of(experiment), STEP_START,
                                             NULL, &err));
    expect(&err);
}

void bench_key(struct uplift *uplift, char secret[48])
{
    struct error err = {0};
    struct key_info info;
    keys_create(uplift, KEY_ADMIN, KEY_ROLE_ADMIN, "operator", 0, secret, &info, &err);
    keys_create(uplift, KEY_SERVICE, KEY_ROLE_NONE, "bench", 0, secret, &info, &err);
    expect(&err);
}

struct writing {
    struct uplift *uplift;
    const struct event *events;
    size_t count;
    bool *duplicates;
};

static bool run_writing(void *data, struct ingest_run *run, struct error *err)
{
    struct writing *w = data;
    struct catalog *catalog = catalog_acquire(&w->uplift->catalog);
    ledger_batch_add(run->events, w->events, w->count, w->duplicates);
    bool ok =
        ledger_batch_write(run->events, run->txn, run->tallies, w->uplift->secret, catalog, err);
    catalog_release(&w->uplift->catalog, catalog);
    return ok;
}

void bench_write(struct uplift *uplift, const struct event *events, size_t count)
{
    struct error err = {0};
    struct writing writing = {uplift, events, count, xcalloc(count, sizeof(bool))};
    ingest_call(uplift->ingest, run_writing, &writing, &err);
    free(writing.duplicates);
    expect(&err);
}
