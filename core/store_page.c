/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pages before they are changed.
 *
 * LMDB copies a page into memory of its own, changes it there and believes its offsets: one flipped
 * bit, and it writes past the copy. So before the first change of a leaf since the store was
 * opened, the pages on the way to it are looked at here, with their neighbours where rows are
 * deleted, as those may be joined. The way is that of the snapshot which the transaction began
 * with; what LMDB wrote since then was made from pages that had been looked at. All pages of the
 * list of tables and of the list of free pages are looked at before the first transaction.
 *
 * The format is that of LMDB's data version 1 on machines of 64 bits: a page is a header, offsets
 * of its nodes growing up, nodes growing down without a gap; a node is a size or a page number, a
 * length of its key, the key, the value (or the number of the first of its pages). */
#include <stdlib.h>

#include "core/store_parts.h"

struct page {
    uint64_t number;
    uint16_t pad, flags;
    union {
        struct {
            uint16_t lower, upper;
        };
        uint32_t pages; /* of an overflow */
    };
    uint16_t nodes[];
};

struct node {
    uint16_t low, high, flags, key_size;
    char bytes[];
};

enum {
    HEADER = 16,
    NODE = 8,
    BRANCH = 1,
    LEAF = 2,
    OVERFLOW_PAGE = 4,
    NODE_BIG = 1,
    NODE_TABLE = 2,
    FIRST_PAGE = 2,
    DEPTH_MAX = 32,
};

/* A tree being looked at: one of the snapshot's. */
struct tree {
    struct store_txn *txn;
    const struct meta_table *table;
    bool numbers; /* keys are numbers: the list of free pages */
};

static const struct page *page_at(const struct store_txn *txn, uint64_t number)
{
    const struct store *store = txn->store;
    return number >= FIRST_PAGE && number < txn->used / store->page
               ? (const struct page *)(const void *)(store->map + number * store->page)
               : NULL;
}

static size_t node_count(const struct page *page)
{
    return (size_t)(page->lower - HEADER) / 2;
}

static const struct node *node_at(const struct page *page, size_t i)
{
    return (const struct node *)(const void *)((const char *)page + page->nodes[i]);
}

static struct slice node_key(const struct node *node)
{
    return (struct slice){node->bytes, node->key_size};
}

static size_t node_size(const struct node *node)
{
    return (size_t)node->low | (size_t)node->high << 16;
}

static uint64_t node_page(const struct node *node)
{
    return (uint64_t)node->low | (uint64_t)node->high << 16 | (uint64_t)node->flags << 32;
}

static int order(const struct tree *tree, struct slice a, struct slice b)
{
    uint64_t x, y;
    if (tree->numbers && a.len == sizeof x && b.len == sizeof y) {
        memcpy(&x, a.ptr, sizeof x);
        memcpy(&y, b.ptr, sizeof y);
        return (x > y) - (x < y);
    }
    size_t least = a.len < b.len ? a.len : b.len;
    int first = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return first ? first : (a.len > b.len) - (a.len < b.len);
}

/* A value with pages of its own: they are there, and as many as it needs. */
static bool big_is_whole(const struct store_txn *txn, const struct node *node)
{
    uint64_t number;
    memcpy(&number, node->bytes + node->key_size, sizeof number);
    const struct page *page = page_at(txn, number);
    size_t size = txn->store->page, pages = (HEADER - 1 + node_size(node)) / size + 1;
    return page && page->number == number && page->flags == OVERFLOW_PAGE && page->pages == pages &&
           number + pages <= txn->used / size;
}

/* How many bytes a node takes, or 0 where it is none. */
static size_t node_extent(const struct store_txn *txn, const struct page *page, size_t offset)
{
    size_t end = txn->store->page;
    if (offset < page->upper || offset % 2 || offset + NODE > end)
        return 0;
    const struct node *node = (const struct node *)(const void *)((const char *)page + offset);
    size_t size = NODE + (size_t)node->key_size;
    if (node->key_size > STORE_KEY_MAX)
        return 0;
    if (page->flags == LEAF && node->flags & NODE_BIG)
        size += sizeof(uint64_t);
    else if (page->flags == LEAF)
        size += node_size(node);
    size += size & 1;
    if (offset + size > end)
        return 0;
    bool whole = page->flags == BRANCH     ? page_at(txn, node_page(node)) != NULL
                 : node->flags == NODE_BIG ? big_is_whole(txn, node)
                                           : node->flags == 0 || node->flags == NODE_TABLE;
    return whole ? size : 0;
}

