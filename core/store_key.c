/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The codec of keys. */
#include <endian.h>

#include "core/store.h"

void key_bytes(struct store_key *key, struct slice bytes)
{
    must(bytes.len <= sizeof key->bytes - key->len);
    if (bytes.len)
        memcpy(key->bytes + key->len, bytes.ptr, bytes.len);
    key->len += bytes.len;
}

void key_u8(struct store_key *key, uint8_t value)
{
    key_bytes(key, (struct slice){(const char *)&value, 1});
}

void key_u16(struct store_key *key, uint16_t value)
{
    value = htobe16(value);
    key_bytes(key, (struct slice){(const char *)&value, sizeof value});
}

void key_u32(struct store_key *key, uint32_t value)
{
    value = htobe32(value);
    key_bytes(key, (struct slice){(const char *)&value, sizeof value});
}

void key_u64(struct store_key *key, uint64_t value)
{
    value = htobe64(value);
    key_bytes(key, (struct slice){(const char *)&value, sizeof value});
}

void key_text(struct store_key *key, struct slice text)
{
    must(text.len == 0 || !memchr(text.ptr, 0, text.len));
    key_bytes(key, text);
    key_u8(key, 0);
}

static bool take(struct slice *rest, void *out, size_t size)
{
    if (rest->len < size)
        return false;
    memcpy(out, rest->ptr, size);
    rest->ptr += size;
    rest->len -= size;
    return true;
}

bool unkey_u8(struct slice *rest, uint8_t *value)
{
    return take(rest, value, sizeof *value);
}

bool unkey_u16(struct slice *rest, uint16_t *value)
{
    bool ok = take(rest, value, sizeof *value);
    *value = ok ? be16toh(*value) : 0;
    return ok;
}

bool unkey_u32(struct slice *rest, uint32_t *value)
{
    bool ok = take(rest, value, sizeof *value);
    *value = ok ? be32toh(*value) : 0;
    return ok;
}

bool unkey_u64(struct slice *rest, uint64_t *value)
{
    bool ok = take(rest, value, sizeof *value);
    *value = ok ? be64toh(*value) : 0;
    return ok;
}

bool unkey_text(struct slice *rest, struct slice *text)
{
    const char *end = rest->len ? memchr(rest->ptr, 0, rest->len) : NULL;
    if (!end)
        return false;
    *text = (struct slice){rest->ptr, (size_t)(end - rest->ptr)};
    rest->len -= text->len + 1;
    rest->ptr = end + 1;
    return true;
}
