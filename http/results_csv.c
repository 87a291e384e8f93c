/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/results_csv.h"

#include "core/json.h"

/* --- cells ---------------------------------------------------------------------------------- */

static void put_text(struct text *out, const char *value)
{
    text_puts(out, "\"");
    if (*value && strchr("=+-@\t\r", *value))
        text_puts(out, "'");
    for (; *value; value++)
        text_add(out, *value == '"' ? "\"\"" : value, *value == '"' ? 2 : 1);
    text_puts(out, "\"");
}

static void put_cell(struct text *out, const json_t *value)
{
    if (json_is_string(value)) {
        put_text(out, json_string_value(value));
    } else if (json_is_integer(value)) {
        text_printf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        text_printf(out, "%.15g", json_real_value(value));
    }
}

static void put_row(struct text *out, const json_t *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            text_puts(out, ",");
        put_cell(out, cells[i]);
    }
    text_puts(out, "\r\n");
}

/* --- tables --------------------------------------------------------------------------------- */

static const char *word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* A line break in a name must not begin a row. */
static void put_comment(struct text *out, const char *name, const char *value)
{
    text_printf(out, "# %s: ", name);
    for (; *value; value++)
        text_add(out, *value == '\n' || *value == '\r' ? " " : value, 1);
    text_puts(out, "\r\n");
}

static void put_head(struct text *out, const json_t *results)
{
    const json_t *experiment = json_object_get(results, "experiment");
    const json_t *design = json_object_get(results, "design");
    put_comment(out, "experiment", word(experiment, "key"));
    put_comment(out, "as of", word(results, "as_of"));
    put_comment(out, "method", word(design, "method"));
    text_printf(out, "# level: %.15g\r\n", 1 - json_number_value(json_object_get(design, "alpha")));
    put_comment(out, "decision", word(json_object_get(results, "decision"), "headline"));
}

void results_csv(const json_t *results, struct text *out)
{
    size_t i, j;
    json_t *metric, *row;
    put_head(out, results);
    text_puts(out, "metric,role,variant,base,value,effect,change,low,high,p_value,verdict,"
                   "clear_since_day\r\n");
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
        json_array_foreach(json_object_get(metric, "comparisons"), j, row)
    {
        const json_t *interval = json_object_get(row, "interval");
        const json_t *const cells[] = {json_object_get(metric, "key"),
                                       json_object_get(metric, "role"),
                                       json_object_get(row, "variant"),
                                       json_object_get(row, "base"),
                                       json_object_get(row, "value"),
                                       json_object_get(metric, "effect"),
                                       json_object_get(row, "estimate"),
                                       json_array_get(interval, 0),
                                       json_array_get(interval, 1),
                                       json_object_get(row, "p_value"),
                                       json_object_get(row, "verdict"),
                                       json_object_get(json_object_get(row, "clear_since"), "day")};
        put_row(out, cells, sizeof cells / sizeof *cells);
    }
}

static void put_look(struct text *out, const json_t *look)
{
    size_t i, j;
    json_t *metric, *row;
    json_array_foreach(json_object_get(look, "metrics"), i, metric)
        json_array_foreach(json_object_get(metric, "comparisons"), j, row)
    {
        const json_t *interval = json_object_get(row, "interval");
        const json_t *const cells[] = {
            json_object_get(look, "at"),     json_object_get(look, "day"),
            json_object_get(metric, "key"),  json_object_get(row, "variant"),
            json_object_get(row, "n"),       json_object_get(row, "estimate"),
            json_array_get(interval, 0),     json_array_get(interval, 1),
            json_object_get(row, "p_value"), json_object_get(row, "verdict")};
        put_row(out, cells, sizeof cells / sizeof *cells);
    }
}

void results_csv_looks(const json_t *results, struct text *out)
{
    size_t i;
    json_t *look;
    put_head(out, results);
    text_puts(out, "at,day,metric,variant,n,change,low,high,p_value,verdict\r\n");
    json_array_foreach(json_object_get(results, "looks"), i, look) put_look(out, look);
}
