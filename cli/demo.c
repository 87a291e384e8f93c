/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uplift demo: four weeks of a retailer, day by day, as events through ingest like any other, with
 * a look at the end of each day. Customers are bucketed by the experiments themselves; only what
 * they then do is drawn at random, from the seed. */
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "core/analysis.h"
#include "core/assign.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/uplift.h"

static const char help[] =
    "Usage: uplift demo --data DIR [--customers N] [--seed N] [--pseudonymise FILE]\n"
    "Fills an empty store with a story to look at: recommendations that sell more and annoy, a "
    "clean\n"
    "winner, two factors, a test of a thing against itself, and a split that is off.\n"
    "\n"
    "  --data DIR           the data folder, empty or absent\n"
    "  --customers N        how many take part [20000]\n"
    "  --seed N             another story of the same kind [1]\n"
    "  --pseudonymise FILE  begin the store with pseudonyms for ids; the file gets their key\n"
    "  --help               print this help\n";

/* The shop is open for the first 15 hours of a day, so that what a visit leads to is in on the same
 * day. */
enum { DAYS = 28, OPEN_HOURS = 15, BATCH = 4000 };

static const char *const metrics[] = {
    "{\"key\": \"purchase\", \"name\": \"Purchases\", \"kind\": \"binary\", \"event\": \"order\","
    " \"min_effect\": 0.1, \"unit_value\": 40}",
    "{\"key\": \"revenue\", \"name\": \"Revenue per customer\", \"kind\": \"mean\","
    " \"event\": \"order\", \"cap\": 500}",
    "{\"key\": \"signup\", \"name\": \"Newsletter sign-ups\", \"kind\": \"binary\","
    " \"event\": \"signup\", \"min_effect\": 0.08}",
    "{\"key\": \"csat\", \"name\": \"CSAT\", \"kind\": \"csat\", \"margin\": 2}",
    "{\"key\": \"nps\", \"name\": \"NPS\", \"kind\": \"nps\", \"margin\": 3}",
    "{\"key\": \"returns\", \"name\": \"Returns\", \"kind\": \"binary\", \"event\": \"return\","
    " \"goal\": \"decrease\", \"margin\": 0.2}",
};

/* One experiment of the story: its definition, and chances by variant. */
struct story {
    const char *definition, *key;
    double order[4], signup[4], returned[4];
    bool surveys;
    double lost; /* share of the exposures of the last variant that never arrive */
};

static const struct story stories[] = {
    {.key = "recommendations",
     .definition = "{\"key\": \"recommendations\", \"name\": \"Pushy recommendations at checkout\","
                   " \"hypothesis\": \"More recommendations sell more.\","
                   " \"variants\": [{\"key\": \"today\", \"name\": \"Today\"},"
                   " {\"key\": \"pushy\", \"name\": \"Pushy\"}], \"segments\": [\"device\"],"
                   " \"metrics\": {\"primary\": [\"purchase\"], \"guardrail\": [\"csat\", \"nps\"],"
                   " \"secondary\": [\"revenue\"]}}",
     .order = {0.16, 0.19},
     .surveys = true},
    {.key = "checkout-copy",
     .definition = "{\"key\": \"checkout-copy\", \"name\": \"Shorter checkout text\","
                   " \"variants\": [{\"key\": \"long\"}, {\"key\": \"short\"}],"
                   " \"segments\": [\"device\"], \"metrics\": {\"primary\": [\"signup\"],"
                   " \"guardrail\": [\"returns\"]}}",
     .signup = {0.30, 0.335},
     .returned = {0.20, 0.19}},
    {.key = "newsletter-box",
     .definition = "{\"key\": \"newsletter-box\", \"name\": \"Newsletter box: layout and tone\","
                   " \"factors\": [{\"key\": \"layout\", \"levels\": [\"grid\", \"list\"]},"
                   " {\"key\": \"tone\", \"levels\": [\"plain\", \"warm\"]}],"
                   " \"metrics\": {\"primary\": [\"signup\"]}}",
     .signup = {0.20, 0.225, 0.205, 0.265}},
    {.key = "same-same",
     .definition = "{\"key\": \"same-same\", \"name\": \"A/A: the page against itself\","
                   " \"variants\": [{\"key\": \"a\"}, {\"key\": \"b\"}],"
                   " \"metrics\": {\"primary\": [\"signup\"]}}",
     .signup = {0.30, 0.30}},
    {.key = "search-rank",
     .definition = "{\"key\": \"search-rank\", \"name\": \"New search ranking\","
                   " \"variants\": [{\"key\": \"old\"}, {\"key\": \"new\"}],"
                   " \"metrics\": {\"primary\": [\"signup\"]}}",
     .signup = {0.30, 0.33},
     .lost = 0.12},
};
enum { STORIES = sizeof stories / sizeof *stories };

