/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /v1/webhooks and /v1/deliveries: who is told of what, and what did not arrive yet. */
#include "core/webhook.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/listing.h"
#include "http/response.h"
#include "http/router.h"

/* What libcurl takes for an address of http or https, without a password: those who may list
 * webhooks would see it, and the signature tells the other side who asks. */
static bool check_url(const json_t *body, struct error *err)
{
    const char *text = json_string_value(json_object_get(body, "url"));
    char *scheme = NULL;
    if (!text)
        return true; /* the reader of the definition says so */
    CURLU *url = curl_url();
    CURLUcode code =
        url ? curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    bool ok = code == CURLUE_OK && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    curl_url_cleanup(url);
    if (code == CURLUE_USER_NOT_ALLOWED)
        return error_set(err, ERROR_INVALID, "url", "must not hold a user or a password");
    return ok || error_set(err, ERROR_INVALID, "url", "must be an address of http or https");
}

/* The body, checked as far as core cannot; NULL with *err. */
static json_t *read_body(struct request *request, struct error *err)
{
    json_t *body = request_json(request, false, err);
    if (body && check_url(body, err))
        return body;
    json_decref(body);
    return NULL;
}

static void respond_nothing(struct request *request, bool ok, const struct error *err)
{
    if (ok)
        respond_text(request, MHD_HTTP_NO_CONTENT, "application/json", "", 0, NULL, NULL);
    else
        respond_error(request, err);
}

void webhooks_list(struct request *request)
{
    struct error err = {0};
    json_t *list = webhook_list(request->uplift, &err);
    respond_result(request, MHD_HTTP_OK, list, &err);
}

void webhooks_create(struct request *request)
{
    struct error err = {0};
    json_t *body = read_body(request, &err);
    json_t *made = body ? webhook_create(request->uplift, request->key.id, body, &err) : NULL;
    respond_result(request, MHD_HTTP_CREATED, made, &err);
    json_decref(body);
}

void webhooks_get(struct request *request)
{
    struct error err = {0};
    json_t *row = webhook_get(request->uplift, request->place, &err);
    respond_result(request, MHD_HTTP_OK, row, &err);
}

void webhooks_put(struct request *request)
{
    struct error err = {0};
    json_t *body = read_body(request, &err);
    json_t *row =
        body ? webhook_replace(request->uplift, request->key.id, request->place, body, &err) : NULL;
    respond_result(request, MHD_HTTP_OK, row, &err);
    json_decref(body);
}

void webhooks_delete(struct request *request)
{
    struct error err = {0};
    respond_nothing(request, webhook_remove(request->uplift, request->key.id, request->place, &err),
                    &err);
}

void webhooks_rotate(struct request *request)
{
    struct error err = {0};
    json_t *row = webhook_rotate(request->uplift, request->key.id, request->place, &err);
    respond_result(request, MHD_HTTP_OK, row, &err);
}

void webhooks_test(struct request *request)
{
    struct error err = {0};
    respond_nothing(request, webhook_test(request->uplift, request->place, &err), &err);
}

void deliveries_list(struct request *request)
{
    struct error err = {0};
    struct listing listing;
    const char *state = request_query(request, "state");
    bool dead = state && strcmp(state, "dead") == 0;
    json_t *page = NULL;
    if (state && !dead)
        error_set(&err, ERROR_INVALID, "state", "must be dead, or absent");
    else if (listing_read(request, &listing, &err))
        page = webhook_deliveries(request->uplift, listing.after.ptr, listing.limit, dead, &err);
    if (page)
        listing_answer(request, page);
    else
        respond_error(request, &err);
}

void delivery_retry(struct request *request)
{
    struct error err = {0};
    respond_nothing(request, webhook_retry(request->uplift, request->place, &err), &err);
}

void delivery_delete(struct request *request)
{
    struct error err = {0};
    respond_nothing(request, webhook_drop(request->uplift, request->place, &err), &err);
}
