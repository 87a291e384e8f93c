/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A damaged data file: whatever byte of it is changed or wherever it is cut, what is read is
 * the answer of the undamaged one or an error, and the process lives.
 *
 * Each damaged copy is opened in a process of its own, which tells line by line what it read; a
 * line that is neither an error nor the one of the undamaged store is an invented figure. The seed
 * is printed; UPLIFT_DAMAGE_SEED takes another, UPLIFT_DAMAGE_ROUNDS more (200 unless told). */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/analysis.h"
#include "core/definitions.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

enum { EXPERIMENTS = 3, TOLD_MAX = 1 << 20 };
static const int64_t start = INT64_C(1790000000000);
static int64_t now;
static char folder[FOLDER_MAX], copy[FOLDER_MAX];
static unsigned char *whole; /* the undamaged file */
static size_t whole_len;
static char *told, *expected; /* TOLD_MAX each */
static uint64_t seed;

static int64_t told_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock told_clock = {.now = told_now};

static uint64_t next_random(void)
{
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int rounds(void)
{
    const char *text = getenv("UPLIFT_DAMAGE_ROUNDS");
    return text ? (int)strtol(text, NULL, 10) : 200;
}

/* --- the store ------------------------------------------------------------------------------ */

static void made(json_t *json, const struct error *err)
{
    if (!json)
        fail_msg("%s", err->message);
    json_decref(json);
}

static void define(struct uplift *uplift)
{
    const struct definition_change change = {.who = "test", .at = -1};
    struct error err = {0};
    json_t *metric = json_pack("{s:s, s:s, s:s}", "key", "buy", "kind", "binary", "event", "order");
    made(uplift_metric_create(uplift, &change, metric, &err), &err);
    json_decref(metric);
    metric = json_pack("{s:s, s:s, s:s, s:f}", "key", "p90", "kind", "quantile", "event", "order",
                       "quantile", 0.9);
    made(uplift_metric_create(uplift, &change, metric, &err), &err);
    json_decref(metric);
    for (int i = 0; i < EXPERIMENTS; i++) {
        char key[8];
        snprintf(key, sizeof key, "exp%d", i);
        json_t *experiment =
            json_pack("{s:s, s:[{s:s}, {s:s}], s:{s:[s], s:[s]}}", "key", key, "variants", "key",
                      "a", "key", "b", "metrics", "primary", "buy", "secondary", "p90");
        made(uplift_experiment_create(uplift, &change, experiment, &err), &err);
        json_decref(experiment);
        made(uplift_experiment_transition(uplift, &change, slice_of(key), STEP_START, NULL, &err),
             &err);
    }
}

static void come(struct uplift *uplift, int day)
{
    struct error err = {0};
    json_t *events = json_array();
    for (int i = 0; i < 90; i++) {
        char id[32], key[8];
        snprintf(id, sizeof id, "customer-%d-%d", day, i);
        snprintf(key, sizeof key, "exp%d", i % EXPERIMENTS);
        json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:s, s:I}", "type", "exposure",
                                                "customer", id, "experiment", key, "variant",
                                                i / 3 % 2 ? "b" : "a", "at", (json_int_t)now));
        if (i % 4)
            json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:f, s:I}", "type", "outcome",
                                                    "customer", id, "name", "order", "value",
                                                    i * 1.5, "at", (json_int_t)(now + 1)));
    }
    json_t *answer = uplift_events(uplift, events, &err);
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), 0);
    made(answer, &err);
    json_decref(events);
}

static void read_whole(void)
{
    char path[FOLDER_MAX + 16];
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    whole_len = (size_t)ftell(file);
    rewind(file);
    whole = malloc(whole_len);
    assert_int_equal(fread(whole, 1, whole_len, file), whole_len);
    assert_int_equal(fclose(file), 0);
}

/* --- what a process reads ------------------------------------------------------------------- */

static void tell(FILE *out, const char *what, const char *key, const json_t *json,
                 const struct error *err)
{
    if (!json) {
        fprintf(out, "%s %s: ERROR %d\n", what, key, (int)err->code);
        return;
    }
    char *text = json_text(json);
    fprintf(out, "%s %s: %s\n", what, key, text);
    free(text);
}

