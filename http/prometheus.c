/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /metrics: figures for Prometheus in its text format, version 0.0.4. A figure is a row of
 * series.def; those of the process have the names that all exporters give them. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/catalog.h"
#include "core/ledger.h"
#include "core/webhook.h"
#include "http/response.h"
#include "http/router.h"
#include "http/server.h"

/* What the figures are read from. */
struct scene {
    struct uplift *uplift;
    struct server *server;
    uint64_t store_used, store_file, store_max, customers;
    double disk_free;
    struct webhook_figures webhooks;
};

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

static double resident_bytes(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %lld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = -3; /* itself, "." and ".." */
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count > 0 ? count : 0;
}

static double most_files(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

static double cpu_seconds(void)
{
    struct timespec used;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0
               ? (double)used.tv_sec + (double)used.tv_nsec / 1e9
               : 0;
}

static double rebuild_share(const struct uplift *uplift)
{
    double of = (double)atomic_load(&uplift->rebuild.of);
    return of > 0 ? (double)atomic_load(&uplift->rebuild.done) / of : 0;
}

static void put_help(struct text *out, const char *name, const char *kind, const char *help)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

/* `label` is "" or "name=\"value\"". */
static void put_histogram(struct text *out, const char *name, const char *label,
                          const struct histogram *histogram)
{
    const char *comma = *label ? "," : "", *open = *label ? "{" : "", *close = *label ? "}" : "";
    uint64_t sum = 0;
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        char bound[32] = "+Inf";
        sum += atomic_load(&histogram->counts[i]);
        if (i < HISTOGRAM_BOUNDS)
            snprintf(bound, sizeof bound, "%g", histogram_bounds[i]);
        text_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, label, comma, bound,
                    (unsigned long long)sum);
    }
    text_printf(out, "%s_sum%s%s%s %.9g\n%s_count%s%s%s %llu\n", name, open, label, close,
                (double)atomic_load(&histogram->nanoseconds) / 1e9, name, open, label, close,
                (unsigned long long)sum);
}

static void put_answers(struct text *out, const struct server *server)
{
    put_help(out, "uplift_http_answers_total", "counter", "Answers by class of status.");
    for (int class = 2; class <= 5; class ++)
        text_printf(out, "uplift_http_answers_total{class=\"%dxx\"} %llu\n", class,
                    (unsigned long long)server_answers(server, class));
    put_help(out, "uplift_http_request_seconds", "histogram",
             "From the first byte of a request's head to its answer, by route.");
    for (const struct route *route = router_table(); route->method; route++) {
        const struct histogram *took = server_took(server, route);
        char label[160];
        snprintf(label, sizeof label, "route=\"%s %s\"", route->method, route->path);
        if (histogram_count(took) > 0)
            put_histogram(out, "uplift_http_request_seconds", label, took);
    }
}

static void put_experiments(struct text *out, struct uplift *uplift)
{
    unsigned counts[EXPERIMENT_ARCHIVED + 1] = {0};
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    for (size_t i = 0; i < catalog_experiment_count(catalog); i++)
        counts[catalog_experiment_at(catalog, i)->state]++;
    catalog_release(&uplift->catalog, catalog);
    put_help(out, "uplift_experiments", "gauge", "Experiments by state.");
    for (int state = EXPERIMENT_DRAFT; state <= EXPERIMENT_ARCHIVED; state++)
        text_printf(out, "uplift_experiments{state=\"%s\"} %u\n",
                    experiment_state_word((enum experiment_state)state), counts[state]);
}

static void look_around(struct scene *s)
{
    struct error err = {0};
    struct store_txn *txn = store_read(s->uplift->store, &err);
    s->customers = txn ? ledger_customer_count(txn) : 0;
    store_abort(&txn);
    store_size(s->uplift->store, &s->store_used, &s->store_file, &s->store_max);
    webhook_figures(s->uplift, &s->webhooks, &err);
    s->disk_free = (double)store_disk_free(s->uplift->store);
}

void prometheus_get(struct request *request)
{
    struct scene scene = {.uplift = request->uplift, .server = request->server}, *s = &scene;
    struct text out;
    text_init(&out, 1 << 18);
    look_around(s);
    put_help(&out, "uplift_build_info", "gauge", "Which version runs.");
    text_puts(&out, "uplift_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
#define SERIES(name, kind, help, value)                                                            \
    put_help(&out, #name, #kind, help);                                                            \
    text_printf(&out, #name " %.17g\n", value);
#include "http/series.def"
#undef SERIES
    put_help(&out, "uplift_commit_seconds", "histogram",
             "From beginning a group of writes to its being on disk.");
    put_histogram(&out, "uplift_commit_seconds", "", &ingest_figures(s->uplift->ingest)->commits);
    put_experiments(&out, s->uplift);
    put_answers(&out, s->server);
    respond_text(request, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", out.ptr, out.len,
                 NULL, NULL);
    text_release(&out);
}
