/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: one JSON document from a file or standard input. */
#ifndef UPLIFT_CLI_INPUT_H
#define UPLIFT_CLI_INPUT_H

#include <jansson.h>

#include "cli/options.h"
#include "core/error.h"

/* Reads the file that is the command's first word, or standard input where there is none or it is
 * "-", up to 1 MiB. A new reference, or NULL with *err. */
json_t *input_json(const struct options *options, struct error *err);

#endif
