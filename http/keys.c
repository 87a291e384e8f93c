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

static json_t *create(struct request *request, json_t *body, struct error *err)
{
    static const char *const fields[] = {"kind", "role", "name", NULL};
    static const char *const kinds[] = {"client", "service", "admin", NULL};
    static const char *const roles[] = {"none", "viewer", "editor", "admin", NULL};
    int kind = 0, role = 0;
    const char *name = "";
    char secret[KEY_SECRET_MAX];
    struct key_info info;
    if (!json_check_fields(body, JSON_TOP, fields, err) ||
        !json_read_word(body, JSON_TOP, "kind", JSON_REQUIRED, kinds, &kind, err) ||
        !json_read_word(body, JSON_TOP, "role", JSON_OPTIONAL, roles, &role, err) ||
        !json_read_string(body, JSON_TOP, "name", JSON_OPTIONAL, 0, KEY_NAME_MAX - 1, &name, err) ||
        !keys_create(request->uplift, (enum key_kind)kind, (enum key_role)role, name, secret, &info,
                     err))
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:o}", "id", info.id, "key", secret, "kind",
                     key_kind_word(info.kind), "role", info.role ? key_role_word(info.role) : NULL,
                     "name", info.name, "created_at", json_when(info.created_at));
}

void keys_post(struct request *request)
{
    struct error err = {0};
    json_t *body = request_json(request, false, &err);
    json_t *made = body ? create(request, body, &err) : NULL;
    respond_result(request, MHD_HTTP_CREATED, made, &err);
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
