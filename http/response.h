/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers. A handler calls exactly one of these, or suspends the request and calls
 * respond_later when the answer is there. */
#ifndef UPLIFT_HTTP_RESPONSE_H
#define UPLIFT_HTTP_RESPONSE_H

#include "http/request.h"

/* Answers with JSON, which is taken over. */
void respond_json(struct request *request, int status, json_t *json);
/* The same with JSON that is written already; the builder is empty then. */
void respond_written(struct request *request, int status, struct text *json);
/* With an ETag. */
void respond_written_tagged(struct request *request, int status, struct text *json,
                            const char *etag);
/* JSON, taken over, or the error where `json` is NULL. */
void respond_result(struct request *request, int status, json_t *json, const struct error *err);
/* A definition with its version as ETag. */
void respond_versioned(struct request *request, int status, json_t *json, const struct error *err);
/* A body without end that `read` gives (see MHD_ContentReaderCallback); `release` is called with
 * its data at the end. */
void respond_reader(struct request *request, const char *type, MHD_ContentReaderCallback read,
                    MHD_ContentReaderFreeCallback release, void *data);
/* application/problem+json (RFC 9457), or what the SDKs expect that ask at this path. */
void respond_error(struct request *request, const struct error *err);
/* The shape of an error at this path, by its name in schemas.def. */
const char *respond_error_schema(const char *path);
/* The same with a status of its own. */
void respond_problem(struct request *request, int status, const struct error *err);
/* Text of any type, copied. `name` and `value`: one more header, or NULL. */
void respond_text(struct request *request, int status, const char *type, const char *bytes,
                  size_t len, const char *name, const char *value);
/* 200 with bytes that are not copied: `release` is called with `data` when they are sent. */
void respond_borrowed(struct request *request, const char *type, struct slice bytes,
                      void (*release)(void *data), void *data);
/* The status of an error's code. */
int status_of(enum error_code code);

/* Leaves the connection without an answer until respond_later. False where the server is ending:
 * the request is then answered already. */
bool respond_suspend(struct request *request);
/* From any thread: hands the answer (taken over; NULL: the error, or what lies in `written`) to the
 * suspended request. It is written out by the pool, so that the writer thread has time to write. */
void respond_later(struct request *request, int status, json_t *json, const struct error *err);

/* Sends what is there. For the server only. */
enum MHD_Result respond_send(struct request *request);

#endif
