/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys: rows in the store under their id, a list in memory under a read-write lock. A secret is
 * compared by its keyed digest, in constant time against every row, so neither the time taken nor
 * the store tells anything of it. Last uses are kept in memory and written by keys_save. */
#include "core/keys.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/audit.h"
#include "core/json.h"
#include "core/keys_private.h"
#include "core/uplift.h"

enum { DIGEST = 32, SECRET_CHARACTERS = 32, ID_CHARACTERS = 8 };

struct secrets {
    unsigned char digest[DIGEST], old_digest[DIGEST];
    int64_t since;     /* of the present one, where it was rotated; else 0 */
    int64_t old_since; /* of the one before, where there is one */
    int64_t old_until; /* up to when that is good; 0: there is none */
};

struct key_row {
    struct key_info info;
    struct secrets secrets;
    /* Of the present secret and of the one before it. */
    atomic_int_fast64_t last_used_at, written_used_at, old_used_at, old_written_used_at;
    struct key_row *next;
};

struct keys {
    pthread_rwlock_t lock;
    struct key_row *first; /* lock */
    size_t count;          /* lock */
};

static const char *const kinds[] = {"client", "service", "admin", NULL};
static const char *const prefixes[] = {"sdk-", "svc-", "adm-"};
static const char *const roles[] = {"none", "viewer", "editor", "admin", NULL};

const char *key_kind_word(enum key_kind kind)
{
    return kinds[kind];
}

const char *key_role_word(enum key_role role)
{
    return roles[role];
}

static int index_of(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

int key_kind_of(const char *word)
{
    return index_of(kinds, word);
}

int key_role_of(const char *word)
{
    return index_of(roles, word);
}

static void digest_of(const struct uplift *uplift, struct slice secret, unsigned char out[DIGEST])
{
    crypto_generichash(out, DIGEST, (const unsigned char *)secret.ptr, secret.len, uplift->secret,
                       sizeof uplift->secret);
}

static void random_word(char *out, size_t len)
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    for (size_t i = 0; i < len; i++)
        out[i] = letters[randombytes_uniform(sizeof letters - 1)];
    out[len] = '\0';
}

static void random_secret(enum key_kind kind, char secret[KEY_SECRET_MAX])
{
    char word[SECRET_CHARACTERS + 1];
    random_word(word, SECRET_CHARACTERS);
    snprintf(secret, KEY_SECRET_MAX, "%s%s", prefixes[kind], word);
    sodium_memzero(word, sizeof word);
}

static json_t *row_json(const struct key_row *row)
{
    int64_t used = atomic_load(&row->last_used_at), old_used = atomic_load(&row->old_used_at);
    const struct secrets *secrets = &row->secrets;
    json_t *json = json_pack(
        "{s:s, s:s, s:s?, s:s, s:o, s:o}", "id", row->info.id, "kind", kinds[row->info.kind],
        "role", row->info.role ? roles[row->info.role] : NULL, "name", row->info.name, "created_at",
        json_when(row->info.created_at), "last_used_at", json_when(used ? used : -1));
    if (row->info.rate)
        json_object_set_new(json, "rate", json_integer(row->info.rate));
    if (secrets->since)
        json_object_set_new(json, "rotated_at", json_when(secrets->since));
    if (secrets->old_until)
        json_object_set_new(json, "previous",
                            json_pack("{s:o, s:o, s:o}", "created_at",
                                      json_when(secrets->old_since), "valid_until",
                                      json_when(secrets->old_until), "last_used_at",
                                      json_when(old_used ? old_used : -1)));
    return json;
}

/* The row on disk: the row for lists, and the digest. */
static void write_row(struct store_txn *txn, const struct key_row *row)
{
    char digest[2 * DIGEST + 1];
    sodium_bin2hex(digest, sizeof digest, row->secrets.digest, DIGEST);
    json_t *json = row_json(row), *previous = json_object_get(json, "previous");
    json_object_set_new(json, "digest", json_string(digest));
    if (previous) {
        sodium_bin2hex(digest, sizeof digest, row->secrets.old_digest, DIGEST);
        json_object_set_new(previous, "digest", json_string(digest));
    }
    char *text = json_text(json);
    store_put(txn, STORE_KEY, slice_of(row->info.id), slice_of(text));
    free(text);
    json_decref(json);
}

