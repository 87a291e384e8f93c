/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The marks in META: S, D, the customer to go on with (0: no pass is under way) and when it was
 * last asked for, 8 bytes each. */
#include "core/retention.h"

#include "core/audit.h"
#include "core/json.h"
#include "core/ledger.h"
#include "core/recount.h"
#include "core/uplift.h"

static const char marks_name[] = "retention";
/* Slack between the last event that can count and the first that is dropped: what is remembered of
 * untimed events lives as long. */
enum { SLACK_DAYS = LEDGER_SEEN_DAYS };
/* Of one transaction. */
enum { SLICE_CUSTOMERS = 5000, SLICE_ROWS = 20000 };

/* --- the marks ------------------------------------------------------------------------------ */

static void find_spans(const struct catalog *catalog, struct retention *r)
{
    for (size_t i = 0; i < catalog_metric_count(catalog); i++) {
        const struct metric *metric = catalog_metric_at(catalog, i);
        int window = metric->kind == METRIC_RETENTION ? metric->to_days : metric->window_days;
        r->window_days = window > r->window_days ? window : r->window_days;
        r->covariate_days =
            metric->covariate_days > r->covariate_days ? metric->covariate_days : r->covariate_days;
    }
}

struct retention retention_of(const struct catalog *catalog, int64_t days, int64_t now)
{
    struct retention r = {0};
    find_spans(catalog, &r);
    int64_t least = r.window_days + r.covariate_days + SLACK_DAYS;
    r.keep_from = now - (days > least ? days : least) * WHEN_DAY;
    r.accept_from = r.keep_from + (r.window_days + r.covariate_days) * WHEN_DAY;
    return r;
}

struct marks {
    int64_t accept_from, keep_from;
    uint64_t next;
    int64_t asked_at; /* ms; 0: never */
};

static struct marks read_marks(struct store_txn *txn)
{
    struct slice value;
    uint64_t accept_from = 0, keep_from = 0, next = 0, asked_at = 0;
    if (store_get(txn, STORE_META, slice_of(marks_name), &value)) {
        unkey_u64(&value, &accept_from);
        unkey_u64(&value, &keep_from);
        unkey_u64(&value, &next);
        unkey_u64(&value, &asked_at);
    }
    return (struct marks){(int64_t)accept_from, (int64_t)keep_from, next, (int64_t)asked_at};
}

static void write_marks(struct store_txn *txn, const struct marks *marks)
{
    struct store_key value = {0};
    key_u64(&value, (uint64_t)marks->accept_from);
    key_u64(&value, (uint64_t)marks->keep_from);
    key_u64(&value, marks->next);
    key_u64(&value, (uint64_t)marks->asked_at);
    store_put(txn, STORE_META, slice_of(marks_name), key_slice(&value));
}

int64_t retention_accept_from(struct store_txn *txn)
{
    return read_marks(txn).accept_from;
}

struct retention retention_read(struct store_txn *txn, const struct catalog *catalog)
{
    struct marks marks = read_marks(txn);
    struct retention r = {.accept_from = marks.accept_from, .keep_from = marks.keep_from};
    find_spans(catalog, &r);
    return r;
}

/* --- a pass --------------------------------------------------------------------------------- */

struct pass {
    struct uplift *uplift;
    int64_t days;
    bool at_once;
    bool more;
};

/* What is dropped is on record, so that a look that is made once more can tell why it differs. */
static void record(const struct pass *pass, struct store_txn *txn, const struct marks *before,
                   const struct marks *after)
{
    json_t *was = json_pack("{s:o, s:o}", "accept_from", json_when(before->accept_from),
                            "keep_from", json_when(before->keep_from));
    json_t *is = json_pack("{s:o, s:o}", "accept_from", json_when(after->accept_from), "keep_from",
                           json_when(after->keep_from));
    audit_append(txn, ingest_now(pass->uplift->ingest), "uplift", "history.drop", "", was, is);
    json_decref(was);
    json_decref(is);
}

