/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conditions: compiled to a tree of nodes, one an operator, walked recursively. Depth is bounded at
 * compile time, patterns by condition_pattern.h, so no input can make matching run away. */
#include "core/condition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/condition_pattern.h"
#include "core/condition_values.h"

enum op {
    /* of a whole object, and of a value where the kids are tests */
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_NEVER,
    OP_PATH,
    /* of a value, by the type of the operand */
    OP_TEXT,
    OP_NUMBER,
    OP_BOOL,
    OP_NULL,
    OP_SAME,
    /* of a value, by name */
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LTE,
    OP_GT,
    OP_GTE,
    OP_IN,
    OP_NIN,
    OP_INI,
    OP_NINI,
    OP_ALL,
    OP_ALLI,
    OP_SIZE,
    OP_ELEM_TEST,
    OP_ELEM_OBJECT,
    OP_EXISTS,
    OP_TYPE,
    OP_REGEX,
    OP_VEQ,
    OP_VNE,
    OP_VGT,
    OP_VGTE,
    OP_VLT,
    OP_VLTE,
    OP_IN_GROUP,
    OP_NOT_IN_GROUP,
};

struct condition {
    enum op op;
    json_t *operand; /* a reference, or NULL */
    char *path;      /* OP_PATH */
    struct pattern *pattern;
    struct condition **kids;
    size_t kid_count;
};

/* How the operand of an operator is read. */
enum operand { ANY, ARRAY, TEXT, PATTERN, PATTERN_CASELESS, KID_TEST, KID_ITEMS, KID_ELEMENT };

static const struct operator_row {
    const char *name;
    enum op op;
    enum operand operand;
} operators[] = {
    {"$eq", OP_EQ, ANY},
    {"$ne", OP_NE, ANY},
    {"$lt", OP_LT, ANY},
    {"$lte", OP_LTE, ANY},
    {"$gt", OP_GT, ANY},
    {"$gte", OP_GTE, ANY},
    {"$in", OP_IN, ARRAY},
    {"$nin", OP_NIN, ARRAY},
    {"$ini", OP_INI, ARRAY},
    {"$nini", OP_NINI, ARRAY},
    {"$all", OP_ALL, KID_ITEMS},
    {"$alli", OP_ALLI, KID_ITEMS},
    {"$size", OP_SIZE, KID_TEST},
    {"$elemMatch", OP_ELEM_TEST, KID_ELEMENT},
    {"$exists", OP_EXISTS, ANY},
    {"$type", OP_TYPE, TEXT},
    {"$not", OP_NOT, KID_TEST},
    {"$regex", OP_REGEX, PATTERN},
    {"$regexi", OP_REGEX, PATTERN_CASELESS},
    {"$veq", OP_VEQ, ANY},
    {"$vne", OP_VNE, ANY},
    {"$vgt", OP_VGT, ANY},
    {"$vgte", OP_VGTE, ANY},
    {"$vlt", OP_VLT, ANY},
    {"$vlte", OP_VLTE, ANY},
    {"$inGroup", OP_IN_GROUP, TEXT},
    {"$notInGroup", OP_NOT_IN_GROUP, TEXT},
};

struct compiler {
    bool lenient;
    int depth;
    struct error *err;
};

static struct condition *compile_object(struct compiler *c, json_t *json,
                                        const struct json_place *place);
static struct condition *compile_test(struct compiler *c, json_t *json,
                                      const struct json_place *place);

static struct condition *node(enum op op, json_t *operand)
{
    struct condition *made = xcalloc(1, sizeof *made);
    made->op = op;
    made->operand = json_incref(operand);
    return made;
}

static void adopt(struct condition *parent, struct condition *kid)
{
    parent->kids = xrealloc(parent->kids, (parent->kid_count + 1) * sizeof *parent->kids);
    parent->kids[parent->kid_count++] = kid;
}

/* What is wrong: refused, or leniently something that never matches. */
static struct condition *wrong(struct compiler *c, const struct json_place *place, const char *what)
{
    if (c->lenient)
        return node(OP_NEVER, NULL);
    json_fail(place, c->err, "%s", what);
    return NULL;
}

