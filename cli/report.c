/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report of an import in lines. */
#include "cli/report.h"

#include <string.h>

#include "core/words.h"

static const char *word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "-";
}

static void print_effect(const json_t *value, const json_t *metric, FILE *out)
{
    char text[WORDS_FIGURE];
    words_change(metric, value, text);
    fputs(text, out);
}

static void print_level(const json_t *arm, const json_t *metric, FILE *out)
{
    const json_t *mean = json_object_get(arm, "quantile");
    if (!mean)
        mean = json_object_get(arm, "mean");
    if (!json_is_number(mean))
        fputs("no data", out);
    else if (strcmp(word(metric, "unit"), "share") == 0)
        fprintf(out, "%.3f%%", 100 * json_number_value(mean));
    else
        fprintf(out, "%.4g", json_number_value(mean));
}

static void print_comparison(const json_t *metric, const json_t *row, FILE *out)
{
    const json_t *interval = json_object_get(row, "interval"), *p = json_object_get(row, "p_value");
    fprintf(out, "    %-24s ", word(row, "variant"));
    if (!json_is_number(json_object_get(row, "estimate")) && !json_is_array(interval)) {
        fprintf(out, "%s\n", word(row, "error"));
        return;
    }
    print_effect(json_object_get(row, "estimate"), metric, out);
    fputs("  range ", out);
    print_effect(json_array_get(interval, 0), metric, out);
    fputs(" to ", out);
    print_effect(json_array_get(interval, 1), metric, out);
    if (json_is_number(p))
        fprintf(out, "  p = %.4g", json_number_value(p));
    fprintf(out, "  %s\n", word(row, "verdict"));
}

void report_print(const json_t *results, FILE *out)
{
    const json_t *experiment = json_object_get(results, "experiment");
    const json_t *decision = json_object_get(results, "decision");
    size_t i, j;
    json_t *metric, *row;
    fprintf(out, "%s\n", word(experiment, "name"));
    json_array_foreach(json_object_get(experiment, "variants"), i, row)
        fprintf(out, "  %-26s %lld customers\n", word(row, "name"),
                (long long)json_integer_value(json_object_get(row, "exposed")));
    json_array_foreach(json_object_get(results, "metrics"), i, metric)
    {
        fprintf(out, "\n  %s (%s, %s, %s)\n", word(metric, "name"), word(metric, "role"),
                word(metric, "method"), word(metric, "effect"));
        json_array_foreach(json_object_get(metric, "arms"), j, row)
        {
            fprintf(out, "    %-24s ", word(row, "key"));
            print_level(row, metric, out);
            fputc('\n', out);
        }
        json_array_foreach(json_object_get(metric, "comparisons"), j, row)
            print_comparison(metric, row, out);
    }
    fprintf(out, "\n%s\n", word(decision, "headline"));
    json_array_foreach(json_object_get(decision, "reasons"), i, row)
        fprintf(out, "  - %s\n", word(row, "text"));
}