/* The page, or NULL where it is not what it should be: its number, its kind, nodes within it that
 * fill what it says is filled, keys in order. */
static const struct page *page_whole(const struct tree *tree, uint64_t number, uint16_t kind)
{
    const struct page *page = page_at(tree->txn, number);
    size_t end = tree->txn->store->page, filled = 0;
    if (!page || page->number != number || page->flags != kind || page->lower < HEADER ||
        page->lower % 2 || page->lower > page->upper || page->upper > end)
        return NULL;
    size_t count = node_count(page);
    if (count < (kind == BRANCH && !tree->numbers ? 2 : 1))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t size = node_extent(tree->txn, page, page->nodes[i]);
        if (size == 0 || (i > (kind == BRANCH) && order(tree, node_key(node_at(page, i - 1)),
                                                        node_key(node_at(page, i))) >= 0))
            return NULL;
        filled += size;
    }
    return filled == end - page->upper ? page : NULL;
}

/* --- once a page ---------------------------------------------------------------------------- */

/* Pages from `looked_pages` on were written since the store was opened. */
static bool was_looked_at(const struct store *store, uint64_t number)
{
    return number >= store->looked_pages ||
           (number >= FIRST_PAGE && store->looked[number / 8] >> number % 8 & 1);
}

static const struct page *look(const struct tree *tree, uint64_t number, uint16_t kind)
{
    struct store *store = tree->txn->store;
    if (number >= store->looked_pages)
        return page_at(tree->txn, number);
    if (!was_looked_at(store, number)) {
        if (!page_whole(tree, number, kind))
            return NULL;
        store->looked[number / 8] |= (unsigned char)(1 << number % 8);
    }
    return page_at(tree->txn, number);
}

/* The child whose range the key is in: the last one whose key is not greater, the first one's
 * being none. */
