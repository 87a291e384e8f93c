/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Export and import: a store that is exported and read back into an empty one has the same tallies,
 * results and events, whatever there was: phases, epochs, crossed customers, late and untimed
 * events, texts that need escapes. What is filtered, refused or cut is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/export.h"
#include "core/intake.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { EVENTS = 1500, CUSTOMERS = 90 };
static const int64_t start = INT64_C(1790000000000);
static int64_t now;
static uint32_t seed;

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static struct uplift *open_store(const char *folder)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &(struct clock){.now = fixed_now}, &err);
    assert_string_equal(err.message, "");
    return uplift;
}

static void assert_made(json_t *made, struct error *err)
{
    assert_string_equal(err->message, "");
    assert_non_null(made);
    json_decref(made);
}

static void make(struct uplift *uplift, bool metric, const char *text)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    json_t *input = json_loads(text, 0, NULL);
    assert_made(metric ? uplift_metric_create(uplift, &change, input, &err)
                       : uplift_experiment_create(uplift, &change, input, &err),
                &err);
    json_decref(input);
}

static void step(struct uplift *uplift, const char *key, enum experiment_step which,
                 const char *options)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    json_t *given = options ? json_loads(options, 0, NULL) : NULL;
    assert_made(uplift_experiment_transition(uplift, &change, slice_of(key), which, given, &err),
                &err);
    json_decref(given);
}

static void define(struct uplift *uplift)
{
    now = start;
    /* The metrics' keys are not in the order of their numbers. */
    make(uplift, true,
         "{\"key\": \"spend\", \"kind\": \"mean\", \"event\": \"order\", \"covariate_days\": 7}");
    make(uplift, true, "{\"key\": \"bin\", \"kind\": \"binary\", \"event\": \"visit\"}");
    make(uplift, true,
         "{\"key\": \"p90\", \"kind\": \"quantile\", \"event\": \"order\","
         " \"quantile\": 0.9}");
    make(uplift, true, "{\"key\": \"nps\", \"kind\": \"nps\"}");
    make(uplift, true, "{\"key\": \"gone\", \"kind\": \"binary\", \"event\": \"gone\"}");
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    assert_true(uplift_metric_remove(uplift, &change, slice_of("gone"), &err));
    make(uplift, true, "{\"key\": \"later\", \"kind\": \"count\", \"event\": \"visit\"}");
    make(uplift, false,
         "{\"key\": \"zeta\", \"traffic\": 0.5, \"variants\": [{\"key\": \"a\"}, {\"key\":"
         " \"b\"}], \"segments\": [\"device\"], \"metrics\": {\"primary\": [\"spend\"],"
         " \"guardrail\": [\"nps\"], \"secondary\": [\"p90\", \"bin\"]}}");
    make(uplift, false,
         "{\"key\": \"alpha\", \"variants\": [{\"key\": \"x\"}, {\"key\": \"y\"}], \"metrics\":"
         " {\"primary\": [\"later\"]}}");
    step(uplift, "zeta", STEP_START, NULL);
    step(uplift, "alpha", STEP_START, NULL);
}

static const char *variant_in_phase(bool second, uint32_t which)
{
    static const char *const words[2][2] = {{"a", "b"}, {"a", "c"}};
    return words[second][which];
}