static bool read_digest(json_t *json, unsigned char out[DIGEST], struct error *err)
{
    const char *digest = NULL;
    size_t len = 0;
    return json_read_string(json, JSON_TOP, "digest", JSON_REQUIRED, 64, 64, &digest, err) &&
           sodium_hex2bin(out, DIGEST, digest, 64, NULL, &len, NULL) == 0;
}

/* What rotation left, which most keys have nothing of. */
static bool read_rotation(json_t *json, struct key_row *row, struct error *err)
{
    json_t *previous = json_object_get(json, "previous");
    struct secrets *secrets = &row->secrets;
    int64_t used = 0;
    if (!json_read_time(json, JSON_TOP, "rotated_at", JSON_OPTIONAL, &secrets->since, err))
        return false;
    if (!previous)
        return true;
    bool ok =
        json_is_object(previous) && read_digest(previous, secrets->old_digest, err) &&
        json_read_time(previous, JSON_TOP, "created_at", JSON_REQUIRED, &secrets->old_since, err) &&
        json_read_time(previous, JSON_TOP, "valid_until", JSON_REQUIRED, &secrets->old_until,
                       err) &&
        json_read_time(previous, JSON_TOP, "last_used_at", JSON_OPTIONAL, &used, err);
    atomic_store(&row->old_used_at, used);
    atomic_store(&row->old_written_used_at, used);
    return ok;
}

static struct key_row *read_row(struct slice record, struct error *err)
{
    struct key_row *row = xcalloc(1, sizeof *row);
    json_t *json = json_parse(record.ptr, record.len, err);
    const char *id = NULL, *name = NULL;
    int kind = 0, role = 0;
    int64_t created = 0, used = 0, rate = 0;
    bool ok =
        json &&
        json_read_string(json, JSON_TOP, "id", JSON_REQUIRED, 1, KEY_ID_MAX - 1, &id, err) &&
        json_read_word(json, JSON_TOP, "kind", JSON_REQUIRED, kinds, &kind, err) &&
        json_read_word(json, JSON_TOP, "role", JSON_OPTIONAL, roles, &role, err) &&
        json_read_string(json, JSON_TOP, "name", JSON_REQUIRED, 0, KEY_NAME_MAX - 1, &name, err) &&
        json_read_time(json, JSON_TOP, "created_at", JSON_REQUIRED, &created, err) &&
        json_read_time(json, JSON_TOP, "last_used_at", JSON_OPTIONAL, &used, err) &&
        json_read_integer(json, JSON_TOP, "rate", JSON_OPTIONAL, 1, KEY_RATE_MAX, &rate, err) &&
        read_digest(json, row->secrets.digest, err) && read_rotation(json, row, err);
    if (ok) {
        snprintf(row->info.id, sizeof row->info.id, "%s", id);
        snprintf(row->info.name, sizeof row->info.name, "%s", name);
        row->info.kind = (enum key_kind)kind;
        row->info.role = (enum key_role)role;
        row->info.created_at = created;
        row->info.rate = rate;
        atomic_store(&row->last_used_at, used);
        atomic_store(&row->written_used_at, used);
    } else {
        free(row);
        row = NULL;
        error_clear(err);
        error_set(err, ERROR_CORRUPT, NULL, "a stored key is damaged");
    }
    json_decref(json);
    return row;
}

static void add_row(struct keys *keys, struct key_row *row)
{
    struct key_row **end = &keys->first;
    while (*end)
        end = &(*end)->next;
    *end = row;
    keys->count++;
}