struct demo {
    struct uplift *uplift;
    gsl_rng *random;
    int64_t start, now; /* ms; now is the clock of the application */
    json_t *events;
};

static int64_t demo_now(void *data)
{
    return ((const struct demo *)data)->now;
}

/* Sends what has gathered. Nothing of the story may be refused. */
static bool send(struct demo *demo, struct error *err)
{
    json_t *answer = uplift_events(demo->uplift, demo->events, err);
    json_t *rejected = json_object_get(answer, "rejected");
    bool ok = answer && json_array_size(rejected) == 0;
    if (answer && !ok)
        error_set(err, ERROR_INVALID, "demo", "an event was refused: %s",
                  json_string_value(json_object_get(json_array_get(rejected, 0), "error")));
    json_decref(answer);
    json_array_clear(demo->events);
    return ok;
}

static void outcome(struct demo *demo, const char *customer, const char *name, double value,
                    int64_t at)
{
    json_array_append_new(demo->events,
                          json_pack("{s:s, s:s, s:s, s:f, s:I}", "type", "outcome", "customer",
                                    customer, "name", name, "value", value, "at", (json_int_t)at));
}

static void answer_survey(struct demo *demo, const char *customer, const char *survey, int score,
                          bool pushy, int64_t at)
{
    static const char *const complaints[] = {"too pushy", "stop pushing things at me",
                                             "felt pushy, I nearly left"};
    const char *comment = pushy && score <= (strcmp(survey, "nps") == 0 ? 6 : 2)
                              ? complaints[gsl_rng_uniform_int(demo->random, 3)]
                              : NULL;
    json_array_append_new(demo->events,
                          json_pack("{s:s, s:s, s:s, s:i, s:s*, s:I}", "type", "feedback",
                                    "customer", customer, "survey", survey, "score", score,
                                    "comment", comment, "at", (json_int_t)at));
}

/* From day ten on the novelty is gone and pushing annoys. */
static void surveys(struct demo *demo, const char *customer, bool pushy, int64_t exposed)
{
    int64_t at = exposed + 6 * WHEN_HOUR;
    bool annoyed = pushy && exposed - demo->start > 9 * WHEN_DAY;
    double happy = annoyed ? 0.55 : 0.78;
    if (gsl_ran_bernoulli(demo->random, 0.25)) {
        int score = gsl_ran_bernoulli(demo->random, happy)
                        ? 4 + (int)gsl_rng_uniform_int(demo->random, 2)
                        : 1 + (int)gsl_rng_uniform_int(demo->random, 3);
        answer_survey(demo, customer, "csat", score, annoyed, at);
    }
    if (gsl_ran_bernoulli(demo->random, 0.2)) {
        double draw = gsl_rng_uniform(demo->random), promoters = annoyed ? 0.25 : 0.48;
        int score = draw < promoters         ? 9 + (int)gsl_rng_uniform_int(demo->random, 2)
                    : draw < promoters + 0.3 ? 7 + (int)gsl_rng_uniform_int(demo->random, 2)
                                             : (int)gsl_rng_uniform_int(demo->random, 7);
        answer_survey(demo, customer, "nps", score, annoyed, at + WHEN_HOUR);
    }
}

/* A customer's day: exposed to the experiment, and what follows. */
static void live(struct demo *demo, const struct story *story, const struct experiment *experiment,
                 uint64_t number, int day)
{
    char customer[64];
    /* Each experiment has customers of its own, so that one story cannot colour another. */
    snprintf(customer, sizeof customer, "%s-%llu", story->key, (unsigned long long)number);
    int64_t at = demo->start + day * WHEN_DAY + 1000 +
                 (int64_t)(gsl_rng_uniform(demo->random) * OPEN_HOURS * (double)WHEN_HOUR);
    const struct assign_customer who = {.id = slice_of(customer)};
    struct assignment decision = assign_decide(&who, experiment, NULL);
    size_t v = (size_t)decision.variant;
    bool last = v + 1 == experiment->variant_count;
    if (last && story->lost > 0 && gsl_ran_bernoulli(demo->random, story->lost))
        return;
    const char *device = gsl_ran_bernoulli(demo->random, 0.6) ? "phone" : "desktop";
    json_array_append_new(demo->events,
                          json_pack("{s:s, s:s, s:s, s:s, s:I, s:{s:s}}", "type", "exposure",
                                    "customer", customer, "experiment", story->key, "variant",
                                    experiment->variants[v].key, "at", (json_int_t)at, "attributes",
                                    "device", device));
    if (story->order[v] > 0 && gsl_ran_bernoulli(demo->random, story->order[v]))
        outcome(demo, customer, "order", gsl_ran_lognormal(demo->random, 3.6, 0.6), at + WHEN_HOUR);
    if (story->signup[v] > 0 && gsl_ran_bernoulli(demo->random, story->signup[v]))
        outcome(demo, customer, "signup", 1, at + WHEN_HOUR);
    if (story->returned[v] > 0 && gsl_ran_bernoulli(demo->random, story->returned[v]))
        outcome(demo, customer, "return", 1, at + 2 * WHEN_HOUR);
    if (story->surveys)
        surveys(demo, customer, v == 1, at);
}