/* Adds a compiled kid; frees the parent and gives NULL where there is none. */
static struct condition *with(struct condition *parent, struct condition *kid)
{
    if (kid) {
        adopt(parent, kid);
        return parent;
    }
    condition_free(parent);
    return NULL;
}

static bool operators_only(json_t *json)
{
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value) if (name[0] != '$') return false;
    return json_object_size(json) > 0;
}

static struct condition *compile_items(struct compiler *c, enum op op, json_t *json,
                                       const struct json_place *place,
                                       struct condition *(*compile)(struct compiler *, json_t *,
                                                                    const struct json_place *))
{
    if (!json_is_array(json))
        return wrong(c, place, "must be an array");
    struct condition *made = node(op, json);
    size_t i;
    json_t *item;
    json_array_foreach(json, i, item)
    {
        struct json_place at = json_item(place, i);
        if (made)
            made = with(made, compile(c, item, &at));
    }
    return made;
}

static struct condition *compile_regex(struct compiler *c, json_t *json, bool caseless,
                                       const struct json_place *place)
{
    if (!json_is_string(json))
        return wrong(c, place, "must be a pattern");
    struct slice source = {json_string_value(json), json_string_length(json)};
    const char *unportable = c->lenient ? NULL : pattern_unportable(source);
    char why[224];
    struct pattern *pattern = pattern_compile(source, caseless, why, sizeof why);
    if (!pattern)
        return wrong(c, place, why);
    if (unportable) {
        pattern_free(pattern);
        return wrong(c, place, unportable);
    }
    struct condition *made = node(OP_REGEX, json);
    made->pattern = pattern;
    return made;
}

static struct condition *compile_type(struct compiler *c, json_t *json,
                                      const struct json_place *place)
{
    static const char *const types[] = {"string", "number", "boolean", "array", "object", "null"};
    for (size_t i = 0; json_is_string(json) && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], json_string_value(json)) == 0)
            return node(OP_TYPE, json);
    return wrong(c, place, "must be string, number, boolean, array, object or null");
}

static struct condition *compile_operator(struct compiler *c, const char *name, json_t *json,
                                          const struct json_place *place)
{
    const struct operator_row *row = NULL;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(operators[i].name, name) == 0)
            row = &operators[i];
    if (!row)
        return wrong(c, place, "unknown operator");
    switch (row->operand) {
    case ARRAY:
        return json_is_array(json) ? node(row->op, json) : wrong(c, place, "must be an array");
    case TEXT:
        if (row->op == OP_TYPE)
            return compile_type(c, json, place);
        return json_is_string(json) ? node(row->op, json) : wrong(c, place, "must be a string");
    case PATTERN:
    case PATTERN_CASELESS:
        return compile_regex(c, json, row->operand == PATTERN_CASELESS, place);
    case KID_TEST:
        if (row->op == OP_NOT && json_is_null(json))
            return wrong(c, place, "must not be null");
        return with(node(row->op, json), compile_test(c, json, place));
    case KID_ITEMS:
        return compile_items(c, row->op, json, place, compile_test);
    case KID_ELEMENT:
        if (!json_is_object(json))
            return wrong(c, place, "must be an object");
        return operators_only(json)
                   ? with(node(OP_ELEM_TEST, json), compile_test(c, json, place))
                   : with(node(OP_ELEM_OBJECT, json), compile_object(c, json, place));
    case ANY:
        return node(row->op, json);
    }
    return NULL;
}

static struct condition *compile_literal(json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_STRING:
        return node(OP_TEXT, json);
    case JSON_INTEGER:
    case JSON_REAL:
        return node(OP_NUMBER, json);
    case JSON_TRUE:
    case JSON_FALSE:
        return node(OP_BOOL, json);
    case JSON_NULL:
        return node(OP_NULL, json);
    default:
        return node(OP_SAME, json);
    }
}

