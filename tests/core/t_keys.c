/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access keys: shown once, stored as a digest, gone when revoked, there again after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/keys.h"
#include "core/uplift.h"
#include "tests/core/folder.h"

static int64_t now;
static char folder[FOLDER_MAX];

static int64_t fixed_now(void *data)
{
    (void)data;
    return now;
}

static const struct clock fixed_clock = {.now = fixed_now};

static int make_folder(void **state)
{
    (void)state;
    now = INT64_C(1790000000000);
    return folder_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder) ? 0 : -1;
}

static struct uplift *open_uplift(void)
{
    struct error err = {0};
    struct uplift *uplift = uplift_open(folder, &fixed_clock, &err);
    assert_string_equal(err.message, "");
    return uplift;
}

static void create(struct uplift *uplift, enum key_kind kind, enum key_role role,
                   char secret[KEY_SECRET_MAX], struct key_info *info)
{
    struct error err = {0};
    assert_true(keys_create(uplift, kind, role, "a name", 0, secret, info, &err));
}

static bool verify(struct uplift *uplift, const char *secret, struct key_info *info)
{
    return keys_verify(uplift, slice_of(secret), info);
}

static void test_keys__each_kind_has_its_prefix_and_outlives_a_restart(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"sdk-", "svc-", "adm-"};
    struct uplift *uplift = open_uplift();
    char secrets[3][KEY_SECRET_MAX];
    struct key_info made[3], found;
    for (int i = 0; i < 3; i++) {
        enum key_kind kind = (enum key_kind)i;
        create(uplift, kind, kind == KEY_ADMIN ? KEY_ROLE_EDITOR : KEY_ROLE_NONE, secrets[i],
               &made[i]);
        assert_memory_equal(secrets[i], prefixes[i], 4);
        assert_int_equal(strlen(secrets[i]), 36);
    }
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(keys_count(uplift), 3);
        for (int i = 0; i < 3; i++) {
            assert_true(verify(uplift, secrets[i], &found));
            assert_string_equal(found.id, made[i].id);
            assert_string_equal(found.name, "a name");
            assert_int_equal(found.kind, i);
            assert_int_equal(found.role, i == KEY_ADMIN ? KEY_ROLE_EDITOR : KEY_ROLE_NONE);
            assert_true(found.created_at == now);
        }
        uplift_close(&uplift);
        uplift = open_uplift();
    }
    uplift_close(&uplift);
}

static void test_keys__nothing_but_the_secret_opens(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    char secret[KEY_SECRET_MAX], other[KEY_SECRET_MAX + 20];
    struct key_info info;
    create(uplift, KEY_SERVICE, KEY_ROLE_NONE, secret, &info);
    for (size_t i = 0; i < strlen(secret); i++) {
        snprintf(other, sizeof other, "%s", secret);
        other[i] ^= 1;
        assert_false(verify(uplift, other, &info));
        other[i] = '\0';
        assert_false(verify(uplift, other, &info));
    }
    snprintf(other, sizeof other, "%sx", secret);
    assert_false(verify(uplift, other, &info));
    memset(other, 'x', sizeof other - 1);
    other[sizeof other - 1] = '\0';
    assert_false(verify(uplift, other, &info));
    assert_false(keys_verify(uplift, (struct slice){"", 0}, &info));
    uplift_close(&uplift);
}

static void test_keys__secrets_are_neither_listed_nor_stored(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_uplift();
    char secret[KEY_SECRET_MAX], path[96];
    create(uplift, KEY_CLIENT, KEY_ROLE_NONE, secret, NULL);
    json_t *list = keys_list(uplift, &err);
    char *shown = json_dumps(list, 0);
    assert_null(strstr(shown, secret + 4));
    assert_null(strstr(shown, "digest"));
    free(shown);
    json_decref(list);
    uplift_close(&uplift);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "r");
    static char bytes[1 << 20];
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(len > 0 && len < sizeof bytes);
    assert_null(memmem(bytes, len, secret + 4, strlen(secret + 4)));
    assert_non_null(memmem(bytes, len, "a name", 6)); /* the search does find what is there */
}