/* Late by up to some days, ahead by some hours, or without a time; texts with what needs care. */
static json_t *random_event(int i, bool second)
{
    static const char *const names[] = {"c-%u", "=cmd|'%u", "k\"%u\n,", "\xc3\xa9 %u\x01\\"};
    char customer[32], id[16];
    uint32_t who = draw(CUSTOMERS);
    snprintf(customer, sizeof customer, names[who % 4], who);
    snprintf(id, sizeof id, "e-%d", i);
    json_t *event = json_pack("{s:s}", "customer", customer);
    if (draw(3))
        json_object_set_new(event, "id", json_string(id));
    if (draw(4))
        json_object_set_new(event, "at",
                            json_integer(now + (1200 - (int)draw(4 * 24 * 60)) * 60000 + i));
    uint32_t kind = draw(6);
    if (kind < 2) {
        uint32_t which = (who + draw(15) / 14) % 2;
        json_object_set_new(event, "type", json_string("exposure"));
        json_object_set_new(event, "experiment", json_string(kind ? "zeta" : "alpha"));
        json_object_set_new(event, "variant",
                            json_string(kind    ? variant_in_phase(second && draw(4), which)
                                        : which ? "x"
                                                : "y"));
        json_object_set_new(event, "attributes",
                            json_pack("{s:s}", "device", draw(2) ? "pho\"ne" : "desk\ntop"));
    } else if (kind == 2) {
        json_object_set_new(event, "type", json_string("feedback"));
        json_object_set_new(event, "survey", json_string("nps"));
        json_object_set_new(event, "score", json_integer(draw(11)));
        json_object_set_new(event, "comment", json_string("\"so\", la\r\nla"));
        json_object_set_new(event, "stage", json_string("checkout"));
    } else {
        json_object_set_new(event, "type", json_string("outcome"));
        json_object_set_new(event, "name", json_string(kind == 3 ? "visit" : "order"));
        if (kind > 3)
            json_object_set_new(event, "value", json_real(draw(1000000) / 7.0));
        json_object_set_new(event, "channel", json_string("web"));
    }
    return event;
}

static void send(struct uplift *uplift, int from, int until, bool second)
{
    struct error err = {0};
    for (int i = from; i < until;) {
        json_t *batch = json_array();
        for (int left = 1 + (int)draw(60); left > 0 && i < until; left--, i++)
            json_array_append_new(batch, random_event(i, second));
        now += WHEN_HOUR;
        json_decref(uplift_events(uplift, batch, &err));
        assert_string_equal(err.message, "");
        json_decref(batch);
    }
}

/* Two phases, two epochs in the first, a look in each, events late over their borders. */
static void fill(struct uplift *uplift)
{
    struct error err = {0};
    const struct definition_change change = {.who = "test", .at = -1};
    define(uplift);
    send(uplift, 0, EVENTS / 3, false);
    json_t *patch = json_pack("{s:f}", "traffic", 1.0);
    assert_made(uplift_experiment_patch(uplift, &change, slice_of("zeta"), patch, &err), &err);
    json_decref(patch);
    send(uplift, EVENTS / 3, EVENTS * 2 / 3, false);
    assert_made(analysis_look(uplift, slice_of("zeta"), &err), &err);
    step(uplift, "zeta", STEP_NEW_PHASE,
         "{\"variants\": [{\"key\": \"a\"}, {\"key\": \"c\"}, {\"key\": \"b\"}]}");
    send(uplift, EVENTS * 2 / 3, EVENTS, true);
    assert_made(analysis_look(uplift, slice_of("zeta"), &err), &err);
    step(uplift, "alpha", STEP_STOP, "{\"winner\": \"y\", \"reason\": \"it was so\"}");
}

/* --- exporting into memory ------------------------------------------------------------------ */

static bool append(void *data, const char *bytes, size_t len)
{
    return text_add(data, bytes, len);
}

