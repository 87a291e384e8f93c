/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/alarm.h"

#include <string.h>

#include "core/advice.h"
#include "core/uplift.h"
#include "core/webhook.h"
#include "core/words.h"

/* One look on its way into the store. */
struct alarm {
    struct uplift *uplift;
    struct store_txn *txn;
    int64_t now;
    const json_t *results, *as_of;
};

/* What every message of an experiment begins with. */
static json_t *begin(const struct alarm *alarm)
{
    json_t *experiment = json_object_get(alarm->results, "experiment");
    return json_pack("{s:O, s:O?}", "experiment", json_object_get(experiment, "key"), "name",
                     json_object_get(experiment, "name"));
}

static void copy_members(json_t *to, const json_t *from, const char *const *names)
{
    for (; *names; names++)
        json_object_set(to, *names, json_object_get(from, *names));
}

static bool is_word(const json_t *row, const char *name, const char *word)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text && strcmp(text, word) == 0;
}

static void tell_decision(const struct alarm *alarm, const json_t *decided)
{
    json_t *now = advice_of(alarm->results);
    if (!advice_same(decided, now)) {
        json_t *data = begin(alarm);
        json_object_set_new(data, "before", decided ? json_deep_copy(decided) : json_null());
        json_object_set_new(data, "decision", now ? json_incref(now) : json_null());
        webhook_emit(alarm->uplift, alarm->txn, WEBHOOK_DECISION, alarm->now, NULL, data);
    }
    json_decref(now);
}

static void tell_check(const struct alarm *alarm, const json_t *row)
{
    static const char *const members[] = {"id", "text", "evidence", NULL};
    json_t *data = begin(alarm);
    copy_members(data, row, members);
    webhook_emit(alarm->uplift, alarm->txn, WEBHOOK_HEALTH, alarm->now, NULL, data);
}

static void tell_guardrail(const struct alarm *alarm, const json_t *metric, const json_t *row)
{
    static const char *const members[] = {"variant", "estimate", "interval", "limit", NULL};
    struct text words;
    json_t *data = begin(alarm);
    text_init(&words, 1024);
    words_comparison(metric, row, &words);
    json_object_set(data, "metric", json_object_get(metric, "key"));
    copy_members(data, row, members);
    json_object_set_new(data, "text", json_stringn(words.len ? words.ptr : "", words.len));
    text_release(&words);
    webhook_emit(alarm->uplift, alarm->txn, WEBHOOK_GUARDRAIL, alarm->now, NULL, data);
}

void alarm_tell(struct uplift *uplift, struct store_txn *txn, int64_t now, const json_t *results,
                const json_t *decided)
{
    const struct alarm alarm = {uplift, txn, now, results, json_object_get(results, "as_of")};
    json_t *row, *metric;
    size_t i, j;
    if (webhook_wanted(uplift, WEBHOOK_DECISION))
        tell_decision(&alarm, decided);
    json_array_foreach(json_object_get(results, "health"), i, row)
    {
        if (is_word(row, "status", "fail") &&
            json_equal(json_object_get(row, "since"), alarm.as_of))
            tell_check(&alarm, row);
    }
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
        json_array_foreach(json_object_get(metric, "comparisons"), j, row)
    {
        if (is_word(row, "verdict", "over-limit") &&
            json_equal(json_object_get(json_object_get(row, "clear_since"), "at"), alarm.as_of))
            tell_guardrail(&alarm, metric, row);
    }
}