static size_t child_of(const struct tree *tree, const struct page *page, struct slice key)
{
    size_t low = 1, high = node_count(page);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (order(tree, node_key(node_at(page, middle)), key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

static bool look_at_neighbours(const struct tree *tree, const struct page *page, size_t at,
                               uint16_t kind)
{
    return (at == 0 || look(tree, node_page(node_at(page, at - 1)), kind)) &&
           (at + 1 >= node_count(page) || look(tree, node_page(node_at(page, at + 1)), kind));
}

/* Goes down to the leaf for the key; NULL where a page on the way is damaged. */
static const struct page *descend(const struct tree *tree, struct slice key, bool neighbours)
{
    uint64_t number = tree->table->root;
    size_t depth = tree->table->depth;
    const struct page *page = NULL;
    if (depth == 0 || depth > DEPTH_MAX)
        return NULL;
    for (size_t level = 1; level <= depth; level++) {
        page = look(tree, number, level < depth ? BRANCH : LEAF);
        if (!page || level == depth)
            break;
        size_t at = child_of(tree, page, key);
        if (neighbours && !look_at_neighbours(tree, page, at, level + 1 < depth ? BRANCH : LEAF))
            return NULL;
        number = node_page(node_at(page, at));
    }
    return page;
}

/* --- trees ---------------------------------------------------------------------------------- */

static const struct meta *meta_of(const struct store *store, uint64_t transaction)
{
    const char *page = store->map + (transaction & 1) * store->page;
    return (const struct meta *)(const void *)page;
}

/* The leaf's node of this key, or NULL. */
static const struct node *find(const struct tree *tree, struct slice key)
{
    const struct page *page = descend(tree, key, false);
    for (size_t i = 0; page && i < node_count(page); i++)
        if (slice_equal(node_key(node_at(page, i)), key))
            return node_at(page, i);
    return NULL;
}

/* The root of one of our tables in a snapshot. */
static bool find_table(struct store_txn *txn, const struct meta *meta, enum store_table table,
                       struct meta_table *out)
{
    struct tree tree = {txn, &meta->tables[1], false};
    const struct node *node = find(&tree, slice_of(store_table_name(table)));
    if (!node || node->flags != NODE_TABLE || node_size(node) != sizeof *out)
        return false;
    memcpy(out, node->bytes + node->key_size, sizeof *out);
    return out->flags == 0;
}

/* A record of the list of free pages: its length, then numbers that fall. */
static bool free_record_is_whole(const struct store_txn *txn, const struct node *node)
{
    const char *at = node->bytes + node->key_size;
    uint64_t number, count, before = txn->used / txn->store->page;
    if (node->flags & NODE_BIG) {
        memcpy(&number, at, sizeof number);
        at = (const char *)page_at(txn, number) + HEADER;
    }
    if (node_size(node) < sizeof count)
        return false;
    memcpy(&count, at, sizeof count);
    if (count > node_size(node) / sizeof count - 1)
        return false;
    for (uint64_t i = 1; i <= count; i++, before = number) {
        memcpy(&number, at + i * sizeof number, sizeof number);
        if (number < FIRST_PAGE || number >= before)
            return false;
    }
    return true;
}

static bool look_at_all(const struct tree *tree, uint64_t number, size_t level)
{
    bool leaf = level == tree->table->depth;
    const struct page *page = look(tree, number, leaf ? LEAF : BRANCH);
    bool ok = page != NULL;
    for (size_t i = 0; ok && i < node_count(page); i++)
        ok = !leaf ? look_at_all(tree, node_page(node_at(page, i)), level + 1)
                   : !tree->numbers || free_record_is_whole(tree->txn, node_at(page, i));
    return ok;
}

static bool tree_is_whole(struct store_txn *txn, const struct meta_table *table, bool numbers)
{
    struct tree tree = {txn, table, numbers};
    if (table->root == UINT64_MAX)
        return table->depth == 0;
    return table->depth > 0 && table->depth <= DEPTH_MAX && look_at_all(&tree, table->root, 1);
}

void pages_forget(struct store *store, size_t pages)
{
    free(store->looked);
    store->looked = pages ? xcalloc(pages / 8 + 1, 1) : NULL;
    store->looked_pages = pages;
    store->lists_looked = false;
}

int pages_begin(struct store_txn *txn)
{
    struct store *store = txn->store;
    if (!store->map || store->lists_looked)
        return 0;
    const struct meta *meta = meta_of(store, mdb_txn_id(txn->txn) - 1);
    if (!tree_is_whole(txn, &meta->tables[0], true) || !tree_is_whole(txn, &meta->tables[1], false))
        return txn_damaged(txn, "a page of the list of tables or of free pages");
    store->lists_looked = true;
    return 0;
}

int pages_older(struct store_txn *txn)
{
    const struct meta *meta = meta_of(txn->store, mdb_txn_id(txn->txn) - 1);
    struct meta_table table;
    struct tree tree = {txn, &table, false};
    if (!find_table(txn, meta, STORE_META, &table) || table.root == UINT64_MAX)
        return 0;
    const struct node *node = find(&tree, slice_of(sum_head_name));
    uint64_t number = 0;
    if (!node || node->flags || node_size(node) < sizeof number + ROW_SUM)
        return 0;
    struct slice key = node_key(node), value = {key.ptr + key.len, node_size(node) - ROW_SUM};
    if (row_sum(STORE_META, (MDB_val){key.len, (void *)(uintptr_t)key.ptr}, value.ptr, value.len) !=
        row_stored_sum((MDB_val){node_size(node), (void *)(uintptr_t)value.ptr}))
        return 0;
    unkey_u64(&value, &number);
    return number > meta->transaction ? txn_damaged(txn, "the last transaction is hidden") : 0;
}

int pages_look(struct store_txn *txn, enum store_table table, MDB_val key, bool neighbours)
{
    if (!txn->store->map)
        return 0;
    const struct meta *meta = meta_of(txn->store, mdb_txn_id(txn->txn) - 1);
    struct meta_table *root = &txn->roots[table];
    if (root->depth == 0 && !find_table(txn, meta, table, root))
        return txn_damaged(txn, "its entry in the list of tables");
    struct tree tree = {txn, root, false};
    struct slice bytes = {key.mv_data, key.mv_size};
    return root->root == UINT64_MAX || descend(&tree, bytes, neighbours)
               ? 0
               : txn_damaged(txn, "a page is not whole");
}

bool pages_looked_at(const struct store_txn *txn, const void *inside)
{
    uintptr_t at = (uintptr_t)inside, map = (uintptr_t)txn->store->map;
    return !inside || at < map || at - map >= txn->store->map_size ||
           was_looked_at(txn->store, (at - map) / txn->store->page);
}