static struct text export_with(struct uplift *uplift, struct export_options options,
                               uint64_t *events)
{
    struct error err = {0};
    struct text text;
    text_init(&text, 64 << 20);
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = definitions_catalog(txn, &err);
    const struct export_output output = {append, NULL, &text};
    options.now = start;
    if (options.to == 0)
        options.to = INT64_MAX;
    assert_true(export_store(txn, catalog, &options, &output, events, &err));
    assert_string_equal(err.message, "");
    catalog_free(&catalog);
    store_abort(&txn);
    return text;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines in order, as customers of one time may come in another one. */
static void sort_lines(struct text *text)
{
    size_t count = 0, room = 16;
    char **lines = malloc(room * sizeof *lines), *sorted = malloc(text->len + 1), *at = sorted;
    for (char *line = text->ptr, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (count == room)
            lines = realloc(lines, (room *= 2) * sizeof *lines);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, by_text);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(stpcpy(at, lines[i]), "\n");
    text_clear(text);
    text_puts(text, sorted);
    free(sorted);
    free(lines);
}

/* --- reading back --------------------------------------------------------------------------- */

struct told {
    uint64_t lines[10];
    char why[10][200];
    int count;
};

static void refused(void *data, uint64_t line, const char *why)
{
    struct told *told = data;
    assert_true(told->count < 10);
    told->lines[told->count] = line;
    snprintf(told->why[told->count++], 200, "%s", why);
}

static bool take(struct uplift *uplift, const char *text, struct told *told,
                 struct intake_counts *counts, struct error *err)
{
    struct intake *intake = intake_new(uplift, refused, told);
    bool ok = true;
    uint64_t number = 0;
    for (const char *end; ok && *text; text = end + (*end == '\n')) {
        end = strchr(text, '\n');
        if (!end)
            end = text + strlen(text);
        ok = intake_line(intake, (struct slice){text, (size_t)(end - text)}, ++number, err);
    }
    return intake_end(&intake, ok, counts, err) && ok;
}

static void take_csv(struct uplift *uplift, const struct text *text, struct intake_counts *counts)
{
    char path[] = "/tmp/uplift-export-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text->ptr, text->len), (ssize_t)text->len);
    close(fd);
    struct error err = {0};
    struct told told = {.count = 0};
    struct csv *csv = csv_open(path, &err);
    struct csv_row row;
    assert_string_equal(err.message, "");
    struct intake *intake = intake_new(uplift, refused, &told);
    while (csv_next(csv, &row, &err) == CSV_ROW)
        assert_true(intake_row(intake, csv_header(csv), &row, &err));
    assert_true(intake_end(&intake, true, counts, &err));
    assert_string_equal(err.message, "");
    assert_int_equal(told.count, 0);
    csv_free(&csv);
    unlink(path);
}

/* --- comparing ------------------------------------------------------------------------------ */

static bool put_into(void *data, const struct tally_name *name, const struct tally *tally)
{
    *tally_set_at(data, name) = *tally;
    return true;
}

static bool find_in(void *data, const struct tally_name *name, const struct tally *tally)
{
    return tally_agrees(tally_set_at(data, name), tally);
}

static void assert_same_tallies(struct uplift *a, struct uplift *b)
{
    struct error err = {0};
    struct store_txn *ta = store_read(a->store, &err), *tb = store_read(b->store, &err);
    struct tally_set *set = tally_set_new(NULL);
    assert_int_equal(store_count(ta, STORE_TALLY), store_count(tb, STORE_TALLY));
    assert_true(store_count(ta, STORE_TALLY) > 100);
    assert_true(tally_each(ta, NO_SLICE, put_into, set, &err));
    assert_true(tally_each(tb, NO_SLICE, find_in, set, &err));
    tally_set_free(&set);
    store_abort(&ta);
    store_abort(&tb);
}

static void assert_same_results(struct uplift *a, struct uplift *b)
{
    for (int phase = 1; phase <= 2; phase++) {
        struct error err = {0};
        const struct results_options options = {.phase = phase, .as_of = -1};
        json_t *x = analysis_results(a, slice_of("zeta"), &options, &err);
        json_t *y = analysis_results(b, slice_of("zeta"), &options, &err);
        assert_string_equal(err.message, "");
        char *tx = json_text(x), *ty = json_text(y);
        assert_string_equal(tx, ty);
        free(tx);
        free(ty);
        json_decref(x);
        json_decref(y);
    }
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void reopen(struct uplift **uplift, const char *folder)
{
    uplift_close(uplift);
    *uplift = open_store(folder);
}

static void test_export__read_back_is_the_same(void **state)
{
    (void)state;
    char from[FOLDER_MAX], to[FOLDER_MAX];
    seed = 20261125;
    print_message("# seed %u\n", seed);
    assert_true(folder_make(from) && folder_make(to));
    struct uplift *a = open_store(from), *b = open_store(to);
    fill(a);
    uint64_t events, again;
    struct text text = export_with(a, (struct export_options){.csv = false}, &events);
    assert_true(events > EVENTS * 9 / 10);
    struct error err = {0};
    struct told told = {.count = 0};
    struct intake_counts counts;
    assert_true(take(b, text.ptr, &told, &counts, &err));
    assert_int_equal(told.count, 0);
    assert_int_equal(counts.accepted, events);
    assert_int_equal(counts.definitions, 7);
    assert_true(take(b, text.ptr, &told, &counts, &err));
    assert_int_equal(counts.accepted, 0);
    assert_int_equal(counts.duplicates, events);
    reopen(&a, from);
    reopen(&b, to);
    assert_same_tallies(a, b);
    assert_same_results(a, b);
    struct text back = export_with(b, (struct export_options){.csv = false}, &again);
    sort_lines(&text);
    sort_lines(&back);
    assert_string_equal(text.ptr, back.ptr);
    text_release(&text);
    text_release(&back);
    uplift_close(&a);
    uplift_close(&b);
    assert_true(folder_remove(from) && folder_remove(to));
}

static void test_export__csv_into_definitions_that_are_there(void **state)
{
    (void)state;
    char from[FOLDER_MAX], to[FOLDER_MAX];
    seed = 7;
    assert_true(folder_make(from) && folder_make(to));
    struct uplift *a = open_store(from), *b = open_store(to);
    fill(a);
    uint64_t events;
    const struct export_options none = {.from = INT64_MAX};
    struct text definitions = export_with(a, none, &events);
    assert_int_equal(events, 0);
    struct error err = {0};
    struct told told = {.count = 0};
    struct intake_counts counts;
    assert_true(take(b, definitions.ptr, &told, &counts, &err));
    struct text csv = export_with(a, (struct export_options){.csv = true}, &events);
    assert_memory_equal(csv.ptr, EXPORT_CSV_HEADER "\r\n", sizeof EXPORT_CSV_HEADER + 1);
    assert_non_null(strstr(csv.ptr, ",\"=cmd|'"));
    take_csv(b, &csv, &counts);
    assert_int_equal(counts.accepted, events);
    reopen(&a, from);
    reopen(&b, to);
    assert_same_tallies(a, b);
    text_release(&definitions);
    text_release(&csv);
    uplift_close(&a);
    uplift_close(&b);
    assert_true(folder_remove(from) && folder_remove(to));
}

static void test_export__leaves_out_what_is_not_asked_for(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    seed = 11;
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    fill(uplift);
    uint64_t all, one, early, late;
    struct text text = export_with(uplift, (struct export_options){.events_only = true}, &all);
    assert_int_equal(count_of(text.ptr, "\n"), all);
    size_t timed = count_of(text.ptr, ",\"at\":\"");
    assert_true(timed > all * 6 / 10 && timed < all * 9 / 10);
    size_t exposures = count_of(text.ptr, "\"exposure\""), zetas = count_of(text.ptr, "\"zeta\"");
    text_release(&text);
    text = export_with(uplift, (struct export_options){.type = EVENT_EXPOSURE}, &one);
    assert_int_equal(one, exposures);
    text_release(&text);
    int64_t middle = start + 10 * WHEN_HOUR;
    text = export_with(uplift, (struct export_options){.to = middle}, &early);
    text_release(&text);
    text = export_with(uplift, (struct export_options){.from = middle}, &late);
    text_release(&text);
    assert_true(early > 0 && late > 0);
    assert_int_equal(early + late, all);
    text = export_with(uplift, (struct export_options){.experiment = "zeta"}, &one);
    assert_true(one > zetas && one < all);
    assert_int_equal(count_of(text.ptr, "\"experiment\":\"zeta\",\"variant\""), zetas);
    assert_int_equal(count_of(text.ptr, "\"experiment\":\"alpha\""), 0);
    assert_int_equal(count_of(text.ptr, "\n{\"metric\":"), 4);
    assert_int_equal(count_of(text.ptr, "\n{\"experiment\":"), 1);
    assert_true(count_of(text.ptr, "{\"look\":") >= 2);
    text_release(&text);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

static void test_intake__tells_what_it_refuses(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    define(uplift);
    struct error err = {0};
    struct told told = {.count = 0};
    struct intake_counts counts;
    assert_true(take(uplift,
                     "{\"type\": \"outcome\", \"customer\": \"c\", \"name\": \"order\"}\n"
                     "{\"type\": \"outcome\"\n\n"
                     "{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"none\","
                     " \"variant\": \"a\"}\n"
                     "{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"zeta\","
                     " \"variant\": \"q\"}\n"
                     "{\"type\": \"outcome\", \"customer\": \"c\", \"name\": \"order\","
                     " \"received\": \"2999-01-01T00:00:00Z\"}\n"
                     "{\"event\": \"signup\", \"type\": \"track\", \"userId\": \"d\"}\n",
                     &told, &counts, &err));
    assert_int_equal(told.count, 4);
    const uint64_t lines[] = {2, 4, 5, 6};
    for (int i = 0; i < 4; i++)
        assert_int_equal(told.lines[i], lines[i]);
    assert_int_equal(counts.accepted, 2);
    /* An exposure that was taken once is taken again, though its phase has no such variant. */
    assert_true(take(uplift,
                     "{\"type\": \"exposure\", \"customer\": \"c\", \"experiment\": \"zeta\","
                     " \"variant\": \"q\", \"received\": 1790000000000}\n",
                     &told, &counts, &err));
    assert_int_equal(counts.accepted, 1);
    assert_false(take(uplift, "{\"export\":{\"version\":1}}\n", &told, &counts, &err));
    assert_non_null(strstr(err.message, "was cut"));
    error_clear(&err);
    assert_false(take(uplift, "{\"export\":{\"version\":9}}\n", &told, &counts, &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    error_clear(&err);
    assert_false(take(uplift, "{\"export\":{\"version\":1}}\n{\"end\":{\"events\":3}}\n", &told,
                      &counts, &err));
    error_clear(&err);
    assert_false(take(uplift,
                      "{\"metric\":{\"key\":\"spend\",\"name\":\"other\",\"kind\":\"mean\","
                      "\"event\":\"x\",\"version\":1,\"created_at\":0,\"number\":1}}\n",
                      &told, &counts, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_string_equal(err.place, "line 1.key");
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

/* Only an export may say when we received an event. */
static void test_intake__received_is_not_taken_from_clients(void **state)
{
    (void)state;
    char folder[FOLDER_MAX];
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    struct error err = {0};
    json_t *events = json_pack("[{s:s, s:s, s:s, s:I}]", "type", "outcome", "customer", "c", "name",
                               "order", "received", (json_int_t)start);
    json_t *answer = uplift_events(uplift, events, &err);
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 1);
    json_decref(answer);
    json_decref(events);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

static void show_line(void *data, const char *line)
{
    (void)data;
    print_message("# %s\n", line);
}

/* The clock of the store that the export is of was ahead of ours. */
static void test_intake__an_arrival_to_come_is_now(void **state)
{
    (void)state;
    char folder[FOLDER_MAX], text[600];
    char at[WHEN_TEXT_MAX], received[WHEN_TEXT_MAX];
    struct error err = {0};
    struct told told = {.count = 0};
    struct intake_counts counts;
    uint64_t differences = 1;
    assert_true(folder_make(folder));
    struct uplift *uplift = open_store(folder);
    define(uplift);
    now = start + WHEN_HOUR;
    when_format(now + 6 * WHEN_HOUR, at);
    when_format(now + 12 * WHEN_HOUR, received);
    snprintf(text, sizeof text,
             "{\"type\":\"exposure\",\"customer\":\"c\",\"experiment\":\"zeta\",\"variant\":\"a\","
             "\"at\":\"%s\",\"received\":\"%s\"}\n"
             "{\"type\":\"exposure\",\"customer\":\"d\",\"experiment\":\"zeta\",\"variant\":\"a\","
             "\"received\":\"%s\"}\n",
             at, received, received);
    assert_true(take(uplift, text, &told, &counts, &err));
    assert_int_equal(counts.accepted, 2);
    now += WHEN_HOUR;
    json_t *patch = json_pack("{s:f}", "traffic", 1.0);
    const struct definition_change change = {.who = "test", .at = -1};
    assert_made(uplift_experiment_patch(uplift, &change, slice_of("zeta"), patch, &err), &err);
    json_decref(patch);
    struct store_txn *txn = store_read(uplift->store, &err);
    struct catalog *catalog = catalog_acquire(&uplift->catalog);
    assert_true(ledger_check(txn, catalog, show_line, NULL, NULL, &differences, &err));
    assert_int_equal(differences, 0);
    catalog_release(&uplift->catalog, catalog);
    store_abort(&txn);
    uplift_close(&uplift);
    assert_true(folder_remove(folder));
}

/* Sent again after the store was moved, an event without an id is still known, whatever is in it.
 */
static void test_export__is_known_when_it_is_sent_again(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "\"type\":\"outcome\",\"name\":\"order\",\"value\":-0.0",
        "\"type\":\"outcome\",\"name\":\"order\",\"value\":0",
        "\"type\":\"outcome\",\"name\":\"order\",\"value\":5e-324",
        "\"type\":\"outcome\",\"name\":\"order\",\"value\":2.2250738585072011e-308",
        "\"type\":\"outcome\",\"name\":\"order\",\"value\":-1e10",
        "\"type\":\"outcome\",\"name\":\"order\",\"value\":9999999999.9999981",
        "\"type\":\"outcome\",\"name\":\"order\",\"value\":0.1",
        "\"type\":\"outcome\",\"name\":\"\\ud83d\\ude00\\u007f\\u2028\"",
        "\"type\":\"outcome\",\"name\":\"=1+1\\r\\n\\\"x\\\",;\\u0001\"",
        "\"type\":\"outcome\",\"name\":\"  \",\"channel\":\"\"",
        "\"type\":\"outcome\",\"name\":\"\\ufeffid\",\"channel\":\"\\ufeff\"",
        "\"type\":\"feedback\",\"survey\":\"nps\",\"score\":0,\"comment\":\"\\r\",\"stage\":"
        "\"\\\\\"",
        "\"type\":\"exposure\",\"experiment\":\"zeta\",\"variant\":\"a\",\"attributes\":"
        "{\"b\":-0.0,\"a\":1e400}",
        "\"type\":\"exposure\",\"experiment\":\"zeta\",\"variant\":\"a\",\"attributes\":"
        "{\"b\":-0.0,\"a\":[1.0,10000000000000000000000.0,5e-324,\"\\ud83d\\ude00\\u0001\",null,{}]"
        "}",
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    for (int csv = 0; csv < 2; csv++) {
        char from[FOLDER_MAX], to[FOLDER_MAX];
        struct error err = {0};
        assert_true(folder_make(from) && folder_make(to));
        struct uplift *a = open_store(from), *b = open_store(to);
        define(a);
        json_t *events = json_array();
        for (size_t i = 0; i < PARTS; i++) {
            char event[400];
            snprintf(event, sizeof event, "{\"customer\":\"c\",\"at\":%lld,%s}",
                     (long long)start + 1, parts[i]);
            json_t *item = json_loads(event, 0, NULL);
            if (item)
                json_array_append_new(events, item);
        }
        now = start + 1000;
        json_t *first = uplift_events(a, events, &err);
        uint64_t taken = (uint64_t)json_integer_value(json_object_get(first, "accepted")), count;
        json_decref(first);
        assert_true(taken >= PARTS - 2);
        const struct export_options none = {.from = INT64_MAX};
        struct text definitions = export_with(a, none, &count);
        struct told told = {.count = 0};
        struct intake_counts counts;
        assert_true(take(b, definitions.ptr, &told, &counts, &err));
        struct text text = export_with(a, (struct export_options){.csv = csv}, &count);
        if (csv)
            take_csv(b, &text, &counts);
        else
            assert_true(take(b, text.ptr, &told, &counts, &err));
        assert_int_equal(counts.accepted, taken);
        json_t *again = uplift_events(b, events, &err);
        assert_int_equal(json_integer_value(json_object_get(again, "accepted")), 0);
        json_decref(again);
        json_decref(events);
        text_release(&text);
        text_release(&definitions);
        uplift_close(&a);
        uplift_close(&b);
        assert_true(folder_remove(from) && folder_remove(to));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_export__read_back_is_the_same),
        cmocka_unit_test(test_export__csv_into_definitions_that_are_there),
        cmocka_unit_test(test_export__leaves_out_what_is_not_asked_for),
        cmocka_unit_test(test_intake__tells_what_it_refuses),
        cmocka_unit_test(test_intake__received_is_not_taken_from_clients),
        cmocka_unit_test(test_intake__an_arrival_to_come_is_now),
        cmocka_unit_test(test_export__is_known_when_it_is_sent_again),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
