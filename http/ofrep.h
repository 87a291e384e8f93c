/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OFREP, the protocol by which OpenFeature's SDKs ask a server for flags: an experiment is a flag
 * of the same key. The handlers are rows of routes.def. */
#ifndef UPLIFT_HTTP_OFREP_H
#define UPLIFT_HTTP_OFREP_H

#include <jansson.h>

#include "core/error.h"
#include "http/request.h"

/* An error as OFREP says it: {"errorCode", "errorDetails"}, with the "key" of the flag where the
 * path has one. New reference. */
json_t *ofrep_error(const struct request *request, int status, const struct error *err);

#endif