bool keys_load(struct uplift *uplift, struct error *err)
{
    struct keys *keys = uplift->keys = xcalloc(1, sizeof *keys);
    pthread_rwlock_init(&keys->lock, NULL);
    struct store_txn *txn = store_read(uplift->store, err);
    if (!txn)
        return false;
    struct store_cursor *cursor = store_walk(txn, STORE_KEY, NO_SLICE, NO_SLICE);
    struct slice id, record;
    bool ok = true;
    while (ok && store_next(cursor, &id, &record)) {
        struct key_row *row = read_row(record, err);
        ok = row != NULL;
        if (ok)
            add_row(keys, row);
    }
    store_walk_end(&cursor);
    ok = ok && store_healthy(txn, err);
    store_abort(&txn);
    return ok;
}

void keys_unload(struct uplift *uplift)
{
    if (!uplift->keys)
        return;
    for (struct key_row *row = uplift->keys->first, *next; row; row = next) {
        next = row->next;
        free(row);
    }
    pthread_rwlock_destroy(&uplift->keys->lock);
    free(uplift->keys);
    uplift->keys = NULL;
}

struct change {
    struct uplift *uplift;
    struct key_row *row; /* made, or to be revoked */
    bool revoke;
};

static bool run_change(void *data, struct ingest_run *run, struct error *err)
{
    struct change *change = data;
    (void)err;
    json_t *json = row_json(change->row);
    if (change->revoke)
        store_delete(run->txn, STORE_KEY, slice_of(change->row->info.id));
    else
        write_row(run->txn, change->row);
    audit_append(run->txn, uplift_now(change->uplift), "key",
                 change->revoke ? "key.revoke" : "key.create", change->row->info.id,
                 change->revoke ? json : NULL, change->revoke ? NULL : json);
    json_decref(json);
    return true;
}

bool keys_create(struct uplift *uplift, enum key_kind kind, enum key_role role, const char *name,
                 int64_t rate, char secret[KEY_SECRET_MAX], struct key_info *info,
                 struct error *err)
{
    if ((kind == KEY_ADMIN) != (role != KEY_ROLE_NONE))
        return error_set(err, ERROR_INVALID, "role",
                         kind == KEY_ADMIN ? "is needed for an admin key: viewer, editor or admin"
                                           : "only an admin key has one");
    if (strlen(name) >= KEY_NAME_MAX || !utf8_valid(name, strlen(name)))
        return error_set(err, ERROR_INVALID, "name", "must be UTF-8 of less than %d bytes",
                         KEY_NAME_MAX);
    struct key_row *row = xcalloc(1, sizeof *row);
    random_word(row->info.id, ID_CHARACTERS);
    random_secret(kind, secret);
    row->info.kind = kind;
    row->info.role = role;
    row->info.created_at = uplift_now(uplift);
    row->info.rate = rate;
    snprintf(row->info.name, sizeof row->info.name, "%s", name);
    digest_of(uplift, slice_of(secret), row->secrets.digest);
    struct change change = {uplift, row, false};
    if (!ingest_call(uplift->ingest, run_change, &change, err)) {
        sodium_memzero(secret, KEY_SECRET_MAX);
        free(row);
        return false;
    }
    if (info)
        *info = row->info;
    pthread_rwlock_wrlock(&uplift->keys->lock);
    add_row(uplift->keys, row);
    pthread_rwlock_unlock(&uplift->keys->lock);
    return true;
}

/* Whether nobody could make keys any more without this one. Under the lock. */
static bool is_last_admin(const struct keys *keys, const struct key_row *row)
{
    for (const struct key_row *other = keys->first; other; other = other->next)
        if (other != row && other->info.role == KEY_ROLE_ADMIN)
            return false;
    return row->info.role == KEY_ROLE_ADMIN;
}