static void tell_tables(struct uplift *uplift, FILE *out)
{
    for (enum store_table table = 0; table < STORE_TABLES; table++) {
        struct error err = {0};
        struct slice key, value;
        uint64_t rows = 0, hash = 0;
        struct store_txn *txn = store_read(uplift->store, &err);
        if (!txn)
            continue;
        struct store_cursor *cursor = store_walk(txn, table, NO_SLICE, NO_SLICE);
        for (; store_next(cursor, &key, &value); rows++)
            hash = hash * 31 + hash64(key.ptr, key.len) * 7 + hash64(value.ptr, value.len);
        store_walk_end(&cursor);
        if (!store_healthy(txn, &err))
            fprintf(out, "table %d: ERROR %d\n", (int)table, (int)err.code);
        else
            fprintf(out, "table %d: %llu rows, %llx\n", (int)table, (unsigned long long)rows,
                    (unsigned long long)hash);
        store_abort(&txn);
    }
}

static void tell_all(struct uplift *uplift, FILE *out)
{
    tell_tables(uplift, out);
    for (int i = 0; i < EXPERIMENTS; i++) {
        const struct results_options options = {.as_of = -1}, past = {.as_of = start + WHEN_DAY};
        struct error err = {0}, past_err = {0};
        char key[8];
        snprintf(key, sizeof key, "exp%d", i);
        json_t *results = analysis_results(uplift, slice_of(key), &options, &err);
        tell(out, "results", key, results, &err);
        json_t *earlier = analysis_results(uplift, slice_of(key), &past, &past_err);
        tell(out, "earlier", key, earlier, &past_err);
        json_decref(results);
        json_decref(earlier);
    }
}

/* Everything is read first; then something is written, which need not succeed but must not end the
 * process. */
static void in_process(int to)
{
    struct error err = {0};
    FILE *out = fdopen(to, "w");
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    alarm(30);
    now = start + 3 * WHEN_DAY;
    struct uplift *uplift = uplift_open(copy, &told_clock, &err);
    if (!uplift)
        fprintf(out, "open: ERROR %d\n", (int)err.code);
    else
        tell_all(uplift, out);
    fclose(out);
    if (uplift) {
        json_t *events = json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s, s:s}]", "type", "outcome",
                                   "customer", "customer-0-4", "name", "order", "type", "exposure",
                                   "customer", "new", "experiment", "exp1", "variant", "a");
        struct error refused = {0}, unread = {0};
        const struct results_options options = {.as_of = -1};
        json_decref(uplift_events(uplift, events, &refused));
        json_decref(analysis_results(uplift, slice_of("exp1"), &options, &unread));
        uplift_close(&uplift);
    }
    _exit(0);
}