static struct condition *compile_test(struct compiler *c, json_t *json,
                                      const struct json_place *place)
{
    if (!json_is_object(json) || !operators_only(json))
        return compile_literal(json);
    if (c->depth >= CONDITION_DEPTH_MAX)
        return wrong(c, place, "is nested too deeply");
    c->depth++;
    struct condition *made = node(OP_AND, NULL);
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        struct json_place at = json_member(place, name);
        if (made)
            made = with(made, compile_operator(c, name, value, &at));
    }
    c->depth--;
    return made;
}

static bool path_allowed(const char *path)
{
    static const char *const magic[] = {"__proto__", "constructor", "prototype",
                                        "toString",  "valueOf",     "hasOwnProperty"};
    if (path[0] == '$' || !path[0])
        return false;
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, ".");
        for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
            if (len == strlen(magic[i]) && strncmp(at, magic[i], len) == 0)
                return false;
        at += len + (at[len] == '.');
    }
    return true;
}

static struct condition *compile_member(struct compiler *c, const char *name, json_t *value,
                                        const struct json_place *place)
{
    if (strcmp(name, "$or") == 0)
        return compile_items(c, OP_OR, value, place, compile_object);
    if (strcmp(name, "$and") == 0)
        return compile_items(c, OP_AND, value, place, compile_object);
    if (strcmp(name, "$nor") == 0)
        return with(node(OP_NOT, NULL), compile_items(c, OP_OR, value, place, compile_object));
    if (strcmp(name, "$not") == 0)
        return with(node(OP_NOT, NULL), compile_object(c, value, place));
    if (!c->lenient && name[0] == '$')
        return wrong(c, place, "unknown operator");
    if (!c->lenient && !path_allowed(name))
        return wrong(c, place, "is not a usable path");
    struct condition *made = with(node(OP_PATH, NULL), compile_test(c, value, place));
    if (made)
        made->path = xstrdup(name);
    return made;
}

static struct condition *compile_object(struct compiler *c, json_t *json,
                                        const struct json_place *place)
{
    if (!json_is_object(json))
        return wrong(c, place, "must be an object");
    if (c->depth >= CONDITION_DEPTH_MAX)
        return wrong(c, place, "is nested too deeply");
    c->depth++;
    const char *name;
    json_t *value;
    struct condition *made = node(OP_AND, NULL);
    json_object_foreach(json, name, value)
    {
        struct json_place at = json_member(place, name);
        if (made)
            made = with(made, compile_member(c, name, value, &at));
    }
    c->depth--;
    return made;
}

struct condition *condition_compile(json_t *json, const struct json_place *place, struct error *err)
{
    struct compiler compiler = {.err = err};
    return compile_object(&compiler, json, place);
}

struct condition *condition_compile_lenient(json_t *json, struct error *err)
{
    struct compiler compiler = {.lenient = true, .err = err};
    return compile_object(&compiler, json, JSON_TOP);
}

void condition_free(struct condition *condition)
{
    if (!condition)
        return;
    for (size_t i = 0; i < condition->kid_count; i++)
        condition_free(condition->kids[i]);
    free(condition->kids);
    free(condition->path);
    pattern_free(condition->pattern);
    json_decref(condition->operand);
    free(condition);
}

/* --- matching ------------------------------------------------------------------------------- */

struct matching {
    const json_t *groups;
};

static bool matches_object(const struct matching *m, const struct condition *node,
                           const json_t *object);
static bool matches(const struct matching *m, const struct condition *node, const json_t *value);

static bool is_null(const json_t *value)
{
    return !value || json_is_null(value);
}

static const json_t *step_into(const json_t *value, const char *part, size_t len, json_t **made)
{
    if (json_is_object(value))
        return json_object_getn(value, part, len);
    if (!json_is_array(value) || len == 0)
        return NULL;
    if (len == 6 && strncmp(part, "length", 6) == 0)
        return *made = json_integer((json_int_t)json_array_size(value));
    size_t index = 0;
    for (size_t i = 0; i < len; i++) {
        if (part[i] < '0' || part[i] > '9' || i > 8 || (i > 0 && part[0] == '0'))
            return NULL;
        index = index * 10 + (size_t)(part[i] - '0');
    }
    return json_array_get(value, index);
}