static void test_keys__revoked_at_once_and_for_ever(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_uplift();
    char gone[KEY_SECRET_MAX], kept[KEY_SECRET_MAX];
    struct key_info info, other;
    create(uplift, KEY_ADMIN, KEY_ROLE_VIEWER, gone, &info);
    create(uplift, KEY_ADMIN, KEY_ROLE_ADMIN, kept, &other);
    assert_true(keys_revoke(uplift, info.id, &err));
    assert_false(verify(uplift, gone, &info));
    assert_true(verify(uplift, kept, &other));
    assert_false(keys_revoke(uplift, "no such", &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    uplift_close(&uplift);
    uplift = open_uplift();
    assert_false(verify(uplift, gone, &info));
    assert_true(verify(uplift, kept, &other));
    assert_int_equal(keys_count(uplift), 1);
    uplift_close(&uplift);
}

static void test_keys__roles_are_for_admin_keys(void **state)
{
    (void)state;
    char secret[KEY_SECRET_MAX], name[KEY_NAME_MAX + 1];
    struct uplift *uplift = open_uplift();
    struct error err = {0};
    assert_false(keys_create(uplift, KEY_ADMIN, KEY_ROLE_NONE, "x", 0, secret, NULL, &err));
    assert_string_equal(err.place, "role");
    error_clear(&err);
    assert_false(keys_create(uplift, KEY_CLIENT, KEY_ROLE_ADMIN, "x", 0, secret, NULL, &err));
    assert_string_equal(err.place, "role");
    error_clear(&err);
    memset(name, 'x', KEY_NAME_MAX);
    name[KEY_NAME_MAX] = '\0';
    assert_false(keys_create(uplift, KEY_CLIENT, KEY_ROLE_NONE, name, 0, secret, NULL, &err));
    assert_string_equal(err.place, "name");
    error_clear(&err);
    assert_false(keys_create(uplift, KEY_CLIENT, KEY_ROLE_NONE, "\xff", 0, secret, NULL, &err));
    assert_string_equal(err.place, "name");
    assert_int_equal(keys_count(uplift), 0);
    assert_int_equal(key_role_of("editor"), KEY_ROLE_EDITOR);
    assert_int_equal(key_role_of("root"), -1);
    assert_int_equal(key_kind_of("service"), KEY_SERVICE);
    uplift_close(&uplift);
}

static int64_t last_used(struct uplift *uplift)
{
    struct error err = {0};
    json_t *list = keys_list(uplift, &err);
    json_t *used =
        json_object_get(json_array_get(json_object_get(list, "keys"), 0), "last_used_at");
    int64_t when = -1;
    if (json_is_string(used))
        assert_true(when_parse(slice_of(json_string_value(used)), &when));
    json_decref(list);
    return when;
}

static void test_keys__last_use_is_known_after_a_restart(void **state)
{
    (void)state;
    struct uplift *uplift = open_uplift();
    char secret[KEY_SECRET_MAX];
    struct key_info info;
    create(uplift, KEY_SERVICE, KEY_ROLE_NONE, secret, NULL);
    assert_int_equal(last_used(uplift), -1);
    now += WHEN_HOUR;
    assert_true(verify(uplift, secret, &info));
    assert_int_equal(last_used(uplift), now);
    uplift_close(&uplift);
    uplift = open_uplift();
    assert_int_equal(last_used(uplift), now);
    uplift_close(&uplift);
}

static void test_keys__rotated_the_old_secret_is_good_for_a_while(void **state)
{
    (void)state;
    struct error err = {0};
    struct uplift *uplift = open_uplift();
    char first[KEY_SECRET_MAX], second[KEY_SECRET_MAX], third[KEY_SECRET_MAX];
    struct key_info made, info;
    create(uplift, KEY_ADMIN, KEY_ROLE_ADMIN, first, &made);
    assert_true(verify(uplift, first, &info));
    int64_t used = now;
    now += WHEN_HOUR;
    assert_true(keys_rotate(uplift, made.id, 24 * WHEN_HOUR, second, &info, &err));
    assert_string_equal(info.id, made.id);
    assert_string_not_equal(first, second);
    assert_int_equal(last_used(uplift), -1); /* of the new one */
    for (int i = 0; i < 2; i++) {
        assert_true(verify(uplift, first, &info));
        assert_true(verify(uplift, second, &info));
        assert_string_equal(info.id, made.id);
        assert_int_equal(keys_count(uplift), 1);
        uplift_close(&uplift);
        uplift = open_uplift();
        json_t *list = keys_list(uplift, &err);
        json_t *key = json_array_get(json_object_get(list, "keys"), 0);
        char text[WHEN_TEXT_MAX];
        assert_string_equal(json_string_value(json_object_get(key, "rotated_at")),
                            when_format(used + WHEN_HOUR, text));
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(key, "previous"), "valid_until")),
            when_format(used + 25 * WHEN_HOUR, text));
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(key, "previous"), "last_used_at")),
            when_format(now, text));
        char *shown = json_dumps(list, 0);
        assert_null(strstr(shown, "digest"));
        free(shown);
        json_decref(list);
    }
    now += 24 * WHEN_HOUR - 1;
    assert_true(verify(uplift, first, &info));
    now++;
    assert_false(verify(uplift, first, &info));
    assert_true(verify(uplift, second, &info));
    /* Of three only the last two are ever good; without time, the last alone. */
    assert_true(keys_rotate(uplift, made.id, WHEN_HOUR, third, NULL, &err));
    assert_false(verify(uplift, first, &info));
    assert_true(verify(uplift, second, &info) && verify(uplift, third, &info));
    assert_true(keys_rotate(uplift, made.id, 0, first, NULL, &err));
    assert_false(verify(uplift, second, &info) || verify(uplift, third, &info));
    assert_true(verify(uplift, first, &info));
    assert_false(keys_rotate(uplift, "no such", 0, second, NULL, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_string_equal(second, "");
    uplift_close(&uplift);
}

#define each(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(test_keys__each_kind_has_its_prefix_and_outlives_a_restart),
        each(test_keys__nothing_but_the_secret_opens),
        each(test_keys__secrets_are_neither_listed_nor_stored),
        each(test_keys__revoked_at_once_and_for_ever),
        each(test_keys__roles_are_for_admin_keys),
        each(test_keys__rotated_the_old_secret_is_good_for_a_while),
        each(test_keys__last_use_is_known_after_a_restart),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