static bool is_made(json_t *made)
{
    json_decref(made);
    return made != NULL;
}

static bool define(struct demo *demo, struct error *err)
{
    const struct definition_change change = {.who = "demo", .at = demo->start};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof metrics / sizeof *metrics; i++) {
        json_t *input = json_parse(metrics[i], strlen(metrics[i]), err);
        ok = input && is_made(uplift_metric_create(demo->uplift, &change, input, err));
        json_decref(input);
    }
    for (size_t i = 0; ok && i < STORIES; i++) {
        json_t *input = json_parse(stories[i].definition, strlen(stories[i].definition), err);
        ok = input && is_made(uplift_experiment_create(demo->uplift, &change, input, err)) &&
             is_made(uplift_experiment_transition(demo->uplift, &change, slice_of(stories[i].key),
                                                  STEP_START, NULL, err));
        json_decref(input);
    }
    return ok;
}

/* One day of one experiment: those of its customers who come on that day. */
static bool tell_day(struct demo *demo, const struct story *story, int day, int64_t customers,
                     struct error *err)
{
    struct catalog *catalog = catalog_acquire(&demo->uplift->catalog);
    const struct experiment *experiment = catalog_experiment(catalog, slice_of(story->key));
    bool ok = true;
    int64_t first = customers * day / DAYS, end = customers * (day + 1) / DAYS;
    for (int64_t c = first; ok && c < end; c++) {
        live(demo, story, experiment, (uint64_t)c + 1, day);
        if (json_array_size(demo->events) >= BATCH)
            ok = send(demo, err);
    }
    catalog_release(&demo->uplift->catalog, catalog);
    return ok && send(demo, err);
}

static bool tell(struct demo *demo, int64_t customers, struct error *err)
{
    struct progress progress;
    bool ok = true;
    progress_start(&progress, "telling the story");
    for (int day = 0; ok && day < DAYS; day++) {
        demo->now = demo->start + (day + 1) * WHEN_DAY - 1;
        for (size_t i = 0; ok && i < STORIES; i++) {
            ok = tell_day(demo, &stories[i], day, customers, err);
            progress_step(&progress, ((double)day + (double)(i + 1) / STORIES) / DAYS);
        }
        ok = ok && analysis_keep_house(demo->uplift, err);
    }
    progress_done(&progress);
    return ok;
}

static bool run(const char *data, const char *pseudonyms, int64_t customers, int64_t seed,
                struct error *err)
{
    struct demo demo = {.now = clock_now(&clock_system)};
    const struct uplift_options open = {.clock = {.now = demo_now, .data = &demo},
                                        .pseudonyms = pseudonyms};
    demo.uplift = uplift_open_with(data, &open, err);
    if (!demo.uplift)
        return false;
    struct catalog *catalog = catalog_acquire(&demo.uplift->catalog);
    bool empty = catalog_experiment_count(catalog) + catalog_metric_count(catalog) == 0;
    catalog_release(&demo.uplift->catalog, catalog);
    if (!empty) {
        uplift_close(&demo.uplift);
        return error_set(err, ERROR_CONFLICT, data, "is not empty");
    }
    demo.random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(demo.random, (unsigned long)seed);
    demo.start = demo.now - DAYS * WHEN_DAY;
    demo.events = json_array();
    bool ok = define(&demo, err) && tell(&demo, customers, err);
    json_decref(demo.events);
    gsl_rng_free(demo.random);
    uplift_close(&demo.uplift);
    return ok;
}

int demo_command(int argc, char **argv)
{
    const char *data = NULL, *pseudonyms = NULL;
    int64_t customers = 20000, seed = 1;
    const struct option_row rows[] = {
        {.name = "data", .kind = OPTION_TEXT, .out = &data, .required = true},
        {.name = "customers",
         .kind = OPTION_INTEGER,
         .out = &customers,
         .least = 100,
         .most = 10000000},
        {.name = "seed", .kind = OPTION_INTEGER, .out = &seed, .least = 0, .most = UINT32_MAX},
        {.name = "pseudonymise", .kind = OPTION_TEXT, .out = &pseudonyms},
        {0}};
    struct options options = {.command = "demo", .help = help, .list = rows};
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_GO)
        return options_exit(result);
    struct error err = {0};
    if (run(data, pseudonyms, customers, seed, &err)) {
        printf("the story of %lld customers an experiment is written (seed %lld)\n",
               (long long)customers, (long long)seed);
        return COMMAND_OK;
    }
    return options_failed("demo", &err);
}