static bool matches_path(const struct matching *m, const struct condition *node,
                         const json_t *object)
{
    const json_t *value = object;
    json_t *made = NULL; /* a length */
    for (const char *at = node->path;;) {
        size_t len = strcspn(at, ".");
        value = step_into(value, at, len, &made);
        if (!at[len] || !value)
            break;
        at += len + 1;
    }
    bool result = matches(m, node->kids[0], value);
    json_decref(made);
    return result;
}

/* The text of both, compared by `compare`. */
static int compare_texts(const json_t *a, const json_t *b,
                         void (*write)(const json_t *value, struct text *out))
{
    struct text x, y;
    text_init(&x, VALUE_TEXT_MAX);
    text_init(&y, VALUE_TEXT_MAX);
    write(a, &x);
    write(b, &y);
    int order = text_compare_utf16((struct slice){x.ptr, x.len}, (struct slice){y.ptr, y.len});
    text_release(&x);
    text_release(&y);
    return order;
}

static bool ordered(enum op op, int order)
{
    switch (op) {
    case OP_LT:
    case OP_VLT:
        return order < 0;
    case OP_LTE:
    case OP_VLTE:
        return order <= 0;
    case OP_GT:
    case OP_VGT:
        return order > 0;
    case OP_GTE:
    case OP_VGTE:
        return order >= 0;
    case OP_VEQ:
        return order == 0;
    default:
        return order != 0;
    }
}

static bool textual(const json_t *value)
{
    return json_is_string(value) || json_is_array(value) || json_is_object(value);
}

static bool matches_order(enum op op, const json_t *value, const json_t *operand)
{
    if (textual(value) && textual(operand))
        return ordered(op, compare_texts(value, operand, value_text));
    double a = textual(value) && !json_is_string(value) ? NAN : value_number(value);
    double b = value_number(operand);
    if (json_is_array(value))
        a = value_number(value);
    if (isnan(a) || isnan(b))
        return false;
    return ordered(op, a < b ? -1 : a > b);
}

static bool among(const json_t *value, const json_t *list,
                  bool (*equal)(const json_t *, const json_t *))
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (equal(value, json_array_get(list, i)))
            return true;
    return false;
}

static bool matches_in(const json_t *value, const json_t *list,
                       bool (*equal)(const json_t *, const json_t *))
{
    if (!json_is_array(value))
        return among(value, list, equal);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (among(json_array_get(value, i), list, equal))
            return true;
    return false;
}

static bool matches_all(const struct matching *m, const struct condition *node, const json_t *value)
{
    if (!json_is_array(value))
        return false;
    for (size_t k = 0; k < node->kid_count; k++) {
        bool found = false;
        const json_t *wanted = json_array_get(node->operand, k);
        for (size_t i = 0; !found && i < json_array_size(value); i++) {
            const json_t *item = json_array_get(value, i);
            found = node->op == OP_ALLI && json_is_string(wanted)
                        ? value_strict_caseless(item, wanted)
                        : matches(m, node->kids[k], item);
        }
        if (!found)
            return false;
    }
    return true;
}

static bool matches_element(const struct matching *m, const struct condition *node,
                            const json_t *value)
{
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        if (!is_null(item) && (node->op == OP_ELEM_TEST ? matches(m, node->kids[0], item)
                                                        : matches_object(m, node->kids[0], item)))
            return true;
    }
    return false;
}

static bool matches_size(const struct matching *m, const struct condition *node,
                         const json_t *value)
{
    if (!json_is_array(value))
        return false;
    json_t *size = json_integer((json_int_t)json_array_size(value));
    bool result = matches(m, node->kids[0], size);
    json_decref(size);
    return result;
}

static bool matches_regex(const struct condition *node, const json_t *value)
{
    struct text text;
    text_init(&text, VALUE_TEXT_MAX);
    value_text(value, &text);
    bool found = !text.failed && pattern_matches(node->pattern, (struct slice){text.ptr, text.len});
    text_release(&text);
    return found;
}

