/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access keys. A key is "sdk-", "svc-" or "adm-" and 32 random characters; only its keyed digest is
 * stored, so it is shown once, at creation. Verifying reads a snapshot in memory and takes the same
 * time for every key that is not there. All functions are for any thread. */
#ifndef UPLIFT_CORE_KEYS_H
#define UPLIFT_CORE_KEYS_H

#include <jansson.h>
#include <stdbool.h>

#include "core/error.h"
#include "core/text.h"
#include "core/when.h"

struct uplift;

enum key_kind { KEY_CLIENT, KEY_SERVICE, KEY_ADMIN };
/* Of an admin key; the others have ROLE_NONE. In order of power. */
enum key_role { KEY_ROLE_NONE, KEY_ROLE_VIEWER, KEY_ROLE_EDITOR, KEY_ROLE_ADMIN };

enum { KEY_SECRET_MAX = 48, KEY_ID_MAX = 16, KEY_NAME_MAX = 128 };

#define KEY_VALID_MAX   (720 * WHEN_HOUR)
#define KEY_VALID_HOURS 24 /* unless told otherwise */
#define KEY_RATE_MAX    1000000000

struct key_info {
    char id[KEY_ID_MAX]; /* public, for lists and revoking */
    enum key_kind kind;
    enum key_role role;
    char name[KEY_NAME_MAX];
    int64_t created_at;
    int64_t rate; /* requests a second that it may make; 0: as many as the server allows any */
};

const char *key_kind_word(enum key_kind kind);
const char *key_role_word(enum key_role role);
/* Index of the word, or -1. */
int key_kind_of(const char *word);
int key_role_of(const char *word);

/* Makes a key; the secret is written to `secret`. On disk when it returns. */
bool keys_create(struct uplift *uplift, enum key_kind kind, enum key_role role, const char *name,
                 int64_t rate, char secret[KEY_SECRET_MAX], struct key_info *info,
                 struct error *err);
/* Gives a key another secret, which is written to `secret`; the one before is good for `valid_ms`
 * more (0 to KEY_VALID_MAX), and one before that no more. Id, role, rate and limit are the key's as
 * before. On disk when it returns. ERROR_NOT_FOUND. Not from the writer thread. */
bool keys_rotate(struct uplift *uplift, const char *id, int64_t valid_ms,
                 char secret[KEY_SECRET_MAX], struct key_info *info, struct error *err);
/* ERROR_NOT_FOUND; ERROR_CONFLICT for the last key of role admin. */
bool keys_revoke(struct uplift *uplift, const char *id, struct error *err);
/* {"keys": [{id, kind, role, name, created_at, last_used_at, rate?, rotated_at?, previous?:
 * {created_at, valid_until, last_used_at}}]}: never a secret. New reference. */
json_t *keys_list(struct uplift *uplift, struct error *err);
/* Whether the secret is a key's that was not revoked, or its previous one in its time. */
bool keys_verify(struct uplift *uplift, struct slice secret, struct key_info *info);
/* Whether there is a key of this id that was not revoked, for what goes on after it was verified.
 */
bool keys_known(struct uplift *uplift, const char *id);
/* Writes the last uses that are known only in memory: for the housekeeper; uplift_close does it
 * too. Not from the writer thread. */
bool keys_save(struct uplift *uplift, struct error *err);
size_t keys_count(struct uplift *uplift);

#endif