/* Writes the file and lets a process read it; how that ended. */
static int read_in_process(const unsigned char *bytes, size_t len)
{
    char path[FOLDER_MAX + 16];
    int pipes[2], status = -1;
    snprintf(path, sizeof path, "%s/data.mdb", copy);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        in_process(pipes[1]);
    close(pipes[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(pipes[0], told + used, TOLD_MAX - 1 - used)) > 0;)
        used += (size_t)got;
    told[used] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* The line, and where it leaves the one expected. */
static void show_invented(const char *line)
{
    size_t name = strcspn(line, ":"), at = 0;
    const char *same = expected;
    while (same && strncmp(same, line, name) != 0)
        same = (same = strchr(same, '\n')) ? same + 1 : NULL;
    while (same && line[at] && line[at] == same[at])
        at++;
    at = at > 60 ? at - 60 : 0;
    print_message("invented: %.*s … %.200s\nexpected: … %.200s\n", (int)name, line, line + at,
                  same ? same + at : "nothing");
}

/* Whether each line told is an error or one of those expected. */
static bool is_honest(void)
{
    for (char *line = told, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        if (!end)
            return false;
        *end = '\0';
        const char *same = strstr(expected, line);
        bool ok = strstr(line, "ERROR") || (same && same[strlen(line)] == '\n');
        if (!ok)
            show_invented(line);
        *end = '\n';
        if (!ok)
            return false;
    }
    return true;
}

static int errors, same; /* outcomes, for the print */

static bool survives(const unsigned char *bytes, size_t len, const char *what, size_t at)
{
    int status = read_in_process(bytes, len);
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0 && is_honest();
    if (strstr(told, "ERROR"))
        errors++;
    else
        same++;
    if (!ok)
        print_message("%s at %zu (page %zu + %zu): status %x\n", what, at, at / 4096, at % 4096,
                      (unsigned)status);
    return ok;
}

static int make(void **state)
{
    (void)state;
    struct error err = {0};
    const char *given = getenv("UPLIFT_DAMAGE_SEED");
    seed = given ? strtoull(given, NULL, 10) : 20261125;
    print_message("seed %llu\n", (unsigned long long)seed);
    told = malloc(TOLD_MAX);
    expected = malloc(TOLD_MAX);
    if (!folder_make(folder) || !folder_make(copy))
        return -1;
    now = start;
    struct uplift *uplift = uplift_open(folder, &told_clock, &err);
    define(uplift);
    for (int day = 0; day < 4; day++) {
        now = start + day * WHEN_DAY + 1000;
        come(uplift, day);
        assert_true(analysis_keep_house(uplift, &err));
    }
    uplift_close(&uplift);
    read_whole();
    assert_int_equal(read_in_process(whole, whole_len), 0);
    assert_null(strstr(told, "ERROR"));
    memcpy(expected, told, TOLD_MAX);
    print_message("%zu bytes\n", whole_len);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    free(whole);
    free(told);
    free(expected);
    return folder_remove(folder) && folder_remove(copy) ? 0 : -1;
}

static bool flip(size_t at, unsigned char by)
{
    unsigned char was = whole[at];
    whole[at] ^= by;
    bool ok = survives(whole, whole_len, "flip", at);
    whole[at] = was;
    return ok;
}

static void test_damage__of_a_byte_is_told_or_does_not_matter(void **state)
{
    (void)state;
    int bad = 0;
    errors = same = 0;
    for (int i = 0; i < rounds(); i++) {
        size_t at = next_random() % whole_len;
        bad += !flip(at, (unsigned char)(1 << next_random() % 8));
    }
    print_message("%d told, %d the same\n", errors, same);
    assert_int_equal(bad, 0);
    assert_true(errors > 0 && same > 0);
}

/* The header of each page and where its rows are, which LMDB believes. */
static void test_damage__of_the_structure_of_pages(void **state)
{
    (void)state;
    int bad = 0;
    errors = same = 0;
    for (int i = 0; i < rounds(); i++) {
        size_t at = next_random() % (whole_len / 4096) * 4096 + next_random() % 48;
        bad += !flip(at, (unsigned char)(1 << next_random() % 8));
    }
    print_message("%d told, %d the same\n", errors, same);
    assert_int_equal(bad, 0);
}

/* The keys of branches, by which LMDB finds its way: a wrong one leads to a row that is whole, but
 * not the one asked for. */
static void test_damage__of_the_way_to_rows(void **state)
{
    (void)state;
    int bad = 0, tried = 0;
    errors = same = 0;
    for (size_t page = 2 * 4096; page < whole_len; page += 4096) {
        uint16_t head[2], at, node[4];
        memcpy(head, whole + page + 10, sizeof head); /* flags, lower */
        for (size_t i = 18; head[0] == 1 && i + 2 <= head[1] && tried < rounds(); i += 2) {
            memcpy(&at, whole + page + i, sizeof at);
            memcpy(node, whole + page + at, sizeof node);
            for (size_t byte = 0; byte < node[3] && byte < 24; byte += 2, tried++)
                bad += !flip(page + at + 8 + byte, (unsigned char)(1 << next_random() % 8));
        }
    }
    print_message("%d told, %d the same\n", errors, same);
    assert_int_equal(bad, 0);
}

/* What LMDB uses of the first two pages, each byte; all of them in a long run. */
static void test_damage__of_the_first_pages(void **state)
{
    (void)state;
    size_t bytes = rounds() > 1000 ? 4096 : 152;
    int bad = 0;
    errors = same = 0;
    for (size_t page = 0; page < 2; page++)
        for (size_t i = 0; i < bytes; i++)
            for (int bit = 0; bit < 8; bit++)
                if (rounds() > 1000 || next_random() % 8 == 0)
                    bad += !flip(page * 4096 + i, (unsigned char)(1 << bit));
    print_message("%d told, %d the same\n", errors, same);
    assert_int_equal(bad, 0);
}

static void test_damage__of_a_file_cut_short(void **state)
{
    (void)state;
    int bad = 0;
    errors = same = 0;
    for (int i = 0; i < rounds() / 4 + 1; i++) {
        size_t len = 1 + next_random() % (whole_len - 1);
        if (i % 2)
            len -= len % 4096;
        bad += len && !survives(whole, len, "cut", len);
    }
    print_message("%d told, %d the same\n", errors, same);
    assert_int_equal(bad, 0);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
    /* Its runtime stands between a fault and our handler; there are no threads here to look at. */
    puts("1..0 # SKIP ThreadSanitizer has the signals of faults for itself");
    return 0;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage__of_a_byte_is_told_or_does_not_matter),
        cmocka_unit_test(test_damage__of_the_structure_of_pages),
        cmocka_unit_test(test_damage__of_the_way_to_rows),
        cmocka_unit_test(test_damage__of_the_first_pages),
        cmocka_unit_test(test_damage__of_a_file_cut_short),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("damage", tests, make, clear);
}