static bool matches_type(const json_t *value, const char *type)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "object",  [JSON_ARRAY] = "array", [JSON_STRING] = "string",
        [JSON_INTEGER] = "number", [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
        [JSON_FALSE] = "boolean",  [JSON_NULL] = "null",
    };
    return strcmp(type, value ? names[json_typeof(value)] : "null") == 0;
}

static bool matches_text(const struct condition *node, const json_t *value)
{
    if (json_is_string(value))
        return value_strict(value, node->operand);
    return compare_texts(value, node->operand, value_text) == 0;
}

static bool matches_every(const struct matching *m, const struct condition *node,
                          const json_t *value)
{
    for (size_t i = 0; i < node->kid_count; i++)
        if (!matches(m, node->kids[i], value))
            return false;
    return true;
}

static bool matches(const struct matching *m, const struct condition *node, const json_t *value)
{
    const json_t *operand = node->operand;
    switch (node->op) {
    case OP_AND:
        return matches_every(m, node, value);
    case OP_NOT:
        return !matches(m, node->kids[0], value);
    case OP_TEXT:
        return matches_text(node, value);
    case OP_NUMBER:
        return value_number(value) == json_number_value(operand);
    case OP_BOOL:
        return !is_null(value) && value_truthy(value) == json_is_true(operand);
    case OP_NULL:
        return is_null(value);
    case OP_SAME:
        return value_same(value, operand);
    case OP_EQ:
        return value_strict(value, operand);
    case OP_NE:
        return !value_strict(value, operand);
    case OP_LT:
    case OP_LTE:
    case OP_GT:
    case OP_GTE:
        return matches_order(node->op, value, operand);
    case OP_IN:
        return matches_in(value, operand, value_strict);
    case OP_NIN:
        return !matches_in(value, operand, value_strict);
    case OP_INI:
        return matches_in(value, operand, value_strict_caseless);
    case OP_NINI:
        return !matches_in(value, operand, value_strict_caseless);
    case OP_IN_GROUP:
    case OP_NOT_IN_GROUP:
        return (node->op == OP_IN_GROUP) ==
               matches_in(value, json_object_get(m->groups, json_string_value(operand)),
                          value_strict);
    case OP_ALL:
    case OP_ALLI:
        return matches_all(m, node, value);
    case OP_SIZE:
        return matches_size(m, node, value);
    case OP_ELEM_TEST:
    case OP_ELEM_OBJECT:
        return matches_element(m, node, value);
    case OP_EXISTS:
        return value_truthy(operand) == !is_null(value);
    case OP_TYPE:
        return matches_type(value, json_string_value(operand));
    case OP_REGEX:
        return matches_regex(node, value);
    case OP_VEQ:
    case OP_VNE:
    case OP_VGT:
    case OP_VGTE:
    case OP_VLT:
    case OP_VLTE:
        return ordered(node->op, compare_texts(value, operand, value_version));
    case OP_NEVER:
    case OP_OR:
    case OP_PATH:
        break;
    }
    return false;
}

static bool matches_object(const struct matching *m, const struct condition *node,
                           const json_t *object)
{
    switch (node->op) {
    case OP_AND:
        for (size_t i = 0; i < node->kid_count; i++)
            if (!matches_object(m, node->kids[i], object))
                return false;
        return true;
    case OP_OR:
        for (size_t i = 0; i < node->kid_count; i++)
            if (matches_object(m, node->kids[i], object))
                return true;
        return node->kid_count == 0;
    case OP_NOT:
        return !matches_object(m, node->kids[0], object);
    case OP_PATH:
        return matches_path(m, node, object);
    default:
        return false;
    }
}

bool condition_reads(const struct condition *condition, const char *name)
{
    size_t len = strlen(name);
    if (condition->path && strncmp(condition->path, name, len) == 0 &&
        (!condition->path[len] || condition->path[len] == '.'))
        return true;
    for (size_t i = 0; i < condition->kid_count; i++)
        if (condition_reads(condition->kids[i], name))
            return true;
    return false;
}

bool condition_matches(const struct condition *condition, const json_t *attributes,
                       const json_t *groups)
{
    struct matching matching = {groups};
    return matches_object(&matching, condition, attributes);
}
