/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/input.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"

enum { INPUT_MAX = 1 << 20 };

static json_t *read_json(FILE *file, struct error *err)
{
    struct text input;
    char block[65536];
    size_t len;
    json_t *json = NULL;
    text_init(&input, INPUT_MAX);
    while (!input.failed && (len = fread(block, 1, sizeof block, file)) > 0)
        text_add(&input, block, len);
    if (ferror(file))
        error_set_errno(err, ERROR_IO, NULL, "cannot read");
    else if (input.failed)
        error_set(err, ERROR_TOO_LARGE, NULL, "the input is larger than 1 MiB");
    else
        json = json_parse(input.ptr ? input.ptr : "", input.len, err);
    text_release(&input);
    return json;
}

json_t *input_json(const struct options *options, struct error *err)
{
    bool named = options->words_count > 0 && strcmp(options->words[0], "-") != 0;
    FILE *file = named ? fopen(options->words[0], "rb") : stdin;
    if (!file) {
        error_set_errno(err, ERROR_IO, NULL, "cannot open %.200s", options->words[0]);
        return NULL;
    }
    json_t *json = read_json(file, err);
    if (named)
        fclose(file);
    return json;
}