/* Takes the row out first, so that it ends at once; puts it back where the store refuses. */
bool keys_revoke(struct uplift *uplift, const char *id, struct error *err)
{
    struct keys *keys = uplift->keys;
    pthread_rwlock_wrlock(&keys->lock);
    struct key_row **at = &keys->first;
    while (*at && strcmp((*at)->info.id, id) != 0)
        at = &(*at)->next;
    struct key_row *row = *at;
    if (row && is_last_admin(keys, row)) {
        pthread_rwlock_unlock(&keys->lock);
        return error_set(err, ERROR_CONFLICT, NULL,
                         "it is the last key of role admin: make another one first");
    }
    if (row) {
        *at = row->next;
        row->next = NULL;
        keys->count--;
    }
    pthread_rwlock_unlock(&keys->lock);
    if (!row)
        return error_set(err, ERROR_NOT_FOUND, NULL, "there is no key '%.32s'", id);
    struct change change = {uplift, row, true};
    if (ingest_call(uplift->ingest, run_change, &change, err)) {
        free(row);
        return true;
    }
    pthread_rwlock_wrlock(&keys->lock);
    add_row(keys, row);
    pthread_rwlock_unlock(&keys->lock);
    return false;
}

struct rotation {
    struct uplift *uplift;
    const char *id;
    struct secrets before, after;
    int64_t used_before, old_used_before;
    int64_t valid_ms;
    bool begun; /* a job may be run twice */
    struct key_info info;
};

/* Under the lock. */
static struct key_row *find(struct keys *keys, const char *id)
{
    struct key_row *row = keys->first;
    while (row && strcmp(row->info.id, id) != 0)
        row = row->next;
    return row;
}

static void prepare(struct rotation *rotation, const struct key_row *row)
{
    int64_t now = uplift_now(rotation->uplift);
    struct secrets *after = &rotation->after;
    rotation->begun = true;
    rotation->before = row->secrets;
    rotation->used_before = atomic_load(&row->last_used_at);
    rotation->old_used_before = atomic_load(&row->old_used_at);
    rotation->info = row->info;
    after->since = now;
    if (rotation->valid_ms == 0)
        return;
    memcpy(after->old_digest, row->secrets.digest, DIGEST);
    after->old_since = row->secrets.since ? row->secrets.since : row->info.created_at;
    after->old_until = now + rotation->valid_ms;
}

/* In memory before the commit, and in this thread, so that keys_save never writes what was before:
 * nobody knows the new secret until it is on disk. */
static bool run_rotation(void *data, struct ingest_run *run, struct error *err)
{
    struct rotation *rotation = data;
    struct keys *keys = rotation->uplift->keys;
    pthread_rwlock_wrlock(&keys->lock);
    struct key_row *row = find(keys, rotation->id);
    json_t *before = row ? row_json(row) : NULL, *after = NULL;
    if (row) {
        if (!rotation->begun)
            prepare(rotation, row);
        row->secrets = rotation->after;
        atomic_store(&row->old_used_at, rotation->used_before);
        atomic_store(&row->last_used_at, 0);
        write_row(run->txn, row);
        after = row_json(row);
    }
    pthread_rwlock_unlock(&keys->lock);
    if (!row)
        return error_set(err, ERROR_NOT_FOUND, NULL, "there is no key '%.32s'", rotation->id);
    audit_append(run->txn, uplift_now(rotation->uplift), "key", "key.rotate", rotation->id, before,
                 after);
    json_decref(before);
    json_decref(after);
    return true;
}

static void undo(struct rotation *rotation)
{
    struct keys *keys = rotation->uplift->keys;
    pthread_rwlock_wrlock(&keys->lock);
    struct key_row *row = rotation->begun ? find(keys, rotation->id) : NULL;
    if (row) {
        row->secrets = rotation->before;
        atomic_store(&row->last_used_at, rotation->used_before);
        atomic_store(&row->old_used_at, rotation->old_used_before);
    }
    pthread_rwlock_unlock(&keys->lock);
}

