/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results are written out member by member; only `segments` may be folded. */
#include "core/folded.h"

#include "core/error.h"

/* A segment, whose metrics are folded or not. */
static void write_unfolded(struct json_writer *w, const json_t *segment)
{
    const char *name;
    json_t *value;
    json_write_object(w, NULL);
    json_object_foreach((json_t *)(uintptr_t)segment, name, value)
    {
        if (strcmp(name, "metrics") == 0 && json_is_string(value))
            json_write_raw(w, name,
                           (struct slice){json_string_value(value), json_string_length(value)});
        else
            json_write_value(w, name, value);
    }
    json_write_end(w);
}

void folded_write(struct json_writer *w, const char *name, const json_t *results)
{
    const char *member;
    json_t *value, *segment;
    size_t i;
    json_write_object(w, name);
    json_object_foreach((json_t *)(uintptr_t)results, member, value)
    {
        if (strcmp(member, "segments") != 0) {
            json_write_value(w, member, value);
            continue;
        }
        json_write_array(w, member);
        json_array_foreach(value, i, segment) write_unfolded(w, segment);
        json_write_end(w);
    }
    json_write_end(w);
}

char *folded_text(const json_t *results)
{
    struct text text;
    text_init(&text, UINT32_MAX);
    struct json_writer w = json_writer_text(&text);
    folded_write(&w, NULL, results);
    must(!text.failed);
    return text_take(&text);
}