/* The time that a pass goes by, or 0. It is that of a day ago at least, when it was asked for
 * before, so that a clock must be ahead for a day to make anything older than it is. */
static int64_t time_of_pass(const struct pass *pass, struct store_txn *txn, struct marks *marks)
{
    int64_t now = clock_now(&pass->uplift->clock), before = marks->asked_at;
    if (pass->at_once)
        return now;
    if (before > 0 && now >= before && now < before + WHEN_DAY)
        return 0;
    marks->asked_at = now;
    write_marks(txn, marks);
    return before > 0 && now >= before ? before : 0;
}

/* Moves the marks on where a pass is due. They alone are written: from the next transaction on
 * nothing can arrive for what the pass then seals. */
static bool begin(struct pass *pass, struct store_txn *txn, const struct catalog *catalog,
                  struct marks *marks)
{
    int64_t now = time_of_pass(pass, txn, marks);
    if (now == 0)
        return false;
    const struct retention wanted = retention_of(catalog, pass->days, now);
    const struct marks before = *marks;
    if (wanted.keep_from < marks->keep_from + WHEN_DAY || wanted.keep_from <= 0)
        return false;
    marks->keep_from = wanted.keep_from;
    if (wanted.accept_from > marks->accept_from)
        marks->accept_from = wanted.accept_from;
    marks->next = 1;
    write_marks(txn, marks);
    record(pass, txn, &before, marks);
    atomic_store(&pass->uplift->accept_from, marks->accept_from);
    return true;
}

static bool go_on(struct pass *pass, struct ingest_run *run, const struct catalog *catalog,
                  struct marks *marks, struct error *err)
{
    struct retention r = {.accept_from = marks->accept_from, .keep_from = marks->keep_from};
    size_t rows = 0;
    bool ok = true;
    find_spans(catalog, &r);
    for (int i = 0; ok && marks->next && i < SLICE_CUSTOMERS && rows < SLICE_ROWS; i++) {
        uint64_t customer = ledger_next_customer(run->txn, marks->next);
        marks->next = customer ? customer + 1 : 0;
        ok = !customer || ledger_retain(run->txn, run->tallies, pass->uplift->secret, customer, &r,
                                        ingest_now(pass->uplift->ingest), catalog, &rows, err);
    }
    write_marks(run->txn, marks);
    pass->more = marks->next > 0;
    return ok;
}

static bool run_slice(void *data, struct ingest_run *run, struct error *err)
{
    struct pass *pass = data;
    struct recount note;
    struct catalog *catalog = catalog_acquire(&pass->uplift->catalog);
    struct marks marks = read_marks(run->txn);
    bool ok = true;
    if (recount_read(run->txn, &note))
        pass->more = false; /* what is not yet counted anew must not be sealed */
    else if (marks.next == 0)
        pass->more = begin(pass, run->txn, catalog, &marks);
    else
        ok = go_on(pass, run, catalog, &marks, err);
    catalog_release(&pass->uplift->catalog, catalog);
    return ok && store_healthy(run->txn, err);
}

static bool keep(struct pass *pass, int slices, bool *more, struct error *err)
{
    bool ok = true;
    pass->more = true;
    for (int i = 0; ok && pass->more && i < slices; i++)
        ok = ingest_call(pass->uplift->ingest, run_slice, pass, err);
    *more = pass->more;
    return ok;
}

bool retention_keep(struct uplift *uplift, int64_t days, int slices, bool *more, struct error *err)
{
    struct pass pass = {.uplift = uplift, .days = days};
    return keep(&pass, slices, more, err);
}

bool retention_keep_at_once(struct uplift *uplift, int64_t days, int slices, bool *more,
                            struct error *err)
{
    struct pass pass = {.uplift = uplift, .days = days, .at_once = true};
    return keep(&pass, slices, more, err);
}