/* The kind of a key never changes, so it may be read before. */
bool keys_rotate(struct uplift *uplift, const char *id, int64_t valid_ms,
                 char secret[KEY_SECRET_MAX], struct key_info *info, struct error *err)
{
    struct rotation rotation = {.uplift = uplift, .id = id, .valid_ms = valid_ms};
    must(valid_ms >= 0 && valid_ms <= KEY_VALID_MAX);
    pthread_rwlock_rdlock(&uplift->keys->lock);
    const struct key_row *row = find(uplift->keys, id);
    random_secret(row ? row->info.kind : KEY_CLIENT, secret);
    pthread_rwlock_unlock(&uplift->keys->lock);
    digest_of(uplift, slice_of(secret), rotation.after.digest);
    if (!ingest_call(uplift->ingest, run_rotation, &rotation, err)) {
        undo(&rotation);
        sodium_memzero(secret, KEY_SECRET_MAX);
        return false;
    }
    if (info)
        *info = rotation.info;
    return true;
}

static bool is_unwritten(const struct key_row *row)
{
    return atomic_load(&row->written_used_at) != atomic_load(&row->last_used_at) ||
           atomic_load(&row->old_written_used_at) != atomic_load(&row->old_used_at);
}

static bool run_save(void *data, struct ingest_run *run, struct error *err)
{
    struct keys *keys = data;
    pthread_rwlock_rdlock(&keys->lock);
    for (struct key_row *row = keys->first; row; row = row->next)
        if (is_unwritten(row)) {
            atomic_store(&row->written_used_at, atomic_load(&row->last_used_at));
            atomic_store(&row->old_written_used_at, atomic_load(&row->old_used_at));
            write_row(run->txn, row);
        }
    pthread_rwlock_unlock(&keys->lock);
    return store_healthy(run->txn, err);
}

bool keys_save(struct uplift *uplift, struct error *err)
{
    bool changed = false;
    pthread_rwlock_rdlock(&uplift->keys->lock);
    for (struct key_row *row = uplift->keys->first; row; row = row->next)
        changed = changed || is_unwritten(row);
    pthread_rwlock_unlock(&uplift->keys->lock);
    return !changed || ingest_call(uplift->ingest, run_save, uplift->keys, err);
}

json_t *keys_list(struct uplift *uplift, struct error *err)
{
    (void)err;
    json_t *list = json_array();
    pthread_rwlock_rdlock(&uplift->keys->lock);
    for (const struct key_row *row = uplift->keys->first; row; row = row->next)
        json_array_append_new(list, row_json(row));
    pthread_rwlock_unlock(&uplift->keys->lock);
    return json_pack("{s:o}", "keys", list);
}

/* Notes the use. Both are compared whatever the first one says. */
static bool is_its_secret(struct key_row *row, const unsigned char digest[DIGEST], int64_t now)
{
    const struct secrets *secrets = &row->secrets;
    bool is = sodium_memcmp(secrets->digest, digest, DIGEST) == 0;
    bool was = sodium_memcmp(secrets->old_digest, digest, DIGEST) == 0 && now < secrets->old_until;
    if (is)
        atomic_store(&row->last_used_at, now);
    else if (was)
        atomic_store(&row->old_used_at, now);
    return is || was;
}

bool keys_verify(struct uplift *uplift, struct slice secret, struct key_info *info)
{
    unsigned char digest[DIGEST];
    bool found = false;
    if (secret.len > KEY_SECRET_MAX)
        secret.len = KEY_SECRET_MAX;
    digest_of(uplift, secret, digest);
    pthread_rwlock_rdlock(&uplift->keys->lock);
    for (struct key_row *row = uplift->keys->first; row; row = row->next)
        if (is_its_secret(row, digest, uplift_now(uplift))) {
            found = true;
            *info = row->info;
        }
    pthread_rwlock_unlock(&uplift->keys->lock);
    return found;
}

bool keys_known(struct uplift *uplift, const char *id)
{
    pthread_rwlock_rdlock(&uplift->keys->lock);
    const struct key_row *row = uplift->keys->first;
    while (row && strcmp(row->info.id, id) != 0)
        row = row->next;
    pthread_rwlock_unlock(&uplift->keys->lock);
    return row != NULL;
}

size_t keys_count(struct uplift *uplift)
{
    pthread_rwlock_rdlock(&uplift->keys->lock);
    size_t count = uplift->keys->count;
    pthread_rwlock_unlock(&uplift->keys->lock);
    return count;
}
