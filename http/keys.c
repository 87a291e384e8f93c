/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /v1/keys: made, listed, revoked. */
#include "core/keys.h"

#include "core/json.h"
#include "http/response.h"
#include "http/router.h"

void keys_get(struct request *request)
{
    struct error err = {0};
    json_t *list = keys_list(request->uplift, &err);
    respond_result(request, MHD_HTTP_OK, list, &err);
}

/* With its secret, this once. */
static json_t *show(const struct key_info *info, const char *secret)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s?, s:s, s:o}", "id", info->id, "key", secret, "kind",
                  key_kind_word(info->kind), "role", info->role ? key_role_word(info->role) : NULL,
                  "name", info->name, "created_at", json_when(info->created_at));
    if (info->rate)
        json_object_set_new(json, "rate", json_integer(info->rate));
    return json;
}

static json_t *create(struct request *request, json_t *body, struct error *err)
{
    static const char *const fields[] = {"kind", "role", "name", "rate", NULL};
    static const char *const kinds[] = {"client", "service", "admin", NULL};
    static const char *const roles[] = {"none", "viewer", "editor", "admin", NULL};
    int kind = 0, role = 0;
    const char *name = "";
    int64_t rate = 0;
    char secret[KEY_SECRET_MAX];
    struct key_info info;
    if (!json_check_fields(body, JSON_TOP, fields, err) ||
        !json_read_word(body, JSON_TOP, "kind", JSON_REQUIRED, kinds, &kind, err) ||
        !json_read_word(body, JSON_TOP, "role", JSON_OPTIONAL, roles, &role, err) ||
        !json_read_string(body, JSON_TOP, "name", JSON_OPTIONAL, 0, KEY_NAME_MAX - 1, &name, err) ||
        !json_read_integer(body, JSON_TOP, "rate", JSON_OPTIONAL, 1, KEY_RATE_MAX, &rate, err) ||
        !keys_create(request->uplift, (enum key_kind)kind, (enum key_role)role, name, rate, secret,
                     &info, err))
        return NULL;
    return show(&info, secret);
}

void keys_post(struct request *request)
{
    struct error err = {0};
    json_t *body = request_json(request, false, &err);
    json_t *made = body ? create(request, body, &err) : NULL;
    respond_result(request, MHD_HTTP_CREATED, made, &err);
    json_decref(body);
}

static json_t *rotate(struct request *request, json_t *body, struct error *err)
{
    static const char *const fields[] = {"valid_hours", NULL};
    int64_t hours = KEY_VALID_HOURS;
    char secret[KEY_SECRET_MAX];
    struct key_info info;
    if (body && (!json_check_fields(body, JSON_TOP, fields, err) ||
                 !json_read_integer(body, JSON_TOP, "valid_hours", JSON_OPTIONAL, 0,
                                    KEY_VALID_MAX / WHEN_HOUR, &hours, err)))
        return NULL;
    if (!keys_rotate(request->uplift, request->place, hours * WHEN_HOUR, secret, &info, err))
        return NULL;
    return show(&info, secret);
}

void keys_rotate_post(struct request *request)
{
    struct error err = {0};
    json_t *body = request_json(request, true, &err);
    json_t *made = err.code == ERROR_NONE ? rotate(request, body, &err) : NULL;
    respond_result(request, MHD_HTTP_OK, made, &err);
    json_decref(body);
}

void keys_delete(struct request *request)
{
    struct error err = {0};
    if (keys_revoke(request->uplift, request->place, &err))
        respond_text(request, MHD_HTTP_NO_CONTENT, "application/json", "", 0, NULL, NULL);
    else
        respond_error(request, &err);
}
